"""A note in one language as titles, paragraphs and tables: what all renderers share.

Compatibility is made from the matrix here; nobody writes it. An anchor names version and section, so no two
headings of a page share one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wheelmill.matrix.model import Hardware, Line
from wheelmill.matrix.own import own_packages
from wheelmill.notes.model import Issue, Language, Note, Topic

# Key, Chinese and English title, in the order of the printed notes.
TITLES: tuple[tuple[str, str, str], ...] = (
    ("notice", "用户须知", "User notice"),
    ("features", "新增特性", "New features"),
    ("changes", "特性修改", "Changed features"),
    ("fixed", "已修复问题", "Fixed issues"),
    ("known", "已知问题", "Known issues"),
    ("compatibility", "兼容性", "Compatibility"),
)
_NONE = {"zh": "不涉及", "en": "None"}
_COLUMNS: dict[str, dict[Language, tuple[str, ...]]] = {
    "topics": {"zh": ("一级特性", "二级特性", "说明"), "en": ("Topic", "Feature", "Description")},
    "issues": {"zh": ("已知问题", "问题描述"), "en": ("Issue", "Description")},
    "lines": {
        "zh": ("分支", "适配器", "PyTorch", own_packages().sdk, "Python", "架构"),
        "en": ("Branch", "Adapter", "PyTorch", own_packages().sdk, "Python", "Architecture"),
    },
    "hardware": {"zh": ("服务器", "架构", "操作系统"), "en": ("Server", "Architecture", "Operating systems")},
}


@dataclass(frozen=True)
class Table:
    """Rows of cells under column titles."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """One of the six sections. With neither paragraphs nor tables, `nothing` says so."""

    key: str
    title: str
    anchor: str
    paragraphs: tuple[str, ...]
    tables: tuple[Table, ...]
    nothing: str


@dataclass(frozen=True)
class Chapter:
    """One version: its heading and the six sections."""

    title: str
    anchor: str
    sections: tuple[Section, ...]


def chapter(note: Note, language: Language) -> Chapter:
    """A note as headings, paragraphs and tables in one language."""
    anchor = slug(note.title)
    parts = _parts(note, language)
    sections = tuple(
        Section(key, zh if language == "zh" else en, f"{anchor}-{key}", *parts[key], _NONE[language])
        for key, zh, en in TITLES
    )
    return Chapter(note.title, anchor, sections)


def slug(text: str) -> str:
    """`Some_name 2.1.0rc1` as an anchor: `some-name-2-1-0rc1`."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


Part = tuple[tuple[str, ...], tuple[Table, ...]]


def _parts(note: Note, language: Language) -> dict[str, Part]:
    record = note.record
    repaired = _issues(note.repaired, language, fixed=True)
    return {
        "notice": (tuple(text.on(language) for text in record.notice), ()),
        "features": ((), _topics(record.features, language)),
        "changes": ((), _topics(record.changes, language)),
        "fixed": ((), (*_topics(record.fixed, language), *repaired)),
        "known": ((), _issues(note.known, language, fixed=False)),
        "compatibility": ((), _compatibility(note, language)),
    }


def _topics(topics: Sequence[Topic], language: Language) -> tuple[Table, ...]:
    rows = [row for topic in topics for row in _rows(topic, language)]
    return (Table(_COLUMNS["topics"][language], tuple(rows)),) if rows else ()


def _rows(topic: Topic, language: Language) -> Iterable[tuple[str, ...]]:
    name = topic.on(language)
    for entry in topic.entries:
        yield name, entry.title.on(language) if entry.title else "-", entry.on(language)
    for model in topic.names:
        yield name, model, "-"


def _issues(issues: Sequence[Issue], language: Language, *, fixed: bool) -> tuple[Table, ...]:
    rows = []
    for issue in issues:
        text = issue.fix.on(language) if fixed and issue.fix else issue.on(language)
        rows.append((issue.title.on(language), text))
    return (Table(_COLUMNS["issues"][language], tuple(rows)),) if rows else ()


def _compatibility(note: Note, language: Language) -> tuple[Table, ...]:
    tables = []
    if note.lines:
        tables.append(Table(_COLUMNS["lines"][language], tuple(map(_line, note.lines))))
    if note.hardware is not None:
        rows = tuple(map(_server, note.hardware.hardware))
        tables.append(Table(_COLUMNS["hardware"][language], rows))
    return tuple(tables)


def _line(line: Line) -> tuple[str, ...]:
    pythons, arches = ", ".join(line.pythons), ", ".join(line.arches)
    return line.branch, line.adapter, line.torch.version, line.cann, pythons, arches


def _server(one: Hardware) -> tuple[str, ...]:
    systems = "; ".join(f"{name} {', '.join(versions)}" for name, versions in one.systems.items())
    return one.model, one.arch, systems
