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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wheelmill.publish.index.intact import paths_in, shown_tree
from wheelmill.publish.index.pages import file_path, pages
from wheelmill.publish.index.records import IndexFaultError, WheelRecord, checked
from wheelmill.store import Lock, digest_file

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class BuiltIndex:
    """`path` is the symbolic link that shows the index, `tree` the directory behind it.

    `changed` is False when the index was already what the records ask for. `damaged` says, for each file of
    the tree, how it was something else than its name promises; that tree is kept under the name `kept`.
    """

    path: Path
    tree: Path
    projects: int
    wheels: int
    changed: bool
    damaged: tuple[str, ...] = ()
    kept: Path | None = field(default=None)


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
            tree, before = trees / digest, shown_tree(out)
            damaged = tuple(_faults(tree, content, wheels)) if tree.exists() else ()
            kept = _put_by(tree) if damaged else None
            fresh = not tree.exists()
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
    return BuiltIndex(out, tree, projects, len(wheels), fresh or before != tree, damaged, kept)


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


def _faults(tree: Path, content: Mapping[str, bytes], wheels: Iterable[WheelRecord]) -> Iterator[str]:
    """For each file of a finished tree that is not what it should be: its path, and what is wrong."""
    wanted = {path: hashlib.sha256(data).hexdigest() for path, data in content.items()}
    wanted |= {file_path(record): record.sha256 for record in wheels}
    there = set(paths_in(tree))
    for path in sorted(there - set(wanted)):
        yield f"{path} is not a file of this index"
    for path, digest in sorted(wanted.items()):
        try:
            found = digest_file(tree / path)
        except OSError as error:
            yield f"{path} cannot be read: {error.strerror}"
        else:
            if found != digest:
                yield f"{path} has SHA-256 {found}"


def _put_by(tree: Path) -> Path:
    """Take a damaged tree out of the way; the last one of its name is kept for a look."""
    kept = tree.with_name(f"damaged-{tree.name}")
    shutil.rmtree(kept, ignore_errors=True)
    return tree.rename(kept)


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
