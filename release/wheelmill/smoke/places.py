"""Where a smoke run happens: this machine, or a container that runs wheels of another architecture."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from wheelmill.engines.process import run_logged
from wheelmill.smoke.interpreters import find_python

if TYPE_CHECKING:
    from wheelmill.matrix import Cell

# Of the surrounding process, these would let the environment under test see something that is not in it.
_FOREIGN = ("PYTHON", "LD_", "ASCEND", "CANN_", "TORCH_", "NPU_", "VIRTUAL_ENV", "CONDA_")


class Runner(Protocol):
    """Runs one command there; see wheelmill.engines.process.run_logged."""

    def __call__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        timeout: float,
        on_line: Callable[[str], None],
    ) -> int: ...


@dataclass(frozen=True)
class Session:
    """An open place: the Python to make the environment from, every command's variables, and who runs them.

    Paths of the run's own directory are the same there as here. `slowness` is how many times longer than on
    this machine a step may take.
    """

    python: Path
    environment: Mapping[str, str]
    run: Runner
    slowness: float = 1.0


class Place(Protocol):
    """Somewhere to run a cell."""

    def cannot_run(self, cell: Cell) -> str | None:
        """Why the cell cannot be run there, in one sentence; None when it can."""

    def open(self, cell: Cell, home: Path, readable: Sequence[Path]) -> AbstractContextManager[Session]:
        """A session that may write under `home` and read `readable`."""


class ThisMachine:
    """The cell's own Python on this machine."""

    def cannot_run(self, cell: Cell) -> str | None:
        """See Place."""
        machine = platform.machine()
        if cell.arch != machine:
            return f"this machine is {machine}: a wheel for {cell.arch} cannot be run here"
        if find_python(cell.python) is None:
            return f"no Python {cell.python} on this machine: cell {cell.name} cannot be run here"
        return None

    @contextmanager
    def open(self, cell: Cell, home: Path, readable: Sequence[Path]) -> Iterator[Session]:
        """See Place."""
        python = find_python(cell.python)
        assert python is not None
        kept = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
        yield Session(python, kept, run_logged)
