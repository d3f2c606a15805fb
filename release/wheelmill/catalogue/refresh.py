"""Make a record from a package index: every wheel of the project, with what the index and the wheels tell.

An index may be a mirror that strips fields. What nobody tells stays unknown, and the record says so: pip
reads a missing `yanked` as "not yanked", but a record must not.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from wheelmill.catalogue.fields import FIELDS, SOURCE, file_fault
from wheelmill.catalogue.model import PROJECT, CatalogueError, Record, Wheel
from wheelmill.catalogue.remote import NoMetadataError, remote_metadata, served
from wheelmill.console import without_password
from wheelmill.matrix.versions import python_key, version

if TYPE_CHECKING:
    import requests
    from pypi_simple import DistributionPackage

_CONNECTIONS = 8


@dataclass(frozen=True)
class Refreshed:
    """A new record, and how it differs from the one before.

    `gone` are files that the index does not list any more, `changed` those that have other bytes there.
    `unread` are wheels whose METADATA did not come, with the reason; `ignored` are files that are no wheels.
    """

    record: Record
    new: tuple[str, ...]
    gone: tuple[str, ...]
    changed: tuple[str, ...]
    unread: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]


def refresh(
    url: str,
    before: Record | None,
    today: date,
    *,
    project: str = PROJECT,
    source: str = "index",
    verify: str | bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> Refreshed:
    """Read the index at `url`. METADATA is read of wheels that `before` does not have with the same hash.

    `verify` is a file of certificates, or True. Raises CatalogueError when the index cannot be read or lists
    no wheel.
    """
    if not SOURCE.fullmatch(source):
        raise CatalogueError(f"{source!r} cannot name a record.", hint="Use lower-case letters and digits.")
    url = served(url)
    import requests as http
    from pypi_simple import NoSuchProjectError, PyPISimple, UnsupportedRepoVersionError

    session = http.Session()
    session.verify = verify
    session.mount("https://", http.adapters.HTTPAdapter(pool_maxsize=_CONNECTIONS))
    try:
        with PyPISimple(url, session=session) as client:
            progress(f"reading the index's page of {project}")
            page = client.get_project_page(project, timeout=60)
            packages = page.packages
            older = _older_api(session, url, project)
            listed, ignored = _wheels(packages, older, project)
            if not listed:
                raise _unreadable(url, project, "it lists no wheel of it")
            known = {wheel.file: wheel for wheel in before.wheels} if before else {}
            listed = [_remembered(wheel, known.get(wheel.file)) for wheel in listed]
            addresses = {package.filename: package for package in packages}
            wheels, unread = _with_metadata(session, listed, known, addresses, progress)
    except (
        http.RequestException, NoSuchProjectError, UnsupportedRepoVersionError, LookupError, ValueError,
        RecursionError,
    ) as error:  # fmt: skip
        raise _unreadable(url, project, str(error)) from None
    unknown = tuple(name for name in FIELDS if all(getattr(wheel, name) is None for wheel in wheels))
    record = Record(project, source, today.isoformat(), wheels, unknown)
    return _compare(record, known, unread, ignored)


def _unreadable(url: str, project: str, why: str) -> CatalogueError:
    return CatalogueError(
        without_password(f"the index {url} cannot be read for {project}: {why}"),
        hint="Check pip's index: pip config list. --index or $PIP_INDEX_URL names another one.",
    )


def _compare(
    record: Record, known: dict[str, Wheel], unread: Sequence[tuple[str, str]], ignored: Sequence[str]
) -> Refreshed:
    names = {wheel.file for wheel in record.wheels}
    changed = [
        wheel.file
        for wheel in record.wheels
        if wheel.file in known and None not in (old := known[wheel.file].sha256, wheel.sha256)
        and old != wheel.sha256
    ]  # fmt: skip
    return Refreshed(
        record,
        new=tuple(wheel.file for wheel in record.wheels if wheel.file not in known),
        gone=tuple(file for file in known if file not in names),
        changed=tuple(changed),
        unread=tuple(unread),
        ignored=tuple(ignored),
    )


# -------------------------------------------------------------------------------------------- from the index
def _wheels(
    packages: Iterable[DistributionPackage], older: dict[str, Any], project: str
) -> tuple[list[Wheel], list[str]]:
    """The wheels of the page in the order of the record, and the names of files that no record may have."""
    packages = list(packages)
    # Of a page without any optional field it cannot be told whether nothing is yanked, or the mirror strips.
    whole = any(one.is_yanked or one.has_metadata is not None or one.requires_python for one in packages)
    found: dict[str, Wheel] = {}
    ignored = []
    for package in packages:
        try:
            parse_wheel_filename(package.filename)
            fault = file_fault(package.filename, project)
        except InvalidWheelFilename as error:
            fault = str(error)
        if fault is not None:
            ignored.append(package.filename)
            continue
        more = older.get(package.filename, {})
        size, uploaded = package.size, package.upload_time
        yanked: bool | str | None = _reason(package.yanked_reason) if package.is_yanked else False
        if not whole and not package.is_yanked:
            yanked = more.get("yanked") and _reason(more.get("yanked_reason"))
            yanked = False if yanked is None and "yanked" in more else yanked
        found[package.filename] = Wheel(
            file=package.filename,
            sha256=package.digests.get("sha256"),
            size=size if size is not None else more.get("size"),
            uploaded=uploaded.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") if uploaded else None,
            requires_python=package.requires_python,
            yanked=yanked,
        )
    return list(in_order(found.values())), ignored


def _reason(told: str | None) -> bool | str:
    """Why a wheel was yanked; True where nothing is said."""
    return told if told and told.strip() else True


def _remembered(wheel: Wheel, before: Wheel | None) -> Wheel:
    """The wheel with what an index told before of the same file and this one strips.

    Not that it was not yanked: that may have changed.
    """
    if before is None or (None not in (wheel.sha256, before.sha256) and wheel.sha256 != before.sha256):
        return wheel
    lost = [name for name in FIELDS if getattr(wheel, name) is None and (name != "yanked" or before.yanked)]
    return replace(wheel, **{name: getattr(before, name) for name in lost})


def in_order(wheels: Iterable[Wheel]) -> tuple[Wheel, ...]:
    """Wheels as a record has them: newest version first, then by Python, architecture and name."""
    return tuple(sorted(wheels, key=_order))


def _order(wheel: Wheel) -> tuple[Any, ...]:
    of = version(wheel.version)
    newest_first = tuple(-number for number in (*of.release, 0, 0, 0)[:4])
    pythons = [python_key(python) for python in wheel.pythons] or [()]
    final = (of.pre is not None, -(of.pre[1] if of.pre else 0), -(of.post or -1), -(of.dev or 0))
    return (*newest_first, *final, str(of), pythons[0], wheel.arch or "", wheel.file)


def _older_api(session: requests.Session, url: str, project: str) -> dict[str, Any]:
    """File name -> what the index's older JSON API says of it; empty where there is none."""
    if not url.rstrip("/").endswith("/simple"):
        return {}
    try:
        address = urljoin(url.rstrip("/") + "/", f"../pypi/{project.replace('_', '-')}/json")
        answer = session.get(address, timeout=60)
        releases = answer.json()["releases"] if answer.ok else {}
        return {one["filename"]: one for files in releases.values() for one in files}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


