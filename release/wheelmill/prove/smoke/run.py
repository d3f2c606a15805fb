"""One smoke run: a clean environment, a user's installs, the README's example, and the CPU's answer to it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from wheelmill.make.metadata import ADAPTER, SIMULATOR
from wheelmill.progress import Progress, silent
from wheelmill.prove.smoke.environment import EXAMPLE, Environment, Limits, home_for
from wheelmill.prove.smoke.places import Place, ThisMachine
from wheelmill.prove.smoke.result import SmokeResult
from wheelmill.prove.smoke.steps import StepFailedError, Steps
from wheelmill.prove.smoke.torch_sources import torch_sources

if TYPE_CHECKING:
    from wheelmill.matrix import Cell

__all__ = ["EXAMPLE", "Limits", "cannot_run", "smoke"]

_HERE = ThisMachine()


class Index(Protocol):
    """A running package index."""

    @property
    def simple_url(self) -> str:
        """What pip's --index-url takes."""

    def taken(self) -> Mapping[str, str]:
        """File name -> SHA-256 of the wheels that were downloaded from it."""


def smoke(
    cell: Cell,
    index: Callable[[], AbstractContextManager[Index]],
    work: Path,
    *,
    torch_wheel: Path | None = None,
    torch_cpu_index: str | None = None,
    progress: Progress = silent,
    note: Progress = silent,
    keep: bool = False,
    limits: Limits = Limits(),
    place: Place = _HERE,
) -> SmokeResult:
    """Install the cell's wheels into a clean environment under `work`; run the example.

    The adapter and the simulator come from the index that `index` starts, and from nowhere else; torch comes
    from `torch_wheel` where that very file fits the cell, else as a CPU build from the matrix's URL or
    `torch_cpu_index`, else from the index that pip is configured with. The environment is removed after a
    good run unless `keep`, and left, named in the result, after a bad one.
    Never raises for what the wheels do; a place that cannot run the cell gives a result that says so.
    """
    reason = place.cannot_run(cell)
    if reason is not None:
        return SmokeResult.not_run(cell.key, reason)
    home = home_for(cell.name, work)
    logs = home / "logs"
    steps = Steps(logs, progress)
    readable = (torch_wheel,) if torch_wheel is not None else ()
    try:
        with (
            index() as server,
            place.open(cell, home, readable) as session,
        ):
            steps = Steps(logs, progress, session.run, session.slowness)
            environment = Environment(home, steps, limits, session)
            environment.make()
            torch = cell.line.torch
            sources = torch_sources(cell, torch.version, torch, torch_wheel, torch_cpu_index)
            environment.install_torch(sources, note)
            wanted = (f"{ADAPTER}=={cell.line.adapter}", f"{SIMULATOR}=={torch.version}")
            environment.install_from_index(server.simple_url, wanted)
            environment.check()
            taken = server.taken()
            found = {**environment.probe_absence(), **environment.probe_example("--named-simulated")}
    except StepFailedError as error:
        return SmokeResult.failed(cell.key, home, tuple(steps.done), error.failure)
    result = SmokeResult.passed(cell.key, home, tuple(steps.done), found, taken)
    if keep:
        return result
    shutil.rmtree(home)
    return result.without_environment()


def cannot_run(cell: Cell) -> str | None:
    """Why this machine cannot run the cell, in one sentence; None when it can."""
    return _HERE.cannot_run(cell)
