"""A place that several machines share: what one of them compiled, all of them find.

```
URL/objects/ab/abcdef...       files named by their SHA-256
URL/records/KIND/ab/abcd...    a record, named by the SHA-256 of its key, written after the objects it names
```

The place is any that fsspec reaches: a folder, `s3://`, `sftp://`, `memory://`. It is believed no more than
the disk is. A file is hashed when it comes and read again and hashed after it was sent; a record has the
journal's checksum, and a name of its own, so that any number of writers need no lock: the last one wins, and
each wrote something whole. Whoever may write there decides what others install, as with a CI's cache.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wheelmill.store.errors import StoreError
from wheelmill.store.journal import Record, from_line, to_line
from wheelmill.store.objects import Notice

_CHUNK = 1 << 20
_MISS_SECONDS = 30.0  # so long it is not asked again for what it did not have
_RECORD_BYTES = 1 << 20
_MESSAGE_CHARACTERS = 300
_BUCKETS = {"s3", "s3a", "gs", "gcs", "abfs", "az", "oss"}  # no folders there; to make one makes a bucket


class RemoteError(StoreError):
    """The remote cannot be opened; later failures are told, and the build goes on without it."""


class Remote:
    """The remote at one URL. Threads may share it.

    Raises RemoteError when the URL cannot be read or what reads it is not installed.
    """

    def __init__(self, url: str, notice: Notice) -> None:
        self.url = url.rstrip("/")
        self._notice = notice
        self._misses: dict[tuple[str, str], float] = {}
        try:
            import fsspec
        except ModuleNotFoundError:
            raise RemoteError(
                f"{self.url} cannot be read: fsspec is not installed",
                hint="install the extra `make`: `pip install -e '.[make]'` in the checkout",
            ) from None
        try:
            self._fs, self._root = fsspec.url_to_fs(self.url, skip_instance_cache=True)
            self._fs.invalidate_cache()
            protocols = self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,)
            self._has_folders = not _BUCKETS.intersection(protocols)
            if self._has_folders:
                self._fs.makedirs(self._root, exist_ok=True)
            self._fs.ls(self._root if self._has_folders else self._root.partition("/")[0])
        except Exception as error:  # each storage has its own classes
            raise RemoteError(
                f"the remote store {self.url} cannot be used: {_reason(error)}",
                hint="check the URL and your rights there; S3 reads AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY "
                "and AWS_ENDPOINT_URL. Without --remote the build uses this machine's store alone.",
            ) from None

    def record(self, kind: str, key: str) -> Record | None:
        """The record, if it is there and whole."""
        asked = self._misses.get((kind, key))
        if asked is not None and time.monotonic() - asked < _MISS_SECONDS:
            return None
        path = self._record_path(kind, key)
        with self._told(f"the record of {kind} {key[:12]} was not read"), suppress(FileNotFoundError):
            with self._fs.open(path, "rb") as stream:
                record = from_line(stream.read(_RECORD_BYTES).rstrip(b"\n"))
            if record is not None and (record.kind, record.key) == (kind, key):
                return record
            self._notice(f"damaged: {path} of {self.url} is not what was written and was left out")
        self._misses[kind, key] = time.monotonic()
        return None

    def fetch(self, digest: str, folder: Path) -> Path | None:
        """The file of this SHA-256 in `folder`, hashed as it came; None when it is absent or damaged."""
        path = self._object_path(digest)
        with self._told(f"{digest[:12]} was not fetched"):
            found, target = hashlib.sha256(), folder / digest
            with self._fs.open(path, "rb") as source, target.open("wb") as out:
                while chunk := source.read(_CHUNK):
                    found.update(chunk)
                    out.write(chunk)
            if found.hexdigest() == digest:
                return target
            target.unlink()
            self._notice(f"damaged: {path} of {self.url} has SHA-256 {found.hexdigest()}; it is made again")
        return None

    def push(self, record: Record, files: dict[str, Path]) -> bool:
        """Send the files, by their SHA-256, then the record. What is there and right is not sent again.

        False, and told, when that was not possible; then the record is not there.
        """
        with self._told(f"{record.kind} {record.key[:12]} was not sent"):
            for digest, path in files.items():
                self._send(digest, path)
            self._write(self._record_path(record.kind, record.key), to_line(record))
            self._misses.pop((record.kind, record.key), None)
            return True
        return False

    def _send(self, digest: str, path: Path) -> None:
        target = self._object_path(digest)
        if self._digest(target) == digest:
            return
        self._write(target, path)
        found = self._digest(target)
        if found != digest:
            raise OSError(f"{target} has SHA-256 {found} after {digest} was sent")

    def _write(self, target: str, content: Path | bytes) -> None:
        """Under its name in one step; in a bucket, an object appears whole or not at all."""
        if not self._has_folders:
            self._put(content, target)
            return
        parent, _, name = target.rpartition("/")
        self._fs.makedirs(parent, exist_ok=True)
        scratch = f"{parent}/.{name}.{uuid.uuid4().hex}"
        try:
            self._put(content, scratch)
            self._fs.mv(scratch, target)
        except BaseException:
            with suppress(Exception):
                self._fs.rm_file(scratch)
            raise

    def _put(self, content: Path | bytes, target: str) -> None:
        if isinstance(content, bytes):
            self._fs.pipe_file(target, content)
        else:
            self._fs.put_file(str(content), target)

    def _digest(self, path: str) -> str | None:
        found = hashlib.sha256()
        try:
            self._fs.invalidate_cache()
            with self._fs.open(path, "rb") as stream:
                while chunk := stream.read(_CHUNK):
                    found.update(chunk)
        except FileNotFoundError:
            return None
        return found.hexdigest()

    def _object_path(self, digest: str) -> str:
        return f"{self._root}/objects/{digest[:2]}/{digest}"

    def _record_path(self, kind: str, key: str) -> str:
        name = hashlib.sha256(key.encode()).hexdigest()
        return f"{self._root}/records/{kind}/{name[:2]}/{name}"

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """A remote that fails is no reason to end a build: it is told, and counts as one without the file."""
        try:
            yield
        except Exception as error:  # each storage has its own classes
            self._notice(f"the remote store {self.url}: {what}: {_reason(error)}")


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:_MESSAGE_CHARACTERS]
    return text or type(error).__name__
