"""GitCode's release pages: each file goes to an address that the forge signs. There are no drafts either."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from packaging.version import Version

from wheelmill.publish.upload.driver import Remote
from wheelmill.publish.upload.errors import UploadError
from wheelmill.publish.upload.folder import Asset, ReleaseFolder
from wheelmill.publish.upload.gitee import UPLOADING
from wheelmill.publish.upload.http import Client, same_site

API = "https://api.gitcode.com/api/v5"


class GitCode:
    """One release of one repository. Its storage overwrites a file without a word: none is sent twice."""

    def __init__(self, repository: str, token: str, api: str = API) -> None:
        self._client = Client(api, token, {"PRIVATE-TOKEN": token, "Accept": "application/json"})
        self._path = f"/repos/{repository}/releases"
        self._tag = ""
        self._site = f"{api.partition('/api/')[0].replace('//api.', '//')}/{repository}/releases"

    @property
    def url(self) -> str:
        """The page."""
        return f"{self._site}/{self._tag}"

    def wants(self, asset: Asset) -> bool:
        """Every file of the release."""
        return True

    def open(self, release: ReleaseFolder) -> bool:
        """The release of the tag, or a new one that says that it is not complete."""
        self._tag = release.tag
        found = self._get()
        if found is None:
            body = {
                "tag_name": release.tag,
                "name": release.title,
                "target_commitish": release.commit,
                "release_status": "pre",  # until it is complete
                "body": UPLOADING,
            }
            self._client.json("POST", self._path, json=body)
            return False
        return not str(found["body"]).startswith(UPLOADING)

    def there(self) -> Mapping[str, Remote]:
        """The files of the page, without the archives of the sources; GitCode tells no hashes."""
        found = self._get() or {}
        return {
            str(row["name"]): Remote(
                str(row["name"]), row.get("size"), None, link=str(row["browser_download_url"])
            )
            for row in found.get("assets", [])
            if row.get("type", "attach") == "attach"
        }

    def digest(self, remote: Remote) -> str:
        """Of the bytes themselves, as everybody gets them."""
        return self._client.digest(remote.link)

    def send(self, asset: Asset) -> None:
        """Ask for an address and send the file there, with every header that is signed."""
        signed = self._client.json("GET", f"{self._one()}/upload_url", params={"file_name": asset.name})
        url = str(signed["url"])
        if not same_site(url, self._client.base):
            raise UploadError("the server names an address to upload to that is not over HTTPS")
        self._client.put(
            "PUT", url, asset.path, {str(k): str(v) for k, v in signed.get("headers", {}).items()}
        )

    def remove(self, remote: Remote) -> None:
        """Nothing: the file that follows takes the place of one that was cut."""

    def close(self, release: ReleaseFolder) -> None:
        """Put the notes where the page says that it is being uploaded."""
        status = "pre" if Version(release.version).is_prerelease else "latest"
        body = {"name": release.title, "body": release.notes(), "release_status": status}
        self._client.json("PATCH", self._one(), json=body)

    def _one(self) -> str:
        return f"{self._path}/{quote(self._tag, safe='')}"

    def _get(self) -> dict[str, Any] | None:
        found = self._client.json("GET", f"{self._path}/tags/{quote(self._tag, safe='')}", missing=True)
        return found or None
