"""Audit a sample of the published wheels: what their files need, kept in the record with the day."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from wheelmill.catalogue.model import Audited, CatalogueError, Record, Wheel
from wheelmill.catalogue.remote import served
from wheelmill.matrix.versions import base_version

MAX_BYTES = 1 << 30


def chosen(record: Record, files: Sequence[str], sample: int | None) -> tuple[Wheel, ...]:
    """The wheels to audit: those named, else the newest of each torch and architecture without an audit.

    Raises CatalogueError for a name that the record does not have.
    """
    known = {wheel.file: wheel for wheel in record.wheels}
    unknown = [file for file in files if file not in known]
    if unknown:
        raise CatalogueError(
            f"the record has no {unknown[0]}",
            hint="Names as in matrix/catalogue/index.json; or take --sample N.",
        )
    if files:
        return tuple(known[file] for file in files)
    done = {_group(wheel) for wheel in record.wheels if wheel.audited is not None and wheel.audited.torch}
    first: dict[tuple[str | None, str | None], Wheel] = {}
    for wheel in record.wheels:
        if _group(wheel) not in done and wheel.sha256 is not None:
            first.setdefault(_group(wheel), wheel)
    return tuple(first.values())[: sample or 1]


def to_download(wheels: Sequence[Wheel]) -> tuple[str, ...]:
    """What an audit of these downloads, one a line: each file with its size, and the sum of several."""
    lines = [f"to download: {one.file} ({_size(one.size)})" for one in wheels]
    known = [one.size for one in wheels if one.size is not None]
    if len(wheels) > 1:
        least = "" if len(known) == len(wheels) else "at least "
        lines.append(f"to download in all: {least}{_size(sum(known))}")
    return tuple(lines)


def _size(size: int | None) -> str:
    return "size unknown" if size is None else f"{size / (1 << 20):.1f} MiB"


def _group(wheel: Wheel) -> tuple[str | None, str | None]:
    return base_version(wheel.version), wheel.arch


def audited(
    record: Record,
    wheel: Wheel,
    url: str,
    today: date,
    judge: Callable[[Path], tuple[str, bool, str]],
    *,
    verify: str | bool = True,
) -> tuple[Record, Audited]:
    """Download one wheel, hold it to its hash, and judge it; the record with what was found.

    `judge` gives the oldest platform that a wheel's files run on, whether its tag is as new, and the torches
    in which they run. Raises CatalogueError when the index does not serve the recorded bytes.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, wheel.file)
        download(served(url), record.project, wheel, path, verify)
        platform, right, torches = judge(path)
    arch = f"_{wheel.arch}"
    verdict = "right" if right else "tag too old"
    found = Audited(today.isoformat(), platform.removesuffix(arch), verdict, torches)
    wheels = tuple(replace(one, audited=found) if one.file == wheel.file else one for one in record.wheels)
    return replace(record, wheels=wheels), found


def download(url: str, project: str, wheel: Wheel, path: Path, verify: str | bool) -> None:
    """Write a wheel of the index to `path`. Raises CatalogueError where its bytes are not those recorded."""
    import requests as http
    from pypi_simple import NoSuchProjectError, PyPISimple

    session = http.Session()
    session.verify = verify
    try:
        with PyPISimple(url, session=session) as client:
            page = client.get_project_page(project, timeout=60)
            package = next((one for one in page.packages if one.filename == wheel.file), None)
            if package is None:
                raise CatalogueError(f"the index {url} has no {wheel.file} any more")
            digest, size = hashlib.sha256(), 0
            with session.get(package.url, stream=True, timeout=60) as answer, path.open("wb") as file:
                answer.raise_for_status()
                for chunk in answer.iter_content(1 << 20):
                    size += len(chunk)
                    if size > MAX_BYTES:
                        raise CatalogueError(f"{wheel.file} is longer than {MAX_BYTES >> 20} MiB")
                    digest.update(chunk)
                    file.write(chunk)
    except (http.RequestException, NoSuchProjectError, LookupError, ValueError) as error:
        raise CatalogueError(f"{wheel.file} cannot be downloaded: {error}") from None
    if wheel.sha256 is not None and digest.hexdigest() != wheel.sha256:
        raise CatalogueError(
            f"{wheel.file} has SHA-256 {digest.hexdigest()}, the record says {wheel.sha256}",
            hint="An index must not replace a file: wheelmill catalogue refresh shows what else changed.",
        )
