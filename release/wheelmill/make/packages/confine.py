"""Runs a command that may write below some folders only: `confine.py FOLDER... -- COMMAND...`.

Landlock (Linux 5.13 and newer) refuses the rest with EACCES, to the command and all that it starts. Where the
kernel has none, the command is not run: exit code 125. It imports nothing of this package, so that it can run
by itself. Reading is not restricted: a build may read compilers, headers and its interpreter anywhere.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

REFUSED = 125  # the kernel cannot confine

# linux/landlock.h: the same numbers on every architecture that has wheels here.
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION, _BENEATH = 1, 1
_NO_NEW_PRIVILEGES = 38
_WRITE_FILE, _REFER, _TRUNCATE = 1 << 1, 1 << 13, 1 << 14
# Removing folders and files, making devices, folders, files, sockets, pipes, block devices and links.
_CHANGES = _WRITE_FILE | sum(1 << bit for bit in range(4, 13))


def available() -> bool:
    """Whether this kernel can confine."""
    return _version() > 0


def _version() -> int:
    return int(_libc().syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def confine(folders: list[str]) -> None:
    """Let this process, and what it starts, write below these folders only. Raises OSError."""
    libc, version = _libc(), _version()
    rights = _CHANGES | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    given = struct.pack("Q", rights)
    rules = libc.syscall(_CREATE, given, ctypes.c_size_t(len(given)), 0)
    if rules < 0:
        raise OSError(ctypes.get_errno(), "landlock is not available")
    for folder in folders:
        descriptor = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        # A file, such as /dev/null, knows only some of the rights.
        allowed = rights if os.path.isdir(folder) else rights & (_WRITE_FILE | _TRUNCATE)  # noqa: PTH112
        rule = struct.pack("=Qi", allowed, descriptor)
        if libc.syscall(_ADD, rules, _BENEATH, rule, 0) < 0:
            raise OSError(ctypes.get_errno(), "landlock refuses a folder", folder)
        os.close(descriptor)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.syscall(_RESTRICT, rules, 0) < 0:
        raise OSError(ctypes.get_errno(), "landlock cannot be entered")


def main(words: list[str]) -> None:
    """Confine this process and become the command."""
    end = words.index("--")
    try:
        confine(words[:end])
    except OSError as error:
        print(f"cannot confine: {error}", file=sys.stderr)
        sys.exit(REFUSED)
    command = words[end + 1 :]
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])
