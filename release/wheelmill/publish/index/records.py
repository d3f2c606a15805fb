"""What the index knows of a wheel, and the rules that a set of wheels has to keep before it is shown."""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from wheelmill.errors import WheelmillError
from wheelmill.store import digest_file
from wheelmill.wheel.errors import WheelError
from wheelmill.wheel.facts import open_wheel
from wheelmill.wheel.metadata import parse_metadata
from wheelmill.wheel.name import parse_name

_SHA256 = re.compile(r"[0-9a-f]{64}")
# Where a record's line or SDK names a root, it becomes part of an address.
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_FIELDS = tuple(
    re.compile(rb"^" + name + rb":[ \t]*(\S.*?)[ \t\r]*$(?!\n[ \t])", re.MULTILINE | re.IGNORECASE)
    for name in (b"Name", b"Version", b"Requires-Python")
)
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_SIDE = re.compile(r"\.[a-z0-9]+(\.[a-z0-9]+)*")


class IndexFaultError(WheelmillError):
    """Records that no index may be made of, all of them named; or a place that no index can be written to."""


@dataclass(frozen=True, slots=True)
class SideFile:
    """A file beside a wheel: `<wheel>.intoto.jsonl`, `<wheel>.cdx.json`. `suffix` starts with its dot.

    `path` is where its bytes lie now; it is no part of the record, and None once it is in an index.
    """

    suffix: str
    sha256: str
    path: Path | None = field(compare=False, repr=False, default=None)

    @classmethod
    def of(cls, suffix: str, path: Path) -> SideFile:
        """The side file whose bytes lie at `path`."""
        return cls(suffix, digest_file(path), path)


@dataclass(frozen=True, slots=True)
class WheelRecord:
    """One wheel. `sha256` is hex, `size` in bytes, `uploaded` when it was published, as `moment` has it.

    `yanked` is None, or why installers should not choose the wheel any more ("" when no reason is given).
    `lines` and `canns` are the release lines that it belongs to and the SDKs that it was built for, as the
    matrix writes them: they decide which roots show it.

    `path` is where its bytes lie now, `metadata` its METADATA file. Neither is part of the record; both are
    None in a record that was read from an index.
    """

    filename: str
    sha256: str
    size: int
    requires_python: str | None
    uploaded: str
    metadata: bytes | None = field(compare=False, repr=False, default=None)
    yanked: str | None = None
    path: Path | None = field(compare=False, repr=False, default=None)
    lines: tuple[str, ...] = ()
    canns: tuple[str, ...] = ()
    sides: tuple[SideFile, ...] = ()
    metadata_sha256: str = ""

    def __post_init__(self) -> None:
        """The hash of the metadata side file follows from it."""
        if self.metadata is not None:
            object.__setattr__(self, "metadata_sha256", hashlib.sha256(self.metadata).hexdigest())

    @classmethod
    def from_wheel(
        cls,
        path: Path,
        upload_time: datetime,
        *,
        filename: str | None = None,
        sha256: str | None = None,
        yanked: str | None = None,
        lines: Sequence[str] = (),
        canns: Sequence[str] = (),
        sides: Mapping[str, Path] | None = None,
    ) -> WheelRecord:
        """Read a wheel; `filename` where `path` is a content-addressed file without a name of its own.

        `sha256` is what was recorded of it; `sides` maps the suffixes of side files to where they lie. Raises
        IndexFaultError for what is no wheel, or another one.
        """
        name = filename or path.name
        try:
            metadata = open_wheel(path, name).metadata
            size, digest = path.stat().st_size, digest_file(path)
        except (WheelError, OSError) as error:
            reason = error.message if isinstance(error, WheelError) else error
            raise IndexFaultError(
                f"{name} cannot be read as a wheel: {reason}", hint="Build it again, or leave it out."
            ) from None
        if sha256 not in (None, digest):
            raise IndexFaultError(
                f"{name} is another file than was admitted: its SHA-256 is {digest}, recorded is {sha256}",
                hint="Build it again.",
            )
        return cls(
            filename=name,
            sha256=digest,
            size=size,
            requires_python=metadata.requires_python,
            metadata=metadata.raw,
            uploaded=moment(upload_time),
            yanked=yanked,
            path=path,
            lines=tuple(lines),
            canns=tuple(canns),
            sides=tuple(SideFile.of(suffix, side) for suffix, side in sorted((sides or {}).items())),
        )

    @property
    def project(self) -> str:
        """The normalized project name: crc_demo-... -> crc-demo."""
        return canonical_project(self.filename.partition("-")[0])

    @property
    def version(self) -> Version:
        """The version in the file name."""
        return _version(self.filename.split("-", 2)[1])


