"""The engine that needs no choice: this machine's compiler where it has one, else a container."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from wheelmill.errors import WheelmillError
from wheelmill.make.engines import BundleResult, Engine, EngineError, Job
from wheelmill.make.plan import BuildImage
from wheelmill.make.toolchain.compiler import CompilerError
from wheelmill.progress import Progress


class AutoEngine:
    """Compiles on the host what the host can compile; `container` makes the engine for the rest."""

    name = "auto"

    def __init__(self, host: Engine, container: Callable[[], Engine], note: Progress) -> None:
        self._host = host
        self._container = cache(container)
        self._note = note
        self._chosen: dict[tuple[str, str], Engine] = {}
        self._noted: set[str] = set()

    def identity(self, arch: str, policy: str) -> str:
        """See Engine. Raises EngineError where neither has a compiler for `arch`."""
        return self._engine(arch, policy).identity(arch, policy)

    def image(self, arch: str, policy: str) -> BuildImage:
        """See Engine. Raises EngineError where neither has a compiler for `arch`."""
        return self._engine(arch, policy).image(arch, policy)

    def compilers(self) -> int:
        """See Engine: host and containers share this machine."""
        return self._host.compilers()

    def build(self, job: Job, progress: Progress) -> BundleResult:
        """See Engine."""
        return self._engine(job.recipe.arch, job.policy).build(job, progress)

    def _engine(self, arch: str, policy: str) -> Engine:
        if (arch, policy) not in self._chosen:
            self._chosen[arch, policy] = self._choose(arch, policy)
        return self._chosen[arch, policy]

    def _choose(self, arch: str, policy: str) -> Engine:
        try:
            self._host.identity(arch, policy)
            return self._host
        except CompilerError as missing:
            absent = missing
        try:
            container = self._container()
            container.identity(arch, policy)
        except WheelmillError as error:
            raise EngineError(
                f"nothing here compiles for {arch}: on this machine, {absent.message}; in a container, "
                f"{error.message}",
                hint=f"{absent.hint}\nor ready this machine for containers, as root: bash ci/machine.sh",
            ) from error
        if arch not in self._noted:  # not again for another policy
            self._noted.add(arch)
            self._note(f"no compiler for {arch} here: building in a container (--engine docker)")
        return container
