"""The cells of the matrix by axis: what is installable, how axes compare, what is nearest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from wheelmill.matrix.model import Cell, Matrix
from wheelmill.matrix.versions import cann_key, python_key, version
from wheelmill.pick.model import Axis

KEYS: Mapping[Axis, Callable[[str], Any]] = {
    "adapter": version,
    "torch": version,
    "cann": cann_key,
    "python": python_key,
}


def value(cell: Cell, axis: Axis) -> str:
    """The value of a cell on one axis."""
    line = cell.line
    values: dict[Axis, str] = {
        "adapter": line.adapter,
        "branch": line.branch,
        "python": cell.python,
        "torch": line.torch.version,
        "cann": line.cann,
        "arch": cell.arch,
    }
    return values[axis]


def installable(cell: Cell) -> bool:
    """Whether a user can get this wheel: from the index, from a release page, or by building it."""
    return cell.line.on_index or cell.line.download is not None or cell.line.buildable


def all_cells(matrix: Matrix) -> tuple[Cell, ...]:
    """Every cell of every row, the best choice first: published before development, then newest."""
    cells = [cell for line in matrix.lines for cell in line.cells()]
    return tuple(sorted(cells, key=preference, reverse=True))


def preference(cell: Cell) -> tuple[Any, ...]:
    """Greater is better; among equals aarch64, on which most NPU hosts run."""
    line = cell.line
    return (
        line.kind == "published",
        version(line.torch.version),
        version(line.adapter),
        python_key(cell.python),
        cell.arch == "aarch64",
    )


def fits(cell: Cell, asked: Mapping[Axis, str]) -> bool:
    """Whether a cell has all the asked values; versions are equal when they compare equal."""
    return all(same(axis, value(cell, axis), wanted) for axis, wanted in asked.items())


def same(axis: Axis, one: str, other: str) -> bool:
    """Whether two values of an axis are the same, however they are spelt."""
    return one == other or (axis in KEYS and bool(KEYS[axis](one) == KEYS[axis](other)))


def values(cells: Iterable[Cell], axis: Axis) -> list[str]:
    """The distinct values on one axis, ascending."""
    return sorted({value(cell, axis) for cell in cells}, key=KEYS.get(axis, str))


def distance(axis: Axis, found: str, wanted: str, known: Sequence[str]) -> float:
    """How many known values lie between two; an unknown one stands between its neighbours."""
    if axis not in KEYS:
        return 1.0
    key = KEYS[axis]
    return abs(
        _place(key(found), [key(one) for one in known]) - _place(key(wanted), [key(one) for one in known])
    )


def _place(one: Any, ordered: list[Any]) -> float:
    before = sum(1 for other in ordered if other < one)
    return before if one in ordered else before - 0.5
