"""A project file: what it says, and one clear error with its line for each way to get it wrong."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path

import pytest
from wheelmill.describe import ProjectError, cells, find, load
from wheelmill.describe.guess import GuessError, guess
from wheelmill.describe.model import ProjectFile
from wheelmill.matrix.schema import schema

GOOD = """\
schema = 1
package = "crc-demo"
source = "src"
[build]
how = "pep517"
[[lines]]
name = "main"
cells = {python = ["3.10", "3.11"], arch = ["x86_64"]}
"""


def written(folder: Path, text: str = GOOD, name: str = "wheelmill.toml") -> Path:
    (folder / "src").mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_a_good_file_has_its_cells_in_order(tmp_path: Path) -> None:
    described = load(written(tmp_path), {})
    assert [cell.key for cell in cells(described.project)] == ["main/3.10/x86_64", "main/3.11/x86_64"]
    assert described.cells[0].fill("cp{python} {arch} {line}") == "cp3.10 x86_64 main"
    assert find(tmp_path / "src") == tmp_path / "wheelmill.toml"


def test_a_pyproject_has_the_same_in_its_table(tmp_path: Path) -> None:
    head, _, rest = GOOD.partition("[build]")
    text = f"[tool.wheelmill]\n{head}[tool.wheelmill.build]{rest}".replace(
        "[[lines", "[[tool.wheelmill.lines"
    )
    described = load(written(tmp_path, text, "pyproject.toml"), {})
    assert described.project == load(written(tmp_path), {}).project
    with pytest.raises(
        ProjectError, match=r"pyproject\.toml:4: error: the project file has no field 'sorce'"
    ):
        load(written(tmp_path, text.replace("source =", "sorce ="), "pyproject.toml"), {})


THOUSAND = ", ".join(f'"{number}"' for number in range(1000))
WRONG = [
    # what is replaced, by what, line, what is told
    ("source =", "sorce =", 3, "no field 'sorce'", "did you mean 'source'?"),
    ("{python", "{pyton", 8, "the axis 'pyton'", "did you mean 'python'?"),
    ('"src"', '"../x"', 3, "leads out of the project", "below the folder"),
    ('"src"', '"lib"', 3, "is not there", "correct the path"),
    ('"src"', '"wheelmill.toml"', 3, "is no folder", "name a folder"),
    ("[build]", '[smoke]\nprogram = "smoke.py"\n[build]', 5, "is not there", "make the file"),
    ("[build]", '[smoke]\nprogram = "src"\n[build]', 5, "is no file", "name a file"),
    ('"pep517"', '"pep517"\nwithout = ["docs"]', 6, "names 'docs', which is not there", "of the sources"),
    ('"pep517"', '"pep517"\nwithout = ["../docs"]', 6, "leads out of the project", "below the folder"),
    ('"pep517"', '"pep518"', 5, "'pep518'", "pep517"),
    ('"pep517"', '"command"\ncommand = ["make", "{pyton}"]', 6, "{pyton} in command is no axis", "'python'"),
    ('"pep517"', '"command"', 5, "there is no command", "command ="),
    ('"3.10"', '"3.x"', 8, "'3.x'", "such as 3.11"),
    ("schema = 1", "schema = 2", 1, "schema is 2", "schema = 1"),
    ("schema = 1", "schema =", 1, "toml-syntax", "correct the TOML"),
    (
        "cells = {",
        f"cells = {{soc = [{THOUSAND}], sdk = [{THOUSAND}], ",
        9,
        "the matrix has 2,000,000 cells",
        "10,000 are the most",
    ),
]


@pytest.mark.parametrize(("old", "new", "line", "told", "hint"), WRONG, ids=lambda value: str(value)[:20])
def test_a_mistake_is_one_error_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, told: str, hint: str
) -> None:
    text = GOOD
    if "2,000,000" in told:
        text = text.replace("source", 'axes = ["soc", "sdk", "python", "arch"]\nsource', 1)
    assert old in text
    with pytest.raises(ProjectError) as refused:
        load(written(tmp_path, text.replace(old, new, 1)), {})
    found = [one for one in refused.value.findings if told in str(one)]
    assert [one.line for one in found] == [line], str(refused.value)
    assert hint in found[0].hint


def test_a_wrong_word_is_one_error_and_comes_before_what_is_missing(tmp_path: Path) -> None:
    """`package` is there, under another name; nothing tells what `title` was meant to be."""
    with pytest.raises(ProjectError) as refused:
        load(written(tmp_path, GOOD.replace("package =", "packge =")), {})
    assert [one.rule for one in refused.value.findings] == ["known-key"]
    with pytest.raises(ProjectError) as refused:
        load(written(tmp_path, GOOD.replace("package =", "title =")), {})
    assert [(one.rule, one.line) for one in refused.value.findings] == [("known-key", 2), ("required-key", 1)]


def test_the_page_names_every_field() -> None:
    page = (Path(__file__).parents[2] / "docs" / "projects.md").read_text(encoding="utf-8")
    table = page.partition("## All fields")[2]
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", table))))
    rows = schema(ProjectFile)
    fields = {name for row in (rows, *rows["$defs"].values()) for name in row["properties"]}
    assert fields - named == set()


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "{a=" * 50_000,
        ".".join(["a"] * 60_000) + " = 1",
        "[" + " . ".join(['"a"'] * 20_000) + "]",
        "a = {" + "b." * 3000 + "c = 1}",
        "a = " + "1" * 6000,
        "a = 0x" + "f" * 9000,
        "a = " + "1" * 2_000_000,
        "project = 3\nbuild-system = []\n",
        "[project]\nname = 3\ndependencies = 4\n[build-system]\nrequires = {a = 1}\n",
    ],
)
def test_no_toml_keeps_its_reader_busy_or_ends_in_a_traceback(tmp_path: Path, text: str) -> None:
    """Read as a project file, and as the pyproject.toml of a project that gets one."""
    begun = time.process_time()
    (tmp_path / "wheelmill.toml").write_text(text)
    with pytest.raises(ProjectError):
        load(tmp_path / "wheelmill.toml", {})
    (tmp_path / "pyproject.toml").write_text(text)
    with suppress(GuessError):
        guess(tmp_path)
    assert time.process_time() - begun < 10


@pytest.mark.parametrize("digits", ["1" * 5000, "1." * 3000 + "1", "not a version"])
def test_a_version_that_nobody_can_read_is_told_with_its_line(tmp_path: Path, digits: str) -> None:
    """Of the project file; a pyproject.toml with it says nothing of its version or its Pythons."""
    text = GOOD.replace('package = "crc-demo"', f'package = "crc-demo"\nversion = "{digits}+x"')
    with pytest.raises(ProjectError, match="version"):
        load(written(tmp_path, text), {})
    project = f'[project]\nname = "demo"\nversion = "{digits}"\nrequires-python = ">={digits}"\n'
    (tmp_path / "pyproject.toml").write_text(project)
    found = guess(tmp_path)
    assert found.admits("3.11") in (True, False)
    assert found.version in (None, digits)
