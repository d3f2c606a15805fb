"""What the matrix says about the roots of an index: which lines ended, and which machines have a view."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from wheelmill.matrix import Line, Matrix
from wheelmill.matrix.addresses import chip_names
from wheelmill.matrix.model import Chip
from wheelmill.matrix.policy import phase_of_line
from wheelmill.matrix.versions import branch_name, cann_key, minor, release_key
from wheelmill.publish.index.layout import Layout, Status, View


def layout_of(matrix: Matrix, today: date) -> Layout:
    """The layout of this project's indexes on a day: lines at end of life are archived, a view per SDK
    and chip."""
    return Layout(
        statuses={line.branch: status for line in matrix.lines if (status := _status(matrix, line, today))},
        views=tuple(views(matrix)),
    )


def views(matrix: Matrix) -> list[View]:
    """One for each SDK that the matrix knows by any name and each chip, newest SDK first."""
    made = [line.cann for line in matrix.lines]
    known = {cann_key(cann): cann for cann in (*made, *(one.name for one in matrix.document.cann_names))}
    newest = [known[key] for key in sorted(known, reverse=True)]
    chips = [
        (chip_names(chip, matrix.document.chips), _unaware(chip, matrix.lines))
        for chip in matrix.document.chips
    ]
    made_for = {line.branch: line.cann for line in matrix.lines}
    return [
        View(cann, names, runnable(cann, matrix), unaware, made_for)
        for cann in newest
        for names, unaware in chips
    ]


def runnable(cann: str, matrix: Matrix) -> tuple[str, ...]:
    """The SDKs of lines whose wheels a machine with `cann` runs, the best first.

    Its own (or the one whose wheels are taken for it), then older ones of its family, the newest first.
    """
    key = cann_key(cann)
    own = next((one.of for one in matrix.document.cann_names if cann_key(one.name) == key), cann)
    families = [one.versions for one in matrix.document.cann_families if minor(cann) in one.versions]
    older = {
        line.cann
        for line in matrix.lines
        if any(minor(line.cann) in family for family in families) and cann_key(line.cann) < key
    }
    return tuple(dict.fromkeys((own, *sorted(older, key=cann_key, reverse=True))))


def _unaware(chip: Chip, lines: Iterable[Line]) -> frozenset[str]:
    """The lines whose adapter is older than what it takes to know the chip."""
    releases = {line.branch: branch_name(line.branch).release for line in lines}
    return frozenset(
        branch
        for branch, release in releases.items()
        if chip.since is not None and release is not None and release_key(release) < release_key(chip.since)
    )


def _status(matrix: Matrix, line: Line, today: date) -> Status | None:
    phase = phase_of_line(matrix, line, today)
    if phase is None or not phase.ended:
        return None
    since = f" on {phase.since}" if phase.since else ""
    return Status("archived", f"{line.branch} reached its end of life{since}: it gets no fixes")
