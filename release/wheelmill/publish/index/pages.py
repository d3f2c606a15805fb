"""The index as text, pure: the same records always give the same pages, in HTML and in JSON.

The HTML is PEP 503 with the attributes of PEP 592, 629, 658 and 714; the JSON is PEP 691 with the fields of
PEP 700. A page and its JSON twin lie in one directory and differ in file name only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timezone
from html import escape
from itertools import groupby
from typing import Any
from urllib.parse import quote

from wheelmill.publish.index.records import WheelRecord

API_VERSION = "1.1"
HTML_NAME = "index.html"
JSON_NAME = "index.v1+json"
SIMPLE = "simple"
FILES = "files"


def pages(records: Sequence[WheelRecord]) -> dict[str, bytes]:
    """Path in the tree -> content of every page and metadata file; `records` checked and in order."""
    projects = {name: list(group) for name, group in groupby(records, key=lambda r: r.project)}
    made: dict[str, bytes] = {
        f"{SIMPLE}/{HTML_NAME}": _root_html(projects).encode(),
        f"{SIMPLE}/{JSON_NAME}": _json({"meta": _meta(), "projects": [{"name": name} for name in projects]}),
    }
    for name, wheels in projects.items():
        made[f"{SIMPLE}/{name}/{HTML_NAME}"] = _project_html(name, wheels).encode()
        made[f"{SIMPLE}/{name}/{JSON_NAME}"] = _json(_project_json(name, wheels))
    for record in records:
        made[f"{file_path(record)}.metadata"] = record.metadata
    return made


def file_path(record: WheelRecord) -> str:
    """Where a wheel lies in the tree: under its hash, so that what a URL gives never changes."""
    return f"{FILES}/{record.sha256}/{record.filename}"


def _url(record: WheelRecord) -> str:
    """The wheel as seen from its project's page; a `+` of a local version has to be quoted."""
    return f"../../{quote(file_path(record))}"


def _meta() -> dict[str, str]:
    return {"api-version": API_VERSION}


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def _project_json(name: str, wheels: Sequence[WheelRecord]) -> dict[str, Any]:
    return {
        "meta": _meta(),
        "name": name,
        "versions": list(dict.fromkeys(str(record.version) for record in wheels)),
        "files": [_file_json(record) for record in wheels],
    }


def _file_json(record: WheelRecord) -> dict[str, Any]:
    moment = record.upload_time.astimezone(timezone.utc)
    return {
        "filename": record.filename,
        "url": _url(record),
        "hashes": {"sha256": record.sha256},
        **({} if record.requires_python is None else {"requires-python": record.requires_python}),
        "size": record.size,
        "upload-time": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "yanked": False if record.yanked is None else record.yanked or True,
        # Not under its older name, too: the pip that comes with Python 3.8 (22.3 to 23.0) fails on it.
        "core-metadata": {"sha256": record.metadata_sha256},
    }


def _root_html(projects: Iterable[str]) -> str:
    return _page("Simple index", [f'<a href="{quote(name)}/">{escape(name)}</a><br>' for name in projects])


def _project_html(name: str, wheels: Sequence[WheelRecord]) -> str:
    return _page(f"Links for {name}", [_anchor(record) for record in wheels])


def _anchor(record: WheelRecord) -> str:
    core = f"sha256={record.metadata_sha256}"
    attributes = {
        "href": f"{_url(record)}#sha256={record.sha256}",
        "data-requires-python": record.requires_python,
        "data-core-metadata": core,
        "data-dist-info-metadata": core,
        "data-yanked": record.yanked,
    }
    written = " ".join(f'{key}="{escape(value)}"' for key, value in attributes.items() if value is not None)
    return f"<a {written}>{escape(record.filename)}</a><br>"


def _page(title: str, body: Iterable[str]) -> str:
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta name="pypi:repository-version" content="{API_VERSION}">',
        f"<title>{escape(title)}</title>",
        "</head>",
        "<body>",
        f"<h1>{escape(title)}</h1>",
        *body,
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"
