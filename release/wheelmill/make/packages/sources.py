"""A described project's sources as content: which files count, their digest and a snapshot of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wheelmill.errors import WheelmillError
from wheelmill.make.toolchain.sources import digest_tree, git, source_date

_LEFT_OUT = {"__pycache__", "build", "dist", "node_modules", "venv"}
_MOST = 50_000  # files
# What tells a forge or a hook what to run, and nothing to a build. Scripts beside it may be a build's own.
_OF_CI = (".circleci", ".github/workflows", ".gitlab-ci.yml", ".pre-commit-config.yaml")


class PackageSourcesError(WheelmillError):
    """The sources of a project cannot be read as such."""


@dataclass(frozen=True)
class PackageSources:
    """Files relative to `root`, sorted; their SHA-256, and the time that wheels bear, in seconds.

    `unread` are files that lie there and that no build is shown: for that they decide nothing.
    """

    root: Path
    files: tuple[Path, ...]
    digest: str
    epoch: int
    unread: tuple[Path, ...] = ()

    def copy(self, target: Path) -> None:
        """A snapshot, which a build may write into."""
        for path in self.files:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.root / path, target / path)


def read(root: Path, unread: Iterable[str] = ()) -> PackageSources:
    """What git has or would add; without git all but hidden files and what builds leave behind.

    `unread` are files and folders that builds are not shown. Their content and the time of their commits are
    then no part of what decides a wheel: only what is not copied for a build may be left out here.

    Raises PackageSourcesError for a folder without sources, or with more than any project has.
    """
    listed = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", ".")
    names = listed.stdout.split("\0") if listed.returncode == 0 else _walk(root)
    there = sorted({Path(name) for name in names if name and (root / name).is_file()})
    hidden = sorted({Path(name) for name in (*_OF_CI, *unread)})
    files = [path for path in there if not {path, *path.parents}.intersection(hidden)]
    if not files or len(files) > _MOST:
        raise PackageSourcesError(
            f"{root} has {len(files)} source files", hint=f"`source` is a folder with 1 to {_MOST} files"
        )
    for path in files:
        if not (root / path).resolve().is_relative_to(root):
            raise PackageSourcesError(f"{root / path} is a link that leads out of the sources")
    parts = (".", *(f":(exclude,literal){path.as_posix()}" for path in hidden))
    epoch = source_date(root, os.environ, parts).epoch
    left_out = tuple(sorted({*there}.difference(files)))
    return PackageSources(root, tuple(files), digest_tree(root, files), epoch, left_out)


def _walk(root: Path) -> list[str]:
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [
            name for name in folders if name not in _LEFT_OUT and name[0] != "." and "egg-info" not in name
        ]
        found += [
            str(Path(folder, name).relative_to(root))
            for name in names
            if name[0] != "." and not name.endswith((".pyc", ".o", ".so"))
        ]
    return found
