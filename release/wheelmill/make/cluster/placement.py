"""Which machine compiles which bundle, and when one is started a second time. Pure: the clock is an argument.

A machine compiles one bundle at a time, with all its compilers. Longest first, native before cross before
emulated; a machine is never idle while there is something that it may compile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from wheelmill.make.cluster import How

ORDER: tuple[How, ...] = ("native", "cross", "emulated")
_SLOW = 2.0  # times the usual: so long a bundle runs before it is started again elsewhere
_USUAL = 3  # finished bundles before anybody knows what is usual


@dataclass(frozen=True)
class Wanted:
    """A bundle: `cost` in seconds, as far as known; `hows` has the machines that may compile it."""

    name: str
    cost: float
    hows: Mapping[str, How]


@dataclass(frozen=True)
class Running:
    """An attempt at a bundle on a machine, since a time in seconds."""

    wanted: Wanted
    machine: str
    since: float


@dataclass(frozen=True)
class Start:
    """What to do next."""

    wanted: Wanted
    machine: str


def place(
    waiting: Sequence[Wanted],
    running: Sequence[Running],
    machines: Sequence[str],
    *,
    ratios: Sequence[float],
    now: float,
) -> tuple[Start, ...]:
    """What to start now, at most one bundle on each free machine.

    `ratios` are the seconds of finished bundles, each divided by its cost.
    """
    busy = {attempt.machine for attempt in running}
    free = [machine for machine in machines if machine not in busy]
    starts: list[Start] = []
    left = sorted(waiting, key=lambda wanted: (-wanted.cost, wanted.name))
    for how in ORDER:
        for wanted in tuple(left):
            machine = next((name for name in free if wanted.hows.get(name) == how), None)
            if machine is not None:
                starts.append(Start(wanted, machine))
                free.remove(machine)
                left.remove(wanted)
    return (*starts, *_again(running, free, ratios, now))


def _again(
    running: Sequence[Running], free: Sequence[str], ratios: Sequence[float], now: float
) -> tuple[Start, ...]:
    """Second attempts at bundles that take much longer than others did; the first result wins."""
    if len(ratios) < _USUAL:
        return ()
    left, usual = list(free), median(ratios)
    attempts = [attempt.wanted.name for attempt in running]
    slow = [
        attempt
        for attempt in running
        if attempts.count(attempt.wanted.name) == 1
        and now - attempt.since > _SLOW * usual * attempt.wanted.cost
    ]
    starts = []
    for attempt in sorted(slow, key=lambda one: one.since):
        for how in ORDER:
            machine = next((name for name in left if attempt.wanted.hows.get(name) == how), None)
            if machine is not None:
                starts.append(Start(attempt.wanted, machine))
                left.remove(machine)
                break
    return tuple(starts)
