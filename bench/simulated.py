"""Starts bench/programs.py where a published adapter is installed, and times what surrounds it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheelmill.prove.accept.groups import PROGRAMS, group_names

ROOT = Path(__file__).parents[1]
ADAPTER = "torch-npu==2.13.0"
STARTS = 3

_IMPORT = "import torch, torch_npu"
_KERNEL = f"{_IMPORT}; torch.ones(1, device='npu').add(1).cpu()"


@dataclass(frozen=True)
class Checks:
    """The checks of an acceptance run: how many, in how many programs, and the seconds of CPU of those.

    `imports`: of one program that only imports what they do.
    """

    count: int
    programs: int
    cpu: float
    imports: float


@dataclass(frozen=True)
class Programs:
    """`timed` and `memory` as bench/programs.py found them, of the NPU and of the CPU; seconds of CPU."""

    timed: dict[str, Any]
    memory: tuple[float, float]
    idle: float
    idle_queue: float
    start: float
    imports: float


def install(environment: Path) -> Path:
    """The environment, with the published adapter and the simulator; CalledProcessError when that fails."""
    if environment.exists():
        return environment
    words = ["-m", "wheelmill", "accept", ADAPTER, "--group", "creation", "--into", str(environment)]
    path = {**os.environ, "PYTHONPATH": str(ROOT / "release")}
    subprocess.run([sys.executable, *words], check=True, env=path, stdout=sys.stderr)
    return environment


def accept(environment: Path) -> Checks:
    """The programs of all capability groups, as an acceptance run starts them."""
    count, cpu, names = 0, 0.0, group_names()
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            out, before = Path(folder, name), _children()
            _run(environment, str(PROGRAMS / f"{name}.py"), "--out", str(out))
            cpu += _children() - before
            count += sum('"state": "passed"' in line for line in out.read_text().splitlines())
    return Checks(count, len(names), cpu, _seconds(environment, _IMPORT))


def measure(environment: Path) -> Programs:
    """Every program, one after the other."""
    file = str(ROOT / "bench" / "programs.py")
    found = json.loads(_run(environment, file))
    return Programs(
        found["timed"],
        tuple(found["memory"]),
        json.loads(_run(environment, file, "idle", queue="0"))["idle"],
        json.loads(_run(environment, file, "idle"))["idle"],
        _seconds(environment, _KERNEL),
        _seconds(environment, _IMPORT),
    )


def run(environment: Path, *words: str, **chosen: str) -> str:
    """What a program of this environment prints on the simulator, with one thread and these variables."""
    command = [environment / "bin/cann-simulator", "run", "--", environment / "bin/python", *words]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **chosen}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=variables).stdout


def _run(environment: Path, *words: str, queue: str = "1") -> str:
    return run(environment, *words, TASK_QUEUE_ENABLE=queue)


def _seconds(environment: Path, program: str) -> float:
    """The least seconds of CPU of a process that runs this program."""
    return min(_once(environment, program) for _ in range(STARTS))


def _once(environment: Path, program: str) -> float:
    before = _children()
    _run(environment, "-c", program)
    return _children() - before


def _children() -> float:
    """Seconds of CPU of the processes that were started from here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
