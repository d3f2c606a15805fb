"""The platform's only durable state: content-addressed files and an append-only journal.

```
.wheelmill/
  objects/ab/abcdef...   files named by their SHA-256, read-only, complete or absent
  damaged/               what was found to be something else than its name or record says
  journal.jsonl          what is known about them: one JSON document per line, fsynced
  locks/ logs/ work/ ... everything else can be deleted and is made again
```

A store may have a remote, which several machines share (`store/remote.py`).

A process may be killed at any instruction: a file reaches its final name by one rename after fsync, and a
journal line counts only when it is whole. Several processes may use one store at once.

The disk is not believed: a file is hashed when it is used, a record has a checksum of its own, and what is
damaged counts as absent and is told, so that the step which made it runs again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from wheelmill.progress import silent
from wheelmill.store.errors import StoreError
from wheelmill.store.holder import Holder
from wheelmill.store.journal import Journal, Record
from wheelmill.store.lock import Lock, Waiting, held_by
from wheelmill.store.objects import Digest, Notice, Objects, digest_file
from wheelmill.store.remote import Remote, RemoteError
from wheelmill.store.scratch import scratch_folder

__all__ = [
    "Digest",
    "Holder",
    "Lock",
    "Notice",
    "Record",
    "RemoteError",
    "Store",
    "StoreError",
    "Waiting",
    "default_root",
    "digest_file",
]


_GIVE_ONE = "set WHEELMILL_HOME to a folder that you may write"


def default_root(project: Path) -> Path:
    """Where the state lives: `$WHEELMILL_HOME`, else `.wheelmill` in the project.

    Raises StoreError when that cannot be a folder.
    """
    given = os.environ.get("WHEELMILL_HOME")
    try:
        root = Path(given).expanduser().absolute() if given else project / ".wheelmill"
        fits = not os.path.lexists(root) or root.is_dir()
    except (RuntimeError, OSError, ValueError) as error:  # no such user; no working directory; a NUL
        reason = error.strerror if isinstance(error, OSError) else error
        raise StoreError(f"WHEELMILL_HOME={given} names no folder: {reason}", hint=_GIVE_ONE) from None
    if not fits:
        raise StoreError(f"{root} is not a folder, and the state cannot be kept in it", hint=_GIVE_ONE)
    return root


class Store:
    """One state directory, made on first use. `notice` is told of everything that is found damaged.

    Kinds of records in use: `torch-sdk`, `torch-wheel`, `sdk-tree`, `bundle`, `wheel`, `audit`, `smoke`,
    `index`, `release`. A record is found by kind and key; the last one written wins, the earlier ones stay in
    the journal as history. One without what its kind has (`store/shapes.py`) is not believed, as one that is
    damaged.

    `remote` is the URL of a place that other machines share; `obtain` and `share` use it, and only they.
    Raises RemoteError when it cannot be opened.
    """

    def __init__(self, root: Path, *, notice: Notice = silent, remote: str | None = None) -> None:
        self.root = root.absolute()
        self.notice = notice
        self._remote = Remote(remote, notice) if remote else None
        self._objects = Objects(self.root / "objects", self.root / "damaged", notice)
        self._journal = Journal(self.root / "journal.jsonl", notice)

    def hide(self) -> None:
        """Keep git from taking the store for files of a project that says nothing of it.

        What cannot be written is no error: the first thing that is kept will tell.
        """
        ignore = self.root / ".gitignore"
        with suppress(OSError):
            if not ignore.exists():
                self.root.mkdir(parents=True, exist_ok=True)
                ignore.write_text("*\n")

    def put(self, content: Path | bytes) -> Digest:
        """Keep a file's content, or these bytes; return its SHA-256 in hex. Known content costs a hash."""
        return self._objects.put(content)

    def has(self, digest: str) -> bool:
        """Is this content in the store? Hashes it; a damaged file is told, set aside, and is not there."""
        return self._objects.has(digest)

    def get(self, digest: str) -> Path:
        """The file with this content, hashed just now; read it, never write to it.

        Raises StoreError when it is absent, or damaged (then it was told and set aside, so that the step
        which made it can run again).
        """
        return self._objects.get(digest)

    def export(self, digest: str, directory: Path, name: str, *, copy: bool = False) -> Path:
        """Give the content a file name that tools can read (`directory/name`), by hard link where possible.

        `copy` makes a file of its own, for folders that people work in: what they do to it reaches nothing
        else. Replaces another content under that name in one rename; does nothing when it is there already.
        """
        return self._objects.export(digest, directory, name, copy=copy)

    def fault(self, path: Path, digest: str) -> str | None:
        """None when a file anywhere has this SHA-256; else what is wrong with it, "" when it is absent."""
        return self._objects.checker.fault(path, digest)

    def set_aside(self, path: Path, fault: str) -> None:
        """Tell that a file or folder is damaged and move it to `damaged/`; `fault` goes on after its name."""
        self._objects.set_aside(path, fault)

    def scratch(self, prefix: str) -> AbstractContextManager[Path]:
        """A folder for the `with`, in the store's file system; what killed processes left is removed."""
        return scratch_folder(self.root / "work", prefix)

    def record(self, kind: str, key: str, **data: Any) -> Record:
        """Append one fact; it is on disk when this returns. `data` must be JSON."""
        return self._journal.append(kind, key, data)

    def find(self, kind: str, key: str) -> Record | None:
        """The last record of this kind and key, also when another process has just written it."""
        return self._journal.find(kind, key)

    def obtain(self, kind: str, key: str) -> Record | None:
        """The last record of a kind that has a `digest`, with its content here and hashed just now.

        What this store lacks is taken from the remote. None when neither has it whole.
        """
        record = self.find(kind, key)
        if record is not None and self.has(record.data["digest"]):
            return record
        offered = self._remote.record(kind, key) if self._remote else None
        if self._remote is None or offered is None:
            return None
        with self.scratch("remote-") as folder:
            path = self._remote.fetch(offered.data["digest"], folder)
            if path is None:
                return None
            self.put(path)
        return self.record(kind, key, **offered.data)

    def share(self, record: Record) -> None:
        """Send a record that has a `digest`, and its content, to the remote if there is one.

        A remote that does not take it is told: what is here stays.
        """
        if self._remote is not None:
            digest = record.data["digest"]
            self._remote.push(record, {digest: self.get(digest)})

    def records(self, kind: str | None = None) -> Iterator[Record]:
        """All records in the order of writing, those of one kind if it is given."""
        return self._journal.records(kind)

    def lock(self, name: str, *, waiting: Waiting | None = None, stop: threading.Event | None = None) -> Lock:
        """A lock among processes for `with`; `waiting` is told who holds it when it is not free at once.

        `stop` ends the waiting with StoppedError.
        """
        return Lock(self.root / "locks" / f"{name}.lock", waiting=waiting, stop=stop)

    def holder(self, name: str) -> Holder | None:
        """Who holds the lock of this name just now; None where nobody does."""
        return held_by(self.root / "locks" / f"{name}.lock")
