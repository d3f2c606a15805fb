"""The adapter's and the simulator's own tests: C++ by ctest, Python by pytest on freshly built wheels."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from wheelmill.build import Workshop, make_plan
from wheelmill.engines import cmake as steps
from wheelmill.errors import WheelmillError

if TYPE_CHECKING:
    from wheelmill.console import Console
    from wheelmill.matrix import Cell
    from wheelmill.pipeline import Outcome

SUITES = ("adapter/tests", "adapter/simulator/tests", "adapter/ops/tests")
# What the suites import beside torch and pytest; PyTorch's own operator samples need the later ones.
PACKAGES = (
    "pytest>=8",
    "pytest-timeout",
    "numpy",
    "pyyaml",
    "expecttest",
    "hypothesis",
    "pyelftools",
    "psutil",
)


class AdapterTestError(WheelmillError):
    """The tests could not be started."""


def run_native(cell: Cell, workshop: Workshop, console: Console) -> None:
    """Configure with tests, build, and run ctest; raises AdapterTestError when anything of it fails."""
    from wheelmill.engines.host import parallel_jobs
    from wheelmill.toolchain import sdk
    from wheelmill.toolchain.compiler import find_compiler
    from wheelmill.toolchain.tools import find_tools

    made = make_plan((cell,), workshop)
    if made.refused:
        raise AdapterTestError(f"{cell.key} cannot be built: {made.refused[0].reason}")
    tools = find_tools(workshop.adapter, workshop.store.root / "tools", workshop.progress)
    settings = ("CMAKE_BUILD_TYPE=Release", "NPU_BUILD_SIMULATOR=ON", "NPU_BUILD_TESTS=ON")
    recipe = dataclasses.replace(made.groups[0].bundle, settings=settings)
    build = workshop.store.root / "native-tests" / recipe.name
    layout = steps.Layout(
        source=workshop.adapter,
        sdk=sdk.ensure(cell.line.torch, cell.arch, workshop.store, workshop.progress).root,
        build=build,
        prefix=build / "prefix",
        cmake=tools.cmake,
        ninja=tools.ninja,
        python=Path(sys.executable),
        cxx=find_compiler(cell.arch).cxx,
        ccache=tools.ccache,
    )
    with console.step("native tests: build"):
        _call(steps.configure(recipe, layout, cross=False), build)
        _call(steps.compile_command(layout, workshop.jobs or parallel_jobs()), build)
    with console.step("native tests: run"):
        ctest = str(tools.cmake.with_name("ctest"))
        _call(
            [ctest, "--test-dir", str(build), "--output-on-failure", "--no-tests=error", "--timeout", "300"],
            build,
        )


def run_python(
    outcome: Outcome, workshop: Workshop, console: Console, checkout: Path, words: tuple[str, ...]
) -> int:
    """Run the Python suites under the simulator, on the installed wheels of `outcome`; pytest's exit code."""
    from wheelmill.pipeline import run_smoke

    with console.step("environment with the built wheels"):
        result = run_smoke(outcome.built.cell, workshop, keep=True)
    if result.environment is None:
        raise AdapterTestError(f"the tests need the cell to run here: {result.reason}")
    bin_folder = result.environment / "env" / "bin"
    python = str(bin_folder / "python")
    with console.step("test tools"):
        _call(
            [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES],
            result.environment,
        )
    suites = [suite for suite in SUITES if (checkout / suite).is_dir()]
    command = [str(bin_folder / "cann-simulator"), "run", "--", python, "-m", "pytest", "-p", "no_skips"]
    options = ["-c", "adapter/pytest.ini", "--rootdir", "adapter", "-q", *words]
    environment = {**os.environ, "PYTHONPATH": "ci", "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        [*command, *options, *suites], cwd=checkout, env=environment, check=False
    ).returncode


def _call(command: list[str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    environment = steps.environment(os.environ, workdir=folder)
    done = subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        shown = "\n  ".join(done.stdout.splitlines()[-60:])
        raise AdapterTestError(
            f"`{' '.join(command[:3])} ...` ended with exit code {done.returncode}:\n  {shown}"
        )
