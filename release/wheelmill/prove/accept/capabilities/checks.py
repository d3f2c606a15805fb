"""A list of named checks that is run one by one, so that none takes the others' results along.

    python elementwise.py                        run all of the group and print what failed
    python elementwise.py --only sqrt            of these checks only
    python elementwise.py --out F --start 17     for the smoke run: one JSON object a line, from check 17 on

The first line of F names the checks. Each check then writes a line when it begins and one when it ends, so
that who reads F knows which check took the process down. One that hangs takes it down too, after --seconds.
Where a failure leaves the device unusable, the program ends with the exit code LOST; the rest needs another.

Runs on Python 3.8 and newer, with the standard library alone.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import re
import sys
import time
import traceback
import warnings
from typing import Any, Callable, Iterable, Iterator, Sequence

CHECK_SECONDS = 60.0
LOST = 77
_MESSAGE_LIMIT = 2000
_FALLBACK = re.compile(r"operator '?(aten::[\w.]+|[\w.:]+)'? .*fall\w* ?back", re.DOTALL)

Check = Callable[[], None]


class NotOfferedError(Exception):
    """The wheel does not claim to have what the check is about; the text is the fact that shows it."""


class DeviceLostError(Exception):
    """A failed check left the device unusable for those behind it."""


def offered(there: object, fact: str) -> None:
    """End the check as "not offered" unless `there`; `fact` is what is absent, such as a module's name."""
    if not there:
        raise NotOfferedError(fact)


class Checks:
    """Named checks in the order in which they run; what is to happen around each is for a subclass to say."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.checks: dict[str, Check] = {}

    def add(self, name: str, check: Check) -> None:
        """Any function; it fails by raising."""
        assert name not in self.checks, f"two checks are named {name!r}"
        self.checks[name] = check

    def check(self, function: Check) -> Check:
        """A decorator for a check of several lines; its name is the function's."""
        self.add(function.__name__.replace("_", " "), function)
        return function

    def prepare(self) -> None:
        """Called once, before the first check."""

    def settle(self) -> None:
        """Called after every check: what was still under way must end, or raise."""

    def works(self) -> bool:
        """Whether the device computes: asked after a failure, when it answers."""
        return True

    def counted(self) -> dict[str, int]:
        """Operator -> how often it ran on the CPU instead of the device so far."""
        return {}

    def main(self) -> None:
        """Run the checks that the command line asks for; exit code 1 when one failed."""
        parser = argparse.ArgumentParser(description=f"The capability group {self.name}.")
        parser.add_argument("--out", help="where to write JSON lines; without it, what failed is printed")
        parser.add_argument("--start", type=int, default=0, help="the number of the first check to run")
        parser.add_argument("--only", default="", help="run checks whose name contains this")
        parser.add_argument(
            "--seconds", type=float, default=CHECK_SECONDS, help="the longest a check may take"
        )
        words = parser.parse_args()
        chosen = [name for name in self.checks if words.only in name]
        faulthandler.enable()
        self.prepare()
        results = self._results(chosen[words.start :], words.seconds)
        if words.out is None:
            sys.exit(_print(results))
        with open(words.out, "a", encoding="utf-8") as out:  # noqa: PTH123
            _write(out, {"group": self.name, "checks": chosen})
            try:
                for event in results:
                    _write(out, event)
            except DeviceLostError:
                sys.exit(LOST)

    def _results(self, names: Sequence[str], seconds: float) -> Iterator[dict[str, Any]]:
        """For every check {"check", "state": "begin"}, and then the same with how it ended."""
        for name in names:
            yield {"check": name, "state": "begin"}
            faulthandler.dump_traceback_later(seconds, exit=True)
            try:
                ended = self._run(self.checks[name])
                usable = ended["state"] != "failed" or self._usable()
            finally:
                faulthandler.cancel_dump_traceback_later()
            yield {"check": name, **ended}
            if not usable:
                raise DeviceLostError

    def _usable(self) -> bool:
        """Whether the device still does what it is told: after an error in a kernel its stream may not."""
        try:
            self.settle()
            return self.works()
        except Exception:
            return False

    def _run(self, check: Check) -> dict[str, Any]:
        """How a check ended: state, message, the operators that ran on the CPU instead, and its seconds."""
        started = time.monotonic()
        before = self.counted()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                check()
                self.settle()
                state, message = "passed", ""
            except NotOfferedError as error:
                state, message = "not offered", str(error)
            except Exception as error:
                state, message = "failed", _reason(error)
        counted = {name for name, count in self.counted().items() if count != before.get(name)}
        seconds = round(time.monotonic() - started, 3)
        return {
            "state": state,
            "message": message,
            "fallbacks": sorted(counted | _warned(caught)),
            "seconds": seconds,
        }


def _reason(error: Exception) -> str:
    """The error's text, and that of the first error of its chain; without a text, where it was raised."""
    text = str(error).strip() or traceback.format_exc(limit=-1).strip()
    kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
    first: BaseException = error
    while first.__cause__ or (first.__context__ and not first.__suppress_context__):
        first = first.__cause__ or first.__context__  # type: ignore[assignment]
    cause = "" if first is error else f"\ncaused by {type(first).__name__}: {first}"
    return (kind + text)[: _MESSAGE_LIMIT - len(cause)] + cause[:_MESSAGE_LIMIT]


def _warned(caught: Iterable[warnings.WarningMessage]) -> set[str]:
    """The operators that a warning says to have run on the CPU."""
    found = (_FALLBACK.search(str(warning.message)) for warning in caught)
    return {match[1] for match in found if match is not None}


def _write(out: Any, event: dict[str, Any]) -> None:
    out.write(json.dumps(event) + "\n")
    out.flush()


def _print(events: Iterable[dict[str, Any]]) -> int:
    """For a person: what failed and why, up to where the device is lost, and counts; the exit code."""
    counts: dict[str, int] = {}
    on_cpu: set[str] = set()
    try:
        for event in events:
            if event["state"] == "begin":
                continue
            counts[event["state"]] = counts.get(event["state"], 0) + 1
            on_cpu.update(event["fallbacks"])
            if event["state"] != "passed":
                print(f"{event['state']}: {event['check']}: {event['message']}")
    except DeviceLostError:
        print(f"the device is lost; the rest: --start {sum(counts.values())} more than before")
    if on_cpu:
        print("ran on the CPU:", ", ".join(sorted(on_cpu)))
    print(", ".join(f"{count} {state}" for state, count in counts.items()))
    return 1 if "failed" in counts else 0
