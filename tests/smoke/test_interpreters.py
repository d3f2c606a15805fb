"""Finding a Python: only one that really answers counts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from wheelmill.make.toolchain.interpreters import find_python


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    find_python.cache_clear()
    yield
    find_python.cache_clear()


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_running_python_is_taken_without_a_search() -> None:
    assert find_python(f"{sys.version_info.major}.{sys.version_info.minor}") == Path(sys.executable)


def test_there_is_none_of_a_version_that_does_not_exist() -> None:
    assert find_python("3.99") is None


def test_a_python_on_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = script(tmp_path / "python3.98", "echo 3.98")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find_python("3.98") == found


@pytest.mark.parametrize("shim", ["echo 3.97", "echo '3.98 is not installed' >&2; exit 127", "echo"])
def test_a_shim_that_is_no_such_python_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shim: str
) -> None:
    script(tmp_path / "python3.98", shim)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find_python("3.98") is None


def test_the_newest_patch_release_of_pyenv_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for release in ("3.98.9", "3.98.10", "3.98.2", "3.97.11"):
        script(tmp_path / "versions" / release / "bin/python", f"echo {release.rpartition('.')[0]}")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert find_python("3.98") == tmp_path / "versions/3.98.10/bin/python"


def test_uv_is_asked_last_and_downloads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    managed = script(tmp_path / "managed/python", "echo 3.98")
    asked = tmp_path / "asked"
    script(tmp_path / "uv", f'echo "$@" > {asked}; echo {managed}')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find_python("3.98") == managed
    assert "--no-python-downloads" in asked.read_text()
