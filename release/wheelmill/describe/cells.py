"""The cells of a project: every combination of its lines' values, one wheel each unless an axis is shared."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from wheelmill.describe.model import Line, ProjectFile


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

    def without(self, axes: Iterable[str]) -> tuple[str, ...]:
        """The values of the other axes: what cells that share a build have in common."""
        return tuple(value for axis, value in self.values.items() if axis not in axes)


def count(line: Line) -> int:
    """How many combinations a line stands for, those that are left out included; nothing is expanded."""
    return math.prod(len(values) for values in line.cells.values())


def cells(project: ProjectFile) -> tuple[Cell, ...]:
    """Every cell, line by line, in the order of the values; the project has passed lint."""
    return tuple(cell for line in project.lines for cell in _cells(line, project.axes))


def _cells(line: Line, axes: tuple[str, ...]) -> Iterator[Cell]:
    for values in itertools.product(*(line.cells[axis] for axis in axes)):
        cell = dict(zip(axes, values, strict=True))
        if not any(all(cell.get(axis) == value for axis, value in left.items()) for left in line.out):
            yield Cell(line.name, cell)
