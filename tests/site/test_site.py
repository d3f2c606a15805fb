"""The static site as files: what it holds, that it agrees with the picker, and that it needs nobody else."""

from __future__ import annotations

import csv
import dataclasses
import errno
import html.parser
import json
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from click.testing import CliRunner
from icalendar import Calendar
from wheelmill.cli import cli
from wheelmill.errors import WheelmillError
from wheelmill.matrix.outlook import changes
from wheelmill.pick import answer, parse_request, to_json
from wheelmill.pick.failures import failures
from wheelmill.pick.site import Site, base_address, build, settle, write

from tests.pick.english import english

ROOT = Path(__file__).parents[2]
LIMIT = 300_000  # bytes of a page


class Page(html.parser.HTMLParser):
    """The elements of a page: tags with their attributes, ids, and the text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.prose: list[str] = []  # without code and data
        self.within: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.within += [tag] if tag in ("code", "pre", "script") else []

    def handle_endtag(self, tag: str) -> None:
        if self.within and tag == self.within[-1]:
            self.within.pop()

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        self.prose += [] if self.within else [data]

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="session")
def pages(folder: Path) -> dict[str, Page]:
    return {path.relative_to(folder).as_posix(): Page(path) for path in sorted(folder.rglob("*.html"))}


# ------------------------------------------------------------------------------------------------- all pages
def test_both_languages_have_the_same_pages(pages: dict[str, Page]) -> None:
    english = {name for name in pages if not name.startswith("zh/")}
    assert {f"zh/{name}" for name in english} == {name for name in pages if name.startswith("zh/")}
    assert len(english) > 90
    for name in english:  # and of the same structure
        tags = [[tag for tag, _ in pages[one].elements if tag != "code"] for one in (name, f"zh/{name}")]
        assert tags[0] == tags[1], name


def test_pages_are_small(folder: Path) -> None:
    for path in folder.rglob("*.html"):
        assert path.stat().st_size < LIMIT, path.name


def test_every_link_leads_to_a_file_of_the_site(folder: Path, pages: dict[str, Page]) -> None:
    """Nothing is loaded from elsewhere, and what is linked is there: also below a folder or from a disk."""
    for name, page in pages.items():
        ids = {attributes["id"] for _, attributes in page.elements if attributes.get("id")}
        for tag, attributes in page.elements:
            link = attributes.get("href" if tag in ("a", "link") else "src")
            if link is None:
                continue
            assert not re.match(r"[a-z]+:|//|/", link), (name, link)
            file, _, fragment = link.partition("#")
            target = (folder / name).parent / file if file else folder / name
            assert target.is_file(), (name, link)
            assert not fragment or file or fragment in ids, (name, link)


def test_the_policy_is_strict_and_kept(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        (policy,) = [
            one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy"
        ]
        assert policy is not None
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        for tag, attributes in page.elements:
            assert "style" not in attributes, name
            assert not [one for one in attributes if one.startswith("on")], name
            assert tag != "style", name
            assert tag != "script" or "src" in attributes or attributes["type"] == "application/json", name


def test_headings_language_and_titles(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        assert len(page.all("h1")) == 1, name
        assert page.all("html")[0]["lang"] == ("zh-CN" if name.startswith("zh/") else "en")
        text = " ".join(page.words)
        assert not re.search(
            r"\{[a-z_]+\}", re.sub(r"<script.*?</script>|\{\"[^}]*", "", text.split('{"')[0])
        ), name


def test_no_chinese_page_holds_an_english_sentence(pages: dict[str, Page], folder: Path) -> None:
    """Neither in what it shows, nor in what its script may show."""
    chinese = {name: page for name, page in pages.items() if name.startswith("zh/")}
    found = {
        (name, text.strip()): words
        for name, page in chinese.items()
        for text in page.prose
        if (words := english(text))
    }
    assert found == {}
    for name in ("zh/index.html", "zh/explain.html"):
        data = re.findall(
            r'<script type="application/json" id="words">(.*?)</script>', (folder / name).read_text()
        )
        assert [text for text in json.loads(data[0]).values() if english(text)] == []
    picker = re.findall(r'id="data">(.*?)</script>', (folder / "zh/index.html").read_text())
    data = json.loads(picker[0])
    told = [
        *(step["title"] for step in data["steps"]),
        *(issue for issues in data["issues"] for issue in issues),
    ]
    assert [text for text in told if english(text)] == []


def test_chinese_has_its_own_punctuation(pages: dict[str, Page]) -> None:
    """A colon or a full stop of English between Chinese words comes from a template, not from the words."""
    for name, page in pages.items():
        if name.startswith("zh/") and name != "zh/notes.html":  # which is as others wrote it
            labels = [value or "" for _, one in page.elements if (value := one.get("aria-label"))]
            for text in (*page.prose, *labels):
                assert not re.search(r"[\u4e00-\u9fff][:;,] |[\u4e00-\u9fff\d]\. [\u4e00-\u9fff]", text), (
                    name,
                    text,
                )


def test_the_same_record_gives_the_same_bytes(site: Site, folder: Path, tmp_path: Path) -> None:
    again = dataclasses.replace(site)
    for path in write(again, tmp_path):
        assert path.read_bytes() == (folder / path.relative_to(tmp_path)).read_bytes(), path.name


# ---------------------------------------------------------------------------------------------------- content
def test_every_version_has_a_row_and_a_page_with_commands(site: Site, pages: dict[str, Page]) -> None:
    """Without JavaScript, tables and version pages are what there is."""
    shown = [
        href
        for one in pages["table.html"].all("a")
        if (href := one.get("href") or "").startswith("./version/")
    ]
    assert sorted(shown) == sorted(f"./version/{one['id']}.html" for one in site.versions)
    known = {offer.adapter for offer in (*site.shelf.offers, *site.shelf.records)}
    assert {one["adapter"] for one in site.versions} == known
    wheels = [offer for offer in site.shelf.offers if offer.built_for is None]
    assert sum(len(one["wheels"]) for one in site.versions) == len(wheels)
    others = {(offer.adapter, offer.torch) for offer in site.shelf.offers if offer.built_for is not None}
    assert {(one["adapter"], torch) for one in site.versions for torch in one["proven"]} == others
    text = "".join(pages["version/2.9.0.html"].words)
    assert "pip3 install torch==2.9.0" in text
    assert "--hash=sha256:6f2bda402cb03b292e6f2327b2e20e8dd688ad5e16642edc184ff4340783ddb2" in text


def test_the_json_has_for_each_wheel_what_the_command_answers(site: Site, folder: Path) -> None:
    """Every wheel of every version: the same key, stage, image, and commands for pip and uv."""
    document = json.loads((folder / "api/v1/versions.json").read_text(encoding="utf-8"))
    seen = 0
    for one in document["versions"]:
        for wheel in one["wheels"]:
            asked = {"adapter": one["adapter"], "python": wheel["python"], "arch": wheel["arch"]}
            branch = {"branch": one["branch"]} if one["branch"] else {}
            day = {"date": wheel["day"]} if wheel["file"] else {}  # of two for one cell, the one of the day
            told = to_json(answer(site.shelf, parse_request(**asked, **branch, **day), {}))
            cell, phase = told["cell"], told["phase"] or {"stage": None, "since": None, "until": None}
            for name in ("key", "glibc", "from"):
                assert wheel[name] == cell[name], (asked, name)
            for name in ("torch", "cann", "image"):
                assert one[name] == cell[name], (asked, name)
            for name in ("stage", "since", "until"):
                assert one[name] == phase[name], (asked, name)
            assert [wheel["file"], wheel["sha256"]] == [
                (cell["wheel"] or {}).get("file"),
                (cell["wheel"] or {}).get("sha256"),
            ]
            for ours, name in (("pip", "commands"), ("uv", "uv"), ("fallback", "fallback")):
                assert [step[ours] for step in wheel["steps"]] == [step[name] for step in told["steps"]], (
                    asked
                )
            seen += 1
    assert seen == sum(offer.built_for is None for offer in site.shelf.offers)


@pytest.mark.parametrize("day", ["2023-12-25", "2025-01-14", "2025-01-15", "2026-01-31", "2026-06-14"])
def test_the_json_alone_tells_what_there_was_on_a_day(site: Site, folder: Path, day: str) -> None:
    """Which wheels had been published, and the stage of each; by what `pick --date` answers."""
    versions, series = (
        json.loads((folder / f"api/v1/{name}.json").read_text(encoding="utf-8"))[name]
        for name in ("versions", "series")
    )
    days = {one["series"]: one["days"] or {one["stage"]: ""} for one in series}
    shelf = type(site.shelf)(site.shelf.matrix, site.shelf.catalogue, date.fromisoformat(day))
    there = {offer.key: offer for offer in shelf.offers if offer.day and offer.day <= day}
    told = {}
    for one in versions:
        begun = list(days.get(one["series"], {"none": ""}).items())
        stages = [stage for stage, begin in begun if begin <= day] or [begun[0][0]]
        told |= {w["key"]: stages[-1] for w in one["wheels"] if w["day"] and w["day"] <= day}
    assert told == {key: offer.phase.stage if offer.phase else "none" for key, offer in there.items()}
    assert len(told) > 5


def test_known_issues_of_the_notes_are_told(site: Site, folder: Path, pages: dict[str, Page]) -> None:
    """On the page of each version that the command tells them of, and in the JSON."""
    assert site.notes is not None
    note = site.notes.note("3.0.RC3")
    assert len(note.known) == 6
    document = json.loads((folder / "api/v1/versions.json").read_text(encoding="utf-8"))
    issues = {one["id"]: one["issues"] for one in document["versions"]}
    assert issues["1.11.0rc1"] == [{"en": one.on("en"), "zh": one.on("zh")} for one in note.known]
    assert issues["2.9.0"] == []
    for lang, name in (("en", "version/1.11.0rc1.html"), ("zh", "zh/version/1.11.0rc1.html")):
        text = "".join(pages[name].words)
        assert all(one.on(lang) in text for one in note.known)  # type: ignore[arg-type]


def test_ended_versions_are_folded(pages: dict[str, Page], site: Site) -> None:
    folded = [one for one in pages["table.html"].all("tr") if one.get("data-stage") == "eol"]
    assert len(folded) == len([one for one in site.versions if one["stage"] == "eol"])
    assert [one for one in pages["table.html"].all("details") if one["class"] == "ended"]


def test_the_tables_of_the_seed_are_reproduced(pages: dict[str, Page]) -> None:
    """Cell by cell as printed; a value that is not held true has the right one beside it."""
    text = re.sub(r"\s+", " ", " ".join(pages["zh/sources.html"].words))
    assert "PyTorch 1.11.0 Python3.7.x(>=3.7.5), Python3.8.x, Python3.9.x, Python3.10.x" in text
    assert "CANN 7.0.RC1 2.1.0 2.1.0.rc1 实际：2.1.0rc1 v2.1.0-5.0.rc3 -" in text
    assert "1.8.1.post2" in text
    assert "v3.0.rc3 维护 2022/10/20 预计2023/10/20起无维护" in text
    assert "合入所有已解决的问题，无专职维护人员，无版本发布" in text


def test_the_timeline_is_drawn_for_the_day(site: Site, tmp_path: Path) -> None:
    def today(day: date) -> float:
        one = dataclasses.replace(site, shelf=type(site.shelf)(site.shelf.matrix, site.shelf.catalogue, day))
        write(one, tmp_path / str(day))
        svg = ElementTree.fromstring(
            re.search(
                r"<svg class=\"timeline\".*?</svg>",
                (tmp_path / str(day) / "timeline.html").read_text(),
                re.DOTALL,
            )[0]
        )  # type: ignore[index]
        (line,) = [one for one in svg.iter("line") if one.get("class") == "today"]
        assert str(day) in "".join(svg.itertext())
        assert len({one.text for one in svg.iter("text") if one.get("class") == "series"}) == len(
            [s for s in one.series if s["days"]]
        )
        return float(line.get("x1") or 0)

    assert today(date(2026, 1, 1)) < today(date(2026, 7, 1)) < today(date(2027, 1, 1))


def test_release_notes_are_in_both_languages(pages: dict[str, Page], site: Site) -> None:
    assert site.notes is not None
    for note in site.notes.all():
        assert note.version in {one.get("id") for one in pages["notes.html"].all("article")}
    assert "Autoload" in " ".join(pages["notes.html"].words)
    assert "自动加载" in " ".join(pages["zh/notes.html"].words)


def test_every_failure_is_listed(pages: dict[str, Page]) -> None:
    for name, lang in (("explain.html", "en"), ("zh/explain.html", "zh")):
        ids = [one.get("id") for one in pages[name].all("details")]
        assert ids == [one.id for one in failures()]
        raw = {one.get("data-raw") for one in pages[name].all("span")}
        assert {one.title[lang] for one in failures()} <= raw  # type: ignore[index]


# ------------------------------------------------------------------------------------------------------- data
def test_documents_keep_to_their_schemas(folder: Path) -> None:
    index = json.loads((folder / "api/v1/index.json").read_text())
    assert set(index["documents"]) == {"versions", "series", "failures"}
    for file in index["documents"].values():
        document = json.loads((folder / "api/v1" / file).read_text())
        schema = json.loads((folder / "api/v1" / document["schema"]).read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(document, schema)
        assert document["day"] == "2026-11-28"


def test_the_csv_is_the_table(folder: Path, site: Site) -> None:
    with (folder / "api/v1/versions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["adapter"] for row in rows] == [one["adapter"] for one in site.versions]
    assert rows[0]["pythons"].split() == site.versions[0]["pythons"]


def test_calendar_and_feed(folder: Path, site: Site) -> None:
    calendar = Calendar.from_ical((folder / "calendar.ics").read_bytes())
    assert len(list(calendar.walk("VEVENT"))) == len(changes(site.shelf.matrix))
    feed = ElementTree.parse(folder / "feed.xml").getroot()
    atom = "{http://www.w3.org/2005/Atom}"
    titles = [one.findtext(f"{atom}title") for one in feed.iter(f"{atom}entry")]
    assert "torch_npu 2.14.0 was published" in titles
    assert any(title and title.startswith("Series 2.10.0: maintained") for title in titles)
    ids = [one.findtext(f"{atom}id") for one in feed.iter(f"{atom}entry")]
    assert len(set(ids)) == len(ids)


def test_sums_are_those_of_the_catalogue(folder: Path, site: Site) -> None:
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    assert all(re.fullmatch(r"[0-9a-f]{64}  torch_npu-\S+\.whl", line) for line in lines)
    wheels = [wheel for version in site.shelf.catalogue.versions.values() for wheel in version]
    assert {line[66:] for line in lines} == {wheel.file for wheel in wheels if wheel.sha256}
    assert len(lines) == len({offer.wheel.file for offer in site.shelf.offers if offer.wheel})


def ran(*words: str) -> subprocess.CompletedProcess[str]:
    """The command itself."""
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": str(ROOT / "release")}
    command = [sys.executable, "-m", "wheelmill", "site", *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_run_that_fails_leaves_the_site_as_it_was(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it fails at, and also files of others in the folder stay."""
    (tmp_path / "version").mkdir()
    (tmp_path / "version/notes.txt").write_text("mine")
    (tmp_path / "CNAME").write_text("example.org")
    out = ["site", "--out", str(tmp_path), "--today", "2026-11-28"]
    monkeypatch.chdir(ROOT)
    assert CliRunner().invoke(cli, out).exit_code == 0
    before = below(tmp_path)
    assert {"CNAME", "version/notes.txt", "zh/index.html"} < set(before)
    whole, calls = build._write, iter(range(100))

    def full(path: Path, data: str | bytes) -> Path:
        if next(calls) == 99:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return whole(path, data)

    monkeypatch.setattr(build, "_write", full)
    assert CliRunner().invoke(cli, ["site", "--out", str(tmp_path), "--today", "2027-11-28"]).exception
    assert below(tmp_path) == before
    monkeypatch.setattr(build, "_write", whole)
    (tmp_path / "api/v1/versions.csv").unlink()
    (tmp_path / "api/v1/versions.csv").mkdir()
    done = ran("--out", str(tmp_path), "--today", "2027-11-28")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "a file of the site belongs there, and it is a folder" in done.stderr
    del before["api/v1/versions.csv"]
    assert below(tmp_path) == before
    assert not list(tmp_path.glob(".new-*"))


