"""The gate: a change to the adapter without a note fails; a draft lists what changed since the last tag."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from wheelmill.matrix import load
from wheelmill.notes import check
from wheelmill.notes import load as load_notes
from wheelmill.publish.notes.history import missing

from tests.cli.test_command_line import wheelmill
from tests.matrix.small import COMPAT
from tests.notes.test_records import SMALL

BRANCH = "v2.1.0-5.0.rc3"


class Clone:
    """A project with a matrix, an adapter and no notes, in git."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "matrix").mkdir(parents=True)
        (root / "release" / "notes").mkdir(parents=True)
        (root / "adapter").mkdir()
        (root / "adapter" / "CMakeLists.txt").write_text("# a project\n")
        text = COMPAT.read_text(encoding="utf-8").partition("\nrelease_notes:")[0] + "\nrelease_notes: []\n"
        (root / "matrix" / "compat.yaml").write_text(text, encoding="utf-8")
        self.git("init", "-q", "-b", "main")
        self.commit("Begin\n\nRelease-note: none", {"README.md": "x"})

    def git(self, *words: str) -> str:
        who = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            ["git", *who, *words], cwd=self.root, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, message: str, files: dict[str, str]) -> str:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def note(self, version: str) -> dict[str, str]:
        return {f"release/notes/{version}.yaml": SMALL.format(version=version, known="[]")}

    def check(self, since: str | None = None) -> str:
        """What the gate says of the line; nothing where it lets it pass."""
        matrix = load(self.root / "matrix" / "compat.yaml")
        notes = load_notes(self.root / "release" / "notes", matrix)
        return "\n".join(map(str, missing(self.root, matrix.line(BRANCH), notes, since)))


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "project")


def test_a_change_without_a_note_fails_and_names_the_commit(clone: Clone) -> None:
    digest = clone.commit("Streams wait for events", {"adapter/core/stream.cpp": "1"})
    said = clone.check()
    assert f"{digest[:12]} Streams wait for events" in said
    assert "change-has-note" in said
    assert f"wheelmill notes draft {BRANCH}" in said
    told = wheelmill("notes", "check", BRANCH, cwd=clone.root)
    assert (told.returncode, said in told.stdout) == (1, True)
    clone.commit("Write the note", clone.note("2.1.0rc1"))
    assert clone.check() == ""
    assert wheelmill("notes", "check", BRANCH, cwd=clone.root).returncode == 0


def test_a_tag_closes_its_note(clone: Clone) -> None:
    clone.commit("Streams", {"adapter/core/stream.cpp": "1", **clone.note("2.1.0rc1")})
    clone.git("tag", "-m", "x", f"{BRANCH}/2.1.0rc1")
    assert clone.check() == ""
    clone.commit("Events", {"adapter/core/event.cpp": "1"})
    said = clone.check()
    assert f"since {BRANCH}/2.1.0rc1" in said
    assert "Streams" not in said
    clone.commit("Note", clone.note("2.1.0rc2"))
    assert clone.check() == ""


def test_a_tag_of_another_line_or_another_branch_of_git_closes_nothing(clone: Clone) -> None:
    clone.commit("Streams", {"adapter/core/stream.cpp": "1", **clone.note("2.1.0rc1")})
    clone.git("tag", "-m", "x", "v2.0.1-5.0.rc3/2.1.0rc1")
    clone.git("switch", "-q", "-c", "elsewhere")
    clone.commit("Elsewhere", {"README.md": "y"})
    clone.git("tag", "-m", "x", f"{BRANCH}/2.1.0rc1")
    clone.git("switch", "-q", "main")
    assert clone.check() == ""


def test_what_reaches_no_user_needs_no_note(clone: Clone) -> None:
    clone.commit("Tests", {"adapter/tests/test_x.py": "1"})
    clone.commit("Words", {"adapter/README.md": "1"})
    clone.commit("Elsewhere", {"simulator/x.cpp": "1"})
    clone.commit("Rename a function\n\nRelease-note: none", {"adapter/core/x.cpp": "1"})
    assert clone.check() == ""


def test_since_a_revision_some_record_has_to_have_changed(clone: Clone) -> None:
    base = clone.commit("Note", clone.note("2.1.0rc1"))
    clone.commit("Events", {"adapter/core/event.cpp": "1"})
    assert clone.check() == ""
    said = clone.check(base)
    assert "the note of 2.1.0rc1 says nothing of it" in said
    record = clone.root / "release" / "notes" / "2.1.0rc1.yaml"
    record.write_text(record.read_text(encoding="utf-8").replace("Runtime", "The runtime"), encoding="utf-8")
    assert clone.check(base) == ""
    wrong = wheelmill("notes", "check", BRANCH, "--since", "no-such-revision", cwd=clone.root)
    assert wrong.returncode == 1
    assert "name a revision that it has" in wrong.stderr


def test_a_draft_lists_the_commits_and_is_refused_until_it_is_written(clone: Clone) -> None:
    clone.commit("Before", {"adapter/a.cpp": "1"})
    clone.git("tag", "-m", "x", f"{BRANCH}/2.1.0.dev1")
    first = clone.commit('Say "yes": always\n\nBody', {"adapter/b.cpp": "1"})
    second = clone.commit("Wait \\ for events", {"adapter/c.cpp": "1"})
    done = wheelmill("notes", "draft", BRANCH, cwd=clone.root)
    assert done.returncode == 0, done.stderr
    assert "Before" not in done.stdout
    assert done.stdout.index(first[:12]) < done.stdout.index(second[:12])
    path = clone.root / "release" / "notes" / "2.1.0rc1.yaml"
    path.write_text(done.stdout, encoding="utf-8")
    found = check(path.parent, load(clone.root / "matrix" / "compat.yaml"))
    assert {one.rule for one in found} == {"no-draft"}
    assert len(found) == 6
    texts = path.read_text(encoding="utf-8")
    assert 'TODO Say \\"yes\\": always' in texts
    listed = json.loads(wheelmill("notes", "check", BRANCH, "--json", cwd=clone.root).stdout)
    assert len(listed["findings"]) == 6


def test_the_line_is_that_of_the_branch_else_the_one_in_development(clone: Clone) -> None:
    newest = next(line.branch for line in load(COMPAT).lines if line.kind == "development")
    assert f"line: {newest}\n" in wheelmill("notes", "draft", cwd=clone.root).stdout
    clone.git("switch", "-q", "-c", BRANCH)
    assert f"line: {BRANCH}\n" in wheelmill("notes", "draft", cwd=clone.root).stdout


def test_without_git_the_records_are_checked_and_that_is_said(clone: Clone) -> None:
    (clone.root / ".git").rename(clone.root / "gone")
    told = wheelmill("notes", "check", BRANCH, cwd=clone.root)
    assert told.returncode == 0
    assert "no git checkout" in told.stderr
