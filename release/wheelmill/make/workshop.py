"""What a build works with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wheelmill.make.plan import BuildImage
from wheelmill.progress import Progress, silent
from wheelmill.store import Store

if TYPE_CHECKING:
    from wheelmill.make.engines import Engine
    from wheelmill.matrix import Line


@dataclass(frozen=True)
class Workshop:
    """What a build works with. `lines` are all lines of the matrix, which are stamped into every wheel;
    `sources` is a checkout's root.

    `jobs` is the number of compilers over all bundles, `at_once` of bundles; None takes what the engine
    allows. `sdks` keeps the unpacked torches where that is another store. `fresh` compiles everything,
    whatever a cache has; `epoch` is stamped into wheels instead of the sources' own time, and `image` named
    in them instead of what the engine compiles in.
    `note` gets what must be read, where `progress` may skip a text.
    `run_in_container` keeps smoke runs off this machine also where it could run the cell.
    """

    store: Store
    engine: Engine
    sources: Path
    lines: tuple[Line, ...]
    torch_cpu_index: str | None = None
    progress: Progress = silent
    note: Progress = silent
    jobs: int | None = None
    at_once: int | None = None
    run_in_container: bool = False
    timeout: float = 3 * 3600.0
    sdks: Store | None = None
    fresh: bool = False
    epoch: int | None = None
    image: BuildImage | None = None

    @property
    def sdk_store(self) -> Store:
        """The store that has the torches to compile against."""
        return self.sdks or self.store
