"""The matrix that `pick` reads: what a run kept of the same bytes, or the file; never one out of order."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from wheelmill import pick
from wheelmill import project as projects
from wheelmill.catalogue import Catalogue
from wheelmill.matrix import Matrix, MatrixError
from wheelmill.matrix.kept import NotKeptError, dump, restore
from wheelmill.matrix.lint import check
from wheelmill.project import Project

from tests.matrix.small import COMPAT, SMALL
from tests.pick.asking import MATRIX
from tests.places import places, put

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "key"))
    path = tmp_path / "compat.yaml"
    path.write_bytes(COMPAT.read_bytes())
    return Project(path, None)


def kept(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "cache" / "wheelmill").iterdir()
    return found


def no_file(*_: object) -> Matrix:
    raise AssertionError("the file was decoded")


def test_a_document_comes_back_whole() -> None:
    assert restore(dump(MATRIX.document)) == MATRIX.document


@pytest.mark.parametrize(
    "text", ["", "[]", "3", '{"schema": []}', '{"os": [1]}', "[" * 100_000, '{"a": 1, "b": 2}', "NaN"]
)
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(NotKeptError):
        restore(text)


def test_the_second_run_reads_what_the_first_kept(
    here: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = here.quick_matrix()
    monkeypatch.setattr(projects, "load", no_file)
    second = here.quick_matrix()
    assert (second.digest, second.document, second.lines) == (first.digest, first.document, first.lines)
    here.matrix_file.write_text(SMALL, encoding="utf-8")
    with pytest.raises(AssertionError, match="the file was decoded"):
        here.quick_matrix()


@pytest.mark.parametrize("harm", ["flip", "cut", "share", "strange", "pipe", "device", "folder"])
def test_a_damaged_or_shared_copy_is_not_believed(here: Project, tmp_path: Path, harm: str) -> None:
    here.matrix()
    copy = kept(tmp_path)
    text = copy.read_text(encoding="utf-8")
    if harm == "flip":
        copy.write_text(text.replace("download.pytorch.org", "download.evil.example"), encoding="utf-8")
    elif harm == "cut":
        copy.write_text(text[: len(text) // 2], encoding="utf-8")
    elif harm == "share":
        copy.chmod(0o666)
    elif harm == "strange":
        copy.write_bytes(b"\xff\x00")
    else:
        copy.unlink()
        make = {"pipe": os.mkfifo, "device": lambda at: at.symlink_to("/dev/zero"), "folder": Path.mkdir}[
            harm
        ]
        make(copy)
    assert projects._restored(copy) == (None, False)
    assert here.quick_matrix().document.torch_cpu_index == MATRIX.document.torch_cpu_index


def plant(path: Path, text: str) -> None:
    """As somebody else writes it: with a right checksum, and without the key of this user."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}", encoding="utf-8")


def test_the_rules_are_asked_again_of_what_this_user_did_not_seal(
    here: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.matrix()
    asked: list[Matrix] = []
    monkeypatch.setattr(projects, "_errors", lambda matrix: asked.append(matrix) or [])
    here.quick_matrix()
    assert asked == []
    for harm in (b"other" * 7, b""):  # another user's key, a damaged one
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / f"other{len(harm)}"))
        (tmp_path / f"other{len(harm)}" / "wheelmill").mkdir(parents=True)
        key = tmp_path / f"other{len(harm)}" / "wheelmill" / "key"
        key.write_bytes(harm[:32])
        key.chmod(0o600)
        plant(kept(tmp_path), dump(MATRIX.document))
        here.quick_matrix()
        assert asked.pop() is not None


STRANGE = (None, True, 7, -1.5, "", "v", "..", "1" * 5000, "\x1b[2J$(id)", [], [None], {}, {"": {}}, [["x"]])


def test_no_value_of_another_kind_ends_in_a_traceback(here: Project, tmp_path: Path) -> None:
    """Its checksum is right: a cache that a CI restores may have been written by anybody."""
    here.matrix_file.write_text(SMALL, encoding="utf-8")
    right = here.matrix()
    copy_of = kept(tmp_path)
    document = json.loads(dump(right.document))
    found = list(places(document))
    assert len(found) > 100
    for number, path in enumerate(found):
        for strange in (STRANGE[number % len(STRANGE)], STRANGE[(number + 5) % len(STRANGE)]):
            plant(copy_of, put(document, path, strange))
            read = here.quick_matrix()
            shelf = pick.Shelf(read, Catalogue(()), date(2024, 6, 1))
            for cann in (None, "7.0.RC1"):
                pick.render_text(pick.answer(shelf, pick.parse_request(cann=cann), {}), "pip")
            assert [one for one in check(read, date(2024, 6, 1)) if one.severity == "error"] == []


