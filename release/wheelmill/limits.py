"""How much of this machine a build may take, and how many compilers that is; files that may never end, and
JSON that nests without end."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from wheelmill.frozen import dataclass

MAX_TEXT = 32 << 20  # bytes of a file that people or this project write: a matrix, a record, a note
MAX_INDEX = 1 << 30  # bytes of a page or list of an index: one of 100,000 wheels has 50 MB
BYTES_PER_COMPILER = 3 << 29  # 1.5 GiB: what a file with ATen's headers takes at its peak


@dataclass(frozen=True)
class Limits:
    """CPUs, and bytes of memory. A container is held to them; no swap beyond the memory."""

    cpus: float
    memory: int

    @classmethod
    def of_machine(cls, cpus: float | None = None, memory: int | None = None) -> Limits:
        """What is asked for, else all CPUs of this process and nine tenths of the memory available now."""
        return cls(
            cpus=float(len(os.sched_getaffinity(0))) if cpus is None else cpus,
            memory=_available() * 9 // 10 if memory is None else memory,
        )

    @property
    def compilers(self) -> int:
        """How many may run at once, at least 1: one per CPU, as far as the memory reaches."""
        return max(1, min(int(self.cpus), self.memory // BYTES_PER_COMPILER))

    def part(self, share: float) -> Limits:
        """So much of it, e.g. 0.5 for one of two builds at once."""
        return Limits(self.cpus * share, int(self.memory * share))


def _available() -> int:
    """Bytes of memory that programs could take now without swapping."""
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) << 10


def open_regular(path: Path | str) -> BinaryIO:
    """A regular file, open to be read. Raises OSError for anything else, without waiting for a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a directory", str(path))
    raise OSError(errno.EINVAL, "it is no regular file but a pipe, device or socket", str(path))


def parse_json(text: str | bytes) -> Any:
    """JSON as plain values. Raises ValueError for anything else, also where it is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def write_named(path: Path | str, content: bytes) -> None:
    """Write a file that a user named. Raises OSError, also for a pipe that nobody reads: that would wait."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    with os.fdopen(descriptor, "wb") as file:
        os.set_blocking(descriptor, True)
        file.write(content)


def read_regular(path: Path | str, most: int, *, cut: bool = False, own: bool = False) -> bytes:
    """The bytes of a regular file of at most `most` bytes, or where it may be `cut` its first so many.

    Of anything else none is read, nor of an `own` file that somebody else could have written. Raises OSError,
    also for a pipe or a device, which may never end or keep its reader waiting.
    """
    with open_regular(path) as file:
        found = os.fstat(file.fileno())
        if own and (found.st_uid != os.geteuid() or found.st_mode & 0o022):
            raise PermissionError(errno.EPERM, "somebody else could have written it", str(path))
        limit = most if cut else most + 1
        content = file.read(min(limit, found.st_size + 1))  # as much as is asked for is allocated
        if len(content) > found.st_size:  # it grew, or the system does not tell the size
            content += file.read(limit - len(content))
    if len(content) > most:
        size = f"{most >> 20} MiB" if most >= 1 << 20 else f"{most} bytes"
        raise OSError(errno.EFBIG, f"it has more than {size}", str(path))
    return content
