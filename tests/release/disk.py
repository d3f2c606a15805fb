"""Counts, breaks and ends the file system steps of a piece of work, in a child process of its own.

A step is a system call that changes a file, a folder or what is safely on the disk: Python's audit events
tell of most of them, and the calls that have none (`write`, `fsync`) are wrapped. `strace` shows that none
is missing.

The power model: at a kill, what was written and not yet flushed may be torn. So a file that was written
since its last fsync is cut to half of what was added, which is worse than what a kill alone does.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Audit event -> which of its arguments is the path that is changed.
_EVENTS = {
    "open": 0,
    "os.mkdir": 0,
    "os.rmdir": 0,
    "os.remove": 0,
    "os.rename": 1,
    "os.link": 1,
    "os.symlink": 1,
    "os.truncate": 0,
    "os.chmod": 0,
}


@dataclass
class Steps:
    """What happens before the step of a number (from 1): `end` is called, or `error` raised. 0 is never."""

    root: Path
    at: int = 0
    error: int = 0
    count: int = 0
    names: list[str] = field(default_factory=list)
    unflushed: dict[str, int] = field(default_factory=dict)  # path -> size before it was written
    end: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGKILL)
    _busy: bool = False

    def watch(self) -> None:
        """From now on, for the rest of this process."""
        sys.addaudithook(self._heard)
        for name in ("fsync", "write"):
            self._wrap(name)

    def _wrap(self, name: str) -> None:
        real = getattr(os, name)

        def call(descriptor: int, *words: Any) -> Any:
            path = _path_of(descriptor)
            self.step(name, path)
            done = real(descriptor, *words)
            if name == "fsync":
                self.unflushed.pop(path, None)
            return done

        setattr(os, name, call)

    def _heard(self, event: str, words: tuple[Any, ...]) -> None:
        if self._busy or event not in _EVENTS:
            return
        if event == "open" and not (isinstance(words[2], int) and words[2] & _WRITING):
            return
        path = words[_EVENTS[event]]
        path = _path_of(path) if isinstance(path, int) else _absolute(path)
        self.step(event, path)
        if event == "open":
            self._busy = True
            old = Path(path).stat().st_size if Path(path).is_file() else 0
            self._busy = False
            self.unflushed.setdefault(path, 0 if words[2] & os.O_TRUNC else old)
        elif event == "os.rename":
            before = _absolute(words[0])
            if before in self.unflushed:
                self.unflushed[path] = self.unflushed.pop(before)

    def step(self, name: str, path: str) -> None:
        """One step is about to be done."""
        if self._busy or not path.startswith(f"{self.root}/"):
            return
        self.count += 1
        self.names.append(f"{name} {path}")
        if self.count == self.at:
            self._busy = True
            if self.error:
                self._busy = False
                raise OSError(self.error, os.strerror(self.error), path)
            self.end()


def _path_of(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def _absolute(path: str | bytes | os.PathLike[str]) -> str:
    return str(Path.cwd() / os.fsdecode(path))


def count(work: Callable[[], object], root: Path) -> list[str]:
    """The steps of the work, which is done."""
    read, write = os.pipe()
    steps = Steps(root)
    code = _child(work, steps, after=lambda: _send(write, "\0".join(steps.names)))
    os.close(write)
    with os.fdopen(read) as stream:
        names = stream.read().split("\0")
    assert code == 0, "the work failed"
    return names


def kill(work: Callable[[], object], root: Path, at: int, *, torn: bool = False) -> bool:
    """Do the work and kill it before step `at`; whether it was killed. `torn`: as when the power fails."""
    read, write = os.pipe()
    steps = Steps(root, at)

    def end() -> None:
        _send(write, "\0".join(f"{size} {path}" for path, size in steps.unflushed.items()))
        os.kill(os.getpid(), signal.SIGKILL)

    steps.end = end
    code = _child(work, steps)
    os.close(write)
    with os.fdopen(read) as stream:
        unflushed = [line.split(" ", 1) for line in stream.read().split("\0") if line]
    if torn:
        for size, path in unflushed:
            file = Path(path)
            if file.is_file() and not file.is_symlink():
                written = file.stat().st_size
                kept = min(int(size), written)
                os.truncate(file, kept + (written - kept) // 2)
    assert code in (0, -signal.SIGKILL), f"it ended with {code}"
    return code != 0


def fill(work: Callable[[], object], root: Path, at: int) -> int:
    """Do the work on a disk that is full at step `at`; the exit code, 7 for a WheelmillError."""
    return _child(work, Steps(root, at, errno.ENOSPC))


def _send(descriptor: int, text: str) -> None:
    posix_write = sys.modules["posix"].write
    data = text.encode()
    while data:
        data = data[posix_write(descriptor, data) :]


def _child(work: Callable[[], object], steps: Steps, after: Callable[[], None] = lambda: None) -> int:
    """Do the work in a child; its exit code, negative for a signal."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            from wheelmill.errors import WheelmillError

            steps.watch()
            try:
                work()
                after()
                code = 0
            except WheelmillError:
                code = 7
            except BaseException:
                import traceback

                traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)
