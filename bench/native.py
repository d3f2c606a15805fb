"""What the native part of a line costs: cross-compiled in a container, and by cibuildwheel under emulation.

Every compiler runs under a meter, which tells its CPU seconds and its peak memory. CPU seconds are compared,
not the clock: an emulator is a process like any other, so its work counts, and what else the machine does
counts not.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wheelmill.build import BuiltWheel, Workshop, build, gather_facts
from wheelmill.engines import Job
from wheelmill.engines.builder import WORK, Builders, Workbench
from wheelmill.engines.cibuildwheel import CibuildwheelEngine
from wheelmill.engines.docker import DockerEngine
from wheelmill.images import ImageShop
from wheelmill.matrix import Cell, Matrix
from wheelmill.plan import recipe
from wheelmill.progress import silent
from wheelmill.store import Store
from wheelmill.toolchain import sdk
from wheelmill.toolchain.compiler import host_arch

ROOT = Path(__file__).parents[1]
LINE = "v2.1.0-5.0.rc3"

# What is compiled under emulation: a file of the core, of the simulator and of the glue, and the precompiled
# header that the last one begins with.
SAMPLE = (
    "core/CMakeFiles/npu_core.dir/src/memory.cpp.o",
    "simulator/CMakeFiles/ascendcl.dir/runtime/stream.cpp.o",
    "glue/CMakeFiles/torch_npu.dir/copy.cpp.o",
)

_MARK = "wheelmill-meter "
_METER = f"""
import json, resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
file = sys.argv[sys.argv.index("-o") + 1] if "-o" in sys.argv else ""
cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss << 10
print("{_MARK}" + json.dumps({{"file": file, "cpu": cpu, "peak": peak}}), flush=True)
sys.exit(code)
"""


@dataclass(frozen=True)
class MeteredWorkbench(Workbench):
    """Compiles under the meter; `only` these objects, or everything."""

    only: tuple[str, ...] = ()

    def phases(self, job: Job, compilers: int) -> dict[str, list[list[str]]]:
        """See Workbench."""
        (job.workdir / "container" / "meter.py").write_text(_METER)
        found = super().phases(job, compilers)
        launcher = f"-DCMAKE_CXX_COMPILER_LAUNCHER=/opt/wheelmill/bin/python;{WORK}/meter.py"
        found["configure"] = [[*found["configure"][0], launcher]]
        if self.only:
            objects = ["/opt/wheelmill/bin/ninja", "-C", str(WORK / "build"), "-j1", *self.only]
            return {"configure": found["configure"], "compile": [objects]}
        return found


class MeteredBuilders(Builders):
    """Builders whose workbenches have the meter."""

    def __init__(self, shop: ImageShop, only: tuple[str, ...] = ()) -> None:
        super().__init__(shop, None)
        self._only = only

    def workbench(self, arch: str, policy: str, *, machine: str) -> Workbench:
        """See Builders."""
        found = super().workbench(arch, policy, machine=machine)
        return MeteredWorkbench(**vars(found), only=self._only)


@dataclass(frozen=True)
class Compiled:
    """One object file: CPU seconds and peak memory in bytes of the process that compiled it."""

    cpu: float
    peak: int


@dataclass(frozen=True)
class Native:
    """`wheels`: all Pythons of the line for one arch, built from nothing. `emulated`: the sample's files.

    `again` is the seconds of a build command that finds all of them known, its start included.
    """

    wheels: tuple[BuiltWheel, ...]
    cross: Mapping[str, Compiled]
    emulated: Mapping[str, Compiled]
    again: float

    def sample(self) -> tuple[float, float]:
        """CPU seconds for the sample: cross-compiled, under emulation."""
        return (
            sum(self.cross[name].cpu for name in self.emulated),
            sum(file.cpu for file in self.emulated.values()),
        )

    def one_and_all(self) -> tuple[float, float]:
        """Seconds by the clock for the first Python's wheel, and for all of the line's."""
        first, *others = (wheel.seconds for wheel in self.wheels)
        one = sum(first.values())
        return one, one + sum(seconds["assemble"] for seconds in others)

    def peak(self) -> int:
        """Bytes of memory that the largest compiler took."""
        return max(file.peak for file in self.cross.values())


def read_meter(log: Path) -> dict[str, Compiled]:
    """Every metered object of a build's log."""
    found = {}
    for line in log.read_text(errors="replace").splitlines():
        _, mark, text = line.partition(_MARK)
        if mark:
            data = json.loads(text)
            found[data["file"]] = Compiled(data["cpu"], data["peak"])
    return {name: file for name, file in found.items() if name.endswith((".o", ".gch"))}


def measure(matrix: Matrix, works: Workshop, shop: ImageShop) -> Native:
    """Build the line's wheels of the other architecture from nothing; then the sample under emulation.

    Images and the torch are taken from the project's own state; compiled files from nowhere.
    """
    arch = {"x86_64": "aarch64", "aarch64": "x86_64"}[host_arch()]
    cells = tuple(cell for cell in matrix.cells() if (cell.line.branch, cell.arch) == (LINE, arch))
    works.store.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=works.store.root, prefix="bench-") as folder:
        home = Store(Path(folder, "home"))
        ours = DockerEngine(shop, builders=MeteredBuilders(shop))
        fresh = dataclasses.replace(works, store=home, sdks=works.store, engine=ours, fresh=True, jobs=1)
        wheels = build(cells, fresh)
        assert wheels[0].log is not None
        cross = read_meter(wheels[0].log)
        again = _again(cells, home)
        return Native(wheels, cross, _emulated(cells[0], fresh, shop, Path(folder)), again)


def _again(cells: tuple[Cell, ...], home: Store) -> float:
    """Seconds of the build command: the first run audits and indexes, the best of the next three counts."""
    names = [f"{cell.python}-{cell.arch}" for cell in cells]
    command = [sys.executable, "-m", "wheelmill", "build", *names, "--line", LINE, "--engine", "docker"]
    environment = {**os.environ, "WHEELMILL_HOME": str(home.root), "PYTHONPATH": str(ROOT / "release")}
    seconds = []
    for _ in range(4):
        started = time.perf_counter()
        subprocess.run(
            [*command, "--no-smoke", "--quiet"], env=environment, cwd=ROOT, check=True, capture_output=True
        )
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])


def _emulated(cell: Cell, works: Workshop, shop: ImageShop, folder: Path) -> dict[str, Compiled]:
    theirs = CibuildwheelEngine(shop, builders=MeteredBuilders(shop, SAMPLE))
    torch = sdk.ensure(cell.line.torch, cell.arch, works.sdk_store, works.progress)
    job = Job(
        recipe=recipe(cell, gather_facts((cell,), works)).bundle,
        adapter=works.adapter,
        sdk=torch.root,
        workdir=folder / "emulated",
        log=folder / "emulated.log",
        jobs=1,
        fresh=True,
        policy=cell.manylinux,
    )
    job.workdir.mkdir()
    theirs.build(job, silent)
    return read_meter(job.log)
