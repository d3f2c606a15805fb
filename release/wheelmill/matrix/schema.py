"""The JSON Schema of a file of rows, made from their type hints, so that editors know every field."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping
from datetime import date
from typing import Any, Literal, Union, get_args, get_origin

from wheelmill.matrix.decode import hints
from wheelmill.matrix.model import Document, Row

_SCALARS: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    date: {"type": "string", "format": "date", "pattern": r"^\d{4}-\d\d-\d\d$"},
}


def schema(root_row: type[Row] = Document, title: str = "Compatibility matrix") -> dict[str, Any]:
    """JSON Schema (2020-12) of a file of such rows; dates are strings, as YAML 1.2 reads them."""
    rows: dict[str, Any] = {}
    root = _row(root_row, rows)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **root,
        "$defs": dict(sorted(rows.items())),
    }


def _row(row: Any, rows: dict[str, Any]) -> dict[str, Any]:
    fields = hints(row)
    return {
        "description": inspect.cleandoc(row.__doc__ or ""),
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, (_, required) in fields.items() if required],
        "properties": {name: _value(kind, rows) for name, (kind, _) in fields.items()},
    }


def _value(kind: Any, rows: dict[str, Any]) -> dict[str, Any]:
    origin, args = get_origin(kind), get_args(kind)
    if kind in _SCALARS:
        return _SCALARS[kind]
    if isinstance(kind, type) and issubclass(kind, Row):
        if kind.__name__ not in rows:
            rows[kind.__name__] = {}  # holds the place should rows ever nest in themselves
            rows[kind.__name__] = _row(kind, rows)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_value(arg, rows) for arg in args if arg is not type(None)] + [{"type": "null"}]}
    if origin is tuple:
        return {"type": "array", "items": _value(args[0], rows)}
    if origin is Literal:
        return {"enum": list(args)}
    if issubclass(origin, Mapping):
        names = {"propertyNames": _value(args[0], rows)} if get_origin(args[0]) is Literal else {}
        return {"type": "object", **names, "additionalProperties": _value(args[1], rows)}
    raise TypeError(f"no schema for {kind}")
