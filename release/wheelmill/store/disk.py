"""Bringing what was written to the disk."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

_MANY = 64  # files and folders: flushing the file system once is cheaper than flushing each of so many


def flush(paths: Sequence[str | Path], folder: Path) -> None:
    """Wait until files and folders are on the disk; for many, all of the file system of `folder`.

    Asked for once, after all were written, it is one wait instead of many. Raises OSError.
    """
    if len(paths) > _MANY and _flush_file_system(folder):
        return
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _flush_file_system(folder: Path) -> bool:
    """Whether syncfs(2) could be asked and did it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        call = getattr(ctypes.CDLL(None), "syncfs", None)
        return call is not None and call(descriptor) == 0
    finally:
        os.close(descriptor)
