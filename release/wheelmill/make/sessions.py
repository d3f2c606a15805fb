"""Which build and image sessions nox shows: read from the matrix, so the noxfile holds no logic."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from wheelmill.matrix import Matrix, load
from wheelmill.matrix.model import Line
from wheelmill.matrix.own import own_packages
from wheelmill.matrix.versions import python_key

MATRIX_FILE = Path(__file__).parents[3] / "matrix" / "compat.yaml"


@dataclass(frozen=True)
class NoxSession:
    """One entry of `nox -l`: its name, one-line title, tags and the words given to `wheelmill`."""

    name: str
    title: str
    tags: tuple[str, ...]
    words: tuple[str, ...]


def nox_sessions(matrix: Matrix | None = None) -> tuple[NoxSession, ...]:
    """All sessions that the matrix gives: a build per (Python, arch), a build per line, an image per arch."""
    matrix = load(MATRIX_FILE) if matrix is None else matrix
    return (*_cell_sessions(matrix), *_line_sessions(matrix), *_image_sessions(matrix))


def _cell_sessions(matrix: Matrix) -> list[NoxSession]:
    lines = defaultdict(list)
    for cell in matrix.cells():
        lines[cell.python, cell.arch].append(cell.line.branch)
    ordered = sorted(lines, key=lambda axes: (python_key(axes[0]), axes[1]))
    return [
        NoxSession(
            name=f"build-{python}-{arch}",
            title=f"Build, audit and run the wheel for Python {python} on {arch}: newest of "
            f"{len(lines[python, arch])} lines.",
            tags=("build", arch, f"py{python}"),
            words=("build", f"{python}-{arch}"),
        )
        for python, arch in ordered
    ]


def _line_sessions(matrix: Matrix) -> list[NoxSession]:
    return [
        NoxSession(
            name=f"line-{line.branch}",
            title=f"Every wheel of the line: {_made_for(line)}."
            if line.buildable
            else f"A record ({_made_for(line)}): says why it is not built.",
            tags=("line", line.branch) if line.buildable else (line.branch,),
            words=("build", "--line", line.branch),
        )
        for line in matrix.lines
    ]


def _made_for(line: Line) -> str:
    return f"torch {line.torch.version}, {own_packages().sdk} {line.cann}"


def _image_sessions(matrix: Matrix) -> list[NoxSession]:
    arches = sorted({cell.arch for cell in matrix.cells()}, reverse=True)
    return [
        NoxSession(
            name=f"image-{arch}",
            title=f"Make the manylinux builder image for {arch} (`-- --base IMAGE` takes another base).",
            tags=("image", arch),
            words=("image", arch),
        )
        for arch in arches
    ]
