"""What the picker is asked and what it answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from wheelmill.errors import WheelmillError
from wheelmill.matrix.model import Cell
from wheelmill.matrix.policy import Phase

Axis = Literal["adapter", "branch", "python", "torch", "cann", "arch"]

# What it costs a user to change an axis: another wheel is cheap, another Python or torch means a new
# environment and perhaps changed code, another CANN or architecture means other drivers or another machine.
COSTS: Mapping[Axis, int] = {"adapter": 1, "branch": 1, "python": 4, "torch": 4, "cann": 20, "arch": 20}
AXES: tuple[Axis, ...] = tuple(COSTS)
LABELS: Mapping[Axis, str] = {
    "adapter": "torch_npu",
    "branch": "branch",
    "python": "Python",
    "torch": "torch",
    "cann": "CANN",
    "arch": "architecture",
}


class PickError(WheelmillError):
    """A value of the request cannot be read."""


@dataclass(frozen=True)
class Request:
    """What has to fit; an axis that is None is free. Values are in the matrix's spelling."""

    adapter: str | None = None
    branch: str | None = None
    python: str | None = None
    torch: str | None = None
    cann: str | None = None
    arch: str | None = None

    def asked(self) -> dict[Axis, str]:
        """The axes that are not free, cheapest first."""
        values = dataclasses.asdict(self)
        return {axis: values[axis] for axis in AXES if values[axis] is not None}

    def __str__(self) -> str:
        return ", ".join(f"{LABELS[axis]} {value}" for axis, value in self.asked().items()) or "anything"


@dataclass(frozen=True)
class Step:
    """One step of an installation: a title, the shell commands, and what to do should they fail."""

    title: str
    commands: tuple[str, ...]
    fallback: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pick:
    """The newest cell that fits, how to install it, and what to know before.

    `free` are the axes that were not asked for and so were chosen here.
    """

    request: Request
    cell: Cell
    steps: tuple[Step, ...]
    phase: Phase | None
    warnings: tuple[str, ...] = ()

    @property
    def free(self) -> tuple[Axis, ...]:
        """The axes that the request left open."""
        asked = self.request.asked()
        return tuple(axis for axis in AXES if axis not in asked)


BlockKind = Literal["never built", "dropped", "record only", "elsewhere"]


@dataclass(frozen=True)
class Blocker:
    """Why one axis of a conflict blocks: its value, the kind of reason and a sentence."""

    axis: Axis
    value: str
    kind: BlockKind
    reason: str


@dataclass(frozen=True)
class Conflict:
    """A smallest set of asked values that no installable wheel has together."""

    blockers: tuple[Blocker, ...]


@dataclass(frozen=True)
class Alternative:
    """A cell near the request: the axes to change and their new values, and what that costs."""

    cell: Cell
    changes: Mapping[Axis, str]
    cost: int


@dataclass(frozen=True)
class NoFit:
    """Nothing fits: every smallest conflict, rows that exist as records, and the nearest that does fit."""

    request: Request
    conflicts: tuple[Conflict, ...]
    alternatives: tuple[Alternative, ...]
