"""CMake and Ninja: from PATH, from this interpreter's environment, else from the package index."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wheelmill.errors import WheelmillError
from wheelmill.make.toolchain.pip_index import reason
from wheelmill.progress import Progress, silent
from wheelmill.store.lock import Lock

_PROGRAMS = ("cmake", "ninja")
# Every file by its hash; builder images are made from the same lock.
LOCK = Path(__file__).parents[4] / "docker" / "X86" / "tools.txt"


class ToolsError(WheelmillError):
    """CMake or Ninja is not there and could not be had."""


@dataclass(frozen=True)
class Tools:
    """The programs that run a native build."""

    cmake: Path
    ninja: Path
    ccache: Path | None


def find_tools(project: Path, folder: Path, progress: Progress = silent) -> Tools:
    """CMake (at least what `project`/CMakeLists.txt asks for), Ninja, and ccache where it is installed.

    What is missing is installed from the package index into `folder`, once. Raises ToolsError when that
    fails.
    """
    least = _minimum_cmake(project / "CMakeLists.txt")
    cmake = next((path for path in _found("cmake", folder) if cmake_version(path) >= least), None)
    ninja = next(_found("ninja", folder), None)
    if cmake is None or ninja is None:
        _install(folder, progress)
        cmake = next((path for path in _found("cmake", folder) if cmake_version(path) >= least), None)
        ninja = next(_found("ninja", folder), None)
    if cmake is None or ninja is None:
        raise ToolsError(
            f"the package index has no CMake >= {'.'.join(map(str, least))} with Ninja for this machine",
            hint="install them, e.g. apt-get install cmake ninja-build",
        )
    ccache = shutil.which("ccache")
    return Tools(cmake, ninja, Path(ccache) if ccache else None)


def _found(name: str, folder: Path) -> Iterator[Path]:
    """Programs of this name, best first; the package of CMake keeps its binary in a data folder."""
    on_path = shutil.which(name)
    if on_path:
        yield Path(on_path)
    places = [
        Path(sysconfig.get_path("scripts"), name),
        folder / name / "data" / "bin" / name,
        folder / "bin" / name,
    ]
    module = importlib.util.find_spec(name)
    if module is not None and module.origin is not None:
        places.append(Path(module.origin).parent / "data" / "bin" / name)
    yield from (place for place in places if os.access(place, os.X_OK))


# Of ccache's own variables those that no byte depends on; what else it may be told is told it by the build.
_VARIABLES = {"cache_dir": "CCACHE_DIR", "max_size": "CCACHE_MAXSIZE"}
_REMOTE = ("remote_storage", "CCACHE_REMOTE_STORAGE")  # known to ccache 4.7 and newer
_OF_CCACHE = ("CCACHE_DISABLE", "CCACHE_LOGFILE", "CCACHE_READONLY", "CCACHE_RECACHE", "CCACHE_TEMPDIR")


def cache_settings(ccache: Path | None, environment: Mapping[str, str]) -> dict[str, str]:
    """Where the user's cache of compiled files lies, here and elsewhere, and how large it may be here.

    They are variables for ccache. Asked of ccache itself: the user's variables or configuration say it.
    {} where there is no ccache.
    """
    if ccache is None:
        return {}
    kept = {name: environment[name] for name in _OF_CCACHE if name in environment}
    for name in ("cache_dir", "max_size"):
        done = _ask(ccache, name, environment)
        if done.returncode:
            raise ToolsError(
                f"{ccache} does not say its {name}: {done.stderr.strip() or 'no reason given'}",
                hint="fix its configuration, or name a folder for its files in $CCACHE_DIR",
            )
        kept[_VARIABLES[name]] = done.stdout.strip()
    return kept | remote_cache(ccache, environment)


def remote_cache(ccache: Path | None, environment: Mapping[str, str]) -> dict[str, str]:
    """The user's cache on other machines, as a variable for ccache; {} without one."""
    if ccache is None:
        return {}
    name, variable = _REMOTE
    done = _ask(ccache, name, environment)
    address = done.stdout.strip() if done.returncode == 0 else ""
    return {variable: address} if address else {}


def _ask(ccache: Path, name: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [str(ccache), "--get-config", name]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def cmake_version(cmake: Path) -> tuple[int, ...]:
    """(3, 25, 1); () for a program that does not say."""
    try:
        done = subprocess.run([cmake, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return ()
    found = re.search(r"cmake version (\d+)\.(\d+)\.(\d+)", done.stdout)
    return tuple(int(part) for part in found.groups()) if found else ()


def _minimum_cmake(lists: Path) -> tuple[int, ...]:
    found = re.search(r"cmake_minimum_required\s*\(\s*VERSION\s+([\d.]+)", lists.read_text(), re.IGNORECASE)
    if found is None:
        raise ToolsError(f"{lists} does not begin with cmake_minimum_required(VERSION ...)")
    return tuple(int(part) for part in found[1].split("."))


def _install(folder: Path, progress: Progress) -> None:
    """pip install cmake and ninja into `folder`, which appears complete or not at all."""
    with Lock(folder.with_suffix(".lock"), waiting=progress):
        if all(any(place.is_relative_to(folder) for place in _found(name, folder)) for name in _PROGRAMS):
            return  # another process has just done it
        shutil.rmtree(folder, ignore_errors=True)  # e.g. restored by a cache that drops the right to execute
        progress("installing CMake and Ninja from the package index")
        scratch = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(scratch, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--target", str(scratch), "--only-binary=:all:", "--require-hashes", "-r", str(LOCK)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            shutil.rmtree(scratch, ignore_errors=True)
            raise ToolsError(
                f"CMake and Ninja are not installed, and pip could not get them: {reason(done.stderr)}",
                hint="install them, e.g. apt-get install cmake ninja-build",
            )
        scratch.rename(folder)
