"""How long an answer of the picker takes: as a process, inside one, and on a matrix 1,000 times as large.

The peer of the process is `python -c "import click"`, which any such command line pays for; the best of some
runs counts. Inside, an answer is asked for again and again on a shelf that is there.

Run: `python bench/bench_pick.py [TIMES]`.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "release"))

from wheelmill.catalogue import Catalogue  # noqa: E402
from wheelmill.matrix import Matrix  # noqa: E402
from wheelmill.pick import Request, Shelf, answer, render_text, to_json  # noqa: E402
from wheelmill.project import find_project  # noqa: E402

TODAY = date(2026, 11, 28)
ROUNDS = 7
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
    """Seconds of the fastest of some runs."""
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def process(*words: str) -> Callable[[], object]:
    """A fresh Python with these words."""
    return lambda: subprocess.run(
        [sys.executable, *words], cwd=ROOT, env={"PYTHONPATH": "release", "HOME": str(Path.home())},
        stdout=subprocess.DEVNULL, check=False,
    )  # fmt: skip


@dataclass(frozen=True)
class Figures:
    """Seconds: of the process and of its peer, and of the slowest kind of answer on each matrix."""

    process: float
    peer: float
    answer: float
    large: float
    offers: int


def measure(times: int = 1000, say: Callable[[str], None] = print) -> Figures:
    """Measure all of it; `say` gets a line for each figure."""
    pick = process(
        "-m", "wheelmill", "pick", "-q", "--cann", "8.5.1", "--python", "3.11", "--arch", "aarch64"
    )
    pick()  # what is kept of the matrix is there from now on
    whole, peer = best(pick), best(process("-c", "import click"))
    say(f"wheelmill pick, whole process: {whole * 1e3:.0f} ms; import click: {peer * 1e3:.0f} ms")
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
    return Figures(whole, peer, slowest[0], slowest[1], len(shelf.offers))


def _fresh(shelf: Shelf, request: Request) -> object:
    """An answer with nothing remembered of the one before, rendered for both kinds of reader."""
    shelf._accepted.clear()
    found = answer(shelf, request, {})
    return to_json(found), render_text(found)


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
