"""Errors of the store, and the one way a failing disk is put into words."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wheelmill.errors import WheelmillError


class StoreError(WheelmillError):
    """The state directory cannot give or take what was asked."""


@contextmanager
def disk_errors(action: str, path: Path) -> Iterator[None]:
    """Turn what the file system refuses (full, read-only, ...) into a StoreError that says what to do."""
    try:
        yield
    except OSError as error:
        hints = {
            errno.ENOSPC: "the disk is full; free some space and run the same command again, it goes on",
            errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
            errno.EROFS: "that file system is read-only; set WHEELMILL_HOME to a folder that can be written",
            errno.EPERM: "set WHEELMILL_HOME to a folder that you may write, or fix the folder's owner",
            errno.ENOTDIR: "a part of that path is a file; set WHEELMILL_HOME to a folder that you may write",
            errno.EEXIST: "a file lies where a folder has to be; remove it, or set WHEELMILL_HOME elsewhere",
            errno.EACCES: "set WHEELMILL_HOME to a folder that you may write, or fix the folder's owner",
        }
        hint = hints.get(error.errno or 0)
        raise StoreError(f"cannot {action} {path}: {error.strerror or error}", hint=hint) from error
