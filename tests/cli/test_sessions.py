"""nox's list of sessions: literal names, tags, and the words that each session gives to the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from wheelmill.make.sessions import MATRIX_FILE, nox_sessions
from wheelmill.matrix import load

ROOT = Path(__file__).parents[2]


def nox(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "nox", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_sessions_are_named_literally() -> None:
    listed = nox("-l")
    for name in (
        "build-3.8-aarch64",
        "build-3.11-x86_64",
        "image-x86_64",
        "audit",
        "smoke",
        "accept",
        "matrix",
        "tests",
    ):
        assert f" {name} " in listed
    assert "quickstart -> " in listed


def test_there_is_a_build_session_for_exactly_the_cells_that_some_line_supports() -> None:
    matrix = load(MATRIX_FILE)
    named = {s.name.removeprefix("build-") for s in nox_sessions(matrix) if "build" in s.tags}
    assert named == {cell.name for cell in matrix.cells()}


def test_tags_select_by_arch_python_and_line() -> None:
    by_arch = nox("-l", "-t", "aarch64")
    assert "* build-3.8-aarch64" in by_arch
    assert "* build-3.8-x86_64" not in by_arch
    by_python = nox("-l", "-t", "py3.8")
    assert "* build-3.8-x86_64" in by_python
    assert "* build-3.9-x86_64" not in by_python
    by_line = nox("-l", "-t", "v2.1.0-5.0.rc3")
    assert "* line-v2.1.0-5.0.rc3" in by_line
    assert by_line.count("\n* ") == 1


def test_a_line_session_builds_its_own_line() -> None:
    (session,) = [s for s in nox_sessions() if s.name == "line-v2.1.0-5.0.rc3"]
    assert session.words == ("build", "--line", "v2.1.0-5.0.rc3")
