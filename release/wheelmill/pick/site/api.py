"""The JSON interface: static files below api/v1, and the JSON Schema of each."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

TEXT = {"type": "string"}
MAYBE = {"type": ["string", "null"]}
TEXTS = {"type": "array", "items": TEXT}
BOTH = {
    "type": "object",
    "required": ["en", "zh"],
    "additionalProperties": False,
    "properties": {"en": TEXT, "zh": TEXT},
}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(properties),
        "additionalProperties": False,
        "properties": dict(properties),
    }


WINDOW = _object(
    {
        "wheel": TEXT, "sha256": TEXT, "day": TEXT, "built_for": TEXT, "judged": TEXT, "runs": TEXTS,
        "without_cuda": TEXTS, "others": TEXTS, "requires": MAYBE, "refused": TEXTS, "en": MAYBE, "zh": MAYBE,
    }
)  # fmt: skip
STEP = _object({"title": TEXT, "zh": TEXT, "pip": TEXTS, "uv": TEXTS, "fallback": TEXTS})
WHEEL = _object(
    {
        "key": TEXT, "python": TEXT, "arch": {"enum": ["aarch64", "x86_64"]}, "glibc": MAYBE,
        "from": {"enum": ["index", "download", "build"]}, "file": MAYBE, "sha256": MAYBE,
        "size": {"type": ["integer", "null"]}, "day": MAYBE, "runs_in": MAYBE,
        "window": {"anyOf": [WINDOW, {"type": "null"}]},
        "steps": {"type": "array", "items": STEP},
    }
)  # fmt: skip
PRINTED = _object({"cann": MAYBE, "torch": MAYBE, "adapter": MAYBE, "reason": TEXT, "zh": TEXT})
VERSION = _object(
    {
        "id": TEXT, "adapter": TEXT, "branch": MAYBE, "torch": TEXT, "proven": TEXTS, "cann": MAYBE,
        "source": MAYBE, "series": MAYBE,
        "kind": {"enum": ["published", "development"]}, "image": MAYBE, "stage": MAYBE, "since": MAYBE,
        "until": MAYBE, "day": MAYBE, "pythons": TEXTS, "arches": TEXTS, "glibc": MAYBE, "from": TEXT,
        "available": {"type": "boolean"}, "reason": MAYBE, "reason_zh": MAYBE,
        "issues": {"type": "array", "items": BOTH},
        "printed": {"anyOf": [PRINTED, {"type": "null"}]},
        "wheels": {"type": "array", "items": WHEEL},
    }
)  # fmt: skip
SERIES = _object(
    {
        "series": TEXT, "policy": TEXT, "stage": TEXT, "zh": TEXT, "since": MAYBE, "until": MAYBE,
        "reason": MAYBE, "reason_zh": MAYBE,
        "days": {"type": "object", "additionalProperties": TEXT}, "released": MAYBE,
        "lines": TEXTS,
    }
)  # fmt: skip
FAILURE = _object(
    {
        "id": TEXT, "level": {"enum": ["cause", "guess", "wrapper", "notice"]}, "printed_by": TEXT,
        "needles": TEXTS, "pattern": TEXT, "values": TEXTS, "title": BOTH, "cause": BOTH, "cure": BOTH,
        "commands": TEXTS, "seen": TEXTS,
    }
)  # fmt: skip
SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "versions": {"items": VERSION},
    "series": {"items": SERIES},
    "failures": {"items": FAILURE},
}
COLUMNS = (
    "adapter",
    "branch",
    "torch",
    "proven",
    "cann",
    "pythons",
    "arches",
    "glibc",
    "stage",
    "until",
    "day",
    "from",
)


def documents(day: str, record: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """File name -> document: the three collections, their schemas, and an index that names them."""
    found: dict[str, Any] = {}
    for name, items in record.items():
        found[f"{name}.json"] = {"schema": f"{name}.schema.json", "day": day, name: list(items)}
        found[f"{name}.schema.json"] = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **_object({"schema": TEXT, "day": TEXT, name: {"type": "array", **SCHEMAS[name]}}),
        }
    names = {name: f"{name}.json" for name in record}
    found["index.json"] = {"version": 1, "day": day, "documents": names, "table": "versions.csv"}
    return found


def table(versions: Sequence[Mapping[str, Any]]) -> str:
    """The compatibility table as CSV (RFC 4180), lists separated by spaces."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for one in versions:
        writer.writerow(
            [" ".join(cell) if isinstance(cell := one[name], list) else cell or "" for name in COLUMNS]
        )
    return text.getvalue()
