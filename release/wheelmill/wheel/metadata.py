"""The texts of a .dist-info: METADATA, WHEEL, RECORD and entry_points.txt, each within bounds."""

from __future__ import annotations

import configparser
import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from typing import TYPE_CHECKING

from wheelmill.wheel.errors import WheelError

if TYPE_CHECKING:
    from packaging.metadata import RawMetadata
    from packaging.requirements import Requirement

# The longest that a text may be, in bytes; the largest of the projects that PyPI serves most are far below.
MAX_BYTES = {"METADATA": 4 << 20, "WHEEL": 64 << 10, "RECORD": 32 << 20, "entry_points.txt": 1 << 20}
MAX_TEXT = 4 << 20  # of any other text
MAX_HEADERS = 5000
MAX_ROWS = 100_100  # of RECORD: the most members of an archive, and a few
MAX_VALUE = 1000  # bytes of a line with a name, a version or what Pythons it takes
MAX_LINE = 8192  # characters of a header that is read as a version, specifier, requirement or name


@dataclass(frozen=True)
class Metadata:
    """METADATA as read leniently: fields that could not be understood stand in `unparsed`."""

    raw: bytes
    fields: RawMetadata
    unparsed: Mapping[str, list[str]]

    @property
    def name(self) -> str:
        """Name, "" where it is not set."""
        return self.fields.get("name", "")

    @property
    def version(self) -> str:
        """Version, "" where it is not set."""
        return self.fields.get("version", "")

    @property
    def requires_python(self) -> str | None:
        """Requires-Python as written."""
        return self.fields.get("requires_python")

    @property
    def requires_dist(self) -> tuple[str, ...]:
        """The Requires-Dist lines as written."""
        return tuple(self.fields.get("requires_dist", ()))

    def requirements(self) -> Iterator[Requirement]:
        """Requires-Dist, read. Raises WheelError for a line that no installer understands."""
        from packaging.requirements import InvalidRequirement, Requirement

        for text in self.requires_dist:
            try:
                yield Requirement(text)
            except InvalidRequirement as error:
                raise WheelError(f"asks for {text!r}, which no installer understands: {error}") from error


def parse_metadata(raw: bytes) -> Metadata:
    """Read METADATA. Raises WheelError for what is beyond the bounds."""
    from packaging.metadata import parse_email  # a build that finds its wheels in the store reads none

    _check(raw, "METADATA")
    fields, unparsed = parse_email(raw)
    return Metadata(raw, fields, unparsed)


def parse_wheel(raw: bytes) -> Message:
    """The headers of WHEEL. Raises WheelError for what is beyond the bounds."""
    _check(raw, "WHEEL")
    return BytesHeaderParser().parsebytes(raw)


def _check(raw: bytes, name: str) -> None:
    if len(raw) > MAX_BYTES[name]:
        raise WheelError(f"{name} is {len(raw)} bytes long; no more than {MAX_BYTES[name]} are read")
    head = raw.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    lines = head.split(b"\n")
    if len(lines) > MAX_HEADERS:
        raise WheelError(f"{name} has {len(lines)} lines of headers; no more than {MAX_HEADERS} are read")
    for line in lines:
        if len(line) > MAX_VALUE and line.lower().startswith((b"name:", b"version:", b"requires-python:")):
            start = line[:20].decode("utf-8", "replace")
            raise WheelError(
                f"{name} has a value of {len(line)} bytes: {start}...; it has {MAX_VALUE} at most"
            )
    if name == "METADATA" and (long := max(map(len, lines))) > MAX_LINE and not _long_is_text(lines):
        raise WheelError(f"{name} has a header of {long} bytes; no more than {MAX_LINE} are read")


def _long_is_text(lines: list[bytes]) -> bool:
    """Whether all that is long is a description or license, which nobody takes apart."""
    free = (b"description:", b"license:", b"summary:", b"keywords:", b" ", b"\t")
    return all(len(line) <= MAX_LINE or line.lower().startswith(free) for line in lines)


@dataclass(frozen=True)
class Record:
    """RECORD: its rows by name, and what is wrong with it as text, with the name that it is about or ""."""

    rows: Mapping[str, tuple[str, str, str]]
    faults: tuple[tuple[str, str], ...]


def parse_record(raw: bytes) -> Record:
    """Read RECORD; a row that is none is a fault, and the others are read."""
    rows: dict[str, tuple[str, str, str]] = {}
    faults = []
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        text = raw.decode("utf-8", "replace")
        faults.append(("", f"is not UTF-8 at byte {error.start}"))
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text, newline=""))):
            if number == MAX_ROWS:
                faults.append(("", f"has more than {MAX_ROWS} rows; no more are read"))
                break
            if len(row) != 3:
                shown = ",".join(row)[:100]
                faults.append(("", f"has a row of {len(row)} fields instead of 3: {shown}"))
            elif row[0] in rows:
                faults.append((row[0], "is in RECORD twice"))
            else:
                rows[row[0]] = (row[0], row[1], row[2])
    except csv.Error as error:
        faults.append(("", f"cannot be read: {error}"))
    return Record(rows, tuple(faults))


def parse_entry_points(raw: bytes) -> dict[str, dict[str, str]]:
    """entry_points.txt: group -> name -> object. Raises WheelError for what installers cannot read."""
    if len(raw) > MAX_BYTES["entry_points.txt"]:
        raise WheelError(f"is {len(raw)} bytes long; no more than {MAX_BYTES['entry_points.txt']} are read")
    reader = configparser.ConfigParser(delimiters=("=",), interpolation=None, default_section="\0")
    reader.optionxform = str  # type: ignore[method-assign,assignment]
    try:
        reader.read_string(raw.decode("utf-8"))
    except (UnicodeDecodeError, configparser.Error) as error:
        raise WheelError(f"cannot be read: {' '.join(str(error).split())}") from None
    return {group: dict(reader.items(group)) for group in reader.sections()}
