"""Run by the Python that is examined (3.8 or newer): prints its environment as one JSON document."""

from __future__ import annotations

import importlib.util
import json
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

WANTED = ("torch", "torch-npu", "numpy")
PINS = re.compile(r"^(torch|torch[-_.]npu|numpy)\b", re.I)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def own_version(folder: Path, name: str) -> str | None:
    for file in ("version.py", "_version.py"):
        try:
            text = (folder / name.replace("-", "_") / file).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found = re.search(r"^__version__\s*(?::\s*\w+\s*)?=\s*['\"]([^'\"]+)", text, re.M)
        if found:
            return found.group(1)
    return None


def packages() -> list[dict[str, Any]]:
    listed = []
    for one in metadata.distributions():
        try:
            name, requires = normal(one.metadata["Name"] or ""), one.requires or []
        except Exception:  # a damaged record is as good as none
            continue
        if not name:
            continue
        folder = Path(str(one.locate_file("")))
        entry: dict[str, Any] = {"name": name, "version": one.version or "", "folder": str(folder)}
        if name in WANTED:
            entry["requires"] = requires
            entry["tags"] = re.findall(r"^Tag: (\S+)", one.read_text("WHEEL") or "", re.M)
            entry["own_version"] = own_version(folder, name)
        else:
            entry["requires"] = [line for line in requires if PINS.match(line)]
        listed.append(entry)
    return listed


def origins() -> dict[str, str | None]:
    found = {}
    for name in ("torch", "torch_npu"):
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            spec = None
        if spec is not None:
            found[name] = None if spec.origin in (None, "namespace") else spec.origin
    return found


def libgomps() -> list[str]:
    folders = [
        inner
        for one in dict.fromkeys(sys.path)
        for inner in (*Path(one).glob("*.libs"), Path(one, "torch/lib"))
    ]
    return [str(file) for folder in folders for file in folder.glob("libgomp*")]


print(
    json.dumps(
        {
            "executable": sys.executable,
            "prefix": sys.prefix,
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "free_threaded": "t" in getattr(sys, "abiflags", ""),
            "bits": 64 if sys.maxsize > 1 << 32 else 32,
            "arch": platform.machine(),
            "libc": list(platform.libc_ver()),
            "packages": packages(),
            "origins": origins(),
            "libgomps": libgomps(),
        }
    )
)
