"""Arithmetic, comparisons, logic and mathematical functions, element by element."""

from __future__ import annotations

import torch
from harness import FLOAT32, FLOATS, INTEGERS, SMALL_INTEGERS, Group, sample

group = Group("elementwise")

# name -> function, and the range that it is defined on
UNARY = {
    "abs": (torch.abs, (-3, 3)),
    "neg": (torch.neg, (-3, 3)),
    "sign": (torch.sign, (-3, 3)),
    "sqrt": (torch.sqrt, (0, 9)),
    "rsqrt": (torch.rsqrt, (0.1, 9)),
    "reciprocal": (torch.reciprocal, (0.2, 4)),
    "square": (torch.square, (-3, 3)),
    "exp": (torch.exp, (-3, 3)),
    "exp2": (torch.exp2, (-3, 3)),
    "expm1": (torch.expm1, (-2, 2)),
    "log": (torch.log, (0.1, 9)),
    "log2": (torch.log2, (0.1, 9)),
    "log10": (torch.log10, (0.1, 9)),
    "log1p": (torch.log1p, (-0.9, 5)),
    "sin": (torch.sin, (-3, 3)),
    "cos": (torch.cos, (-3, 3)),
    "tan": (torch.tan, (-1.2, 1.2)),
    "asin": (torch.asin, (-0.9, 0.9)),
    "acos": (torch.acos, (-0.9, 0.9)),
    "atan": (torch.atan, (-3, 3)),
    "sinh": (torch.sinh, (-3, 3)),
    "cosh": (torch.cosh, (-3, 3)),
    "asinh": (torch.asinh, (-3, 3)),
    "acosh": (torch.acosh, (1.1, 5)),
    "atanh": (torch.atanh, (-0.9, 0.9)),
    "erf": (torch.erf, (-2, 2)),
    "erfc": (torch.erfc, (-2, 2)),
    "erfinv": (torch.erfinv, (-0.9, 0.9)),
    "floor": (torch.floor, (-3, 3)),
    "ceil": (torch.ceil, (-3, 3)),
    "round": (torch.round, (-3, 3)),
    "trunc": (torch.trunc, (-3, 3)),
    "frac": (torch.frac, (-3, 3)),
    "clamp": (lambda x: x.clamp(-1, 2), (-3, 3)),
    "clamp min": (lambda x: x.clamp_min(0.5), (-3, 3)),
    "clamp max": (lambda x: x.clamp_max(0.5), (-3, 3)),
    "pow of a number": (lambda x: x.pow(2.5), (0.1, 3)),
    "pow to a number": (lambda x: torch.pow(2.0, x), (-3, 3)),
    "add a number": (lambda x: x + 1.5, (-3, 3)),
    "subtract from a number": (lambda x: 1.5 - x, (-3, 3)),
    "multiply by a number": (lambda x: x * 1.5, (-3, 3)),
    "divide by a number": (lambda x: x / 1.5, (-3, 3)),
    "remainder by a number": (lambda x: x % 1.5, (-3, 3)),
    "greater than a number": (lambda x: x > 0.25, (-3, 3)),
    "equal to a number": (lambda x: x.round() == 1, (-3, 3)),
    "nan to num": (lambda x: torch.nan_to_num(x.log(), 0.5, 9.0, -9.0), (-3, 3)),
}
for name, (function, bounds) in UNARY.items():
    group.pointwise(name, function, bounds)

