"""The wheels of an index and the files beside them, each under its hash, once for all trees and roots.

A wheel's folder gets its name when all is in it, and what lies there never changes: a file is only ever put
there again, with the same bytes, because it was found damaged.
"""

from __future__ import annotations

import os
from pathlib import Path

from wheelmill.publish.index import steps
from wheelmill.publish.index.intact import file_fault
from wheelmill.publish.index.pages import FILES
from wheelmill.publish.index.records import IndexFaultError, WheelRecord
from wheelmill.wheel.errors import WheelError
from wheelmill.wheel.facts import open_wheel

PARTIAL = "partial-"


class Pool:
    """The folder of files in the folder of trees.

    `fresh` collects what was written and has to be flushed, `damaged` what was found to be something else
    than it should be; that is kept in `kept`.
    """

    def __init__(self, trees: Path) -> None:
        self.folder = trees / FILES
        self.fresh: list[str | Path] = []
        self.damaged: list[str] = []
        self.kept: Path | None = None
        self._trees = trees
        self._there: set[str] | None = None

    def keep(self, record: WheelRecord, *, verify: bool) -> None:
        """Have a wheel and its side files in the pool; with `verify`, hash what is there already."""
        if not self._has(record.sha256, many=verify):
            self._put(record)
            return
        folder = self.folder / record.sha256
        if verify:
            for entry in folder.glob(".*"):  # what a killed run left when it was mending
                steps.remove(entry)
        for name, digest in _files_of(record).items():
            path = folder / name
            if not verify and path.exists() and name == record.filename:
                continue
            fault = file_fault(path, digest)
            if fault is None:
                continue
            if path.exists() and name not in (record.filename, f"{record.filename}.metadata") and not verify:
                raise IndexFaultError(
                    f"{name} is published already, with other bytes: it {fault}, not {digest}",
                    hint="What was published never changes under its name.",
                )
            self._mend(record, path, fault)

    def _has(self, digest: str, *, many: bool) -> bool:
        """Whether a wheel's folder is there; for many, all are listed at once."""
        if self._there is not None:
            return digest in self._there
        if not many:
            return (self.folder / digest).is_dir()
        self._there = self.names()
        return digest in self._there

    def names(self) -> set[str]:
        """The hashes of all wheels that have a folder."""
        return set(os.listdir(self.folder))  # noqa: PTH208 - names are all that is needed

    def _put(self, record: WheelRecord) -> None:
        """A new folder of the pool, which gets its name when it is complete."""
        work, folder = f"{self._trees}/{PARTIAL}{record.sha256}", f"{self.folder}/{record.sha256}"
        steps.make_one_folder(work)
        for name, digest in _files_of(record).items():
            self._supply(record, name, digest, f"{work}/{name}")
            self.fresh.append(f"{folder}/{name}")
        self.fresh.append(folder)
        steps.rename(work, folder)
        if self._there is not None:
            self._there.add(record.sha256)

    def _mend(self, record: WheelRecord, path: Path, fault: str) -> None:
        """Put a file into the pool again; what was there is kept for a look."""
        spare = path.with_name(f".{path.name}.new")
        steps.remove(spare)
        try:
            self._supply(record, path.name, _files_of(record)[path.name], str(spare))
        except IndexFaultError as error:
            steps.remove(spare)
            raise IndexFaultError(
                f"{path} {fault or 'is gone'}, and {error.message}", hint=error.hint
            ) from None
        if path.exists() or path.is_symlink():
            kept = self.kept_folder() / record.sha256
            steps.make_folder(kept)
            steps.exchange(spare, path)
            steps.rename(spare, kept / path.name)
        else:
            steps.rename(spare, path)
        self.fresh += [path, path.parent]
        self.damaged.append(f"{FILES}/{record.sha256}/{path.name} {fault or 'is gone'}")

    def kept_folder(self) -> Path:
        """Where damaged files go, emptied by the first of a run."""
        if self.kept is None:
            self.kept = self._trees / "damaged"
            steps.remove(self.kept)
            steps.make_folder(self.kept)
        return self.kept

    def _supply(self, record: WheelRecord, name: str, digest: str, target: str) -> None:
        """Make one file from where the record says that its bytes are, and see that it is the right one."""
        if name == f"{record.filename}.metadata":
            steps.write(target, self._metadata(record))
            if record.metadata is not None:
                return  # its hash was made from these bytes
        else:
            source = _source(record, name)
            if source is None or os.fspath(source) == f"{self.folder}/{record.sha256}/{name}":
                raise IndexFaultError(
                    f"{name} of SHA-256 {digest} is nowhere else",
                    hint="Give it back from a copy, or build it again; the index shown before is untouched.",
                )
            steps.link_or_copy(source, target)
        if fault := file_fault(target, digest):
            raise IndexFaultError(
                f"{name} is another file than was recorded: it {fault}, not {digest}", hint="Build it again."
            )

    def _metadata(self, record: WheelRecord) -> bytes:
        """The record's own, else as the wheel has it."""
        if record.metadata is not None:
            return record.metadata
        pooled = self.folder / record.sha256 / record.filename
        try:
            return open_wheel(record.path or pooled, record.filename).metadata.raw
        except WheelError as error:
            raise IndexFaultError(f"{record.filename} cannot be read as a wheel: {error.message}") from None


def _files_of(record: WheelRecord) -> dict[str, str]:
    """File name -> SHA-256 of all that lies in a wheel's folder."""
    name = record.filename
    sides = {f"{name}{side.suffix}": side.sha256 for side in record.sides}
    return {name: record.sha256, f"{name}.metadata": record.metadata_sha256, **sides}


def _source(record: WheelRecord, name: str) -> Path | None:
    """Where the bytes of one of these files lie outside of the index."""
    if name == record.filename:
        return record.path
    sides = (side.path for side in record.sides if f"{record.filename}{side.suffix}" == name)
    return next(sides, None)
