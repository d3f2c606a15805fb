"""What is too long for every change: runs each part, goes on after a failure, and reports all of them.

    python ci/weekly.py [--list] [--due DAYS] [--record] [PART...]      # or: nox -s weekly -- [PART...]

The parts are in ci/weekly.yaml, their logs in .wheelmill/weekly/. Exit code 1 when a part failed. `--record`
keeps in ci/weekly_runs.json at which commit each part was run and what it said; the table in CONTRIBUTING is
written from there (`--page`).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "release"))

import yaml  # noqa: E402
from wheelmill.console import Console  # noqa: E402
from wheelmill.matrix import Line, load  # noqa: E402

PYTHON = sys.executable
PROGRAMS = {
    "python": (PYTHON,),
    "pytest": (PYTHON, "-m", "pytest", "-q"),
    "wheelmill": (PYTHON, "-m", "wheelmill"),
}
PARTS = ROOT / "ci" / "weekly.yaml"
RECORD = ROOT / "ci" / "weekly_runs.json"
PAGE = ROOT / "CONTRIBUTING.md"
_MARKS = ("<!-- weekly -->\n", "<!-- /weekly -->")
_COLORS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Part:
    """One command. `what` it shows and when it is `due` are for the page; `family` is its row there."""

    name: str
    family: str
    what: str
    due: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """The last run of a part: the day (UTC), the commit, and the last line of its log."""

    day: str
    commit: str
    minutes: int
    passed: bool
    said: str


def parts() -> Iterator[Part]:
    """All of them; which lines and torches there are comes from the matrix."""
    for row in yaml.safe_load(PARTS.read_text(encoding="utf-8")):
        for words in _torches() if row.get("each") == "torch" else [{}]:
            yield Part(
                row["name"].format(**words),
                re.sub(r"\{(\w+)\}", lambda word: word[1].upper(), row["name"]),
                row["what"],
                row["due"],
                _command(row["command"].format(**words)),
                row.get("environment", {}),
            )


def _torches() -> list[dict[str, str]]:
    """Each torch of the matrix with its newest line."""
    newest: dict[str, Line] = {}
    for cell in load(ROOT / "matrix" / "compat.yaml").cells():
        newest.setdefault(cell.line.torch.version, cell.line)
    return [
        {"torch": torch, "branch": line.branch, "python": line.pythons[-1]} for torch, line in newest.items()
    ]


def _command(text: str) -> tuple[str, ...]:
    first, *rest = shlex.split(text)
    return (*PROGRAMS[first], *rest)


def run(part: Part, logs: Path) -> tuple[int, float]:
    """Exit code and seconds."""
    started = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "release"), **part.environment}
    with (logs / f"{part.name}.log").open("wb") as log:
        done = subprocess.run(
            part.command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False
        )
    return done.returncode, time.monotonic() - started


def last_line(log: Path) -> str:
    """What a program said last, such as pytest's counts, as a cell of a table: no colors, no folders."""
    text = _COLORS.sub("", log.read_text("utf-8", "replace").replace(f"{ROOT}/", "").replace("|", "/"))
    lines = [line.strip(" =") for line in text.splitlines()]
    return textwrap.shorten(next((line for line in reversed(lines) if line), "nothing"), 120)


def recorded() -> dict[str, Run]:
    """The last run of each part that was recorded."""
    if not RECORD.is_file():
        return {}
    return {name: Run(**data) for name, data in json.loads(RECORD.read_text(encoding="utf-8")).items()}


def record(runs: Mapping[str, Run]) -> None:
    """Keep these beside what is recorded of other parts, and renew the page."""
    kept = {**recorded(), **runs}
    known = [part.name for part in parts()]
    document = {name: asdict(kept[name]) for name in known if name in kept}
    RECORD.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def page(text: str) -> str:
    """CONTRIBUTING with the table of all parts, from this file and its record."""
    before, _, rest = text.partition(_MARKS[0])
    return before + _MARKS[0] + table(parts(), recorded()) + _MARKS[1] + rest.partition(_MARKS[1])[2]


