"""Random numbers: their distributions, seeds, generators and the states that are kept and put back."""

from __future__ import annotations

from typing import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from harness import FLOATS, Group, label

group = Group("random")
DEVICE = group.device
MANY = 20_000


def sized(x: torch.Tensor, mean: float, std: float) -> None:
    """Mean and deviation of many numbers within five standard errors, generously taken for half precision."""
    assert x.device.type == "npu", x.device
    values = x.float().cpu()
    error = 5 * std / values.numel() ** 0.5 + 0.01
    assert abs(values.mean().item() - mean) < error, f"mean {values.mean().item()}, expected {mean}"
    assert abs(values.std().item() - std) < 2 * error, f"deviation {values.std().item()}, expected {std}"


def within(x: torch.Tensor, low: float, high: float) -> None:
    """All numbers in [low, high]."""
    bounds = x.float().min().item(), x.float().max().item()
    assert low <= bounds[0] <= bounds[1] <= high, f"numbers from {bounds[0]} to {bounds[1]}"


def empty(dtype: torch.dtype) -> torch.Tensor:
    return torch.empty(MANY, dtype=dtype, device=DEVICE)


for dtype in FLOATS:
    name = label(dtype)
    group.add(f"randn {name}", lambda t=dtype: sized(torch.randn(MANY, dtype=t, device=DEVICE), 0, 1))
    group.add(f"rand {name}", lambda t=dtype: sized(torch.rand(MANY, dtype=t, device=DEVICE), 0.5, 12**-0.5))
    group.add(
        f"rand is in [0, 1] {name}", lambda t=dtype: within(torch.rand(MANY, dtype=t, device=DEVICE), 0, 1)
    )
    group.add(f"normal_ {name}", lambda t=dtype: sized(empty(t).normal_(2, 3), 2, 3))
    group.add(f"uniform_ {name}", lambda t=dtype: sized(empty(t).uniform_(-1, 3), 1, 4 * 12**-0.5))
    group.add(f"bernoulli_ {name}", lambda t=dtype: sized(empty(t).bernoulli_(0.25), 0.25, 0.1875**0.5))
    group.add(f"randn_like {name}", lambda t=dtype: sized(torch.randn_like(empty(t).zero_()), 0, 1))
    group.add(f"rand_like {name}", lambda t=dtype: within(torch.rand_like(empty(t).zero_()), 0, 1))
for dtype in (torch.int32, torch.int64):
    name = label(dtype)
    group.add(
        f"randint {name}",
        lambda t=dtype: within(torch.randint(-3, 9, (MANY,), dtype=t, device=DEVICE), -3, 8),
    )
    group.add(f"random_ {name}", lambda t=dtype: within(empty(t).random_(10), 0, 9))
    group.add(f"random_ in a range {name}", lambda t=dtype: within(empty(t).random_(5, 9), 5, 8))
group.add("randint reaches its ends", lambda: _ends())
group.add(
    "normal of tensors",
    lambda: sized(torch.normal(empty(torch.float32).fill_(1), empty(torch.float32).fill_(2)), 1, 2),
)
group.add(
    "normal of a number and a tensor", lambda: sized(torch.normal(1.0, empty(torch.float32).fill_(2)), 1, 2)
)
group.add(
    "bernoulli of probabilities",
    lambda: sized(torch.bernoulli(empty(torch.float32).fill_(0.25)), 0.25, 0.1875**0.5),
)
group.add("exponential_", lambda: sized(empty(torch.float32).exponential_(2.0), 0.5, 0.5))
group.add(
    "truncated normal", lambda: within(torch.nn.init.trunc_normal_(empty(torch.float32), 0, 1, -1, 1), -1, 1)
)


def _ends() -> None:
    values = torch.randint(0, 4, (1000,), device=DEVICE).unique().cpu().tolist()
    assert values == [0, 1, 2, 3], values


DRAWS: dict[str, Callable[[], torch.Tensor]] = {
    "randn": lambda: torch.randn(64, device=DEVICE),
    "rand": lambda: torch.rand(64, device=DEVICE),
    "randint": lambda: torch.randint(0, 1000, (64,), device=DEVICE),
    "randperm": lambda: torch.randperm(64, device=DEVICE),
    "bernoulli": lambda: torch.empty(64, device=DEVICE).bernoulli_(0.5),
    "dropout": lambda: F.dropout(torch.ones(64, device=DEVICE), 0.5),
    "multinomial": lambda: torch.multinomial(torch.ones(64, device=DEVICE), 16),
}


def repeated(draw: Callable[[], torch.Tensor]) -> None:
    """The same seed gives the same numbers, the next call others."""
    torch.npu.manual_seed(7)
    first, second = draw().cpu(), draw().cpu()
    torch.npu.manual_seed(7)
    assert torch.equal(draw().cpu(), first), "the same seed gave other numbers"
    assert not torch.equal(first, second), "two calls gave the same numbers"


