"""Two wheels, member by member: what differs, and for a native file in which sections. Changes nothing."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from wheelmill.wheel.archive import Archive
from wheelmill.wheel.facts import open_wheel

_SHOWN = 100  # characters of a line of text
# What an archive says of a member beside its content.
_FACTS = {"time": "date_time", "mode": "attributes", "compressed size": "packed"}


@dataclass(frozen=True)
class File:
    """A member's size in bytes and SHA-256 in hex."""

    size: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.size} bytes, sha256 {self.sha256[:16]}"


@dataclass(frozen=True)
class Difference:
    """One member that is not the same; None where a wheel lacks it. `details` say where it differs."""

    name: str
    given: File | None
    rebuilt: File | None
    details: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "name": self.name,
            "given": None if self.given is None else vars(self.given),
            "rebuilt": None if self.rebuilt is None else vars(self.rebuilt),
            "details": list(self.details),
        }


@dataclass(frozen=True)
class Comparison:
    """`framing` says how the archives differ around their members: order, times, modes, compression."""

    same: bool
    differences: tuple[Difference, ...] = ()
    framing: tuple[str, ...] = ()


def compare(given: Path, rebuilt: Path) -> Comparison:
    """Compare two wheels. Raises WheelError for one that cannot be read."""
    if given.read_bytes() == rebuilt.read_bytes():
        return Comparison(same=True)
    archives = open_wheel(given).archive, open_wheel(rebuilt).archive
    one, other = map(_contents, archives)
    names = [*one, *(name for name in other if name not in one)]
    pairs = ((name, one.get(name), other.get(name)) for name in names)
    differences = tuple(_difference(*pair) for pair in pairs if pair[1] != pair[2])
    return Comparison(False, differences, tuple(_framing(*archives)))


def _contents(archive: Archive) -> dict[str, bytes]:
    return {member.name: archive.read(member, archive.allowance) for member in archive.members}


def _difference(name: str, given: bytes | None, rebuilt: bytes | None) -> Difference:
    details: tuple[str, ...] = ()
    if given is not None and rebuilt is not None:
        native = given[:4] == rebuilt[:4] == b"\x7fELF"
        details = tuple(_sections(given, rebuilt) if native else _lines(given, rebuilt))
    return Difference(name, _file(given), _file(rebuilt), details)


def _file(data: bytes | None) -> File | None:
    return None if data is None else File(len(data), hashlib.sha256(data).hexdigest())


def _sections(given: bytes, rebuilt: bytes) -> Iterator[str]:
    """The sections of two ELF files that are not the same; nothing where a file cannot be read."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    def contents(data: bytes) -> dict[str, bytes]:
        sections = ELFFile(io.BytesIO(data)).iter_sections()
        return {s.name: b"" if s["sh_type"] == "SHT_NOBITS" else s.data() for s in sections}

    try:
        one, other = contents(given), contents(rebuilt)
    except ELFError:
        return
    for name in dict.fromkeys([*one, *other]):
        was, now = one.get(name), other.get(name)
        if was is None or now is None:
            yield f"section {name} is only in the {'given' if now is None else 'rebuilt'} file"
        elif len(was) != len(now):
            yield f"section {name}: {len(was)} bytes, rebuilt {len(now)}"
        elif was != now:
            places = [index for index, (a, b) in enumerate(zip(was, now, strict=True)) if a != b]
            yield f"section {name}: {len(places)} of {len(was)} bytes differ, the first at {places[0]:#x}"


def _lines(given: bytes, rebuilt: bytes) -> Iterator[str]:
    """The first line in which two texts differ."""
    try:
        one, other = given.decode().splitlines(), rebuilt.decode().splitlines()
    except UnicodeDecodeError:
        return
    for number, (was, now) in enumerate(zip_longest(one, other, fillvalue=""), start=1):
        if was != now:
            yield f"line {number}: {_short(was, now)}, rebuilt {_short(now, was)}"
            return


def _short(line: str, other: str) -> str:
    """The line from shortly before its first difference on."""
    unlike = (i for i, (a, b) in enumerate(zip(line, other, strict=False)) if a != b)
    same = next(unlike, min(len(line), len(other)))
    start = max(0, same - _SHOWN // 2) if len(line) > _SHOWN else 0
    shown = line[start : start + _SHOWN]
    return repr(("..." if start else "") + shown + ("..." if start + _SHOWN < len(line) else ""))


def _framing(one: Archive, other: Archive) -> Iterator[str]:
    if [member.name for member in one.members] != [member.name for member in other.members]:
        yield "the members differ, or their order does"
    pairs = {member.name: member for member in other.members}
    for what, attribute in _FACTS.items():
        others = [
            member.name
            for member in one.members
            if (twin := pairs.get(member.name)) is not None
            and member.crc == twin.crc
            and getattr(member, attribute) != getattr(twin, attribute)
        ]
        if others:
            more = f" and {len(others) - 1} more" if len(others) > 1 else ""
            yield f"the {what} of {others[0]}{more} differs, the content does not"