def test_pages_come_after_what_they_link_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda one, to: moved.append(to.name) or replace(one, to))
    staged = tmp_path / "new"
    staged.mkdir()
    files = [staged / name for name in ("index.html", "a.html", "data.json", "style.css")]
    for file in files:
        file.write_text(file.name)
    settle(files, staged, tmp_path / "out")
    assert moved == ["data.json", "style.css", "a.html", "index.html"]


@pytest.mark.parametrize("day", ["0001-01-01", "9998-06-01", "9999-12-31"])
def test_any_day_can_be_drawn(site: Site, tmp_path: Path, day: str) -> None:
    shelf = type(site.shelf)(site.shelf.matrix, site.shelf.catalogue, date.fromisoformat(day))
    write(dataclasses.replace(site, shelf=shelf), tmp_path)
    page = (tmp_path / "timeline.html").read_text()
    assert page.count('class="year"') < 30
    assert f"today {day}" in page


@pytest.mark.parametrize(
    "base", ["https://example.org/npu", "http://[::1]:8000/", "file:///srv/npu/", "npu", "../x"]
)
def test_an_address_of_the_site(base: str) -> None:
    assert base_address(base) == base.rstrip("/") + "/"


@pytest.mark.parametrize(
    "base",
    ["javascript:alert(1)", "JavaScript:x", "data:text/html,x", "ftp://example.org/", "//example.org",
     "https:x", "https://user@example.org/", "https://example.org/?a=b", "a b", 'x"><'],
)  # fmt: skip
def test_no_address_of_a_site(base: str) -> None:
    with pytest.raises(WheelmillError, match="--base: ") as error:
        base_address(base)
    assert error.value.hint


def test_the_command(tmp_path: Path) -> None:
    base = "https://example.org/npu"
    done = ran("--json", "--today", "2026-11-28", "--out", str(tmp_path), "--base", base)
    assert done.returncode == 0
    assert json.loads(done.stdout)["files"] == len([one for one in tmp_path.rglob("*") if one.is_file()])
    assert 'href="https://example.org/npu/version/2.14.0.html"' in (tmp_path / "feed.xml").read_text()
    done = ran("--out", str(tmp_path / "other"), "--base", "javascript:alert(1)")
    assert (done.returncode, (tmp_path / "other").exists()) == (1, False)
