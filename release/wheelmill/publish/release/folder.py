"""The release folder: every file of one release, complete or absent, and never changed once it is sealed.

```
releases/<branch>/<version>/
  *.whl  SHA256SUMS  release.json  and the side files: notes, SBOM, provenance, signatures
```
All of it lies in the store as objects too, so that the folder can be made again, byte for byte.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from wheelmill.make.sbom import SUFFIX as SBOM_SUFFIX
from wheelmill.make.sbom import faults as sbom_faults
from wheelmill.publish.release.session import File, ReleaseError, Session
from wheelmill.publish.sign.sums import render as render_sums
from wheelmill.publish.sign.wheels import look_inside
from wheelmill.store import Store, digest_file
from wheelmill.store.disk import flush
from wheelmill.store.errors import disk_errors

SCHEMA = 1
MANIFEST = "release.json"
SUMS = "SHA256SUMS"


class SealError(ReleaseError):
    """A sealed release is not what was sealed."""


def folder_of(session: Session, store: Store) -> Path:
    """Where the files of the release lie."""
    return store.root / "releases" / session.branch / session.version


def files_in(folder: Path, wheels: Mapping[str, File], store: Store) -> tuple[File, ...]:
    """Keep every file of a folder in the store; `wheels` are known already."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.name not in wheels:
            found.append(File(path.name, store.put(path), path.stat().st_size, _kind(path.name)))
    return (*wheels.values(), *found)


def _kind(name: str) -> str:
    kinds = {".cdx.json": "sbom", ".intoto.jsonl": "provenance", ".provenance": "attestation"}
    if name.startswith("release-notes."):
        return "notes"
    if name in (MANIFEST, SUMS):
        return "manifest" if name == MANIFEST else "sums"
    return next((kind for suffix, kind in kinds.items() if name.endswith(suffix)), "other")


def manifest(session: Session, home: Path, wheels: Mapping[str, File]) -> bytes:
    """`release.json`: what the release is and which files it has; the same session gives the same bytes.

    Of the files it lacks itself, and what is made over it: the sums, and the statement over them.
    """
    checked = session.facts["checked"]
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "package": checked["package"],
        "branch": session.branch,
        "version": session.version,
        "date": session.reached["built"],
        "commit": session.commit,
        "tag": session.name,
        **checked["said"],
        "promotes": session.promotes,
        "signed": session.signed,
        "cells": {
            key: {name: cell[name] for name in ("smoke", "waived")}
            for key, cell in session.facts["built"]["cells"].items()
        },
        "installers": session.facts["verified"]["installers"],
        "files": [_listed(path, wheels) for path in sorted(home.iterdir())],
    }
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def _listed(path: Path, wheels: Mapping[str, File]) -> dict[str, Any]:
    wheel = wheels.get(path.name)
    return {
        "name": path.name,
        "sha256": digest_file(path),
        "size": path.stat().st_size,
        "kind": _kind(path.name) if wheel is None else wheel.kind,
        "cell": None if wheel is None else wheel.cell,
    }


def add_sboms(home: Path, wheels: Iterable[str]) -> None:
    """Write the SBOM of each wheel beside it, where the release is not signed. Raises SignError for none."""
    for name in wheels:
        (home / f"{name}.cdx.json").write_bytes(look_inside(home / name).sbom)


def check_sboms(home: Path) -> None:
    """Raise SealError where an SBOM is not what its schema asks for, with its file and the place in it."""
    found = [(path.name, sbom_faults(path.read_bytes())) for path in sorted(home.glob(f"*{SBOM_SUFFIX}"))]
    wrong = [f"{name} is not valid CycloneDX: {fault}" for name, fault in found if fault is not None]
    if wrong:
        raise SealError(
            "\n  ".join(["SBOMs that nobody could read:", *wrong]),
            hint="Nothing was published. An SBOM is part of its wheel: build the wheel again.",
        )


def add_sums(home: Path) -> None:
    """Write `SHA256SUMS` of all that lies there, as `sha256sum --check` reads it."""
    sums = {path.name: str(digest_file(path)) for path in home.iterdir()}
    (home / SUMS).write_text(render_sums(sums))


def write(session: Session, files: Iterable[File], store: Store) -> Path:
    """Make the release folder: whole under its name, or not there. Right as it is, it is left alone.

    One that is not what was sealed is set aside. Every file is read-only and on disk when this returns.
    """
    wanted = {file.name: file.sha256 for file in files}
    target = folder_of(session, store)
    found = faults(target, wanted)
    if not found:
        return target
    if target.exists():
        store.set_aside(target, f"is not what was sealed: {'; '.join(found)}")
    with disk_errors("write", target):
        partial = target.with_name(f".partial-{target.name}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, digest in sorted(wanted.items()):
            _export(store.get(digest), partial / name)
        flush([*(partial / name for name in wanted), partial], partial)
        partial.rename(target)
        flush([target.parent], target.parent)
    return target


def _export(source: Path, target: Path) -> None:
    """A copy, not a link: what somebody does to a release reaches nothing else."""
    shutil.copyfile(source, target)
    target.chmod(0o444)


def faults(folder: Path, wanted: Mapping[str, str]) -> list[str]:
    """What in a folder is not as wanted (file name -> SHA-256), in words; a folder that is absent is one."""
    if not folder.is_dir():
        return ["the folder is not there"]
    there = {path.name for path in folder.iterdir()}
    found = [f"{name} is no file of the release" for name in sorted(there - set(wanted))]
    for name, digest in sorted(wanted.items()):
        if name not in there:
            found.append(f"{name} is not there")
        elif (is_now := _sha256(folder / name)) != digest:
            found.append(f"{name} has SHA-256 {is_now}")
    return found


def _sha256(path: Path) -> str:
    try:
        return digest_file(path)
    except OSError as error:
        return f"that cannot be read ({error.strerror})"


def check_sealed(session: Session, store: Store) -> None:
    """Raise SealError where the folder is not what was sealed."""
    found = faults(folder_of(session, store), {file.name: file.sha256 for file in session.files})
    if found:
        raise SealError(
            f"{session.name} is not what was sealed: {'; '.join(found)}",
            hint=f"Nothing was published. Make the folder again from the store: "
            f"wheelmill release seal {session.branch}",
        )
