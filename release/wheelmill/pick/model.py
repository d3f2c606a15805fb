"""What the picker is asked and what it answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from wheelmill.catalogue.model import Wheel
from wheelmill.errors import WheelmillError
from wheelmill.frozen import dataclass
from wheelmill.matrix.model import Cell, Line, OtherVersion
from wheelmill.matrix.policy import Phase

Lang = Literal["en", "zh"]
LANGS: tuple[Lang, ...] = ("en", "zh")
Words = Mapping[Lang, str]  # one text in every language

Axis = Literal["adapter", "branch", "date", "stage", "python", "torch", "cann", "glibc", "arch", "chip"]

# What it costs a user to change an axis: another wheel is cheap, another Python or torch means a new
# environment and perhaps changed code, another CANN means other drivers, another C library another system,
# another architecture or chip another machine.
COSTS: Mapping[Axis, int] = {
    "adapter": 1, "branch": 1, "date": 2, "stage": 2, "python": 4, "torch": 4, "cann": 20, "glibc": 40,
    "arch": 80, "chip": 80,
}  # fmt: skip
AXES: tuple[Axis, ...] = tuple(COSTS)
LABELS: Mapping[Axis, str] = {
    "adapter": "torch_npu",
    "branch": "branch",
    "date": "date",
    "stage": "stage",
    "python": "Python",
    "torch": "torch",
    "cann": "CANN",
    "glibc": "glibc",
    "arch": "architecture",
    "chip": "chip",
}


class SaidError(WheelmillError):
    """An error in both languages; in English, until `turn` is told that its reader reads another."""

    def __init__(self, said: Words, *, hint: Words | None = None) -> None:
        super().__init__(said["en"], hint=None if hint is None else hint["en"])
        self.said, self._hint = said, hint

    def turn(self, lang: Lang) -> None:
        """Put message and hint into a language."""
        self.message, self.hint = self.said[lang], None if self._hint is None else self._hint[lang]
        self.args = (self.message,)


class PickError(SaidError):
    """A value of the request cannot be read."""


@dataclass(frozen=True)
class Request:
    """What has to fit; an axis that is None is free. Values are in the matrix's spelling.

    `glibc` is what the machine has. `date`: only what was published by that day. `stage` is "supported": only
    lines that still get fixes. `system` says where `glibc` comes from. `written` has what was asked for as it
    was written, where that names a build (`2.1.0+cpu`) and the axis has its release.
    """

    adapter: str | None = None
    branch: str | None = None
    python: str | None = None
    torch: str | None = None
    cann: str | None = None
    arch: str | None = None
    glibc: str | None = None
    chip: str | None = None
    date: str | None = None
    stage: str | None = None
    system: str | None = field(default=None, compare=False)
    written: Mapping[Axis, str] = field(default_factory=dict, compare=False)

    def asked(self) -> dict[Axis, str]:
        """The axes that are not free, cheapest first."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {axis: values[axis] for axis in AXES if values[axis] is not None}

    def __str__(self) -> str:
        return ", ".join(f"{LABELS[axis]} {value}" for axis, value in self.asked().items()) or "anything"


How = Literal["index", "download", "build", "record", "yanked"]


