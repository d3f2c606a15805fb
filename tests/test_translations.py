"""The Chinese pages of docs/ follow the English ones, and the check says where they do not."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[1]
CATALOGUES = Path("docs", "locale", "zh_CN", "LC_MESSAGES")
SENTENCE = "How long a line stays in each stage."
TRANSLATION = "版本线在每个阶段停留多久。"
TRANSLATED: tuple[str, ...] = runpy.run_path(str(ROOT / "ci" / "translations.py"))["TRANSLATED"]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The part of the tree that makes the pages, to edit."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("*.mo"))
    for name in ("pyproject.toml", "ci/translations.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def check(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "ci/translations.py", *words]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def catalogues(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / CATALOGUES).glob("*.po")}


def test_an_update_without_an_edit_changes_no_catalogue(copy: Path) -> None:
    before = catalogues(copy)
    assert set(before) == {f"{page}.po" for page in TRANSLATED}
    done = check(copy, "--update")
    assert done.returncode == 0, done.stderr
    assert catalogues(copy) == before


def test_lines_that_move_change_no_catalogue(copy: Path) -> None:
    before = catalogues(copy)
    edit(copy / "docs" / "glossary.md", "# Glossary\n", "\n\n# Glossary\n\n")
    assert check(copy, "--update").returncode == 0
    assert catalogues(copy) == before


def test_an_edited_sentence_is_stale_until_it_is_translated_again(copy: Path) -> None:
    edited = SENTENCE.replace("stays", "remains")
    edit(copy / "docs" / "glossary.md", SENTENCE, edited)
    for words in ((), ("--update",)):  # an update alone mends nothing
        done = check(copy, *words)
        assert done.returncode == 1
        assert f"glossary.po: stale: {edited}" in done.stderr
        assert "glossary: 0 missing, 1 stale" in done.stdout
    edit(copy / CATALOGUES / "glossary.po", "#, fuzzy\n", "")
    assert check(copy).returncode == 0


def test_a_new_sentence_is_missing(copy: Path) -> None:
    new = "Nobody has put these seven unusual words into Chinese."
    page = copy / "docs" / "glossary.md"
    page.write_text(page.read_text(encoding="utf-8") + f"\n{new}\n", encoding="utf-8")
    done = check(copy)
    assert done.returncode == 1
    assert f"glossary.po: missing: {new}" in done.stderr


def test_a_translated_page_without_a_catalogue_fails(copy: Path) -> None:
    (copy / CATALOGUES / "pick.po").unlink()
    done = check(copy)
    assert done.returncode == 1
    assert "pick.po: missing: Pick a wheel" in done.stderr


def test_a_deleted_sentence_is_obsolete_and_fails_nothing(copy: Path) -> None:
    edit(copy / "docs" / "troubleshooting.md", "To report a problem, add the output of", "")
    edit(
        copy / "docs" / "troubleshooting.md",
        "`wheelmill doctor --json` and the command with its whole output.",
        "",
    )
    done = check(copy)
    assert done.returncode == 0, done.stderr
    assert "troubleshooting: 0 missing, 0 stale, 1 obsolete" in done.stdout


def test_other_pages_are_only_counted(copy: Path) -> None:
    edit(copy / "ci" / "translations.py", '"glossary", ', "")
    (copy / CATALOGUES / "glossary.po").unlink()
    done = check(copy)
    assert done.returncode == 0, done.stderr
    assert re.search(r"glossary: [1-9]\d* missing, 0 stale, 0 obsolete of \d+ \(English only\)", done.stdout)
    assert "cli:" not in done.stdout


def test_the_chinese_page_is_built_from_its_catalogue(copy: Path) -> None:
    build = ["-m", "sphinx", "-q", "-W", "-b", "html", "-D", "language=zh_CN", "docs", "html"]
    subprocess.run([sys.executable, *build], cwd=copy, check=True)
    page = (copy / "html" / "glossary.html").read_text(encoding="utf-8")
    assert TRANSLATION in page
    assert SENTENCE not in page


@pytest.mark.parametrize("page", TRANSLATED)
def test_translations_keep_code_and_links(page: str) -> None:
    with (ROOT / CATALOGUES / f"{page}.po").open("rb") as file:
        messages = [message for message in read_po(file) if message.id]
    lost = [
        (part, message.id)
        for message in messages
        for part in re.findall(r"`[^`]+`|\]\([^)]+\)", message.id)
        if part not in message.string
    ]
    assert lost == []
