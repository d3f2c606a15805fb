"""What of this machine decides which wheel fits: read from files and variables, in no time."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from wheelmill.frozen import dataclass
from wheelmill.limits import read_regular
from wheelmill.matrix.versions import arch_name

# Files of a CANN toolkit that tell its version, best first; all have a line `version=...`.
_VERSION_FILES = (
    "*-linux/ascend_toolkit_install.info",
    "ascend_toolkit_install.info",
    "version.cfg",
    "version.info",
)
_MOST = 1 << 16  # bytes of such a file
_VERSION = re.compile(
    r"^\s*(?:runtime_running_)?version\s*=\s*\[?\s*(?:[\d.]+:)?([\w.]+)", re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True)
class Machine:
    """The axes that a machine fixes; `cann` is None where its environment is not loaded."""

    python: str
    arch: str
    libc: str
    cann: str | None


def examine(environment: Mapping[str, str] = os.environ) -> Machine:
    """Look at the interpreter and machine that run this."""
    home = environment.get("ASCEND_HOME_PATH") or environment.get("ASCEND_TOOLKIT_HOME")
    return Machine(
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        arch=arch_name(platform.machine()),
        libc=" ".join(platform.libc_ver()).strip() or _without_glibc(),
        cann=cann_version(Path(home), environment) if home else None,
    )


def _without_glibc() -> str:
    """musl, where its loader is there; Python does not tell."""
    return "musl" if any(Path("/lib").glob("ld-musl-*")) else "unknown"


def cann_version(home: Path, environment: Mapping[str, str]) -> str | None:
    """The version that the files of a CANN tell; None where they tell none."""
    for pattern in _VERSION_FILES:
        for file in sorted(home.glob(pattern)):
            try:
                found = _VERSION.search(read_regular(file, _MOST, cut=True).decode("utf-8", "replace"))
            except OSError:
                continue
            if found:
                return found.group(1)
    return environment.get("CANN_SIMULATOR_CANN")
