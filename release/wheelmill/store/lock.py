"""A lock among processes that no killed process leaves behind: flock on a file which names its holder."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from wheelmill.errors import StoppedError
from wheelmill.store.errors import StoreError, disk_errors
from wheelmill.store.holder import Holder, read_holder, write_holder

Waiting = Callable[[str], None]

_PAUSE = 0.1  # seconds between two tries of a waiting that can be stopped
_LOOKS, _LOOK = 5, 0.005  # tries, seconds: much longer than somebody takes to look who holds a lock


def held_by(path: Path) -> Holder | None:
    """Who holds the lock of this file; None where nobody does, and where it cannot be seen."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return read_holder(descriptor)
    except OSError:  # a file system without locks
        return None
    finally:
        os.close(descriptor)
    return None


class Lock:
    """`with Lock(path) as lock:` waits until no other process holds it.

    The kernel drops the lock when the last copy of `descriptor` is closed. A child process that must not
    outlive it unnoticed (a compiler run by a parent that may be killed) is given `descriptor` to inherit:
    then the next holder waits for the orphans too, instead of working beside them in the same folder.
    Setting `stop` ends the waiting with StoppedError. `holder` is who it was waited for, if it was.
    """

    def __init__(
        self, path: Path, *, waiting: Waiting | None = None, stop: threading.Event | None = None
    ) -> None:
        self._path = path
        self._waiting = waiting
        self._stop = stop
        self._descriptor = -1
        self.holder: Holder | None = None

    @property
    def descriptor(self) -> int:
        """The open file that carries the lock."""
        if self._descriptor < 0:
            raise StoreError(f"{self._path} is not locked")
        return self._descriptor

    def __enter__(self) -> Lock:
        with disk_errors("lock", self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            if not (self._taken() or self._taken_soon()):
                self.holder = read_holder(self._descriptor)
                if self._waiting is not None:
                    self._waiting(f"waiting for {self.holder}, which is doing the same ({self._path.name})")
                self._wait()
            write_holder(self._descriptor)
        return self

    def _wait(self) -> None:
        if self._stop is None:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            return
        while not self._taken():
            if self._stop.wait(_PAUSE):
                os.close(self._descriptor)
                raise StoppedError

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _taken_soon(self) -> bool:
        """Again in a moment: who only looks who holds it, holds it for that long (`held_by`)."""
        for _ in range(_LOOKS):
            time.sleep(_LOOK)
            if self._taken():
                return True
        return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
