"""Another value in each place of a document, one at a time: what somebody may have written into it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each value stands below this one: of a list its first entries, which stand for the others."""
    inner = list(value.items()) if isinstance(value, dict) else []
    inner += list(enumerate(value))[:2] if isinstance(value, list) else []
    for key, one in inner:
        yield (*path, key)
        yield from places(one, (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> str:
    """The whole as JSON, with another value in one place."""
    whole = copy.deepcopy(value)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return json.dumps(whole)
