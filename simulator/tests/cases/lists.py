"""Operators on lists of tensors, and those on the gradients and parameters of a program."""

from __future__ import annotations

import torch

from cases.base import SIGNED, Case, X, Y, Z, case, random

ONE_LIST = """
Abs Acos Asin Atan Cos Cosh Erf Erfc Exp Expm1 Log Log10 Log1p Log2 Neg Reciprocal Sigmoid Sign Sin Sinh Sqrt
Tan Tanh
"""
TWO_OPERANDS = {
    "Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div, "Maximum": torch.maximum,
    "Minimum": torch.minimum, "Pow": torch.pow,
}  # fmt: skip
A, B, C = ([first, random(5, seed=seed)] for seed, first in enumerate((X, Y, Z)))


def _of_one() -> dict[str, Case]:
    cases = {
        f"Foreach{name}": case(A, gives=([getattr(torch, name.lower())(t) for t in A],))
        for name in ONE_LIST.split()
    }
    cases["ForeachCopy"] = case(A, gives=(A,))
    cases["ForeachZeroInplace"] = case(A, gives=([t * 0 for t in A],))
    cases["ForeachRoundOffNumber"] = case(
        [SIGNED], torch.tensor([2], dtype=torch.int8), gives=([SIGNED.floor()],)
    )
    cases["ForeachRoundOffNumberV2"] = case([SIGNED], 5, gives=([SIGNED.trunc()],))
    cases["ForeachNorm"] = case(A, 1.0, gives=([t.norm(1) for t in A],))
    return cases


def _with_numbers() -> dict[str, Case]:
    cases = {}
    for name, function in TWO_OPERANDS.items():
        wanted = [function(t, torch.tensor(0.5)) for t in A]
        cases[f"Foreach{name}Scalar"] = case(A, torch.tensor([0.5]), gives=(wanted,))
        cases[f"Foreach{name}ScalarV2"] = case(A, 0.5, gives=(wanted,))
        each = [function(t, torch.tensor(value)) for t, value in zip(A, (0.5, 0.25), strict=True)]
        cases[f"Foreach{name}ScalarList"] = case(A, [0.5, 0.25], gives=(each,))
    cases["ForeachPowScalarAndTensor"] = case(2.0, A, gives=([2**t for t in A],))
    return cases


def _of_several() -> dict[str, Case]:
    cases = {}
    for name in ("Mul", "Div", "Maximum", "Minimum", "Pow"):
        wanted = [TWO_OPERANDS[name](a, b) for a, b in zip(A, B, strict=True)]
        cases[f"Foreach{name}List"] = case(A, B, gives=(wanted,))
    for name, sign in (("Add", 1), ("Sub", -1)):
        wanted = [a + sign * 0.5 * b for a, b in zip(A, B, strict=True)]
        cases[f"Foreach{name}List"] = case(A, B, torch.tensor([0.5]), gives=(wanted,))
        cases[f"Foreach{name}ListV2"] = case(A, B, 0.5, gives=(wanted,))
    cases["ForeachLerpList"] = case(A, B, C, gives=([torch.lerp(*abc) for abc in zip(A, B, C, strict=True)],))
    cases["ForeachLerpScalar"] = case(
        A, B, 0.3, gives=([torch.lerp(a, b, 0.3) for a, b in zip(A, B, strict=True)],)
    )
    for name, function in (("Addcmul", torch.addcmul), ("Addcdiv", torch.addcdiv)):
        wanted = [function(*abc, value=0.5) for abc in zip(A, B, C, strict=True)]
        cases[f"Foreach{name}Scalar"] = case(A, B, C, torch.tensor([0.5]), gives=(wanted,))
        cases[f"Foreach{name}ScalarV2"] = case(A, B, C, 0.5, gives=(wanted,))
        each = [
            function(*abc, value=value)
            for abc, value in zip(zip(A, B, C, strict=True), (0.5, 0.25), strict=True)
        ]
        cases[f"Foreach{name}ScalarList"] = case(A, B, C, torch.tensor([0.5, 0.25]), gives=(each,))
    return cases


def _adam_w() -> tuple[torch.Tensor, ...]:
    """Parameter, mean and square after the third step of torch.optim.AdamW's formula."""
    parameter = X * (1 - 0.1 * 0.01)
    mean, square = 0.9 * Y + 0.1 * SIGNED, 0.99 * Z + 0.01 * SIGNED**2
    denominator = (square / (1 - 0.99**3)).sqrt() + 1e-8
    return parameter - 0.1 * mean / (1 - 0.9**3) / denominator, mean, square


def _sgd() -> tuple[list[torch.Tensor], ...]:
    """Parameters, gradients and buffers after a later step with momentum."""
    gradients = [b / 2 for b in B]
    buffers = [0.9 * c + 0.5 * (g + 0.01 * a) for a, g, c in zip(A, gradients, C, strict=True)]
    return [a - 0.1 * buffer for a, buffer in zip(A, buffers, strict=True)], gradients, buffers


def _one(value: float) -> torch.Tensor:
    return torch.tensor([value])


OPTIMIZERS = {
    "ForeachNonFiniteCheckAndUnscale": case(
        [X, SIGNED / 0], _one(0.0), _one(0.5), gives=([X / 2, SIGNED / 0], _one(1.0))
    ),
    "AmpUpdateScale": case(
        _one(8.0), torch.tensor([1], dtype=torch.int32), _one(0.0), 2.0, 0.5, 2,
        gives=(_one(16.0), torch.tensor([0], dtype=torch.int32)),
    ),
    "ApplyAdamW": case(
        X, Y, Z, *map(_one, (0.9**2, 0.99**2, 0.1, 0.01, 0.9, 0.99, 1e-8)), SIGNED, None, False, False,
        gives=(*_adam_w(), None),
    ),
    "ApplyAdamWV2": case(
        X, Y, Z, None, SIGNED, _one(2.0), 0.1, 0.9, 0.99, 0.01, 1e-8, False, False, gives=(*_adam_w(), None)
    ),
    "FusedSgd": case(
        A, B, C, _one(2.0), 0.01, 0.9, 0.1, 0.5, False, False, False, gives=_sgd()
    ),
}  # fmt: skip

CASES = {**_of_one(), **_with_numbers(), **_of_several(), **OPTIMIZERS}
