"""The catalogue's files: one JSON document per source, one wheel a line, so that a diff shows what changed.

No address stands in them: which index a machine asks is its own configuration.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from wheelmill.catalogue.fields import FIELDS, HEAD, WHEEL, Form, contradiction, file_fault, same_name
from wheelmill.catalogue.files import write_whole
from wheelmill.catalogue.model import PROJECT, Audited, Catalogue, CatalogueError, Record, Wheel
from wheelmill.catalogue.windows import place, read_windows, with_windows
from wheelmill.limits import MAX_TEXT, parse_json, read_regular

SCHEMA = 1


def load(folder: Path, project: str = PROJECT) -> Catalogue:
    """Every record of a folder; an absent folder is an empty catalogue.

    Raises CatalogueError, also for a record of another project.
    """
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    return Catalogue(tuple(_with_windows(folder, _of_project(file, project)) for file in files))


def _of_project(path: Path, project: str) -> Record:
    record = read_record(path)
    if same_name(record.project) != same_name(project):
        raise _wrong(path, f"project is {record.project!r:.120}; right is {project}")
    if record.source != path.stem:
        raise _wrong(path, f"source is {record.source!r:.120}; right in {path.name} is {path.stem}")
    return record


def _with_windows(folder: Path, record: Record) -> Record:
    return with_windows(record, read_windows(place(folder, record.source)))


def read_record(path: Path) -> Record:
    """One record; raises CatalogueError that names file, wheel and field, and what is right."""
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
    data.setdefault("unknown", [])
    if fault := _fault(data, HEAD, ("schema",)):
        raise _wrong(path, fault)
    project, source = data["project"], data["source"]
    wheels = tuple(_wheel(path, number, one, project, source) for number, one in enumerate(data["wheels"], 1))
    twice = [name for name, count in Counter(wheel.file for wheel in wheels).items() if count > 1]
    if twice:
        raise _wrong(path, f"it has {twice[0]} twice; right is once")
    return Record(project, source, data["read"], wheels, tuple(data["unknown"]))


def _fault(data: dict[str, Any], forms: Mapping[str, Form], others: Collection[str]) -> str | None:
    """The first field that is wrong, and what is right."""
    for name, form in forms.items():
        if not form.accepts(data.get(name)) and (forms is HEAD or data.get(name) is not None):
            return f"{name} is {data.get(name)!r:.120}; right is {form.right}"
    strange = [name for name in data if name not in forms and name not in others]
    if not strange:
        return None
    return f"there is no field {strange[0]!r:.60}; there are {', '.join((*others, *forms))}"


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
    write_whole(path, text)
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


def _wheel(path: Path, number: int, data: Any, project: str, source: str) -> Wheel:
    if not isinstance(data, dict):
        raise _wrong(path, f"wheel {number} is {data!r:.120}; right is an object")
    name = str(data.get("file"))
    if fault := file_fault(data.get("file"), project):
        raise _wrong(path, f"wheel {number}: {fault}")
    audited = data.get("audited")
    fault = _fault(data, WHEEL, ("file",))
    if fault is None:
        wheel = Wheel(
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
        fault = contradiction(wheel)
        if fault is None:
            return wheel
    raise _wrong(path, f"wheel {number}, {name} of version {name.split('-', 2)[1]}: {fault}")


def _wrong(path: Path, found: str) -> CatalogueError:
    return CatalogueError(
        f"{path} is not a record of the catalogue: {found}.",
        hint="Take the committed file again, or delete it and make it anew: wheelmill catalogue refresh.",
    )
