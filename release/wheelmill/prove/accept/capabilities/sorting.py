"""Sorting, the largest k, unique values and histograms."""

from __future__ import annotations

from typing import Any

import torch
from harness import FLOATS, INTEGERS, Group, Sample, sample

group = Group("sorting")


def distinct(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Numbers of which no two are equal, so that the order of ties plays no part."""
    count = torch.Size(shape).numel()
    order = Sample((count,)).base().argsort()
    return (order.to(dtype) - count // 2).reshape(shape)


SORTS = {
    "sort": lambda x: x.sort(-1),
    "sort of dim 0": lambda x: x.sort(0),
    "sort downwards": lambda x: x.sort(-1, descending=True),
    "argsort": lambda x: x.argsort(-1),
    "argsort downwards": lambda x: x.argsort(0, descending=True),
    "msort": lambda x: x.msort(),
    "topk": lambda x: x.topk(2),
    "topk of dim 0": lambda x: x.topk(2, 0),
    "topk smallest": lambda x: x.topk(2, largest=False),
    "topk of all": lambda x: x.topk(x.shape[-1]),
    "topk of one": lambda x: x.topk(1),
    "median": lambda x: x.median(-1),
    "max with its place": lambda x: x.max(-1),
}
for name, function in SORTS.items():
    for dtype in (*FLOATS, *INTEGERS):
        group.compare(f"{name} {dtype}".replace("torch.", ""), function, distinct(4, 6, dtype=dtype))
    group.compare(f"{name} of a transposed matrix", lambda x, f=function: f(x.t()), distinct(4, 6))
    group.compare(f"{name} of every second column", lambda x, f=function: f(x[:, ::2]), distinct(4, 6))
    group.compare(f"{name} of three dims", function, distinct(3, 4, 5))
group.dtypes("kthvalue", lambda x: x.kthvalue(2), sample(4, 6), dtypes=(torch.float32, torch.float16))
group.compare(
    "stable sort keeps the order of ties",
    lambda x: x.sort(stable=True, dim=-1),
    sample(4, 40, dtype=torch.int32),
)
group.compare(
    "stable sort downwards",
    lambda x: x.sort(stable=True, dim=-1, descending=True),
    sample(4, 40, dtype=torch.int32),
)
group.compare("sort of a long vector", lambda x: x.sort(), distinct(10007))
group.compare("topk of a long vector", lambda x: x.topk(50), distinct(10007))
group.compare("sort of no rows", lambda x: x.sort(-1), sample(0, 5))
group.compare("sort 0-dim", lambda x: x.sort(), sample())
group.compare("sort with nan", lambda x: x.sort().values, torch.tensor([2.0, float("nan"), 1.0]))
group.compare("sort with inf", lambda x: x.sort(), torch.tensor([2.0, float("inf"), 1.0, float("-inf")]))
group.compare("sort of bools", lambda x: x.sort(stable=True), torch.tensor([True, False, True, False]))
for name in ("sort", "sort downwards", "topk", "topk smallest", "max with its place"):
    call = lambda x, f=SORTS[name]: f(x).values if hasattr(f(x), "values") else f(x)[0]  # noqa: E731
    group.compare(f"gradient of {name}", call, sample(4, 6), gradient=True)

REPEATED = torch.tensor([3, 1, 2, 3, 1, 9, 2])
UNIQUES: dict[str, Any] = {
    "unique": lambda x: x.unique(),
    "unique with the inverse": lambda x: x.unique(return_inverse=True),
    "unique with counts": lambda x: x.unique(return_counts=True),
    "unique_consecutive": lambda x: x.sort().values.unique_consecutive(return_counts=True),
    "unique of dim 0": lambda x: torch.stack([x, x], 1).unique(dim=0),
    "bincount": lambda x: x.bincount(minlength=12),
    "isin": lambda x: torch.isin(x, x[:2]),
    "histc": lambda x: x.float().histc(5, 0, 10),
}
for name, function in UNIQUES.items():
    group.compare(name, function, REPEATED)
group.compare("unique of floats", lambda x: x.round().unique(), sample(4, 6))
group.compare("unique of int32", lambda x: x.unique(), REPEATED.int())


@group.check
def top_k_of_logits_masks_the_others() -> None:
    logits = distinct(2, 50)
    expected = logits.masked_fill(logits < logits.topk(5).values[:, -1:], float("-inf"))
    there = logits.to(group.device)
    actual = there.masked_fill(there < there.topk(5).values[:, -1:], float("-inf"))
    torch.testing.assert_close(actual.cpu(), expected)


if __name__ == "__main__":
    group.main()
