"""Why nothing fits: the smallest conflicts, a reason per axis, and what is nearest."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from wheelmill.matrix.model import Cell
from wheelmill.pick.cells import KEYS, distances, fits, same, value, values
from wheelmill.pick.model import COSTS, LABELS, Alternative, Axis, Blocker, BlockKind, Conflict

ALTERNATIVES = 5


def conflicts(
    offered: Sequence[Cell], records: Sequence[Cell], asked: Mapping[Axis, str]
) -> tuple[Conflict, ...]:
    """Every smallest set of asked axes that no offered cell satisfies together (of at most 2^6)."""
    for size in range(1, len(asked) + 1):
        sets = [{axis: asked[axis] for axis in axes} for axes in itertools.combinations(asked, size)]
        found = [one for one in sets if not any(fits(cell, one) for cell in offered)]
        if found:
            return tuple(Conflict(_blockers(offered, records, one)) for one in found)
    return ()


def alternatives(offered: Sequence[Cell], asked: Mapping[Axis, str]) -> tuple[Alternative, ...]:
    """The nearest cells: fewest changed axes, then cheapest, nearest, best; one per row and kind of change.

    `offered` stands in order of preference.

    The adapter version and the branch follow from the rest, so they count as changed only where asked for.
    """
    far = {axis: distances(axis, wanted, values(offered, axis)) for axis, wanted in asked.items()}
    ranked: list[tuple[Any, Alternative]] = []
    for cell in offered:
        changes = {axis: value(cell, axis) for axis in asked if far[axis][value(cell, axis)]}
        cost = sum(COSTS[axis] for axis in changes)
        steps = sum(far[axis][new] for axis, new in changes.items())
        ranked.append(((len(changes), cost, steps), Alternative(cell, changes, cost)))
    ranked.sort(key=lambda one: one[0])  # stable: equals stay in the order of preference
    nearest: dict[Any, Alternative] = {}
    for _, alternative in ranked:
        nearest.setdefault((alternative.cell.line.branch, tuple(alternative.changes)), alternative)
    return tuple(nearest.values())[:ALTERNATIVES]


def _blockers(
    offered: Sequence[Cell], records: Sequence[Cell], conflict: Mapping[Axis, str]
) -> tuple[Blocker, ...]:
    record = next((cell for cell in records if fits(cell, conflict)), None)
    if record is not None:
        reason = f"row {record.line.branch} (torch_npu {record.line.adapter}): {record.line.reason}"
        return tuple(Blocker(axis, wanted, "record only", reason) for axis, wanted in conflict.items())
    return tuple(_blocker(offered, conflict, axis) for axis in conflict)


def _blocker(offered: Sequence[Cell], conflict: Mapping[Axis, str], axis: Axis) -> Blocker:
    """Why this axis fails given the other axes of the conflict."""
    wanted = conflict[axis]
    others = {one: other for one, other in conflict.items() if one != axis}
    possible = [cell for cell in offered if fits(cell, others)]
    having = [cell for cell in offered if same(axis, value(cell, axis), wanted)]
    given = " and ".join(f"{LABELS[one]} {other}" for one, other in others.items())
    exist = f"{LABELS[axis]} {_listed(values(possible, axis))}"
    if not having:
        reason = f"no row has {LABELS[axis]} {wanted}; {_misprint(offered, axis, wanted)}there is {exist}"
        return Blocker(axis, wanted, "never built", reason)
    kind, more = _history(axis, wanted, possible, having)
    return Blocker(axis, wanted, kind, f"with {given} there is {exist}{more}")


def _misprint(offered: Sequence[Cell], axis: Axis, wanted: str) -> str:
    """Where a document did print the value, though it does not hold."""
    for cell in offered:
        if cell.line.published is not None and getattr(cell.line.published, axis, None) == wanted:
            held = f"{LABELS[axis]} {value(cell, axis)}"
            return (
                f"it was published for {cell.line.branch}, which has {held}: {cell.line.published.reason} So "
            )
    return ""


def _history(
    axis: Axis, wanted: str, possible: Sequence[Cell], having: Sequence[Cell]
) -> tuple[BlockKind, str]:
    """Whether a Python came after the rows in question, or ended before them; other axes have no history."""
    if axis != "python":
        return "elsewhere", ""
    torch = KEYS["torch"]
    first = min(having, key=lambda cell: (torch(cell.line.torch.version), torch(cell.line.adapter))).line
    last = max(having, key=lambda cell: (torch(cell.line.torch.version), torch(cell.line.adapter))).line
    oldest = min(torch(cell.line.adapter) for cell in possible)
    newest = max(torch(cell.line.adapter) for cell in possible)
    if torch(last.adapter) < oldest:
        return (
            "dropped",
            f"; Python {wanted} ended with torch_npu {last.adapter} (torch {last.torch.version})",
        )
    if torch(first.adapter) > newest:
        return (
            "never built",
            f"; Python {wanted} began with torch_npu {first.adapter} (torch {first.torch.version})",
        )
    return "never built", f"; other rows of torch_npu have Python {wanted}"


def _listed(names: Sequence[str]) -> str:
    """All names, or the ends of a long list."""
    if len(names) <= 8:
        return ", ".join(names)
    return f"{', '.join(names[:2])}, ... {', '.join(names[-4:])} ({len(names)} in all)"
