"""Measure against peers in one run and write bench/RESULTS.md: `nox -s bench`, or `python bench/run.py`.

Every figure is a ratio to something measured in the same run on the same machine; where the peer cannot run
here, its published figure is named as foreign.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "release")]

from wheelmill.build import Workshop  # noqa: E402
from wheelmill.cli.words import own_cell  # noqa: E402
from wheelmill.console import Console  # noqa: E402
from wheelmill.engines.host import HostEngine  # noqa: E402
from wheelmill.matrix import load  # noqa: E402
from wheelmill.pipeline import run, run_smoke  # noqa: E402
from wheelmill.store import Store, default_root  # noqa: E402

from bench import bench_lint  # noqa: E402

Row = tuple[str, str, str, str]  # what, ours, peer, ratio


def best(command: list[str], times: int = 5) -> float:
    """Wall seconds of the fastest of some runs."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        subprocess.run(
            command, cwd=ROOT, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": "release"}
        )
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def row(what: str, ours: float, peer: float, unit: str, peer_name: str) -> Row:
    """One line of the table; the ratio is ours over the peer's."""
    return what, f"{ours:.3g} {unit}", f"{peer:.3g} {unit} ({peer_name})", f"{ours / peer:.3g}"


def start_up() -> list[Row]:
    """What listing sessions and finding nothing to do cost beside nox's own start."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder, "noxfile.py")
        empty.write_text("import nox\n\n@nox.session\ndef nothing(session):\n    pass\n", encoding="utf-8")
        nox = best([sys.executable, "-m", "nox", "-f", str(empty), "-l"])
    listing = best([sys.executable, "-m", "nox", "-l"])
    cell = own_cell(load(ROOT / "matrix" / "compat.yaml"))
    known = best([sys.executable, "-m", "wheelmill", "build", cell.name, "-q"])
    return [
        row("`nox -l` with the whole matrix", listing, nox, "s", "`nox -l` of an empty noxfile"),
        row("`wheelmill build` of a known cell", known, nox, "s", "`nox -l` of an empty noxfile"),
    ]


def lint() -> list[Row]:
    """The matrix and a generated one of 6,000 rows."""
    today, _ = bench_lint.seconds(ROOT / "matrix" / "compat.yaml")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "compat.yaml")
        path.write_text(bench_lint.generate(6000), encoding="utf-8")
        many, _ = bench_lint.seconds(path)
    foreign = "openstack/releases, 6,026 files, measured elsewhere"
    return [
        row("lint of today's matrix", today, bench_lint.OPENSTACK_SECONDS, "s", foreign),
        row("lint of 6,000 generated rows", many, bench_lint.OPENSTACK_SECONDS, "s", foreign),
    ]


def dispatch(workshop: Workshop) -> list[Row]:
    """Host cost per call on the simulated NPU against CPU tensors."""
    cell = own_cell(load(ROOT / "matrix" / "compat.yaml"))
    home = run_smoke(cell, workshop, keep=True).environment
    assert home is not None
    command = [
        home / "env/bin/cann-simulator",
        "run",
        "--",
        home / "env/bin/python",
        ROOT / "bench/dispatch.py",
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    return [row(name, npu, cpu, "us", "CPU tensor") for name, (npu, cpu) in found.items()]


def render(rows: list[Row]) -> str:
    """The page: machine, date, table."""
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    day = datetime.now(tz=timezone.utc).date()
    head = (
        "# Results\n\n"
        f"Written by `nox -s bench` on {day}: {os.cpu_count()} x {cpu}, {platform.platform()}, "
        f"Python {platform.python_version()}.\nThe NPU is the simulator's. A ratio is ours over the peer's: "
        "smaller is better.\n\n| what | ours | peer, same run | ratio |\n| --- | --- | --- | --- |\n"
    )
    return head + "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def main() -> None:
    """Bring this machine's cell up, measure, write."""
    matrix = load(ROOT / "matrix" / "compat.yaml")
    store = Store(default_root(ROOT))
    workshop = Workshop(
        store,
        HostEngine(store.root / "tools"),
        ROOT / "adapter",
        matrix.lines,
        matrix.document.torch_cpu_index,
    )
    run((own_cell(matrix),), workshop, Console(), smoke="once")
    page = render([*start_up(), *lint(), *dispatch(workshop)])
    (ROOT / "bench" / "RESULTS.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
