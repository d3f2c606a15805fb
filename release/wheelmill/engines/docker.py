"""The engine that releases are built with: the same CMake steps in a container of a builder image.

Sources and SDK come in read-only, compiling has no network and no privileges; only a work folder is written.
An x86_64 builder cross-compiles for aarch64; nothing is compiled under emulation.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import wheelmill
from wheelmill import containers, images
from wheelmill.containers import Container, Mount, Spec
from wheelmill.engines import BundleResult, EngineError, Job
from wheelmill.engines import cmake as steps
from wheelmill.engines.process import TimedOutError
from wheelmill.limits import Limits
from wheelmill.progress import Progress
from wheelmill.store.errors import disk_errors
from wheelmill.toolchain.compiler import host_arch

# The same for every build on every machine, so that no path of a machine gets into the result.
_INSIDE = PurePosixPath("/wheelmill")
_TOOLS = PurePosixPath("/opt/wheelmill/bin")  # where docker/*/Dockerfile puts them
_CACHE_SIZE = "5G"  # of compiled files, over all builds of this state folder

# Runs in the image with this package's own compiler search, so both engines mean the same by an identity.
_PROBE = """
import json, shutil, sys
sys.path.insert(0, "/wheelmill/probe")
from wheelmill.errors import WheelmillError
from wheelmill.toolchain.compiler import find_compiler
found = {"ccache": shutil.which("ccache"), "compilers": {}}
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
class Options:
    """How containers are run. `base` of the builder image: None takes the newest one, else the default base.

    `keep` leaves the container of a failed build, `shell` opens a shell in it first.
    """

    base: str | None = None
    limits: Limits | None = None  # None: what this machine has
    keep: bool = False
    shell: bool = False


