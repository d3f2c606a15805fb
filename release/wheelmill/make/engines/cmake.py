"""The commands that turn the adapter's sources into a bundle: the one recipe that every engine runs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from wheelmill.make.engines import CompileError, EngineError, Job
from wheelmill.make.toolchain.compiler import compiler_environment
from wheelmill.progress import Progress

if TYPE_CHECKING:
    from wheelmill.make.plan import BundleRecipe

COMPONENTS = ("adapter", "simulator")

# Starts every compiler, so that what it writes depends on no folder and on no cache.
COMPILE = Path(__file__).with_name("compile.sh")

# GNU ld and the compilers say `error:`, CMake and Ninja have their own ways.
_ERROR = re.compile(
    r"\berror\b:|undefined reference|cannot find -l|No space left|Killed signal|ninja: fatal|: not found"
)
_MEMORY = "a compiler was killed for want of memory: allow more of it, or fewer jobs"
_OF_MACHINE = {
    r"No space left on device": "the disk of {} is full; free some space and run the same command again",
    r"Disk quota exceeded": "the disk quota of {} is used up; free some space and run the same command again",
    r"Killed signal|Cannot allocate memory|virtual memory exhausted": _MEMORY,
}
_PROGRESS = re.compile(r"^\[(\d+)/(\d+)\] ")

# Embedded nowhere as long as the sources use no __DATE__; fixed, so that it cannot matter when they do.
_EPOCH = "315532800"


@dataclass(frozen=True)
class Layout:
    """Folders and programs as the engine's processes see them.

    Below `root` every engine has the same folders, and compilers are given paths relative to the build's.
    """

    root: PurePath
    compile: PurePath  # COMPILE
    cmake: PurePath
    ninja: PurePath
    python: PurePath  # runs the code generation; has PyYAML
    cxx: tuple[str, ...]
    ccache: PurePath | None = None

    @property
    def source(self) -> PurePath:
        """The adapter in the sources' snapshot: its CMakeLists.txt builds all."""
        return self.root / "sources" / "adapter"

    @property
    def sdk(self) -> PurePath:
        """The torch to compile against, by whatever name it has elsewhere."""
        return self.root / "sdk"

    @property
    def build(self) -> PurePath:
        """Where is compiled."""
        return self.root / "work" / "build"

    @property
    def prefix(self) -> PurePath:
        """Where is installed to."""
        return self.root / "work" / "prefix"


def configure(recipe: BundleRecipe, layout: Layout, *, cross: bool) -> list[str]:
    """The configure command. `cross`: the machine that compiles is of another arch than the recipe's."""
    settings = {
        "TORCH_SDK": str(layout.sdk),
        "TORCH_VERSION": recipe.torch,
        "TORCH_CXX11_ABI": str(int(recipe.cxx11_abi)),
        "Python3_EXECUTABLE": str(layout.python),
        "CMAKE_CXX_COMPILER": ";".join(layout.cxx),
        "CMAKE_MAKE_PROGRAM": str(layout.ninja),
    }
    kind = "gcc" if recipe.compiler.startswith("GCC ") else "-"
    launcher = ("/bin/sh", layout.compile, layout.root, layout.ccache or "-", kind)
    settings["CMAKE_CXX_COMPILER_LAUNCHER"] = ";".join(map(str, launcher))
    if cross:
        settings |= {"CMAKE_SYSTEM_NAME": "Linux", "CMAKE_SYSTEM_PROCESSOR": recipe.arch}
    words = [*recipe.settings, *(f"{name}={value}" for name, value in settings.items())]
    return [
        *(str(layout.cmake), "-S", str(layout.source), "-B", str(layout.build), "-G", "Ninja"),
        *(f"-D{word}" for word in words),
    ]


def compile_command(layout: Layout, jobs: int) -> list[str]:
    """Build everything with this many compilers at once."""
    return [str(layout.cmake), "--build", str(layout.build), "--parallel", str(jobs)]


def install_commands(layout: Layout) -> list[list[str]]:
    """Install both components, without the local symbols that nothing at run time reads."""
    head = [str(layout.cmake), "--install", str(layout.build), "--prefix", str(layout.prefix), "--strip"]
    return [[*head, "--component", component] for component in COMPONENTS]


def environment(
    base: Mapping[str, str], cache: Mapping[str, str], *, home: PurePath, compiler: str = ""
) -> dict[str, str]:
    """The variables of a build: of the caller's only what decides no byte, and of ccache's `cache` alone.

    `cache` says where ccache keeps its files, or that there is none. ccache reads no configuration, and tells
    compilers apart by the identity `compiler`; "" is its own way. `home` is a folder without settings.
    """
    check = {"CCACHE_COMPILERCHECK": f"string:{compiler}"} if compiler else {}
    return {
        **compiler_environment(base),
        "HOME": str(home),
        "SOURCE_DATE_EPOCH": _EPOCH,
        "NINJA_STATUS": "[%f/%t] ",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        **cache,
        **check,
        "CCACHE_CONFIGPATH": os.devnull,
        "CCACHE_CONFIGPATH2": os.devnull,
        "CCACHE_SLOPPINESS": "pch_defines,time_macros",  # or precompiled headers never hit
    }


def progress_of(line: str) -> str | None:
    """`12 of 40 files` from a line of Ninja's, None from any other."""
    found = _PROGRESS.match(line)
    return f"{found[1]} of {found[2]} steps" if found else None


def follower(phase: str, lines: list[str], progress: Progress) -> Callable[[str], None]:
    """What an engine does with each line of output: keep it in `lines`, and tell how far Ninja is."""

    def follow(line: str) -> None:
        lines.append(line)
        done = progress_of(line)
        if done is not None:
            progress(f"{phase}: {done}")

    return follow


def failure(
    what: str, code: int, lines: Sequence[str], job: Job, *, hints: Sequence[str] = (), starved: bool = False
) -> EngineError:
    """The error of a phase that ended with this code. `starved`: the kernel killed it for want of memory.

    Where the machine is to blame, and not the sources, it is no CompileError.
    """
    shown = "\n  ".join(error_lines(lines))
    cause = of_machine(lines, job.workdir) or (_MEMORY if starved else None)
    kind = EngineError if cause else CompileError
    said = [*([cause] if cause else []), f"full log: {job.log}", *hints]
    return kind(f"{what} (exit {code}):\n  {shown}", hint="\n".join(said))


def of_machine(lines: Sequence[str], folder: Path) -> str | None:
    """What to do where a build in `folder` failed for want of disk or memory; None for any other failure."""
    text = "\n".join(lines)
    found = (hint for pattern, hint in _OF_MACHINE.items() if re.search(pattern, text))
    return next((hint.format(folder) for hint in found), None)


def error_lines(log: Sequence[str], limit: int = 8) -> list[str]:
    """The last lines of a log that say what went wrong; its tail when none does."""
    lines = [line.rstrip() for line in log if line.strip()]
    found: list[str] = []
    explained = 0  # lines that still belong to a CMake error: it puts its reason on those after the first
    for line in lines:
        if line.startswith("CMake Error"):
            explained = 5
        if explained or _ERROR.search(line):
            found.append(line)
        explained = max(0, explained - 1)
    return (found or lines)[-limit:]
