"""The engine that needs nothing but a compiler on this machine; it cross-compiles for the other arch."""

from __future__ import annotations

import os
import shutil
import site
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from wheelmill.limits import Limits
from wheelmill.make.engines import BundleResult, EngineError, Job
from wheelmill.make.engines import cmake as steps
from wheelmill.make.plan import BuildImage
from wheelmill.make.toolchain.compiler import Compiler, find_compiler
from wheelmill.progress import Progress
from wheelmill.store.errors import disk_errors

if TYPE_CHECKING:
    from wheelmill.make.toolchain.tools import Tools


class HostEngine:
    """Compiles with this machine's own (or its cross) compiler, CMake and Ninja.

    `tools` is the folder that CMake and Ninja are installed to where the machine has none. `limits` counts
    compilers: None is what the machine has.
    """

    name = "host"

    def __init__(self, tools: Path, limits: Limits | None = None) -> None:
        self._tools = tools
        self._limits = limits
        self._compiler = cache(find_compiler)

    def identity(self, arch: str, policy: str) -> str:
        """See Engine: there is one compiler, whatever the policy. Raises CompilerError."""
        return self._compiler(arch).identity

    def image(self, arch: str, policy: str) -> BuildImage:
        """See Engine: none."""
        return BuildImage()

    def compilers(self) -> int:
        """See Engine."""
        return (self._limits or Limits.of_machine()).compilers

    def build(self, job: Job, progress: Progress) -> BundleResult:
        """See Engine. Raises CompilerError, ToolsError or EngineError."""
        from wheelmill.make.toolchain.tools import find_tools

        compiler = self._compiler(job.recipe.arch)
        tools = find_tools(job.sources / "adapter", self._tools, progress)
        layout = _layout(job, compiler, tools)
        shutil.rmtree(Path(layout.prefix), ignore_errors=True)
        _link(Path(layout.sdk), job.sdk)
        environment = _environment(job, tools)
        job.log.parent.mkdir(parents=True, exist_ok=True)
        job.log.write_bytes(f"recipe {job.recipe.key}\n{job.recipe}\n".encode())
        phases = {
            "configure": [steps.configure(job.recipe, layout, cross=compiler.cross)],
            "compile": [steps.compile_command(layout, job.jobs or self.compilers())],
            "install": steps.install_commands(layout),
        }
        seconds = {}
        for phase, commands in phases.items():
            started = time.monotonic()
            for command in commands:
                self._run(phase, command, environment, job, progress)
            seconds[phase] = round(time.monotonic() - started, 3)
        return BundleResult(Path(layout.prefix), seconds)

    def _run(
        self, phase: str, command: list[str], environment: Mapping[str, str], job: Job, progress: Progress
    ) -> None:
        from wheelmill.make.process import TimedOutError, run_logged

        progress(phase)
        lines: list[str] = []
        try:
            code = run_logged(
                command,
                log=job.log,
                environment=environment,
                timeout=job.timeout,
                on_line=steps.follower(phase, lines, progress),
                keep_open=job.keep_open,
                stop=job.stop,
            )
        except TimedOutError:
            raise EngineError(
                f"{phase} of {job.recipe.name} did not end within {job.timeout:.0f} s and was stopped",
                hint=f"run the same command again: what is compiled already is kept\nlog: {job.log}",
            ) from None
        if code:
            raise steps.failure(f"{phase} of {job.recipe.name} failed", code, lines, job)


def _layout(job: Job, compiler: Compiler, tools: Tools) -> steps.Layout:
    return steps.Layout(
        root=job.workdir.resolve(),  # compilers run in it by that name
        compile=steps.COMPILE,
        cmake=tools.cmake,
        ninja=tools.ninja,
        python=Path(sys.executable),
        cxx=compiler.cxx,
        ccache=None if job.fresh else tools.ccache,
    )


def _link(link: Path, target: Path) -> None:
    """Let the SDK be found below the root: by the same words in every folder."""
    with disk_errors("prepare", link):
        link.unlink(missing_ok=True)
        link.symlink_to(target.resolve())


def _environment(job: Job, tools: Tools) -> dict[str, str]:
    from wheelmill.make.toolchain.tools import cache_settings

    # A compiler may itself be a link to ccache.
    cache = {"CCACHE_DISABLE": "1"} if job.fresh else cache_settings(tools.ccache, os.environ)
    found = steps.environment(os.environ, cache, home=job.workdir, compiler=job.recipe.compiler)
    return {**found, "PYTHONUSERBASE": site.getuserbase()}  # where PyYAML may lie, whatever HOME says
