"""What a release asks of those who build: every cell's wheels, audited, smoke-run where that can be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from wheelmill.matrix import Cell, Line, Matrix
from wheelmill.matrix.versions import glibc_key
from wheelmill.prove.audit.model import PLATFORM_RULE
from wheelmill.publish.release.session import ReleaseError, Session

if TYPE_CHECKING:
    from wheelmill.console import Console
    from wheelmill.make.build import Workshop
    from wheelmill.publish.pipeline import Outcome


@dataclass(frozen=True)
class MadeWheel:
    """A wheel in the store: its file name, SHA-256, and the audit's verdict as JSON.

    A `companion` is not the project's own package: it comes with each release, and the same version of it may
    come again with other bytes.
    """

    file: str
    sha256: str
    verdict: Mapping[str, Any]
    kind: str = "wheel"
    companion: bool = False


@dataclass(frozen=True)
class MadeCell:
    """A cell's wheels. `smoke` is the run's result as JSON, or None with the reason in `not_run`."""

    key: str
    wheels: tuple[MadeWheel, ...]
    smoke: Mapping[str, Any] | None
    not_run: str | None


class Builder(Protocol):
    """Builds all cells of a line of the matrix from a tree."""

    def __call__(self, session: Session, matrix: Matrix, line: Line, tree: Path) -> list[MadeCell]: ...


@dataclass(frozen=True)
class PipelineBuilder:
    """The pipeline of this project, with the workshop that the command line made."""

    workshop: Workshop
    console: Console

    def __call__(self, session: Session, matrix: Matrix, line: Line, tree: Path) -> list[MadeCell]:
        """Build and audit every cell from `tree`, then smoke-run those that can be run here.

        A cell of the other architecture runs under emulation, unless the session forbids it. A waiver is for
        what cannot be run: a waived cell that can be is run, and has to pass. Raises ReleaseError for a cell
        that cannot be and has no waiver, before anything is built; for a wheel that is local only, before
        anything is run; and what the pipeline raises.
        """
        from wheelmill.make.build import make_plan
        from wheelmill.publish.pipeline import run_all

        workshop = replace(
            self.workshop,
            sources=tree,
            lines=matrix.lines,
            torch_cpu_index=matrix.document.torch_cpu_index,
        )
        cells = line.cells()
        reasons = cannot_run(session, line, workshop)
        refuse_not_run(session, reasons)
        built = run_all(make_plan(cells, workshop), workshop, self.console, smoke="never").outcomes
        made = {one.built.cell.key: _made(one, reasons.get(one.built.cell.key)) for one in built}
        refuse_local_only(session, made.values())
        tried = [cell for cell in cells if cell.key not in reasons]
        if tried:
            ran = run_all(make_plan(tried, workshop), workshop, self.console, smoke="once").outcomes
            made |= {one.built.cell.key: _made(one, one.not_run) for one in ran}
        return [made[cell.key] for cell in cells]


def cannot_run(session: Session, line: Line, workshop: Workshop) -> dict[str, str]:
    """Of each cell that is not smoke-run on this machine: key -> why."""
    reasons = {cell.key: _cannot_run(session, cell, workshop) for cell in line.cells()}
    return {key: reason for key, reason in reasons.items() if reason is not None}


def _cannot_run(session: Session, cell: Cell, workshop: Workshop) -> str | None:
    from wheelmill.make.toolchain.compiler import host_arch
    from wheelmill.publish.pipeline import place_for

    if cell.arch != host_arch() and not session.emulation:
        return f"this machine is {host_arch()}, and nothing is to be emulated"
    return place_for(cell, workshop).cannot_run(cell)


def _made(outcome: Outcome, not_run: str | None) -> MadeCell:
    wheels = (
        MadeWheel(outcome.wheel.file, outcome.wheel.digest, outcome.wheel.verdict, "adapter"),
        MadeWheel(
            outcome.simulator.file, outcome.simulator.digest, outcome.simulator.verdict, "simulator", True
        ),
    )
    return MadeCell(outcome.built.cell.key, wheels, outcome.smoke, not_run)


def above_policies(session: Session, cells: Iterable[tuple[str, str, str | None]]) -> Iterator[str]:
    """Of cells (key, architecture, platform policy) those whose wheels may come out as local only, in words.

    Whether a wheel needs what the policy has not shows when it is built: this is said before.
    """
    from wheelmill.make.toolchain.compiler import CompilerError, find_compiler

    if session.engine != "host" or session.has("built"):
        return
    together = defaultdict(list)
    for key, arch, policy in cells:
        if policy is not None and policy.count("_") == 2:
            together[arch, policy].append(key)
    for (arch, policy), keys in together.items():
        try:
            libc = find_compiler(arch).glibc
        except CompilerError:  # the build says so
            continue
        if libc is not None and glibc_key(libc) > glibc_key(policy):
            are = "is" if len(keys) == 1 else "are"
            yield (
                f"the engine host compiles for glibc {libc}, and {some_of(keys)} {are} held to {policy}: "
                "a wheel that needs a newer glibc than that is local only and cannot be released. The engine "
                "docker builds for the policy"
            )


def some_of(keys: Sequence[str]) -> str:
    """`main/3.10/x86_64, main/3.11/x86_64 and 4 more`"""
    return ", ".join(keys[:2]) + (f" and {len(keys) - 2} more" if len(keys) > 2 else "")


def refuse_local_only(session: Session, made: Iterable[MadeCell]) -> None:
    """Raise ReleaseError where the audit calls a wheel local only, with the symbols that lift it."""
    wheels = {wheel.file: wheel.verdict for cell in made for wheel in cell.wheels}
    found = [local_only(file, verdict) for file, verdict in wheels.items() if not verdict.get("releasable")]
    if found:
        listed = "\n  ".join(found)
        raise ReleaseError(
            f"{session.name} cannot be released with these wheels:\n  {listed}",
            hint=f"Nothing was staged. {instead(session)}",
        )


def local_only(file: str, verdict: Mapping[str, Any]) -> str:
    """Why a wheel cannot be released, by the audit's verdict of it."""
    needs, held = verdict.get("platform_tag"), verdict.get("policy")
    return f"{file} is local only: it needs {needs}, its line is held to {held}{_lifted_by(verdict)}"