def moment(when: datetime) -> str:
    """As PEP 700 has it, in UTC: `2026-11-29T20:15:00.000000Z`. Raises ValueError without a time zone."""
    if when.tzinfo is None:
        raise ValueError(f"{when} has no time zone")
    return f"{when.astimezone(timezone.utc).isoformat(timespec='microseconds')[:-6]}Z"


@lru_cache(maxsize=1 << 16)
def canonical_project(name: str) -> str:
    """`crc_demo` -> `crc-demo`."""
    return canonicalize_name(name)


@lru_cache(maxsize=1 << 16)
def _version(text: str) -> Version:
    return Version(text)


def in_order(records: Iterable[WheelRecord]) -> list[WheelRecord]:
    """The records in the order that the index shows them: by project, version, file name."""
    return sorted(records, key=_place)


def _place(record: WheelRecord) -> tuple[str, Version, str]:
    project, version, _ = record.filename.split("-", 2)
    return canonical_project(project), _version(version), record.filename


def checked(records: Iterable[WheelRecord]) -> tuple[WheelRecord, ...]:
    """The records in the order that the index shows them; one wheel of several lines is one record.

    Raises IndexFaultError naming everything that is wrong: an index with one bad entry breaks all its users.
    """
    given = tuple(records)
    if not given:
        raise IndexFaultError(
            "there is no wheel to make an index of",
            hint="An empty index would take every wheel away from its users; build or select wheels first.",
        )
    whole, faults = _merged(given)
    faults += [fault for record in whole for fault in _faults(record)]
    if faults:
        listed = "\n  ".join(faults)
        raise IndexFaultError(
            f"{len(faults)} fault(s) in {len(given)} wheels:\n  {listed}",
            hint="Nothing was written. Leave the wheels out or build them again.",
        )
    return tuple(in_order(whole))


def _merged(records: Iterable[WheelRecord]) -> tuple[list[WheelRecord], list[str]]:
    """One record per file name, and what is there twice and may not be."""
    seen: dict[str, WheelRecord] = {}
    faults = []
    for record in records:
        key = record.filename.casefold()
        first = seen.setdefault(key, record)
        if first is record:
            continue
        if first.sha256 != record.sha256:
            faults.append(f"{record.filename}: is there twice, with other bytes")
        elif not (first.lines and record.lines):
            faults.append(f"{record.filename}: is there twice, with the same bytes")
        else:
            seen[key] = merge(first, record)
    return list(seen.values()), faults


def merge(first: WheelRecord, second: WheelRecord) -> WheelRecord:
    """One record of the same wheel in the lines and with the side files of both; the first one's words
    stand."""
    sides = {side.suffix: side for side in (*second.sides, *first.sides)}
    return replace(
        first,
        lines=tuple(dict.fromkeys((*first.lines, *second.lines))),
        canns=tuple(dict.fromkeys((*first.canns, *second.canns))),
        sides=tuple(sides[suffix] for suffix in sorted(sides)),
        path=first.path or second.path,
        metadata=second.metadata if first.metadata is None else first.metadata,
    )


