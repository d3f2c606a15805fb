"""What a release asks of those who build: every cell's wheels, audited, smoke-run where that can be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from wheelmill.matrix import Line, Matrix
from wheelmill.publish.release.session import Session

if TYPE_CHECKING:
    from wheelmill.console import Console
    from wheelmill.make.build import Workshop


@dataclass(frozen=True)
class MadeWheel:
    """A wheel in the store: its file name, SHA-256, and the audit's verdict as JSON."""

    file: str
    sha256: str
    verdict: Mapping[str, Any]


@dataclass(frozen=True)
class MadeCell:
    """A cell's wheels. `smoke` is the run's result as JSON, or None with the reason in `not_run`."""

    key: str
    adapter: MadeWheel
    simulator: MadeWheel
    smoke: Mapping[str, Any] | None
    not_run: str | None


class Builder(Protocol):
    """Builds all cells of a line from a tree."""

    def __call__(self, session: Session, matrix: Matrix, line: Line, tree: Path) -> list[MadeCell]: ...


@dataclass(frozen=True)
class PipelineBuilder:
    """The pipeline of this project, with the workshop that the command line made."""

    workshop: Workshop
    console: Console

    def __call__(self, session: Session, matrix: Matrix, line: Line, tree: Path) -> list[MadeCell]:
        """Build every cell from `tree`; smoke-run those that no waiver is for.

        A waived cell is built and audited like every other one. Raises what the pipeline raises.
        """
        from wheelmill.make.build import make_plan
        from wheelmill.publish.pipeline import Outcome, run_all

        workshop = replace(
            self.workshop,
            sources=tree,
            lines=matrix.lines,
            torch_cpu_index=matrix.document.torch_cpu_index,
        )
        cells = line.cells()
        run_here = [cell for cell in cells if session.waiver(cell.key) is None]
        built = run_all(make_plan(cells, workshop), workshop, self.console, smoke="never").outcomes
        outcomes: dict[str, Outcome] = {one.built.cell.key: one for one in built}
        if run_here:
            ran = run_all(make_plan(run_here, workshop), workshop, self.console, smoke="once").outcomes
            outcomes |= {one.built.cell.key: one for one in ran}
        return [_made(outcomes[cell.key], waived=session.waiver(cell.key) is not None) for cell in cells]


def _made(outcome: Any, *, waived: bool) -> MadeCell:
    adapter, simulator = (
        MadeWheel(one.file, one.digest, one.verdict) for one in (outcome.wheel, outcome.simulator)
    )
    reason = "waived" if waived else outcome.not_run
    return MadeCell(outcome.built.cell.key, adapter, simulator, outcome.smoke, reason)
