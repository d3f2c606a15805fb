"""Runs the steps of a smoke run one after another: a log for each, a deadline for each, and who failed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wheelmill.make.process import TimedOutError, run_logged
from wheelmill.progress import Progress
from wheelmill.prove.smoke.causes import innermost_cause
from wheelmill.prove.smoke.places import Runner

Command = Sequence[str | Path]

_TAIL_LINES = 15


@dataclass(frozen=True)
class Step:
    """One step that ran: how long it took, in seconds, and its whole output's file."""

    name: str
    seconds: float
    log: Path


@dataclass(frozen=True)
class Failure:
    """The step that failed, why in one sentence, the end of its output, and where all of it is.

    `cause` is the innermost error of a chain of tracebacks, which the end of the output need not show.
    """

    step: str
    reason: str
    tail: tuple[str, ...]
    log: Path
    cause: str | None = None

    def render(self) -> str:
        """For people: the step, why, the innermost cause, and below it the end of the output."""
        cause = f"; innermost cause: {self.cause}" if self.cause else ""
        tail = "\n".join(f"    {line}" for line in self.tail)
        return f"step '{self.step}' {self.reason}{cause}\n{tail}"

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "step": self.step,
            "reason": self.reason,
            "cause": self.cause,
            "tail": list(self.tail),
            "log": str(self.log),
        }


class StepFailedError(Exception):
    """Ends a smoke run; `failure` says where and why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


@dataclass
class Steps:
    """The steps of one run; `done` grows as they end. Each may take `slowness` times its seconds."""

    logs: Path
    progress: Progress
    runner: Runner = run_logged
    slowness: float = 1.0
    done: list[Step] = field(default_factory=list)

    def run(self, name: str, command: Command, environment: Mapping[str, str], seconds: float) -> None:
        """Run one command to its end. Raises StepFailedError when it fails or takes longer than `seconds`."""
        self.progress(name)
        log = self.logs / f"{len(self.done) + 1}-{name.replace(' ', '-')}.log"
        seconds *= self.slowness
        started = time.monotonic()
        words = [str(word) for word in command]
        try:
            code = self.runner(
                words,
                log=log,
                environment=environment,
                timeout=seconds,
                on_line=lambda line: self.progress(f"{name}: {line.strip()[:100]}"),
            )
        except TimedOutError:
            raise self.failed(name, f"was stopped after {seconds:.0f} seconds", log) from None
        except OSError as error:
            raise self.failed(name, f"could not be started: {error}", log) from None
        if code != 0:
            raise self.failed(name, f"ended with exit code {code}", log)
        self.done.append(Step(name, round(time.monotonic() - started, 3), log))

    def failed(self, name: str, reason: str, log: Path) -> StepFailedError:
        """The error for a step that ran and did not give what it should."""
        text = log.read_text(errors="replace") if log.is_file() else ""
        tail = tuple(text.splitlines()[-_TAIL_LINES:])
        return StepFailedError(Failure(name, reason, tail, log, innermost_cause(text)))