BINARY = {
    "add": (torch.add, (-3, 3), (-3, 3)),
    "add with alpha": (lambda x, y: torch.add(x, y, alpha=2), (-3, 3), (-3, 3)),
    "sub": (torch.sub, (-3, 3), (-3, 3)),
    "mul": (torch.mul, (-3, 3), (-3, 3)),
    "div": (torch.div, (-3, 3), (0.5, 3)),
    "div trunc": (lambda x, y: torch.div(x, y, rounding_mode="trunc"), (-9, 9), (1.3, 3)),
    "div floor": (lambda x, y: torch.div(x, y, rounding_mode="floor"), (-9, 9), (1.3, 3)),
    "pow": (torch.pow, (0.1, 3), (-2, 2)),
    "maximum": (torch.maximum, (-3, 3), (-3, 3)),
    "minimum": (torch.minimum, (-3, 3), (-3, 3)),
    "atan2": (torch.atan2, (-3, 3), (0.1, 3)),
    "eq": (lambda x, y: torch.eq(x.round(), y.round()), (-3, 3), (-3, 3)),
    "ne": (lambda x, y: torch.ne(x.round(), y.round()), (-3, 3), (-3, 3)),
    "lt": (torch.lt, (-3, 3), (-3, 3)),
    "le": (torch.le, (-3, 3), (-3, 3)),
    "gt": (torch.gt, (-3, 3), (-3, 3)),
    "ge": (torch.ge, (-3, 3), (-3, 3)),
    "where": (lambda x, y: torch.where(x > y, x, y), (-3, 3), (-3, 3)),
}
for name, (function, *bounds) in BINARY.items():
    group.pointwise(name, function, *bounds)
group.pointwise("addcmul", lambda x, y, z: torch.addcmul(x, y, z, value=0.5), (-3, 3), (-3, 3), (-3, 3))
group.pointwise("addcdiv", lambda x, y, z: torch.addcdiv(x, y, z, value=0.5), (-3, 3), (-3, 3), (0.5, 3))
group.pointwise("lerp", lambda x, y: torch.lerp(x, y, 0.3), (-3, 3), (-3, 3))
group.pointwise("lerp by a tensor", torch.lerp, (-3, 3), (-3, 3), (0, 1))
group.pointwise("fmod", torch.fmod, (-9, 9), (1.3, 3), dtypes=FLOAT32)
group.pointwise("remainder", torch.remainder, (-9, 9), (1.3, 3), dtypes=FLOAT32)
group.pointwise("logaddexp", torch.logaddexp, (-3, 3), (-3, 3), dtypes=FLOAT32)
group.pointwise("hypot", torch.hypot, (-3, 3), (-3, 3), dtypes=FLOAT32)
group.pointwise("xlogy", torch.xlogy, (0.1, 3), (0.1, 3), dtypes=FLOAT32)

# Integers and bool
WHOLE = (*INTEGERS, *SMALL_INTEGERS)
for name, function in {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "eq": torch.eq,
    "lt": torch.lt,
    "bitwise and": torch.bitwise_and,
    "bitwise or": torch.bitwise_or,
    "bitwise xor": torch.bitwise_xor,
}.items():
    group.dtypes(
        name, function, sample(4, 6, low=0, high=9), sample(4, 6, low=0, high=9, seed=1), dtypes=WHOLE
    )
