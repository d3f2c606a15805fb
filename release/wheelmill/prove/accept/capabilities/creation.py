"""Tensors made on the device."""

from __future__ import annotations

import torch
from harness import FLOATS, INTEGERS, SMALL_INTEGERS, Group, label, same, sample

group = Group("creation")
DTYPES = (*FLOATS, *INTEGERS, *SMALL_INTEGERS, torch.bool)

for dtype in DTYPES:
    name = label(dtype)
    group.creates(f"zeros {name}", lambda d, t=dtype: torch.zeros(3, 4, dtype=t, device=d))
    group.creates(f"ones {name}", lambda d, t=dtype: torch.ones(3, 4, dtype=t, device=d))
    group.creates(f"full {name}", lambda d, t=dtype: torch.full((2, 5), 3, dtype=t, device=d))
    group.creates(
        f"tensor {name}", lambda d, t=dtype: torch.tensor([[1, 0, 2], [0, 3, 1]], dtype=t, device=d)
    )
    group.creates(f"empty then fill {name}", lambda d, t=dtype: torch.empty(4, dtype=t, device=d).fill_(1))
for dtype in (*FLOATS, *INTEGERS):
    name = label(dtype)
    group.creates(f"arange {name}", lambda d, t=dtype: torch.arange(2, 20, 3, dtype=t, device=d))
    group.creates(f"eye {name}", lambda d, t=dtype: torch.eye(3, 5, dtype=t, device=d))
for dtype in FLOATS:
    name = label(dtype)
    group.creates(f"linspace {name}", lambda d, t=dtype: torch.linspace(-1, 2, 7, dtype=t, device=d))
    group.creates(
        f"arange with a fraction {name}", lambda d, t=dtype: torch.arange(0, 2, 0.25, dtype=t, device=d)
    )
    group.compare(f"zeros_like {name}", torch.zeros_like, sample(3, 4, dtype=dtype))
    group.compare(f"ones_like {name}", torch.ones_like, sample(3, 4, dtype=dtype))
    group.compare(f"full_like {name}", lambda x: torch.full_like(x, -1.5), sample(3, 4, dtype=dtype))

FACTORIES = {
    "zeros 0-dim": lambda d: torch.zeros((), device=d),
    "zeros empty": lambda d: torch.zeros(0, 4, device=d),
    "ones of a large shape": lambda d: torch.ones(512, 513, device=d),
    "full of a bool": lambda d: torch.full((2, 3), True, device=d),
    "full of inf": lambda d: torch.full((2, 3), float("inf"), device=d),
    "full of an int": lambda d: torch.full((2, 3), 7, device=d),
    "arange downwards": lambda d: torch.arange(5, 0, -1, device=d),
    "arange empty": lambda d: torch.arange(0, device=d),
    "arange of floats": lambda d: torch.arange(0.0, 1.0, 0.1, device=d),
    "linspace of one step": lambda d: torch.linspace(3, 3, 1, device=d),
    "logspace": lambda d: torch.logspace(0, 2, 5, device=d),
    "eye square": lambda d: torch.eye(4, device=d),
    "tensor 0-dim": lambda d: torch.tensor(2.5, device=d),
    "tensor of nested lists": lambda d: torch.tensor([[1.0, 2.0], [3.0, 4.0]], device=d),
    "tensor of bools": lambda d: torch.tensor([True, False], device=d),
    "as_tensor": lambda d: torch.as_tensor([1, 2, 3], device=d),
    "tril_indices": lambda d: torch.tril_indices(3, 4, device=d),
    "triu_indices": lambda d: torch.triu_indices(3, 4, device=d),
    "meshgrid": lambda d: torch.meshgrid(torch.arange(3, device=d), torch.arange(2, device=d), indexing="ij"),
    "one_hot": lambda d: torch.nn.functional.one_hot(torch.tensor([2, 0, 1], device=d), 4),
    "hann_window": lambda d: torch.hann_window(8, dtype=torch.float32, device=d),
    "new_zeros": lambda d: torch.ones(1, device=d).new_zeros(2, 3),
    "new_ones": lambda d: torch.ones(1, device=d).new_ones(2, dtype=torch.int64),
    "new_full": lambda d: torch.ones(1, device=d).new_full((2, 2), 4.5),
    "new_tensor": lambda d: torch.ones(1, device=d).new_tensor([1.5, 2.5]),
    "complex": lambda d: torch.view_as_real(torch.zeros(2, 3, dtype=torch.complex64, device=d)),
}
for name, make in FACTORIES.items():
    group.creates(name, make)
group.compare(
    "empty_like keeps a transposed layout",
    lambda x: torch.empty_like(x).stride(),
    sample(4, 6, layout="transposed"),
)
group.compare("zeros_like of another dtype", lambda x: torch.zeros_like(x, dtype=torch.int64), sample(4, 6))
group.compare("triu of ones", lambda x: torch.ones_like(x).triu(1), sample(4, 6))
group.compare("tril of ones", lambda x: torch.ones_like(x).tril(-1), sample(4, 6))
group.compare("diag of a vector", torch.diag, sample(4))
group.compare("clone", torch.clone, sample(4, 6))
group.compare(
    "clone of a transposed tensor",
    lambda x: (x.clone(), x.clone().stride()),
    sample(4, 6, layout="transposed"),
)
group.compare(
    "clone made contiguous",
    lambda x: x.clone(memory_format=torch.contiguous_format),
    sample(4, 6, layout="strided"),
)


@group.check
def empty_strided_has_its_strides() -> None:
    x = torch.empty_strided((2, 3), (1, 2), device=group.device)
    assert (tuple(x.shape), x.stride(), x.device.type) == ((2, 3), (1, 2), "npu"), (
        x.shape,
        x.stride(),
        x.device,
    )


@group.check
def default_device_context() -> None:
    with torch.device(group.device):
        x = torch.ones(2, 3)
    same(x, torch.ones(2, 3))


@group.check
def from_a_list_and_back() -> None:
    assert torch.tensor([[1, 2], [3, 4]], device=group.device).tolist() == [[1, 2], [3, 4]]


@group.check
def item_and_bool() -> None:
    assert torch.tensor(2.5, device=group.device).item() == 2.5
    assert bool(torch.tensor([True], device=group.device))


@group.check
def printed_with_its_device() -> None:
    shown = repr(torch.tensor([1.0, 2.5], device=group.device))
    assert "2.5" in shown, shown
    assert "device='npu:0'" in shown, shown


if __name__ == "__main__":
    group.main()
