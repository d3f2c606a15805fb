"""In which stage a branch is on a given day: from announced days, else from the policy's rules.

Everything here is pure; the day is an argument.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date

from wheelmill.matrix.model import Line, Matrix, Policy, Series, Stage


@dataclass(frozen=True)
class Phase:
    """The stage of a branch on a day.

    It lasts from `since` to the day before `until`; None where no day is known or the stage has no end.
    `reason` tells why the stage is not what the dates say (an override), else None.
    """

    stage: Stage
    zh: str
    since: date | None
    until: date | None
    reason: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the branch takes no change any more."""
        return self.stage == "eol"


def add_months(day: date, months: int) -> date:
    """The same day `months` later (or earlier); the month's last day where it is shorter.

    Where the calendar ends, its first or last day.
    """
    years, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not date.min.year <= years <= date.max.year:
        return date.min if months < 0 else date.max
    return date(years, month + 1, min(day.day, calendar.monthrange(years, month + 1)[1]))


def begins(series: Series, policy: Policy) -> dict[Stage, date]:
    """The first day of every stage, in the policy's order; empty for a branch without a release day.

    Announced days stand. The others follow: forwards from the release by the longest length of each stage,
    backwards before it. A derived day never passes a later announced one.
    """
    if series.released is None:
        return {}
    stages = policy.stages
    home = next(at for at, one in enumerate(stages) if one.stage == policy.released_in)
    days: list[date] = [series.released] * len(stages)
    for at in range(home + 1, len(stages)):
        derived = add_months(days[at - 1], max(stages[at - 1].months, default=0))
        days[at] = series.begins.get(stages[at].stage, derived)
    for at in range(home - 1, -1, -1):
        derived = add_months(days[at + 1], -max(stages[at].months, default=0))
        days[at] = series.begins.get(stages[at].stage, derived)
    for at in range(len(stages) - 2, home, -1):
        if stages[at].stage not in series.begins:
            days[at] = min(days[at], days[at + 1])
    return {one.stage: day for one, day in zip(stages, days, strict=True)}


def phase_of_series(series: Series, policy: Policy, today: date) -> Phase:
    """The stage of a branch-status row on `today`; before all its days, and without any, its first stage."""
    words = {one.stage: one.zh for one in policy.stages}
    if series.override is not None:
        stage = series.override.stage
        return Phase(stage, words[stage], None, None, series.override.reason)
    days = list(begins(series, policy).items())
    current = 0
    for at, (_, day) in enumerate(days):
        if day <= today:
            current = at
    if not days:
        first = policy.stages[0]
        return Phase(first.stage, first.zh, None, None)
    stage, since = days[current]
    until = days[current + 1][1] if current + 1 < len(days) else None
    return Phase(stage, words[stage], since, until)


def phase_of_line(matrix: Matrix, line: Line, today: date) -> Phase | None:
    """The stage of a line's series on `today`; None for a line that no branch-status table has."""
    if line.series is None:
        return None
    series = matrix.series[line.series]
    return phase_of_series(series, matrix.policies[series.policy], today)
