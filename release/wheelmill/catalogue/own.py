"""Wheels of this project's own releases, recorded beside the published ones under their own source."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from wheelmill.catalogue.fields import SOURCE
from wheelmill.catalogue.model import PROJECT, CatalogueError, Record, Wheel
from wheelmill.catalogue.record import read_record, write_record
from wheelmill.catalogue.refresh import in_order
from wheelmill.catalogue.remote import NoMetadataError, archive_metadata

RELEASES = "releases"  # the source of this project's own releases


def add(
    folder: Path,
    files: Sequence[Path],
    published: datetime | None,
    source: str = RELEASES,
    project: str = PROJECT,
) -> Record:
    """Record wheels of a release that was published at a moment (None: not known); the record as written.

    `folder` is the catalogue's. Recording the same bytes again changes nothing but a day that was not known.
    Raises CatalogueError, and nothing is written: for a file that is no wheel of the project, and for a name
    that is recorded with other bytes, because a released file never changes.
    """
    wheels = [_read(file, published, source, project) for file in files]

    def with_these(known: dict[str, Wheel]) -> None:
        for wheel in wheels:
            before = known.setdefault(wheel.file, wheel)
            if before.sha256 != wheel.sha256:
                raise CatalogueError(
                    f"{wheel.file} is recorded with SHA-256 {before.sha256}, not {wheel.sha256}.",
                    hint="A released file never changes: build other bytes under another version.",
                )
            if before.uploaded is None:
                known[wheel.file] = replace(before, uploaded=wheel.uploaded)

    return _change(folder, source, published, with_these, project)


def yank(
    folder: Path,
    files: Collection[str],
    reason: str | None,
    at: datetime,
    source: str = RELEASES,
    project: str = PROJECT,
) -> Record:
    """Note by file name that released wheels were yanked, and why; None takes that back.

    Returns the record as written. Raises CatalogueError, and nothing is written, where the record lacks one.
    """

    def with_reason(known: dict[str, Wheel]) -> None:
        for file in files:
            if file not in known:
                raise CatalogueError(f"{source}.json has no wheel {file}.", hint="Add the release first.")
            known[file] = replace(known[file], yanked=False if reason is None else reason.strip() or True)

    return _change(folder, source, at, with_reason, project)


def _change(
    folder: Path,
    source: str,
    at: datetime | None,
    change: Callable[[dict[str, Wheel]], None],
    project: str,
) -> Record:
    """Read the record of a source, change its wheels, and write it whole, while nobody else does."""
    if not SOURCE.fullmatch(source) or source == "index":
        raise CatalogueError(
            f"{source!r} cannot name a record of own wheels.", hint=f"Take another name, such as {RELEASES}."
        )
    path = folder / f"{source}.json"
    day = (at or datetime.now(tz=timezone.utc)).date().isoformat()
    with _alone(folder):
        before = read_record(path) if path.is_file() else Record(project, source, day, ())
        if before.source != source:
            raise CatalogueError(f"{path} is the record of {before.source!r}, not of {source!r}.")
        known = {wheel.file: wheel for wheel in before.wheels}
        change(known)
        record = replace(before, read=max(day, before.read), wheels=in_order(known.values()))
        if record.wheels == before.wheels:
            return before
        write_record(path, record)
    return record


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until nobody else changes a record of this folder; what is killed leaves nothing held."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise CatalogueError(f"{folder} cannot be written: {error.strerror}.") from None
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    except OSError as error:
        raise CatalogueError(f"{folder} cannot be written: {error.strerror}.") from None
    finally:
        os.close(held)


def _read(path: Path, published: datetime | None, source: str, project: str) -> Wheel:
    try:
        name, *_ = parse_wheel_filename(path.name)
        if not path.is_file():
            raise CatalogueError(f"{path} is not a wheel: it is no regular file.")
        with path.open("rb") as file:
            found = archive_metadata(file)
            file.seek(0)
            digest, size = hashlib.sha256(), 0
            for chunk in iter(lambda: file.read(1 << 20), b""):
                digest.update(chunk)
                size += len(chunk)
    except (InvalidWheelFilename, NoMetadataError, OSError) as error:
        raise CatalogueError(f"{path} is not a wheel: {error}.") from None
    if name != canonicalize_name(project):
        raise CatalogueError(f"{path.name} is not a wheel of {project}.")
    moment = published.astimezone(timezone.utc) if published is not None else None
    uploaded = moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else None
    return Wheel(
        path.name, digest.hexdigest(), size, uploaded, found.requires, found.requires_python, False,
        source=source,
    )  # fmt: skip
