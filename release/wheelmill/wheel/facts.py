"""All that a wheel says, read once and without unpacking it: names, texts, hashes, native files."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from wheelmill.wheel.archive import Archive, Member, open_archive
from wheelmill.wheel.errors import WheelError
from wheelmill.wheel.installed import LIBRARY, Place, installed
from wheelmill.wheel.metadata import MAX_BYTES, MAX_TEXT, Metadata, parse_metadata
from wheelmill.wheel.name import WheelName, parse_name

if TYPE_CHECKING:
    from wheelmill.wheel.elf import ElfFacts

RECIPE = "recipe.json"  # in .dist-info: what a wheel of this project was made from
SBOMS = "sboms"  # in .dist-info, by PEP 770
MAX_SBOM = 16 << 20
MAX_NATIVES = 5000
ROW = "_row.json"  # in the package: the matrix row that it was made for

_TEXTS = (*MAX_BYTES, RECIPE)
_LIBRARY = re.compile(r".*\.so(?:\.\d[\w.-]*)?")  # libx.so, libx.so.1, _x.cpython-311-x86_64-linux-gnu.so

# An absolute path of a C or C++ source, where a string begins; what the distribution installs is no leak.
_SOURCE_PATH = re.compile(
    rb"(?<=\0)/(?!usr/)(?:[\w.+@-]{1,255}/){1,64}[\w.+@-]{1,255}\.(?:c|cc|cpp|cxx|h|hh|hpp|cu)(?=\0)"
)


@dataclass(frozen=True)
class WheelFile:
    """A wheel that was opened: its name and its archive. Texts are read when they are asked for."""

    name: WheelName
    archive: Archive

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return self.archive.path

    def text(self, name: str) -> bytes:
        """A text of the .dist-info. Raises WheelError when it is missing, damaged or too long."""
        return self.content(f"{self.name.dist_info}/{name}", _most(name))

    def content(self, name: str, most: int = MAX_TEXT) -> bytes:
        """A member's bytes. Raises WheelError when it is missing, damaged or longer than `most`."""
        member = self.archive.by_name.get(name)
        if member is None:
            raise WheelError(f"{self.name.file} cannot be read as a wheel: it has no {name}")
        try:
            return self.archive.read(member, most)
        except WheelError as error:
            raise WheelError(f"{self.name.file}: {name} cannot be read: {error.message}") from None

    @cached_property
    def metadata(self) -> Metadata:
        """METADATA. Raises WheelError when it cannot be read."""
        return parse_metadata(self.text("METADATA"))


def open_wheel(path: Path, file: str | None = None) -> WheelFile:
    """Open a wheel; `file` is its name where `path` has none of its own.

    Raises WheelError when it is not there, no wheel by name, or no zip archive.
    """
    if not os.path.lexists(path):
        raise WheelError(f"there is no file {path}", hint="Give the path of a built wheel.")
    name = parse_name(path.name if file is None else file)
    return WheelFile(name, open_archive(path, name.file))


# ------------------------------------------------------------------------------------------------ everything
@dataclass(frozen=True)
class Entry:
    """One name of the archive, and where it is installed: None where no installer has a place for it."""

    name: str
    size: int
    sha256: str | None  # as RECORD writes it: urlsafe base64 without padding; None when unreadable
    fault: str | None  # why its bytes could not be read
    mode: int  # of Unix, with the type of file
    place: Place | None


@dataclass(frozen=True)
class WheelFacts:
    """Everything that is judged. `texts`: what could be read of the .dist-info, row stamps and .pth
    files."""

    path: Path
    sha256: str
    name: WheelName
    entries: tuple[Entry, ...]
    framing: tuple[str, ...]  # where the zip can be read in two ways
    texts: Mapping[str, bytes]
    natives: tuple[ElfFacts, ...]
    damaged: Mapping[str, str]  # ELF files that could not be read -> why
    source_paths: Mapping[str, tuple[str, ...]]  # ELF file -> absolute source and build paths in it
    imposters: Mapping[str, str]  # files that are native by their name and no ELF files -> how they begin

    @property
    def dist_info(self) -> str:
        """The .dist-info directory that belongs to the file name's project and version."""
        return self.name.dist_info

    @property
    def whole(self) -> bool:
        """Whether reading it found no fault: the archive, each of its files, and each native file."""
        broken = any(entry.fault for entry in self.entries)
        return not (broken or self.framing or self.damaged or self.imposters)

    @cached_property
    def places(self) -> Mapping[str, Place]:
        """Where each file of the archive is installed, by its name; folders and what has no place are not."""
        return {e.name: e.place for e in self.entries if e.place is not None and not e.name.endswith("/")}

    @cached_property
    def loaded(self) -> tuple[ElfFacts, ...]:
        """The native files that this machine's loader may be given; object files and the like are data."""
        return tuple(native for native in self.natives if native.loaded)

    @cached_property
    def names(self) -> frozenset[str]:
        """All names of the archive."""
        return frozenset(entry.name for entry in self.entries)

    def text(self, name: str) -> bytes | None:
        """A text of the .dist-info; None when it is not there."""
        return self.texts.get(f"{self.dist_info}/{name}")


