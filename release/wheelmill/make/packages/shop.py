"""What builds of described projects are given and give: the shop, a job, a wheel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from wheelmill.errors import WheelmillError
from wheelmill.make.packages.compilers import Place
from wheelmill.make.packages.sources import PackageSources
from wheelmill.make.tasks import Share
from wheelmill.progress import Progress, silent
from wheelmill.store import Digest, Store

if TYPE_CHECKING:
    from wheelmill.describe import Cell, Described

_DEFAULT_POLICY = "manylinux_2_17"


class PackageError(WheelmillError):
    """A wheel of a described project could not be made; the message says where, and names the log."""


class BrokenBuildError(PackageError):
    """A build that fails wherever it is run: the project is to blame, and not the machine."""


@dataclass(frozen=True)
class Shop:
    """What builds of a described project work with. `jobs` is the number of compilers of one build.

    With `elsewhere`, other machines build. `sdks` keeps the SDKs where that is another store, and `given` has
    the SHA-256 and file name of those that need not be looked for. `epoch` is the time that wheels bear
    instead of the sources' own.
    """

    described: Described
    store: Store
    place: Place
    progress: Progress = silent
    note: Progress = silent
    jobs: int = 1
    elsewhere: Elsewhere | None = None
    sdks: Store | None = None
    given: Mapping[str, tuple[Digest, str]] = field(default_factory=dict)
    epoch: int | None = None

    @property
    def sdk_store(self) -> Store:
        """The store that has the SDKs."""
        return self.sdks or self.store


@dataclass(frozen=True)
class Tools:
    """What a build runs that decides its bytes: the compiler, and the Python by its whole version.

    `path` is that of the interpreter, where it is on this machine.
    """

    compiler: str
    python: str
    path: Path | None = None


class Elsewhere(Protocol):
    """Other machines that build."""

    @property
    def at_once(self) -> int:
        """How many builds may be asked for at once."""

    def tools(self, cell: Cell, policy: str) -> Tools:
        """What they build a cell with. Raises WheelmillError where none can."""

    def make(self, job: Job, shop: Shop, target: Path, log: Path, share: Share) -> Path:
        """The job's finished wheel, in the folder `target`; what its build said in `log`."""


@dataclass(frozen=True)
class Job:
    """One build. `cells` are those that its wheel is for, the one that it is built for first.

    `recipe` is what decides the wheel's bytes, with its own key; it lies in the wheel.
    """

    cells: tuple[Cell, ...]
    python: Path | None  # None where it is on the machines that build
    recipe: Mapping[str, Any]
    sources: PackageSources = field(repr=False)

    @property
    def key(self) -> str:
        """The SHA-256 of the recipe."""
        return str(self.recipe["key"])

    @property
    def cell(self) -> Cell:
        """The cell that it is built for: of several Pythons the oldest."""
        return self.cells[0]


@dataclass(frozen=True)
class Made:
    """A wheel in the store, under its file name at `path`; `cached` says that nothing was built now."""

    job: Job
    file: str
    digest: Digest
    path: Path
    cached: bool
    log: Path
    seconds: Mapping[str, float] = field(default_factory=dict)


def policy_of(cell: Cell, shop: Shop) -> str:
    """The platform policy that decides where a cell is compiled."""
    return shop.described.policy(cell) or _DEFAULT_POLICY
