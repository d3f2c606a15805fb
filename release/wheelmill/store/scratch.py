"""Scratch folders that no killed process leaves behind: their user holds a lock, and unlocked ones go."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wheelmill.store.errors import disk_errors

_LOCK = ".in-use"


@contextmanager
def scratch_folder(home: Path, prefix: str) -> Iterator[Path]:
    """A new folder `home/PREFIX*` for the `with`; those that killed processes left are removed first."""
    with disk_errors("write to", home):
        home.mkdir(parents=True, exist_ok=True)
        _sweep(home, prefix)
        folder = Path(tempfile.mkdtemp(dir=home, prefix=prefix))
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        inner = folder / "x"
        inner.mkdir()
    try:
        yield inner
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _sweep(home: Path, prefix: str) -> None:
    """Remove folders whose lock nobody holds. One without a lock was just made, or has lost its process."""
    for folder in home.glob(f"{prefix}*"):
        try:
            descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:  # no folder, or another sweep was faster
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)
