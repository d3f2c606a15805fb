"""Notes as Markdown, HTML or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from wheelmill.notes.model import Entry, Issue, Language, Note, Text, Topic
from wheelmill.publish.notes.sections import Chapter, Section, Table, chapter

FORMATS = ("md", "html", "json")
_HEADING = {"zh": "版本说明", "en": "Release notes"}
_LANGUAGE_TAG = {"zh": "zh-CN", "en": "en"}
# What Markdown would read as markup; a bar ends a table's cell. An underscore within a word is none.
_MARKUP = re.compile(r"([\\`*\[\]<>|&]|(?<!\w)_|_(?!\w))")
_CODE = re.compile(r"(`[^`\n]+`)")


def render(notes: Sequence[Note], form: str, language: Language) -> str:
    """The notes in the order given as one document; JSON has both languages. Ends with a line break."""
    if form == "json":
        return json.dumps(to_json(notes), ensure_ascii=False, indent=2) + "\n"
    chapters = [chapter(note, language) for note in notes]
    return _html(chapters, language) if form == "html" else _markdown(chapters, language)


# --------------------------------------------------------------------------------------------------- Markdown
def _markdown(chapters: Sequence[Chapter], language: Language) -> str:
    lines: list[str] = []
    if len(chapters) > 1:
        lines += [f"# {_HEADING[language]}", ""]
        lines += [f"- [{_escaped(one.title)}](#{one.anchor})" for one in chapters]
        lines.append("")
    for one in chapters:
        lines += [f'<a id="{one.anchor}"></a>', "", f"## {_escaped(one.title)}", ""]
        for section in one.sections:
            lines += _section(section)
    return "\n".join(lines).rstrip("\n") + "\n"


def _section(section: Section) -> list[str]:
    lines = [f'<a id="{section.anchor}"></a>', "", f"### {_escaped(section.title)}", ""]
    for paragraph in section.paragraphs:
        lines += [_escaped(paragraph), ""]
    for table in section.tables:
        lines += [_row(table.columns), _row(["---"] * len(table.columns)), *map(_row, table.rows), ""]
    if not section.paragraphs and not section.tables:
        lines += [section.nothing, ""]
    return lines


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is; words in back quotes stay code."""
    joined = " ".join(text.split())
    parts = _CODE.split(joined)
    return "".join(
        part.replace("|", "\\|") if at % 2 else _MARKUP.sub(r"\\\1", part) for at, part in enumerate(parts)
    )


# ------------------------------------------------------------------------------------------------------- HTML
def _html(chapters: Sequence[Chapter], language: Language) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # only HTML pays for this import
    from markupsafe import Markup, escape

    def code(text: str) -> Markup:
        """Escaped text; words in back quotes as code."""
        parts = _CODE.split(text)
        return Markup("").join(
            Markup("<code>{}</code>").format(part.strip("`")) if at % 2 else escape(part)
            for at, part in enumerate(parts)
        )

    loader = PackageLoader("wheelmill.publish.notes", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["code"] = code
    page = environment.get_template("notes.html.j2").render(
        chapters=chapters,
        language=_LANGUAGE_TAG[language],
        heading=chapters[0].title if len(chapters) == 1 else _HEADING[language],
    )
    return page.rstrip("\n") + "\n"


# ------------------------------------------------------------------------------------------------------- JSON
def to_json(notes: Sequence[Note]) -> dict[str, Any]:
    """All that the pages have, in both languages."""
    return {"schema": 1, "notes": [_note(note) for note in notes]}


def _note(note: Note) -> dict[str, Any]:
    record = note.record
    compatibility = chapter(note, "en").sections[-1]
    return {
        "version": record.version,
        "product": record.product,
        "series": record.series,
        "line": record.line,
        "notice": [_text(one) for one in record.notice],
        "features": [_topic(one) for one in record.features],
        "changes": [_topic(one) for one in record.changes],
        "fixed": [_topic(one) for one in record.fixed],
        "fixed_issues": [_issue(one) for one in note.repaired],
        "known_issues": [_issue(one) for one in note.known],
        "compatibility": [_table(table) for table in compatibility.tables],
    }


def _text(one: Text | Entry | Issue | Topic) -> dict[str, Any]:
    return {"zh": one.zh, "en": one.en}


def _topic(topic: Topic) -> dict[str, Any]:
    entries = [
        {**_text(entry), "title": entry.title and _text(entry.title), "printed": entry.printed}
        for entry in topic.entries
    ]
    return {**_text(topic), "entries": entries, "names": list(topic.names), "printed": dict(topic.printed)}


def _issue(issue: Issue) -> dict[str, Any]:
    return {
        "id": issue.id,
        "title": _text(issue.title),
        **_text(issue),
        "fixed_in": list(issue.fixed_in),
        "fix": issue.fix and _text(issue.fix),
    }


def _table(table: Table) -> list[dict[str, str]]:
    names = [column.lower().replace(" ", "_") for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.rows]
