"""A release folder as its maker left it: `release.json`, `SHA256SUMS`, wheels and side files, each right."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheelmill.limits import MAX_TEXT, parse_json, read_regular
from wheelmill.matrix.own import own_packages
from wheelmill.publish.release.folder import MANIFEST, SUMS
from wheelmill.publish.sign.attesting import RELEASE as SIGNED
from wheelmill.publish.upload.errors import UploadError
from wheelmill.store import digest_file

_SUM = re.compile(r"([0-9a-f]{64}) [ *]([^/\0]+)")
_NOTES = ("release-notes.zh.md", "release-notes.en.md")


@dataclass(frozen=True)
class Asset:
    """One file of a release."""

    name: str
    path: Path
    sha256: str
    size: int

    @property
    def is_wheel(self) -> bool:
        """Whether a package index takes it."""
        return self.name.endswith(".whl")


@dataclass(frozen=True)
class ReleaseFolder:
    """A release that is whole. Its files are in the order of an upload: what says "complete" comes last."""

    path: Path
    package: str
    branch: str
    version: str
    tag: str
    commit: str
    assets: tuple[Asset, ...]

    @property
    def title(self) -> str:
        """`NAME 2.1.0rc1 (v2.1.0-5.0.rc3)`"""
        return f"{self.package} {self.version} ({self.branch})"

    @property
    def wheels(self) -> tuple[Asset, ...]:
        """What a package index takes."""
        return tuple(asset for asset in self.assets if asset.is_wheel)

    def notes(self) -> str:
        """The release notes, Chinese and English; the title alone for a release without them."""
        texts = [
            asset.path.read_text(encoding="utf-8")
            for name in _NOTES
            for asset in self.assets
            if asset.name == name
        ]
        return "\n".join(texts) or f"{self.title}\n"


def read(folder: Path) -> ReleaseFolder:
    """The release in a folder. Raises UploadError unless every file has the hash that was sealed."""
    manifest = _manifest(folder)
    sums = _sums(folder)
    wrong = []
    assets = []
    for name, digest in sums.items():
        path = folder / name
        if not path.is_file():
            wrong.append(f"{name} is not there")
        elif (found := digest_file(path)) != digest:
            wrong.append(f"{name} has SHA-256 {found}")
        else:
            assets.append(Asset(name, path, digest, path.stat().st_size))
    listed = {str(file["name"]): str(file["sha256"]) for file in manifest["files"]}
    wrong += [f"{name} is in {MANIFEST} and not in {SUMS}" for name in sorted(set(listed) - set(sums))]
    wrong += [f"{name}: {MANIFEST} says {digest}" for name, digest in sorted(listed.items())
              if sums.get(name, digest) != digest]  # fmt: skip
    unlisted = {path.name for path in folder.iterdir()} - set(sums) - {SUMS, SIGNED}
    wrong += [f"{name} is no file of the release" for name in sorted(unlisted)]
    if wrong:
        raise UploadError(
            f"{folder} is not the release that was sealed: {'; '.join(wrong)}",
            hint="Nothing was uploaded. Make the folder again: wheelmill release seal BRANCH",
        )
    for path in (
        folder / SUMS,
        folder / SIGNED,
    ):  # what the sums cannot have: themselves, and who signed them
        if path.is_file():
            assets.append(Asset(path.name, path, digest_file(path), path.stat().st_size))
    last = (SUMS, SIGNED, MANIFEST)
    assets.sort(key=lambda one: (one.name == MANIFEST, one.name in last, not one.is_wheel, one.name))
    return ReleaseFolder(
        path=folder,
        package=manifest["package"],
        branch=manifest["branch"],
        version=manifest["version"],
        tag=manifest["tag"],
        commit=manifest["commit"],
        assets=tuple(assets),
    )


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        data = parse_json(read_regular(path, MAX_TEXT))
        data.setdefault("package", own_packages().adapter.name)  # the only one when manifests named none
        for name in ("package", "branch", "version", "tag", "commit"):
            if not isinstance(data[name], str):
                raise TypeError(f"{name} is not text")
        [(file["name"], file["sha256"]) for file in data["files"]]
    except OSError:
        raise _no_release(folder, f"there is no readable {MANIFEST}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise _no_release(folder, f"{MANIFEST} is damaged: {error}") from None
    return data  # type: ignore[no-any-return]


def _sums(folder: Path) -> dict[str, str]:
    try:
        lines = read_regular(folder / SUMS, MAX_TEXT).decode().splitlines()
    except (OSError, UnicodeDecodeError):
        raise _no_release(folder, f"there is no readable {SUMS}") from None
    found = {}
    for line in lines:
        match = _SUM.fullmatch(line)
        if match is None:
            raise _no_release(folder, f"{SUMS} has the line {line!r}")
        found[match[2]] = match[1]
    return found


def _no_release(folder: Path, why: str) -> UploadError:
    return UploadError(
        f"{folder} is no release folder: {why}",
        hint="Name the folder of a sealed release, .wheelmill/releases/BRANCH/VERSION; "
        "`wheelmill release status` lists them.",
    )
