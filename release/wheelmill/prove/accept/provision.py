"""Gets what an acceptance run needs: the wheel by file or name, and the simulator for its torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version

from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.prove.accept.acceptance import Supplies
from wheelmill.prove.accept.download import choose, download, exact, named_requirement, usable_pythons
from wheelmill.prove.accept.subject import Subject, read_subject, served_torch
from wheelmill.prove.smoke.result import SmokeError
from wheelmill.store import digest_file

if TYPE_CHECKING:
    from wheelmill.catalogue import Catalogue
    from wheelmill.make.build import Workshop
    from wheelmill.matrix import Cell, Matrix

DOWNLOADS = "published"


def obtain(
    words: str,
    matrix: Matrix,
    workshop: Workshop,
    python: str | None = None,
    simulator: str | None = None,
    *,
    published: Catalogue | None = None,
) -> Subject:
    """The wheel that `words` mean: a file, or a name that pip downloads for `python`.

    Where several versions have that name, the newest that can be run here: with the simulator that is named,
    or one that can be built. What is downloaded is held to the hash that `published` has of it. Raises
    SmokeError where there is none, where it is another file, or one for another Python than was asked for.
    """
    requirement = named_requirement(words)
    if requirement is None:
        subject = read_subject(Path(words), tuple(matrix.torches))
        if python not in (None, subject.python):
            raise SmokeError(f"{subject.file.name} is for Python {subject.python}, not for {python}")
        return subject
    folder = workshop.store.root / DOWNLOADS
    pythons, chosen = usable_pythons(python), None
    if not exact(requirement):
        workshop.progress(f"looking for the newest {requirement} that can be run here")
        choice = choose(requirement, pythons, _unfit(matrix, simulator))
        requirement, pythons, chosen = choice.requirement, (choice.python,), choice.reason
        workshop.note(chosen)
    file = download(requirement, pythons, folder, workshop.progress)
    check_published(file, published)
    return replace(read_subject(file, tuple(matrix.torches)), chosen=chosen)


def check_published(file: Path, published: Catalogue | None) -> None:
    """Hold a downloaded wheel to what the catalogue recorded; one that it does not know passes.

    Raises SmokeError for another file of the same name, and takes it away.
    """
    known = frozenset() if published is None else published.hashes(file.name)
    found = digest_file(file)
    if not known or found in known:
        return
    file.unlink()
    raise SmokeError(
        f"{file.name} is another file than the catalogue has recorded: its SHA-256 is {found}, recorded is "
        f"{' or '.join(sorted(known))}",
        hint="An index never replaces a file: do not install this one. `wheelmill catalogue refresh` shows "
        "what the index says of it now.",
    )


def _unfit(matrix: Matrix, simulator: str | None) -> Callable[[Version], str | None]:
    """Why an adapter of some version cannot be run with the simulator: its torch is its own X.Y.Z."""
    served: set[str] | None = None
    whose = f"no line of the matrix has torch {{}} for {host_arch()}"
    if simulator is None:
        served = {cell.line.torch.version for cell in matrix.cells() if cell.arch == host_arch()}
    elif named_requirement(simulator) is None:
        served = {served_torch(Path(simulator))}
        whose = "the simulator is not for torch {}"

    def unfit(version: Version) -> str | None:
        torch = ".".join(map(str, version.release[:3]))
        return None if served is None or torch in served else whose.format(torch)

    return unfit


def provide(
    subject: Subject,
    matrix: Matrix,
    workshop: Workshop,
    build: Callable[[Cell], Path],
    simulator: str | None = None,
) -> Supplies:
    """The simulator, as `simulator` says (a file, or a name and version), else what `build` gives.

    `build` makes the simulator's wheel of a cell on the wheel's torch. Raises SmokeError where none can be
    had, and what building raises.
    """
    known = matrix.torches.get(subject.torch)
    needed = () if known is None else known.dependencies
    if simulator is not None:
        path = _simulator(simulator, subject, workshop)
        return Supplies(path, known, torch_cpu_index=workshop.torch_cpu_index, needed=needed)
    from wheelmill.make.toolchain import sdk

    cell = _cell(subject, matrix)
    path = build(cell)
    store, torch = workshop.store, sdk.ensure(cell.line.torch, cell.arch, workshop.store, workshop.progress)
    wheel = store.export(torch.sha256, store.root / "torch", torch.wheel_name)
    return Supplies(path, known, wheel, workshop.torch_cpu_index, needed)


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
