"""What a case is, and the operands that many of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Case:
    """A call of one operator.

    `given`: a value for each parameter that is read, in their order; of one that is read and written, the
    value before. `gives`: what each parameter that is written holds afterwards; None leaves it out (NULL).
    `rtol` and `atol` are None for torch.testing's own.
    """

    given: tuple[Any, ...]
    gives: tuple[Any, ...]
    rtol: float | None = None
    atol: float | None = None


def case(*given: Any, gives: Any, rtol: float | None = None, atol: float | None = None) -> Case:
    """A case; one result needs no tuple around it."""
    return Case(given, gives if isinstance(gives, tuple) else (gives,), rtol, atol)


def random(*shape: int, seed: int = 0, low: float = 0.1, high: float = 0.9) -> torch.Tensor:
    """Float32 numbers between low and high, the same ones every time."""
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.rand(shape, generator=generator) * (high - low) + low


def whole(*shape: int, seed: int = 0, below: int = 8, dtype: torch.dtype = torch.int64) -> torch.Tensor:
    """Whole numbers from 0 on, the same ones every time."""
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randint(0, below, shape, generator=generator).to(dtype)


def gradient(
    function: Callable[..., torch.Tensor], *inputs: torch.Tensor, grad: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """The gradients of function(*inputs) by autograd."""
    leaves = [value.detach().clone().requires_grad_() for value in inputs]
    return torch.autograd.grad(function(*leaves), leaves, grad)


X = random(3, 4)
Y = random(3, 4, seed=1)
Z = random(3, 4, seed=2)
ROW = random(4, seed=3)
I = whole(3, 4)  # noqa: E741
J = whole(3, 4, seed=1) + 1
SIGNED = random(3, 4, seed=4, low=-2, high=2)
BOOL = X > 0.5
