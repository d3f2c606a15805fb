"""Whether an index is still what it was written as: asked before each use, so it opens no wheel."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from wheelmill.store import digest_file

_WHEEL = re.compile(r"files/[0-9a-f]{64}/[^/]+\.whl")


def is_intact(out: Path, tree: str | None, fault: Callable[[Path, str], str | None]) -> bool:
    """Whether `out` shows the tree of this name, and all that is in it is what the name was made of.

    `fault(path, sha256)` is None for a file that has this hash. Every byte is looked at and no wheel is
    opened, so that this can be asked each time that an index is used.
    """
    root = shown_tree(out)
    if root is None or root.name != tree:
        return False
    digest, wheels = hashlib.sha256(), []
    try:
        for path in sorted(paths_in(root)):
            if _WHEEL.fullmatch(path):
                wheels.append(path)
            else:
                digest.update(f"{path}\0{digest_file(root / path)}\n".encode())
    except OSError:
        return False
    digest.update("".join(f"{path}\n" for path in wheels).encode())
    if digest.hexdigest() != tree:
        return False
    return all(fault(root / path, path.split("/")[1]) is None for path in wheels)


def paths_in(tree: Path) -> Iterator[str]:
    """Everything in a tree that is no folder, relative to it."""
    for folder, folders, names in os.walk(tree):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        yield from (Path(folder, name).relative_to(tree).as_posix() for name in (*names, *links))


def shown_tree(out: Path) -> Path | None:
    """The tree that `out` points to."""
    return out.parent / out.readlink() if out.is_symlink() else None
