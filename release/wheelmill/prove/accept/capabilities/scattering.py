"""Scatter, gather and their accumulating relatives."""

from __future__ import annotations

import torch
from harness import FLOATS, INTEGERS, Group, Sample, label, sample

group = Group("scattering")
ONCE = torch.tensor([[3, 0, 2, 1, 3, 2], [0, 3, 1, 2, 0, 1]])  # no place twice in a column
OFTEN = torch.tensor([[3, 0, 3, 1, 3, 2], [3, 0, 1, 1, 3, 2], [0, 3, 1, 2, 3, 2]])
ALONG = torch.tensor([[5, 0], [1, 3], [2, 4], [0, 5]])

OPERATIONS = {
    "gather of dim 0": (lambda x, i, y: x.gather(0, i), ONCE),
    "gather of dim 1": (lambda x, i, y: x.gather(1, i), ALONG),
    "gather with a place twice": (lambda x, i, y: x.gather(0, i), OFTEN),
    "scatter of dim 0": (lambda x, i, y: x.scatter(0, i, y), ONCE),
    "scatter of dim 1": (lambda x, i, y: x.scatter(1, i, y), ALONG),
    "scatter of a number": (lambda x, i, y: x.scatter(0, i, 1.5), ONCE),
    "scatter_add of dim 0": (lambda x, i, y: x.scatter_add(0, i, y), OFTEN),
    "scatter_add of dim 1": (lambda x, i, y: x.scatter_add(1, i, y), ALONG),
}
for name, (function, index) in OPERATIONS.items():
    for dtype in (*FLOATS, *INTEGERS):
        x, y = Sample((4, 6), dtype, -9, 9), Sample((4, 6), dtype, -9, 9, seed=1)
        if name == "scatter of a number" and dtype in INTEGERS:
            continue
        tolerance = {torch.float16: (1e-2, 1e-1), torch.bfloat16: (5e-2, 5e-1)}.get(dtype)
        group.compare(f"{name} {label(dtype)}", function, x, index, y, tolerance=tolerance)
    for layout in ("transposed", "strided", "offset"):
        x, y = sample(4, 6, layout=layout), sample(4, 6, layout=layout, seed=1)
        group.compare(f"{name} {layout}", function, x, index, y)
    source = sample(*index.shape, seed=1)  # backward takes the index for all of the source
    group.compare(f"gradient of {name}", function, sample(4, 6), index, source, gradient=True)

INPLACE = {
    "scatter_": lambda x, i, y: x.scatter_(0, i, y),
    "scatter_ a number": lambda x, i, y: x.scatter_(0, i, 2.0),
    "scatter_add_": lambda x, i, y: x.scatter_add_(0, i, y),
    "scatter_ multiplying": lambda x, i, y: x.scatter_(0, i, y, reduce="multiply"),
}
for name, function in INPLACE.items():
    for layout in ("contiguous", "transposed", "strided", "offset"):
        group.compare(f"{name} {layout}", function, sample(4, 6, layout=layout), ONCE, sample(4, 6, seed=1))
for reduction in ("sum", "prod", "mean", "amax", "amin"):
    for whole in (True, False):
        group.compare(
            f"scatter_reduce {reduction}" + " without itself" * (not whole),
            lambda x, i, y, r=reduction, w=whole: x.scatter_reduce(0, i, y, r, include_self=w),
            sample(4, 6),
            OFTEN,
            sample(4, 6, seed=1),
        )
for reduction in ("prod", "mean", "amax", "amin"):
    group.compare(
        f"index_reduce {reduction}",
        lambda x, i, y, r=reduction: x.index_reduce(0, i, y, r),
        sample(4, 6),
        torch.tensor([3, 0, 3, 1]),
        sample(4, 6, seed=1),
    )
group.compare(
    "index_add with alpha",
    lambda x, i, y: x.index_add(0, i, y, alpha=0.5),
    sample(4, 6),
    torch.tensor([3, 0, 3, 1]),
    sample(4, 6, seed=1),
)
group.compare(
    "scatter of nothing", lambda x, i, y: x.scatter(0, i[:0], y), sample(4, 6), ONCE, sample(4, 6, seed=1)
)
group.compare("gather of nothing", lambda x, i: x.gather(0, i[:0]), sample(4, 6), ONCE)
group.compare(
    "gather of three dims",
    lambda x, i: x.gather(2, i),
    sample(2, 3, 4),
    torch.zeros(2, 3, 1, dtype=torch.int64),
)
group.compare(
    "one-hot by scatter_", lambda x, i: torch.zeros_like(x).scatter_(1, i, 1.0), sample(4, 6), ALONG[:, :1]
)
group.compare("diagonal_scatter", lambda x, y: x.diagonal_scatter(y), sample(4, 4), sample(4, seed=1))
group.compare("select_scatter", lambda x, y: x.select_scatter(y, 0, 2), sample(4, 6), sample(6, seed=1))
group.compare("slice_scatter", lambda x, y: x.slice_scatter(y, 0, 1, 3), sample(4, 6), sample(2, 6, seed=1))

if __name__ == "__main__":
    group.main()
