"""GitHub's release pages: a draft, its assets with their hashes, and then it is public."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from packaging.version import Version

from wheelmill.publish.upload.driver import Remote
from wheelmill.publish.upload.errors import UploadError
from wheelmill.publish.upload.folder import Asset, ReleaseFolder
from wheelmill.publish.upload.http import Client, same_site

API = "https://api.github.com"
_PAGE = 100


class GitHub:
    """One release of one repository. Assets lie in a draft until `close`."""

    def __init__(self, repository: str, token: str, api: str = API) -> None:
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        self._client = Client(api, token, headers)
        self._path = f"/repos/{repository}"
        self._release: dict[str, Any] = {}

    @property
    def url(self) -> str:
        """The page."""
        return str(self._release.get("html_url", self._client.base + self._path))

    def wants(self, asset: Asset) -> bool:
        """Every file of the release."""
        return True

    def open(self, release: ReleaseFolder) -> bool:
        """The release of the tag, drafts included, or a new draft."""
        found = self._find(release.tag)
        if found is None:
            body = {
                "tag_name": release.tag,
                "target_commitish": release.commit,
                "name": release.title,
                "body": release.notes(),
                "draft": True,
                "prerelease": Version(release.version).is_prerelease,
            }
            found = self._client.json("POST", f"{self._path}/releases", json=body)
        self._release = found
        return not found["draft"]

    def there(self) -> Mapping[str, Remote]:
        """The assets; `starter` is what an upload that broke off leaves."""
        found = {}
        for asset in self._pages(f"{self._path}/releases/{self._release['id']}/assets"):
            digest = str(asset.get("digest") or "")
            sha256 = digest.removeprefix("sha256:") if digest.startswith("sha256:") else None
            name, whole = str(asset["name"]), asset["state"] == "uploaded"
            found[name] = Remote(name, asset["size"], sha256, whole, str(asset["id"]), str(asset["url"]))
        return found

    def digest(self, remote: Remote) -> str:
        """What GitHub tells, else of the bytes themselves."""
        if remote.sha256 is not None:
            return remote.sha256
        return self._client.digest(
            remote.link, {**self._client.headers, "Accept": "application/octet-stream"}
        )

    def send(self, asset: Asset) -> None:
        """One file, as the body of a request."""
        url = str(self._release["upload_url"]).partition("{")[0]
        if not same_site(url, self._client.base):
            raise UploadError(f"the server names {url} to upload to, which is not over HTTPS")
        kind = mimetypes.guess_type(asset.name)[0] or "application/octet-stream"
        headers = {**self._client.headers, "Content-Type": kind}
        self._client.put("POST", f"{url}?name={quote(asset.name, safe='')}", asset.path, headers)

    def remove(self, remote: Remote) -> None:
        """Delete an asset of the draft."""
        self._client.json("DELETE", f"{self._path}/releases/assets/{remote.key}", missing=True)

    def close(self, release: ReleaseFolder) -> None:
        """Publish the draft."""
        body = {"draft": False, "body": release.notes(), "name": release.title}
        self._release = self._client.json("PATCH", f"{self._path}/releases/{self._release['id']}", json=body)

    def _find(self, tag: str) -> dict[str, Any] | None:
        """The release of a tag, public before draft. A draft has no address by tag, so all are listed."""
        found = [one for one in self._pages(f"{self._path}/releases") if one["tag_name"] == tag]
        found.sort(key=lambda one: bool(one["draft"]))
        if len(found) > 1 and found[0]["draft"]:
            pages = ", ".join(str(one.get("html_url")) for one in found)
            raise UploadError(f"there are {len(found)} drafts for {tag}: {pages}", hint="Delete all but one.")
        return found[0] if found else None

    def _pages(self, path: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        number = 1
        while True:
            page = self._client.json("GET", path, params={"per_page": _PAGE, "page": number})
            rows += page
            if len(page) < _PAGE:
                return rows
            number += 1
