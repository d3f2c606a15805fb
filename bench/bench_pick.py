"""How long an answer of the picker takes: as a process, inside one, and on a matrix 1,000 times as large.

The peers of the process are `python -c pass` and `python -c "import click"`, which any such command line pays
for. The three run in turn, and the median counts, or the fastest where it is called so; on a busy machine,
CPU time says more than the clock.
Inside, an answer is asked for again and again on a shelf that is there.

Run: `python bench/bench_pick.py [TIMES]`.
"""

from __future__ import annotations

import dataclasses
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "release"))

from wheelmill.catalogue import Catalogue  # noqa: E402
from wheelmill.matrix import Matrix  # noqa: E402
from wheelmill.pick import Request, Shelf, answer, render_text, to_json  # noqa: E402
from wheelmill.project import find_project  # noqa: E402

TODAY = date(2026, 11, 28)
ROUNDS = 7
PROCESSES = 20
ASKED = (
    Request(cann="8.5.1", python="3.11", arch="aarch64"),
    Request(cann="7.0.RC1", python="3.11", arch="aarch64", glibc="2.27", chip="A3"),
    Request(adapter="2.9.1", cann="9.0.0"),
    Request(torch="2.6.0", cann="9.1.0", python="3.8", arch="x86_64", glibc="2.17", chip="950"),
    Request(adapter="2.7.1.post20", branch="v9.9.9-1.0.0", date="2026-01-01", stage="supported",
            python="3.13", cann="7.0.RC1", glibc="2.27", arch="x86_64", chip="910B"),
)  # fmt: skip


def larger(matrix: Matrix, times: int) -> Matrix:
    """The matrix with `times` as many rows: each row again for further posts of its adapter version."""
    lines = tuple(
        dataclasses.replace(line, branch=f"{line.branch}.{copy}", adapter=_post(line.adapter, copy))
        for line in matrix.lines
        for copy in range(times)
    )
    return dataclasses.replace(matrix, lines=lines)


def _post(adapter: str, copy: int) -> str:
    base, _, post = adapter.partition(".post")
    return (
        f"{base}.post{int(post or 0) * 10_000 + copy}" if "rc" not in base and "dev" not in base else adapter
    )


def best(run: Callable[[], object]) -> float:
    """Seconds of CPU of the fastest of some runs."""
    found = []
    for _ in range(ROUNDS):
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return min(found)


@dataclass(frozen=True)
class Cost:
    """Seconds of a whole process: by the clock, of CPU (user and system), and by the clock of the fastest."""

    wall: float
    cpu: float
    fastest: float


def processes(commands: Mapping[str, Sequence[str]]) -> dict[str, Cost]:
    """The medians of fresh Pythons with these words, after a run of each that is not counted."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(PROCESSES + 1):
        for name, words in commands.items():
            found[name].append(_process(words))
    return {
        name: Cost(*(median(kind) for kind in zip(*costs[1:], strict=True)), min(costs[1:])[0])
        for name, costs in found.items()
    }


def _process(words: Sequence[str]) -> tuple[float, float]:
    """Seconds by the clock, and of CPU."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *words], cwd=ROOT, env={"PYTHONPATH": "release", "HOME": str(Path.home())},
        stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return time.perf_counter() - start, cpu


COMMANDS: Mapping[str, Sequence[str]] = {
    "wheelmill pick": (
        "-m", "wheelmill", "pick", "-q", "--cann", "8.5.1", "--python", "3.11", "--arch", "aarch64",
    ),
    "python -c pass": ("-c", "pass"),
    "import click": ("-c", "import click"),
}  # fmt: skip


@dataclass(frozen=True)
class Figures:
    """Of the process and its peers, and seconds of CPU of the slowest kind of answer on each matrix."""

    processes: Mapping[str, Cost]
    answer: float
    large: float
    offers: int


def measure(times: int = 1000, say: Callable[[str], None] = print) -> Figures:
    """Measure all of it; `say` gets a line for each figure."""
    costs = processes(COMMANDS)
    for name, cost in costs.items():
        say(
            f"{name}: {cost.wall * 1e3:.0f} ms, the fastest {cost.fastest * 1e3:.0f} ms, "
            f"{cost.cpu * 1e3:.0f} ms of CPU"
        )
    here = find_project()
    matrix, catalogue = here.matrix(), here.catalogue()
    slowest = []
    shelf = Shelf(matrix, catalogue, TODAY)
    for title in ("today's matrix and catalogue", f"{times} x the matrix"):
        found = []
        for request in ASKED:
            answer(shelf, request, {})
            found.append(best(lambda request=request, shelf=shelf: _fresh(shelf, request)))  # type: ignore[misc]
            say(f"{title}, {len(shelf.offers)} offers: {found[-1] * 1e3:.2f} ms: {request}")
        slowest.append(max(found))
        if len(slowest) == 1:
            shelf = Shelf(larger(matrix, times), Catalogue(), TODAY)
    return Figures(costs, slowest[0], slowest[1], len(shelf.offers))


def _fresh(shelf: Shelf, request: Request) -> object:
    """An answer with nothing remembered of the one before, rendered for both kinds of reader."""
    shelf._accepted.clear()
    found = answer(shelf, request, {})
    return to_json(found), render_text(found)


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
