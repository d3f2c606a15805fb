"""Reads a wheel once, without unpacking it, into facts that the rules look at."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wheelmill.prove.audit.elf import ElfFacts, NotAnElfFileError, read_elf
from wheelmill.prove.audit.framing import framing_faults
from wheelmill.prove.audit.model import AuditError, parse_name
from wheelmill.wheel.wheelfile import ZIP_FAULTS

if TYPE_CHECKING:
    from packaging.tags import Tag

_LIBRARY = re.compile(r".*\.so(?:\.\d[\w.-]*)?")  # libx.so, libx.so.1, _x.cpython-311-x86_64-linux-gnu.so

# An absolute path of a C or C++ source, where a string begins; what the distribution installs is no leak.
_SOURCE_PATH = re.compile(rb"(?<=\0)/(?!usr/)(?:[\w.+@-]+/)+[\w.+@-]+\.(?:c|cc|cpp|cxx|h|hh|hpp|cu)(?=\0)")


@dataclass(frozen=True)
class Entry:
    """One name of the zip directory."""

    name: str
    size: int
    sha256: str | None  # as RECORD writes it: urlsafe base64 without padding; None when unreadable
    fault: str | None  # why its bytes could not be read
    symlink: bool


@dataclass(frozen=True)
class WheelFacts:
    """Everything the rules look at. `texts` holds the files of the .dist-info and the row stamps."""

    path: Path
    sha256: str
    project: str
    version: str
    tags: frozenset[Tag]
    entries: tuple[Entry, ...]
    framing: tuple[str, ...]  # where the zip can be read in two ways
    texts: dict[str, bytes]
    natives: tuple[ElfFacts, ...]
    damaged: dict[str, str]  # ELF files that could not be read -> why
    source_paths: dict[str, tuple[str, ...]]  # ELF file -> absolute source and build paths in it
    imposters: dict[str, str]  # files that are native by their name and no ELF files -> what they begin with

    @property
    def dist_info(self) -> str:
        """The .dist-info directory that belongs to the file name's project and version."""
        name, version = self.path.name.split("-")[:2]
        return f"{name}-{version}.dist-info"

    @property
    def whole(self) -> bool:
        """Whether reading it found no fault: the archive, each of its files, and each native file."""
        broken = any(entry.fault for entry in self.entries)
        return not (broken or self.framing or self.damaged or self.imposters)

    def text(self, name: str) -> bytes | None:
        """A file of the .dist-info; None when it is not there."""
        return self.texts.get(f"{self.dist_info}/{name}")


def read_wheel(path: Path, build_roots: tuple[str, ...] = ()) -> WheelFacts:
    """Read a wheel. Raises AuditError when it is not there, no wheel by name, or no zip archive."""
    project, version, tags = parse_name(path)
    digest = _file_digest(path)
    entries: list[Entry] = []
    texts: dict[str, bytes] = {}
    natives: list[ElfFacts] = []
    damaged: dict[str, str] = {}
    sources: dict[str, tuple[str, ...]] = {}
    imposters: dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            framing = _framing(path, archive)
            for info in archive.infolist():
                data, fault = _content(archive, info)
                entries.append(_entry(info, data, fault))
                if ".dist-info/" in info.filename or info.filename.endswith("/_row.json"):
                    texts[info.filename] = data
                if data.startswith(b"\x7fELF"):
                    sources[info.filename] = _source_paths(data, build_roots)
                    try:
                        natives.append(read_elf(info.filename, io.BytesIO(data)))
                    except NotAnElfFileError as error:
                        damaged[info.filename] = str(error)
                elif fault is None and _is_native_by_name(info.filename):
                    imposters[info.filename] = repr(data[:8])[1:]
    except ZIP_FAULTS as error:
        raise AuditError(
            f"{path.name} is not a readable zip archive: {error}",
            hint="The file is cut off or not a wheel; build or download it again.",
        ) from None
    return WheelFacts(
        path=path,
        sha256=digest,
        project=project,
        version=version,
        tags=tags,
        entries=tuple(entries),
        framing=framing,
        texts=texts,
        natives=tuple(natives),
        damaged=damaged,
        source_paths=sources,
        imposters=imposters,
    )


def _file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise AuditError(
            f"{path} cannot be read: {error.strerror}", hint="Give the path of a built wheel."
        ) from None
    return digest.hexdigest()


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[bytes, str | None]:
    """The bytes of one entry, or why they cannot be had (headers disagree, checksum, password)."""
    try:
        return archive.read(info), None
    except ZIP_FAULTS as error:
        return b"", str(error) or type(error).__name__


def _is_native_by_name(name: str) -> bool:
    """Whether a loader would be given this file: a library, or what lies where libraries are carried."""
    folder, _, base = name.rpartition("/")
    home = folder.rpartition("/")[2]
    carried = home.endswith(".libs") or (home in ("lib", "lib64") and re.fullmatch(r"lib[^.]+", base))
    return bool(base) and (_LIBRARY.fullmatch(base) is not None or bool(carried))


def _framing(path: Path, archive: zipfile.ZipFile) -> tuple[str, ...]:
    try:
        return framing_faults(path, archive)
    except ZIP_FAULTS as error:  # offsets that lead nowhere
        return (f"its headers cannot be read: {error}",)


def _entry(info: zipfile.ZipInfo, data: bytes, fault: str | None) -> Entry:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return Entry(
        name=info.orig_filename,
        size=info.file_size,
        sha256=None if fault else digest,
        fault=fault,
        symlink=(info.external_attr >> 16) & 0o170000 == 0o120000,
    )


def _source_paths(data: bytes, build_roots: tuple[str, ...]) -> tuple[str, ...]:
    found = {match.group().decode("ascii", "replace") for match in _SOURCE_PATH.finditer(data)}
    found.update(root for root in build_roots if root.encode() in data)
    return tuple(sorted(found))
