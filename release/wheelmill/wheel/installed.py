"""Where a file of the archive lies once it is installed: `<name>.data/<scheme>/` is merged away."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from wheelmill.wheel.name import WheelName

LIBRARY = "lib"  # site-packages, where purelib and platlib lie on every Linux
SCHEMES = ("purelib", "platlib", "scripts", "data", "headers")


@dataclass(frozen=True)
class Place:
    """`scheme` is LIBRARY for site-packages, else `scripts`, `data`, `headers`; `path` is relative to it."""

    scheme: str
    path: str

    @property
    def directory(self) -> tuple[str, str]:
        """Its folder as (root, path): the root is "" for site-packages and `<prefix>` for what is beside."""
        home = {"scripts": "bin/", "headers": "include/"}.get(self.scheme, "")
        folder = posixpath.dirname(f"{home}{self.path}")
        return ("" if self.scheme == LIBRARY else "<prefix>"), folder

    def __str__(self) -> str:
        return self.path if self.scheme == LIBRARY else f"<{self.scheme}>/{self.path}"


def installed(member: str, wheel: WheelName) -> Place | None:
    """The place of an archive's name; None for one in the .data directory that installers have none for."""
    if not member.startswith(f"{wheel.data}/"):
        return Place(LIBRARY, member)
    scheme, slash, path = member[len(wheel.data) + 1 :].partition("/")
    if scheme not in SCHEMES or not slash:
        return None
    return Place(LIBRARY if scheme in ("purelib", "platlib") else scheme, path)
