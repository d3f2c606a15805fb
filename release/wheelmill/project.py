"""Where things are: the checkout, its matrix, its adapter, its state."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from wheelmill.catalogue import Catalogue
from wheelmill.catalogue import load as load_catalogue
from wheelmill.errors import WheelmillError
from wheelmill.matrix import Matrix, MatrixError, load
from wheelmill.notes import Notes
from wheelmill.notes import load as load_notes

MATRIX = Path("matrix", "compat.yaml")
# A wheel of wheelmill carries the matrix of its day, so that picking needs no checkout.
PACKAGED = Path(__file__).parent / "data" / "compat.yaml"

NOTES = Path("release", "notes")


@dataclass(frozen=True)
class Project:
    """A matrix file and, where it lies in a checkout, the checkout's root."""

    matrix_file: Path
    root: Path | None

    def matrix(self) -> Matrix:
        """The matrix; raises MatrixError with every finding."""
        return load(self.matrix_file)

    def checked_matrix(self, today: date) -> Matrix:
        """The matrix, if it is in order; raises MatrixError with every finding that is an error.

        What is printed to be pasted, and what is built, comes from it: a rule that it breaks stops both.
        """
        from wheelmill.matrix.lint import check

        matrix = self.matrix()
        errors = [one for one in check(matrix, today) if one.severity == "error"]
        if errors:
            raise MatrixError(errors)
        return matrix

    @property
    def catalogue_folder(self) -> Path:
        """Where the records of published wheels lie: beside the matrix."""
        return self.matrix_file.with_name("catalogue")

    def catalogue(self) -> Catalogue:
        """What is published; empty where no record lies beside the matrix. Raises CatalogueError."""
        return load_catalogue(self.catalogue_folder)

    @property
    def notes_folder(self) -> Path:
        """The folder of the release notes: the checkout's, else the one that this package carries."""
        return PACKAGED.with_name("notes") if self.root is None else self.root / NOTES

    def notes(self) -> Notes:
        """The release notes; raises NotesError with every finding."""
        return load_notes(self.notes_folder, self.matrix())

    @property
    def checkout(self) -> Path:
        """The checkout's root; raises WheelmillError when the matrix stands alone: building needs sources."""
        if self.root is None or not (self.root / "adapter" / "CMakeLists.txt").is_file():
            raise WheelmillError(
                f"{self.matrix_file} is not part of a checkout with adapter/: nothing can be built.",
                hint="Clone the project and run this in it, or name its matrix with --matrix.",
            )
        return self.root


def find_project(matrix: Path | None = None) -> Project:
    """The project of --matrix, else $WHEELMILL_MATRIX, else the checkout around here or this package.

    Without any of them the matrix that the package carries. Raises WheelmillError when there is none.
    """
    given = matrix or (Path(os.environ["WHEELMILL_MATRIX"]) if os.environ.get("WHEELMILL_MATRIX") else None)
    if given is not None:
        path = _absolute(given)
        return Project(path, path.parents[1] if path.parent.name == "matrix" else None)
    here = _absolute(Path())
    for folder in (here, *here.parents, Path(__file__).parents[2]):
        if (folder / MATRIX).is_file():
            return Project(folder / MATRIX, folder)
    if PACKAGED.is_file():
        return Project(PACKAGED, None)
    raise WheelmillError(
        f"There is no {MATRIX} here or above {here}.",
        hint="Run this in a checkout of the project, or name the file with --matrix.",
    )


def _absolute(path: Path) -> Path:
    """The path from the root on. Raises WheelmillError where the working directory was removed."""
    try:
        return path.absolute()
    except OSError as error:
        raise WheelmillError(
            f"the working directory cannot be read: {error.strerror}",
            hint="Change into a folder that exists.",
        ) from None
