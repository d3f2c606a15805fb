"""The release folder: every file of one release, complete or absent, and never changed once it is sealed.

```
releases/<branch>/<version>/
  *.whl  SHA256SUMS  release.json  and the side files: notes, SBOM, provenance, signatures
```
All of it lies in the store as objects too, so that the folder can be made again, byte for byte.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from wheelmill.publish.release.session import File, ReleaseError, Session
from wheelmill.store import Store, digest_file
from wheelmill.store.errors import disk_errors

SCHEMA = 1
MANIFEST = "release.json"
SUMS = "SHA256SUMS"


class SealError(ReleaseError):
    """A sealed release is not what was sealed."""


def folder_of(session: Session, store: Store) -> Path:
    """Where the files of the release lie."""
    return store.root / "releases" / session.branch / session.version


def side_file(name: str, data: bytes, kind: str, store: Store, cell: str | None = None) -> File:
    """Keep a side file's bytes in the store."""
    return File(name, store.put(data), len(data), kind, cell)


def manifest(session: Session, files: Iterable[File]) -> bytes:
    """`release.json`: what the release is and which files it has; the same session gives the same bytes."""
    checked = session.facts["checked"]
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "branch": session.branch,
        "version": session.version,
        "stage": checked["stage"],
        "waiver": checked["waiver"],
        "date": session.reached["built"],
        "commit": session.commit,
        "tag": session.name,
        "matrix": checked["matrix"],
        "cann": checked["cann"],
        "torch": checked["torch"],
        "cells": {
            key: {name: cell[name] for name in ("smoke", "waived")}
            for key, cell in session.facts["built"]["cells"].items()
        },
        "files": [
            {
                "name": file.name,
                "sha256": file.sha256,
                "size": file.size,
                "kind": file.kind,
                "cell": file.cell,
            }
            for file in sorted(files, key=lambda one: one.name)
        ],
    }
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def sums(files: Iterable[File]) -> bytes:
    """`SHA256SUMS`, as `sha256sum --check` reads it."""
    return "".join(f"{file.sha256}  {file.name}\n" for file in sorted(files, key=lambda f: f.name)).encode()


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
        _sync(partial)
        partial.rename(target)
        _sync(target.parent)
    return target


def _export(source: Path, target: Path) -> None:
    """A copy, not a link: what somebody does to a release reaches nothing else."""
    shutil.copyfile(source, target)
    with target.open("rb") as stream:
        os.fchmod(stream.fileno(), 0o444)
        os.fsync(stream.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
