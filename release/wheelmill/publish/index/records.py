"""What the index knows of a wheel, and the rules that a set of wheels has to keep before it is shown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from wheelmill.errors import WheelmillError
from wheelmill.store import digest_file
from wheelmill.wheel.errors import WheelError
from wheelmill.wheel.facts import open_wheel
from wheelmill.wheel.metadata import parse_metadata
from wheelmill.wheel.name import parse_name


class IndexFaultError(WheelmillError):
    """Records that no index may be made of, all of them named; or a place that no index can be written to."""


@dataclass(frozen=True)
class WheelRecord:
    """One wheel. `sha256` is hex, `size` in bytes, `upload_time` in UTC, `metadata` the METADATA file.

    `yanked` is None, or why installers should not choose the wheel any more ("" when no reason is given).
    `path` is where its bytes lie now; it is no part of the record.
    """

    filename: str
    sha256: str
    size: int
    requires_python: str | None
    metadata: bytes = field(repr=False)
    upload_time: datetime
    yanked: str | None = None
    path: Path = field(compare=False, repr=False, default=Path())

    @classmethod
    def from_wheel(
        cls,
        path: Path,
        upload_time: datetime,
        *,
        filename: str | None = None,
        sha256: str | None = None,
        yanked: str | None = None,
    ) -> WheelRecord:
        """Read a wheel; `filename` where `path` is a content-addressed file without a name of its own.

        `sha256` is what was recorded of it. Raises IndexFaultError for what is no wheel, or another one.
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
            upload_time=upload_time.astimezone(timezone.utc),
            yanked=yanked,
            path=path,
        )

    @property
    def metadata_sha256(self) -> str:
        """The hash of the metadata side file, hex."""
        return hashlib.sha256(self.metadata).hexdigest()

    @property
    def project(self) -> str:
        """The normalized project name: torch_npu-... -> torch-npu."""
        return parse_name(self.filename).project

    @property
    def version(self) -> Version:
        """The version in the file name."""
        return Version(parse_name(self.filename).version)


def checked(records: Iterable[WheelRecord]) -> tuple[WheelRecord, ...]:
    """The records in the order that the index shows them.

    Raises IndexFaultError naming everything that is wrong: an index with one bad entry breaks all its users.
    """
    given = tuple(records)
    if not given:
        raise IndexFaultError(
            "there is no wheel to make an index of",
            hint="An empty index would take every wheel away from its users; build or select wheels first.",
        )
    faults = [*_duplicates(given), *(fault for record in given for fault in _faults(record))]
    if faults:
        listed = "\n  ".join(faults)
        raise IndexFaultError(
            f"{len(faults)} fault(s) in {len(given)} wheels:\n  {listed}",
            hint="Nothing was written. Leave the wheels out or build them again.",
        )
    return tuple(sorted(given, key=lambda r: (r.project, r.version, r.filename)))


def _duplicates(records: tuple[WheelRecord, ...]) -> Iterator[str]:
    seen: dict[str, WheelRecord] = {}
    for record in records:
        first = seen.setdefault(record.filename.casefold(), record)
        if first is not record:
            same = "with the same bytes" if first.sha256 == record.sha256 else "with other bytes"
            yield f"{record.filename}: is there twice, {same}"


def _faults(record: WheelRecord) -> Iterator[str]:
    name = record.filename
    try:
        wheel, metadata = parse_name(name), parse_metadata(record.metadata)
    except WheelError as error:
        yield f"{name}: {error.message}"
        return
    if (canonicalize_name(metadata.name), metadata.version) != (wheel.project, wheel.version):
        yield f"{name}: its metadata are those of {metadata.name} {metadata.version}"
    if wheel.written != wheel.version:
        yield f"{name}: its version is written {wheel.version} in canonical form"
    if metadata.requires_python != record.requires_python:
        yield f"{name}: Requires-Python is {metadata.requires_python} in its metadata"
    yield from _value_faults(record)


def _value_faults(record: WheelRecord) -> Iterator[str]:
    name = record.filename
    if len(record.sha256) != 64 or not set(record.sha256) <= set("0123456789abcdef"):
        yield f"{name}: {record.sha256!r} is not a SHA-256 in hex"
    if record.upload_time.tzinfo is None:
        yield f"{name}: its upload time has no time zone"
    if record.requires_python is not None:
        try:
            SpecifierSet(record.requires_python)
        except InvalidSpecifier:
            yield f"{name}: Requires-Python is {record.requires_python!r}, which is not a version specifier"
    if not record.path.is_file():
        yield f"{name}: {record.path} is missing"
    elif (size := record.path.stat().st_size) != record.size:
        yield f"{name}: {record.path} is {size} bytes instead of {record.size}"
