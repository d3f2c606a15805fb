"""Activation functions, forward and backward."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from harness import FLOATS, Group, sample

group = Group("activation")

ACTIVATIONS = {
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
    "elu": F.elu,
    "elu with alpha": lambda x: F.elu(x, 0.5),
    "selu": F.selu,
    "celu": lambda x: F.celu(x, 1.5),
    "gelu": F.gelu,
    "gelu by tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "softplus with beta": lambda x: F.softplus(x, beta=2, threshold=4),
    "softsign": F.softsign,
    "tanhshrink": F.tanhshrink,
    "hardtanh": F.hardtanh,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "hardshrink": F.hardshrink,
    "softshrink": F.softshrink,
    "threshold": lambda x: F.threshold(x, 0.5, -1.0),
    "logsigmoid": F.logsigmoid,
    "glu": lambda x: F.glu(x, -1),
    "prelu": lambda x: F.prelu(x, x.new_full((1,), 0.2)),
    "swiglu": lambda x: F.silu(x[..., :3]) * x[..., 3:],
    "relu squared": lambda x: F.relu(x).square(),
}
# An NPU has one formula for both kinds of gelu; they differ by up to 5e-4, their gradients by 2e-3.
LOOSE = {"gelu": (5e-3, 5e-3), "gelu by tanh": (5e-3, 5e-3)}
for name, function in ACTIVATIONS.items():
    for dtype in FLOATS:
        loose = LOOSE.get(name) if dtype is not torch.bfloat16 else None
        group.dtypes(name, function, sample(4, 6), dtypes=(dtype,), tolerance=loose)
        wide = sample(4, 6, low=-4, high=4)
        group.dtypes(f"gradient of {name}", function, wide, dtypes=(dtype,), gradient=True, tolerance=loose)
    for layout in ("transposed", "strided"):
        given = sample(4, 6, layout=layout)
        group.compare(f"{name} {layout}", function, given, gradient=True, tolerance=LOOSE.get(name))
    group.compare(f"{name} empty", function, sample(0, 6))
    group.compare(f"{name} in 4 dims", function, sample(2, 3, 4, 6), gradient=True, tolerance=LOOSE.get(name))

INPLACE = {
    "relu_": lambda x: F.relu(x, inplace=True),
    "leaky_relu_": lambda x: F.leaky_relu(x, 0.1, inplace=True),
    "elu_": lambda x: F.elu(x, inplace=True),
    "hardtanh_": lambda x: F.hardtanh(x, inplace=True),
    "hardswish_": lambda x: F.hardswish(x, inplace=True),
    "silu_": lambda x: F.silu(x, inplace=True),
    "sigmoid_": lambda x: x.sigmoid_(),
    "tanh_": lambda x: x.tanh_(),
}
for name, function in INPLACE.items():
    group.dtypes(name, function, sample(4, 6))
    group.compare(f"{name} strided", function, sample(4, 6, layout="strided"))
    group.compare(f"gradient of {name}", lambda x, f=function: f(x * 2), sample(4, 6), gradient=True)
for name in ("relu", "gelu", "silu", "sigmoid", "tanh"):
    group.compare(
        f"{name} of inf and nan", ACTIVATIONS[name], torch.tensor([float("inf"), float("-inf"), float("nan")])
    )
group.dtypes("relu", F.relu, sample(4, 6, low=-9, high=9), dtypes=(torch.int32, torch.int64))
group.dtypes(
    "rotary embedding",
    lambda x: torch.cat((-x[..., 3:], x[..., :3]), -1) * x.cos() + x * x.sin(),
    sample(4, 6),
    dtypes=FLOATS,
)

if __name__ == "__main__":
    group.main()
