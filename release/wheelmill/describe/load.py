"""`load` and `find`: a project file as a `Described`, or one error that names every mistake with its line."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheelmill.describe import rules, text
from wheelmill.describe.cells import Cell, cells
from wheelmill.describe.model import KEYS, RELEASED, MatrixFile, ProjectError, ProjectFile
from wheelmill.errors import Finding
from wheelmill.matrix.decode import decode, hints
from wheelmill.matrix.model import Torch
from wheelmill.matrix.problems import Problem, findings
from wheelmill.matrix.rules.frame import rules_of
from wheelmill.matrix.text import Mapping as MappingNode
from wheelmill.matrix.text import read

NAME = "wheelmill.toml"
PYPROJECT = "pyproject.toml"
_TABLE = "tool.wheelmill"


@dataclass(frozen=True)
class Described:
    """A project file that is in order: where it lies, what it says, and the torches it can be built for.

    `home` is the folder of the original, where this is a copy of it from a commit.
    """

    file: Path
    project: ProjectFile
    torches: Mapping[str, Torch]
    home: Path | None = None

    @property
    def root(self) -> Path:
        """The folder of the file: what paths in it are relative to."""
        return self.file.parent

    @property
    def beside(self) -> Path:
        """What paths that lead out of the project are relative to, such as that of an index."""
        return self.home or self.root

    @property
    def source(self) -> Path:
        """The folder of the sources."""
        return (self.root / self.project.source).resolve()

    @property
    def unread(self) -> tuple[str, ...]:
        """Files and folders that no build is shown, from the sources' folder.

        Those that the file names, and what is written for wheelmill alone: the file, its matrix, the keys and
        the record of releases. A pyproject.toml is the build backend's as well.
        """
        own = (NAME, self.project.matrix, KEYS, RELEASED)
        paths = ((self.root / name).resolve() for name in own if name is not None)
        ours = (path.relative_to(self.source) for path in paths if path.is_relative_to(self.source))
        return (*self.project.build.without, *(path.as_posix() for path in ours))

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All of them."""
        return cells(self.project)

    def torch(self, cell: Cell) -> Torch | None:
        """The torch that a cell is built for; None for a project without one."""
        sdk = self.project.sdks.get("torch")
        return None if sdk is None else self.torches[cell.values[sdk.axis or "torch"]]

    def policy(self, cell: Cell) -> str | None:
        """The platform policy that a cell's wheel is held to: the project's, else torch's; or None."""
        torch = self.torch(cell)
        return self.project.audit.policy or (None if torch is None else torch.policies[cell.arch])  # type: ignore[index]

    def digest(self) -> str:
        """A SHA-256 of all that the file says about how wheels are made.

        What SDKs bring to a process is asked by the audit alone.
        """
        sdks = {name: dataclasses.replace(sdk, libraries=()) for name, sdk in self.project.sdks.items()}
        said = (self.project.package, self.project.build, sdks, self.project.wheel)
        return hashlib.sha256(repr(said).encode()).hexdigest()


def find(folder: Path) -> Path | None:
    """The project file in a folder or above it: wheelmill.toml, else a pyproject.toml with our table."""
    for place in (folder, *folder.parents):
        if (place / NAME).is_file():
            return place / NAME
        pyproject = place / PYPROJECT
        if pyproject.is_file() and _has_table(pyproject):
            return pyproject
    return None


def _has_table(pyproject: Path) -> bool:
    content = read(pyproject, [])
    return content is not None and b"[tool.wheelmill" in content


def load(file: Path, torches: Mapping[str, Torch]) -> Described:
    """Read a project file; `torches` are those whose wheels are known. Raises ProjectError."""
    project, found = check(file, torches)
    if project is None or found:
        raise ProjectError(found)
    return Described(file, project, torches)


def check(file: Path, torches: Mapping[str, Torch]) -> tuple[ProjectFile | None, list[Finding]]:
    """The file as far as it can be read, and everything that is wrong with it."""
    project, found = _decoded(file, ProjectFile, "the project file")
    if project is None:
        return None, found
    matrix_file = file
    if project.matrix is not None and project.build.how != "bundle":
        matrix_file = file.parent / project.matrix
        matrix, more = _decoded(matrix_file, MatrixFile, "the matrix file")
        if matrix is None:
            return project, more
        project = dataclasses.replace(project, lines=(*project.lines, *matrix.lines))
    known = {version: tuple(one.policies) for version, one in torches.items()}
    given = rules.Given(file, project, matrix_file, known)
    # Of a matrix that nobody builds nothing else is asked: the answer is one, and it is fast.
    size, *others = sorted(rules_of(rules), key=lambda one: one.name != "matrix-size")
    too_many = list(size.apply(given))
    return project, too_many or [finding for one in others for finding in one.apply(given)]


def titles() -> dict[str, str]:
    """Rule name -> title, in the order in which rules run."""
    return {rule.name: rule.title for rule in rules_of(rules)}


def _decoded(file: Path, row: Any, what: str) -> tuple[Any, list[Finding]]:
    problems: list[Problem] = []
    content = read(file, problems)
    table = _TABLE if file.name == PYPROJECT else ""
    node = None if content is None else text.parse(content, problems, table)
    if isinstance(node, MappingNode) and not node.pairs and not problems:
        keys = ", ".join(name for name, (_, needed) in hints(row).items() if needed)
        problems.append(Problem(1, "required-key", f"{what} is empty", f"give it {keys}"))
        node = None
    decoded = None if node is None else decode(row, node, problems, language="TOML", what=what)
    return (None if problems else decoded), findings(file, problems)
