"""A decoded matrix as plain values, to be kept and read without YAML: a picker reads the same file often.

Rows become `{name of the class: [value, ...]}`; where they stood in the file is not kept.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from wheelmill.matrix import model
from wheelmill.matrix.model import Document, Row

_ROWS: dict[str, type[Row]] = {
    name: kind for name, kind in vars(model).items() if isinstance(kind, type) and issubclass(kind, Row)
}


class NotKeptError(Exception):
    """A text that is no `dump`."""


def dump(document: Document) -> str:
    """The document as one line of JSON."""
    return json.dumps(_plain(document), ensure_ascii=False, separators=(",", ":"))


def restore(text: str) -> Document:
    """The document of a `dump`; raises NotKeptError for any other text."""
    try:
        document = _value(json.loads(text))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise NotKeptError(str(error)) from None
    if not isinstance(document, Document):
        raise NotKeptError("not a document")
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, Row):
        names = (one.name for one in dataclasses.fields(value) if one.name != "at")
        return {type(value).__name__: [_plain(getattr(value, name)) for name in names]}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {"": {key: _plain(one) for key, one in value.items()}}
    return {"date": value.isoformat()} if isinstance(value, date) else value


def _value(data: Any) -> Any:
    if isinstance(data, list):
        return tuple(map(_value, data))
    if not isinstance(data, dict):
        return data
    ((name, inner),) = data.items()
    if name == "":
        return {key: _value(one) for key, one in inner.items()}
    if name == "date":
        return date.fromisoformat(inner)
    make: Callable[..., Row] = _ROWS[name]
    return make(*map(_value, inner))
