"""Every change that the index makes to the file system, one function per step.

`observed(call)` has `call(step, path)` called before each of them, in this process. So a test can count the
steps, kill the process before the n-th (`os.kill(os.getpid(), SIGKILL)`), or let it fail (raise OSError with
ENOSPC, as a full disk does). A write has two steps, `write` and `written half`: killed before the second one,
it leaves a torn file. What stands here is what `strace -f -e trace=file,desc` shows, in the same order.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from wheelmill.store import disk

Observer = Callable[[str, Path], None]

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of linux/fcntl.h and linux/fs.h

_observer: Observer | None = None


@contextmanager
def observed(call: Observer) -> Iterator[None]:
    """Have `call` told of each step before it is done; what it raises is raised there."""
    global _observer
    before, _observer = _observer, call
    try:
        yield
    finally:
        _observer = before


def _tell(step: str, path: str | Path) -> None:
    if _observer is not None:
        _observer(step, Path(path))


def make_folder(path: str | Path) -> None:
    """A new folder, and those above it that are not there."""
    _tell("make folder", path)
    Path(path).mkdir(parents=True, exist_ok=True)


def make_one_folder(path: str) -> None:
    """A new folder where the one above is there."""
    _tell("make folder", path)
    os.mkdir(path)  # noqa: PTH102 - a path that is text is several times as fast, and there are many


def write(path: str | Path, data: bytes) -> None:
    """A new file with this content; not flushed."""
    _tell("write", path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        if _observer is not None:
            half = len(data) // 2
            os.write(descriptor, data[:half])
            _tell("written half", path)
            data = data[half:]
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)


def link(source: str | Path, target: str | Path) -> None:
    """The same file under another name. Raises OSError where the file system cannot."""
    _tell("link", target)
    os.link(source, target)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """A hard link to a file, or a copy where it is on another file system."""
    real = os.path.realpath(source) if os.path.islink(source) else source  # noqa: PTH114 - as above
    try:
        link(real, target)
    except FileNotFoundError:
        raise
    except OSError:
        _tell("copy", target)
        shutil.copyfile(real, target)


def point(target: str | Path, link_path: str | Path) -> None:
    """A new symbolic link."""
    _tell("point", link_path)
    Path(link_path).symlink_to(target)


def rename(path: str | Path, target: str | Path) -> None:
    """Another name for it, in the place of what has that name."""
    _tell("rename", target)
    os.replace(path, target)  # noqa: PTH105 - as above


def exchange(path: Path, other: Path) -> None:
    """Each under the name of the other, at one instant; where the system cannot, one after the other."""
    _tell("exchange", other)
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, there = os.fsencode(path), os.fsencode(other)
    if call is not None and call(_AT_FDCWD, here, _AT_FDCWD, there, _RENAME_EXCHANGE) == 0:
        return
    spare = path.with_name(f"{path.name}.exchanged")
    other.replace(spare)
    path.replace(other)
    spare.replace(path)


def remove(path: Path) -> None:
    """A file, a link or a whole folder; nothing when it is not there."""
    _tell("remove", path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_file(path: str) -> None:
    """A file or a link; nothing when it is not there."""
    _tell("remove", path)
    with suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108 - as above


def flush(paths: Sequence[str | Path], folder: Path) -> None:
    """Files and folders to the disk; see wheelmill.store.disk."""
    _tell("flush", folder)
    disk.flush(paths, folder)