# ----------------------------------------------------------------------------------------- from the wheels
def _with_metadata(
    session: requests.Session,
    wheels: Sequence[Wheel],
    known: dict[str, Wheel],
    packages: dict[str, DistributionPackage],
    progress: Callable[[str], None],
) -> tuple[tuple[Wheel, ...], list[tuple[str, str]]]:
    """The wheels with their dependencies, and those of which none came, with the reason."""

    def read(wheel: Wheel) -> tuple[Wheel, str | None]:
        old = known.get(wheel.file)
        if old is not None and old.sha256 == wheel.sha256 and wheel.sha256 is not None:
            wheel = replace(wheel, audited=old.audited)
            if old.requires is not None:
                return replace(wheel, requires=old.requires, requires_python=old.requires_python), None
        package = packages[wheel.file]
        side = package.metadata_digests.get("sha256") if package.metadata_digests else None
        try:
            found = remote_metadata(session, package.url, side, side=bool(package.has_metadata))
        except NoMetadataError as error:
            return wheel, str(error)
        return replace(wheel, requires=found.requires, requires_python=found.requires_python), None

    done: list[Wheel] = []
    unread = []
    with concurrent.futures.ThreadPoolExecutor(_CONNECTIONS) as pool:
        for wheel, why in pool.map(read, wheels):
            done.append(wheel)
            if why is not None:
                unread.append((wheel.file, why))
            progress(f"reading METADATA: {len(done)} of {len(wheels)}")
    return tuple(done), unread
