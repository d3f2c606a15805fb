"""The catalogue's files: one JSON document per source, one wheel a line, so that a diff shows what changed.

No address stands in them: which index a machine asks is its own configuration.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wheelmill.catalogue.model import Audited, Catalogue, CatalogueError, Record, Wheel
from wheelmill.limits import MAX_TEXT, parse_json, read_regular
from wheelmill.matrix.versions import version

SCHEMA = 1
_FILE = re.compile(
    r"[A-Za-z0-9_.]+-[A-Za-z0-9_.!+]+(-[0-9][A-Za-z0-9_.]*)?(-[A-Za-z0-9_.]+){3}\.whl", re.ASCII
)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
SOURCE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,40}", re.ASCII)
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]*")

LONGEST = 255  # bytes of a file's name: no file system has a longer one, and numbers in it stay small
FIELDS = ("sha256", "size", "uploaded", "requires", "requires_python", "yanked")


def load(folder: Path) -> Catalogue:
    """Every record of a folder; an absent folder is an empty catalogue. Raises CatalogueError."""
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    return Catalogue(tuple(read_record(file) for file in files))


def read_record(path: Path) -> Record:
    """One record; raises CatalogueError that names the file, the entry and what is wrong with it."""
    try:
        content = read_regular(path, MAX_TEXT)
    except OSError as error:
        raise _wrong(path, f"it cannot be read: {error.strerror}") from None
    return _parsed(path, content)


def _parsed(path: Path, content: bytes) -> Record:
    try:
        data = parse_json(content)
    except ValueError as error:
        raise _wrong(path, f"it cannot be read: {error}") from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise _wrong(path, f"it is no record of schema {SCHEMA}")
    source = _text(path, "source", data.get("source"), SOURCE)
    wheels = data.get("wheels")
    unknown = data.get("unknown", [])
    if not isinstance(wheels, list) or not isinstance(unknown, list):
        raise _wrong(path, "`wheels` and `unknown` are lists")
    return Record(
        project=_text(path, "project", data.get("project"), re.compile(r"[A-Za-z0-9_.-]+")),
        source=source,
        read=_text(path, "read", data.get("read"), _DAY),
        unknown=tuple(one for one in unknown if one in FIELDS),
        wheels=tuple(_wheel(path, number, one, source) for number, one in enumerate(wheels, 1)),
    )


def write_record(path: Path, record: Record) -> bool:
    """Write a record, whole or not at all; False where the file had these bytes.

    Raises CatalogueError for what could not be read back, such as a size below zero that an index told.
    """
    head = {"schema": SCHEMA, "project": record.project, "source": record.source, "read": record.read}
    lines = [json.dumps(_entry(wheel), ensure_ascii=False) for wheel in record.wheels]
    text = json.dumps(head | {"unknown": list(record.unknown)}, ensure_ascii=False)[:-1]
    text += ', "wheels": [\n' + ",\n".join(lines) + "\n]}\n"
    _parsed(path, text.encode())
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")  # one name, so that what a killed run left is written over
    try:
        with fresh.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return True


def _entry(wheel: Wheel) -> dict[str, Any]:
    """A wheel as its line; what is not known is left out."""
    found: dict[str, Any] = {"file": wheel.file}
    for name in FIELDS:
        value = getattr(wheel, name)
        if value is not None:
            found[name] = list(value) if isinstance(value, tuple) else value
    if wheel.audited is not None:
        found["audited"] = {name: value for name, value in vars(wheel.audited).items() if value}
    return found


def _wheel(path: Path, number: int, data: Any, source: str) -> Wheel:
    if not isinstance(data, dict):
        raise _wrong(path, f"wheel {number} is not an object")
    name = data.get("file")
    if not isinstance(name, str) or len(name) > LONGEST or not _FILE.fullmatch(name):
        raise _wrong(path, f"wheel {number}: {name!r:.120} is not a wheel's file name")
    try:
        version(name.split("-", 2)[1])
    except ValueError as error:
        raise _wrong(path, f"wheel {number}: {name:.120}: {error}") from None
    for field, right in _RIGHT.items():
        if data.get(field) is not None and not right(data[field]):
            raise _wrong(path, f"{name}: {field} {data[field]!r:.120}")
    audited = data.get("audited")
    return Wheel(
        file=name,
        sha256=data.get("sha256"),
        size=data.get("size"),
        uploaded=data.get("uploaded"),
        requires=None if data.get("requires") is None else tuple(data["requires"]),
        requires_python=data.get("requires_python"),
        yanked=data.get("yanked"),
        audited=audited and Audited(**audited),
        source=source,
    )


def _printable(value: Any) -> bool:
    return isinstance(value, str) and len(value) < 2000 and _PRINTABLE.fullmatch(value) is not None


def _audited(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) - {"torch"} == {"day", "platform", "verdict"}
        and all(map(_printable, value.values()))
    )


_RIGHT: dict[str, Callable[[Any], bool]] = {
    "sha256": lambda value: isinstance(value, str) and _SHA256.fullmatch(value) is not None,
    "size": lambda value: type(value) is int and value >= 0,
    "uploaded": lambda value: isinstance(value, str) and _TIME.fullmatch(value) is not None,
    "requires": lambda value: isinstance(value, list) and all(map(_printable, value)),
    "requires_python": _printable,
    "yanked": lambda value: isinstance(value, bool) or _printable(value),
    "audited": _audited,
}


def _text(path: Path, name: str, value: Any, form: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise _wrong(path, f"{name} {value!r:.120}")
    return value


def _wrong(path: Path, found: str) -> CatalogueError:
    return CatalogueError(
        f"{path} is not a record of the catalogue: {found}.",
        hint="Take the committed file again, or make it: wheelmill catalogue refresh.",
    )
