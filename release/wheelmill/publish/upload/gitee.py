"""Gitee's release pages. They have no drafts: until all files are there, the page says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from packaging.version import Version

from wheelmill.publish.upload.driver import Remote
from wheelmill.publish.upload.folder import Asset, ReleaseFolder
from wheelmill.publish.upload.http import Client

API = "https://gitee.com/api/v5"
# What the text of a page begins with while its files are not all there.
UPLOADING = "上传中，请勿使用。Upload in progress, do not use."


class Gitee:
    """One release of one repository."""

    def __init__(self, repository: str, token: str, api: str = API) -> None:
        self._client = Client(api, token, {})
        self._path = f"/repos/{repository}/releases"
        self._token = {"access_token": token}
        self._release: dict[str, Any] = {}
        self._site = f"{api.partition('/api/')[0]}/{repository}/releases"

    @property
    def url(self) -> str:
        """The page."""
        return f"{self._site}/tag/{self._release.get('tag_name', '')}"

    def wants(self, asset: Asset) -> bool:
        """Every file of the release."""
        return True

    def open(self, release: ReleaseFolder) -> bool:
        """The release of the tag, or a new one that says that it is not complete."""
        found = self._client.json(
            "GET", f"{self._path}/tags/{quote(release.tag, safe='')}", params=self._token, missing=True
        )
        if not found:  # Gitee answers null for a tag without a release
            found = self._client.json("POST", self._path, data=self._form(release, UPLOADING, early=True))
        self._release = found
        return not str(found["body"]).startswith(UPLOADING)

    def there(self) -> Mapping[str, Remote]:
        """The files of the page; Gitee tells sizes and no hashes."""
        rows = []
        number = 1
        while True:
            page = self._client.json(
                "GET", self._files(), params={**self._token, "per_page": 100, "page": number}
            )
            rows += page
            if len(page) < 100:
                break
            number += 1
        return {
            str(row["name"]): Remote(str(row["name"]), row.get("size"), None, key=str(row["id"]))
            for row in rows
        }

    def digest(self, remote: Remote) -> str:
        """Of the bytes themselves."""
        return self._client.digest(
            f"{self._client.base}{self._files()}/{remote.key}/download", params=self._token
        )

    def send(self, asset: Asset) -> None:
        """One file as a part of a form, which is not held in memory."""
        from requests_toolbelt import MultipartEncoder

        with asset.path.open("rb") as stream:
            form = MultipartEncoder({**self._token, "file": (asset.name, stream, "application/octet-stream")})
            response = self._client.ask(
                "POST",
                self._client.base + self._files(),
                data=form,
                headers={"Content-Type": form.content_type},
            )
        self._client.judge(response)

    def remove(self, remote: Remote) -> None:
        """Delete a file that was cut."""
        self._client.json("DELETE", f"{self._files()}/{remote.key}", params=self._token, missing=True)

    def close(self, release: ReleaseFolder) -> None:
        """Put the notes where the page says that it is being uploaded."""
        form = self._form(release, release.notes(), early=Version(release.version).is_prerelease)
        self._release = self._client.json("PATCH", f"{self._path}/{self._release['id']}", data=form)

    def _files(self) -> str:
        return f"{self._path}/{self._release['id']}/attach_files"

    def _form(self, release: ReleaseFolder, body: str, *, early: bool) -> dict[str, str]:
        return {
            **self._token,
            "body": body,
            "tag_name": release.tag,
            "name": release.title,
            "target_commitish": release.commit,
            "prerelease": str(early).lower(),
        }
