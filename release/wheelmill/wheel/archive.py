"""The zip container, read once and held to say the same thing to every reader.

A zip has its names, sizes and checksums several times: in a directory near the end, which most readers
follow; in a header before each file and a descriptor behind it, which streaming readers follow; in extra
fields of both; and the end record says where the directory is, and how long. Where these differ, installers
see two wheels in one file: each difference is a fault, and every byte has to belong to something.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from wheelmill.wheel.errors import WheelError

MAX_MEMBERS = 100_000
MAX_FAULTS = 50  # that are listed; more are counted
# What an archive of N bytes may unpack to: deflate packs a thousand zeros into a byte, and no real wheel.
MAX_UNPACKED = 64 << 20
MAX_RATIO = 40
_HINT = "The file is cut off or not a wheel; build or download it again."

_END = struct.Struct("<4s4H2IH")
_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
_ROW = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_LONGEST_COMMENT = 0xFFFF
_NONE16, _NONE32 = 0xFFFF, 0xFFFFFFFF  # "see the Zip64 record"

_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _DESCRIPTOR, _PATCH, _STRONG, _UTF8, _MASKED = 0x1, 0x8, 0x20, 0x40, 0x800, 0x2000
_ZIP64, _UNICODE_PATH = 0x0001, 0x7075
_ENCRYPTION_FIELDS = (0x0017, 0x9901)
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Member:
    """One row of the directory. `fault` says why its bytes cannot be had, whatever they are."""

    name: str
    method: int
    flags: int
    crc: int
    packed: int  # bytes
    size: int  # bytes, as the archive claims
    system: int
    attributes: int
    stamp: tuple[int, int]  # time and date as the archive has them
    offset: int  # of its header
    start: int = -1  # of its packed bytes
    fault: str | None = None

    @property
    def mode(self) -> int:
        """The Unix mode with the type of file; 0 where the writer set none."""
        return self.attributes >> 16

    @property
    def is_folder(self) -> bool:
        """Whether it stands for a folder."""
        return self.name.endswith("/")

    @property
    def date_time(self) -> tuple[int, int, int, int, int, int]:
        """Year, month, day, hour, minute, second."""
        time, date = self.stamp
        day = ((date >> 9) + 1980, date >> 5 & 15, date & 31)
        return (*day, time >> 11, time >> 5 & 63, (time & 31) * 2)


@dataclass(frozen=True)
class Archive:
    """A zip file. `faults` say where two readers could see two archives in it."""

    path: Path
    length: int  # bytes of the file
    members: tuple[Member, ...]
    faults: tuple[str, ...]
    by_name: Mapping[str, Member] = field(repr=False, compare=False)

    @property
    def allowance(self) -> int:
        """The bytes that it may unpack to."""
        return MAX_UNPACKED + MAX_RATIO * self.length

    def blocks(self, member: Member) -> Iterator[bytes]:
        """The member's content, piece by piece; never more than the size that the archive claims.

        Raises WheelError as soon as it is known that the content is not what the archive says.
        """
        with _open(self.path) as stream:
            yield from _content(stream, member)

    def read(self, member: Member, most: int) -> bytes:
        """All of the content. Raises WheelError for what is damaged, or longer than `most` bytes."""
        if member.size > most:
            raise WheelError(f"it is {member.size} bytes long; no more than {most} are read")
        return b"".join(self.blocks(member))

    def digest(self) -> str:
        """SHA-256 of the whole file, in hex."""
        digest = hashlib.sha256()
        with _open(self.path) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
        return digest.hexdigest()


def open_archive(path: Path, shown: str | None = None) -> Archive:
    """Read the directory and every header. Raises WheelError where there is no telling what is in it.

    `shown` is the name to use in errors where the file has none of its own.
    """
    name = shown or path.name
    with _open(path, name) as stream:
        length = os.fstat(stream.fileno()).st_size
        try:
            end = _find_end(stream, length)
            rows, faults = _directory(stream, end)
            members, more = _headers(stream, rows, end.start)
        except (_UnreadableError, struct.error, OSError) as error:
            raise WheelError(f"{name} is not a readable zip archive: {error}", hint=_HINT) from None
    faults = [*faults, *more, *end.faults]
    listed = faults[:MAX_FAULTS]
    if len(faults) > len(listed):
        listed.append(f"and {len(faults) - len(listed)} more places of that kind")
    by_name = {member.name: member for member in reversed(members)}
    return Archive(path, length, tuple(members), tuple(listed), by_name)


def read_one(stream: BinaryIO, length: int, wanted: Callable[[str], bool], most: int) -> bytes:
    """The content of the only member whose name is `wanted`, of an open archive of `length` bytes.

    Reads the directory and that member, nothing else: for a stream whose every byte is fetched. So only
    what concerns this member is held to say one thing. Raises WheelError.
    """
    try:
        end = _find_end(stream, length)
        rows, _ = _directory(stream, end)
        found = [row for row in rows if wanted(row.member.name)]
        if len(found) != 1:
            raise WheelError(f"it has {len(found)} such files")
        member, _ = _local(stream, found[0], end.start, [])
    except (_UnreadableError, struct.error) as error:
        raise WheelError(f"not a readable zip archive: {error}", hint=_HINT) from None
    if member.size > most:
        raise WheelError(f"{member.name} is {member.size} bytes long; no more than {most} are read")
    return b"".join(_content(stream, member))


class _UnreadableError(Exception):
    pass


def _open(path: Path, name: str | None = None) -> BinaryIO:
    """Open a regular file; a pipe would be waited for, a device has no end."""
    name = name or path.name
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise WheelError(f"{path} cannot be read: {reason}", hint="Give the path of a built wheel.") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise WheelError(f"{path} cannot be read: it is not a regular file", hint="Give a built wheel.")
    return os.fdopen(descriptor, "rb")


# ------------------------------------------------------------------------------------------ the end record
@dataclass(frozen=True)
class _End:
    """Where the directory is: from `start` for `size` bytes; offsets in it are `shift` too small."""

    start: int
    size: int
    count: int
    shift: int
    faults: tuple[str, ...]


def _find_end(stream: BinaryIO, length: int) -> _End:
    tail_at = max(0, length - _END.size - _LONGEST_COMMENT)
    stream.seek(tail_at)
    tail = stream.read()
    place = tail.rfind(b"PK\5\6", 0, max(0, len(tail) - _END.size + 4))
    if place < 0:
        raise _UnreadableError("it has no end record")
    _, disk, disk_of_directory, here, total, size, offset, comment = _END.unpack_from(tail, place)
    at = tail_at + place
    faults = []
    behind = length - at - _END.size
    if comment != behind:
        faults.append(f"{behind} bytes follow the end record, whose comment is {comment} bytes long")
    elif comment:
        faults.append(f"the archive ends with a comment of {comment} bytes")
    claims = (disk, disk_of_directory, here, total, size, offset)
    stop, found, more = _zip64_end(stream, at, claims)
    disk, disk_of_directory, here, total, size, offset = found
    if (disk, disk_of_directory) != (0, 0):
        faults.append(f"the end record speaks of disks {disk} and {disk_of_directory}; there is one, 0")
    if here != total:
        faults.append(f"the end record counts {here} entries on this disk and {total} in all")
    start = stop - size
    if start < 0 or start < offset:
        raise _UnreadableError("its directory is not where its end record says")
    if start != offset:
        faults.append(f"the directory is {start - offset} bytes behind where the end record says")
    return _End(start, size, total, start - offset, (*faults, *more))


def _zip64_end(stream: BinaryIO, at: int, claims: tuple[int, ...]) -> tuple[int, tuple[int, ...], list[str]]:
    """(where the directory has to end, what the records claim, faults), with Zip64's record looked into."""
    asked = _NONE16 in claims[:4] or _NONE32 in claims[4:]
    stream.seek(max(0, at - _LOCATOR.size))
    raw = stream.read(min(at, _LOCATOR.size))
    if len(raw) < _LOCATOR.size or not raw.startswith(b"PK\6\7"):
        if _NONE32 in claims[4:]:
            raise _UnreadableError("its end record refers to a Zip64 record that is not there")
        return at, claims, []
    _, disk, place, disks = _LOCATOR.unpack(raw)
    record_at = at - _LOCATOR.size - _END64.size
    stream.seek(max(0, record_at))
    raw = stream.read(_END64.size)
    if record_at < 0 or not raw.startswith(b"PK\6\6"):
        raise _UnreadableError("the Zip64 end record is not in front of its locator")
    _, length, _, _, *found = _END64.unpack(raw)
    faults = []
    if not asked:
        faults.append("a Zip64 end record is there that the end record does not refer to")
    if (disk, place, length) != (0, record_at, _END64.size - 12) or disks > 1:
        faults.append("the locator of the Zip64 end record and the record differ")
    nones = (_NONE16,) * 4 + (_NONE32,) * 2
    if any(claim not in (none, value) for claim, none, value in zip(claims, nones, found, strict=True)):
        faults.append("the end record and the Zip64 end record differ")
    return record_at, tuple(found), faults


