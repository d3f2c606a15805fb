"""An acceptance run for people: one table, and below it what failed and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelmill.prove.accept.lacking import report

if TYPE_CHECKING:
    from rich.table import Table

    from wheelmill.prove.accept.acceptance import Acceptance
    from wheelmill.prove.accept.groups import GroupResult, State

_STATES: dict[State, str] = {
    "passed": "passed",
    "failed": "failed",
    "known fault": "known fault of the wheel",
    "not offered": "not offered",
}
_FAILURES = 5  # of a group; all are in the JSON and in the log
_WIDTH = 200


def render(result: Acceptance, width: int | None = None) -> str:
    """The table and the failures as text; `width` in columns, the terminal's when None."""
    from rich.console import Console

    console = Console(width=width, highlight=False, no_color=True)
    with console.capture() as captured:
        console.print(_table(result))
    parts = [
        _made_of(result),
        captured.get().rstrip(),
        *(_failures(group) for group in result.groups if not group.ok),
    ]
    if result.lacks:
        parts.append(report(result.lacks, result.versions))
    parts += [f"note: {note}" for note in result.notes]
    parts.append(_summary(result))
    return "\n\n".join(part for part in parts if part)


def _made_of(result: Acceptance) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    chip = "" if result.soc is None else f" (--soc {result.soc})"
    return f"{versions}, {result.subject.arch}, device {result.found.get('device', 'none')}{chip}"


def _table(result: Acceptance) -> Table:
    from rich.table import Table

    table = Table()
    table.add_column("capability group", no_wrap=True)
    for title in (*_STATES.values(), "of", "on the CPU"):
        table.add_column(title, justify="right")
    for group in result.groups:
        counts = [*map(group.count, _STATES), len(group.checks)]
        on_cpu = sum(1 for check in group.checks if check.on_cpu)
        table.add_row(_title(group), *(str(count or "-") for count in (*counts, on_cpu)))
    table.add_section()
    totals = [sum(group.count(state) for group in result.groups) for state in _STATES]
    every = [check for group in result.groups for check in group.checks]
    table.add_row("all", *map(str, (*totals, len(every), sum(1 for check in every if check.on_cpu))))
    return table


def _title(group: GroupResult) -> str:
    return group.name.replace("_", " ")


def _failures(group: GroupResult) -> str:
    failed = [check for check in group.checks if check.state == "failed"]
    counts = f"{len(failed)} of {len(group.checks)} failed{_faults(group.count('known fault'))}"
    lines = [f"{_title(group)}: {counts}; all output: {group.log}"]
    for check in failed[:_FAILURES]:
        first, *rest = [line for line in check.message.splitlines() if line.strip()] or [""]
        lines += [f"  {check.name}: {first[:_WIDTH]}", *(f"      {line[:_WIDTH]}" for line in rest[:3])]
    if len(failed) > _FAILURES:
        lines.append(f"  and {len(failed) - _FAILURES} more")
    return "\n".join([*lines, *_known(group)])


def _known(group: GroupResult) -> list[str]:
    """A line for each reason, with the checks that showed it."""
    known: dict[str, list[str]] = {}
    for check in group.checks:
        if check.state == "known fault":
            known.setdefault(check.message.partition("\n")[0], []).append(check.name)
    return [f"  known fault of the wheel: {reason} ({', '.join(names)})" for reason, names in known.items()]


def _faults(count: int) -> str:
    return f", {count} known fault{'s' * (count > 1)} of the wheel" if count else ""


def _summary(result: Acceptance) -> str:
    counts = {state: sum(group.count(state) for group in result.groups) for state in _STATES}
    said = "passed" if result.ok else "FAILED"
    faults = _faults(counts["known fault"])
    kept = f"\nThe environment is kept: {result.environment}" if result.environment else ""
    return f"{said}: {counts['passed']} checks passed, {counts['failed']} failed{faults}{kept}"
