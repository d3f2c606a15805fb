"""The cells of a project: every combination of its lines' values, one wheel each unless an axis is shared."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from wheelmill.describe.model import Line, ProjectFile
from wheelmill.errors import WheelmillError
from wheelmill.matrix.decode import nearest

_LISTED = 30  # cells; more are no help in a message


class CellError(WheelmillError):
    """What was named is no cell of the project."""


@dataclass(frozen=True)
class Cell:
    """One value of each axis, on a line."""

    line: str
    values: Mapping[str, str]

    @property
    def key(self) -> str:
        """`main/2.13.0/3.11/x86_64`: the line, then the values in the order of the axes."""
        return "/".join((self.line, *self.values.values()))

    @property
    def name(self) -> str:
        """`3.11-x86_64`, as smoke runs name a target."""
        return f"{self.python}-{self.arch}"

    @property
    def python(self) -> str:
        """`3.11`"""
        return self.values["python"]

    @property
    def arch(self) -> str:
        """`x86_64`"""
        return self.values["arch"]

    def fill(self, text: str) -> str:
        """The text with `{axis}` replaced by values. An unknown name is left: lint tells of it."""
        for axis, value in self.values.items():
            text = text.replace(f"{{{axis}}}", value)
        return text.replace("{line}", self.line)

    def local_version(self, asked: str | None) -> str | None:
        """`torch2.13.0`, from the `local` of the project file: the local part of the version of its wheel."""
        return None if asked is None else self.fill(asked).replace("-", ".").lower()

    def without(self, axes: Iterable[str]) -> tuple[str, ...]:
        """The values of the other axes: what cells that share a build have in common."""
        return tuple(value for axis, value in self.values.items() if axis not in axes)


def count(line: Line) -> int:
    """How many combinations a line stands for, those that are left out included; nothing is expanded."""
    return math.prod(len(values) for values in line.cells.values())


def cells(project: ProjectFile) -> tuple[Cell, ...]:
    """Every cell, line by line, in the order of the values; the project has passed lint."""
    return tuple(cell for line in project.lines for cell in _cells(line, project.axes))


def select(
    project: ProjectFile, names: Iterable[str] = (), line: str | None = None, torch: str | None = None
) -> tuple[Cell, ...]:
    """The cells that are named: by key, by its end, or as PYTHON-ARCH; of a line, with a torch.

    Without names all of the line and torch. Raises CellError saying what there is.
    """
    known = tuple(
        cell
        for cell in cells(project)
        if line in (None, cell.line) and torch in (None, cell.values.get(_axis_of_torch(project)))
    )
    if not known:
        lines = ", ".join(one.name for one in project.lines)
        given = f"line {line!r}" if torch is None else f"torch {torch!r}"
        raise CellError(f"No cell has {given}.", hint=f"The lines are {lines}; `wheelmill project cells`.")
    found: dict[str, Cell] = {}
    for name in names:
        named = [cell for cell in known if name in (cell.name, cell.key) or cell.key.endswith(f"/{name}")]
        if not named:
            words = list(dict.fromkeys(word for cell in known for word in (cell.name, cell.key)))
            listed = nearest(name, words) if len(words) <= _LISTED else "`wheelmill project cells` lists them"
            raise CellError(f"{name!r} is no cell of this project.", hint=listed)
        found |= {cell.key: cell for cell in named}
    return tuple(found.values()) if found else known


def _axis_of_torch(project: ProjectFile) -> str:
    sdk = project.sdks.get("torch")
    return "torch" if sdk is None else sdk.axis or "torch"


def _cells(line: Line, axes: tuple[str, ...]) -> Iterator[Cell]:
    for values in itertools.product(*(line.cells[axis] for axis in axes)):
        cell = dict(zip(axes, values, strict=True))
        if not any(all(cell.get(axis) == value for axis, value in left.items()) for left in line.out):
            yield Cell(line.name, cell)
