"""The cells of the matrix by axis: what is installable, how axes compare, what is nearest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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


VALUES: Mapping[Axis, Callable[[Cell], str]] = {
    "adapter": lambda cell: cell.line.adapter,
    "branch": lambda cell: cell.line.branch,
    "python": lambda cell: cell.python,
    "torch": lambda cell: cell.line.torch.version,
    "cann": lambda cell: cell.line.cann,
    "arch": lambda cell: cell.arch,
}


def value(cell: Cell, axis: Axis) -> str:
    """The value of a cell on one axis."""
    return VALUES[axis](cell)


def installable(cell: Cell) -> bool:
    """Whether a user can get this wheel: from the index, from a release page, or by building it."""
    return cell.line.on_index or cell.line.download is not None or cell.line.buildable


def all_cells(matrix: Matrix) -> tuple[Cell, ...]:
    """Every cell of every row, the best choice first: published before development, then newest."""
    cells = [cell for line in matrix.lines for cell in line.cells()]
    return tuple(sorted(cells, key=_preference, reverse=True))


def _preference(cell: Cell) -> tuple[Any, ...]:
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
    return all(same(axis, VALUES[axis](cell), wanted) for axis, wanted in asked.items())


def same(axis: Axis, one: str, other: str) -> bool:
    """Whether two values of an axis are the same, however they are spelt."""
    return one == other or (axis in KEYS and bool(KEYS[axis](one) == KEYS[axis](other)))


def values(cells: Iterable[Cell], axis: Axis) -> list[str]:
    """The distinct values on one axis, ascending."""
    return sorted({value(cell, axis) for cell in cells}, key=KEYS.get(axis, str))


def distances(axis: Axis, wanted: str, known: Iterable[str]) -> dict[str, float]:
    """How many known values lie between each one and the wanted one, which may itself be unknown.

    Values of an axis without order are all equally far.
    """
    if axis not in KEYS:
        return {one: 0.0 if one == wanted else 1.0 for one in known}
    key = KEYS[axis]
    keys = {one: key(one) for one in known}
    ordered = sorted(set(keys.values()))
    place = {value: at for at, value in enumerate(ordered)}
    target = key(wanted)
    here = place[target] if target in place else sum(1 for value in ordered if value < target) - 0.5
    return {one: abs(place[value] - here) for one, value in keys.items()}
