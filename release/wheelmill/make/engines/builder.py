"""Builder images as both container engines use them: which one, what is in it, and how a build sees it."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypedDict

import wheelmill
from wheelmill.limits import MAX_TEXT, Limits, parse_json, read_regular
from wheelmill.make import containers, images
from wheelmill.make.containers import Container, Mount, Spec
from wheelmill.make.engines import EngineError, Job
from wheelmill.make.engines import cmake as steps
from wheelmill.make.plan import BuildImage
from wheelmill.make.toolchain import compiler as compiler_search
from wheelmill.matrix.plain import from_plain
from wheelmill.store.errors import disk_errors

# The root of every build's folders: the same on every machine.
INSIDE = PurePosixPath("/wheelmill")
WORK = INSIDE / "work"

_TOOLS = PurePosixPath("/opt/wheelmill/bin")  # where docker/*/Dockerfile puts them
_CACHE_SIZE = "5G"  # of compiled files, over all builds of this state folder

# Runs in the image with this package's own compiler search, so all engines mean the same by an identity.
_PROBE = """
import glob, json, os, shutil, sys
sys.path.insert(0, "/wheelmill/probe")
from wheelmill.errors import WheelmillError
from wheelmill.make.toolchain.compiler import compiler_environment, find_compiler
pythons = sorted(path.split("/")[3] for path in glob.glob("/opt/python/*/bin/pip"))
found = {"ccache": shutil.which("ccache"), "pythons": pythons, "compilers": {}}
found["environment"] = compiler_environment(os.environ)
for arch in sys.argv[1:]:
    try:
        compiler = find_compiler(arch)
        words = {"cxx": compiler.cxx, "identity": compiler.identity, "cross": compiler.cross}
        found["compilers"][arch] = words
    except WheelmillError as error:
        found["compilers"][arch] = {"error": error.message}
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Workbench:
    """A builder image that compiles for one arch. `pythons` are those under /opt/python, as `cp39-cp39`.

    `environment` has the image's own variables that builds are given; they get no other of it.
    """

    image: images.Image
    cxx: tuple[str, ...]
    identity: str
    cross: bool
    ccache: PurePosixPath | None
    pythons: tuple[str, ...]
    environment: Mapping[str, str]

    def phases(self, job: Job, compilers: int) -> dict[str, list[list[str]]]:
        """The commands of each phase of a build, as run inside."""
        layout = steps.Layout(
            root=INSIDE,
            compile=INSIDE / steps.COMPILE.name,
            cmake=_TOOLS / "cmake",
            ninja=_TOOLS / "ninja",
            python=_TOOLS / "python",
            cxx=self.cxx,
            ccache=None if job.fresh else self.ccache,
        )
        phases = {
            "configure": [steps.configure(job.recipe, layout, cross=self.cross)],
            "compile": [steps.compile_command(layout, job.jobs or compilers)],
            "install": steps.install_commands(layout),
        }
        # Of variables that an image, or cibuildwheel, sets there is no word in a content key.
        alone = ["env", "-i", *(f"{name}={value}" for name, value in self._variables(job).items())]
        return {phase: [[*alone, *command] for command in commands] for phase, commands in phases.items()}

    def _variables(self, job: Job) -> dict[str, str]:
        """The variables of every command inside: all of them."""
        cache = {"CCACHE_DIR": str(INSIDE / "ccache"), "CCACHE_MAXSIZE": _CACHE_SIZE}
        if job.fresh:  # the compiler may itself be a link to ccache
            cache = {"CCACHE_DISABLE": "1"}
        return steps.environment(
            self.environment, cache, home=PurePosixPath("/tmp"), compiler=job.recipe.compiler
        )