def _lifted_by(verdict: Mapping[str, Any]) -> str:
    """What the platform rule said, the first of it."""
    said = [one for one in verdict.get("findings", ()) if one["rule"] == PLATFORM_RULE]
    if not said:
        return ""
    more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
    return f"; {said[0]['file']}: {said[0]['message']}{more}"


def instead(session: Session, *, begun: bool = True) -> str:
    """What to do about a wheel that is local only; a session that is begun keeps its engine and base."""
    first = f"wheelmill release abort {session.branch} && " if begun else ""
    again = f"{first}wheelmill release run {session.branch}"
    if session.engine != "docker":
        return f"This machine's libraries are too new: build in containers with `{again}` (engine docker)."
    if session.base is not None:
        return f"The base {session.base} is too new: name an older one, or none: `{again}`."
    return (
        "The newest builder image is newer than the platform that the line is held to: make one on an older "
        f"base, as docs/containers.md says, then `{again} --base IMAGE`."
    )


def refuse_not_run(session: Session, reasons: Mapping[str, str | None]) -> None:
    """Raise ReleaseError for cells (key -> reason) that are not smoke-run and have no waiver."""
    found = [f"{key}: {reason}" for key, reason in reasons.items() if session.waiver(key) is None]
    if found:
        listed = "\n  ".join(found)
        raise ReleaseError(
            f"{session.name}: no waiver names who smoke-runs the cells that are not run here:\n  {listed}",
            hint="Nothing was staged. Release it from a machine that runs them, or name who does: "
            f"wheelmill release extend {session.branch} --waive CELL=WHO:REASON",
        )