@pytest.mark.parametrize("what", ["", "rubbish", "right"])
def test_no_file_in_the_place_of_a_copy_turns_the_rules_off(here: Project, tmp_path: Path, what: str) -> None:
    """Neither rubbish, nor the very document that the rules refuse, with its checksum."""
    old, new, rule = BROKEN[0]
    text = here.matrix_file.read_text(encoding="utf-8").replace(old, new, 1)
    here.matrix_file.write_text(text, encoding="utf-8")
    refused = projects.load(here.matrix_file)
    planted = projects._kept(refused.digest)
    plant(planted, dump(refused.document) if what == "right" else what)
    for read in (here.quick_matrix, here.matrix):
        with pytest.raises(MatrixError, match=rule):
            read()


def test_a_copy_that_this_user_sealed_stands_for_its_own_matrix_alone(here: Project, tmp_path: Path) -> None:
    """Whoever fills the cache can put a sealed copy under the name of another matrix's."""
    here.matrix()
    sealed = kept(tmp_path)
    old, new, rule = BROKEN[0]
    text = here.matrix_file.read_text(encoding="utf-8").replace(old, new, 1)
    here.matrix_file.write_text(text, encoding="utf-8")
    sealed.rename(projects._kept(projects.load(here.matrix_file).digest))
    with pytest.raises(MatrixError, match=rule):
        Project(here.matrix_file, None).quick_matrix()


def test_what_was_kept_wrong_is_written_again(here: Project, tmp_path: Path) -> None:
    here.matrix()
    plant(kept(tmp_path), "{}")
    here.quick_matrix()
    assert projects._restored(kept(tmp_path)) == (MATRIX.document, True)


def test_a_cache_that_cannot_be_written_costs_only_time(here: Project, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    assert here.quick_matrix().document == MATRIX.document


BROKEN = [
    ("    adapter: 2.12.0\n", "    adapter: 2.12.0 --index-url http://evil\n", "canonical-version"),
    ("adapter: 2.9.0.post2\n", "adapter: 2.8.0.post4\n", "unique-adapter-version"),
    ("torch_cpu_index: https://download", "torch_cpu_index: http://download", "schema-version"),
]


@pytest.mark.parametrize(("old", "new", "rule"), BROKEN)
def test_a_matrix_out_of_order_is_used_by_nobody(here: Project, old: str, new: str, rule: str) -> None:
    text = here.matrix_file.read_text(encoding="utf-8")
    assert old in text
    here.matrix_file.write_text(text.replace(old, new, 1), encoding="utf-8")
    for read in (here.matrix, here.quick_matrix):
        with pytest.raises(MatrixError, match=rule):
            read()


@pytest.mark.parametrize(
    "words", [["pick"], ["doctor", "--no-import"], ["plan", "3.11-x86_64"], ["build", "3.11-x86_64"]]
)
def test_commands_say_which_rule_it_breaks(tmp_path: Path, words: list[str]) -> None:
    folder = tmp_path / "matrix"
    folder.mkdir()
    for name in ("adapter", "docker"):
        (tmp_path / name).symlink_to(ROOT / name)
    old, new, rule = BROKEN[0]
    path = folder / "compat.yaml"
    path.write_text(COMPAT.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "wheelmill", "--matrix", str(path), *words], cwd=tmp_path, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT / "release"), "WHEELMILL_HOME": str(tmp_path / "state")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert f"[{rule}]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("branch", "told"), [("v1.11.0-3.0.rc3", True), ("v2.1.0-5.0.rc3", False)])
def test_known_issues_of_the_notes_are_told(branch: str, told: bool) -> None:
    """Those of the series: this project's own notes of 2.1.0rc1 are not about the published 2.1.0rc1."""
    words = [sys.executable, "-m", "wheelmill", "pick", "--branch", branch, "--python", "3.8"]
    done = subprocess.run(
        words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT / "release")}, capture_output=True,
        text=True, check=True, timeout=60,
    )  # fmt: skip
    assert ("# Known issue: " in done.stdout) == told


def test_an_answer_imports_nothing_that_it_can_do_without(tmp_path: Path) -> None:
    """YAML, the rules and project files take longer to import than an answer to make."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "release")}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_STATE_HOME": str(tmp_path / "key")}
    words = [sys.executable, "-X", "importtime", "-m", "wheelmill", "pick", "--cann", "8.5.0"]
    for _ in range(2):  # the first one reads the file
        done = subprocess.run(
            words, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60
        )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "wheelmill.pick.resolve" in imported
    assert {one for one in imported if one.startswith(("yaml", "jinja2", "packaging.requirements"))} == set()
    rooms = ("describe", "notes", "matrix.rules", "matrix.lint", "make", "cli.options")
    assert {one for one in imported if one.startswith(tuple(f"wheelmill.{room}" for room in rooms))} == set()
