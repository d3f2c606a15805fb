"""Who holds a lock, as the lock's own file says it, and whether that process still runs."""

from __future__ import annotations

import getpass
import json
import os
import shlex
import socket
import sys
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from wheelmill.limits import parse_json

_MAX = 4096  # bytes of a record
_MAX_COMMAND = 200  # characters


@dataclass(frozen=True)
class Holder:
    """A process that holds a lock: whose it is (`alice@build-1`), since when, and what was typed.

    `runs` is False where it has ended: then what it started still holds the lock. None where that cannot be
    seen from here: it is on another machine, or in another container.
    """

    pid: int | None = None
    owner: str = ""
    since: str = ""
    command: str = ""
    runs: bool | None = None

    def __str__(self) -> str:
        if self.pid is None:
            return "another process"
        state = {True: "it runs", False: "it has ended, and what it started still runs", None: ""}[self.runs]
        said = [self.owner, f"since {self.since}" if self.since else "", self.command, state]
        known = ", ".join(filter(None, said))
        return f"process {self.pid} ({known})" if known else f"process {self.pid}"

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


def this_owner() -> str:
    """`alice@build-1`: who runs this, where."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no such user in this container
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


# ------------------------------------------------------------------------------------------------- processes
def mark(pid: int) -> str | None:
    """`host/boot/pid namespace/pid/start time`: a process such that neither another nor one after a reboot
    can be taken for it. None when there is no such process."""
    try:
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        namespace = os.stat(f"/proc/{pid}/ns/pid").st_ino  # noqa: PTH116
    except OSError:
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{socket.gethostname()}/{boot}/{namespace}/{pid}/{started}"


def runs(marked: str) -> bool | None:
    """Whether the process of a mark runs; None for one of another host or PID namespace, or for no mark."""
    here, parts = (mark(os.getpid()) or "").split("/"), marked.split("/")
    if len(parts) != len(here) or parts[0] != here[0]:
        return None
    if parts[1] != here[1]:
        return False  # the machine was started anew since
    if parts[2] != here[2] or not parts[3].isdecimal():
        return None
    return mark(int(parts[3])) == marked


# ------------------------------------------------------------------------------------------- the lock's file
def write_holder(descriptor: int) -> None:
    """Say in a lock's file that this process holds it."""
    said = {
        "pid": os.getpid(),
        "owner": this_owner(),
        "since": datetime.now(tz=timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "command": _command(),
        "mark": mark(os.getpid()),
    }
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(said).encode(), 0)


def read_holder(descriptor: int) -> Holder:
    """What is said there; nothing where it cannot be read, as while it is being written."""
    try:
        said = parse_json(os.pread(descriptor, _MAX, 0))
    except (OSError, ValueError):
        return Holder()
    if isinstance(said, int):  # as it was written before
        return Holder(said)
    if not isinstance(said, dict) or not isinstance(said.get("pid"), int):
        return Holder()
    owner, since, command, marked = (_text(said.get(name)) for name in ("owner", "since", "command", "mark"))
    return Holder(said["pid"], owner, since, command, runs(marked))


def _text(value: object) -> str:
    """Somebody else's words, on one line of a terminal."""
    from wheelmill.console import visible

    return visible(value, lines=False)[:_MAX] if isinstance(value, str) else ""


def _command() -> str:
    """What was typed, without the folder of the program and without passwords in addresses."""
    from wheelmill.console import without_password

    program, *words = sys.argv or [""]
    path = Path(program)
    name = path.parent.name if path.name == "__main__.py" else path.name
    return without_password(shlex.join([name, *words]))[:_MAX_COMMAND]
