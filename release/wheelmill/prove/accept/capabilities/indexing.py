"""Reading and writing by index, mask and integer tensors."""

from __future__ import annotations

from typing import Any

import torch
from harness import FLOATS, Group, Sample, sample

group = Group("indexing")
ROWS = torch.tensor([3, 0, 2, 0])
COLUMNS = torch.tensor([5, 1, 4, 1])


def assign(index: Any) -> Any:
    """x[index] = y, with x given back."""

    def call(x: torch.Tensor, y: Any, *tensors: torch.Tensor) -> torch.Tensor:
        x[index(*tensors) if callable(index) else index] = y
        return x

    return call


READS = {
    "one row": lambda x, r, c: x[2],
    "one element": lambda x, r, c: x[2, 3],
    "a slice": lambda x, r, c: x[1:3, 2:5],
    "rows": lambda x, r, c: x[r],
    "columns": lambda x, r, c: x[:, c],
    "pairs": lambda x, r, c: x[r, c],
    "a grid": lambda x, r, c: x[r[:, None], c[None]],
    "rows of a slice": lambda x, r, c: x[1:][r.clamp(max=2)],
    "negative rows": lambda x, r, c: x[-1 - r],
    "a list": lambda x, r, c: x[[0, 3]],
    "a mask": lambda x, r, c: x[x > 0],
    "a mask of rows": lambda x, r, c: x[r > 0],
    "index_select": lambda x, r, c: x.index_select(0, r),
    "index_select of columns": lambda x, r, c: x.index_select(1, c),
    "take": lambda x, r, c: x.take(r),
    "take_along_dim": lambda x, r, c: torch.take_along_dim(x, x.argsort(1), 1),
    "gather": lambda x, r, c: x.gather(1, c[:, None]),
    "masked_select": lambda x, r, c: x.masked_select(x < 0.5),
    "masked_fill": lambda x, r, c: x.masked_fill(x < 0, -1.5),
    "nonzero": lambda x, r, c: (x > 0).nonzero(),
    "nonzero as a tuple": lambda x, r, c: (x > 0).nonzero(as_tuple=True),
    "argwhere": lambda x, r, c: torch.argwhere(x > 1),
    "where with one argument": lambda x, r, c: torch.where(x > 1),
    "where with a number": lambda x, r, c: torch.where(x > 0, x, 0.0),
    "count_nonzero": lambda x, r, c: torch.count_nonzero(x > 0),
}
for name, function in READS.items():
    group.dtypes(name, function, sample(4, 6), ROWS, COLUMNS)
for name in ("rows", "pairs", "a mask", "index_select", "gather", "masked_fill", "a slice"):
    for layout in ("transposed", "strided", "offset"):
        group.compare(f"{name} {layout}", READS[name], sample(4, 6, layout=layout), ROWS, COLUMNS)
for name in (
    "one row",
    "a slice",
    "rows",
    "pairs",
    "a mask",
    "index_select",
    "gather",
    "masked_fill",
    "where with a number",
):
    group.compare(f"gradient of {name}", READS[name], sample(4, 6), ROWS, COLUMNS, gradient=True)
for dtype in (torch.int32, torch.int64, torch.bool, torch.uint8):
    for name in ("rows", "pairs", "index_select", "gather"):
        label = f"{name} {dtype}".replace("torch.", "")
        group.compare(label, READS[name], Sample((4, 6), dtype, 0, 9), ROWS, COLUMNS)
group.compare("rows by int32 indices", lambda x, r: x[r.int()], sample(4, 6), ROWS)
group.compare("no rows", lambda x, r: x[r[:0]], sample(4, 6), ROWS)
group.compare("a mask with no hit", lambda x: x[x > 99], sample(4, 6))
group.compare("a third dimension", lambda x, r: (x[:, r], x[..., r, :], x[r, :, 1]), sample(4, 4, 5), ROWS)

WRITES = {
    "a number to a row": assign(1),
    "a number to a slice": assign((slice(1, 3), slice(None, None, 2))),
    "a number to rows": assign(lambda r, c: r),
    "a number to pairs": assign(lambda r, c: (r, c)),
}
for name, function in WRITES.items():
    group.dtypes(f"write {name}", function, sample(4, 6), 1.5, ROWS, COLUMNS)
    group.compare(f"write {name} strided", function, sample(4, 6, layout="strided"), 1.5, ROWS, COLUMNS)


def masked(x: torch.Tensor, y: Any) -> torch.Tensor:
    x[x > 0] = y
    return x


def put(x: torch.Tensor, index: Any, value: torch.Tensor, **options: Any) -> torch.Tensor:
    return x.index_put_(index, value, **options)


