"""`load`: the matrix file as a `Matrix`, or one error that names every mistake with file and line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from wheelmill.matrix.decode import decode
from wheelmill.matrix.model import Document, Finding, Line, LineRow, Matrix, MatrixError, Row, Torch
from wheelmill.matrix.text import Problem, parse, read


def load(path: Path) -> Matrix:
    """Read the matrix; raises MatrixError with all findings. Rules beyond form and references are `lint`'s."""
    path = Path(path)
    problems: list[Problem] = []
    content, digest, document = load_document(path, problems)
    del content
    matrix = resolve(path, digest, document, problems) if document else None
    if problems or matrix is None:
        raise MatrixError(findings(path, problems))
    return matrix


def load_document(path: Path, problems: list[Problem]) -> tuple[bytes, str, Document | None]:
    """The file's bytes, their sha256 and the decoded rows; None where the form is beyond decoding."""
    content = read(path, problems)
    if content is None:
        return b"", "", None
    node = parse(content, problems)
    document = None if node is None else decode(Document, node, problems)
    return content, hashlib.sha256(content).hexdigest(), document


def resolve(path: Path, digest: str, document: Document, problems: list[Problem]) -> Matrix | None:
    """Follow every reference by name; dangling ones and names given twice become problems."""
    torches = _by_name(document.torches, "version", "torch", problems)
    series = _by_name(document.series, "name", "series", problems)
    policies = _by_name(document.policies, "name", "policy", problems)
    sources = _by_name(document.sources, "name", "source", problems)
    _by_name(document.lines, "branch", "branch", problems)
    for one in document.series:
        _refer(one, "policy", policies, problems)
    for row in (*document.policies, *document.python_support):
        _refer(row, "source", sources, problems)
    for note in document.release_notes:
        _refer(note, "series", series, problems)
    lines = []
    for row in document.lines:
        known = [_refer(row, "series", series, problems), _refer(row, "source", sources, problems)]
        if _refer(row, "torch", torches, problems) and all(known):
            lines.append(_line(row, torches[row.torch]))
    if problems:
        return None
    return Matrix(path, digest, document, tuple(lines), torches, series, policies)


def findings(path: Path, problems: Iterable[Problem]) -> list[Finding]:
    """Problems of form as findings of this file, in the order of its lines."""
    ordered = sorted(problems, key=lambda problem: problem.line)
    return [Finding("error", p.rule, str(path), p.line, p.message, p.fix) for p in ordered]


def _line(row: LineRow, torch: Torch) -> Line:
    return Line(
        branch=row.branch,
        series=row.series,
        cann=row.cann,
        torch=torch,
        adapter=row.adapter,
        pythons=row.pythons,
        arches=row.arches,
        buildable=row.buildable,
        reason=row.reason,
        kind=row.kind,
        image=row.image,
        on_index=row.on_index,
        download=row.download,
        published=row.published,
        source=row.source,
        at=row.at,
    )


def _by_name(rows, key, what, problems):  # type: ignore[no-untyped-def]
    named = {}
    for row in rows:
        name = getattr(row, key)
        if name in named:
            problems.append(
                Problem(
                    row.at.of(key),
                    "unique-name",
                    f"{what} {name!r} is already on line {named[name].at.of(key)}",
                    "keep one of the two rows, or correct the name of this one",
                )
            )
        else:
            named[name] = row
    return named


def _refer(row: Row, field: str, known, problems) -> bool:  # type: ignore[no-untyped-def]
    name = getattr(row, field)
    if name is None or name in known:
        return True
    problems.append(
        Problem(
            row.at.of(field),
            "known-reference",
            f"{field} {name!r} is not in the matrix",
            f"add it, or take one of: {', '.join(known) or '(there is none yet)'}",
        )
    )
    return False
