"""Recurrent networks: whole layers and their gradients."""

from __future__ import annotations

import copy
from typing import Any

import torch
from harness import Group, close

group = Group("recurrent")
DEVICE = group.device
KINDS = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}
WAYS: dict[str, dict[str, Any]] = {
    "one layer": {},
    "both directions": {"bidirectional": True},
    "two layers": {"num_layers": 2},
    "two layers in both directions": {"num_layers": 2, "bidirectional": True},
    "batch first": {"batch_first": True},
    "without bias": {"bias": False},
}


def learns(kind: str, options: dict[str, Any], dtype: torch.dtype, tolerance: tuple[float, float]) -> None:
    """Output, last state and all gradients are the CPU's in float32."""
    torch.manual_seed(0)
    plain = KINDS[kind](5, 7, **options)
    model = copy.deepcopy(plain).to(dtype).to(DEVICE)
    x = torch.randn(4, 3, 5)
    there, here = x.to(dtype).to(DEVICE).requires_grad_(), x.clone().requires_grad_()
    result, expected = model(there), plain(here)
    weights = torch.randn_like(expected[0])
    (result[0] * weights.to(dtype).to(DEVICE)).sum().backward()
    (expected[0] * weights).sum().backward()
    wanted = flat(expected)
    for number, actual in enumerate(flat(result)):
        close(actual.cpu().float(), wanted[number], tolerance, f"result {number}")
    leaves = [here, *plain.parameters()]
    for number, leaf in enumerate([there, *model.parameters()]):
        gradient, other = leaf.grad, leaves[number].grad
        assert gradient is not None, f"leaf {number} has no gradient"
        assert other is not None
        close(gradient.cpu().float(), other, tolerance, f"gradient {number}")


def flat(result: Any) -> list[torch.Tensor]:
    """The tensors of a layer's result."""
    output, state = result
    return [output, *(state if isinstance(state, tuple) else (state,))]


for kind in KINDS:
    for way, options in WAYS.items():

        def check(kind: str = kind, options: dict[str, Any] = options) -> None:
            learns(kind, options, torch.float32, (1e-4, 1e-4))

        group.add(f"{kind} {way}", check)

    def half(kind: str = kind) -> None:
        learns(kind, {}, torch.float16, (2e-2, 2e-2))

    group.add(f"{kind} float16", half)


@group.check
def sequences_of_different_lengths() -> None:
    torch.manual_seed(0)
    plain = torch.nn.LSTM(5, 7)
    model, x = copy.deepcopy(plain).to(DEVICE), torch.randn(4, 3, 5)
    pack, pad = torch.nn.utils.rnn.pack_padded_sequence, torch.nn.utils.rnn.pad_packed_sequence
    actual, _ = pad(model(pack(x.to(DEVICE), [4, 3, 2]))[0])
    expected, _ = pad(plain(pack(x, [4, 3, 2]))[0])
    close(actual.cpu(), expected, (1e-3, 1e-3))


if __name__ == "__main__":
    group.main()