group.dtypes("abs", torch.abs, sample(4, 6, low=-9, high=9), dtypes=(torch.int32, torch.int64, torch.int8))
group.dtypes("neg", torch.neg, sample(4, 6, low=-9, high=9), dtypes=INTEGERS)
group.dtypes("bitwise not", torch.bitwise_not, sample(4, 6, low=-9, high=9), dtypes=INTEGERS)
group.dtypes("floor divide", lambda x: x // 2, sample(4, 6, low=-9, high=9), dtypes=INTEGERS)
group.dtypes("remainder by a number", lambda x: x % 3, sample(4, 6, low=-9, high=9), dtypes=INTEGERS)
group.dtypes("clamp", lambda x: x.clamp(-2, 4), sample(4, 6, low=-9, high=9), dtypes=INTEGERS)
group.dtypes(
    "true division of", torch.div, sample(4, 6, low=-9, high=9), sample(4, 6, low=1, high=9), dtypes=INTEGERS
)
group.compare("add int32 and a number", lambda x: x + 2, sample(4, 6, dtype=torch.int32))
for name, function in {"and": torch.logical_and, "or": torch.logical_or, "xor": torch.logical_xor}.items():
    group.pointwise(
        f"logical {name}", function, (-3, 3), (-3, 3), dtypes=(torch.bool, torch.float32, torch.int32)
    )
group.pointwise("logical not", torch.logical_not, (-1, 1), dtypes=(torch.bool, torch.float32, torch.int32))
group.pointwise("bool ~", lambda x: ~x, (-1, 1), dtypes=(torch.bool,))
group.pointwise("bool &", lambda x, y: x & y, (-1, 1), (-1, 1), dtypes=(torch.bool,))

# Numbers that are none
SPECIAL = torch.tensor([1.0, float("inf"), float("-inf"), float("nan"), 0.0, -0.0])
for name in ("isnan", "isinf", "isfinite", "isposinf", "isneginf", "signbit"):
    group.compare(name, getattr(torch, name), SPECIAL)
group.compare("comparison with nan", lambda x: (x == x, x != x, x < x, x >= x), SPECIAL)
group.compare("arithmetic with inf and nan", lambda x: (x + x, x - x, x * 0, x / x), SPECIAL)

# Mixed dtypes: PyTorch's promotion
PAIRS = [
    (torch.float16, torch.float32),
    (torch.bfloat16, torch.float32),
    (torch.int32, torch.float32),
    (torch.int64, torch.float16),
    (torch.int32, torch.int64),
    (torch.bool, torch.float32),
    (torch.bool, torch.int64),
    (torch.uint8, torch.int32),
]
for first, second in PAIRS:
    names = f"{first} and {second}".replace("torch.", "")
    pair = sample(4, 6, dtype=first, low=0), sample(4, 6, dtype=second, low=0, seed=1)
    group.compare(f"add {names}", torch.add, *pair)
    group.compare(f"multiply {names}", torch.mul, *pair)
group.compare("0-dim cpu operand", lambda x: x * torch.tensor(2.5), sample(4, 6))

# In place, and into a given output
INPLACE = {
    "add_": lambda x, y: x.add_(y),
    "sub_": lambda x, y: x.sub_(y, alpha=2),
    "mul_": lambda x, y: x.mul_(y),
    "div_": lambda x, y: x.div_(y),
    "copysign of itself": lambda x, y: x.abs_().neg_(),
    "clamp_": lambda x, y: x.clamp_(-1, 1),
    "exp_": lambda x, y: x.exp_(),
    "sqrt_ of abs_": lambda x, y: x.abs_().sqrt_(),
    "addcmul_": lambda x, y: x.addcmul_(y, y, value=0.1),
    "addcdiv_": lambda x, y: x.addcdiv_(y, y + 4, value=0.1),
    "lerp_": lambda x, y: x.lerp_(y, 0.2),
    "zero_": lambda x, y: x.zero_(),
    "fill_": lambda x, y: x.fill_(2.5),
    "masked add": lambda x, y: x.add_(y * (y > 0)),
}
for name, function in INPLACE.items():
    for layout in ("contiguous", "transposed", "strided", "offset"):
        both = sample(4, 6, layout=layout), sample(4, 6, low=0.5, layout=layout, seed=1)
        group.compare(f"{name} {layout}", function, *both)
group.compare(
    "add into out", lambda x, y, out: torch.add(x, y, out=out), sample(4, 6), sample(6), sample(4, 6)
)
group.compare(
    "exp into a strided out",
    lambda x, out: torch.exp(x, out=out),
    sample(4, 6),
    sample(4, 6, layout="strided"),
)

# Gradients
for name in (
    "exp",
    "log",
    "sqrt",
    "rsqrt",
    "sin",
    "cos",
    "reciprocal",
    "erf",
    "abs",
    "clamp",
    "pow of a number",
    "square",
):
    group.dtypes(f"gradient of {name}", UNARY[name][0], sample(4, 6, low=0.3), dtypes=FLOATS, gradient=True)
for name in ("add", "sub", "mul", "div", "pow", "maximum", "where"):
    pair = sample(4, 6, low=0.3), sample(6, low=0.4, seed=1)
    group.dtypes(f"gradient of {name}", BINARY[name][0], *pair, dtypes=FLOATS, gradient=True)


@group.check
def what_cannot_be_cast_is_refused_where_it_is_called() -> None:
    """An exception there, and not a device that fails later for what nobody can find."""
    whole = torch.ones(2, dtype=torch.int32, device=group.device)
    real = torch.ones(2, device=group.device)
    for write in (whole.add_, whole.sub_, whole.mul_, whole.div_):
        said = ""
        try:
            write(real)
        except RuntimeError as error:
            said = str(error)
        assert "type" in said, f"{write.__name__} of float32 into int32 said {said!r}"
    assert (whole + 1).tolist() == [2, 2]


if __name__ == "__main__":
    group.main()
