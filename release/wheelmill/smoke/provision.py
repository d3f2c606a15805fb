"""Gets what an acceptance run needs: the wheel by file or name, and the simulator for its torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wheelmill.smoke.acceptance import Supplies
from wheelmill.smoke.download import download, named_requirement, usable_pythons
from wheelmill.smoke.result import SmokeError
from wheelmill.smoke.subject import Subject, read_subject

if TYPE_CHECKING:
    from wheelmill.build import Workshop
    from wheelmill.console import Console
    from wheelmill.matrix import Cell, Matrix

DOWNLOADS = "published"


def obtain(words: str, matrix: Matrix, workshop: Workshop, python: str | None = None) -> Subject:
    """The wheel that `words` mean: a file, or a name and version that pip downloads for `python`.

    Raises SmokeError where there is none, or where it is for another Python than the one asked for.
    """
    requirement = named_requirement(words)
    if requirement is None:
        subject = read_subject(Path(words), tuple(matrix.torches))
        if python not in (None, subject.python):
            raise SmokeError(f"{subject.file.name} is for Python {subject.python}, not for {python}")
        return subject
    folder = workshop.store.root / DOWNLOADS
    file = download(requirement, usable_pythons(python), folder, workshop.progress)
    return read_subject(file, tuple(matrix.torches))


def provide(
    subject: Subject, matrix: Matrix, workshop: Workshop, console: Console, simulator: str | None = None
) -> Supplies:
    """The simulator, as `simulator` says (a file, or a name and version) or built for the wheel's torch.

    Raises SmokeError where none can be had, and what building raises.
    """
    known = matrix.torches.get(subject.torch)
    if simulator is not None:
        return Supplies(
            _simulator(simulator, subject, workshop), known, torch_cpu_index=workshop.torch_cpu_index
        )
    from wheelmill.pipeline import run
    from wheelmill.toolchain import sdk

    cell = _cell(subject, matrix)
    console.note(f"simulator for torch {subject.torch}, {subject.arch}")
    (outcome,) = run((cell,), workshop, console, smoke="never")
    store, torch = workshop.store, sdk.ensure(cell.line.torch, cell.arch, workshop.store, workshop.progress)
    # Published adapters clash with a CUDA build in one process; only a CPU build is installed from the store.
    build = next((one.build for one in cell.line.torch.wheels if one.sha256 == torch.sha256), None)
    wheel = None
    if build == "cpu" or cell.line.torch.wheel(subject.python, subject.arch, "cpu") is None:
        wheel = store.export(torch.sha256, store.root / "torch", torch.wheel_name)
    return Supplies(outcome.simulator.path, known, wheel, workshop.torch_cpu_index)


def _simulator(words: str, subject: Subject, workshop: Workshop) -> Path:
    requirement = named_requirement(words)
    if requirement is None:
        return Path(words)
    return download(requirement, (subject.python,), workshop.store.root / DOWNLOADS, workshop.progress)


def _cell(subject: Subject, matrix: Matrix) -> Cell:
    """A cell whose build gives the simulator. Its Python plays no part; the wheel's own is preferred."""
    serving = [
        cell
        for cell in matrix.cells()
        if (cell.line.torch.version, cell.arch) == (subject.torch, subject.arch)
    ]
    if not serving:
        torches = dict.fromkeys(cell.line.torch.version for cell in matrix.cells())
        raise SmokeError(
            f"{subject.title} is for torch {subject.torch}, and the matrix has no line on it for "
            f"{subject.arch}: no simulator can be built",
            hint=f"Name one with --simulator WHEEL; simulators can be built for torch {', '.join(torches)}.",
        )
    return next((cell for cell in serving if cell.python == subject.python), serving[0])
