"""Writes the index: a whole new tree beside the old one, flushed to disk, then shown by one rename.

```
index -> .index.trees/<digest of all it holds>/
           simple/index.html  simple/index.v1+json  simple/<project>/...
           files/<sha256 of the wheel>/<wheel>  and  <wheel>.metadata
```
Readers see the old index or the new one and nothing between. A killed run leaves an unfinished tree that
nobody is pointed to and that the next run takes away.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from wheelmill.index.pages import file_path, pages
from wheelmill.index.records import IndexFaultError, WheelRecord, checked
from wheelmill.store import Lock

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class BuiltIndex:
    """`path` is the symbolic link that shows the index, `tree` the directory behind it.

    `changed` is False when the index was already what the records ask for.
    """

    path: Path
    tree: Path
    projects: int
    wheels: int
    changed: bool


def build_index(records: Iterable[WheelRecord], out: Path) -> BuiltIndex:
    """Make `out` the index of exactly these wheels.

    The same records give the same bytes; a wheel that is no longer among them is no longer shown. Wheels are
    hard-linked where the file system allows it. The index shown before is kept, one rename away. Raises
    IndexFaultError, and then nothing has changed, for records that are not in order and for a place that is
    something else than an index.
    """
    wheels = checked(records)
    content = pages(wheels)
    links = {file_path(record): record.path for record in wheels}
    digest = _digest(content, wheels)
    trees = out.parent / f".{out.name}.trees"
    _refuse_other_things(out)
    try:
        with Lock(trees / "lock"):
            tree, before = trees / digest, _shown(out)
            fresh = not _intact(tree, content, links)
            if fresh:
                _write(tree, content, links)
            if fresh or before != tree:
                _show(tree, out)
                _sweep(trees, keep={tree, before})
    except OSError as error:
        raise IndexFaultError(
            f"the index {out} could not be written: {error}", hint="The index shown before is untouched."
        ) from error
    projects = len({record.project for record in wheels})
    return BuiltIndex(out, tree, projects, len(wheels), changed=fresh or before != tree)


def _digest(content: Mapping[str, bytes], wheels: Iterable[WheelRecord]) -> str:
    """One hash over everything in the tree; the wheels' own hashes are in the paths."""
    digest = hashlib.sha256()
    for path in sorted(content):
        digest.update(f"{path}\0{hashlib.sha256(content[path]).hexdigest()}\n".encode())
    for path in sorted(map(file_path, wheels)):
        digest.update(f"{path}\n".encode())
    return digest.hexdigest()


def _refuse_other_things(out: Path) -> None:
    if out.exists() and not out.is_symlink():
        raise IndexFaultError(
            f"{out} is a {'directory' if out.is_dir() else 'file'} that is not an index of ours",
            hint="Name a path that does not exist yet; the index is a symbolic link that is switched whole.",
        )


def _shown(out: Path) -> Path | None:
    """The tree that `out` points to."""
    return out.parent / out.readlink() if out.is_symlink() else None


def _intact(tree: Path, content: Mapping[str, bytes], links: Mapping[str, Path]) -> bool:
    """Whether a tree of that name holds what it should, so that a damaged one is written again."""
    try:
        return all((tree / path).read_bytes() == data for path, data in content.items()) and all(
            (tree / path).stat().st_size == source.stat().st_size for path, source in links.items()
        )
    except OSError:
        return False


def _write(tree: Path, content: Mapping[str, bytes], links: Mapping[str, Path]) -> None:
    work = Path(tempfile.mkdtemp(prefix="partial-", dir=tree.parent))
    work.chmod(0o755)
    for path, data in content.items():
        target = work / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    for path, source in links.items():
        _link(source, work / path)
    for directory in sorted((d for d in work.rglob("*") if d.is_dir()), reverse=True):
        _sync_directory(directory)
    _sync_directory(work)
    if tree.exists():
        tree.rename(work.with_name(f"{work.name}.damaged"))
    work.rename(tree)
    _sync_directory(tree.parent)


def _link(source: Path, target: Path) -> None:
    """A hard link, or a copy where the store is on another file system."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
        with target.open("rb") as stream:
            os.fsync(stream.fileno())


def _show(tree: Path, out: Path) -> None:
    """Point `out` to `tree` by one rename."""
    pointer = tree.parent / f"pointer-{os.getpid()}"
    pointer.unlink(missing_ok=True)
    pointer.symlink_to(tree.relative_to(out.parent))
    pointer.replace(out)
    _sync_directory(out.parent)


def _sweep(trees: Path, keep: set[Path | None]) -> None:
    """Take away unfinished trees and all finished ones but those to keep."""
    for entry in trees.iterdir():
        if entry not in keep and (_DIGEST.fullmatch(entry.name) or entry.name.startswith("partial-")):
            shutil.rmtree(entry)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
