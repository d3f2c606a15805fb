"""Version and dependencies of a source build: both follow the torch it is built for.

The target is the directory in the environment variable TORCH_SDK, else the torch installed in the environment
that runs the build. It is read, never imported, so this works under build isolation too.
"""

from __future__ import annotations

import os
import re
import sysconfig
from pathlib import Path

HEADER = Path("include/torch/headeronly/version.h")
OLD_HEADER = Path("include/torch/csrc/api/include/torch/version.h")


def dynamic_metadata(field: str, settings: object = None, project: object = None) -> str | list[str]:
    """Answer scikit-build-core's question for `version` or `dependencies`."""
    version = _torch_version(_target())
    if field == "version":
        return f"{version}.dev0+source"
    if field == "dependencies":
        return [f"torch=={version}"]
    raise ValueError(f"torch_target provides version and dependencies, not {field}")


def _target() -> Path:
    given = os.environ.get("TORCH_SDK")
    target = Path(given) if given else Path(sysconfig.get_path("purelib"), "torch")
    if not (target / "include").is_dir():
        raise RuntimeError(
            f"this package is built for one torch, and {target} has no include folder.\n"
            "Install it first (pip install torch==X.Y.Z), or set TORCH_SDK to a folder with torch's "
            "include and lib."
        )
    return target


def _torch_version(target: Path) -> str:
    """X.Y.Z from the headers; torch up to 2.7 keeps them elsewhere than later versions."""
    for header in (HEADER, OLD_HEADER):
        if (target / header).is_file():
            text = (target / header).read_text()
            parts = [
                re.search(rf"#define TORCH_VERSION_{part} (\d+)", text)
                for part in ("MAJOR", "MINOR", "PATCH")
            ]
            if all(parts):
                return ".".join(part.group(1) for part in parts if part)
    raise RuntimeError(
        f"{target} does not say its torch version in {HEADER} or {OLD_HEADER}; reinstall torch"
    )
