"""Finds where a zip archive can be read in two ways, so that no two installers see two wheels in a file.

A zip has its names, sizes and checksums twice: in a directory at the end, which most readers follow, and in a
header before each file, which streaming readers follow. Bytes between the files belong to neither.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_LOCAL = struct.Struct("<4s5H3I2H")  # signature version flags method time date crc packed size name extra
_LOCAL_SIGNATURE = b"PK\x03\x04"
_ENCRYPTED = 0x1
_DESCRIPTOR = 0x8  # sizes follow the data, the header holds zeros
_UTF8 = 0x800
_ZIP64 = 0xFFFFFFFF
# A data descriptor: checksum and two sizes of 4 or 8 bytes, with or without a signature of 4.
_DESCRIPTOR_SIZES = frozenset({12, 16, 20, 24})


def framing_faults(path: Path, archive: zipfile.ZipFile) -> tuple[str, ...]:
    """One sentence for each disagreement of `path`, which `archive` has open."""
    with path.open("rb") as stream:
        return tuple(_faults(stream, archive))


def _faults(stream: BinaryIO, archive: zipfile.ZipFile) -> Iterator[str]:
    if archive.comment:
        yield f"the archive ends with a comment of {len(archive.comment)} bytes"
    position = 0
    gaps = frozenset({0})
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        yield from _gap(position, info.header_offset, gaps, f"before {info.orig_filename}")
        stream.seek(info.header_offset)
        raw = stream.read(_LOCAL.size)
        if len(raw) < _LOCAL.size or not raw.startswith(_LOCAL_SIGNATURE):
            yield f"{info.orig_filename}: no file header where the directory says it is"
            return
        header = _LOCAL.unpack(raw)
        yield from _header(info, header, stream.read(header[9]))
        position = info.header_offset + _LOCAL.size + header[9] + header[10] + info.compress_size
        gaps = _DESCRIPTOR_SIZES if header[2] & _DESCRIPTOR else frozenset({0})
    yield from _gap(position, archive.start_dir, gaps, "before the directory")


def _gap(position: int, start: int, allowed: frozenset[int], where: str) -> Iterator[str]:
    gap = start - position
    if gap < 0:
        yield f"entries overlap by {-gap} bytes {where}"
    elif gap not in allowed:
        yield f"{gap} bytes that belong to no file {where}"


def _header(info: zipfile.ZipInfo, header: tuple[int, ...], raw_name: bytes) -> Iterator[str]:
    """Where the header before the file and its row in the directory differ."""
    _, _, flags, method, _, _, checksum, packed, size, _, _ = header
    name = raw_name.decode("utf-8" if flags & _UTF8 else "cp437", "replace")
    if name != info.orig_filename:
        yield f"{info.orig_filename}: the file's own header calls it {name!r}"
    if method != info.compress_type:
        yield f"{info.orig_filename}: method {method} in its header, {info.compress_type} in the directory"
    if (flags | info.flag_bits) & _ENCRYPTED:
        yield f"{info.orig_filename}: is encrypted"
    if flags & _DESCRIPTOR:
        return
    for what, here, there in (
        ("checksum", checksum, info.CRC),
        ("packed size", packed, info.compress_size),
        ("size", size, info.file_size),
    ):
        if here not in (there, _ZIP64):
            yield f"{info.orig_filename}: {what} {here} in its header, {there} in the directory"
