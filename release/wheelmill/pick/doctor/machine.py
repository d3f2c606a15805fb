"""What this machine is, as far as it decides which wheel fits: read from files and variables."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from wheelmill.matrix.versions import arch_name
from wheelmill.pick.model import Request
from wheelmill.pick.request import parse_request

# Files of a CANN toolkit that tell its version, best first; all have a line `version=...`.
_VERSION_FILES = (
    "*-linux/ascend_toolkit_install.info",
    "ascend_toolkit_install.info",
    "version.cfg",
    "version.info",
)
_VERSION = re.compile(
    r"^\s*(?:runtime_running_)?version\s*=\s*\[?\s*(?:[\d.]+:)?([\w.]+)", re.IGNORECASE | re.MULTILINE
)
_DEVICES = Path("/dev")


@dataclass(frozen=True)
class Machine:
    """The axes that a machine fixes; None where it cannot be told. CANN was sourced from `cann_home`."""

    python: str
    arch: str
    libc: str
    cann: str | None
    cann_home: str | None
    npus: int
    torch: str | None
    torch_npu: str | None

    def request(self) -> Request:
        """The picker's request for this machine; an installed torch is taken as wanted."""
        return parse_request(cann=self.cann, torch=self.torch, python=self.python, arch=self.arch)

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)

    def render(self) -> str:
        """For people: one line per fact."""
        cann = f"{self.cann or 'of unknown version'} in {self.cann_home}" if self.cann_home else "not sourced"
        rows = {
            "Python": self.python,
            "architecture": self.arch,
            "libc": self.libc,
            "CANN": cann,
            "NPUs": str(self.npus) if self.npus else "none seen",
            "torch": self.torch or "not installed",
            "torch_npu": self.torch_npu or "not installed",
        }
        return "\n".join(f"{name:<13} {value}" for name, value in rows.items())


def examine(environment: Mapping[str, str] = os.environ, devices: Path = _DEVICES) -> Machine:
    """Look at the interpreter and machine that run this; never fails."""
    home = environment.get("ASCEND_HOME_PATH") or environment.get("ASCEND_TOOLKIT_HOME")
    return Machine(
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        arch=arch_name(platform.machine()),
        libc=" ".join(platform.libc_ver()).strip() or "unknown",
        cann=cann_version(Path(home), environment) if home else None,
        cann_home=home,
        npus=len([entry for entry in devices.glob("davinci*") if entry.name[7:].isdigit()]),
        torch=_installed("torch"),
        torch_npu=_installed("torch-npu"),
    )


def cann_version(home: Path, environment: Mapping[str, str]) -> str | None:
    """The version that the files of a CANN tell; None where they tell none."""
    for pattern in _VERSION_FILES:
        for file in sorted(home.glob(pattern)):
            try:
                found = _VERSION.search(file.read_text(errors="replace"))
            except OSError:
                continue
            if found:
                return found.group(1)
    return environment.get("CANN_SIMULATOR_CANN")


def _installed(project: str) -> str | None:
    try:
        return metadata.version(project)
    except metadata.PackageNotFoundError:
        return None