def table(known: Iterable[Part], runs: Mapping[str, Run]) -> str:
    """One row for each family of parts."""
    families: dict[str, list[Part]] = {}
    for part in known:
        families.setdefault(part.family, []).append(part)
    rows = ["| part | what | run it at the latest | last run |", "| --- | --- | --- | --- |"]
    for name, members in families.items():
        done = [runs[part.name] for part in members if part.name in runs]
        rows.append(f"| `{name}` | {members[0].what} | {members[0].due} | {_told(done, len(members))} |")
    return "\n".join(rows) + "\n"


def _told(done: list[Run], of: int) -> str:
    """Such as `2026-11-29, 1a2b3c4, 21 min: 124 passed`; of several parts, the oldest day and the counts."""
    if not done:
        return "not recorded"
    oldest = min(done, key=lambda run: run.day)
    if of == 1:
        failure = "" if oldest.passed else ", failed"
        return f"{oldest.day}, {oldest.commit}, {oldest.minutes} min{failure}: {oldest.said}"
    failed = sum(not run.passed for run in done)
    return f"since {oldest.day}: {len(done)} of {of}, {failed} failed"


def due(known: Iterable[Part], days: int, today: date) -> list[str]:
    """The parts that have not passed within so many days."""
    runs, since = recorded(), (today - timedelta(days=days)).isoformat()
    passed = {name for name, run in runs.items() if run.passed and run.day > since}
    return [part.name for part in known if part.name not in passed]


def commit() -> str:
    """The commit of this checkout; empty where files differ from it, so that no run is put down to it."""
    git = ("git", "-C", str(ROOT))
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", ".", f":!{RECORD.relative_to(ROOT)}", f":!{PAGE.name}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    if changed:
        return ""
    asked = [*git, "rev-parse", "--short=10", "HEAD"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def parse(words: list[str], known: Iterable[str]) -> argparse.Namespace:
    """The command line; an unknown part ends the program with exit code 2 and the list."""
    parser = argparse.ArgumentParser(prog="nox -s weekly --", description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help="only these; all parts if none is named")
    parser.add_argument("--list", action="store_true", help="list the parts with their last recorded run")
    parser.add_argument(
        "--due", type=int, metavar="DAYS", help="only parts that have not passed within DAYS days"
    )
    parser.add_argument(
        "--record", action="store_true", help="keep each result in ci/weekly_runs.json and in CONTRIBUTING"
    )
    parser.add_argument("--page", action="store_true", help="write the table in CONTRIBUTING anew, no more")
    options = parser.parse_args(words)
    unknown = [part for part in options.parts if part not in known]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}. Known: {', '.join(known)}")
    return options


def main(words: list[str]) -> int:
    """Run the parts that are named or due, or all."""
    console, known = Console(), {part.name: part for part in parts()}
    options = parse(words, known)
    if options.page:
        record({})
        return 0
    if options.list:
        runs = recorded()
        told = [
            (name, part.what, _told([runs[name]] if name in runs else [], 1)) for name, part in known.items()
        ]
        console.table(("part", "shows", "last run"), told, whole=("part",))
        return 0
    at = commit()
    if options.record and not at:
        console.note(
            "Files differ from the last commit, so no run can be recorded: commit them first.", always=True
        )
        return 2
    names = options.parts or list(known)
    if options.due is not None:
        names = [name for name in due(known.values(), options.due, _today()) if name in names]
    return _run_all([known[name] for name in names], console, at if options.record else "")


def _today() -> date:
    return datetime.now(timezone.utc).date()


def _run_all(chosen: list[Part], console: Console, at: str) -> int:
    """Run one after the other and report; recorded where `at`, the commit, is given."""
    logs = ROOT / ".wheelmill" / "weekly"
    logs.mkdir(parents=True, exist_ok=True)
    rows, failed = [], 0
    for part in chosen:
        code, seconds = run(part, logs)
        failed += code != 0
        said = last_line(logs / f"{part.name}.log")
        if at:
            record({part.name: Run(_today().isoformat(), at, round(seconds / 60), code == 0, said)})
        rows.append((part.name, "passed" if code == 0 else f"failed ({code})", f"{seconds:.0f} s", said))
        console.note("  ".join(rows[-1]))
    console.table(("part", "result", "time", "said"), rows, whole=("part", "result", "time"))
    console.say(f"{len(rows) - failed} passed, {failed} failed; logs in {logs}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
