"""Run a program, pass on all that it prints, and keep the end of it."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import selectors
import signal
import subprocess
import termios
import tty
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from wheelmill.pick.model import SaidError
from wheelmill.pick.words import say

KEPT = 32 << 20  # bytes of output that are kept
_CHUNK = 1 << 16


class NotStartedError(SaidError):
    """The program is not there or cannot be run; the exit code is what a shell has for that."""

    def __init__(self, program: str, error: OSError) -> None:
        hints = {errno.ENOENT: "hint not there", errno.EACCES: "hint not executable"}
        hints[errno.ENOEXEC] = hints[errno.EACCES]
        said = say("not started", program=program or "''", error=error.strerror or "")
        super().__init__(said, hint=say(hints.get(error.errno or 0, "hint not started")))
        self.exit_code = 127 if error.errno == errno.ENOENT else 126


@dataclass(frozen=True)
class Ran:
    """How a program ended: its exit code (128 + n for signal n, as in a shell), and the end of its output."""

    code: int
    signal: str | None
    output: str


def run(command: Sequence[str], *, to_stderr: bool = False) -> Ran:
    """Run a program to its end; what it prints goes where our own output goes, `to_stderr` all to stderr.

    A stream that is a terminal stays one for the program. Signals reach the program, and this waits for it.
    What it leaves running is waited for as well, while that may still print; Ctrl-C ends the wait. Raises
    NotStartedError.
    """
    if not command[0]:  # systems differ in what they say to no name at all; shells do not
        raise NotStartedError(command[0], FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
    targets = (2, 2) if to_stderr else (1, 2)
    ends = [_channel(target) for target in targets]
    try:
        program = subprocess.Popen(command, stdout=ends[0][1], stderr=ends[1][1])
    except OSError as error:
        for end in ends:
            os.close(end[0])
        raise NotStartedError(command[0], error) from None
    finally:
        for end in ends:
            os.close(end[1])
    with _handed_on(program):
        kept = _pump({end[0]: target for end, target in zip(ends, targets, strict=True)})
        code = program.wait()
    name = _signal(-code) if code < 0 else None
    return Ran(128 - code if code < 0 else code, name, b"".join(kept).decode("utf-8", "replace"))


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time one
        return f"signal {number}"


def _channel(target: int) -> tuple[int, int]:
    """The reading and the writing end of a stream: a terminal where ours is one, else a pipe."""
    if not os.isatty(target):
        return os.pipe()
    reading, writing = pty.openpty()
    tty.setraw(writing)
    with suppress(OSError):
        fcntl.ioctl(writing, termios.TIOCSWINSZ, fcntl.ioctl(target, termios.TIOCGWINSZ, b"\0" * 8))
    return reading, writing


class _Kept:
    """The last bytes of what was printed."""

    def __init__(self) -> None:
        self.chunks: deque[bytes] = deque()
        self._size = 0

    def add(self, chunk: bytes) -> None:
        self.chunks.append(chunk)
        self._size += len(chunk)
        while self._size > KEPT:
            self._size -= len(self.chunks.popleft())


def _pump(targets: dict[int, int]) -> deque[bytes]:
    """Copy until every stream has ended; the last bytes of all, in the order in which they came.

    After a KeyboardInterrupt only what is there already is copied; a second one ends that, too.
    """
    kept = _Kept()
    with suppress(KeyboardInterrupt), selectors.DefaultSelector() as selector:
        for reading in targets:
            selector.register(reading, selectors.EVENT_READ)
        with suppress(KeyboardInterrupt):
            while selector.get_map():
                _copy_ready(selector, targets, kept, None)
            return kept.chunks
        while _copy_ready(selector, targets, kept, 0):
            pass
    return kept.chunks


def _copy_ready(
    selector: selectors.BaseSelector, targets: dict[int, int], kept: _Kept, seconds: float | None
) -> bool:
    """Copy one chunk of each stream that has one within so many seconds; whether any had."""
    ready = selector.select(seconds)
    for key, _ in ready:
        try:
            chunk = os.read(key.fd, _CHUNK)
        except OSError:  # the program's end of a terminal was closed
            chunk = b""
        if not chunk:
            selector.unregister(key.fd)
            os.close(key.fd)
            continue
        kept.add(chunk)
        _write(targets, key.fd, chunk)
    return bool(ready)


def _write(targets: dict[int, int], source: int, chunk: bytes) -> None:
    """Write all of it; once our output takes nothing more, read on without writing."""
    view = memoryview(chunk)
    while view and targets[source] >= 0:
        try:
            view = view[os.write(targets[source], view) :]
        except OSError:  # nobody reads it, or the disk is full
            targets[source] = -1


@contextmanager
def _handed_on(program: subprocess.Popen[bytes]) -> Iterator[None]:
    """While a program runs, SIGTERM goes to it, and Ctrl-C, which it gets by itself, does not end us.

    Once it has ended, both end the wait for what it left running.
    """

    def hand_on(sign: int, _: object) -> None:
        if program.poll() is not None:
            raise KeyboardInterrupt
        if sign == signal.SIGTERM:
            program.send_signal(sign)

    before = {sign: signal.signal(sign, hand_on) for sign in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
