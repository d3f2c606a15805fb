"""How well the machines of a cluster are used: the real placement, on a clock that is computed.

The bundles are those of the whole matrix; how long each compiles is drawn, with a fixed seed, around
`SECONDS`. The bound is what no placement can beat: the longest bundle, or all seconds over all machines,
whichever is more. The first build knows no costs; a later one has those of the first in its store.

Run: `python bench/cluster.py [SECONDS] [--json]`.
"""

from __future__ import annotations

import heapq
import json
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "release")]

from wheelmill.make.cluster import How  # noqa: E402
from wheelmill.make.cluster.placement import Running, Wanted, place  # noqa: E402
from wheelmill.matrix import load  # noqa: E402

SECONDS = 600.0  # of a bundle on one machine, about; the ratios do not depend on it
SPREAD = 0.35
MACHINES = (1, 4, 16, 64)
SEED = 20261129


@dataclass(frozen=True)
class Result:
    """A build of everything: `seconds` on the computed clock, `bound` likewise, `placing` of this machine."""

    machines: int
    known: bool  # whether the bundles' costs were
    bundles: int
    seconds: float
    bound: float
    placing: float

    @property
    def efficiency(self) -> float:
        """1.0 is what nothing can beat."""
        return self.bound / self.seconds


def bundles(seconds: float) -> dict[str, tuple[str, float]]:
    """Of the whole matrix: name -> its arch and the seconds it will take."""
    draw = random.Random(SEED)
    cells = load(ROOT / "matrix" / "compat.yaml").cells()
    found = {
        f"torch-{cell.line.torch.version}-{cell.arch}": cell.arch for cell in cells if cell.line.buildable
    }
    return {name: (arch, seconds * max(0.1, draw.gauss(1.0, SPREAD))) for name, arch in sorted(found.items())}


def simulate(machines: int, known: bool, seconds: float = SECONDS) -> Result:
    """All bundles on so many machines, half of each architecture; each compiles for both."""
    todo = bundles(seconds)
    arches = {f"m{number:02}": ("x86_64", "aarch64")[number % 2] for number in range(machines)}

    def hows(arch: str) -> dict[str, How]:
        return {name: "native" if own == arch else "cross" for name, own in arches.items()}

    costs = {name: real if known else seconds for name, (_, real) in todo.items()}
    waiting = {name: Wanted(name, costs[name], hows(arch)) for name, (arch, _) in todo.items()}
    running: dict[tuple[str, str], Running] = {}
    ends: list[tuple[float, str, str]] = []
    ratios: list[float] = []
    now = placing = 0.0
    done: set[str] = set()
    while len(done) < len(todo):
        started = time.perf_counter()
        starts = place(list(waiting.values()), list(running.values()), list(arches), ratios=ratios, now=now)
        placing += time.perf_counter() - started
        for start in starts:
            waiting.pop(start.wanted.name, None)
            running[start.wanted.name, start.machine] = Running(start.wanted, start.machine, now)
            heapq.heappush(ends, (now + todo[start.wanted.name][1], start.wanted.name, start.machine))
        now, name, machine = heapq.heappop(ends)
        if (name, machine) not in running:  # overtaken and stopped
            continue
        ratios.append((now - running[name, machine].since) / costs[name])
        done.add(name)
        for key in [key for key in running if key[0] == name]:
            del running[key]
    total = sum(cost for _, cost in todo.values())
    bound = max(total / machines, max(cost for _, cost in todo.values()))
    return Result(machines, known, len(todo), now, bound, placing)


def main() -> None:
    words = [word for word in sys.argv[1:] if word != "--json"]
    seconds = float(words[0]) if words else SECONDS
    results = [simulate(machines, known, seconds) for machines in MACHINES for known in (False, True)]
    if "--json" in sys.argv:
        print(json.dumps([{**vars(result), "efficiency": result.efficiency} for result in results]))
        return
    for result in results:
        placing = result.placing / result.bundles * 1e3
        print(
            f"{result.machines:3} machines, {result.bundles} bundles, "
            f"{'known costs' if result.known else 'first build'}: {result.seconds:8.0f} s, "
            f"efficiency {result.efficiency:.2f}, placing {placing:.2f} ms per bundle"
        )


if __name__ == "__main__":
    main()
