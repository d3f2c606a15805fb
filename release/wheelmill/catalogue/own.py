"""Wheels of this project's own releases, recorded beside the published ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from wheelmill.catalogue.model import CatalogueError, Record, Wheel
from wheelmill.catalogue.record import SOURCE, read_record
from wheelmill.catalogue.refresh import PROJECT, in_order
from wheelmill.catalogue.remote import NoMetadataError, archive_metadata


def with_own(path: Path, source: str, files: Sequence[Path], today: date) -> Record:
    """The record at `path`, or a new one, with these wheels. Raises CatalogueError.

    A name that is recorded with other bytes is refused: a released file never changes.
    """
    if not SOURCE.fullmatch(source) or source == "index":
        raise CatalogueError(f"{source!r} cannot name a record of own wheels.", hint="Take another name.")
    before = read_record(path).wheels if path.is_file() else ()
    known = {wheel.file: wheel for wheel in before}
    for file in files:
        wheel = _read(file)
        other = known.setdefault(wheel.file, wheel)
        if other.sha256 != wheel.sha256:
            raise CatalogueError(f"{wheel.file} is recorded with SHA-256 {other.sha256}, not {wheel.sha256}")
    return Record(PROJECT, source, today.isoformat(), in_order(known.values()))


def _read(path: Path) -> Wheel:
    try:
        name, *_ = parse_wheel_filename(path.name)
        with path.open("rb") as file:
            found = archive_metadata(file)
        content = path.read_bytes()
    except (InvalidWheelFilename, NoMetadataError, OSError) as error:
        raise CatalogueError(f"{path} is not a wheel: {error}") from None
    if name.replace("-", "_") != PROJECT:
        raise CatalogueError(f"{path.name} is not a wheel of {PROJECT}")
    return Wheel(
        path.name, hashlib.sha256(content).hexdigest(), len(content), None, found.requires,
        found.requires_python, False,
    )  # fmt: skip
