"""Where a bundle is compiled. Every engine runs the same steps over the same recipe (`engines.cmake`)."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from wheelmill.errors import WheelmillError
from wheelmill.progress import Progress

if TYPE_CHECKING:
    from wheelmill.make.plan import BuildImage, BundleRecipe
    from wheelmill.matrix import Torch


class EngineError(WheelmillError):
    """The engine cannot run, or could not compile on this machine; the message names the log."""


class CompileError(EngineError):
    """The sources do not compile, on this machine or on any other with this compiler."""


@dataclass(frozen=True)
class Job:
    """One bundle to compile.

    `sources` is a snapshot of the source tree that nobody writes to, `sdk` the unpacked torch; both are only
    read. `workdir` is the engine's own; what an interrupted run with the same recipe left there may be used.
    `keep_open` are file descriptors that every process of the build must hold until it ends. Several jobs may
    run at once, each in a thread: this one may take `part` of the engine's CPUs and memory; when `stop` is
    set it ends with StoppedError, leaving no process. `fresh`: nothing is taken from a cache of compiled
    files.
    """

    recipe: BundleRecipe
    sources: Path
    sdk: Path
    workdir: Path
    log: Path
    timeout: float = 3 * 3600.0  # seconds, for each of configure, compile, install
    jobs: int | None = None  # parallel compilers; None: what this part of CPUs and memory allows
    keep_open: tuple[int, ...] = ()
    part: float = 1.0
    stop: threading.Event | None = None
    fresh: bool = False
    policy: str = "manylinux_2_17"  # what its wheels are held to; decides the builder image
    torch: Torch | None = None  # what `sdk` was unpacked from, for an engine that compiles on other machines


@dataclass(frozen=True)
class BundleResult:
    """`prefix` has a folder `NAME/lib` for each package; `seconds` is the time of each phase."""

    prefix: Path
    seconds: Mapping[str, float]


class Engine(Protocol):
    """A place to compile in."""

    @property
    def name(self) -> str:
        """What the user calls it: `host`."""

    def identity(self, arch: str, policy: str) -> str:
        """The compiler for `arch`, by what decides its output (part of the content key); never where it lies.

        `policy` is what the wheels are held to (`manylinux_2_17`): an engine may have a compiler for each.
        Raises a WheelmillError that says what to install when there is none.
        """

    def image(self, arch: str, policy: str) -> BuildImage:
        """The image that it is compiled in, an empty one where that is this machine; raises as `identity`."""

    def compilers(self) -> int:
        """How many compilers may run at once, over all jobs, within the engine's CPUs and memory."""

    def build(self, job: Job, progress: Progress) -> BundleResult:
        """Compile and install; leaves no process behind.

        Raises EngineError with the last errors; where the sources are to blame, CompileError.
        """
