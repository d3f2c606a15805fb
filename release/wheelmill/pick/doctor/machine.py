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
# What installers call a Python of 32 bits on the machine that the kernel names.
_OF_32_BITS = {"x86_64": "i686", "aarch64": "armv8l"}
_MOST = 1 << 16  # bytes of such a file
# The value may be [BUILD:VERSION] or stand in quotes.
_VERSION = re.compile(
    r"^[\s\ufeff]*(?:runtime_running_)?version\s*=(?:.*:)?[\s\[\"']*([^\s\[\]\"':]+)", re.I | re.M
)


@dataclass(frozen=True)
class Machine:
    """The axes that a machine fixes; `cann` is None where its environment is not loaded or cannot be read.

    `python` and `arch` are their own words where no wheel is for them: `3.13t`, `PyPy 3.10`, `i686`.
    """

    python: str
    arch: str
    libc: str
    cann: str | None


def examine(environment: Mapping[str, str] = os.environ) -> Machine:
    """Look at the interpreter and machine that run this."""
    home = environment.get("ASCEND_HOME_PATH") or environment.get("ASCEND_TOOLKIT_HOME")
    return Machine(
        python=python_word(
            platform.python_implementation(),
            f"{sys.version_info.major}.{sys.version_info.minor}",
            free_threaded="t" in sys.abiflags,
        ),
        arch=_arch(),
        libc=" ".join(platform.libc_ver()).strip() or _without_glibc(),
        cann=cann_version(Path(home), environment) if home else None,
    )


def python_word(implementation: str, version: str, *, free_threaded: bool) -> str:
    """`3.11`; another Python than wheels are for by its own name: `3.13t` or `PyPy 3.10`."""
    named = version if implementation == "CPython" else f"{implementation} {version}"
    return f"{named}t" if free_threaded else named


def arch_word(machine: str, *, bits: int) -> str:
    """The architecture of a Python, which may have 32 bits on a kernel of 64; its own word if nobody's wheel
    is for it."""
    machine = _OF_32_BITS.get(machine, machine) if bits == 32 else machine
    try:
        return arch_name(machine)
    except ValueError:
        return machine


def _arch() -> str:
    return arch_word(platform.machine(), bits=64 if sys.maxsize > 1 << 32 else 32)


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
