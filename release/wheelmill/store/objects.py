"""Files named by the SHA-256 of their content, and believed only while they have it."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NewType

from wheelmill.limits import open_regular
from wheelmill.store.disk import flush
from wheelmill.store.errors import StoreError, disk_errors

Digest = NewType("Digest", str)
Notice = Callable[[str], None]

_CHUNK = 1 << 20
_STALE_SECONDS = 86_400  # a writer touches its temporary file far more often than once a day
_FRESH_SECONDS = 2.0  # two changes as close as this may leave a file with the same times


def digest_file(path: Path) -> Digest:
    """The SHA-256 of a file, in hex, read in chunks of 1 MiB."""
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return Digest(digest.hexdigest())


class Checker:
    """Compares files with what they should be; hashes a file once per process as long as it stays untouched.

    Untouched means: the same device, inode, size, and times of content and inode. No program can set the
    inode's time, and a file that changed moments ago is hashed again, so this forgets nothing that another
    process does to a file. Threads may share it.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], str] = {}

    def fault(self, path: Path, digest: str) -> str | None:
        """None when the file has this SHA-256; else what is wrong with it in words, "" when it is absent."""
        try:
            found = self._digest(path)
        except (FileNotFoundError, NotADirectoryError):
            return "is a link to nothing" if path.is_symlink() else ""
        except OSError as error:
            return f"cannot be read: {error.strerror or error}"
        if found is None:
            return "is not a regular file"
        return None if found == digest else f"has SHA-256 {found}"

    def _digest(self, path: Path) -> str | None:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # a pipe would be waited for
            return None
        key = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
        found = self._known.get(key)
        if found is None:
            settled = time.time() - about.st_ctime > _FRESH_SECONDS
            found = digest_file(path)
            if settled:
                self._known[key] = found
        return found


class Objects:
    """A folder of immutable files. Temporary files lie in the same file system, so that rename is atomic.

    Every use hashes the file first. One that is not what its name says is told to `notice`, moved to the
    folder `damaged`, and counts as absent from then on, so that the step which made it runs again.
    """

    def __init__(self, root: Path, damaged: Path, notice: Notice) -> None:
        self.checker = Checker()
        self._root = root
        self._damaged = damaged
        self._notice = notice
        self._temporary = root / "tmp"

    def path(self, digest: str) -> Path:
        """Where this content lies if it is here."""
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise StoreError(f"{digest!r} is not a SHA-256 in lower-case hex")
        return self._root / digest[:2] / digest

    def has(self, digest: str) -> bool:
        return self._fault(digest) is None

    def get(self, digest: str) -> Path:
        fault = self._fault(digest)
        if fault is None:
            return self.path(digest)
        found = f"it was damaged: it {fault}" if fault else "it is not there"
        raise StoreError(
            f"the store has no file with SHA-256 {digest}: {found}", hint="run the step that makes it again"
        )

    def _fault(self, digest: str) -> str | None:
        """None when the content is here; "" when it is absent, else what was wrong with the file."""
        path = self.path(digest)
        fault = self.checker.fault(path, digest)
        if fault:
            self.set_aside(path, fault)
        return fault

    def set_aside(self, path: Path, fault: str) -> None:
        """Name a damaged file or folder and move it out of the way, under a name that nothing has yet."""
        target = self._damaged / path.name
        for number in range(1, 1000):
            if not os.path.lexists(target):
                break
            target = self._damaged / f"{path.name}.{number}"
        try:
            self._damaged.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        except FileNotFoundError:  # another process was faster
            return
        except OSError as error:
            self._notice(f"damaged: {path} {fault}; it cannot be moved away: {error.strerror}")
            return
        self._notice(f"damaged: {path} {fault}; it was moved to {target}")

    def put(self, content: Path | bytes) -> Digest:
        if isinstance(content, bytes):
            digest = Digest(hashlib.sha256(content).hexdigest())
        else:
            with disk_errors("read", content):
                digest = digest_file(content)
        if self.has(digest):
            return digest
        target = self.path(digest)
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
            flush([target.parent], target.parent)  # the rename, too, survives a power failure
        finally:
            Path(name).unlink(missing_ok=True)

    def export(self, digest: str, directory: Path, name: str, *, copy: bool) -> Path:
        if not is_file_name(name):
            raise StoreError(f"{name!r} is not the name of a file, so nothing is written under it")
        source, target = self.get(digest), directory / name
        if self._is_exported(source, target, digest, copy):
            return target
        with disk_errors("write", target):
            directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=directory, prefix=".export-") as scratch:
                named = Path(scratch, name)
                if copy or not _linked(source, named):
                    shutil.copyfile(source, named)
                    named.chmod(0o444)
                named.replace(target)
        return target

    def _is_exported(self, source: Path, target: Path, digest: str, copy: bool) -> bool:
        """Whether `target` is right as it is. What is neither this content nor another of the store is set
        aside: somebody changed it, or the disk did."""
        if target.exists() and target.samefile(source):
            return not copy
        fault = self.checker.fault(target, digest)
        if fault:
            found = fault.rpartition(" ")[2]
            if len(found) != 64 or not self.path(found).exists():
                self.set_aside(target, fault)
        return fault is None

    def _sweep(self) -> None:
        """Remove temporary files of writers that were killed."""
        for leftover in self._temporary.iterdir():
            try:
                if time.time() - leftover.stat().st_mtime > _STALE_SECONDS:
                    leftover.unlink()
            except FileNotFoundError:  # its writer, or another sweep, was faster
                continue


def is_file_name(name: str) -> bool:
    """Whether it is the name of one file in a folder, and leads nowhere else."""
    return name not in ("", ".", "..") and "/" not in name and name.isprintable() and len(name.encode()) < 256


def _linked(source: Path, target: Path) -> bool:
    """Whether a hard link could be made; another file system, or one without links, refuses."""
    try:
        target.hardlink_to(source)
    except OSError:
        return False
    return True


def _copy(content: Path | bytes, out: BinaryIO) -> Digest:
    """Write the content; return the digest of what was written, another one if the file changed."""
    if isinstance(content, bytes):
        out.write(content)
        return Digest(hashlib.sha256(content).hexdigest())
    digest = hashlib.sha256()
    with open_regular(content) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
    return Digest(digest.hexdigest())
