"""What is too long for every change: runs each part, goes on after a failure, and reports all of them.

    python ci/weekly.py [--list] [PART...]      # or: nox -s weekly -- [PART...]

Logs are in .wheelmill/weekly/. Exit code 1 when a part failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "release"))

from wheelmill.console import Console  # noqa: E402
from wheelmill.matrix import Line, load  # noqa: E402

PYTHON = sys.executable


@dataclass(frozen=True)
class Part:
    """One command. `title` says what it shows."""

    name: str
    title: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def parts() -> Iterator[Part]:
    """All of them; which lines and torches there are comes from the matrix."""
    wheelmill = (PYTHON, "-m", "wheelmill")
    newest: dict[str, Line] = {}
    for cell in load(ROOT / "matrix" / "compat.yaml").cells():
        newest.setdefault(cell.line.torch.version, cell.line)
    for torch, line in newest.items():
        build = ("build", "--line", line.branch, "--engine", "docker", "--keep-going")
        yield Part(f"line-{line.branch}", "a whole line in containers", (*wheelmill, *build))
        suite = ("test-adapter", "--python-only", "--torch", torch, "--python", line.pythons[-1])
        yield Part(f"suite-{torch}", "adapter and simulator tests on this torch", (*wheelmill, *suite))
    yield Part("published", "the newest published adapter", (*wheelmill, "accept", "torch-npu"))
    pytest = (PYTHON, "-m", "pytest", "-q")
    many = ("test-adapter", "--python-only", "-m", "on_demand")
    yield Part("ranks", "hccl between 1, 4 and 8 ranks, and launchers", (*wheelmill, *many))
    real = ("tests/make/test_real_adapter.py", "-m", "on_demand")
    yield Part(
        "bytes", "the real adapter cross-compiled; its bytes with each compiler cache", (*pytest, *real)
    )
    signed = ("tests/sign/test_real_wheel.py", "-m", "on_demand")
    yield Part("signed", "bytes all over a real release, and its rebuild", (*pytest, *signed))
    every = ("tests/make/test_every_torch.py", "-m", "on_demand or not on_demand")
    yield Part("torches", "interfaces and operator tables with every torch's headers", (*pytest, *every))
    containers = ("tests/docker", "-m", "on_demand")
    yield Part("containers", "builds and runs under emulation", (*pytest, *containers))
    clients = ("tests/index", "-m", "on_demand")
    yield Part("index", "views and nginx with every client", (*pytest, *clients))
    yield Part("names", "names of the C++ that includes torch", (PYTHON, "ci/clang_tidy.py", "--torch"))
    kill = ("tests/release/test_kill.py", "-m", "on_demand")
    yield Part("kill", "a release that is killed at every step", (*pytest, *kill))
    orders = ("test-adapter", "--python-only", "-k", "in_every_order")
    yield Part(
        "orders", "ranks in a thousand orders", (*wheelmill, *orders), {"CANN_SIMULATOR_ORDERS": "1000"}
    )
    devpi = ("tests/upload/test_package_index.py", "-m", "on_demand")
    yield Part("upload", "a release uploaded to devpi, which is installed for it", (*pytest, *devpi))
    examples = ("tests/examples", "-m", "on_demand")
    yield Part("examples", "other projects, each by the commands of its page", (*pytest, *examples))
    cluster = ("tests/make/test_cluster.py", "-m", "on_demand or not on_demand")
    yield Part("cluster", "a build on several machines, each part of which fails", (*pytest, *cluster))
    foreign = ("tests/audit/test_real_wheels.py", "-m", "on_demand")
    yield Part("foreign", "current wheels of other projects are not refused", (*pytest, *foreign))
    picker = ("tests/pick/test_installers.py", "tests/site/test_browser.py", "-m", "on_demand")
    yield Part("picker", "every wheel by pip, every combination in the page", (*pytest, *picker))
    pairs = ("tests/abi/test_real_pairs.py", "-m", "on_demand")
    yield Part("windows", "other projects' wheels run where it is predicted", (*pytest, *pairs))
    fuzz = (PYTHON, "-m", "tests.fuzz", "--minutes", "30")
    yield Part("fuzz", "damaged input for every reader", fuzz, {"PYTHONPATH": f"{ROOT / 'release'}:{ROOT}"})
    down = (PYTHON, "ci/downstream.py", "accelerate")
    yield Part("downstream", "accelerate's own tests on a published adapter, against the record", down)
    yield Part("stranger", "the README's commands in a bare root", (PYTHON, "ci/stranger.py"))


def run(part: Part, logs: Path) -> tuple[int, float]:
    """Exit code and seconds."""
    started = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "release"), **part.environment}
    with (logs / f"{part.name}.log").open("wb") as log:
        done = subprocess.run(
            part.command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False
        )
    return done.returncode, time.monotonic() - started


def main(words: list[str]) -> int:
    """Run the parts that are named, or all."""
    console, known = Console(), {part.name: part for part in parts()}
    if words == ["--list"]:
        console.table(
            ("part", "shows"), [(part.name, part.title) for part in known.values()], whole=("part",)
        )
        return 0
    unknown = [word for word in words if word not in known]
    if unknown:
        console.note(f"There is no part {unknown[0]!r}. Known: {', '.join(known)}", always=True)
        return 2
    logs = ROOT / ".wheelmill" / "weekly"
    logs.mkdir(parents=True, exist_ok=True)
    rows, failed = [], 0
    for name in words or known:
        code, seconds = run(known[name], logs)
        failed += code != 0
        rows.append((name, "passed" if code == 0 else f"failed ({code})", f"{seconds:.0f} s"))
        console.note("  ".join(rows[-1]))
    console.table(("part", "result", "time"), rows, whole=("part", "result", "time"))
    console.say(f"{len(rows) - failed} passed, {failed} failed; logs in {logs}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
