"""In which stage a branch is on a given day, and what that stage allows.

Days are announced, or follow from the policy. Everything here is pure; the day is an argument.
"""

from __future__ import annotations

import calendar
from datetime import date

from wheelmill.frozen import dataclass
from wheelmill.matrix.model import Act, Line, Matrix, Policy, Series, Stage, Waiver
from wheelmill.matrix.versions import base_version, is_canonical, version

STAGE_RULE = "stage-allows-release"
VERSION_RULE = "version-of-line"
# What a line may do that no series covers yet: it is at work towards its first release.
UNDATED: tuple[Act, ...] = ("feature", "fix", "prerelease")


@dataclass(frozen=True)
class Phase:
    """The stage of a branch on a day.

    It lasts from `since` to the day before `until`; None where no day is known or the stage has no end.
    `reason` tells why the stage is not what the dates say (an override), else None; `why` in Chinese.
    """

    stage: Stage
    zh: str
    since: date | None
    until: date | None
    reason: str | None = None
    why: str | None = None

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


def bounds(policy: Policy, stage: Stage, released: date) -> tuple[date, date] | None:
    """The first and last day on which a stage may begin; None up to the stage that the release opens."""
    names = [one.stage for one in policy.stages]
    home, there = names.index(policy.released_in), names.index(stage)
    if there <= home:
        return None
    between = policy.stages[home:there]
    least = sum(min(one.months, default=0) for one in between)
    most = sum(max(one.months, default=0) for one in between)
    return add_months(released, least), add_months(released, most)


def phase_of_series(series: Series, policy: Policy, today: date) -> Phase:
    """The stage of a branch-status row on `today`; before all its days, and without any, its first stage."""
    words = {one.stage: one.zh for one in policy.stages}
    if series.override is not None:
        stage = series.override.stage
        return Phase(stage, words[stage], None, None, series.override.reason, series.override.zh)
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


def allowed_acts(matrix: Matrix, line: Line, day: date) -> tuple[Act, ...]:
    """What the stage of a line lets happen on `day`; pre-releases, features and fixes without a series."""
    phase = phase_of_line(matrix, line, day)
    if phase is None or line.series is None:
        return UNDATED
    policy = matrix.policies[matrix.series[line.series].policy]
    return next(one.allows for one in policy.stages if one.stage == phase.stage)


# ------------------------------------------------------------------------------------------- the release gate
@dataclass(frozen=True)
class Allowed:
    """The policy lets the version out. `waiver` is what set the rule aside, None where none was needed."""

    phase: Phase | None
    waiver: Waiver | None = None


@dataclass(frozen=True)
class Refusal:
    """The policy forbids the version: which rule, why, and what would change that."""

    rule: str
    reason: str
    hint: str
    phase: Phase | None


def may_release(matrix: Matrix, line: Line, adapter: str, day: date) -> Allowed | Refusal:
    """Whether adapter version `adapter` may be released on `line` on `day`; never raises for odd versions."""
    phase = phase_of_line(matrix, line, day)
    wrong = _not_of_line(matrix, line, adapter)
    if wrong:
        return Refusal(VERSION_RULE, *wrong, phase)
    act: Act = "prerelease" if version(adapter).is_prerelease else "release"
    acts = allowed_acts(matrix, line, day)
    if act in acts:
        return Allowed(phase)
    waivers = [one for one in matrix.document.waivers if (one.line, one.version) == (line.branch, adapter)]
    for waiver in waivers:
        if waiver.rule == STAGE_RULE and waiver.in_force(day):
            return Allowed(phase, waiver)
    return Refusal(STAGE_RULE, *_forbidden(line, adapter, phase, acts, waivers), phase)


def _not_of_line(matrix: Matrix, line: Line, adapter: str) -> tuple[str, str] | None:
    """Why a version cannot be one of this line, and what to do."""
    torch = line.torch.version
    if not is_canonical(adapter):
        example = f"write it as pip does, such as {line.adapter}"
        return f"{adapter!r} is not a PEP 440 version in canonical form", example
    if base_version(adapter) != torch or version(adapter).epoch or version(adapter).local:
        return f"{adapter} is not a version for torch {torch}", f"take {torch} with rcN, postN or devN"
    other = next((one for one in matrix.lines if one.adapter == adapter and one.branch != line.branch), None)
    if other is not None:
        return f"{adapter} is the version of line {other.branch}", "take a version that no line has"
    return None


def _forbidden(
    line: Line, adapter: str, phase: Phase | None, acts: tuple[Act, ...], waivers: list[Waiver]
) -> tuple[str, str]:
    """Why the stage refuses the version, and what to do."""
    if phase is None:
        where = "no series has its release dates yet"
    else:
        where = f"it is {phase.stage} ({phase.zh})" + (f" since {phase.since}" if phase.since else "")
    may = {
        (): "no change at all",
        ("fix",): "fixes and no release",
    }.get(acts, "pre-releases only" if "release" not in acts else ", ".join(acts))
    reason = f"line {line.branch} takes {may}: {where}"
    expired = [f"the one granted {one.granted} ends on {one.until}" for one in waivers]
    aside = f"; {', '.join(expired)}" if expired else ""
    instead = f"release {line.torch.version}rcN instead, or " if "prerelease" in acts else ""
    return reason, (
        f"{instead}add a waiver of {STAGE_RULE} for version {adapter} under `waivers:` of the matrix, "
        f"with a reason{aside}"
    )