# ------------------------------------------------------------------------------------------- the directory
@dataclass(frozen=True)
class _Row:
    member: Member
    raw_name: bytes
    extras: Mapping[int, bytes]


def _directory(stream: BinaryIO, end: _End) -> tuple[list[_Row], list[str]]:
    stream.seek(end.start)
    data = stream.read(end.size)
    rows: list[_Row] = []
    faults: list[str] = []
    at = 0
    while at < len(data):
        if len(rows) == MAX_MEMBERS:
            raise _UnreadableError(f"it has more than {MAX_MEMBERS} members")
        if len(data) - at < _ROW.size or data[at : at + 4] != b"PK\1\2":
            raise _UnreadableError(f"its directory is damaged after {len(rows)} entries")
        fields = _ROW.unpack_from(data, at)
        lengths = fields[10:13]
        stop = at + _ROW.size + sum(lengths)
        if stop > len(data):
            raise _UnreadableError(f"its directory is damaged after {len(rows)} entries")
        name_at, extra_at = at + _ROW.size, at + _ROW.size + lengths[0]
        raw_name, extra = data[name_at:extra_at], data[extra_at : extra_at + lengths[1]]
        rows.append(_row(fields, raw_name, extra, end.shift, faults))
        at = stop
    if len(rows) != end.count:
        faults.append(f"the directory has {len(rows)} entries, the end record counts {end.count}")
    return rows, faults


