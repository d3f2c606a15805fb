"""The engine that releases are built with: the same CMake steps in a container of a builder image.

Sources and SDK come in read-only, compiling has no network and no privileges; only a work folder is written.
An x86_64 builder cross-compiles for aarch64; nothing is compiled under emulation.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Mapping

from wheelmill.make import containers
from wheelmill.make.containers import Container, Spec
from wheelmill.make.engines import BundleResult, EngineError, Job
from wheelmill.make.engines import cmake as steps
from wheelmill.make.engines.builder import WORK, ContainerEngine, prepare
from wheelmill.make.process import TimedOutError
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.progress import Progress


class DockerEngine(ContainerEngine):
    """Compiles on this machine's architecture, with a cross compiler for the other one."""

    name = "docker"

    def machine(self, arch: str) -> str:
        """See ContainerEngine."""
        return host_arch()

    def build(self, job: Job, progress: Progress) -> BundleResult:
        """See Engine. Raises ContainerError or EngineError; leaves no container unless asked to."""
        bench = self.workbench(job.recipe.arch, job.policy)
        work, mounts = prepare(job, bench.image, self.shop.state)
        limits = self.limits().part(job.part)
        spec = Spec(
            image=bench.image.id,
            mounts=mounts,
            limits=limits,
            user=containers.unprivileged_user(),
            name=containers.name_for(job.recipe.key, job.workdir),
            keep=self.options.keep,
        )
        seconds = self._run_phases(spec, bench.phases(job, limits.compilers), job, progress)
        return BundleResult(work / "prefix", seconds)

    # --------------------------------------------------------------------------------------------- compiling
    def _run_phases(
        self, spec: Spec, phases: Mapping[str, list[list[str]]], job: Job, progress: Progress
    ) -> dict[str, float]:
        """Run every command in one container; the seconds of each phase."""
        seconds = {}
        with Container(containers.connect(), spec) as container:
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
                environment={},  # the command brings all its variables
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
        hints = []
        if self.options.shell:
            hints += _open_shell(container, "\n  ".join(steps.error_lines(lines)))
        if self.options.keep:
            short = container.id[:12]
            hints.append(f"the container stays: docker exec -it {short} bash; then docker rm -f {short}")
        what, starved = f"{phase} of {job.recipe.name} failed", container.out_of_memory()
        return steps.failure(what, code, lines, job, hints=hints, starved=starved)


def _open_shell(container: Container, shown: str) -> list[str]:
    """A shell in the container of a failed build, until it is left. Returns what the hints must say more."""
    client = shutil.which("docker")
    if client is None or not sys.stdin.isatty():
        return ["no shell was opened: that needs a terminal and the docker command"]
    print(
        f"{shown}\nA shell in the container; the build is in {WORK}. Type exit to leave.",
        file=sys.stderr,
    )
    subprocess.run([client, "exec", "-it", container.id, "/bin/bash"], check=False)
    return []
