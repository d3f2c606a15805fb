"""Runs the capability programs in an environment under test, each in a process of its own.

A program writes a line when a check begins and when it ends (see capabilities/checks.py). Where the process
ends in between, the check that had begun is what took it down; the program is started again behind it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from wheelmill.errors import StoppedError
from wheelmill.limits import parse_json
from wheelmill.make.process import TimedOutError
from wheelmill.progress import Progress, silent
from wheelmill.prove.smoke.causes import innermost_cause
from wheelmill.prove.smoke.environment import Environment

State = Literal["passed", "failed", "known fault", "not offered"]

PROGRAMS = Path(__file__).parent / "capabilities"
_SHARED = frozenset({"checks", "distributed_rank", "harness"})  # what the programs import or start
# A wheel whose every check dies, or loses the device, would be started as often as it has checks.
_MAX_CRASHES, _MAX_STARTS = 8, 40
_LOST = 77  # the program's exit code where a failed check left the device unusable
# faulthandler's first words about a check that took too long, and about a signal
_HANG, _FATAL = "Timeout (", "Fatal Python error"
_SIGNALS = frozenset(signal.Signals)
_LINES = 5


@dataclass(frozen=True)
class CheckResult:
    """How one check ended; `on_cpu` names the operators that ran on the CPU instead of the device."""

    name: str
    state: State
    message: str = ""
    on_cpu: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class GroupResult:
    """One capability group. `log` has all output of its program, with the traceback of what took it down."""

    name: str
    checks: tuple[CheckResult, ...]
    log: Path

    def count(self, state: State) -> int:
        """How many checks ended so."""
        return sum(check.state == state for check in self.checks)

    @property
    def ok(self) -> bool:
        """Whether nothing failed, be the fault known or not."""
        return self.count("failed") + self.count("known fault") == 0

    @property
    def on_cpu(self) -> tuple[str, ...]:
        """Operators that ran on the CPU in some check."""
        return tuple(sorted({name for check in self.checks for name in check.on_cpu}))

    def to_json(self) -> dict[str, Any]:
        """Counts, and every check that did not simply pass."""
        told = [check for check in self.checks if check.state != "passed"]
        return {
            "group": self.name,
            "checks": len(self.checks),
            "passed": self.count("passed"),
            "failed": self.count("failed"),
            "known_faults": self.count("known fault"),
            "not_offered": self.count("not offered"),
            "on_cpu": list(self.on_cpu),
            "others": [{"check": c.name, "state": c.state, "message": c.message} for c in told],
            "log": str(self.log),
        }


def group_names(programs: Path = PROGRAMS) -> tuple[str, ...]:
    """All capability groups, by the names of their programs."""
    return tuple(sorted(path.stem for path in programs.glob("*.py") if path.stem not in _SHARED))


def run_groups(
    environment: Environment,
    names: Sequence[str],
    *,
    programs: Path = PROGRAMS,
    at_once: int = 2,
    progress: Progress = silent,
) -> tuple[GroupResult, ...]:
    """Run these groups, `at_once` of them beside each other; the results are in the order of `names`.

    Never raises for what the programs do.
    """
    folder = environment.home / "capabilities"
    shutil.copytree(programs, folder, ignore=shutil.ignore_patterns("__pycache__"))
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        running = [pool.submit(_Program(environment, folder, name, stop).run) for name in names]
        try:
            for done in as_completed(running):
                progress(f"capability groups: {done.result().name} done")
            return tuple(future.result() for future in running)
        except BaseException:
            stop.set()
            for future in running:
                future.cancel()
            raise


class _Program:
    """One group's program, started as often as it takes to come to its end."""

    def __init__(self, environment: Environment, folder: Path, name: str, stop: threading.Event) -> None:
        self._environment = environment
        self._file = folder / f"{name}.py"
        self._name = name
        self._stop = stop
        self._log = environment.steps.logs / f"group-{name}.log"
        self._out = folder / f"{name}.jsonl"

    def run(self) -> GroupResult:
        """Every check of the group with how it ended."""
        results: dict[str, CheckResult] = {}
        crashes = starts = 0
        while True:
            code, ended = self._start(len(results))
            starts += 1
            names, begun = self._read(results)
            if names and len(results) == len(names):
                return self._group(results)
            if begun is not None:
                crashes += 1
                results[begun] = CheckResult(begun, "failed", ended)
            if crashes == _MAX_CRASHES or starts == _MAX_STARTS:
                ended = f"not run: {starts} processes ended before it, {crashes} of them by a crash"
            elif begun is not None or code == _LOST:
                continue
            for name in names or ("the program starts",):
                results.setdefault(name, CheckResult(name, "failed", ended))
            return self._group(results)

    def _group(self, results: dict[str, CheckResult]) -> GroupResult:
        return GroupResult(self._name, tuple(results.values()), self._log)

    def _start(self, first: int) -> tuple[int | None, str]:
        """Run the program from check number `first` on; its exit code, and how it ended in words."""
        environment = self._environment
        seconds = environment.limits.group * environment.session.slowness
        check = environment.limits.check * environment.session.slowness
        words = (self._file, "--out", self._out, "--start", str(first), "--seconds", str(check))
        # Groups run beside each other, and the simulator computes on the CPU: one thread for each.
        variables = {**environment.variables, "OMP_NUM_THREADS": "1"}
        # Under its own name the program finds the harness beside it and nothing else.
        before = self._log.stat().st_size if self._log.exists() else 0
        try:
            code = environment.session.run(
                [str(word) for word in environment.simulated(*words)],
                log=self._log,
                environment=variables,
                timeout=seconds,
                on_line=lambda line: None,
                stop=self._stop,
            )
        except TimedOutError:
            return None, f"the group was stopped after {seconds:.0f} s"
        except StoppedError:
            return None, "interrupted"
        except OSError as error:
            return None, f"could not be started: {error}"
        with self._log.open("rb") as log:
            log.seek(before)
            said = log.read().decode("utf-8", "replace")
        return code, _ended(code, said, check)

    def _read(self, results: dict[str, CheckResult]) -> tuple[tuple[str, ...], str | None]:
        """Add what the program wrote to `results`; all check names, and the one that began without an end."""
        names: tuple[str, ...] = ()
        begun: str | None = None
        for event in _events(self._out):
            if "checks" in event:
                names = tuple(event["checks"])
            elif event["state"] == "begin":
                begun = event["check"]
            else:
                begun = None
                results[event["check"]] = CheckResult(
                    event["check"],
                    event["state"],
                    event["message"],
                    tuple(event["fallbacks"]),
                    event["seconds"],
                )
        return names, None if begun in results else begun