def _row(fields: tuple[int, ...], raw_name: bytes, extra: bytes, shift: int, faults: list[str]) -> _Row:
    _, made, _, flags, method, time, date, crc, packed, size, _, _, _, disk, _, attributes, offset = fields
    name, fault = _decoded(raw_name, flags)
    if fault:
        faults.append(f"{name}: {fault}")
    extras = _extras(extra, name, "in the directory", faults)
    claims = {"size": size, "packed": packed, "offset": offset}
    size, packed, offset = _zip64(claims, extras, name, "in the directory", faults)
    if disk not in (0, _NONE16):
        faults.append(f"{name}: is on disk {disk}, and there is one, 0")
    _unicode_path(raw_name, extras, name, "in the directory", faults)
    fault = _unusable(flags, method, extras)
    member = Member(
        name, method, flags, crc, packed, size, made >> 8, attributes, (time, date), offset + shift, -1, fault
    )
    return _Row(member, raw_name, extras)


def _decoded(raw: bytes, flags: int) -> tuple[str, str | None]:
    """A name as text, and what makes it unclear."""
    if flags & _UTF8:
        try:
            return raw.decode("utf-8"), None
        except UnicodeDecodeError:
            return raw.decode("utf-8", "replace"), "its name is marked as UTF-8 and is none"
    fault = None if raw.isascii() else "its name is beyond ASCII and not marked as UTF-8"
    return raw.decode("cp437"), fault


