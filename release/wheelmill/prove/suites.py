"""The adapter's and the simulator's own tests: C++ by ctest, Python by pytest on freshly built wheels."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version

from wheelmill.errors import WheelmillError
from wheelmill.make.engines import cmake as steps

if TYPE_CHECKING:
    from wheelmill.console import Console
    from wheelmill.make.build import Workshop
    from wheelmill.matrix import Cell

# Suites, and whether they run as programs on the simulator: its own tests drive its libraries by hand.
SUITES = {"adapter/ops/tests": False, "simulator/tests": False, "adapter/tests": True}
# What the suites import beside torch and what the matrix names with it (PyYAML, NumPy of its time); PyTorch's
# own operator samples need the later ones.
PACKAGES = (
    "pytest>=8",
    "pytest-timeout",
    "pytest-xdist",
    "expecttest",
    "hypothesis",
    "pyelftools",
    "psutil",
    "setuptools",  # torch builds C++ extensions with it
)
# Whole suites run in as many processes as there are cores, each file or group of files in one of them; chosen
# tests run in one, which starts sooner.
WORKERS = ("-p", "by_file", "--numprocesses=auto", "--maxprocesses=4", "--max-worker-restart=0")

# Programs of other projects, as their users run them: the packages, and the oldest torch and Python that
# these versions take. Tests of an older cell leave the folder out.
PROGRAMS = "adapter/tests/programs"
PROGRAM_PACKAGES = ("transformers==5.24.0", "accelerate==1.15.0")
PROGRAMS_NEED = {"torch": "2.6", "python": "3.11"}
# Those whose packages take longest to install and import: only with tests that run on demand.
MORE_PROGRAMS = f"{PROGRAMS}/more"
MORE_PROGRAM_PACKAGES = ("peft==0.21.2", "diffusers==0.42.1", "pytorch-lightning==2.6.6", "timm==1.0.31")


class AdapterTestError(WheelmillError):
    """The tests could not be started."""


_NO_TESTS = 5  # pytest's exit code


# Every C++ test that needs no torch, by CMake's settings: one build of simulator and core for each.
NATIVE_TESTS = "cann/testing"
NATIVE_SUITES: Mapping[str, tuple[str, ...]] = {
    "plain": (),
    "address sanitizer": ("NATIVE_SANITIZE=address",),
    "thread sanitizer": ("NATIVE_SANITIZE=thread",),
}


def run_native(workshop: Workshop, console: Console) -> None:
    """Build every native suite and run its tests; raises AdapterTestError when anything of it fails."""
    from wheelmill.make.toolchain.tools import cache_settings, find_tools

    tools = find_tools(workshop.sources / "adapter", workshop.store.root / "tools", workshop.progress)
    cache = cache_settings(tools.ccache, os.environ)
    launcher = () if tools.ccache is None else (f"CMAKE_CXX_COMPILER_LAUNCHER={tools.ccache}",)
    jobs = str(workshop.jobs or workshop.engine.compilers())
    source = str(workshop.sources / NATIVE_TESTS)
    for name, chosen in NATIVE_SUITES.items():
        build = workshop.store.root / "native-tests" / name.split()[0]
        settings = (f"CMAKE_MAKE_PROGRAM={tools.ninja}", *launcher, *chosen)
        with console.step(f"native tests: {name}"):
            configure = [str(tools.cmake), "-S", source, "-B", str(build), "-G", "Ninja"]
            building = steps.environment(os.environ, cache, home=build)
            _call([*configure, *(f"-D{setting}" for setting in settings)], build, building)
            _call([str(tools.cmake), "--build", str(build), "--parallel", jobs], build, building)
            ctest = [str(tools.cmake.with_name("ctest")), "--test-dir", str(build), "--output-on-failure"]
            _call([*ctest, "--no-tests=error", "--timeout", "300", "--parallel", jobs], build, os.environ)


def proving(cell: Cell, torch: str) -> Cell:
    """The cell as it will be once another torch is proven with its build."""
    return replace(cell, line=replace(cell.line, torch=cell.line.torch.proving(torch)))


def install_torch(version: str, home: Path, console: Console, hashes: Iterable[str] = ()) -> None:
    """Put another torch in the place of that of the environment in `home`, which the wheels there ask for.

    It is held to these SHA-256, if there are any.
    """
    pip = [str(home / "env" / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    with console.step(f"torch {version}"):
        if known := [f"--hash=sha256:{digest}" for digest in hashes]:
            wanted = home / "torch.txt"
            wanted.write_text(f"torch=={version} {' '.join(known)}\n", encoding="utf-8")
            _call([*pip, "--no-deps", "--require-hashes", "-r", str(wanted)], home, os.environ)
        _call([*pip, f"torch=={version}"], home, os.environ)


def takes_programs(torch: str, python: str) -> bool:
    """Whether the packages of PROGRAMS can be installed beside this torch, on this Python."""
    found = {"torch": torch, "python": python}
    return all(Version(found[name]) >= Version(oldest) for name, oldest in PROGRAMS_NEED.items())


def program_packages(torch: str, python: str, words: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The folders of programs that pytest takes in with these words, and what each of them needs."""
    if not takes_programs(torch, python):
        return {}
    if not any(word.endswith("on_demand") for word in words):
        return {PROGRAMS: PROGRAM_PACKAGES}
    # The exact torch, so that no dependency brings another.
    return {PROGRAMS: PROGRAM_PACKAGES, MORE_PROGRAMS: (*MORE_PROGRAM_PACKAGES, f"torch=={torch}")}


def run_python(
    cell: Cell, torch: str | None, home: Path, console: Console, checkout: Path, words: tuple[str, ...]
) -> int:
    """Run the Python suites on the cell's wheels, installed in `home` with this torch (default: that which
    they are built for); pytest's exit code."""
    bin_folder = home / "env" / "bin"
    python = str(bin_folder / "python")
    programs = program_packages(torch or cell.line.torch.version, cell.python, words)
    packages = (*PACKAGES, *cell.line.torch.dependencies, *chain.from_iterable(programs.values()))
    with console.step("test tools"):
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
        _call(pip, home, os.environ)
    pytest = [
        python,
        "-m",
        "pytest",
        "-p",
        "no_skips",
        "-c",
        "adapter/pytest.ini",
        "--rootdir",
        "adapter",
        *(f"--ignore={folder}" for folder in (PROGRAMS, MORE_PROGRAMS) if folder not in programs),
        *(words or WORKERS),
    ]
    libraries = next(home.glob("env/lib/python*/site-packages/cann_simulator/lib"))
    environment = {
        **os.environ,
        "PYTHONPATH": "ci",
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "CANN_SIMULATOR_LIBRARIES": str(libraries),
    }
    codes = []
    for suite, simulated in SUITES.items():
        wrapper = [str(bin_folder / "cann-simulator"), "run", "--"] if simulated else []
        extra = {} if simulated else {"TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}
        done = subprocess.run(
            [*wrapper, *pytest, suite], cwd=checkout, env={**environment, **extra}, check=False
        )
        nothing_chosen = done.returncode == _NO_TESTS and bool(words)  # -k and its like may empty a suite
        codes.append(0 if nothing_chosen else done.returncode)
    return max(codes)


def _call(command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
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
