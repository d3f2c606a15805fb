"""Finds a Python of a given minor version on this machine that can make virtual environments."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from wheelmill.errors import WheelmillError
from wheelmill.project import user_folder

_SECONDS = 20
_QUESTION = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"


@lru_cache(maxsize=16)
def find_python(version: str) -> Path | None:
    """The interpreter for `version` ("3.8"): the running one, PATH's, pyenv's or uv's; None without any.

    Nothing is downloaded. Each candidate is asked, since a shim or a half-installed Python is on PATH too.
    """
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    if version == running and importlib.util.find_spec("ensurepip"):
        return Path(sys.executable)
    return next((path for path in _candidates(version) if _answers(path, version)), None)


def _candidates(version: str) -> Iterator[Path]:
    if found := shutil.which(f"python{version}"):
        yield Path(found)
    with suppress(WheelmillError):
        yield from _of_pyenv(user_folder("PYENV_ROOT", "~/.pyenv"), version)
    if (managed := _ask_uv(version)) is not None:
        yield managed


def _of_pyenv(pyenv: Path, version: str) -> Iterator[Path]:
    releases = [path for path in pyenv.glob(f"versions/{version}.*") if path.name.count(".") == 2]
    for release in sorted(releases, key=_patch, reverse=True):
        yield release / "bin/python"


def _patch(release: Path) -> int:
    """3.8.18 -> 18; pre-releases and foreign builds last."""
    patch = release.name.rpartition(".")[2]
    return int(patch) if patch.isdecimal() else -1


def _ask_uv(version: str) -> Path | None:
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        return None
    told = _output([uv, "python", "find", "--no-project", "--no-python-downloads", version])
    return Path(told) if told else None


def _answers(path: Path, version: str) -> bool:
    return _output([str(path), "-I", "-c", _QUESTION]) == version


def _output(command: list[str]) -> str | None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
