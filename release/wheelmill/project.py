"""Where things are: the checkout, its matrix, its adapter, its state."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from wheelmill.errors import WheelmillError
from wheelmill.frozen import dataclass
from wheelmill.limits import MAX_TEXT, read_regular
from wheelmill.matrix import Matrix, MatrixError, load
from wheelmill.matrix.references import resolve

if TYPE_CHECKING:
    from wheelmill.catalogue import Catalogue
    from wheelmill.errors import Finding
    from wheelmill.matrix.model import Document
    from wheelmill.notes import Notes

MATRIX = Path("matrix", "compat.yaml")
# A wheel of wheelmill carries the matrix of its day, so that picking needs no checkout.
PACKAGED = Path(__file__).parent / "data" / "compat.yaml"

NOTES = Path("release", "notes")
_KEY = 32  # bytes


@dataclass(frozen=True)
class Project:
    """A matrix file and, where it lies in a checkout, the checkout's root."""

    matrix_file: Path
    root: Path | None

    def matrix(self) -> Matrix:
        """The matrix, if it is in order; raises MatrixError with every finding that is an error.

        What is printed to be pasted, and what is built, comes from it: a rule that it breaks stops both.
        """
        matrix = load(self.matrix_file)
        _, sealed = _read_kept(_kept(matrix.digest))
        return matrix if sealed else _in_order(matrix)

    def quick_matrix(self) -> Matrix:
        """The same, but rows do not know their places; from what an earlier run kept of these very bytes."""
        try:
            content = read_regular(self.matrix_file, MAX_TEXT)
        except (OSError, ValueError):
            return self.matrix()
        digest = hashlib.sha256(content).hexdigest()
        place = _kept(digest)
        document, sealed = _restored(place)
        kept = None if document is None else resolve(self.matrix_file, digest, document, [])
        if document is None or kept is None:
            return self.matrix()
        if sealed:
            return kept
        with suppress(MatrixError):  # it saves reading YAML; the rules are asked of it as of the file
            return _in_order(kept)
        return self.matrix()  # whose errors have lines

    @property
    def catalogue_folder(self) -> Path:
        """Where the records of published wheels lie: beside the matrix."""
        return self.matrix_file.with_name("catalogue")

    @property
    def abi_folder(self) -> Path:
        """Where the records of torch's C++ interface lie: beside the matrix."""
        return self.matrix_file.with_name("abi")

    def catalogue(self) -> Catalogue:
        """What is published; empty where no record lies beside the matrix. Raises CatalogueError."""
        from wheelmill.catalogue import load as load_catalogue

        return load_catalogue(self.catalogue_folder)

    @property
    def notes_folder(self) -> Path:
        """The folder of the release notes: the checkout's, else the one that this package carries."""
        return PACKAGED.with_name("notes") if self.root is None else self.root / NOTES

    def notes(self) -> Notes:
        """The release notes; raises NotesError with every finding."""
        from wheelmill.notes import load as load_notes

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


def _in_order(matrix: Matrix) -> Matrix:
    """A matrix in which rules find no error, which is kept from now on. Raises MatrixError."""
    if found := _errors(matrix):
        raise MatrixError(found)
    from wheelmill.matrix.kept import dump

    _keep(_kept(matrix.digest), dump(matrix.document))
    return matrix


def _errors(matrix: Matrix) -> list[Finding]:
    """What rules find wrong with a matrix, wherever it was read from."""
    from wheelmill.matrix.lint import errors

    return errors(matrix)


