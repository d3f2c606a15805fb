"""How plans and outcomes read: lines for a few cells, a table for many."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wheelmill.console import Console

if TYPE_CHECKING:
    from wheelmill.make.build import Failed
    from wheelmill.make.plan import Plan, Step
    from wheelmill.publish.packages import Planned
    from wheelmill.publish.pipeline import Done, DoneT, Report


def counts(made: Plan) -> str:
    """`6 wanted, 3 cached, 3 to build, 0 refused`"""
    return ", ".join(f"{count} {state}" for state, count in made.counts().items())


def whole_plan(made: Plan) -> str:
    """Every cell under the bundle it shares."""
    lines = []
    for group in made.groups:
        lines.append(f"{group.bundle.name}  native files {'cached' if group.cached else 'to build'}")
        lines += [f"  {step.cell.key}  {step.state}" for step in group.steps]
    return "\n".join([*lines, *refused(made), *doubt(made), counts(made)])


def plan_of_file(planned: Sequence[Planned]) -> str:
    """Every cell of a project file with its state, and how many there are of each."""
    lines = [f"{one.cell.key}  {one.state}{f': {one.reason}' if one.reason else ''}" for one in planned]
    counted = Counter(one.state for one in planned)
    return "\n".join([*lines, ", ".join(f"{count} {state}" for state, count in counted.items())])


def short_plan(made: Plan) -> str:
    """What a build is about to do: a line per bundle that has work, and every refusal with its reason."""
    lines = [counts(made)]
    for group in made.groups:
        todo = [step for step in group.steps if step.state == "to build"]
        if todo:
            verb = "assemble" if group.cached else "compile"
            lines.append(f"  {verb} {group.bundle.name} for {', '.join(_by_line(todo))}")
    return "\n".join([*lines, *(f"  {line}" for line in refused(made))])


def _by_line(steps: list[Step]) -> list[str]:
    """`v2.1.0-5.0.rc3 (3.8 3.9 3.10)`"""
    pythons = defaultdict(list)
    for step in steps:
        pythons[step.cell.line.branch].append(step.cell.python)
    return [f"{branch} ({' '.join(found)})" for branch, found in pythons.items()]


def refused(made: Plan) -> list[str]:
    """A line for each reason, with the cells that it refuses."""
    cells = defaultdict(list)
    for step in made.refused:
        cells[step.reason].append(step.cell.key)
    return [f"refused: {', '.join(keys)}: {reason}" for reason, keys in cells.items()]


def doubt(made: Plan) -> list[str]:
    """Why the keys of this plan may be others elsewhere: a line, or none."""
    return [] if made.doubt is None else [made.doubt]


def report(found: Report[DoneT], console: Console) -> None:
    """Outcomes one by one, or as a table where there are many; failures last, with their logs."""
    if len(found.outcomes) + len(found.failures) == 1:
        for outcome in found.outcomes:
            console.say(in_lines(outcome))
    else:
        _table(found, console)
    for text in failures(found.failures):
        console.note(text, always=True)


def in_lines(outcome: Done) -> str:
    """One cell in four lines."""
    known = "  (nothing to do: known by its content key)" if outcome.cached else ""
    return (
        f"{outcome.key}{known}\n  wheel  {outcome.wheel.path}\n"
        f"  audit  {outcome.wheel.summary}\n  smoke  {_smoke(outcome)}"
    )


def _smoke(outcome: Done) -> str:
    return f"not run: {outcome.not_run}" if outcome.ran is None else f"ran: {outcome.ran}"


def failures(failed: tuple[Failed, ...]) -> list[str]:
    """Each reason once, with all cells that it took."""
    cells: dict[str, list[str]] = defaultdict(list)
    for failure in failed:
        hint = f"\n{failure.error.hint}" if failure.error.hint else ""
        cells[f"{failure.phase}: {failure.error.message}{hint}"].append(failure.cell.key)
    return [f"failed: {', '.join(keys)}\n  " + text.replace("\n", "\n  ") for text, keys in cells.items()]


def _table(found: Report[DoneT], console: Console) -> None:
    rows = []
    for outcome in found.outcomes:
        done = "known" if outcome.cached else f"made in {sum(outcome.seconds.values()):.0f} s"
        ran = "ran" if outcome.ran is not None else f"not run: {outcome.not_run}"
        rows.append((outcome.key, done, outcome.wheel.summary, ran))
    rows += [(failure.cell.key, f"failed: {failure.phase}", "", "") for failure in found.failures]
    console.table(("cell", "now", "audit", "smoke run"), rows, whole=("cell",))
    good, bad = len(found.outcomes), len(found.failures)
    console.say(f"{good} good, {bad} failed" if bad else f"{good} good")
    for folder in dict.fromkeys(str(outcome.wheel.path.parent) for outcome in found.outcomes):
        console.say(f"wheels  {folder}")
