"""Downloads with a known SHA-256: resumed where they were cut, kept only when they are right."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from pathlib import Path

from wheelmill.errors import WheelmillError
from wheelmill.progress import Progress
from wheelmill.store import digest_file

_CHUNK = 1 << 20
_ATTEMPTS = 4  # in a row without a single new byte
_TIMEOUT = 10.0  # seconds to connect, and of silence while reading


class FetchError(WheelmillError):
    """A file came, but it is not the one that was asked for."""


class UnreachableError(WheelmillError):
    """The file did not come; another source may have it."""


def download(url: str, target: Path, sha256: str, progress: Progress, *, timeout: float = _TIMEOUT) -> None:
    """Download `url` to `target`, which holds what an earlier, killed attempt got of it.

    Raises UnreachableError when the server cannot be reached, refuses or keeps closing early, FetchError when
    the whole file has another hash. After both errors nothing is left at `target`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        _download_in_parts(url, target, progress, timeout)
        check(target, sha256, url)
    except (FetchError, UnreachableError):
        target.unlink(missing_ok=True)
        raise


def check(path: Path, sha256: str, origin: str) -> None:
    """Raise FetchError unless the file has this SHA-256."""
    found = digest_file(path)
    if found != sha256:
        raise FetchError(
            f"{origin} gave a file with SHA-256 {found}, the matrix says {sha256}; it was thrown away",
            hint="the file was changed on its way or at its source, or the matrix has a wrong hash:\n"
            "compare both with the hash that the project's own site names",
        )


def _download_in_parts(url: str, target: Path, progress: Progress, timeout: float) -> None:
    fruitless = 0
    while True:
        before = target.stat().st_size if target.exists() else 0
        try:
            if _request(url, target, before, progress, timeout):
                return
            reason = "the server closed the connection before the end of the file"
        except urllib.error.HTTPError as error:
            if error.code == 416 and before:  # the part is longer than the file: it belongs to another one
                target.unlink()
                reason = "the server has less of the file than was downloaded before"
            else:
                raise UnreachableError(f"{url}: {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
            if isinstance(
                error, urllib.error.URLError
            ):  # not even connected: do not make the user wait for more
                raise UnreachableError(f"{url}: {reason}") from error
        after = target.stat().st_size if target.exists() else 0
        fruitless = fruitless + 1 if after <= before else 0
        if fruitless >= _ATTEMPTS:
            raise UnreachableError(f"{url}: {reason} ({_ATTEMPTS} times)")


def _request(url: str, target: Path, have: int, progress: Progress, timeout: float) -> bool:
    """Request what is missing after `have` bytes. True when the file is as long as the server says."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=timeout) as response:
        resumed = response.status == 206
        start = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else None
        with target.open("ab" if resumed else "wb") as out:
            while chunk := response.read(_CHUNK):
                out.write(chunk)
                progress(_amount(out.tell(), total))
            return total is None or out.tell() >= total


def _amount(done: int, total: int | None) -> str:
    return f"{done / 1e6:.0f} MB" if total is None else f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"
