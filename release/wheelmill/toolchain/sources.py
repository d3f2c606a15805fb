"""The adapter's source tree as content: which files count, and their digests."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from wheelmill.errors import WheelmillError

PYTHON_PACKAGE = Path("src/torch_npu")
SIMULATOR_PACKAGE = Path("simulator/src/cann_simulator")

# What the native build reads. `simulator` is native except for its Python package.
_NATIVE = ("CMakeLists.txt", "cmake", "core", "glue", "include", "ops", "simulator")
_IGNORED_FOLDERS = {"__pycache__", "build", "tests", "node_modules"}
_IGNORED_SUFFIXES = {".pyc", ".pyo", ".o", ".so", ".a", ".orig", ".rej", ".swp"}

_ZIP_EPOCH = 315_532_800  # 1980-01-01, the first moment that a zip file can name


class SourcesError(WheelmillError):
    """The adapter's source tree is not there, or not whole."""


@dataclass(frozen=True)
class Sources:
    """Digests of the three parts of the adapter and the time that their wheels are stamped with.

    `native` decides the compiled files, `python` and `simulator` the Python files of the two wheels; all
    SHA-256 over relative paths and contents. `epoch` is in seconds, UTC.
    """

    native: str
    python: str
    simulator: str
    licence: str
    epoch: int


def read_sources(adapter: Path, *, environment: Mapping[str, str] | None = None) -> Sources:
    """Digest the tree under `adapter`. Raises SourcesError when a part is missing."""
    for part in ("CMakeLists.txt", "LICENSE", str(PYTHON_PACKAGE), str(SIMULATOR_PACKAGE)):
        if not (adapter / part).exists():
            raise SourcesError(
                f"{adapter} is not the adapter's source tree: {part} is missing",
                hint="run inside a whole checkout of the project",
            )
    return Sources(
        native=digest_tree(adapter, native_files(adapter)),
        python=digest_tree(adapter, files_under(adapter, PYTHON_PACKAGE)),
        simulator=digest_tree(adapter, files_under(adapter, SIMULATOR_PACKAGE)),
        licence=digest_tree(adapter, [Path("LICENSE")]),
        epoch=source_epoch(adapter, os.environ if environment is None else environment),
    )


def native_files(adapter: Path) -> list[Path]:
    """Paths, relative to `adapter` and sorted, of all that the native build may read."""
    package = SIMULATOR_PACKAGE.parent
    found = [path for part in _NATIVE for path in files_under(adapter, Path(part))]
    return [path for path in found if package not in path.parents]


def files_under(root: Path, part: Path) -> list[Path]:
    """Files at or under root/part, relative to root and sorted; caches and build products are not sources."""
    if (root / part).is_file():
        return [part]
    found = []
    for folder, folders, names in os.walk(root / part):
        folders[:] = sorted(name for name in folders if name not in _IGNORED_FOLDERS and name[0] != ".")
        paths = (Path(folder, name).relative_to(root) for name in names if name[0] != ".")
        found += [path for path in paths if path.suffix not in _IGNORED_SUFFIXES]
    return sorted(found)


def digest_tree(root: Path, files: Iterable[Path]) -> str:
    """SHA-256 over (relative path, executable bit, content) of these files, in any order."""
    digest = hashlib.sha256()
    for path in sorted(files):
        content = hashlib.sha256((root / path).read_bytes()).hexdigest()
        executable = "x" if (root / path).stat().st_mode & 0o100 else "-"
        digest.update(f"{path.as_posix()}\0{executable}\0{content}\n".encode())
    return digest.hexdigest()


def source_epoch(adapter: Path, environment: Mapping[str, str]) -> int:
    """The time stamped into wheels: SOURCE_DATE_EPOCH, else the adapter's last commit, else 1980."""
    given = environment.get("SOURCE_DATE_EPOCH")
    if given is not None:
        if not given.isascii() or not given.isdigit():
            raise SourcesError(
                f"SOURCE_DATE_EPOCH is {given!r}, not a whole number of seconds since 1970",
                hint="unset it, or set it to the output of: git log -1 --format=%ct",
            )
        return max(int(given), _ZIP_EPOCH)
    command = ["git", "-C", str(adapter), "log", "-1", "--format=%ct", "--", "."]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return _ZIP_EPOCH
    stamp = done.stdout.strip()
    return max(int(stamp), _ZIP_EPOCH) if done.returncode == 0 and stamp.isdigit() else _ZIP_EPOCH
