"""From a request to an answer."""

from __future__ import annotations

from datetime import date

from wheelmill.matrix.model import Cell, Matrix
from wheelmill.matrix.policy import Phase, phase_of_line
from wheelmill.pick.cells import all_cells, fits, installable
from wheelmill.pick.commands import steps
from wheelmill.pick.explain import alternatives, conflicts
from wheelmill.pick.model import NoFit, Pick, Request


def resolve(matrix: Matrix, request: Request, today: date) -> Pick | NoFit:
    """The newest installable cell that has every asked value, or why there is none on `today`'s matrix."""
    asked = request.asked()
    cells = all_cells(matrix)
    offered = [cell for cell in cells if installable(cell)]
    for cell in offered:
        if fits(cell, asked):
            phase = phase_of_line(matrix, cell.line, today)
            warnings = _warnings(matrix, cell, phase, offered, today)
            return Pick(request, cell, steps(matrix, cell), phase, warnings)
    records = [cell for cell in cells if not installable(cell)]
    return NoFit(request, conflicts(offered, records, asked), alternatives(offered, asked))


def _warnings(
    matrix: Matrix, cell: Cell, phase: Phase | None, offered: list[Cell], today: date
) -> tuple[str, ...]:
    line = cell.line
    found = []
    if phase is not None and phase.stage in ("unmaintained", "eol"):
        state = "reached its end of life" if phase.ended else "is no longer maintained"
        since = f" on {phase.since}" if phase.ended and phase.since else ""
        successor = _maintained(matrix, cell, offered, today)
        advice = f" Maintained for Python {cell.python} on {cell.arch}: {successor}." if successor else ""
        found.append(f"Line {line.branch} {state}{since}: it gets no fixes.{advice}")
    if line.kind == "development":
        found.append(f"Line {line.branch} is in development: its wheel is on no index, you build it.")
    if line.published is not None:
        printed = line.published
        values = {"CANN": printed.cann, "torch": printed.torch, "torch_npu": printed.adapter}
        words = ", ".join(f"{name} {value}" for name, value in values.items() if value)
        found.append(f"This row was published as {words}. {printed.reason}")
    return tuple(found)


def _maintained(matrix: Matrix, cell: Cell, offered: list[Cell], today: date) -> str | None:
    """The newest published line for the same Python and arch that still gets fixes."""
    for other in offered:
        if (other.python, other.arch) != (cell.python, cell.arch) or other.line.kind != "published":
            continue
        phase = phase_of_line(matrix, other.line, today)
        if phase is not None and phase.stage in ("development", "maintained"):
            line = other.line
            return f"torch_npu {line.adapter} with torch {line.torch.version}, CANN {line.cann}"
    return None
