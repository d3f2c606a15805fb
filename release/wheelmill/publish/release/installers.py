"""Real installers against the stage: they take each cell's wheels as a machine of the cell would.

Nothing is run and no interpreter of the cell is needed: pip and uv choose by the tags that a machine of the
cell has, download, and check the hash.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from wheelmill.matrix.versions import python_key
from wheelmill.publish.release.product import Machine
from wheelmill.publish.release.session import ReleaseError

_SECONDS = 600.0
_KNOWN_TO_UV = (17, 28, *range(31, 41))
_LEGACY = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}


class InstallError(ReleaseError):
    """An installer is not here, or did not take from the stage what it should."""


class Installer(Protocol):
    """Takes requirements from an index as a machine of a cell would."""

    @property
    def name(self) -> str:
        """`pip`"""

    def version(self) -> str:
        """`26.0`; raises InstallError when it is not here."""

    def cannot(self, cell: Machine) -> str | None:
        """Why it does not know such machines; None when it does."""

    def take(self, cell: Machine, requirements: Sequence[str], index_url: str) -> None:
        """Take them. Raises InstallError with what it said."""


@dataclass(frozen=True)
class Pip:
    """The pip of this Python."""

    name: str = "pip"

    def version(self) -> str:
        """See Installer."""
        done = _run((sys.executable, "-m", "pip", "--version"))
        if done.returncode:
            raise InstallError(
                "a stage is verified with pip, which this Python does not have",
                hint=f"{sys.executable} -m ensurepip",
            )
        return done.stdout.split()[1]

    def cannot(self, cell: Machine) -> str | None:
        """See Installer."""
        return None

    def take(self, cell: Machine, requirements: Sequence[str], index_url: str) -> None:
        """See Installer."""
        with _scratch() as target:
            words = [sys.executable, "-m", "pip", "--isolated", "download", "--no-cache-dir", "--quiet"]
            words += ["--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
            words += ["--implementation", "cp", "--abi", cell.abi_tag, "--python-version", cell.python]
            words += [word for platform in platforms(cell) for word in ("--platform", platform)]
            _check(self, cell, _run((*words, "--dest", target, "--index-url", index_url, *requirements)))


@dataclass(frozen=True)
class Uv:
    """The uv beside this Python, else on the PATH."""

    name: str = "uv"

    @property
    def program(self) -> str:
        """Its path. Raises InstallError when it is not here."""
        beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        found = shutil.which("uv", path=beside)
        if found is None:
            raise InstallError("a stage is verified with uv, which is not here", hint="pip install uv")
        return found

    def version(self) -> str:
        """See Installer."""
        return _run((self.program, "--version")).stdout.split()[1]

    def cannot(self, cell: Machine) -> str | None:
        """See Installer."""
        oldest = (3, 8)
        minor = python_key(cell.python)
        return None if minor >= oldest else f"uv does not know Python {cell.python}"

    def take(self, cell: Machine, requirements: Sequence[str], index_url: str) -> None:
        """See Installer."""
        with _scratch() as target:
            words = [self.program, "pip", "install", "--quiet", "--no-cache", "--no-config", "--no-deps"]
            words += ["--only-binary", ":all:", "--python", sys.executable, "--python-version", cell.python]
            words += ["--python-platform", f"{cell.arch}-{_for_uv(cell.manylinux)}", "--target", target]
            _check(self, cell, _run((*words, "--index-url", index_url, *requirements)))


def _for_uv(manylinux: str) -> str:
    """The oldest machine that uv knows which is not older than this one."""
    minor = int(manylinux.rpartition("_")[2])
    return f"manylinux_2_{next((one for one in _KNOWN_TO_UV if one >= minor), minor)}"


INSTALLERS: tuple[Installer, ...] = (Pip(), Uv())


def platforms(cell: Machine) -> list[str]:
    """The platform tags of the oldest machine that the cell's policy allows, the newest first."""
    _, major, minor = cell.manylinux.split("_")
    found = []
    for number in range(int(minor), 4, -1):
        found.append(f"manylinux_{major}_{number}_{cell.arch}")
        if number in _LEGACY:
            found.append(f"{_LEGACY[number]}_{cell.arch}")
    return [*found, f"linux_{cell.arch}"]


def _check(installer: Installer, cell: Machine, done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        raise InstallError(
            f"{installer.name} does not take {cell.key} from the stage:\n"
            f"{done.stderr.strip() or done.stdout.strip()}",
            hint="The stage is kept; `wheelmill release status` has its address.",
        )


def _run(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            list(words), capture_output=True, text=True, check=False, timeout=_SECONDS, env=_environment()
        )
    except subprocess.TimeoutExpired:
        raise InstallError(f"{Path(words[0]).name} did not end within {_SECONDS:.0f} s") from None


def _environment() -> Mapping[str, str]:
    """Without the user's own indexes: only the stage can be what is asked."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_", "PYTHON"))}
    local = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
    return {**kept, **local, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INPUT": "1"}


@contextmanager
def _scratch() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="wheelmill-take-") as target:
        yield target
