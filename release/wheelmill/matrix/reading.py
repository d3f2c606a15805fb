"""`load`: the matrix file as a `Matrix`, or one error that names every mistake with file and line."""

from __future__ import annotations

import hashlib
from pathlib import Path

from wheelmill.matrix.decode import decode
from wheelmill.matrix.model import Document, Matrix, MatrixError
from wheelmill.matrix.problems import Problem, findings
from wheelmill.matrix.references import resolve
from wheelmill.matrix.text import parse, read


def load(path: Path) -> Matrix:
    """Read the matrix; raises MatrixError with all findings. Rules beyond form and references: `lint`."""
    path = Path(path)
    problems: list[Problem] = []
    digest, document = load_document(path, problems)
    matrix = resolve(path, digest, document, problems) if document else None
    if problems or matrix is None:
        raise MatrixError(findings(path, problems))
    return matrix


def load_document(path: Path, problems: list[Problem]) -> tuple[str, Document | None]:
    """The file's sha256 and its decoded rows; None where the form is beyond decoding."""
    content = read(path, problems)
    if content is None:
        return "", None
    node = parse(content, problems)
    document = None if node is None else decode(Document, node, problems)
    return hashlib.sha256(content).hexdigest(), document
