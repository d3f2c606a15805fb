"""A wheel's METADATA without the wheel: from the file beside it, else by range requests into the archive."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from wheelmill.catalogue.model import CatalogueError
from wheelmill.console import without_password
from wheelmill.matrix.forms import address
from wheelmill.wheel.archive import read_one
from wheelmill.wheel.errors import WheelError
from wheelmill.wheel.metadata import parse_metadata

if TYPE_CHECKING:
    import requests

BLOCK = 256 << 10  # one request's worth: the directory of a published adapter is about this long
MAX_METADATA = 1 << 20
TIMEOUT = 60.0  # seconds


class NoMetadataError(Exception):
    """The METADATA cannot be had; the message says why."""


@dataclass(frozen=True)
class Metadata:
    """What METADATA says of dependencies; `requires_python` is "" where it sets no bound."""

    requires: tuple[str, ...]
    requires_python: str


def served(url: str) -> str:
    """The address of an index that can be read, without blanks around it; raises CatalogueError.

    It may be pip's own, which may have a password. Who gives an empty one had a variable that is not set:
    another index than the wanted one would be read.
    """
    found = url.strip()
    if not found:
        raise CatalogueError("--index has an empty address.", hint="Leave it out to read pip's own index.")
    if found.startswith("file:"):
        raise CatalogueError(
            without_password(f"{found!r:.200} is a folder, and an index is read by https or http alone."),
            hint="Serve it, such as with `python3 -m http.server --directory FOLDER`, and name that address.",
        )
    try:
        return address(found, ("https", "http"), user=True)
    except ValueError as error:
        raise CatalogueError(
            without_password(f"the index: {error}."),
            hint="Write it as https://HOST/PATH/simple/. Where it is pip's own: pip config list.",
        ) from None


def remote_metadata(session: requests.Session, url: str, sha256: str | None, *, side: bool) -> Metadata:
    """The METADATA of the wheel at `url`; `side` tells that the index serves it as a file, `sha256` its hash.

    Raises NoMetadataError.
    """
    import requests as http

    try:
        if side:
            answer = session.get(f"{url}.metadata", timeout=TIMEOUT)
            right = sha256 is None or hashlib.sha256(answer.content).hexdigest() == sha256
            if answer.ok and right and len(answer.content) <= MAX_METADATA:
                return parse(answer.content)
        return archive_metadata(Ranges(session, url))  # type: ignore[arg-type]
    except (http.RequestException, OSError, WheelError) as error:
        raise NoMetadataError(str(error)) from None


def archive_metadata(file: BinaryIO) -> Metadata:
    """The METADATA in an open wheel; raises NoMetadataError."""
    try:
        length = file.seek(0, io.SEEK_END)
        return parse(read_one(file, length, _is_metadata, MAX_METADATA))
    except WheelError as error:
        raise NoMetadataError(f"no .dist-info/METADATA that can be read: {error.message}") from None


def parse(content: bytes) -> Metadata:
    """The dependencies that a METADATA file names; raises WheelError."""
    found = parse_metadata(content)
    requires = tuple(" ".join(one.split()) for one in found.requires_dist)
    return Metadata(requires, " ".join((found.requires_python or "").split()))


def _is_metadata(name: str) -> bool:
    return name.endswith(".dist-info/METADATA") and name.count("/") == 1


class Ranges(io.BufferedIOBase):
    """A remote file, read in blocks that are kept; OSError where its server does not serve ranges.

    `block` is the bytes of one request, `most` what one read may ask for.
    """

    def __init__(
        self, session: requests.Session, url: str, block: int = BLOCK, most: int = 64 * BLOCK
    ) -> None:
        self._session, self._url, self._block, self._most = session, url, block, most
        self._blocks: dict[int, bytes] = {}
        tail = self._get(f"bytes=-{BLOCK}")
        self._size = self._length
        start = self._size - len(tail)
        self._tail, self._tail_at = tail, start
        self._at = 0

    def _get(self, span: str) -> bytes:
        headers = {"Range": span, "Accept-Encoding": "identity"}
        with self._session.get(self._url, headers=headers, timeout=TIMEOUT, stream=True) as answer:
            total = answer.headers.get("Content-Range", "").rpartition("/")[2]
            if answer.status_code != 206 or not total.isdigit():
                raise OSError(f"the server gives no part of the file (status {answer.status_code})")
            self._length = int(total)
            return bytes(answer.raw.read(self._block))

    def seekable(self) -> bool:
        """Always."""
        return True

    def readable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file; a position before the start is a ValueError."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the start of the file")
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Up to `size` bytes from here."""
        end = self._size if size is None or size < 0 else min(self._at + size, self._size)
        if end - self._at > self._most:
            raise OSError("its directory is too large")
        parts = []
        while self._at < end:
            part = self._part(self._at)[: end - self._at]
            parts.append(part)
            self._at += len(part)
        return b"".join(parts)

    def _part(self, at: int) -> bytes:
        """The bytes from `at` to the end of their block."""
        if at >= self._tail_at:
            return self._tail[at - self._tail_at :]
        number = at // self._block
        if number not in self._blocks:
            last = min((number + 1) * self._block, self._size) - 1
            self._blocks[number] = self._get(f"bytes={number * self._block}-{last}")
            if not self._blocks[number]:
                raise OSError("the server sent nothing")
        return self._blocks[number][at - number * self._block :]
