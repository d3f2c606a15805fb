"""Small real wheels for tests: drafted as data, changed by a test where it wants to, then written."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Draft:
    """A wheel before it is written. `record` may change RECORD; `extra` entries are not in it."""

    project: str = "demo"
    version: str = "1.0"
    tag: str = "py3-none-any"
    files: dict[str, bytes] = field(default_factory=dict)
    headers: list[str] = field(default_factory=lambda: ["Requires-Python: >=3.8"])
    wheel: str | None = None
    record: Callable[[str], str] = lambda text: text
    extra: list[tuple[str, bytes]] = field(default_factory=list)
    purelib: bool = True
    modes: dict[str, int] = field(default_factory=dict)  # of Unix, with the type of file

    @property
    def name(self) -> str:
        return f"{self.project}-{self.version}-{self.tag}.whl"

    @property
    def dist_info(self) -> str:
        return f"{self.project}-{self.version}.dist-info"

    def members(self) -> dict[str, bytes]:
        """All files but RECORD. A key of `files` that is already a member replaces it."""
        metadata = [
            "Metadata-Version: 2.4",
            f"Name: {self.project}",
            f"Version: {self.version}",
            *self.headers,
        ]
        python, abi, platforms = self.tag.split("-")
        lines = [f"Tag: {python}-{abi}-{platform}" for platform in platforms.split(".")]
        wheel = self.wheel or "\n".join(
            ["Wheel-Version: 1.0", f"Root-Is-Purelib: {str(self.purelib).lower()}", *lines]
        )
        return {
            f"{self.dist_info}/METADATA": ("\n".join(metadata) + "\n").encode(),
            f"{self.dist_info}/WHEEL": (wheel + "\n").encode(),
            **self.files,
        }

    def write(self, directory: Path) -> Path:
        """The wheel as a file, the same bytes for the same draft."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / self.name
        members = self.members()
        rows = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in members.items()]
        listing = "\n".join([*rows, f"{self.dist_info}/RECORD,,"]) + "\n"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in [
                *members.items(),
                (f"{self.dist_info}/RECORD", self.record(listing).encode()),
                *self.extra,
            ]:
                entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
                entry.external_attr = self.modes.get(name, 0o100644) << 16
                archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
        return path


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
