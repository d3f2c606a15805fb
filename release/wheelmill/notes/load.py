"""`load`: the records of a folder as `Notes`, or one error that names every mistake with file and line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wheelmill.errors import Finding
from wheelmill.matrix.decode import decode
from wheelmill.matrix.model import Matrix
from wheelmill.matrix.own import own_packages
from wheelmill.matrix.problems import Problem
from wheelmill.matrix.text import parse, read
from wheelmill.matrix.versions import base_version, is_canonical, readable_version, version
from wheelmill.notes.model import Note, Notes, NotesError, Record
from wheelmill.notes.rules import broken


def load(folder: Path, matrix: Matrix) -> Notes:
    """Read every record; raises NotesError with all findings of form and reference. Rules: `problems`."""
    notes, found = _read(folder, matrix)
    if notes is None or found:
        raise NotesError(found)
    return notes


def check(folder: Path, matrix: Matrix) -> tuple[Finding, ...]:
    """Every finding about every record; never raises for what the files hold."""
    notes, found = _read(folder, matrix)
    if notes is None or found:
        return tuple(found)
    return (*_covered(notes), *(finding for note in notes.all() for finding in problems(note)))


def problems(note: Note) -> tuple[Finding, ...]:
    """What keeps a note from being released: a language that lacks, words that differ, marks of a draft."""
    return tuple(_findings(note.file, broken(note.record)))


def _read(folder: Path, matrix: Matrix) -> tuple[Notes | None, list[Finding]]:
    found: list[Finding] = []
    records: dict[str, tuple[Record, Path]] = {}
    for path in _files(folder, found):
        wrong: list[Problem] = []
        record = _record(path, wrong)
        if record is not None:
            _place(record, path, matrix, wrong)
            if not wrong:
                records[record.version] = (record, path)
        found.extend(_findings(path, wrong))
    if found:
        return None, found
    _unique_issues(records, found)
    ordered = sorted(
        (record for record, _ in records.values()), key=lambda one: (one.product, version(one.version))
    )
    files = {name: path for name, (_, path) in records.items()}
    return Notes(folder, matrix, files, tuple(reversed(ordered))), found


def _files(folder: Path, found: list[Finding]) -> list[Path]:
    """The notes of a folder. What else lies there is a finding, hidden files apart: nothing reads it."""
    if not folder.is_dir():
        message = "there is no such folder, and the release notes are in it"
        found.extend(_findings(folder, [Problem(1, "readable-file", message, "restore it from git")]))
        return []
    paths = sorted(one for one in folder.iterdir() if one.name != "README.md" and one.name[0] != ".")
    for path in paths:
        if path.suffix != ".yaml":
            message = "this is no note, and nothing reads it"
            found.extend(_findings(path, [Problem(1, "known-file", message, "name it VERSION.yaml")]))
    return [path for path in paths if path.suffix == ".yaml"]


def _record(path: Path, wrong: list[Problem]) -> Record | None:
    content = read(path, wrong)
    node = None if content is None else parse(content, wrong)
    return None if node is None else decode(Record, node, wrong)


def _place(record: Record, path: Path, matrix: Matrix, wrong: list[Problem]) -> None:
    """Names that have to be those of the file, of the matrix, or of a version."""
    if path.stem != record.version:
        message = f"the file is named {path.name}, its version is {record.version}"
        wrong.append(
            Problem(record.at.of("version"), "file-names-version", message, f"{record.version}.yaml")
        )
    for what, line in (
        (record.version, record.at.of("version")),
        *((one, issue.at.of("fixed_in")) for issue in record.known for one in issue.fixed_in),
        *((one, issue.at.of("since")) for issue in record.known for one in issue.since),
    ):
        if not readable_version(what):
            wrong.append(Problem(line, "version", f"{what!r} is not a version", "write one such as 2.1.0rc1"))
    known = own_packages().notes
    if record.product not in known:
        message = f"there is no product {record.product!r}"
        wrong.append(
            Problem(record.at.of("product"), "type", message, f"write one of {', '.join(sorted(known))}")
        )
        return
    wanted = known[record.product]
    if (record.series is None) == (record.line is None) or getattr(record, wanted) is None:
        message = f"a note of {record.product} is of one {wanted}"
        hint = f"give {wanted}:, and not the other of line: and series:"
        wrong.append(Problem(record.at.line, "line-or-series", message, hint))
    elif record.line is not None:
        _place_on_line(record, record.line, matrix, wrong)
    elif record.series not in matrix.series:
        wrong.append(_unknown(record, "series", list(matrix.series)))
    elif record.series != f"v{record.version.lower()}":
        message = f"series {record.series} is not that of version {record.version}"
        hint = f"write v{record.version.lower()}, or correct the version"
        wrong.append(Problem(record.at.of("series"), "version-of-series", message, hint))


def _place_on_line(record: Record, branch: str, matrix: Matrix, wrong: list[Problem]) -> None:
    """A version of the line's torch, as pip writes it."""
    line = next((one for one in matrix.lines if one.branch == branch), None)
    if line is None:
        wrong.append(_unknown(record, "line", [one.branch for one in matrix.lines]))
    elif not is_canonical(record.version) or base_version(record.version) != line.torch.version:
        message = f"{record.version} is not a version for torch {line.torch.version}"
        hint = f"write one as pip does, such as {line.adapter}"
        wrong.append(Problem(record.at.of("version"), "version-of-line", message, hint))


def _unknown(record: Record, field: str, known: list[str]) -> Problem:
    message = f"{field} {getattr(record, field)!r} is not in the matrix"
    return Problem(record.at.of(field), "known-reference", message, "take one of: " + ", ".join(known))


def _covered(notes: Notes) -> list[Finding]:
    """A version whose servers the matrix knows from its note has that note here."""
    there = {record.version for record in notes.records}
    found = []
    for noted in notes.matrix.document.release_notes:
        if noted.version not in there:
            message = f"the matrix has the servers of {noted.version}, whose note is not here"
            hint = f"restore {noted.version}.yaml from git"
            found += _findings(notes.folder, [Problem(1, "note-of-matrix", message, hint)])
    return found


def _unique_issues(records: dict[str, tuple[Record, Path]], found: list[Finding]) -> None:
    first: dict[str, str] = {}
    for record, path in records.values():
        for issue in record.known:
            other = first.setdefault(issue.id, record.version)
            if other != record.version:
                message = f"issue {issue.id!r} is in the note of {other} already"
                hint = "write an issue once; versions that have it too follow, or go into its since:"
                wrong = Problem(issue.at.of("id"), "unique-issue", message, hint)
                found.extend(_findings(path, [wrong]))


def _findings(path: Path, wrong: Iterable[Problem]) -> list[Finding]:
    ordered = sorted(wrong, key=lambda one: (one.line, one.rule))
    return [Finding(one.rule, "error", str(path), one.message, one.hint, one.line) for one in ordered]
