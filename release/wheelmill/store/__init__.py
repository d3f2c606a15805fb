"""The platform's only durable state: content-addressed files and an append-only journal.

```
.wheelmill/
  objects/ab/abcdef...   files named by their SHA-256, read-only, complete or absent
  journal.jsonl          what is known about them: one JSON document per line, fsynced
  locks/ logs/ work/ ... everything else can be deleted and is made again
```

A process may be killed at any instruction: a file reaches its final name by one rename after fsync, and a
journal line counts only when it is whole. Several processes may use one store at once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wheelmill.store.errors import StoreError
from wheelmill.store.journal import Journal, Record
from wheelmill.store.lock import Lock, Waiting
from wheelmill.store.objects import Digest, Objects, digest_file

__all__ = ["Digest", "Lock", "Record", "Store", "StoreError", "Waiting", "default_root", "digest_file"]


def default_root(project: Path) -> Path:
    """Where the state lives: `$WHEELMILL_HOME`, else `.wheelmill` in the project."""
    given = os.environ.get("WHEELMILL_HOME")
    return Path(given).expanduser().absolute() if given else project / ".wheelmill"


class Store:
    """One state directory, made on first use.

    Kinds of records in use: `torch-sdk`, `bundle`, `wheel`, `audit`, `smoke`, `index`. A record is found by
    kind and key; the last one written wins, the earlier ones stay in the journal as history.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._objects = Objects(self.root / "objects")
        self._journal = Journal(self.root / "journal.jsonl")

    def put(self, content: Path | bytes) -> Digest:
        """Keep a file's content, or these bytes; return its SHA-256 in hex. Known content costs a hash."""
        return self._objects.put(content)

    def has(self, digest: str) -> bool:
        """Is this content in the store? Looks at the name only."""
        return self._objects.path(digest).is_file()

    def get(self, digest: str, *, verify: bool = False) -> Path:
        """The file with this content; read it, never write to it.

        `verify` hashes it first. Raises StoreError when it is absent, or damaged (the damaged file is set
        aside, so that the step which made it can run again).
        """
        return self._objects.get(digest, verify=verify)

    def export(self, digest: str, directory: Path, name: str) -> Path:
        """Give the content a file name that tools can read (`directory/name`), by hard link where possible.

        Replaces another content under that name in one rename, and does nothing when it is there already.
        """
        return self._objects.export(digest, directory, name)

    def record(self, kind: str, key: str, **data: Any) -> Record:
        """Append one fact; it is on disk when this returns. `data` must be JSON."""
        return self._journal.append(kind, key, data)

    def find(self, kind: str, key: str) -> Record | None:
        """The last record of this kind and key, also when another process has just written it."""
        return self._journal.find(kind, key)

    def records(self, kind: str | None = None) -> Iterator[Record]:
        """All records in the order of writing, those of one kind if it is given."""
        return self._journal.records(kind)

    def lock(self, name: str, *, waiting: Waiting | None = None, stop: threading.Event | None = None) -> Lock:
        """A lock among processes for `with`; `waiting` is told who holds it when it is not free at once.

        `stop` ends the waiting with StoppedError.
        """
        return Lock(self.root / "locks" / f"{name}.lock", waiting=waiting, stop=stop)
