"""What the wheels of a line cost: cross-compiled in a container, and by cibuildwheel under emulation.

Both compile everything from nothing with all CPUs, one after the other, in builder images of one base and
by one recipe. Seconds are those of the clock: on a machine that does nothing else.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from wheelmill.make.assemble import pack_bundle
from wheelmill.make.build import Workshop, build, gather_facts
from wheelmill.make.bundles import bundle_path
from wheelmill.make.engines import Job
from wheelmill.make.engines.builder import WORK, Builders, Workbench
from wheelmill.make.engines.cibuildwheel import CibuildwheelEngine
from wheelmill.make.engines.docker import DockerEngine
from wheelmill.make.images import ImageShop
from wheelmill.make.plan import recipe
from wheelmill.make.toolchain import sdk
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.make.toolchain.sources import copy_native
from wheelmill.matrix import Cell, Matrix
from wheelmill.progress import Progress, silent
from wheelmill.store import Store

ROOT = Path(__file__).parents[1]
LINE = "v2.1.0-5.0.rc3"
# cibuildwheel compiles for every Python anew: two show it, and each takes a quarter of an hour.
PEER_PYTHONS = 2

_MARK = "wheelmill-meter "
_METER = f"""
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print("{_MARK}" + str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10), flush=True)
sys.exit(code)
"""


class MeteredWorkbench(Workbench):
    """Compiles under the meter, which costs each compiler the start of a Python."""

    def phases(self, job: Job, compilers: int) -> dict[str, list[list[str]]]:
        """See Workbench."""
        (job.workdir / "container" / "meter.py").write_text(_METER)
        found = super().phases(job, compilers)
        launcher = "-DCMAKE_CXX_COMPILER_LAUNCHER="
        meter = f"{launcher}/opt/wheelmill/bin/python;{WORK}/meter.py;"
        found["configure"] = [[word.replace(launcher, meter) for word in found["configure"][0]]]
        return found


class MeteredBuilders(Builders):
    """Builders whose workbenches have the meter."""

    def workbench(self, arch: str, policy: str, *, machine: str) -> Workbench:
        """See Builders."""
        return MeteredWorkbench(**vars(super().workbench(arch, policy, machine=machine)))


@dataclass(frozen=True)
class Native:
    """Seconds for all Pythons of a line on one arch, from nothing.

    `line` is ours, of which `native` is what all Pythons share. `peer` is cibuildwheel's native part for each
    of the first Pythons. `again` is a build command that finds all wheels known, its start included. `peak`
    is the memory in bytes that the largest compiler took.
    """

    arch: str
    pythons: int
    native: float
    line: float
    peer: tuple[float, ...]
    again: float
    peak: int


def measure(matrix: Matrix, workshop: Workshop, shop: ImageShop, say: Progress) -> Native:
    """Build the line's wheels of the other architecture from nothing; then the same with cibuildwheel.

    Images and the torch are taken from the project's own state; compiled files from nowhere.
    """
    arch = {"x86_64": "aarch64", "aarch64": "x86_64"}[host_arch()]
    cells = tuple(cell for cell in matrix.cells() if (cell.line.branch, cell.arch) == (LINE, arch))
    workshop.store.root.mkdir(parents=True, exist_ok=True)
    sdk.ensure(cells[0].line.torch, arch, workshop.sdk_store, workshop.progress)
    with tempfile.TemporaryDirectory(dir=workshop.store.root, prefix="bench-") as folder:
        home = Store(Path(folder, "home"))
        builders = MeteredBuilders(shop, None)
        builders.workbench(arch, cells[0].manylinux, machine=host_arch())
        ours = DockerEngine(shop, builders=builders)
        fresh = dataclasses.replace(workshop, store=home, sdks=workshop.store, engine=ours, fresh=True)
        say(f"{LINE}, {arch}: {len(cells)} wheels in containers")
        started = time.perf_counter()
        wheels = build(cells, fresh)
        line = time.perf_counter() - started
        assert wheels[0].log is not None
        return Native(
            arch=arch,
            pythons=len(cells),
            native=sum(wheels[0].seconds[phase] for phase in ("configure", "compile", "install")),
            line=line,
            peer=_peer(cells, fresh, shop, Path(folder), say),
            again=_again(cells, home),
            peak=_peak(wheels[0].log),
        )


def _peak(log: Path) -> int:
    """Bytes that the largest compiler of a metered build took."""
    found = (line.partition(_MARK) for line in log.read_text(errors="replace").splitlines())
    return max(int(text) for _, mark, text in found if mark)


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


def _peer(
    cells: tuple[Cell, ...], workshop: Workshop, shop: ImageShop, folder: Path, say: Progress
) -> tuple[float, ...]:
    """Seconds of cibuildwheel for the first Pythons, each from nothing; it makes the same bytes as ours."""
    theirs = CibuildwheelEngine(shop)
    torch = sdk.ensure(cells[0].line.torch, cells[0].arch, workshop.sdk_store, workshop.progress)
    bundle = recipe(cells[0], gather_facts(cells[:1], workshop)).bundle
    theirs.identity(bundle.arch, cells[0].manylinux)  # the image is there before the clock starts
    snapshot = folder / "sources"
    copy_native(workshop.sources, snapshot)
    seconds = []
    for cell in cells[:PEER_PYTHONS]:
        say(f"{cell.key} with cibuildwheel")
        work = folder / cell.python
        work.mkdir()
        job = Job(bundle, snapshot, torch.root, work, work / "log", fresh=True, policy=cell.manylinux)
        started = time.perf_counter()
        made = theirs.build(job, silent)
        seconds.append(time.perf_counter() - started)
        pack_bundle(made.prefix, work / "bundle.tar")
        ours = bundle_path(workshop.store, bundle)
        assert ours is not None
        if (work / "bundle.tar").read_bytes() != ours.read_bytes():
            sys.exit(f"{cell.key}: cibuildwheel made other native files, so its time is no peer's")
        shutil.rmtree(work)
    return tuple(seconds)