class Builders:
    """The builder images on a base: None takes the newest one that serves a policy, else makes its own.

    What was found is kept; several threads may ask.
    """

    def __init__(self, shop: images.ImageShop, base: str | None) -> None:
        self._shop = shop
        self._base = base
        self._lock = threading.Lock()
        self._found: dict[tuple[str, str, str], Workbench] = {}

    def workbench(self, arch: str, policy: str, *, machine: str) -> Workbench:
        """An image for `machine` with a compiler for `arch`; made when there is none.

        Raises ContainerError, DebianError, or EngineError when the image is of no use.
        """
        with self._lock:
            if not self._found:
                containers.sweep(containers.connect())
            key = (arch, policy, machine)
            if key not in self._found:
                self._found[key] = self._look(arch, policy, machine)
            return self._found[key]

    def _look(self, arch: str, policy: str, machine: str) -> Workbench:
        if self._base is None:
            image = images.default_builder(machine, self._shop, policy)
        else:
            image = images.ensure_image(machine, self._shop, self._base, policy=policy)
        inside = self._inside(image)
        compiler = inside["compilers"].get(arch, {"error": f"{arch} is not known"})
        if "error" in compiler:
            raise EngineError(
                f"{image.name} has no C++ compiler for {arch}: {compiler['error']}",
                hint="`--base debian` has one for both; or build on a machine of that architecture",
            )
        return Workbench(
            image=image,
            cxx=tuple(compiler["cxx"]),
            identity=str(compiler["identity"]),
            cross=bool(compiler["cross"]),
            ccache=PurePosixPath(inside["ccache"]) if inside["ccache"] else None,
            pythons=tuple(inside["pythons"]),
            environment=dict(inside["environment"]),
        )

    def _inside(self, image: images.Image) -> Mapping[str, Any]:
        """What the image has to compile with, asked once for each question: its ID is its content."""
        search = Path(compiler_search.__file__).read_text(encoding="utf-8")
        asked = hashlib.sha256(f"{image.id} {_PROBE} {search}".encode()).hexdigest()
        known = self._shop.state / "compilers" / f"{asked}.json"
        if known.is_file():
            with suppress(OSError, ValueError):  # what cannot be read is asked again
                return _answer(read_regular(known, MAX_TEXT))
        package = Path(wheelmill.__file__).parent
        spec = Spec(image.id, mounts=(Mount(package, "/wheelmill/probe/wheelmill"),))
        command = [str(_TOOLS / "python"), "-B", "-c", _PROBE, "x86_64", "aarch64"]
        with Container(containers.connect(), spec) as container:
            code, output = container.run(command)
        if code:
            last = (output.strip().splitlines() or ["no output"])[-1]
            raise EngineError(
                f"{image.name} is not a builder image: {last}",
                hint=f"make one: wheelmill image {image.arch}",
            )
        with disk_errors("write", known):
            known.parent.mkdir(parents=True, exist_ok=True)
            part = known.with_suffix(f".{os.getpid()}")
            part.write_text(output)
            part.replace(known)
        return _answer(output)


class _Compiler(TypedDict, total=False):
    error: str
    cxx: list[str]
    identity: str
    cross: bool


class _Inside(TypedDict):
    """What the probe prints."""

    ccache: str | None
    pythons: list[str]
    environment: dict[str, str]
    compilers: dict[str, _Compiler]


def _answer(printed: str | bytes) -> Mapping[str, Any]:
    """What the probe printed. Raises ValueError for anything else."""
    return dict(from_plain(_Inside, parse_json(printed)))


@dataclass(frozen=True)
class Options:
    """How containers are run. `base` of the builder image: None takes the newest one, else the default base.

    `keep` leaves the container of a failed build, `shell` opens a shell in it first.
    """

    base: str | None = None
    limits: Limits | None = None  # None: what this machine has
    keep: bool = False
    shell: bool = False


class ContainerEngine(ABC):
    """What the engines of containers have in common: builder images and limits.

    Images are made with `shop` when they are first needed.
    """

    def __init__(
        self, shop: images.ImageShop, options: Options | None = None, builders: Builders | None = None
    ) -> None:
        self.shop = shop
        self.options = options or Options()
        self._builders = builders or Builders(shop, self.options.base)

    @abstractmethod
    def machine(self, arch: str) -> str:
        """The architecture of the image that compiles for `arch`."""

    def workbench(self, arch: str, policy: str) -> Workbench:
        """What compiles for `arch`. Raises ContainerError, DebianError or EngineError."""
        return self._builders.workbench(arch, policy, machine=self.machine(arch))

    def identity(self, arch: str, policy: str) -> str:
        """See Engine. Raises ContainerError, DebianError or EngineError."""
        return self.workbench(arch, policy).identity

    def image(self, arch: str, policy: str) -> BuildImage:
        """See Engine. Raises ContainerError, DebianError or EngineError."""
        image = self.workbench(arch, policy).image
        base, dockerfile = (
            image.labels.get(images.BASE_LABEL, ""),
            image.labels.get(images.DOCKERFILE_LABEL, ""),
        )
        return BuildImage(image.name, image.id, base, dockerfile)

    def limits(self) -> Limits:
        """What all builds together may take of this machine."""
        return self.options.limits or Limits.of_machine()

    def compilers(self) -> int:
        """See Engine."""
        return self.limits().compilers


def prepare(job: Job, image: images.Image, state: Path) -> tuple[Path, tuple[Mount, ...]]:
    """The job's work folder, with its old result removed and a log begun, and what a container of it sees.

    Sources and SDK are read-only; work folder and cache belong to the container's user.
    """
    work, cache = job.workdir / "container", state / "ccache"
    with disk_errors("prepare the work folder", work):
        shutil.rmtree(work / "prefix", ignore_errors=True)
        for folder in (work, cache):
            folder.mkdir(parents=True, exist_ok=True)
            containers.hand_over(folder)
        job.log.parent.mkdir(parents=True, exist_ok=True)
        job.log.write_bytes(f"recipe {job.recipe.key}\n{job.recipe}\nimage {image}\n".encode())
    return work, (
        Mount(steps.COMPILE, str(INSIDE / steps.COMPILE.name)),
        Mount(job.sources, str(INSIDE / "sources")),
        Mount(job.sdk, str(INSIDE / "sdk")),
        Mount(work, str(WORK), writable=True),
        Mount(cache, str(INSIDE / "ccache"), writable=True),
    )
