"""What of a described project decides its wheels: a build sees that, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from wheelmill.describe import load
from wheelmill.describe.model import KEYS, RELEASED
from wheelmill.make.packages import sources
from wheelmill.make.packages.sources import PackageSources

from tests.make.test_source_date import FIRST, SECOND, commit, git

FILE = """\
schema = 1
package = "demo"
matrix = "cells.toml"
[build]
how = "pep517"
without = ["docs", "smoke.py"]
"""
MATRIX = '[[lines]]\nname = "main"\ncells = {python = ["3.11"], arch = ["x86_64"]}\n'
UNREAD = (
    "wheelmill.toml",
    "cells.toml",
    KEYS,
    RELEASED,
    "docs/deep/page.md",
    "smoke.py",
    ".github/workflows/ci.yml",
    ".pre-commit-config.yaml",
)
READ = (
    "setup.py",
    "demo/__init__.py",
    "README.md",
    ".gitignore",
    "release/notes.md",
    ".github/build.sh",
    "docs.py",
)


@pytest.fixture(autouse=True)
def no_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's own SOURCE_DATE_EPOCH is not meant."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project in git, committed once."""
    root = tmp_path / "demo"
    for name in (*READ, *UNREAD):
        change(root, name, "x\n")
    change(root, "wheelmill.toml", FILE)
    change(root, "cells.toml", MATRIX)
    git(tmp_path, "init", "-q", "demo")
    commit(root, ".", time=FIRST)
    return root


def change(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def read(root: Path) -> PackageSources:
    described = load(root / "wheelmill.toml", {})
    return sources.read(described.source, described.unread)


def test_what_a_build_is_not_shown_makes_no_wheel_stale(root: Path, tmp_path: Path) -> None:
    before = read(root)
    assert set(map(str, before.files)) == set(READ)
    assert set(map(str, before.unread)) == set(UNREAD)
    for name in UNREAD:
        text = {"wheelmill.toml": FILE, "cells.toml": MATRIX}.get(name, "")
        change(root, name, f"# another\n{text}")
    commit(root, ".", time=SECOND)
    assert read(root) == before
    before.copy(tmp_path / "copy")
    copied = {
        str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*") if path.is_file()
    }
    assert copied == set(READ), "or two contents could have one key"


@pytest.mark.parametrize("name", READ)
def test_what_a_build_is_shown_decides_the_wheel_and_its_time(root: Path, name: str) -> None:
    before = read(root)
    change(root, name, "another\n")
    assert (read(root).digest, read(root).epoch) != (before.digest, FIRST)
    assert read(root).digest != before.digest
    commit(root, ".", time=SECOND)
    assert read(root).epoch == SECOND


def test_what_the_audit_alone_asks_of_the_file_makes_no_wheel_stale(root: Path) -> None:
    def digest(text: str) -> str:
        change(root, "wheelmill.toml", f'{FILE}[sdks.acme]\naxis = "python"\n{text}')
        return load(root / "wheelmill.toml", {}).digest()

    plain = digest("")
    assert digest('libraries = ["libacme.so"]\n') == plain
    assert digest('use = "install"\n') != plain