@dataclass
class _Found:
    """What reading the members comes to."""

    entries: list[Entry] = field(default_factory=list)
    texts: dict[str, bytes] = field(default_factory=dict)
    natives: list[ElfFacts] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)
    imposters: dict[str, str] = field(default_factory=dict)


def read_wheel(path: Path, build_roots: tuple[str, ...] = ()) -> WheelFacts:
    """Read a wheel. Raises WheelError when it is not there, no wheel by name, or no zip archive.

    `build_roots` are directories whose paths are looked for in native files.
    """
    wheel = open_wheel(path)
    found = _Found()
    unpacked = 0
    for member in wheel.archive.members:
        unpacked += member.size
        _read_member(wheel, member, unpacked, build_roots, found)
    return WheelFacts(
        path=path,
        sha256=wheel.archive.digest(),
        name=wheel.name,
        entries=tuple(found.entries),
        framing=wheel.archive.faults,
        texts=found.texts,
        natives=tuple(found.natives),
        damaged=found.damaged,
        source_paths=found.sources,
        imposters=found.imposters,
    )


def _read_member(
    wheel: WheelFile, member: Member, unpacked: int, roots: tuple[str, ...], found: _Found
) -> None:
    """Read one member into what was found. `unpacked`: the bytes that the archive claims, up to this one."""
    archive, digest = wheel.archive, hashlib.sha256()
    data: list[bytes] = []
    fault = None
    kept = _is_text(member.name, wheel.name)
    start = b""
    try:
        if kept and member.size > (most := _most(member.name)):
            raise WheelError(f"it is {member.size} bytes long; no more than {most} are read")
        if unpacked > archive.allowance:
            raise WheelError(
                f"with it the archive unpacks to {unpacked} bytes; {archive.allowance} is the most that is "
                f"read of one of {archive.length} bytes"
            )
        for block in archive.blocks(member):
            digest.update(block)
            start = start or block[:8]
            if kept or start[:4] == b"\x7fELF":
                data.append(block)
    except WheelError as error:
        fault = error.message
    sha256 = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
    place = installed(member.name, wheel.name)
    entry = Entry(member.name, member.size, None if fault else sha256, fault, member.mode, place)
    found.entries.append(entry)
    if fault is not None:
        data.clear()
    if kept and fault is None:
        found.texts[member.name] = b"".join(data)
    if fault is None and start[:4] == b"\x7fELF":
        _read_native(member.name, b"".join(data), roots, found)
    elif fault is None and is_native_by_name(member.name):
        found.imposters[member.name] = repr(start)[1:]


def _read_native(name: str, data: bytes, roots: tuple[str, ...], found: _Found) -> None:
    from wheelmill.wheel.elf import NotAnElfFileError, read_elf

    found.sources[name] = tuple(sorted(_source_paths(data, roots)))
    try:
        if len(found.natives) == MAX_NATIVES:
            raise NotAnElfFileError(f"it is one of more than {MAX_NATIVES}, and no more are read")
        native = read_elf(name, io.BytesIO(data))
        if is_native_by_name(name) and not native.loaded:
            raise NotAnElfFileError(f"it is named as a library and is an {native.kind} for {native.machine}")
        found.natives.append(native)
    except NotAnElfFileError as error:
        found.damaged[name] = str(error)
    except Exception as error:  # whatever it is, it is this file's, and the others are read
        found.damaged[name] = f"{type(error).__name__} {error}"[:300]


def _is_text(name: str, wheel: WheelName) -> bool:
    if name.endswith(".pth"):
        place = installed(name, wheel)
        return place is not None and place.scheme == LIBRARY and "/" not in place.path
    inside = name.removeprefix(f"{wheel.dist_info}/")
    return inside in _TEXTS or inside.startswith(f"{SBOMS}/") or name.endswith(f"/{ROW}")


def _most(name: str) -> int:
    if f".dist-info/{SBOMS}/" in name:
        return MAX_SBOM
    return MAX_BYTES.get(name.rpartition("/")[2], MAX_TEXT)


def is_native_by_name(name: str) -> bool:
    """Whether a loader would be given this file: a library, or what lies where libraries are carried."""
    folder, _, base = name.rpartition("/")
    home = folder.rpartition("/")[2]
    carried = home.endswith(".libs") or (home in ("lib", "lib64") and re.fullmatch(r"lib[^.]+", base))
    return bool(base) and (_LIBRARY.fullmatch(base) is not None or bool(carried))


def _source_paths(data: bytes, roots: tuple[str, ...]) -> Iterator[str]:
    yield from {match.group().decode("ascii", "replace") for match in _SOURCE_PATH.finditer(data)}
    yield from (root for root in roots if root.encode() in data)