def restored(draw: Callable[[], torch.Tensor]) -> None:
    """A state that is put back continues as before."""
    torch.npu.manual_seed(7)
    draw()
    state = torch.npu.get_rng_state()
    first = draw().cpu()
    torch.npu.set_rng_state(state)
    assert torch.equal(draw().cpu(), first), "the state that was put back gave other numbers"


for name, draw in DRAWS.items():
    group.add(f"{name} repeats with its seed", lambda d=draw: repeated(d))
    group.add(f"{name} continues from a state", lambda d=draw: restored(d))


@group.check
def torch_manual_seed_seeds_the_device_too() -> None:
    torch.manual_seed(11)
    first = torch.randn(8, device=DEVICE).cpu()
    torch.manual_seed(11)
    assert torch.equal(torch.randn(8, device=DEVICE).cpu(), first)
    assert torch.npu.initial_seed() == 11


@group.check
def a_generator_of_its_own() -> None:
    generator = torch.Generator(device=DEVICE).manual_seed(3)
    first = torch.randn(8, generator=generator, device=DEVICE).cpu()
    torch.randn(8, device=DEVICE)
    generator.manual_seed(3)
    assert torch.equal(torch.randn(8, generator=generator, device=DEVICE).cpu(), first)
    assert generator.initial_seed() == 3
    assert generator.device.type == "npu"


@group.check
def a_generators_state_is_copied() -> None:
    first, second = (torch.Generator(device=DEVICE).manual_seed(seed) for seed in (3, 4))
    torch.rand(5, generator=first, device=DEVICE)
    second.set_state(first.get_state())
    numbers = [torch.rand(5, generator=each, device=DEVICE).cpu() for each in (first, second)]
    assert torch.equal(*numbers)


@group.check
def generators_do_not_disturb_the_default() -> None:
    torch.npu.manual_seed(7)
    expected = torch.randn(8, device=DEVICE).cpu()
    torch.npu.manual_seed(7)
    torch.randn(8, generator=torch.Generator(device=DEVICE).manual_seed(1), device=DEVICE)
    assert torch.equal(torch.randn(8, device=DEVICE).cpu(), expected)


@group.check
def fork_rng_leaves_no_trace() -> None:
    torch.npu.manual_seed(7)
    expected = torch.randn(8, device=DEVICE).cpu()
    torch.npu.manual_seed(7)
    state = torch.npu.get_rng_state()
    torch.randn(3, device=DEVICE)
    torch.npu.set_rng_state(state)
    assert torch.equal(torch.randn(8, device=DEVICE).cpu(), expected)


@group.check
def randperm_is_a_permutation() -> None:
    for count in (0, 1, 10, 1000):
        order = torch.randperm(count, device=DEVICE)
        assert order.dtype is torch.int64
        assert sorted(order.cpu().tolist()) == list(range(count))


@group.check
def dropout_keeps_and_scales() -> None:
    x = torch.ones(MANY, device=DEVICE)
    y = F.dropout(x, 0.25)
    kept = (y != 0).float()
    sized(kept, 0.75, 0.1875**0.5)
    torch.testing.assert_close(y.cpu(), kept.cpu() / 0.75)
    assert F.dropout(x, 0.5, training=False).equal(x)
    assert F.dropout(x, 0.0).equal(x)


@group.check
def the_gradient_of_dropout_has_its_mask() -> None:
    x = torch.ones(MANY, device=DEVICE, requires_grad=True)
    y = F.dropout(x, 0.25)
    y.sum().backward()
    torch.testing.assert_close(x.grad.cpu(), y.detach().cpu())


@group.check
def multinomial_follows_the_weights() -> None:
    weights = torch.tensor([0.0, 1.0, 3.0], device=DEVICE)
    drawn = torch.multinomial(weights, MANY, replacement=True)
    sized((drawn == 2).float(), 0.75, 0.1875**0.5)
    assert not (drawn == 0).any().item()
    assert sorted(torch.multinomial(torch.ones(5, device=DEVICE), 5).cpu().tolist()) == [0, 1, 2, 3, 4]


@group.check
def module_initializers() -> None:
    weight = torch.empty(100, 200, device=DEVICE)
    sized(torch.nn.init.normal_(weight, 0.5, 0.1).flatten(), 0.5, 0.1)
    within(torch.nn.init.xavier_uniform_(weight), -((6 / 300) ** 0.5), (6 / 300) ** 0.5)
    within(torch.nn.init.kaiming_uniform_(weight, a=5**0.5), -((1 / 200) ** 0.5), (1 / 200) ** 0.5)
    torch.nn.init.zeros_(weight)
    assert weight.abs().sum().item() == 0


if __name__ == "__main__":
    group.main()
