"""Rules about the archive: its names, its framing, and RECORD against what is really inside."""

from __future__ import annotations

import posixpath
import stat
from collections import Counter
from collections.abc import Iterator, Mapping

from wheelmill.errors import Finding
from wheelmill.matrix.rules.frame import rule
from wheelmill.prove.audit.rules import Case, error
from wheelmill.wheel.metadata import parse_record

# Signatures of RECORD cannot be listed in it.
_UNLISTED = ("RECORD", "RECORD.jws", "RECORD.p7s")


@rule()
def zip_names(case: Case) -> Iterator[Finding]:
    """Names are relative, plain, unique, and stay inside the directory they are unpacked to."""
    for name, count in Counter(entry.name for entry in case.wheel.entries).items():
        if count > 1:
            yield error(name, f"is in the archive {count} times; installers differ in which one they take")
        if fault := _name_fault(name):
            yield error(name, fault, "Write the archive from paths relative to the package's root.")
    for entry in case.wheel.entries:
        if stat.S_ISLNK(entry.mode):
            yield error(entry.name, "is a symbolic link; installers write its target's path as the content")
    folded = Counter(name.casefold() for name in {entry.name for entry in case.wheel.entries})
    for name, count in folded.items():
        if count > 1:
            yield error(name, f"{count} names differ in case only and fall together on some file systems")


def _name_fault(name: str) -> str | None:
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        return "is an absolute name"
    if ".." in name.split("/"):
        return "leads out of the directory it is unpacked to"
    if "\\" in name:
        return "holds a backslash, which some systems take for a separator"
    if any(ord(character) < 32 for character in name):
        return "holds control characters"
    if posixpath.normpath(name) != name.rstrip("/"):
        return "is not a normal path"
    return None


@rule()
def zip_framing(case: Case) -> Iterator[Finding]:
    """The archive reads the same from its directory and from its file headers."""
    for fault in case.wheel.framing:
        yield error("", fault, "Two installers could see two wheels in this file; write the archive again.")
    for entry in case.wheel.entries:
        if entry.fault is not None:
            yield error(entry.name, f"cannot be unpacked: {entry.fault}", "Build the wheel again.")


@rule()
def record(case: Case) -> Iterator[Finding]:
    """RECORD lists every file with its true hash and size, and nothing else."""
    home = case.wheel.dist_info
    raw = case.wheel.text("RECORD")
    if raw is None:
        yield error(f"{home}/RECORD", "is missing", "A wheel without RECORD cannot be installed or checked.")
        return
    listed = parse_record(raw)
    for name, fault in listed.faults:
        yield error(name or f"{home}/RECORD", fault)
    yield from _compare(case, listed.rows)


def _compare(case: Case, rows: Mapping[str, tuple[str, str, str]]) -> Iterator[Finding]:
    unlisted = {f"{case.wheel.dist_info}/{name}" for name in _UNLISTED}
    files = {entry.name: entry for entry in case.wheel.entries if not entry.name.endswith("/")}
    for name in sorted(set(rows) - set(files)):
        yield error(name, "is in RECORD and not in the archive")
    for name in sorted(set(files) - set(rows) - unlisted):
        yield error(name, "is in the archive and not in RECORD", "An installer would leave it behind.")
    for name in sorted(set(files) & set(rows) - unlisted):
        _, digest, size = rows[name]
        algorithm, _, value = digest.partition("=")
        entry = files[name]
        if not value:
            yield error(name, "has no hash in RECORD")
        elif algorithm != "sha256":
            yield error(name, f"has a {algorithm} hash in RECORD", "Installers and this gate take sha256.")
        elif value.rstrip("=") != entry.sha256 and entry.fault is None:
            yield error(name, f"is not what RECORD says: sha256={value}", "It was changed after the build.")
        if size and size != str(entry.size):
            yield error(name, f"is {entry.size} bytes, RECORD says {size}")
