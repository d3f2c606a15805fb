"""Rules about the archive: its names, its framing, and RECORD against what is really inside."""

from __future__ import annotations

import posixpath
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping

from wheelmill.errors import Finding
from wheelmill.matrix.rules.frame import rule
from wheelmill.prove.audit.rules import Case, error
from wheelmill.wheel.metadata import parse_record

# Marks of Unicode that turn the direction of writing around, and those without width.
_DIRECTIONS = frozenset(
    "\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
)
_LONGEST_PART, _LONGEST_NAME = 255, 1024
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{name}{n}" for name in ("COM", "LPT") for n in range(1, 10))}

# Signatures of RECORD cannot be listed in it.
_UNLISTED = ("RECORD", "RECORD.jws", "RECORD.p7s")


@rule()
def zip_names(case: Case) -> Iterator[Finding]:
    """Names are relative, plain, unique, and stay inside the directory they are unpacked to."""
    for name, count in Counter(entry.name for entry in case.wheel.entries).items():
        if count > 1:
            yield error(name, f"is in the archive {count} times; installers differ in which one they take")
        if fault := _name_fault(name):
            yield error(name[:200], fault, "Write the archive from paths relative to the package's root.")
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
    if any(unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn") for character in name):
        return "holds control characters"
    if _DIRECTIONS & set(name):
        return "holds marks that change the direction of writing: it reads as another name"
    if unicodedata.normalize("NFC", name) != name:
        return "is not in Unicode's composed form: some file systems write another name"
    parts = [part for part in name.split("/") if part]
    longest = max(len(part.encode("utf-8", "replace")) for part in parts) if parts else 0
    if longest > _LONGEST_PART or len(name) > _LONGEST_NAME:
        return f"is longer than {_LONGEST_PART} bytes in a part or {_LONGEST_NAME} in all: no system has it"
    if any(part.partition(".")[0].upper() in _RESERVED or part[-1] in " ." for part in parts):
        return "is a name that Windows has for a device, or cannot write"
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
    if raw is None and f"{home}/RECORD" in case.wheel.names:
        return  # zip-framing tells of it
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
