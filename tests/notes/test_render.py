"""Notes as Markdown, HTML and JSON: every row arrives, nothing is markup, no anchor is there twice."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from wheelmill.matrix import Matrix, load
from wheelmill.notes import Notes
from wheelmill.notes import load as load_notes
from wheelmill.notes.model import Language
from wheelmill.publish.notes import render, side_files

from tests.cli.test_command_line import wheelmill
from tests.matrix.small import COMPAT
from tests.notes.test_records import NOTES, PRINTED, SMALL

SECTIONS = {
    "zh": ["用户须知", "新增特性", "特性修改", "已修复问题", "已知问题", "兼容性"],
    "en": [
        "User notice",
        "New features",
        "Changed features",
        "Fixed issues",
        "Known issues",
        "Compatibility",
    ],
}


class Page(HTMLParser):
    """What a browser would find: ids, links within the page, headings, rows of table bodies, scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headings: list[str] = []
        self.cells = 0
        self.scripts = 0
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids += [str(values["id"])] if "id" in values else []
        self.links += [str(values["href"])] if "href" in values else []
        self.cells += tag == "td"
        self.scripts += tag == "script"
        self._in = tag

    def handle_data(self, data: str) -> None:
        if self._in in ("h2", "h3") and data.strip():
            self.headings.append(data)


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return load(COMPAT)


@pytest.fixture(scope="module")
def notes(matrix: Matrix) -> Notes:
    return load_notes(NOTES, matrix)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("form", ["md", "html"])
def test_all_versions_on_one_page_have_anchors_of_their_own(
    notes: Notes, form: str, language: Language
) -> None:
    text = render(notes.all(), form, language)
    page = Page(MarkdownIt("gfm-like", {"linkify": False}).render(text) if form == "md" else text)
    assert [name for name, count in Counter(page.ids).items() if count > 1] == []
    assert len(page.ids) == 7 * len(notes.records)  # one for the version, one for each of its sections
    assert len(page.links) == len(notes.records)
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    (start,) = (at for at, heading in enumerate(page.headings) if heading == "FrameworkPTAdapter 3.0.RC3")
    assert page.headings[start + 1 : start + 7] == SECTIONS[language]


@pytest.mark.parametrize("version", PRINTED)
def test_every_row_arrives_in_every_format(notes: Notes, version: str) -> None:
    entries, models, issues, servers, _ = PRINTED[version]
    note = notes.note(version)
    cells = 3 * (entries + models) + 2 * issues + 3 * servers + 6 * len(note.lines)
    assert Page(render([note], "html", "zh")).cells == cells
    markdown = MarkdownIt("gfm-like", {"linkify": False}).render(render([note], "md", "en"))
    assert Page(markdown).cells == cells
    (data,) = json.loads(render([note], "json", "en"))["notes"]
    assert sum(len(t["entries"]) + len(t["names"]) for t in data["features"]) == entries + models
    assert len(data["known_issues"]) == issues
    assert len(data["compatibility"][0]) == len(note.lines)
    assert len(data["compatibility"][1]) == servers


def test_an_empty_section_says_so(notes: Notes) -> None:
    assert render([notes.note("2.0.2")], "md", "zh").count("\n不涉及\n") == 2
    assert render([notes.note("2.0.2")], "html", "en").count("<p>None</p>") == 2


NASTY = "<script>alert(1)</script> a|b [x](javascript:y) *z* & `c|d`"


def test_what_a_record_says_is_text_and_no_markup(tmp_path: Path, matrix: Matrix) -> None:
    text = SMALL.format(version="2.1.0rc1", known="[]").replace("zh: 流, en: Streams", 'zh: "N", en: "N"')
    text = text.replace('"N"', json.dumps(NASTY))
    (tmp_path / "2.1.0rc1.yaml").write_text(text, encoding="utf-8")
    note = load_notes(tmp_path, matrix).note("2.1.0rc1")
    html = render([note], "html", "en")
    from_markdown = MarkdownIt("gfm-like", {"linkify": False}).render(render([note], "md", "en"))
    for page in (html, from_markdown):
        found = Page(page)
        assert (found.scripts, found.cells, found.links) == (0, 9, [])
        assert "&lt;script&gt;" in page
        assert "<em>" not in page
        assert re.search(r"<code>c\|d</code>", page)


def test_side_files_of_a_release(notes: Notes) -> None:
    files = side_files(notes.note("2.1.0rc1"))
    assert list(files) == [
        "release-notes.en.html", "release-notes.en.md", "release-notes.json", "release-notes.zh.html",
        "release-notes.zh.md",
    ]  # fmt: skip
    assert files == side_files(notes.note("2.1.0rc1"))
    assert "已知问题".encode() in files["release-notes.zh.md"]
    assert b'lang="zh-CN"' in files["release-notes.zh.html"]


def test_the_command_shows_one_or_all() -> None:
    done = wheelmill("notes", "show", "3.0.RC3", "--language", "zh")
    assert done.returncode == 0, done.stderr
    assert "### 已知问题" in done.stdout
    everything = json.loads(wheelmill("notes", "show", "--all", "--format", "json").stdout)
    assert [one["version"] for one in everything["notes"] if one["product"] == "FrameworkPTAdapter"] == list(
        PRINTED
    )
    assert wheelmill("notes", "show", "9.9").returncode == 1
    assert wheelmill("notes", "show").returncode == 2
    listed = json.loads(wheelmill("notes", "issues", "1.8.1rc3", "--json").stdout)
    assert listed["issues"][0]["id"] == "float16-inf-nan"