def _faults(record: WheelRecord) -> Iterator[str]:
    name = record.filename
    yield from _value_faults(record)
    if _plainly_right(record):
        return
    try:
        wheel = parse_name(name)
        metadata = None if record.metadata is None else parse_metadata(record.metadata)
    except WheelError as error:
        yield f"{name}: {error.message}"
        return
    if wheel.written != wheel.version:
        yield f"{name}: its version is written {wheel.version} in canonical form"
    if metadata is None:
        return  # it is in an index, and was checked before it got there
    if (canonicalize_name(metadata.name), metadata.version) != (wheel.project, wheel.version):
        yield f"{name}: its metadata are those of {metadata.name} {metadata.version}"
    if metadata.requires_python != record.requires_python:
        yield f"{name}: Requires-Python is {metadata.requires_python} in its metadata"


def _plainly_right(record: WheelRecord) -> bool:
    """Whether a glance shows what reading all of it would: names and metadata as most wheels have them."""
    parts = record.filename.removesuffix(".whl").split("-", 2)
    if len(parts) != 3 or not _is_tag(parts[2]) or not _is_canonical(parts[1]):
        return False
    if record.metadata is None:
        return _is_project(parts[0])
    head = record.metadata.partition(b"\n\n")[0]
    python = _FIELDS[2].findall(head)
    said = [field.findall(head) for field in _FIELDS[:2]]
    return (
        _is_project(parts[0])
        and [len(found) for found in said] == [1, 1]
        and canonical_project(said[0][0].decode("utf-8", "replace")) == canonical_project(parts[0])
        and said[1][0] == parts[1].encode()
        and python == ([] if record.requires_python is None else [record.requires_python.encode()])
    )


@lru_cache(maxsize=4096)
def _is_tag(tag: str) -> bool:
    """Whether it is a wheel's tag without a build number."""
    try:
        return tag.count("-") == 2 and bool(parse_name(f"x-1-{tag}.whl"))
    except WheelError:
        return False


@lru_cache(maxsize=1 << 16)
def _is_canonical(version: str) -> bool:
    try:
        return str(_version(version)) == version
    except ValueError:
        return False


@lru_cache(maxsize=1 << 16)
def _is_project(name: str) -> bool:
    try:
        return bool(parse_name(f"{name}-1-py3-none-any.whl"))
    except WheelError:
        return False


def _value_faults(record: WheelRecord) -> Iterator[str]:
    name = record.filename
    hashes = {"its": record.sha256, **{f"{side.suffix}'s": side.sha256 for side in record.sides}}
    for whose, digest in hashes.items():
        if not _SHA256.fullmatch(digest):
            yield f"{name}: {whose} hash {digest!r} is not a SHA-256 in hex"
    if not _is_moment(record.uploaded):
        yield f"{name}: its upload time is {record.uploaded!r} and no moment of UTC"
    if record.requires_python is not None and not _is_specifier(record.requires_python):
        yield f"{name}: Requires-Python is {record.requires_python!r}, which is not a version specifier"
    for word in (*record.lines, *record.canns):
        if not _WORD.fullmatch(word):
            yield f"{name}: {word!r} cannot be part of an address"
    for side in record.sides:
        if not _SIDE.fullmatch(side.suffix) or side.suffix == ".metadata":
            yield f"{name}: {side.suffix!r} is no name for a side file"
        elif side.path is not None and not side.path.is_file():
            yield f"{name}: {side.path} is missing"
    if record.path is not None:
        yield from _file_faults(record, record.path)


def _file_faults(record: WheelRecord, path: Path) -> Iterator[str]:
    try:
        about = path.stat()
    except OSError:
        about = None
    if about is None or not stat.S_ISREG(about.st_mode):
        yield f"{record.filename}: {path} is missing"
    elif about.st_size != record.size:
        yield f"{record.filename}: {path} is {about.st_size} bytes instead of {record.size}"


def _is_moment(text: str) -> bool:
    try:
        return moment(datetime.fromisoformat(f"{text[:-1]}+00:00")) == text
    except ValueError:
        return False


@lru_cache(maxsize=4096)
def _is_specifier(text: str) -> bool:
    try:
        SpecifierSet(text)
    except ValueError:
        return False
    return True
