"""What the maintenance policy brings: the stage of every series, what changes soon, which days break it.

Everything here is pure; the day is an argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from wheelmill.matrix.model import Act, Line, Matrix, Policy, Series, Stage
from wheelmill.matrix.policy import Phase, begins, bounds, phase_of_series


@dataclass(frozen=True)
class Status:
    """A series on a day: its stage, what that allows, and its lines in the order of the matrix."""

    series: Series
    phase: Phase
    allows: tuple[Act, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Change:
    """A series enters a stage on a day. `announced` tells whether a document named the day."""

    series: str
    policy: str
    stage: Stage
    zh: str
    day: date
    announced: bool
    published: date
    """The day of the document that the row comes from, else the release day of the series."""


@dataclass(frozen=True)
class Deviation:
    """An announced day outside the bounds of a policy; `promised_in` names the document of an earlier one."""

    series: str
    policy: str
    stage: Stage
    day: date
    earliest: date
    latest: date
    reason: str | None
    promised_in: str | None = None

    @property
    def message(self) -> str:
        """One line: what was announced, and what the policy allows."""
        allowed = f"on {self.earliest}"
        if self.earliest != self.latest:
            allowed = f"from {self.earliest} to {self.latest}"
        whose = f"the policy {self.policy}"
        if self.promised_in is not None:
            whose = f"{whose} that {self.promised_in} promised"
        return f"{self.series}: {self.stage} begins on {self.day}, {whose} allows it {allowed}"


def statuses(matrix: Matrix, day: date) -> tuple[Status, ...]:
    """Every series on `day`, in the order of the matrix."""
    found = []
    for series in matrix.document.series:
        policy = matrix.policies[series.policy]
        phase = phase_of_series(series, policy, day)
        allows = next(one.allows for one in policy.stages if one.stage == phase.stage)
        lines = tuple(line for line in matrix.lines if line.series == series.name)
        found.append(Status(series, phase, allows, lines))
    return tuple(found)


def changes(matrix: Matrix) -> tuple[Change, ...]:
    """Every known day on which a series enters a stage, by day; a stage without a day of its own is left out.

    A series whose stage is overridden has none: its dates do not hold.
    """
    found = [
        change
        for series in matrix.document.series
        if series.override is None
        for change in _changes(matrix, series)
    ]
    return tuple(sorted(found, key=lambda one: (one.day, one.series)))


def upcoming(matrix: Matrix, first: date, last: date) -> tuple[Change, ...]:
    """The changes after `first`, up to and including `last`."""
    return tuple(one for one in changes(matrix) if first < one.day <= last)


def deviations(matrix: Matrix, *, promises: bool = True) -> tuple[Deviation, ...]:
    """Announced days that break a policy: that of the series, and with `promises` an earlier document's."""
    found: list[Deviation] = []
    for series in matrix.document.series:
        found.extend(_outside(series, matrix.policies[series.policy], None))
        if promises and series.promised is not None:
            policy = matrix.policies[series.promised.policy]
            found.extend(_outside(series, policy, series.promised.source))
    return tuple(found)


def _changes(matrix: Matrix, series: Series) -> Iterator[Change]:
    policy = matrix.policies[series.policy]
    words = {one.stage: one.zh for one in policy.stages}
    dated = {one.name: one.dated for one in matrix.document.sources}.get(policy.source)
    days = list(begins(series, policy).items())
    for at, (stage, day) in enumerate(days):
        if at + 1 < len(days) and days[at + 1][1] <= day:
            continue  # it would end on the day on which it begins
        announced = stage in series.begins or stage == policy.released_in
        assert series.released is not None, "without a release day there are no days"
        yield Change(series.name, policy.name, stage, words[stage], day, announced, dated or series.released)


def _outside(series: Series, policy: Policy, promised_in: str | None) -> Iterator[Deviation]:
    names: Sequence[Stage] = [one.stage for one in policy.stages]
    for stage, day in series.begins.items():
        allowed = bounds(policy, stage, series.released) if series.released and stage in names else None
        if allowed and not allowed[0] <= day <= allowed[1]:
            yield Deviation(series.name, policy.name, stage, day, *allowed, series.reason, promised_in)
