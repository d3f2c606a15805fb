"""What is in an index: pages by its signed manifest, wheels and what lies beside them by the pages."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from wheelmill.limits import MAX_INDEX, parse_json, read_regular
from wheelmill.publish.index.intact import MANIFEST, SEALED, Manifest, read_manifest
from wheelmill.publish.index.pages import ATTESTATION, FILES, JSON_NAME
from wheelmill.publish.sign import pep740, sums
from wheelmill.publish.sign.errors import VerifyError
from wheelmill.publish.sign.root import METADATA
from wheelmill.store import digest_file

_TOP = ("timestamp", "snapshot", "targets")
_AGAIN = "get the index again; if that is what is published, tell its maintainers"
_SHOWN = 5
_MAX_SIDE = 64 << 20  # bytes of a file beside a wheel
_BLOCK = 1 << 20


def check_tree(
    tree: Path, files: Mapping[str, int], targets: Mapping[str, tuple[int, str]], roots: Iterable[int]
) -> tuple[Path, ...]:
    """Check that the tree is what the targets say: manifest, pages, metadata, nothing else; its JSON pages.

    `files` has the size of every file that is there. Raises VerifyError.
    """
    metadata = {f"{METADATA}/{version}.root.json" for version in roots}
    if set(targets) != {MANIFEST, *metadata}:
        raise VerifyError(
            f"{METADATA}/targets.json",
            expected=f"{MANIFEST} and the roots as targets",
            found=", ".join(sorted(targets)[:_SHOWN]),
            hint=_AGAIN,
        )
    metadata |= {f"{METADATA}/{role}.json" for role in _TOP}
    for path, (size, digest) in targets.items():
        if files.get(path) != size:
            raise VerifyError(path, expected=f"{size} bytes", found=f"{files.get(path)} bytes", hint=_AGAIN)
        _same(tree / path, path, digest)
    pages = _pages(tree)
    _same_names(tree, set(files), {*pages, *metadata, MANIFEST, SEALED})
    for path, digest in pages.items():
        _same(tree / path, path, digest)
    sealed = "".join(f"{digest_file(tree / path)}  {path}\n" for path in sorted(metadata))
    _same(tree / SEALED, SEALED, hashlib.sha256(sealed.encode()).hexdigest())
    return tuple(tree / path for path in pages if path.endswith(f"/{JSON_NAME}"))


def _pages(tree: Path) -> Mapping[str, str]:
    found = read_manifest(tree)
    if not isinstance(found, Manifest) or found.text() != read_regular(tree / MANIFEST, MAX_INDEX):
        raise VerifyError(MANIFEST, expected="a manifest", found="something else", hint=_AGAIN)
    return found.pages


def _same_names(tree: Path, there: set[str], wanted: set[str]) -> None:
    for words, names in (("missing", wanted - there), ("that nobody signed", there - wanted)):
        if names:
            shown = ", ".join(map(sums.shown, sorted(names)[:_SHOWN]))
            raise VerifyError(
                str(tree),
                expected=f"the {len(wanted)} files that were signed",
                found=f"{len(names)} {words}: {shown}",
                hint=_AGAIN,
            )


def _same(path: Path, name: str, digest: str) -> None:
    try:
        found = digest_file(path)
    except OSError as error:
        raise VerifyError(name, expected="a file", found=str(error.strerror), hint=_AGAIN) from None
    if found != digest:
        raise VerifyError(name, expected=f"SHA-256 {digest}", found=str(found), hint=_AGAIN)


# ---------------------------------------------------------------------------------------------------- wheels
def check_wheels(tree: Path, pages: Iterable[Path]) -> tuple[dict[str, str], int]:
    """Check every file that these pages link, once: the wheels by name, and how many lie beside them.

    The folder of wheels is shared by the trees of an index, so what no page links is not looked at. Raises
    VerifyError.
    """
    wheels: dict[str, str] = {}
    linked: dict[str, tuple[str, int | None]] = {}
    attested: dict[str, tuple[str, str]] = {}
    for page in pages:
        for entry in parse_json(read_regular(page, MAX_INDEX)).get("files", ()):
            if (before := wheels.setdefault(entry["filename"], entry["hashes"]["sha256"])) != (
                sha256 := entry["hashes"]["sha256"]
            ):
                raise VerifyError(
                    entry["filename"], expected=f"SHA-256 {before}", found=f"also {sha256}", hint=_AGAIN
                )
            linked.update(_files_of(entry))
            attested.update(_attested(entry))
    for path, (digest, size) in sorted(linked.items()):
        _same_linked(tree, path, digest, size)
    for path, wheel in sorted(attested.items()):
        if reason := pep740.fault(read_regular(tree / path, _MAX_SIDE), *wheel):
            raise VerifyError(path, expected="attestations of the wheel (PEP 740)", found=reason, hint=_AGAIN)
    return wheels, len(linked) - len(wheels)


def _files_of(entry: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, int | None]]]:
    """Path -> SHA-256 and size of a wheel and what lies beside it, as a page has them."""
    digest = entry["hashes"]["sha256"]
    path = f"{FILES}/{digest}/{entry['filename']}"
    yield path, (digest, entry["size"])
    yield f"{path}.metadata", (entry["core-metadata"]["sha256"], None)
    for suffix, side in entry.get("_side-files", {}).items():
        yield f"{path}{suffix}", (side["sha256"], None)


def _attested(entry: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Path of a wheel's attestations -> its name and SHA-256, where it has any.

    The page may say where readers find them; that has to be the file that lies here.
    """
    name, digest = entry["filename"], entry["hashes"]["sha256"]
    path, url = f"{FILES}/{digest}/{name}{ATTESTATION}", entry.get("provenance")
    there = ATTESTATION in entry.get("_side-files", {})
    if url is not None and not (there and unquote(url).endswith(f"/{path}")):
        raise VerifyError(name, expected=f"attestations at {path}", found=f"provenance at {url}", hint=_AGAIN)
    if there:
        yield path, (name, digest)


def _same_linked(tree: Path, path: str, digest: str, size: int | None) -> None:
    """Sizes first: what is longer than it may be is not read."""
    full = tree / path
    try:
        mode, folder = full.lstat(), full.parent.lstat()
    except OSError as error:
        raise VerifyError(path, expected="a file", found=str(error.strerror), hint=_AGAIN) from None
    if not stat.S_ISREG(mode.st_mode) or not stat.S_ISDIR(folder.st_mode):
        raise VerifyError(path, expected="a regular file", found="a link or a device", hint=_AGAIN)
    most = _MAX_SIDE if size is None else size
    if mode.st_size > most or size not in (None, mode.st_size):
        raise VerifyError(
            path,
            expected=f"{'at most ' if size is None else ''}{most} bytes",
            found=f"{mode.st_size} bytes",
            hint=_AGAIN,
        )
    _same(full, path, digest)
