"""Whether a public index can be written where it is to be: asked before hours of building, not after them."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

_ANOTHER = "or name another place with --into"
_LEAST = 32 << 20  # bytes of an index of small wheels, with its pages and the tree from before


def unwritable(into: Path, store: Path, wheels: int) -> Iterator[tuple[str, str]]:
    """What keeps this user from writing an index to `into`, whose new wheels have so many bytes, and the fix.

    On the file system of the `store`, its wheels are links and take no room. Nothing is changed for it, so
    what the disk itself refuses shows only when it is written to.
    """
    try:
        linked = _nearest(into.parent).stat().st_dev == _nearest(store).stat().st_dev
        yield from _unwritable(into, _LEAST if linked else max(wheels, _LEAST))
    except OSError as error:
        yield (
            f"{into} cannot be looked at: {error.strerror or error}",
            f"let user {os.getuid()} into its folder, {_ANOTHER}",
        )


def _unwritable(into: Path, needed: int) -> Iterator[tuple[str, str]]:
    there = _nearest(into.parent)
    if not there.is_dir():
        yield f"{into} cannot be made: {there} is a file", f"take it away, {_ANOTHER}"
        return
    ours = [path for path in _changed(into) if os.path.lexists(path)]
    for path in (there, *ours):
        if not os.access(path, os.W_OK | (os.X_OK if path.is_dir() else 0)):
            yield (
                f"user {os.getuid()} may not write {path}, {_whose(path)}",
                f"let that user write it, {_ANOTHER}",
            )
            return
    if _is_held(into, there):
        yield (
            f"{into} cannot be switched: it is {_owner(into)}'s, and in {there} (mode +t) nobody changes "
            "what is another's",
            f"publish as that user, {_ANOTHER}",
        )
    yield from _no_room(into, there, needed)


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest thing above it that is there."""
    return next(path for path in (folder, *folder.parents) if os.path.lexists(path))


def _changed(into: Path) -> Iterator[Path]:
    """What is written beside the link."""
    trees = into.parent / f".{into.name}.trees"
    yield from (into.parent / f".{into.name}.publishing", trees, trees / "lock", trees / "files")


def _whose(path: Path) -> str:
    """`which is alice's, mode 0755`, or that the file system is read-only."""
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return "which is on a read-only file system"
    return f"which is {_owner(path)}'s, mode {stat.S_IMODE(path.lstat().st_mode):04o}"


def _owner(path: Path) -> str:
    import pwd

    number = path.lstat().st_uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _is_held(into: Path, folder: Path) -> bool:
    """Whether another user's link lies in a folder where only its owner may replace it."""
    me, about = os.getuid(), folder.stat()
    if me == 0 or not into.is_symlink() or not about.st_mode & stat.S_ISVTX:
        return False
    return me not in (into.lstat().st_uid, about.st_uid)


def _no_room(into: Path, there: Path, needed: int) -> Iterator[tuple[str, str]]:
    free, about = shutil.disk_usage(there).free, os.statvfs(there)
    if free < needed:
        yield (
            f"{into} has {free >> 20} MiB free, and a release needs about {needed >> 20} MiB",
            f"make room on the file system of {there}, {_ANOTHER}",
        )
    elif about.f_files and not about.f_favail:
        yield f"{into} has room for no more files", f"make room on the file system of {there}, {_ANOTHER}"
