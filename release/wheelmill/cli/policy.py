"""`wheelmill policy`: the stage of every series on a day, what changes soon, which days break the policy."""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from wheelmill.cli import output_options, project
from wheelmill.cli.matrix import today
from wheelmill.console import Console
from wheelmill.errors import WheelmillError
from wheelmill.limits import write_named
from wheelmill.matrix import Matrix
from wheelmill.matrix.model import Waiver
from wheelmill.matrix.outlook import Change, Deviation, Status


class Period(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Days, weeks or months: `90d`, `12w`, `3m`."""

    name = "period"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, str]:
        """Number and unit; fails for any other text."""
        found = re.fullmatch(r"(\d{1,5})([dwm])", str(value).strip().lower(), re.ASCII)
        if found is None:
            self.fail(f"{value!r} is not a period; write one such as 90d, 12w or 3m", param, ctx)
        return int(found[1]), found[2]


@click.command()
@click.argument("names", nargs=-1, metavar="[SERIES|BRANCH]...")
@click.option(
    "--on",
    "day",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="The day to look at. [default: today]",
)
@click.option(
    "--next",
    "ahead",
    type=Period(),
    default="90d",
    show_default=True,
    metavar="PERIOD",
    help="How far to look ahead, in days, weeks or months.",
)
@click.option(
    "--ics",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Write every known change of stage as an iCalendar; `-` is stdout.",
)
@output_options
def policy(
    names: tuple[str, ...], day: datetime | None, ahead: tuple[int, str], ics: Path | None, console: Console
) -> int:
    """Show the stage of every series (or of those named) under the maintenance policy.

    Stages are computed for the day from announced dates and the policy. The table is followed by what changes
    soon, and by the announced days that break the published policy.
    """
    from wheelmill.matrix import outlook

    matrix = project().matrix()
    wanted = _wanted(matrix, names)
    if ics is not None:
        from wheelmill.matrix.ical import calendar

        _write(ics, calendar(one for one in outlook.changes(matrix) if one.series in wanted), console)
        return 0
    on = day.date() if day else today()
    until = _later(on, *ahead)
    found = [one for one in outlook.statuses(matrix, on) if one.series.name in wanted]
    soon = [one for one in outlook.upcoming(matrix, on, until) if one.series in wanted]
    broken = [one for one in outlook.deviations(matrix) if one.series in wanted]
    lines = {line.branch for one in found for line in one.lines}
    waivers = [one for one in matrix.document.waivers if one.line in lines]
    console.result(_to_json(on, until, found, soon, broken, waivers))
    _show_stages(console, on, found)
    _show_changes(console, on, until, soon)
    _show_exceptions(console, on, broken, waivers)
    return 0


def _wanted(matrix: Matrix, names: tuple[str, ...]) -> frozenset[str]:
    """The series that were named, or those of the branches that were named; all of them without names."""
    if not names:
        return frozenset(matrix.series)
    branches = {line.branch: line.series for line in matrix.lines}
    wanted = set()
    for name in names:
        series = name if name in matrix.series else branches.get(name)
        if series is None:
            what = (
                f"Line {name} has no series yet"
                if name in branches
                else f"There is no series or line {name!r}"
            )
            raise WheelmillError(f"{what} in {matrix.path.name}.", hint="Series: " + ", ".join(matrix.series))
        wanted.add(series)
    return frozenset(wanted)


def _later(day: date, number: int, unit: str) -> date:
    """The day so much later; the calendar's last day where it ends before."""
    from wheelmill.matrix.policy import add_months

    if unit == "m":
        return add_months(day, number)
    days = number * (7 if unit == "w" else 1)
    return date.fromordinal(min(day.toordinal() + days, date.max.toordinal()))


def _write(target: Path, content: bytes, console: Console) -> None:
    if str(target) == "-":
        console.text(content.decode())
        return
    try:
        write_named(target, content)
    except OSError as error:
        raise WheelmillError(f"{target} cannot be written: {error.strerror}") from None
    console.result({"schema": 1, "file": str(target)})
    console.note(f"{target} written")


def _show_stages(console: Console, on: date, found: list[Status]) -> None:
    rows = [
        (
            one.series.name,
            one.phase.stage,
            _day(one.phase.since),
            _day(one.phase.until),
            ", ".join(one.allows) or "no change",
            str(len(one.lines)),
            one.series.policy,
        )
        for one in found
    ]
    columns = ("series", "stage", "since", "until", "allows", "lines", "policy")
    console.say(f"Stages on {on}:")
    console.table(columns, rows, whole=("series", "stage", "since", "until"))
    for one in found:
        if one.phase.reason:
            console.say(f"{one.series.name}: {one.phase.stage} whatever the dates say: {one.phase.reason}")


def _show_changes(console: Console, on: date, until: date, soon: list[Change]) -> None:
    console.say(f"\nChanges after {on}, up to {until}:" if soon else f"\nNo change up to {until}.")
    if soon:
        days = [(str(c.day), c.series, c.stage, "announced" if c.announced else "derived") for c in soon]
        console.table(("day", "series", "stage", "day is"), days)


def _show_exceptions(console: Console, on: date, broken: list[Deviation], waivers: list[Waiver]) -> None:
    if waivers:
        console.say("\nWaivers:")
    for waiver in waivers:
        state = "in force" if waiver.in_force(on) else "not in force"
        days = f"{state}, {waiver.granted} to {waiver.until}"
        console.say(f"- {waiver.line} {waiver.version}: {waiver.rule}: {days}. {waiver.reason}")
    if broken:
        own = {one.series for one in broken if one.promised_in is None}
        console.say(f"\nAnnounced days that break a policy ({len(own)} series break their own):")
    for deviation in broken:
        console.say(f"- {deviation.message}" + (f". {deviation.reason}" if deviation.reason else ""))


def _to_json(
    on: date,
    until: date,
    found: list[Status],
    soon: list[Change],
    broken: list[Deviation],
    waivers: list[Waiver],
) -> dict[str, Any]:
    return {
        "schema": 1,
        "on": str(on),
        "until": str(until),
        "series": [
            {
                "series": one.series.name,
                "policy": one.series.policy,
                "stage": one.phase.stage,
                "zh": one.phase.zh,
                "since": _iso(one.phase.since),
                "until": _iso(one.phase.until),
                "reason": one.phase.reason,
                "released": _iso(one.series.released),
                "allows": list(one.allows),
                "lines": [line.branch for line in one.lines],
            }
            for one in found
        ],
        "changes": [
            {"day": str(c.day), "series": c.series, "stage": c.stage, "zh": c.zh, "announced": c.announced}
            for c in soon
        ],
        "deviations": [
            {
                "series": one.series,
                "stage": one.stage,
                "day": str(one.day),
                "policy": one.policy,
                "earliest": str(one.earliest),
                "latest": str(one.latest),
                "promised_in": one.promised_in,
                "reason": one.reason,
            }
            for one in broken
        ],
        "waivers": [
            {
                "rule": one.rule,
                "line": one.line,
                "version": one.version,
                "reason": one.reason,
                "granted": str(one.granted),
                "until": str(one.until),
                "in_force": one.in_force(on),
            }
            for one in waivers
        ],
    }


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _day(day: date | None) -> str:
    return str(day) if day else "-"
