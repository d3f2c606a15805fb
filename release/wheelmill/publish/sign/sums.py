"""SHA256SUMS: what `sha256sum --check` reads, over everything in a folder."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from wheelmill.publish.sign.errors import VerifyError

SUMS = "SHA256SUMS"
MAX_BYTES = 64 << 20
_LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)")
# A name that every file system, shell and URL takes as it is; `+` is in local versions.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*(?:/[A-Za-z0-9_][A-Za-z0-9._+-]*)*")


def render(sums: Mapping[str, str]) -> str:
    """The file's text; `sums` maps paths with slashes to SHA-256, hex."""
    return "".join(f"{sums[path]}  {path}\n" for path in sorted(sums))


def parse(data: bytes, what: str) -> dict[str, str]:
    """Path -> SHA-256. Raises VerifyError for anything that `render` would not have written."""
    text = data.decode("utf-8", "replace")
    rows = [_LINE.fullmatch(line) for line in text.splitlines()]
    found = {row[2]: row[1] for row in rows if row is not None}
    if render(found).encode() != data or not all(map(is_plain, found)):
        raise VerifyError(
            what,
            expected="sorted lines of a SHA-256, two spaces and a name",
            found="something else",
            hint="download it again from the release",
        )
    return found


def is_plain(path: str) -> bool:
    """Whether a path of the folder is one that can be released."""
    return _NAME.fullmatch(path) is not None and ".." not in path


def shown(path: str) -> str:
    """A path for people; one that is not plain, in quotes and with escapes: it may steer a terminal."""
    return path if is_plain(path) else repr(path)


def list_files(
    folder: Path, refuse: Callable[[str, str], Exception], *, leave_out: str = ""
) -> dict[str, int]:
    """Path -> size in bytes of every file under a folder, but what is in its own folder `leave_out`.

    A link, a device or a name that is not plain raises `refuse(path, what it is)`.
    """
    found = {}
    for home, folders, names in os.walk(folder, onerror=_raise):
        if home == str(folder) and leave_out in folders:
            folders.remove(leave_out)
        for name in (*names, *folders):
            full = os.path.join(home, name)  # noqa: PTH118 - an index has 100,000 of them
            path = os.path.relpath(full, folder) if home != str(folder) else name
            mode = os.lstat(full)
            if stat.S_ISLNK(mode.st_mode):
                raise refuse(shown(path), "a symbolic link")
            if stat.S_ISDIR(mode.st_mode):
                continue
            if not stat.S_ISREG(mode.st_mode):
                raise refuse(shown(path), "no regular file")
            found[path] = mode.st_size
    return found


def _raise(error: OSError) -> None:
    raise error
