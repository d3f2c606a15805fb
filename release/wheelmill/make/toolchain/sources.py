"""The source tree as content: which files of a checkout count for the wheels, and their digests."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wheelmill.errors import WheelmillError
from wheelmill.matrix.own import own_packages

PARTS = ("adapter", "cann", "simulator")  # folders of a checkout that wheels are made from
PYTHON_PACKAGE = own_packages().adapter.folder
SIMULATOR_PACKAGE = own_packages().simulator.folder
LICENSE = Path("adapter/LICENSE")
README = Path("adapter/README.md")

# What the native build reads.
_NATIVE = (
    *("adapter/CMakeLists.txt", "adapter/core", "adapter/glue", "adapter/ops"),
    f"{PYTHON_PACKAGE}/include",  # the headers for extensions, which the glue implements
    *("cann/cmake", "cann/include", "cann/operators"),
    *("simulator/CMakeLists.txt", "simulator/include"),
    *(f"simulator/{library}" for library in ("aclnn", "hccl", "nnopbase", "op_compiler", "runtime")),
)
_IGNORED_FOLDERS = {"__pycache__", "build", "tests", "node_modules"}
_IGNORED_SUFFIXES = {".pyc", ".pyo", ".o", ".so", ".a", ".orig", ".rej", ".swp"}

# The moments that a zip file can name: from the first of 1980 to the last of 2107.
_EARLIEST, _LATEST = 315_532_800, 4_354_819_199
_GIVE_ONE = "set SOURCE_DATE_EPOCH to the seconds since 1970 that wheels are to have as their time"


class SourcesError(WheelmillError):
    """The source tree is not there, or not whole."""


@dataclass(frozen=True)
class Dated:
    """A time in seconds, UTC; `doubt` says why sources that are the same may bear another one elsewhere."""

    epoch: int
    doubt: str | None = None


@dataclass(frozen=True)
class Sources:
    """Digests of the parts of the tree and the time that their wheels are stamped with.

    `native` decides the compiled files, `python` and `simulator` the Python files of the two wheels; all
    SHA-256 over relative paths and contents. `epoch` is in seconds, UTC; `doubt` as in Dated.
    """

    native: str
    python: str
    simulator: str
    license: str
    epoch: int
    doubt: str | None = None


def read_sources(tree: Path, *, environment: Mapping[str, str] | None = None) -> Sources:
    """Digest the tree under `tree`. Raises SourcesError when a part is missing."""
    for part in ("adapter/CMakeLists.txt", LICENSE, PYTHON_PACKAGE, SIMULATOR_PACKAGE):
        if not (tree / part).exists():
            raise SourcesError(
                f"{tree} is not a whole source tree: {part} is missing",
                hint="run inside a whole checkout of the project",
            )
    dated = source_date(tree, os.environ if environment is None else environment)
    return Sources(
        native=digest_tree(tree, native_files(tree)),
        python=digest_tree(tree, files_under(tree, PYTHON_PACKAGE)),
        simulator=digest_tree(tree, files_under(tree, SIMULATOR_PACKAGE)),
        license=digest_tree(tree, [LICENSE]),
        epoch=dated.epoch,
        doubt=dated.doubt,
    )


def native_files(tree: Path) -> list[Path]:
    """Paths, relative to `tree` and sorted, of all that the native build may read; pages are for people."""
    files = (path for part in _NATIVE for path in files_under(tree, Path(part)))
    return sorted(path for path in files if path.suffix != ".md")


def copy_native(tree: Path, target: Path) -> None:
    """A snapshot of all that the native build may read, so that an edit during the build cannot get in."""
    for path in native_files(tree):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(tree / path, target / path)


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


# ------------------------------------------------------------------------------------------------ their time
def source_date(tree: Path, environment: Mapping[str, str], parts: Sequence[str] = PARTS) -> Dated:
    """SOURCE_DATE_EPOCH, else the time of the last commit of `parts`, else 1980 where there is no commit.

    Raises SourcesError for a time that no wheel can bear, and when git is there and refuses: for another user
    it would not, and the same sources would give other bytes.
    """
    given = environment.get("SOURCE_DATE_EPOCH")
    if given is not None:
        return Dated(_bounded(given, "SOURCE_DATE_EPOCH", "unset it"))
    if _repository(tree) is None:
        return _undated(f"{tree} is in no git checkout")
    if shutil.which("git") is None:
        return _undated(f"git is not installed, so the last commit of {tree} cannot be read")
    return _committed(tree, parts)


def git(
    folder: Path, *words: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`git WORDS` in a folder of a checkout: the same for every user, whoever owns it.

    Git refuses to read what belongs to another user, because a checkout's settings can run programs. Who
    builds from it runs its code in any case. Raises SourcesError when git does not end.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    trusted = f"safe.directory={_repository(folder)}"
    command = ["git", "-c", trusted, "--no-replace-objects", "-C", str(folder), *words]
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={**kept, "LC_ALL": "C", **(environment or {})},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SourcesError(f"git could not read {folder}: {error}", hint=_GIVE_ONE) from error


def _repository(folder: Path) -> Path | None:
    """The checkout that a folder is in."""
    real = folder.resolve()
    return next((path for path in (real, *real.parents) if (path / ".git").exists()), None)


def _committed(tree: Path, parts: Sequence[str]) -> Dated:
    """The time of the last commit that changed the parts; uncommitted changes do not move it."""
    head = git(tree, "rev-parse", "--quiet", "--verify", "HEAD")
    if head.returncode == 1:  # git's answer where nothing was committed yet; what it refuses gives 128
        return _undated(f"{_repository(tree)} has no commit")
    found = git(tree, "rev-list", "--max-count=1", "--format=%ct", "HEAD", "--", *parts)
    for done in (head, found):
        if done.returncode:
            reason = done.stderr.strip() or "no reason given"
            raise SourcesError(
                f"git does not tell when {tree} was last changed: {reason}",
                hint=f"fix what `git -C {tree} log -1` complains of\n{_GIVE_ONE}",
            )
    if not found.stdout:
        return _undated(f"{_repository(tree)} has no commit with {tree}")
    words, seconds = found.stdout.splitlines()
    commit = words.removeprefix("commit ")
    epoch = _bounded(seconds, f"the time of commit {commit[:12]}", "commit again with a right clock")
    return Dated(epoch, _cut_off(tree, commit))


def _cut_off(tree: Path, commit: str) -> str | None:
    """Why a commit may not be the last that changed PARTS: the checkout's history ends there."""
    shallow = tree / git(tree, "rev-parse", "--git-path", "shallow").stdout.strip()
    if not shallow.is_file() or commit not in shallow.read_text().split():
        return None
    return (
        f"wheels get the time of commit {commit[:12]}, where the history of this checkout ends: a whole one "
        "may give them an earlier time, and so other bytes (git fetch --unshallow)"
    )


def _undated(reason: str) -> Dated:
    return Dated(_EARLIEST, f"wheels get the time 1980-01-01: {reason} ({_GIVE_ONE})")


def _bounded(seconds: str, what: str, hint: str) -> int:
    """Seconds since 1970 as a time that the archive of a wheel can name."""
    number = int(seconds) if re.fullmatch("[0-9]{1,18}", seconds) else -1
    if _EARLIEST <= number <= _LATEST:
        return number
    raise SourcesError(
        f"{what} is {seconds!r}: the time of a wheel is from {_EARLIEST} to {_LATEST}, in whole seconds "
        "since 1970 (the years 1980 to 2107)",
        hint=f"{hint}; or {_GIVE_ONE}",
    )