class DockerEngine:
    """Compiles in containers. Images are made when they are first needed, with `shop`."""

    name = "docker"

    def __init__(self, shop: images.ImageShop, options: Options | None = None) -> None:
        self._shop = shop
        self._options = options or Options()

    def identity(self, arch: str) -> str:
        """See Engine. Raises ContainerError, DebianError or EngineError."""
        return str(self._compiler(arch)["identity"])

    def compilers(self) -> int:
        """See Engine."""
        return self._limits().compilers

    def _limits(self) -> Limits:
        return self._options.limits or Limits.of_machine()

    def build(self, job: Job, progress: Progress) -> BundleResult:
        """See Engine. Raises ContainerError or EngineError; leaves no container unless asked to."""
        compiler = self._compiler(job.recipe.arch)
        layout = self._layout(compiler, job.fresh)
        work, cache = job.workdir / "container", self._shop.state / "ccache"
        with disk_errors("prepare the work folder", work):
            shutil.rmtree(work / "prefix", ignore_errors=True)
            for folder in (work, cache):
                folder.mkdir(parents=True, exist_ok=True)
                containers.hand_over(folder)
            job.log.parent.mkdir(parents=True, exist_ok=True)
            job.log.write_bytes(f"recipe {job.recipe.key}\n{job.recipe}\nimage {self._image}\n".encode())
        mounts = (
            Mount(job.adapter, str(layout.source)),
            Mount(job.sdk, str(layout.sdk)),
            Mount(work, str(_INSIDE / "work"), writable=True),
            Mount(cache, str(_INSIDE / "ccache"), writable=True),
        )
        limits = self._limits().part(job.part)
        jobs = job.jobs or limits.compilers
        phases = {
            "configure": [steps.configure(job.recipe, layout, cross=bool(compiler["cross"]))],
            "compile": [steps.compile_command(layout, jobs)],
            "install": steps.install_commands(layout),
        }
        spec = Spec(
            image=self._image.id,
            mounts=mounts,
            limits=limits,
            user=containers.unprivileged_user(),
            name=f"wheelmill-{job.recipe.key[:16]}",
            keep=self._options.keep,
        )
        seconds = self._run_phases(spec, phases, job, progress)
        return BundleResult(work / "prefix", seconds)

    # ------------------------------------------------------------------------------------- the builder image
    @cached_property
    def _client(self) -> Any:
        client = containers.connect()
        containers.sweep(client)
        return client

    @cached_property
    def _image(self) -> images.Image:
        arch = host_arch()
        found = images.current_builder(arch, self._shop) if self._options.base is None else None
        return found or images.ensure_image(arch, self._shop, self._options.base)

    @cached_property
    def _inside(self) -> Mapping[str, Any]:
        """What the image has to compile with. Asked once per image: its ID stands for its content."""
        known = self._shop.state / "compilers" / f"{self._image.id.removeprefix('sha256:')}.json"
        if known.is_file():
            return dict(json.loads(known.read_text()))
        package = Path(wheelmill.__file__).parent
        spec = Spec(self._image.id, mounts=(Mount(package, "/wheelmill/probe/wheelmill"),))
        command = [str(_TOOLS / "python"), "-B", "-c", _PROBE, "x86_64", "aarch64"]
        with Container(self._client, spec) as container:
            code, output = container.run(command)
        if code:
            last = (output.strip().splitlines() or ["no output"])[-1]
            raise EngineError(
                f"{self._image.name} is not a builder image: {last}",
                hint="make one: wheelmill image " + host_arch(),
            )
        with disk_errors("write", known):
            known.parent.mkdir(parents=True, exist_ok=True)
            part = known.with_suffix(f".{os.getpid()}")
            part.write_text(output)
            part.replace(known)
        return dict(json.loads(output))

    def _compiler(self, arch: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._inside["compilers"].get(arch, {"error": f"{arch} is not known"})
        if "error" in found:
            raise EngineError(
                f"{self._image.name} has no C++ compiler for {arch}: {found['error']}",
                hint="`--base debian` has one for both; or build on a machine of that architecture",
            )
        return found

    def _layout(self, compiler: Mapping[str, Any], fresh: bool) -> steps.Layout:
        ccache = None if fresh else self._inside["ccache"]
        return steps.Layout(
            source=_INSIDE / "adapter",
            sdk=_INSIDE / "sdk",
            build=_INSIDE / "work" / "build",
            prefix=_INSIDE / "work" / "prefix",
            cmake=_TOOLS / "cmake",
            ninja=_TOOLS / "ninja",
            python=_TOOLS / "python",
            cxx=tuple(compiler["cxx"]),
            ccache=PurePosixPath(ccache) if ccache else None,
        )

    # --------------------------------------------------------------------------------------------- compiling
    def _run_phases(
        self, spec: Spec, phases: Mapping[str, list[list[str]]], job: Job, progress: Progress
    ) -> dict[str, float]:
        """Run every command in one container; the seconds of each phase."""
        seconds = {}
        with Container(self._client, spec) as container:
            for phase, commands in phases.items():
                started = time.monotonic()
                for command in commands:
                    self._run(phase, command, container, job, progress)
                seconds[phase] = round(time.monotonic() - started, 3)
        return seconds

    def _run(
        self, phase: str, command: list[str], container: Container, job: Job, progress: Progress
    ) -> None:
        progress(phase)
        lines: list[str] = []
        try:
            code = container.run_logged(
                command,
                log=job.log,
                environment=_environment(),
                timeout=job.timeout,
                on_line=steps.follower(phase, lines, progress),
                stop=job.stop,
            )
        except TimedOutError:
            raise EngineError(
                f"{phase} of {job.recipe.name} did not end within {job.timeout:.0f} s and was stopped",
                hint=f"full log: {job.log}; run the same command again: what is compiled already is kept",
            ) from None
        if code:
            raise self._failure(phase, code, lines, container, job)

    def _failure(
        self, phase: str, code: int, lines: list[str], container: Container, job: Job
    ) -> EngineError:
        shown = "\n  ".join(steps.error_lines(lines))
        text = "\n".join(lines)
        hints = [f"full log: {job.log}"]
        if "No space left on device" in text:
            hints.insert(
                0, f"the disk of {job.workdir} is full; free some space and run the same command again"
            )
        elif "Killed signal" in text or container.out_of_memory():
            hints.insert(0, "a compiler was killed for want of memory: allow more of it, or fewer jobs")
        if self._options.shell:
            hints += _open_shell(container, shown)
        if self._options.keep:
            short = container.id[:12]
            hints.append(f"the container stays: docker exec -it {short} bash; then docker rm -f {short}")
        return EngineError(
            f"{phase} of {job.recipe.name} failed (exit {code}):\n  {shown}", hint="\n".join(hints)
        )


def _environment() -> dict[str, str]:
    ccache = {"CCACHE_DIR": str(_INSIDE / "ccache"), "CCACHE_MAXSIZE": _CACHE_SIZE}
    return steps.environment(ccache, workdir=_INSIDE / "work")


def _open_shell(container: Container, shown: str) -> list[str]:
    """A shell in the container of a failed build, until it is left. Returns what the hints must say more."""
    client = shutil.which("docker")
    if client is None or not sys.stdin.isatty():
        return ["no shell was opened: that needs a terminal and the docker command"]
    print(
        f"{shown}\nA shell in the container; the build lies in {_INSIDE}/work. Leave it with exit.",
        file=sys.stderr,
    )
    subprocess.run([client, "exec", "-it", container.id, "/bin/bash"], check=False)
    return []
