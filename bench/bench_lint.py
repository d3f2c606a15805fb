"""How long linting the matrix takes: today's file, and a generated one of 6,000 rows.

The peer is openstack/releases: its `check-schema` takes 94.3 s for 6,026 deliverable files on one core (a
measurement made elsewhere: it needs its own tree of git clones, so it is quoted here and not run).

Run: `python bench/bench_lint.py [ROWS]`. Prints seconds of a fresh process each, Python's start included.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
OPENSTACK_SECONDS = 94.3
ROWS_PER_TORCH = 20

LINT = """
import sys
from datetime import date
from pathlib import Path
from wheelmill.matrix.lint import lint
report = lint(Path(sys.argv[1]), date(2026, 11, 22))
print(report.lines, len(report.errors), len(report.notes))
"""


def generate(rows: int) -> str:
    """A matrix of `rows` rows in good order: 20 adapter versions on each torch, each torch with 10 wheels."""
    torches = -(-rows // ROWS_PER_TORCH)
    minors = [f"2.{number}.0" for number in reversed(range(1, torches + 1))]
    lines = [_line(torch, post) for torch in minors for post in reversed(range(ROWS_PER_TORCH))][:rows]
    return _HEAD + "lines:\n" + "".join(lines) + "torches:\n" + "".join(map(_torch, minors)) + _TAIL


_HEAD = """schema: 1
torch_cpu_index: https://download.pytorch.org/whl/cpu
sources:
  - {name: table, title: A generated table}
policies:
  - name: short
    source: table
    released_in: maintained
    stages:
      - {stage: maintained, zh: 维护, time: 一年, allows: [fix, release], meaning: 维护, months: [6, 12]}
      - {stage: eol, zh: 生命周期终止（EOL）, time: N/A, allows: [], meaning: 终止}
series: []
"""
_TAIL = "python_support: []\nrelease_notes: []\n"
_PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
_ARCHES = ("aarch64", "x86_64")


def _line(torch: str, post: int) -> str:
    pythons = ", ".join(f'"{python}"' for python in _PYTHONS)
    return f"""  - branch: v{torch}-{post + 1}.0.0
    series: null
    source: table
    kind: published
    cann: {post + 1}.0.0
    torch: {torch}
    adapter: {torch}.post{post}
    pythons: [{pythons}]
    arches: [aarch64, x86_64]
    on_index: true
    buildable: true
    published: {{adapter: {torch}.post{post}.dev, reason: Printed as a development version.}}
"""


def _torch(torch: str) -> str:
    pythons = ", ".join(f'"{python}"' for python in _PYTHONS)
    minor = int(torch.split(".")[1])
    wheels = "".join(
        f'      - {{python: "{python}", arch: {arch}, sha256: {"a" * 8}{minor * 10 + number:056x}}}\n'
        for number, (python, arch) in enumerate((p, a) for p in _PYTHONS for a in _ARCHES)
    )
    return f"""  - version: {torch}
    pythons: [{pythons}]
    cxx_standard: 17
    cxx11_abi: {{aarch64: true, x86_64: true}}
    policies: {{aarch64: manylinux_2_28, x86_64: manylinux_2_28}}
    wheels:
{wheels}"""


def seconds(path: Path) -> tuple[float, str]:
    """Wall time of a fresh process that lints one file, and what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "release")}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", LINT, str(path)], env=environment, check=True, capture_output=True, text=True
    )
    return time.perf_counter() - start, done.stdout.strip()


def main(rows: int = 6000) -> None:
    """Print both times and the ratio."""
    today, _ = min(seconds(ROOT / "matrix" / "compat.yaml") for _ in range(3))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "compat.yaml"
        path.write_text(generate(rows), encoding="utf-8")
        many, counted = seconds(path)
    print(f"today's matrix: {today:.2f} s")
    print(f"{rows} rows: {many:.2f} s (rows, errors, notes: {counted})")
    print(f"openstack/releases, 6,026 files: {OPENSTACK_SECONDS} s (foreign measurement)")
    print(f"ratio: {OPENSTACK_SECONDS / many:.0f}x")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
