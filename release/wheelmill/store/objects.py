"""Files named by the SHA-256 of their content."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import BinaryIO, NewType

from wheelmill.store.errors import StoreError, disk_errors

Digest = NewType("Digest", str)

_CHUNK = 1 << 20
_STALE_SECONDS = 86_400  # a writer touches its temporary file far more often than once a day


def digest_file(path: Path) -> Digest:
    """The SHA-256 of a file, in hex, read in chunks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return Digest(digest.hexdigest())


class Objects:
    """A folder of immutable files. Temporary files lie in the same file system, so that rename is atomic."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._temporary = root / "tmp"

    def path(self, digest: str) -> Path:
        """Where this content lies if it is here."""
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise StoreError(f"{digest!r} is not a SHA-256 in lower-case hex")
        return self._root / digest[:2] / digest

    def put(self, content: Path | bytes) -> Digest:
        if isinstance(content, bytes):
            digest = Digest(hashlib.sha256(content).hexdigest())
        else:
            with disk_errors("read", content):
                digest = digest_file(content)
        target = self.path(digest)
        if target.is_file():
            return digest
        with disk_errors("write to the store", target):
            self._write(content, digest, target)
        return digest

    def _write(self, content: Path | bytes, digest: Digest, target: Path) -> None:
        self._temporary.mkdir(parents=True, exist_ok=True)
        self._sweep()
        descriptor, name = tempfile.mkstemp(dir=self._temporary)
        try:
            with os.fdopen(descriptor, "wb") as out:
                written = _copy(content, out)
                out.flush()
                os.fchmod(out.fileno(), 0o444)
                os.fsync(out.fileno())
            if written != digest:
                raise StoreError(
                    f"{content!s} changed while it was being stored", hint="run the same command again"
                )
            target.parent.mkdir(parents=True, exist_ok=True)
            Path(name).replace(target)
            _sync_folder(target.parent)
        finally:
            Path(name).unlink(missing_ok=True)

    def get(self, digest: str, *, verify: bool) -> Path:
        path = self.path(digest)
        if not path.is_file():
            raise StoreError(
                f"the store has no file with SHA-256 {digest}", hint="run the step that makes it again"
            )
        if verify:
            with disk_errors("read", path):
                found = digest_file(path)
            if found != digest:
                damaged = path.with_suffix(".damaged")
                path.replace(damaged)
                raise StoreError(
                    f"{path} is damaged: its content has SHA-256 {found}; it was moved to {damaged.name}",
                    hint="run the step that makes it again, and look at the disk's health",
                )
        return path

    def export(self, digest: str, directory: Path, name: str) -> Path:
        source, target = self.get(digest, verify=False), directory / name
        if target.exists() and (target.samefile(source) or digest_file(target) == digest):
            return target
        with disk_errors("write", target):
            directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=directory, prefix=".export-") as scratch:
                copy = Path(scratch, name)
                try:
                    copy.hardlink_to(source)
                except OSError:  # another file system, or one without links
                    shutil.copyfile(source, copy)
                copy.replace(target)
        return target

    def _sweep(self) -> None:
        """Remove temporary files of writers that were killed."""
        for leftover in self._temporary.iterdir():
            try:
                if time.time() - leftover.stat().st_mtime > _STALE_SECONDS:
                    leftover.unlink()
            except FileNotFoundError:  # its writer, or another sweep, was faster
                continue


def _copy(content: Path | bytes, out: BinaryIO) -> Digest:
    """Write the content; return the digest of what was written, another one if the file changed."""
    if isinstance(content, bytes):
        out.write(content)
        return Digest(hashlib.sha256(content).hexdigest())
    digest = hashlib.sha256()
    with content.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
    return Digest(digest.hexdigest())


def _sync_folder(folder: Path) -> None:
    """Make a rename in this folder survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
