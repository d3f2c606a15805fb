"""Fetches a published release as its users will, and compares every byte with what was sealed."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from packaging.utils import canonicalize_name

from wheelmill.limits import parse_json
from wheelmill.publish.index import IndexServer
from wheelmill.publish.index.pages import ATTESTATION
from wheelmill.publish.index.serve import JSON_TYPE
from wheelmill.publish.release.public import PublishError
from wheelmill.publish.release.session import File, Session

PAUSES = (1.0, 5.0)  # seconds before a request is tried again
_CHUNK = 1 << 20
_MAX_PAGE = 64 << 20
_SECONDS = 60.0  # without a byte from the server
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # what a server may answer now and not in a moment

T = TypeVar("T")


class _UnreadError(Exception):
    """What a server gave instead of a file, in words. `passing`: another try may be answered otherwise."""

    def __init__(self, text: str, *, passing: bool) -> None:
        super().__init__(text)
        self.passing = passing


def address(url: str) -> str:
    """The address of an index, as it was given. Raises PublishError for what is none."""
    parts = urllib.parse.urlsplit(url)
    whole = parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment)
    if not whole or not url.isprintable() or " " in url or not url.rstrip("/").endswith("/simple"):
        raise PublishError(
            f"{url!r} is no address to read a release back from",
            hint="Name simple/ as users do: https://pypi.example.org/simple/",
        )
    return url


def read_back(session: Session, into: Path, url: str | None = None) -> dict[str, Any]:
    """Fetch every wheel of the release over HTTP and compare it with what was sealed.

    From `url`, the address of the index, and then also the attestations that pages link by it; or from a
    server on loopback. What a server cannot answer at the moment is asked for again. Raises PublishError
    naming each file that is missing, another, or cut short.
    """
    wheels = [file for file in session.files if file.is_wheel]
    if url is not None:
        return _read_from(session, url.rstrip("/"), [*wheels, *_attestations(session)])
    with IndexServer(into) as server:
        return _read_from(session, server.simple_url.rstrip("/"), wheels)


def _attestations(session: Session) -> Iterator[File]:
    return (file for file in session.files if file.name.endswith(f".whl{ATTESTATION}"))


def _read_from(session: Session, simple: str, wanted: Iterable[File]) -> dict[str, Any]:
    projects: dict[str, list[File]] = {}
    for file in wanted:
        projects.setdefault(canonicalize_name(file.name.partition("-")[0]), []).append(file)
    faults = [fault for name, files in projects.items() for fault in _faults(f"{simple}/{name}/", files)]
    if faults:
        raise PublishError(
            f"{session.name} is not what was sealed when it is read back:\n  " + "\n  ".join(faults),
            hint="It is not announced. Look at the server and its cache, then go on with: wheelmill release "
            f"publish {session.branch}   Or take it back: wheelmill release rollback {session.branch} "
            "--reason ...",
        )
    read = [file for files in projects.values() for file in files]
    return {"url": simple, "files": len(read), "bytes": sum(file.size for file in read)}


def _faults(page: str, files: list[File]) -> Iterator[str]:
    """What is wrong with the files of one project."""
    try:
        listed = _again(partial(_listed, page))
    except _UnreadError as error:
        yield str(error)
        return
    for file in files:
        if file.name not in listed:
            yield f"{file.name} is not on {page}"
            continue
        url, sha256 = listed[file.name]
        if sha256 != file.sha256:
            yield f"{page} gives {file.name} the SHA-256 {sha256}"
            continue
        try:
            size, digest = _again(partial(_digest, url))
        except _UnreadError as error:
            yield str(error)
            continue
        if (size, digest) != (file.size, file.sha256):
            yield f"{file.name} is {size} bytes with SHA-256 {digest} as fetched, not {file.size} bytes"


def _listed(page: str) -> dict[str, tuple[str, str]]:
    """File name -> (address, SHA-256) of all that a project's page lists, with the attestations it links."""
    text = b"".join(_read(page, JSON_TYPE, _MAX_PAGE))
    try:
        found = {}
        for entry in parse_json(text)["files"]:
            name, digest = str(entry["filename"]), str(entry["hashes"].get("sha256"))
            found[name] = urllib.parse.urljoin(page, str(entry["url"])), digest
            if (linked := entry.get("provenance")) is not None:
                found[name + ATTESTATION] = str(linked), str(entry["_side-files"][ATTESTATION]["sha256"])
        return found
    except (ValueError, LookupError, TypeError, AttributeError):
        begin = text[:40].decode("utf-8", "replace")
        raise _UnreadError(
            f"{page} is no page of an index in JSON; it begins {begin!r}", passing=False
        ) from None


def _digest(url: str) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    for chunk in _read(url, "*/*"):
        size += len(chunk)
        digest.update(chunk)
    return size, digest.hexdigest()


def _again(fetch: Callable[[], T]) -> T:
    """What `fetch` gives, tried again after pauses where that may help."""
    for pause in PAUSES:
        try:
            return fetch()
        except _UnreadError as error:
            if not error.passing:
                raise
        time.sleep(pause)
    return fetch()


def _read(url: str, accept: str, most: int | None = None) -> Iterator[bytes]:
    """The body of an answer, whole. Raises _UnreadError for any other answer."""
    request = urllib.request.Request(url, headers={"Accept": accept, "Cache-Control": "no-cache"})
    size = 0
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            promised = answer.headers.get("Content-Length")
            while chunk := answer.read(_CHUNK):
                size += len(chunk)
                if most is not None and size > most:
                    raise _UnreadError(f"{url} does not end after {most} bytes", passing=False)
                yield chunk
    except urllib.error.HTTPError as error:
        raise _UnreadError(
            f"{url} is answered with {error.code} {error.reason}", passing=error.code in _PASSING
        ) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise _UnreadError(f"{url} cannot be read back: {reason}", passing=True) from None
    if promised is not None and promised.isdigit() and size != int(promised):
        raise _UnreadError(f"{url} ends after {size} of {promised} bytes", passing=True)
