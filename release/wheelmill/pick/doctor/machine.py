"""What of this machine decides which wheel fits: read from files and variables, in no time."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

from wheelmill.frozen import dataclass
from wheelmill.limits import read_regular
from wheelmill.matrix.versions import arch_name, cann_name

# Files of a CANN toolkit that tell its version, best first; all have a line `version=...`.
_VERSION_FILES = (
    "*-linux/ascend_toolkit_install.info",
    "ascend_toolkit_install.info",
    "version.cfg",
    "version.info",
)
_MOST = 1 << 16  # bytes of such a file
# The value may be [BUILD:VERSION] or stand in quotes.
_VERSION = re.compile(
    r"^[\s\ufeff]*(?:runtime_running_)?version\s*=(?:.*:)?[\s\[\"']*([^\s\[\]\"':]+)", re.I | re.M
)


@dataclass(frozen=True)
class Machine:
    """The axes that a machine fixes; `cann` is None where its environment is not loaded or cannot be read.

    `arch` is the machine's own word where no wheel is for it.
    """

    python: str
    arch: str
    libc: str
    cann: str | None


def examine(environment: Mapping[str, str] = os.environ) -> Machine:
    """Look at the interpreter and machine that run this."""
    home = environment.get("ASCEND_HOME_PATH") or environment.get("ASCEND_TOOLKIT_HOME")
    return Machine(
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        arch=_arch(),
        libc=" ".join(platform.libc_ver()).strip() or _without_glibc(),
        cann=cann_version(Path(home), environment) if home else None,
    )


def _arch() -> str:
    try:
        return arch_name(platform.machine())
    except ValueError:
        return platform.machine()


def _without_glibc() -> str:
    """musl, where its loader is there; Python does not tell."""
    return "musl" if any(Path("/lib").glob("ld-musl-*")) else "unknown"


def cann_version(home: Path, environment: Mapping[str, str]) -> str | None:
    """The version that the files of a CANN tell; None where they tell none that can be read."""
    told = (name for file in _version_files(home) for name in _VERSION.findall(_text(file)))
    for name in chain(told, [environment.get("CANN_SIMULATOR_CANN", "")]):
        try:
            return cann_name(name)
        except ValueError:
            continue
    return None


def _version_files(home: Path) -> list[Path]:
    """Those that are there, best first; of two architectures, this machine's first."""
    try:
        return [
            file
            for pattern in _VERSION_FILES
            for file in sorted(home.glob(pattern), key=lambda one: (_arch() not in one.parent.name, one.name))
        ]
    except OSError:  # a folder that may not be read
        return []


def _text(file: Path) -> str:
    try:
        return read_regular(file, _MOST, cut=True).decode("utf-8-sig", "replace")
    except OSError:
        return ""
