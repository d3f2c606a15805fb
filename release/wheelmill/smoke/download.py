"""A published wheel by name and version, from whatever index pip is configured with on this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.tags import platform_tags

from wheelmill.progress import Progress, silent
from wheelmill.smoke.interpreters import find_python
from wheelmill.smoke.result import SmokeError
from wheelmill.toolchain.pip_index import reason

# Asked in this order where none is named: what the published adapters were made for, newest first.
_PYTHONS = ("3.14", "3.13", "3.12", "3.11", "3.10", "3.9", "3.8", "3.7")

_VERSIONS, _SHOWN = re.compile(r"\(from versions: ([^)]*)\)"), 6


def named_requirement(words: str) -> Requirement | None:
    """`torch-npu==2.13.0` as a requirement; None for a file's name. Raises SmokeError for neither."""
    if words.endswith(".whl"):
        return None
    try:
        return Requirement(words)
    except InvalidRequirement as error:
        raise SmokeError(
            f"{words!r} is neither a wheel file nor a name with a version.",
            hint="Write --wheel torch-npu==2.13.0, or the path of a file that ends in .whl.",
        ) from error


def usable_pythons(python: str | None) -> tuple[str, ...]:
    """`python` alone, or all that this machine has, the running one first. Raises SmokeError without any."""
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    asked = (python,) if python else dict.fromkeys((running, *_PYTHONS))
    found = tuple(version for version in asked if find_python(version) is not None)
    if not found:
        raise SmokeError(
            f"there is no Python {python or 'that can make environments'} on this machine",
            hint="Install it with its venv module: python3.11-venv, pyenv install 3.11 or the like.",
        )
    return found


def download(
    requirement: Requirement, pythons: Iterable[str], folder: Path, progress: Progress = silent
) -> Path:
    """Download the wheel for the first of these Pythons that it was published for, to `folder`.

    Raises SmokeError with pip's own reason for each Python.
    """
    failures = []
    for python in pythons:
        progress(f"downloading {requirement} for Python {python}")
        found = _download(requirement, python, folder)
        if isinstance(found, Path):
            return found
        failures.append(f"Python {python}: {found}")
    raise SmokeError(
        f"no wheel of {requirement} for this machine:\n  " + "\n  ".join(failures),
        hint="The index pip is configured with was asked; --python VERSION asks for another Python.",
    )


def _download(requirement: Requirement, python: str, folder: Path) -> Path | str:
    """The file, or why there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="pip-") as scratch:
        command = [*_words(python), "--dest", scratch, str(requirement)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        found = list(Path(scratch).glob("*.whl"))
        if done.returncode or not found:
            return _VERSIONS.sub(_newest, reason(done.stderr))
        target = folder / found[0].name
        shutil.move(found[0], target)
    return target


def _newest(versions: re.Match[str]) -> str:
    """pip lists every version that there ever was; the newest are enough."""
    known = versions[1].split(", ")
    return f"(from versions: {'..., ' * (len(known) > _SHOWN)}{', '.join(known[-_SHOWN:])})"


def _words(python: str) -> Sequence[str]:
    """pip download for another Python on this machine."""
    tag = python.replace(".", "")
    platforms = [word for name in platform_tags() for word in ("--platform", name)]
    return (
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--no-deps", "--only-binary=:all:", "--implementation", "cp", "--python-version", python),
        *("--abi", f"cp{tag}", "--abi", f"cp{tag}m", "--abi", "abi3", "--abi", "none"),
        *platforms,
    )