@dataclass(frozen=True, eq=False)
class Offer:
    """One wheel that can be had, or (`record`, `yanked`) one that cannot, with the reason.

    `wheel` is the catalogue's. `line` is the row that it belongs to; `other` places it where it is not the
    line's own version. `cann` is None where no document says what the wheel goes with; `source` names the
    document. `glibc` is the oldest that its tag admits, as `2.28`. `phase` is the stage of `series` on the
    shelf's day. `release` is that of its branch, or of the
    branches that were released when it was uploaded. A wheel that is proven with several torches is an offer
    for each; `built_for` is the torch that it was compiled for, where that is not `torch`.
    """

    adapter: str
    torch: str
    cann: str | None
    python: str
    arch: str
    how: How
    line: Line | None = None
    wheel: Wheel | None = None
    other: OtherVersion | None = None
    source: str | None = None
    glibc: str | None = None
    series: str | None = None
    phase: Phase | None = None
    reason: Words | None = None
    release: str = ""
    released: str | None = None
    built_for: str | None = None

    @property
    def branch(self) -> str | None:
        """The branch of its row."""
        return self.line.branch if self.line is not None else None

    @property
    def day(self) -> str | None:
        """The day of its upload, else of its line's release, as `2026-10-15`."""
        if self.wheel is not None:
            return self.wheel.day
        return self.released

    @property
    def own(self) -> bool:
        """Whether it is the version that its line names."""
        return self.line is not None and self.other is None

    @property
    def released_here(self) -> bool:
        """Whether it is of this project's own releases, and not on the public index."""
        return self.wheel is not None and self.wheel.source not in ("", "index")

    @property
    def cell(self) -> Cell | None:
        """The matrix's cell; None for a version that no row has."""
        return Cell(self.line, self.python, self.arch) if self.line is not None and self.own else None

    @property
    def key(self) -> str:
        """`v2.1.0-5.0.rc3/3.8/aarch64`, or `2.9.1/3.11/aarch64` for a version that no row has."""
        return f"{self.branch if self.own else self.adapter}/{self.python}/{self.arch}"


@dataclass(frozen=True)
class Step:
    """One step of an installation: a title, the shell commands, and what to do should they fail."""

    title: Words
    commands: tuple[str, ...]
    fallback: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pick:
    """The best offer that fits, how to install it, and what to know before.

    `others` fit as well, the next best first, one per adapter version. `met` and `unmet` are the preferences
    (of this machine) that the offer meets and does not meet. `notes` say how a value was read. `issues` are
    those that the release notes know of the version. `view` is the folder, below an index with views, that
    shows what fits; `index` is that index's address, where one is configured. `pins` are the lines of a
    requirements file with the hashes that are known.
    """

    request: Request
    offer: Offer
    steps: tuple[Step, ...]
    warnings: tuple[Words, ...] = ()
    notes: tuple[Words, ...] = ()
    others: tuple[Offer, ...] = ()
    met: Mapping[Axis, str] = field(default_factory=dict)
    unmet: Mapping[Axis, str] = field(default_factory=dict)
    issues: tuple[Words, ...] = ()
    view: str | None = None
    index: str | None = None
    pins: tuple[str, ...] = ()

    @property
    def cell(self) -> Cell | None:
        """The matrix's cell; None for a version that no row has."""
        return self.offer.cell

    @property
    def phase(self) -> Phase | None:
        """The stage of its line on the day."""
        return self.offer.phase

    @property
    def free(self) -> tuple[Axis, ...]:
        """The axes that the request left open."""
        asked = self.request.asked()
        return tuple(axis for axis in AXES if axis not in asked)


BlockKind = Literal[
    "never built", "not published", "planned", "dropped", "record only", "yanked", "CANN unknown",
    "end of life", "policy", "not yet", "unknown chip", "elsewhere", "no document",
]  # fmt: skip


@dataclass(frozen=True)
class Blocker:
    """Why one axis of a conflict blocks: its value, the kind of reason and a sentence."""

    axis: Axis
    value: str
    kind: BlockKind
    reason: Words


@dataclass(frozen=True)
class Conflict:
    """A smallest set of asked values that no wheel has together: drop any of them, and it is one no more."""

    blockers: tuple[Blocker, ...]


@dataclass(frozen=True)
class Alternative:
    """An offer near the request: the axes to change and their new values, and what that costs."""

    offer: Offer
    changes: Mapping[Axis, str]
    cost: int


@dataclass(frozen=True)
class NoFit:
    """Nothing fits: every conflict, the nearest wheels that do fit, and how values were read.

    Without the axes of the conflicts, the request has an answer.
    """

    request: Request
    conflicts: tuple[Conflict, ...]
    alternatives: tuple[Alternative, ...]
    notes: tuple[Words, ...] = ()
