"""Which environment variables make a program run on the simulator, and when that is refused."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

#: What ASCEND_HOME_PATH names: the directory of this package.
HOME = Path(__file__).resolve().parent
#: Where the shared libraries lie.
LIBRARIES = HOME / "lib"
#: Where CANN's commands lie, msprof among them.
COMMANDS = HOME / "tools" / "profiler" / "bin"
RUNTIME = "libascendcl.so"
HOME_VARIABLES = ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME")


class SimulatorError(Exception):
    """Something a user can fix; the text says what and how."""


class ConflictError(SimulatorError):
    """A CANN, or another simulator, is in the environment already."""


def _same(first: str, second: Path) -> bool:
    return os.path.realpath(first) == os.path.realpath(str(second))


def search_path(environ: Mapping[str, str]) -> list[str]:
    """The directories of LD_LIBRARY_PATH, without the empty ones."""
    return [entry for entry in environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if entry]


def other_cann(environ: Mapping[str, str]) -> str | None:
    """Where the environment finds a CANN that is not this simulator: "VARIABLE=path", or None."""
    for name in HOME_VARIABLES:
        value = environ.get(name, "")
        if value and not _same(value, HOME):
            return f"{name}={value}"
    for entry in search_path(environ):
        if (Path(entry) / RUNTIME).exists() and not _same(entry, LIBRARIES):
            return f"LD_LIBRARY_PATH has {entry}"
    return None


def active(environ: Mapping[str, str]) -> bool:
    """Whether programs of this environment run on this simulator."""
    return any(_same(entry, LIBRARIES) for entry in search_path(environ))


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables to set on top of `environ`; the same whether it was sourced before or not.

    Raises ConflictError when another CANN is there already, SimulatorError when there are no libraries.
    """
    other = other_cann(environ)
    if other is not None:
        raise ConflictError(
            f"another CANN is in this environment: {other}; the simulator is {HOME}. "
            "A program must not find both: use a shell in which no set_env.sh was sourced"
        )
    if not (LIBRARIES / RUNTIME).exists():
        raise SimulatorError(
            f"{LIBRARIES} has no {RUNTIME}: this is the simulator's source, not an installed simulator; "
            "build and install its wheel"
        )
    others = [entry for entry in search_path(environ) if not _same(entry, LIBRARIES)]
    commands = [
        entry for entry in environ.get("PATH", os.defpath).split(os.pathsep) if entry != str(COMMANDS)
    ]
    return {
        "ASCEND_HOME_PATH": str(HOME),
        "ASCEND_TOOLKIT_HOME": str(HOME),
        "ASCEND_OPP_PATH": str(HOME / "opp"),
        "LD_LIBRARY_PATH": os.pathsep.join([str(LIBRARIES), *others]),
        "PATH": os.pathsep.join([str(COMMANDS), *commands]),
    }
