"""Sums, means, extremes and norms, over all or some dimensions."""

from __future__ import annotations

import torch
from harness import FLOAT32, FLOATS, INTEGERS, Group, sample

group = Group("reductions")

REDUCTIONS = {
    "sum": lambda x: x.sum(),
    "sum of dim 0": lambda x: x.sum(0),
    "sum of the last dim kept": lambda x: x.sum(-1, keepdim=True),
    "sum of two dims": lambda x: x.sum((0, 2)),
    "mean": lambda x: x.mean(),
    "mean of dim 1": lambda x: x.mean(1),
    "mean of two dims kept": lambda x: x.mean((-1, -2), keepdim=True),
    "amax": lambda x: x.amax(-1),
    "amin of two dims": lambda x: x.amin((0, 1)),
    "max": lambda x: x.max(),
    "max of a dim": lambda x: x.max(1),
    "min": lambda x: x.min(),
    "min of a dim kept": lambda x: x.min(-1, keepdim=True),
    "argmax": lambda x: x.argmax(),
    "argmax of a dim": lambda x: x.argmax(-1),
    "argmin": lambda x: x.argmin(),
    "argmin of a dim": lambda x: x.argmin(0, keepdim=True),
    "var": lambda x: x.var(-1),
    "std": lambda x: x.std(0),
    "norm": lambda x: x.norm(),
    "norm of a dim": lambda x: x.norm(dim=-1),
    "logsumexp": lambda x: x.logsumexp(-1),
    "cumsum": lambda x: x.cumsum(1),
}
for name, function in REDUCTIONS.items():
    group.dtypes(name, function, sample(3, 4, 5))
    for layout in ("transposed", "strided"):
        group.compare(f"{name} {layout}", function, sample(3, 4, 5, layout=layout))

MORE = {
    "prod": lambda x: x.prod(),
    "prod of a dim": lambda x: x.prod(1),
    "var of everything": lambda x: x.var(),
    "var without correction": lambda x: x.var(1, unbiased=False),
    "var of two dims": lambda x: x.var((0, 2), unbiased=False),
    "var_mean": lambda x: torch.var_mean(x, 1),
    "std_mean": lambda x: torch.std_mean(x, (0, 1)),
    "1-norm": lambda x: torch.linalg.vector_norm(x, 1, -1),
    "infinity norm": lambda x: torch.linalg.vector_norm(x, float("inf"), 0),
    "3-norm of two dims": lambda x: torch.linalg.vector_norm(x, 3, (0, 2)),
    "matrix norm": lambda x: torch.linalg.matrix_norm(x),
    "cumprod": lambda x: x.cumprod(-1),
    "cummax": lambda x: x.cummax(-1),
    "cummin": lambda x: x.cummin(0),
    "logcumsumexp": lambda x: x.logcumsumexp(1),
    "median": lambda x: x.median(-1),
    "nansum": lambda x: x.sqrt().nansum(-1),
    "nanmean": lambda x: x.sqrt().nanmean(-1),
    "aminmax": lambda x: torch.aminmax(x, dim=-1),
    "all": lambda x: (x > -9).all(),
    "all of a dim": lambda x: (x > 0).all(-1),
    "any": lambda x: (x > 2).any(),
    "any of a dim": lambda x: (x > 2).any(0, keepdim=True),
    "count_nonzero": lambda x: (x > 0).count_nonzero(),
    "equal": lambda x: torch.equal(x, x + 1),
    "allclose": lambda x: torch.allclose(x, x + 1e-9),
    "dist": lambda x: torch.dist(x, x * 2),
    "trace": lambda x: x[0].trace(),
    "sum into float64 of float32": lambda x: x.half().sum(dtype=torch.float32),
    "diff": lambda x: x.diff(dim=-1),
    "renormalized rows": lambda x: x / x.norm(dim=-1, keepdim=True),
}
for name, function in MORE.items():
    group.dtypes(name, function, sample(3, 4, 5), dtypes=FLOAT32)

SHAPES = {"0-dim": (), "one element": (1,), "a long vector": (10007,), "five dims": (2, 3, 2, 3, 2)}
for name, shape in SHAPES.items():
    for reduction in ("sum", "mean", "max", "argmax", "norm"):
        group.compare(f"{reduction} of {name}", REDUCTIONS[reduction], sample(*shape))
group.compare("sum of an empty tensor", lambda x: (x.sum(), x.sum(0), x.sum(1)), sample(0, 5))
group.compare("mean of an empty tensor is nan", lambda x: x.mean(), sample(0, 5))
group.compare("all and any of an empty tensor", lambda x: (x.bool().all(), x.bool().any()), sample(0, 5))
for name in ("sum", "sum of dim 0", "max", "max of a dim", "amax", "argmax of a dim", "cumsum"):
    group.dtypes(name, REDUCTIONS[name], sample(3, 4, 5, low=-9, high=9), dtypes=INTEGERS)
group.dtypes("prod", lambda x: x.prod(-1), sample(3, 4, low=1, high=4), dtypes=INTEGERS)
group.compare("sum of bools", lambda x: x.sum(), sample(4, 6, dtype=torch.bool))
group.compare("sum of uint8", lambda x: x.sum(), sample(4, 6, dtype=torch.uint8, low=0, high=255))
group.compare("max with nan", lambda x: (x.max(), x.amax(), x.max(0)), torch.tensor([1.0, float("nan"), 2.0]))
for name in (
    "sum",
    "sum of two dims",
    "mean",
    "mean of dim 1",
    "amax",
    "max of a dim",
    "min of a dim kept",
    "var",
    "std",
    "norm",
    "norm of a dim",
    "logsumexp",
    "cumsum",
):
    group.dtypes(f"gradient of {name}", REDUCTIONS[name], sample(3, 4, 5), gradient=True, dtypes=FLOATS[:2])
group.compare("gradient of prod", MORE["prod of a dim"], sample(3, 4, 5), gradient=True)

if __name__ == "__main__":
    group.main()