def _extras(raw: bytes, name: str, where: str, faults: list[str]) -> dict[int, bytes]:
    """The extra fields by their number."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(raw):
        if len(raw) - at < 4:
            faults.append(f"{name}: {len(raw) - at} bytes that are no extra field {where}")
            break
        kind, length = struct.unpack_from("<2H", raw, at)
        data = raw[at + 4 : at + 4 + length]
        at += 4 + length
        if len(data) < length:
            faults.append(f"{name}: the extra field {kind:#06x} {where} is longer than its place")
        elif kind in found:
            faults.append(f"{name}: the extra field {kind:#06x} is there twice {where}")
        else:
            found[kind] = data
    return found


def _zip64(
    claims: Mapping[str, int], extras: Mapping[int, bytes], name: str, where: str, faults: list[str]
) -> list[int]:
    """The claims (sizes, offset), those that refer to the Zip64 field taken from there."""
    wanted = [what for what, value in claims.items() if value == _NONE32]
    raw = extras.get(_ZIP64)
    if raw is None:
        faults += [f"{name}: its {what} {where} refers to a Zip64 field that is not there" for what in wanted]
        return list(claims.values())
    if len(raw) != 8 * len(wanted) or not wanted:
        asked = ", ".join(wanted) or "nothing"
        faults.append(f"{name}: a Zip64 field of {len(raw)} bytes {where}, where {asked} refers to it")
        return list(claims.values())
    values = dict(zip(wanted, struct.unpack(f"<{len(wanted)}Q", raw), strict=True))
    return [values.get(what, value) for what, value in claims.items()]


def _unicode_path(
    raw_name: bytes, extras: Mapping[int, bytes], name: str, where: str, faults: list[str]
) -> None:
    raw = extras.get(_UNICODE_PATH)
    if raw is not None and (raw[5:] != raw_name or raw[:1] != b"\1"):
        other = raw[5:].decode("utf-8", "replace")
        faults.append(f"{name}: its extra field 0x7075 {where} calls it {other!r}")


def _unusable(flags: int, method: int, extras: Mapping[int, bytes]) -> str | None:
    """Why installers cannot unpack a member."""
    if flags & (_ENCRYPTED | _STRONG | _MASKED) or any(kind in extras for kind in _ENCRYPTION_FIELDS):
        return "it is encrypted"
    if flags & _PATCH:
        return "it is patch data"
    if method not in (_STORED, _DEFLATED):
        known = {9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "XZ"}
        named = known.get(method, f"method {method}")
        return f"it is packed with {named}; every installer takes stored and deflate, and no other"
    return None


# ------------------------------------------------------------------------------- headers and descriptors
def _headers(stream: BinaryIO, rows: list[_Row], stop: int) -> tuple[list[Member], list[str]]:
    """The members with the places of their bytes, in the directory's order, and where the headers differ."""
    faults: list[str] = []
    found: dict[int, Member] = {}
    position = 0
    order = sorted(range(len(rows)), key=lambda index: rows[index].member.offset)
    for number, index in enumerate(order):
        row = rows[index]
        _gap(position, row.member.offset, f"before {row.member.name}", faults)
        if row.member.offset < position:  # so that no byte is read twice, whatever the directory says
            found[index] = replace(row.member, fault="it overlaps the file before it")
            continue
        following = rows[order[number + 1]].member.offset if number + 1 < len(order) else stop
        found[index], position = _local(stream, row, following, faults)
    _gap(position, stop, "before the directory", faults)
    return [found[index] for index in range(len(rows))], faults


def _gap(position: int, start: int, where: str, faults: list[str]) -> None:
    if start < position:
        faults.append(f"entries overlap by {position - start} bytes {where}")
    elif start > position:
        faults.append(f"{start - position} bytes that belong to no file {where}")


def _local(stream: BinaryIO, row: _Row, following: int, faults: list[str]) -> tuple[Member, int]:
    """The member with the place of its bytes, and where the next one begins by its header."""
    member, name = row.member, row.member.name
    stream.seek(member.offset)
    raw = stream.read(_LOCAL.size)
    if len(raw) < _LOCAL.size or not raw.startswith(b"PK\3\4"):
        text = "no file header where the directory says it is"
        faults.append(f"{name}: {text}")
        return replace(member, fault=text), member.offset
    header = _LOCAL.unpack(raw)
    raw_name, extra = stream.read(header[9]), stream.read(header[10])
    start = member.offset + _LOCAL.size + header[9] + header[10]
    extras = _compare(row, header, raw_name, extra, faults)
    position = start + member.packed
    fault = member.fault
    if position > following:
        fault = fault or f"its {member.packed} packed bytes reach into what follows"
    elif header[2] & _DESCRIPTOR:
        position += _descriptor(stream, member, position, following, _ZIP64 in extras, faults)
        if member.method == _STORED and header[8] != member.size:
            faults.append(f"{name}: is stored with its size behind it, where no reader finds the end")
    return replace(member, start=start, fault=fault), position


