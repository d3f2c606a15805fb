"""Run one long command: output to a log file, a deadline, and no process left behind however it ends."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wheelmill.errors import StoppedError

_GRACE = 5.0  # seconds between asking processes to end and killing it
_PATIENCE = 0.1  # seconds between two looks at whether the command must end
_BEAT = 1.0  # seconds between two words on that it still runs


class TimedOutError(Exception):
    """The command did not end before its deadline and was killed."""


def run_logged(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    timeout: float,
    on_line: Callable[[str], None],
    keep_open: Sequence[int] = (),
    stop: threading.Event | None = None,
    on_wait: Callable[[float], None] | None = None,
) -> int:
    """Run `command`, append its output to `log`, give each line to `on_line`; return its exit code.

    `on_wait` is told every second for how many it runs, whether it says anything or not.

    The command gets a session of its own. On a time-out (TimedOutError), when another thread sets
    `stop` (StoppedError), on Ctrl-C or any other exception the whole session is asked to end and then killed.
    """
    with log.open("ab", buffering=0) as out:
        out.write(f"$ {' '.join(command)}\n".encode())
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
            pass_fds=tuple(keep_open),
            umask=0o022,
        )
        assert process.stdout is not None
        try:
            follow = Lines(out.write, on_line)
            watch = _Watch(time.monotonic(), timeout, stop or threading.Event(), on_wait)
            _follow(process.stdout.fileno(), follow, watch)
            return process.wait()
        except BaseException:
            end_session(process)
            raise
        finally:
            process.stdout.close()


class Lines:
    """Output as it comes: every chunk is written, a line is passed on when it is whole."""

    def __init__(self, write: Callable[[bytes], object], on_line: Callable[[str], None]) -> None:
        self._write = write
        self._on_line = on_line
        self._rest = b""

    def __call__(self, chunk: bytes) -> None:
        self._write(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._on_line(line.decode("utf-8", "replace"))


@dataclass
class _Watch:
    """Looks at the clock while a command runs."""

    started: float
    timeout: float
    stop: threading.Event
    on_wait: Callable[[float], None] | None
    told: float = 0.0

    def look(self) -> None:
        """Raise what must end the command; else say, now and then, that it runs."""
        seconds = time.monotonic() - self.started
        if self.stop.is_set():
            raise StoppedError
        if seconds >= self.timeout:
            raise TimedOutError
        if self.on_wait is not None and seconds - self.told >= _BEAT:
            self.told = seconds
            self.on_wait(seconds)


def _follow(descriptor: int, write: Callable[[bytes], None], watch: _Watch) -> None:
    """Pass output on until it ends."""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            watch.look()
            if not selector.select(_PATIENCE):
                continue
            chunk = os.read(descriptor, 65536)
            if not chunk:
                return
            write(chunk)


def end_session(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a session, and all processes of that session: politely, then for good.

    Its process group is not enough: Ninja gives every compiler a group of its own, and may be killed before
    it passes a signal on.
    """
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for member in _session(process.pid):
            with suppress(ProcessLookupError):
                os.kill(member, sign)
        deadline = time.monotonic() + _GRACE
        while _session(process.pid) and time.monotonic() < deadline:
            time.sleep(_PATIENCE / 2)
    process.wait()


def _session(leader: int) -> list[int]:
    """The processes of a session that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state not in "ZX":
                found.append(int(stat.parent.name))
    return found
