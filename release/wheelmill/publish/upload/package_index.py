"""A package index that twine uploads to. What is there is asked of its simple pages first."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packaging.utils import canonicalize_name

from wheelmill.publish.upload.driver import Remote
from wheelmill.publish.upload.errors import PassingError, UploadError
from wheelmill.publish.upload.folder import Asset, ReleaseFolder

_CHUNK = 1 << 20
_SECONDS = 120.0


class PackageIndex:
    """An index, with where to upload to and where to read from. It takes wheels, each public at once."""

    def __init__(self, upload: str, simple: str | None = None) -> None:
        self._upload = upload
        self._simple = simple or f"{upload.rstrip('/')}/simple/"
        self._names: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Where pip reads from."""
        return self._simple

    def wants(self, asset: Asset) -> bool:
        """Wheels only."""
        return asset.is_wheel

    def open(self, release: ReleaseFolder) -> bool:
        """Which projects the wheels are of. What is there is public: nothing of it may change."""
        import twine  # noqa: F401  its absence is better told before anything is asked

        projects = (canonicalize_name(asset.name.partition("-")[0]) for asset in release.wheels)
        self._names = tuple(dict.fromkeys(projects))
        return True

    def there(self) -> Mapping[str, Remote]:
        """The files of the projects; a project that is not there yet has none."""
        import requests
        from pypi_simple import ACCEPT_ANY, ProjectPage

        found = {}
        for name in self._names:
            url = f"{self._simple.rstrip('/')}/{name}/"
            try:
                response = requests.get(url, headers={"Accept": ACCEPT_ANY}, timeout=_SECONDS)
            except requests.RequestException as error:
                raise PassingError(f"{url}: {type(error).__name__}") from None
            # Some servers send on to the public index for what they do not have.
            elsewhere = urlsplit(response.url).netloc != urlsplit(url).netloc
            if response.status_code == 404 or elsewhere:
                continue
            if response.status_code >= 400:
                raise _answer(url, response.status_code)
            for package in ProjectPage.from_response(response, name).packages:
                sha256 = package.digests.get("sha256")
                found[package.filename] = Remote(package.filename, package.size, sha256, link=package.url)
        return found

    def digest(self, remote: Remote) -> str:
        """What the page tells, else of the bytes themselves."""
        if remote.sha256 is not None:
            return remote.sha256
        import requests

        digest = hashlib.sha256()
        try:
            with requests.get(remote.link, stream=True, timeout=_SECONDS) as response:
                if response.status_code >= 400:
                    raise _answer(remote.link, response.status_code)
                for chunk in response.iter_content(_CHUNK):
                    digest.update(chunk)
        except requests.RequestException as error:
            raise PassingError(f"{remote.link}: {type(error).__name__}") from None
        return digest.hexdigest()

    def send(self, asset: Asset) -> None:
        """Upload one wheel; twine reads user and password: TWINE_USERNAME, TWINE_PASSWORD or .pypirc."""
        done = _twine(
            "upload",
            "--non-interactive",
            "--disable-progress-bar",
            "--repository-url",
            self._upload,
            asset.path,
        )
        if done.returncode == 0:
            return
        said = _last_line(done.stdout + done.stderr)
        if any(
            word in said
            for word in (
                "HTTPError: 5",
                "HTTPError: 429",
                "ConnectionError",
                "Timeout",
                "Max retries",
                "redirect",
            )
        ):
            raise PassingError(f"twine: {said}")
        if any(word in said for word in ("HTTPError: 409", "already exists")):
            raise PassingError(f"twine: {said}")  # what is there is compared before the next attempt
        raise UploadError(f"twine could not upload {asset.name}: {said}", hint=_HINT)

    def remove(self, remote: Remote) -> None:
        """An index gives no name back."""
        raise UploadError(
            f"{remote.name} on {self._simple} is not whole", hint="Ask who runs the index to remove it."
        )

    def close(self, release: ReleaseFolder) -> None:
        """Nothing: every wheel was public when it came."""


_HINT = (
    "twine reads TWINE_USERNAME and TWINE_PASSWORD, or .pypirc. Nothing that was sent is lost: "
    "run the same command again to continue."
)


def _twine(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "twine", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def _answer(url: str, code: int) -> UploadError:
    if code == 429 or code >= 500:
        return PassingError(f"{url}: {code}")
    return UploadError(
        f"{url}: {code}: what is there cannot be read, so nothing was sent",
        hint="Name the address that pip reads from with --simple-url.",
    )


def _last_line(text: str) -> str:
    lines: list[Any] = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    told = [line for line in lines if "Error" in line or line.startswith(("ERROR", "WARNING"))]
    return str((told or lines or ["no reason given"])[-1])[:300]
