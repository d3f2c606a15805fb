"""A decoded matrix as plain values, to be kept and read without YAML: a picker reads the same file often.

Where rows stood in the file is not kept.
"""

from __future__ import annotations

import json

from wheelmill.limits import parse_json
from wheelmill.matrix.model import Document
from wheelmill.matrix.plain import from_plain, to_plain


class NotKeptError(Exception):
    """A text that is no `dump`."""


def dump(document: Document) -> str:
    """The document as one line of JSON."""
    return json.dumps(to_plain(document), ensure_ascii=False, separators=(",", ":"))


def restore(text: str) -> Document:
    """The document of a `dump`; raises NotKeptError for any other text."""
    try:
        return from_plain(Document, parse_json(text))
    except ValueError as error:
        raise NotKeptError(str(error)) from None
