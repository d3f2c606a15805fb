"""Which environment variables make a program run on the simulator, and when that is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, List, Mapping, Optional

#: What ASCEND_HOME_PATH names: the directory of this package.
HOME = Path(__file__).resolve().parent
#: Where the shared libraries lie.
LIBRARIES = HOME / "lib"
RUNTIME = "libascendcl.so"
HOME_VARIABLES = ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME")


class SimulatorError(Exception):
    """Something a user can mend; the text says what and how."""


class Conflict(SimulatorError):
    """A CANN, or another simulator, is in the environment already."""


def _same(first: str, second: Path) -> bool:
    return os.path.realpath(first) == os.path.realpath(str(second))


def search_path(environ: Mapping[str, str]) -> List[str]:
    """The directories of LD_LIBRARY_PATH, without the empty ones."""
    return [entry for entry in environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if entry]


def other_cann(environ: Mapping[str, str]) -> Optional[str]:
    """Where the environment finds a CANN that is not this simulator: "VARIABLE=path", or None."""
    for name in HOME_VARIABLES:
        value = environ.get(name, "")
        if value and not _same(value, HOME):
            return "{}={}".format(name, value)
    for entry in search_path(environ):
        if os.path.exists(os.path.join(entry, RUNTIME)) and not _same(entry, LIBRARIES):
            return "LD_LIBRARY_PATH has {}".format(entry)
    return None


def active(environ: Mapping[str, str]) -> bool:
    """Whether programs of this environment run on this simulator."""
    return any(_same(entry, LIBRARIES) for entry in search_path(environ))


def variables(environ: Mapping[str, str]) -> Dict[str, str]:
    """The variables to set on top of `environ`; the same whether it was sourced before or not.

    Raises Conflict when another CANN is there already, SimulatorError when the libraries were never built.
    """
    other = other_cann(environ)
    if other is not None:
        raise Conflict(
            "another CANN is in this environment: {}; the simulator is {}. A program must not find both: "
            "use a shell in which no set_env.sh was sourced".format(other, HOME)
        )
    if not (LIBRARIES / RUNTIME).exists():
        raise SimulatorError(
            "{} has no {}: this is the simulator's source, not an installed simulator; "
            "build and install its wheel".format(LIBRARIES, RUNTIME)
        )
    others = [entry for entry in search_path(environ) if not _same(entry, LIBRARIES)]
    return {
        "ASCEND_HOME_PATH": str(HOME),
        "ASCEND_TOOLKIT_HOME": str(HOME),
        "LD_LIBRARY_PATH": os.pathsep.join([str(LIBRARIES), *others]),
    }
