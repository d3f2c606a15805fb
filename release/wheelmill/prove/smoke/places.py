"""Where a smoke run happens: this machine, or a container that runs wheels of another architecture."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from wheelmill.make.process import run_logged
from wheelmill.make.toolchain.interpreters import find_python

# Of the surrounding process, these would let the environment under test see something that is not in it.
_FOREIGN = ("PYTHON", "LD_", "ASCEND", "CANN_", "TORCH_", "NPU_", "VIRTUAL_ENV", "CONDA_")


class Target(Protocol):
    """What a wheel is for: a cell of the matrix, or a wheel of another make."""

    @property
    def name(self) -> str:
        """`3.8-aarch64`"""

    @property
    def python(self) -> str:
        """`3.8`"""

    @property
    def arch(self) -> str:
        """`aarch64`"""


class Runner(Protocol):
    """Runs one command there; see wheelmill.make.process.run_logged."""

    def __call__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        timeout: float,
        on_line: Callable[[str], None],
        stop: threading.Event | None = None,
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
    """Somewhere to run a target."""

    def cannot_run(self, target: Target) -> str | None:
        """Why it cannot be run there, in one sentence; None when it can."""

    def open(self, target: Target, home: Path, readable: Sequence[Path]) -> AbstractContextManager[Session]:
        """A session that may write under `home` and read `readable`."""


class ThisMachine:
    """The target's own Python on this machine."""

    def cannot_run(self, target: Target) -> str | None:
        """See Place."""
        machine = platform.machine()
        if target.arch != machine:
            return f"this machine is {machine}: a wheel for {target.arch} cannot be run here"
        if find_python(target.python) is None:
            return f"no Python {target.python} on this machine: {target.name} cannot be run here"
        return None

    @contextmanager
    def open(self, target: Target, home: Path, readable: Sequence[Path]) -> Iterator[Session]:
        """See Place."""
        python = find_python(target.python)
        assert python is not None
        kept = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
        yield Session(python, kept, run_logged)