def _kept(digest: str) -> Path:
    """Where a matrix of this digest is kept, decoded, once the rules as they are now found no error in it."""
    try:
        home = user_folder("XDG_CACHE_HOME", "~/.cache")
    except WheelmillError:
        home = Path(os.devnull)  # nothing can be kept
    state = hashlib.sha256(digest.encode())
    for file in sorted((Path(__file__).parent / "matrix").rglob("*.py")):
        stat = file.stat()
        state.update(f"{file.name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return home / "wheelmill" / f"matrix-{state.hexdigest()}.json"


def _keep(path: Path, text: str) -> None:
    """Keep a text with its seal, for this user alone; a cache that cannot be written saves nothing."""
    key = _key()
    content = text.encode()
    seal = hashlib.sha256(content).hexdigest() if key is None else _seal(path, content, key)
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_bytes(b"%s\n%s" % (seal.encode(), content))
        fresh.replace(path)


def _seal(path: Path, content: bytes, key: bytes) -> str:
    """Of a copy in its place: under the name of another matrix it is no copy of that."""
    return hashlib.blake2b(path.name.encode() + b"\n" + content, key=key, digest_size=32).hexdigest()


def _key() -> bytes | None:
    """A key of this user on this machine, apart from the cache, which others may have filled; or None."""
    with suppress(OSError, WheelmillError):
        path = user_folder("XDG_STATE_HOME", "~/.local/state") / "wheelmill" / "key"
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = path.with_name(f"{path.name}.{os.getpid()}")
            fresh.touch(mode=0o600)
            fresh.write_bytes(os.urandom(_KEY))
            fresh.replace(path)
        key = read_regular(path, _KEY, own=True)
        return key if len(key) == _KEY else None
    return None


def _restored(path: Path) -> tuple[Document | None, bool]:
    """What was kept, as a document; None for what is none."""
    text, sealed = _read_kept(path)
    if text is None:
        return None, False
    from wheelmill.matrix.kept import NotKeptError, restore

    try:
        return restore(text), sealed
    except NotKeptError:
        return None, False


def _read_kept(path: Path) -> tuple[str | None, bool]:
    """What was kept, and whether a run of this user sealed it, which had asked the rules.

    None where there is nothing, it is damaged, or someone else could have written it.
    """
    try:
        seal, _, content = read_regular(path, MAX_TEXT, own=True).partition(b"\n")
        key = _key()
        sealed = key is not None and _seal(path, content, key).encode() == seal
        if not sealed and hashlib.sha256(content).hexdigest().encode() != seal:
            return None, False
        return content.decode(), sealed
    except (OSError, ValueError):
        return None, False


def find_project(matrix: Path | None = None) -> Project:
    """The project of --matrix, else $WHEELMILL_MATRIX, else the checkout around here or this package.

    Without any of them the matrix that the package carries. Raises WheelmillError when there is none.
    """
    given = matrix or (Path(os.environ["WHEELMILL_MATRIX"]) if os.environ.get("WHEELMILL_MATRIX") else None)
    if given is not None:
        path = absolute(given)
        return Project(path, path.parents[1] if path.parent.name == "matrix" else None)
    here = absolute(Path())
    for folder in (here, *here.parents, Path(__file__).parents[2]):
        if (folder / MATRIX).is_file():
            return Project(folder / MATRIX, folder)
    if PACKAGED.is_file():
        return Project(PACKAGED, None)
    raise WheelmillError(
        f"There is no {MATRIX} here or above {here}.",
        hint="Run this in a checkout of the project, or name the file with --matrix.",
    )


def user_folder(variable: str, default: str, environment: Mapping[str, str] = os.environ) -> Path:
    """A folder of this user's: the variable's, else the default. Raises WheelmillError without either.

    A relative path counts as none, as the XDG specification has it: it would be another one in each folder.
    """
    given = environment.get(variable) or default
    if default and not given.startswith(("/", "~")):
        given = default
    try:
        return absolute(Path(given).expanduser())
    except RuntimeError:  # no such user, or nobody who has a home
        raise WheelmillError(
            f"{given} names no folder: there is no such home",
            hint=f"Set {variable} to a folder, or HOME to yours.",
        ) from None


def absolute(path: Path) -> Path:
    """The path from the root on. Raises WheelmillError where the working directory was removed."""
    try:
        return path.absolute()
    except OSError as error:
        raise WheelmillError(
            f"the working directory cannot be read: {error.strerror}",
            hint="Change into a folder that exists.",
        ) from None
