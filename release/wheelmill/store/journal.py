"""An append-only file of JSON lines that several processes may write and any of them may be killed writing.

A writer holds an exclusive lock on the file, removes what a killed writer left after the last line feed,
appends one whole line and fsyncs. A reader takes no lock: it stops at the last line feed, so it never sees
half a line.

Each line begins with a checksum of the rest, so that a record which was changed is not taken for another one.
A line that is not what was written is told with its number and left out: what it said is made again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheelmill.limits import parse_json
from wheelmill.store.errors import StoreError, disk_errors
from wheelmill.store.objects import Notice
from wheelmill.store.shapes import has_shape

_FIELDS = {"kind", "key", "time", "data"}
_SUM = b'{"sum":"'  # how a line begins; 16 hex digits follow
_SUM_END = len(_SUM) + 16
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Record:
    """One fact: its kind, its key within the kind, when it was written (epoch seconds, UTC), its data."""

    kind: str
    key: str
    time: float
    data: Mapping[str, Any]


class Journal:
    """The journal file and what of it has been read so far. Threads may share it."""

    def __init__(self, path: Path, notice: Notice) -> None:
        self._path = path
        self._notice = notice
        self._lines = 0  # read, the damaged ones too
        self._offset = 0  # bytes read, always at the start of a line
        self._records: list[Record] = []
        self._last: dict[tuple[str, str], Record] = {}
        self._reading = threading.Lock()

    def append(self, kind: str, key: str, data: Mapping[str, Any]) -> Record:
        """Write one record and return it once it is on disk."""
        record = Record(kind, key, round(time.time(), 3), dict(data))
        line = to_line(record)
        with disk_errors("append to", self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                _append_line(descriptor, line)
            finally:
                os.close(descriptor)  # releases the lock
        self._refresh()
        return record

    def find(self, kind: str, key: str) -> Record | None:
        self._refresh()
        return self._last.get((kind, key))

    def records(self, kind: str | None) -> Iterator[Record]:
        self._refresh()
        return iter([record for record in self._records if kind in (None, record.kind)])

    def _refresh(self) -> None:
        """Read what was appended since the last look, up to the last whole line."""
        with self._reading:
            self._read()

    def _read(self) -> None:
        try:
            with disk_errors("read", self._path):
                size = self._path.stat().st_size
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return
            raise
        if size <= self._offset:
            return
        with disk_errors("read", self._path), self._path.open("rb") as stream:
            stream.seek(self._offset)
            fresh = stream.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        for line in whole.split(b"\n")[:-1]:
            self._take(line)
        self._offset += len(whole)

    def _take(self, line: bytes) -> None:
        self._lines += 1
        record = from_line(line)
        if record is None:
            self._notice(
                f"damaged: {self._path}, line {self._lines} is not what was written and was left out: "
                f"{line[:60]!r}; what it said is made again, and the line can be removed"
            )
            return
        self._records.append(record)
        self._last[record.kind, record.key] = record


def to_line(record: Record) -> bytes:
    """The record's JSON with its checksum in front, as a line."""
    fields = {"kind": record.kind, "key": record.key, "time": record.time, "data": record.data}
    text = json.dumps(fields, separators=(",", ":"), sort_keys=True, allow_nan=False).encode()
    return _SUM + _sum(text) + b'",' + text[1:] + b"\n"


def _sum(record: bytes) -> bytes:
    return hashlib.sha256(record).hexdigest()[:16].encode()


def from_line(line: bytes) -> Record | None:
    """What a line says; None when it is not what was written. Lines of older versions have no checksum."""
    if line.startswith(_SUM):
        written, line = line[len(_SUM) : _SUM_END], b"{" + line[_SUM_END + 2 :]
        if _sum(line) != written:
            return None
    try:
        fields = parse_json(line)
    except ValueError:
        return None
    if not isinstance(fields, dict) or set(fields) != _FIELDS or not isinstance(fields["data"], dict):
        return None
    kind, key, moment = fields["kind"], fields["key"], fields["time"]
    if not (isinstance(kind, str) and isinstance(key, str) and type(moment) in (int, float)):
        return None
    return Record(kind, key, moment, fields["data"]) if has_shape(kind, fields["data"]) else None


def _append_line(descriptor: int, line: bytes) -> None:
    """Append under the lock: a torn end is cut off first, a write that the disk refuses leaves nothing."""
    size = _whole_lines(descriptor)
    try:
        written = 0
        while written < len(line):
            written += os.write(descriptor, line[written:])
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _whole_lines(descriptor: int) -> int:
    """Cut the file after its last line feed, where a killed writer left half a line; return its size."""
    size = end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _BLOCK)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        end = start + found + 1
        if found >= 0:
            break
    if end != size:
        os.ftruncate(descriptor, end)
    return end
