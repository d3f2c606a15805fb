"""A release note as values: what its file says, and what follows from all files and the matrix.

An issue is written once, in the record of the version that it was first known in. Which later versions still
have it, and which one fixes it, follows from `fixed_in`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Literal

from wheelmill.errors import Finding, WheelmillError
from wheelmill.frozen import dataclass
from wheelmill.matrix.model import Line, Matrix, ReleaseNote, Row
from wheelmill.matrix.near import few_of
from wheelmill.matrix.own import own_packages
from wheelmill.matrix.versions import base_version, is_canonical, version

Language = Literal["zh", "en"]


class NotesError(WheelmillError):
    """Files could not be read as records; `findings` says every place and how to fix it."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(map(str, findings)))


class NotesLookupError(WheelmillError):
    """A version was asked for that has no record."""


# ----------------------------------------------------------------------------------------- as the file has it
@dataclass(frozen=True)
class Text(Row):
    """One text in both languages."""

    zh: str
    en: str

    def on(self, language: Language) -> str:
        """The text in one language."""
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True)
class Entry(Row):
    """One row of a section. `printed` keeps the words of a published note where they were wrong."""

    zh: str
    en: str
    title: Text | None = None
    printed: str | None = None

    def on(self, language: Language) -> str:
        """The text in one language."""
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True)
class Topic(Row):
    """Rows of one topic: entries, and names (of models) that need no words."""

    zh: str
    en: str
    entries: tuple[Entry, ...] = ()
    names: tuple[str, ...] = ()
    printed: Mapping[str, str] = field(default_factory=dict)
    """Names that were printed otherwise: as held -> as printed."""

    def on(self, language: Language) -> str:
        """The topic's name in one language."""
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True)
class Issue(Row):
    """Something that does not work, known from the record's version on.

    `since` adds versions of other torches that have it from then on; `fixed_in` names the versions, one per
    torch, that no longer have it. `fix` is what the notes of those say; without it, the issue's own text.
    """

    id: str
    title: Text
    zh: str
    en: str
    since: tuple[str, ...] = ()
    fixed_in: tuple[str, ...] = ()
    fix: Text | None = None

    def on(self, language: Language) -> str:
        """What does not work, in one language."""
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True)
class Record(Row):
    """The note of one version as its file has it. It is for a series with all its lines, or for one line."""

    version: str
    product: str
    notice: tuple[Text, ...]
    features: tuple[Topic, ...]
    changes: tuple[Topic, ...]
    fixed: tuple[Topic, ...]
    known: tuple[Issue, ...]
    series: str | None = None
    line: str | None = None


# ------------------------------------------------------------------------------------------ as it is resolved
@dataclass(frozen=True)
class Note:
    """The note of one version with what follows: the issues that it fixes or still has, and its lines."""

    record: Record
    file: Path
    repaired: tuple[Issue, ...]
    known: tuple[Issue, ...]
    lines: tuple[Line, ...]
    hardware: ReleaseNote | None

    @property
    def version(self) -> str:
        """The version that the note is of."""
        return self.record.version

    @property
    def title(self) -> str:
        """Product and version: `NAME 2.1.0rc1`."""
        return f"{self.record.product} {self.record.version}"


@dataclass(frozen=True)
class Notes:
    """All records, newest first within a product."""

    folder: Path
    matrix: Matrix = field(repr=False)
    files: Mapping[str, Path]
    records: tuple[Record, ...]

    def note(self, wanted: str) -> Note:
        """The note of a version; raises NotesLookupError naming the versions that have one."""
        record = next((one for one in self.records if one.version == wanted), None)
        if record is None:
            known = [one.version for one in self.records]
            raise NotesLookupError(
                f"There is no release note for {wanted!r} in {self.folder}.",
                hint=f"Notes: {few_of(wanted, known, f'ls {self.folder}') or 'none'}. "
                "`wheelmill notes draft BRANCH` writes one to fill in.",
            )
        here = [(issue, self._state(issue, owner, record.version)) for owner, issue in self._issues(record)]
        noted = self.matrix.document.release_notes
        return Note(
            record,
            self.files[record.version],
            tuple(issue for issue, state in here if state == "fixed"),
            tuple(issue for issue, state in here if state == "known"),
            self._lines(record),
            next((one for one in noted if one.version == record.version), None),
        )

    def all(self) -> tuple[Note, ...]:
        """The notes of every version."""
        return tuple(self.note(record.version) for record in self.records)

    def issues_of(self, adapter: str) -> tuple[Issue, ...]:
        """The issues that an adapter version is known to have.

        They come from its own record and earlier ones for its torch, and from that of the series of its line.
        """
        if not is_canonical(adapter):
            return ()
        own = tuple(
            issue
            for owner in self.records
            if is_of_a_line(owner.product)
            for issue in owner.known
            if self._state(issue, owner, adapter) == "known"
        )
        line = next((one for one in self.matrix.lines if one.adapter == adapter), None)
        covering = [one for one in self.records if line and one.series and one.series == line.series]
        return own + tuple(issue for record in covering for issue in self.note(record.version).known)

    def _issues(self, record: Record) -> list[tuple[Record, Issue]]:
        """The issues of a product, those that were known first in front."""
        owners = [one for one in reversed(self.records) if one.product == record.product]
        return [(owner, issue) for owner in owners for issue in owner.known]

    def _state(self, issue: Issue, owner: Record, wanted: str) -> Literal["known", "fixed", "absent"]:
        """Whether a version has an issue, is the one that fixes it, or neither."""
        train = train_of(owner.product, wanted)
        begun = [
            version(one)
            for one in (owner.version, *issue.since)
            if train_of(owner.product, one) == train and version(one) <= version(wanted)
        ]
        if not begun:
            return "absent"
        ends = [version(one) for one in issue.fixed_in if train_of(owner.product, one) == train]
        ends = [one for one in ends if max(begun) < one <= version(wanted)]
        if not ends:
            return "known"
        return "fixed" if version(wanted) in ends else "absent"

    def _lines(self, record: Record) -> tuple[Line, ...]:
        if record.line is not None:
            return (self.matrix.line(record.line),)
        return tuple(line for line in self.matrix.lines if line.series == record.series)


def is_of_a_line(product: str) -> bool:
    """Whether a note of the product is for one line, and so for one torch, not for a series."""
    return own_packages().notes.get(product) == "line"


def train_of(product: str, wanted: str) -> str:
    """The versions among which one follows the other: those of a torch, or all of the product."""
    return (base_version(wanted) or "") if is_of_a_line(product) else product
