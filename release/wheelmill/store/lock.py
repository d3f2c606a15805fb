"""A lock among processes that no killed process leaves behind: flock on a file which names its holder."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from wheelmill.errors import StoppedError
from wheelmill.store.errors import StoreError, disk_errors

Waiting = Callable[[str], None]

_PAUSE = 0.1  # seconds between two tries of a waiting that can be stopped


class Lock:
    """`with Lock(path) as lock:` waits until no other process holds it.

    The kernel drops the lock when the last copy of `descriptor` is closed. A child process that must not
    outlive it unnoticed (a compiler run by a parent that may be killed) is given `descriptor` to inherit:
    then the next holder waits for the orphans too, instead of working beside them in the same folder.
    Setting `stop` ends the waiting with StoppedError.
    """

    def __init__(
        self, path: Path, *, waiting: Waiting | None = None, stop: threading.Event | None = None
    ) -> None:
        self._path = path
        self._waiting = waiting
        self._stop = stop
        self._descriptor = -1

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
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._waiting is not None:
                    self._waiting(
                        f"waiting for {self._holder()}, which is doing the same ({self._path.name})"
                    )
                self._wait()
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)
        return self

    def _wait(self) -> None:
        if self._stop is None:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            return
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if self._stop.wait(_PAUSE):
                    os.close(self._descriptor)
                    raise StoppedError from None

    def _holder(self) -> str:
        pid = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
        return f"process {pid}" if pid else "another process"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