def _events(out: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a program's output; the last may be cut where the process died."""
    if not out.exists():
        return
    for line in out.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            yield parse_json(line)
        except json.JSONDecodeError:
            continue


def _ended(code: int, said: str, check_seconds: float) -> str:
    """How a process ended, in words, with where it was, or else with the end of what it said."""
    if _HANG in said:
        return f"took longer than {check_seconds:.0f} s and was stopped" + _where(said, _HANG)
    number = -code if code < 0 else code - 128
    cause = innermost_cause(said)
    because = "" if cause is None else f"; innermost cause: {cause}"
    how = (
        f"was ended by {signal.Signals(number).name}"
        if number in _SIGNALS
        else f"ended with exit code {code}"
    )
    return f"the process {how}{because}" + _where(said, _FATAL)


def _where(said: str, marker: str) -> str:
    """The first lines of the traceback after `marker`: it has the innermost call first."""
    found = said.rpartition(marker)
    lines = [line for line in found[2].splitlines() if line.strip() and not line.startswith("$ ")]
    chosen = lines[1 : _LINES + 1] if found[1] else lines[-_LINES:]
    return "".join(f"\n{line}" for line in chosen)


def workers() -> int:
    """How many groups to run beside each other on this machine: two where there is a CPU for each."""
    return min(2, len(os.sched_getaffinity(0)))
