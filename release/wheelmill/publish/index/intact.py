"""Whether an index is still what it was written as: asked before each use, so it opens no wheel."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheelmill.limits import MAX_INDEX, parse_json, read_regular

MANIFEST = "manifest"
SEALED = "sealed"
_LAYOUT, _WHEELS = "# layout ", "# wheels "
_FILES = "files"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """What a tree is made of: the digest of its layout, how many wheels, the SHA-256 of each page by path."""

    layout: str
    wheels: int
    pages: Mapping[str, str]

    def text(self) -> bytes:
        """As `sha256sum -c` reads it; the tree's name is the SHA-256 of this, and of what seals it."""
        lines = [f"{digest}  {path}\n" for path, digest in sorted(self.pages.items())]
        return "".join([f"{_LAYOUT}{self.layout}\n", f"{_WHEELS}{self.wheels}\n", *lines]).encode()


def is_intact(out: Path, tree: str | None, fault: Callable[[Path, str], str | None]) -> bool:
    """Whether `out` shows the tree of this name, and all that is in it is what the name was made of.

    `fault(path, sha256)` is None for a file that has this hash. Every byte is looked at and no wheel is
    opened, so that this can be asked each time that an index is used.
    """
    root = shown_tree(out)
    if root is None or root.name != tree or tree_faults(root, fault):
        return False
    try:
        return all(fault(path, digest) is None for path, digest in _linked_files(root))
    except (ValueError, LookupError, TypeError, AttributeError):  # a page of something else
        return False


def tree_faults(tree: Path, fault: Callable[[Path, str], str | None] | None = None) -> list[str]:
    """For each page of a finished tree that is not what its name promises: its path, and what is wrong."""
    check = fault or file_fault
    wanted = _wanted(tree)
    if wanted is None:
        return [f"{MANIFEST} is not the one that this tree is named after"]
    try:
        there = set(paths_in(tree))
    except OSError as error:
        return [f"cannot be listed: {error}"]
    there -= {MANIFEST, SEALED, _FILES}
    faults = [f"{path} is not a file of this index" for path in sorted(there - set(wanted))]
    for path, digest in wanted.items():
        if (wrong := check(tree / path, digest)) is not None:
            faults.append(f"{path} {wrong or 'is gone'}")
    files = tree / _FILES
    if not files.is_symlink() or files.readlink() != Path("..", _FILES):
        faults.append(f"{_FILES} is not the link to the wheels")
    return faults


def read_manifest(tree: Path) -> Manifest | None:
    """What the tree says that it holds; None where that cannot be read."""
    try:
        layout, wheels, *lines = read_regular(tree / MANIFEST, MAX_INDEX).decode().splitlines()
        count = int(wheels.removeprefix(_WHEELS))
    except (OSError, ValueError):
        return None
    return Manifest(layout.removeprefix(_LAYOUT), count, {line[66:]: line[:64] for line in lines})


def _wanted(tree: Path) -> dict[str, str] | None:
    """Path -> SHA-256 of all that the tree should hold, as far as its lists are those of its name."""
    found = read_manifest(tree)
    if found is None:
        return None
    name = hashlib.sha256(read_regular(tree / MANIFEST, MAX_INDEX))
    wanted = dict(found.pages)
    if (tree / SEALED).is_file():
        sealed = read_regular(tree / SEALED, MAX_INDEX)
        name.update(sealed)
        wanted |= {line[66:]: line[:64] for line in sealed.decode("utf-8", "replace").splitlines()}
    return wanted if name.hexdigest() == tree.name else None


def _linked_files(tree: Path) -> Iterator[tuple[Path, str]]:
    """Every wheel and side file of an intact tree, and its SHA-256."""
    for page in (tree / "simple").glob("*/index.v1+json"):
        for entry in parse_json(read_regular(page, MAX_INDEX))["files"]:
            yield from _files_of(tree, entry)


def _files_of(tree: Path, entry: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    digest = entry["hashes"]["sha256"]
    wheel = f"{tree}/{_FILES}/{digest}/{entry['filename']}"
    yield Path(wheel), digest
    yield Path(f"{wheel}.metadata"), entry["core-metadata"]["sha256"]
    for suffix, side in entry.get("_side-files", {}).items():
        yield Path(wheel + suffix), side["sha256"]


def file_fault(path: str | Path, digest: str) -> str | None:
    """None when the file has this SHA-256; else what is wrong with it in words, "" when it is absent."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return "is not a regular file"
        found = hashlib.sha256()
        while block := os.read(descriptor, _BLOCK):
            found.update(block)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    finally:
        os.close(descriptor)
    return None if found.hexdigest() == digest else f"has SHA-256 {found.hexdigest()}"


def paths_in(tree: Path) -> Iterator[str]:
    """Everything in a tree that is no folder, relative to it."""
    for folder, folders, names in os.walk(tree):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        yield from (Path(folder, name).relative_to(tree).as_posix() for name in (*names, *links))


def shown_tree(out: Path) -> Path | None:
    """The tree that `out` points to."""
    return out.parent / out.readlink() if out.is_symlink() else None