group.dtypes("write a number under a mask", masked, sample(4, 6), 1.5)
group.dtypes("write a row", assign(2), sample(4, 6), sample(6, seed=1))
group.dtypes("write a slice", assign((slice(0, 2), slice(1, 4))), sample(4, 6), sample(2, 3, seed=1))
group.dtypes("write rows", assign(lambda r: r), sample(4, 6), sample(2, 6, seed=1), torch.tensor([3, 1]))
group.dtypes(
    "index_put_",
    lambda x, r, c, y: put(x, (r, c), y),
    sample(4, 6),
    torch.tensor([0, 3]),
    torch.tensor([5, 1]),
    sample(2, seed=1),
)
group.dtypes(
    "index_put_ accumulates",
    lambda x, r, c, y: put(x, (r, c), y, accumulate=True),
    sample(4, 6),
    ROWS,
    COLUMNS,
    sample(4, seed=1),
)
group.dtypes(
    "index_put_ of rows accumulates",
    lambda x, r, y: put(x, (r,), y, accumulate=True),
    sample(4, 6),
    ROWS,
    sample(4, 6, seed=1),
)
group.dtypes("index_fill_", lambda x, r: x.index_fill_(0, r, 2.5), sample(4, 6), ROWS)
group.dtypes(
    "index_copy_",
    lambda x, r, y: x.index_copy_(0, r, y),
    sample(4, 6),
    torch.tensor([3, 1]),
    sample(2, 6, seed=1),
)
group.dtypes("index_add_", lambda x, r, y: x.index_add_(0, r, y), sample(4, 6), ROWS, sample(4, 6, seed=1))
group.dtypes("masked_fill_", lambda x, y: x.masked_fill_(y > 0, 7.0), sample(4, 6), sample(6, seed=1))
group.dtypes("masked_scatter_", lambda x, y: x.masked_scatter_(x > 0, y), sample(4, 6), sample(4, 6, seed=1))
group.dtypes(
    "masked_fill_ by a 0-dim tensor",
    lambda x, y: x.masked_fill_(x > 0, y),
    sample(4, 6),
    sample(seed=1),
    dtypes=FLOATS,
)
group.compare(
    "gradient of index_put",
    lambda x, r, y: x.clone().index_put((r,), y),
    sample(4, 6),
    torch.tensor([3, 1]),
    sample(2, 6),
    gradient=True,
)
NOTHING = torch.zeros(0, dtype=torch.int64)
for dtype in (torch.float32, torch.int64, torch.bool):
    for title, nothing in (
        ("an empty index", lambda x, r: r),
        ("an empty index of pairs", lambda x, r: (r, r)),
        ("a mask without a hit", lambda x, r: torch.zeros_like(x, dtype=torch.bool)),
        ("a mask of no row", lambda x, r: x[:, 0] != x[:, 0]),
    ):
        label = f"write through {title}, {dtype}".replace("torch.", "")
        group.compare(
            label, lambda x, r, f=nothing: assign(f(x, r))(x, 1), Sample((4, 6), dtype, 0, 9), NOTHING
        )
group.compare("write to what is not a number", lambda x: assign(torch.isnan(x))(x, 0), sample(4, 6))
group.compare("write to what is not a number 0-dim", lambda x: assign(torch.isnan(x))(x, 0), sample())
group.compare(
    "index_put_ of nothing accumulates",
    lambda x, r, y: put(x, (r,), y[:0], accumulate=True),
    sample(4, 6),
    NOTHING,
    sample(4, 6, seed=1),
)
group.compare("bucketize", lambda x, y: torch.bucketize(x, y), sample(4, 6), torch.tensor([-1.0, 0.0, 1.0]))
group.compare(
    "searchsorted", lambda y, x: torch.searchsorted(y, x), torch.tensor([-1.0, 0.0, 1.0]), sample(4, 6)
)


@group.check
def an_element_is_read_and_written() -> None:
    x = torch.zeros(2, 3, device=group.device)
    x[1, 2] = 4
    x[0] += 1
    assert x[1, 2].item() == 4
    assert x.tolist() == [[1, 1, 1], [0, 0, 4]]


@group.check
def after_writing_nothing_the_device_works() -> None:
    x = torch.zeros(5, device=group.device)
    x[torch.zeros(0, dtype=torch.int64, device=group.device)] = 1
    x[torch.isnan(x)] = 1
    assert (x + 1).tolist() == [1] * 5


@group.check
def a_loop_over_rows() -> None:
    assert [row.sum().item() for row in torch.ones(3, 4, device=group.device)] == [4, 4, 4]


if __name__ == "__main__":
    group.main()
