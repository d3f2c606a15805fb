"""A published wheel by name and version, from whatever index pip is configured with on this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.tags import platform_tags
from packaging.version import Version

from wheelmill.make.toolchain.interpreters import find_python
from wheelmill.make.toolchain.pip_index import reason
from wheelmill.progress import Progress, silent
from wheelmill.prove.smoke.result import SmokeError

# Asked in this order where none is named: what the published adapters were made for, newest first.
_PYTHONS = ("3.14", "3.13", "3.12", "3.11", "3.10", "3.9", "3.8", "3.7")

_AVAILABLE = re.compile(r"^Available versions: (.+)$", re.MULTILINE)
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
            hint="Write torch-npu==2.13.0, or the path of a file that ends in .whl.",
        ) from error


def exact(requirement: Requirement) -> bool:
    """Whether only one version, or one file, satisfies it."""
    pins = [one for one in requirement.specifier if one.operator in ("==", "===")]
    return requirement.url is not None or any(not one.version.endswith(".*") for one in pins)


@dataclass(frozen=True)
class Choice:
    """The version that was chosen, the Python that it was published for, and why not a newer one."""

    requirement: Requirement
    python: str
    passed_over: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """In one sentence."""
        newer = f"; newer, and passed over: {', '.join(self.passed_over)}" if self.passed_over else ""
        return (
            f"{self.requirement} is the newest that can be run here, for Python {self.python}{newer} "
            "(NAME==VERSION asks for another)"
        )


def choose(
    requirement: Requirement, pythons: Iterable[str], unfit: Callable[[Version], str | None]
) -> Choice:
    """The newest published version that is not `unfit` (which says why), for the first Python that has one.

    Raises SmokeError with what there is and why none of it fits.
    """
    failures = []
    for python in pythons:
        versions = _published(requirement, python)
        if isinstance(versions, str):
            failures.append(f"Python {python}: {versions}")
            continue
        over: list[str] = []
        for version in versions:
            reason = unfit(version)
            if reason is None:
                pin = Requirement(f"{requirement.name}=={version}")
                return Choice(pin, python, tuple(over))
            over.append(f"{version} ({reason})")
        failures.append(f"Python {python}: {', '.join(over[:_SHOWN]) or f'nothing that is {requirement}'}")
    raise SmokeError(
        f"no published version of {requirement} can be run here:\n  " + "\n  ".join(failures),
        hint="NAME==VERSION --simulator WHEEL tests one with a simulator that you have.",
    )


def _published(requirement: Requirement, python: str) -> tuple[Version, ...] | str:
    """The versions with a wheel for this Python and machine, newest first, or why there are none."""
    command = _words("index", "versions", requirement.name, python=python)
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    listed = _AVAILABLE.search(done.stdout)
    if done.returncode or listed is None:
        return reason(done.stderr)
    versions = (_version(word) for word in listed[1].split(","))
    fitting = {one for one in versions if one is not None and requirement.specifier.contains(one)}
    return tuple(sorted(fitting, reverse=True))


def _version(word: str) -> Version | None:
    """None for what no installer takes: indexes keep old files with names of their own."""
    try:
        return Version(word.strip())
    except ValueError:
        return None


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
        command = _words(
            "download", "--quiet", "--no-deps", "--dest", scratch, str(requirement), python=python
        )
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


def _words(*command: str, python: str) -> Sequence[str]:
    """A command of pip that looks for wheels for another Python on this machine."""
    tag = python.replace(".", "")
    platforms = [word for name in platform_tags() for word in ("--platform", name)]
    return (
        *(sys.executable, "-m", "pip", *command, "--disable-pip-version-check", "--no-input"),
        *("--only-binary=:all:", "--implementation", "cp", "--python-version", python),
        *("--abi", f"cp{tag}", "--abi", f"cp{tag}m", "--abi", "abi3", "--abi", "none"),
        *platforms,
    )