def _compare(
    row: _Row, header: tuple[int, ...], raw_name: bytes, extra: bytes, faults: list[str]
) -> Mapping[int, bytes]:
    """Note where the header before a file and its row in the directory differ; its extra fields."""
    member, name = row.member, row.member.name
    _, _, flags, method, time, date, checksum, packed, size, _, _ = header
    here, _ = _decoded(raw_name, flags)
    if here != name:
        faults.append(f"{name}: the file's own header calls it {here!r}")
    if method != member.method:
        faults.append(f"{name}: method {method} in its header, {member.method} in the directory")
    if (flags ^ member.flags) & (_DESCRIPTOR | _ENCRYPTED | _STRONG | _MASKED | _PATCH):
        faults.append(f"{name}: flags {flags:#x} in its header, {member.flags:#x} in the directory")
    elif flags & _ENCRYPTED:
        faults.append(f"{name}: is encrypted")
    if (time, date) != member.stamp:
        faults.append(f"{name}: its time in its header is not the one in the directory")
    extras = _extras(extra, name, "in its header", faults)
    if extras.get(_ZIP64) != struct.pack("<2Q", size, packed):  # says the same again; protobuf's do
        size, packed = _zip64({"size": size, "packed": packed}, extras, name, "in its header", faults)
    _unicode_path(raw_name, extras, name, "in its header", faults)
    pairs = (
        ("checksum", checksum, member.crc),
        ("packed size", packed, member.packed),
        ("size", size, member.size),
    )
    for what, mine, there in pairs:
        if mine != there and not (flags & _DESCRIPTOR and mine == 0):
            faults.append(f"{name}: {what} {mine} in its header, {there} in the directory")
    return extras


def _descriptor(
    stream: BinaryIO, member: Member, at: int, following: int, long: bool, faults: list[str]
) -> int:
    """The bytes of the descriptor behind a file, which repeats its checksum and sizes."""
    stream.seek(at)
    values = struct.pack("<I2Q" if long else "<3I", member.crc, member.packed, member.size)
    raw = stream.read(min(following - at, len(values) + 4))
    for wanted in (b"PK\7\x08" + values, values):
        if raw.startswith(wanted):
            return len(wanted)
    faults.append(f"{member.name}: the descriptor behind its data is not what the directory says")
    return min(following - at, len(values) + 4 * raw.startswith(b"PK\7\x08"))


# ------------------------------------------------------------------------------------------------ the content
def _content(stream: BinaryIO, member: Member) -> Iterator[bytes]:
    """What a member unpacks to, held to its size and checksum; raises WheelError."""
    if member.fault is not None:
        raise WheelError(member.fault)
    stream.seek(member.start)
    size = checksum = 0
    for block in _inflated(stream, member) if member.method == _DEFLATED else _stored(stream, member):
        size, checksum = size + len(block), zlib.crc32(block, checksum)
        if size > member.size:
            break
        yield block
    if size != member.size:
        more = "more than " if size > member.size else ""
        raise WheelError(f"it unpacks to {more}{min(size, member.size)} bytes instead of {member.size}")
    if checksum != member.crc:
        raise WheelError(f"its checksum is {checksum:08x} instead of {member.crc:08x}")


def _stored(stream: BinaryIO, member: Member) -> Iterator[bytes]:
    left = member.packed
    while left and (block := stream.read(min(left, _BLOCK))):
        left -= len(block)
        yield block


def _inflated(stream: BinaryIO, member: Member) -> Iterator[bytes]:
    """Raw deflate data, which has to end where the archive says."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for packed in _stored(stream, member):
            while packed:
                yield unpacker.decompress(packed, _BLOCK)
                packed = unpacker.unconsumed_tail
                if unpacker.eof:
                    break
            if unpacker.eof:
                break
        yield unpacker.flush()
    except zlib.error as error:
        raise WheelError(f"its packed bytes are damaged: {error}") from None
    if not unpacker.eof:
        raise WheelError("its packed bytes have no end")
    if unpacker.unused_data or stream.tell() != member.start + member.packed:
        raise WheelError("bytes follow the end of its packed content")
