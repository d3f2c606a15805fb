"""`load`: the records of a folder as `Notes`, or one error that names every mistake with file and line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wheelmill.errors import Finding
from wheelmill.matrix.decode import decode
from wheelmill.matrix.model import Matrix
from wheelmill.matrix.text import Problem, parse, read
from wheelmill.matrix.versions import readable_version, version
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
    return tuple(finding for note in notes.all() for finding in problems(note))


def problems(note: Note) -> tuple[Finding, ...]:
    """What keeps a note from being released: a language that lacks, words that differ, marks of a draft."""
    return tuple(_findings(note.file, broken(note.record)))


def _read(folder: Path, matrix: Matrix) -> tuple[Notes | None, list[Finding]]:
    found: list[Finding] = []
    records: dict[str, tuple[Record, Path]] = {}
    for path in sorted(folder.glob("*.yaml")):
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
    if (record.series is None) == (record.line is None):
        message = "a note is of one line, or of one series"
        wrong.append(
            Problem(record.at.line, "line-or-series", message, "give exactly one of line: and series:")
        )
        return
    field, name, known = ("line", record.line, [one.branch for one in matrix.lines])
    if record.series is not None:
        field, name, known = ("series", record.series, list(matrix.series))
    if name not in known:
        message = f"{field} {name!r} is not in the matrix"
        wrong.append(
            Problem(record.at.of(field), "known-reference", message, "take one of: " + ", ".join(known))
        )


def _unique_issues(records: dict[str, tuple[Record, Path]], found: list[Finding]) -> None:
    first: dict[str, str] = {}
    for record, path in records.values():
        for issue in record.known:
            other = first.setdefault(issue.id, record.version)
            if other != record.version:
                message = f"issue {issue.id!r} is in the note of {other} already"
                fix = "write an issue once; versions that have it too follow, or go into its since:"
                wrong = Problem(issue.at.of("id"), "unique-issue", message, fix)
                found.extend(_findings(path, [wrong]))


def _findings(path: Path, wrong: Iterable[Problem]) -> list[Finding]:
    ordered = sorted(wrong, key=lambda one: (one.line, one.rule))
    return [Finding(one.rule, "error", str(path), one.message, one.fix, one.line) for one in ordered]
