"""A sealed release folder of small real wheels, as `wheelmill release` leaves one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tests.wheels import Draft

PACKAGE = "other-demo"
BRANCH = "v2.1.0-5.0.rc3"
VERSION = "2.1.0rc1"
TAG = f"{BRANCH}/{VERSION}"
COMMIT = "c0ffee" * 6 + "abcd"
NOTES = {"release-notes.en.md": "# New\n\nStreams.\n", "release-notes.zh.md": "# 新增\n\n流。\n"}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make(folder: Path, filling: bytes = b"x" * 5000, version: str = VERSION) -> Path:
    """The folder; other `filling` gives wheels of other bytes under the same names."""
    folder.mkdir(parents=True)
    for project, size in (("torch_npu", 1), ("cann_simulator", 2)):
        for arch in ("aarch64", "x86_64"):
            tag = f"cp38-cp38-manylinux_2_17_{arch}"
            Draft(project, version, tag, {f"{project}/data.bin": filling * size}, purelib=False).write(folder)
    for name, text in NOTES.items():
        (folder / name).write_text(text, encoding="utf-8")
    files = [
        {
            "name": path.name,
            "sha256": sha256(path.read_bytes()),
            "size": path.stat().st_size,
            "kind": "x",
            "cell": None,
        }
        for path in sorted(folder.iterdir())
    ]
    manifest = {
        "schema": 1,
        "package": PACKAGE,
        "branch": BRANCH,
        "version": version,
        "tag": TAG,
        "commit": COMMIT,
        "files": files,
    }
    (folder / "release.json").write_text(json.dumps(manifest), encoding="utf-8")
    seal(folder)
    return folder


def seal(folder: Path) -> None:
    """Write SHA256SUMS over what is there."""
    names = sorted(path.name for path in folder.iterdir() if path.name != "SHA256SUMS")
    lines = [f"{sha256((folder / name).read_bytes())}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
