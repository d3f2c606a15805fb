"""A PEP 517 backend whose wheel is a bundle: it runs bundle.json's commands and packs what they installed.

The cibuildwheel engine copies this file into the project that it lets cibuildwheel build; it runs there, on
the image's Python, which may be as old as 3.8 and has nothing installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

BUNDLE = Path(__file__).with_name("bundle.json")


def build_wheel(
    wheel_directory: str, config_settings: object = None, metadata_directory: str | None = None
) -> str:
    """PEP 517: the name of the wheel made in `wheel_directory`. Leaves the process when a command fails."""
    bundle = _bundle()
    os.umask(0o022)
    for phase, commands in bundle["phases"].items():
        started = time.monotonic()
        for command in commands:
            _run(phase, command)
        print(f"wheelmill: {phase} took {time.monotonic() - started:.3f} s", flush=True)
    wheel = f"{_stem(bundle)}-py3-none-linux_{bundle['arch']}.whl"
    prefix = Path(bundle["prefix"])
    with zipfile.ZipFile(Path(wheel_directory, wheel), "w") as archive:
        for path in sorted(path for path in prefix.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(prefix).as_posix())
        for name, text in _metadata(bundle).items():
            archive.writestr(name, text)
    return wheel


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: object = None) -> str:
    """PEP 517: so that no frontend builds the wheel only to ask for its name."""
    bundle = _bundle()
    for name, text in _metadata(bundle).items():
        target = Path(metadata_directory, name)
        target.parent.mkdir(exist_ok=True)
        target.write_text(text)
    return f"{_stem(bundle)}.dist-info"


def _run(phase: str, command: list[str]) -> None:
    print("$", *command, flush=True)
    code = subprocess.call(command)
    if code:
        sys.exit(f"wheelmill: {phase} failed (exit {code})")


def _bundle() -> dict[str, Any]:
    return dict(json.loads(BUNDLE.read_text()))


def _stem(bundle: dict[str, Any]) -> str:
    return f"wheelmill_bundle-{bundle['version']}"


def _metadata(bundle: dict[str, Any]) -> dict[str, str]:
    folder = f"{_stem(bundle)}.dist-info"
    version, tag = bundle["version"], f"py3-none-linux_{bundle['arch']}"
    return {
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: wheelmill-bundle\nVersion: {version}\n",
        f"{folder}/WHEEL": f"Wheel-Version: 1.0\nGenerator: wheelmill\nRoot-Is-Purelib: false\nTag: {tag}\n",
        f"{folder}/RECORD": "",
    }
