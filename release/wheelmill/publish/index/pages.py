"""The index as text, pure: the same records always give the same pages, in HTML and in JSON.

The HTML is PEP 503 with the attributes of PEP 592, 629, 658 and 714. The JSON is PEP 691 with the fields of
PEP 700 and 792. A page and its JSON twin lie in one directory and differ in file name only.

JSON keys with an underscore are private to an index (PEP 691). Here they carry what a record has beyond the
standards, so that the JSON pages of the merged root *are* the record set: `records_of` reads them back.

Attestation objects (PEP 740) are side files, `<wheel>.provenance`. The standard's key for them wants a whole
URL, so pages have it where the index knows its address; all other URLs are relative.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import escape
from typing import Any
from urllib.parse import quote

from wheelmill.limits import parse_json
from wheelmill.publish.index.layout import ACTIVE, Status
from wheelmill.publish.index.records import MOMENT, SideFile, WheelRecord

API_VERSION = "1.4"
HTML_NAME = "index.html"
JSON_NAME = "index.v1+json"
SIMPLE = "simple"
ATTESTATION = ".provenance"
FILES = "files"

_META = {"api-version": API_VERSION}


def simple_path(root: str, project: str = "") -> str:
    """The folder of a root's or project's page: `line/v2.1.0/simple/some-name`."""
    return "/".join(part for part in (root, SIMPLE, project) if part)


def file_path(record: WheelRecord) -> str:
    """Where a wheel lies in the tree: under its hash, so that what a URL gives never changes."""
    return f"{FILES}/{record.sha256}/{record.filename}"


def root_pages(projects: Sequence[str]) -> dict[str, bytes]:
    """File name -> content of the list of a root's projects."""
    links = [f'<a href="{quote(name)}/">{escape(name)}</a><br>' for name in projects]
    listed = {"meta": _META, "projects": [{"name": name} for name in projects]}
    return {HTML_NAME: _page("Simple index", "\n".join(links), ACTIVE), JSON_NAME: _json(listed).encode()}


class Writer:
    """Writes the pages of one project, and each of its wheels once, however many pages show it.

    `address` is that of a Layout.
    """

    def __init__(self, project: str, address: str | None = None) -> None:
        self._project, self._address = project, address
        self._written: dict[str, tuple[str, str]] = {}  # file name -> JSON and HTML, after the way to `files`

    def pages(
        self,
        root: str,
        records: Sequence[WheelRecord],
        status: Status = ACTIVE,
        beside: Mapping[str, bytes] | None = None,
    ) -> dict[str, bytes]:
        """File name -> content of the project's page under a root; `records` in order.

        `beside` are files in the page's own folder that it lists, too, by name.
        """
        name = self._project
        up = "../" * (simple_path(root, name).count("/") + 1)
        versions = list(dict.fromkeys([record.filename.split("-", 2)[1] for record in records]))
        head = _json({"meta": _META, "name": name, **_status_json(status), "versions": versions})
        known = self._written
        texts = [known.get(record.filename) or self._write(record) for record in records]
        in_json, in_html = f'{{"url":"{up}', f'<a href="{up}'
        files = in_json + f",\n{in_json}".join([text for text, _ in texts])
        links = in_html + f"\n{in_html}".join([text for _, text in texts])
        for file, data in (beside or {}).items():
            digest = hashlib.sha256(data).hexdigest()
            files += ",\n" + _json({"url": file, "filename": file, "hashes": {"sha256": digest}})
            links += f'\n<a href="{file}#sha256={digest}">{file}</a><br>'
        made = f'{head[:-1]},"files":[\n{files}\n]}}\n'
        pages = {HTML_NAME: _page(f"Links for {name}", links, status), JSON_NAME: made.encode()}
        return {**pages, **beside} if beside else pages

    def _write(self, record: WheelRecord) -> tuple[str, str]:
        name, place, core = record.filename, _place(record), record.metadata_sha256
        in_json = in_html = ""
        if (python := record.requires_python) is not None:
            in_json, in_html = _member("requires-python", python), _attribute("data-requires-python", python)
        marks = ""
        if (yanked := record.yanked) is not None:
            in_json += _member("yanked", yanked) if yanked else '"yanked":true,'
            marks = _attribute("data-yanked", yanked)
        else:
            in_json += '"yanked":false,'
        if (attested := provenance_url(record, self._address)) is not None:
            in_json += _member("provenance", attested)
            marks += _attribute("data-provenance", attested)
        # The metadata stand in JSON under the newer name only: the pip that comes with Python 3.8 (22.3 to
        # 23.0) fails on the older one there.
        written = self._written[name] = (
            f'{place}","filename":"{name}","hashes":{{"sha256":"{record.sha256}"}},{in_json}'
            f'"size":{record.size},"upload-time":"{record.uploaded}",'
            f'"core-metadata":{{"sha256":"{core}"}}{_private(record)}}}',
            f'{place}#sha256={record.sha256}"{in_html} data-core-metadata="sha256={core}"'
            f' data-dist-info-metadata="sha256={core}"{marks}>{name}</a><br>',
        )
        return written


def records_of(page: bytes) -> list[WheelRecord]:
    """The records that a JSON page of ours was made of. Raises ValueError or KeyError for another page."""
    try:
        return [_record(entry) for entry in parse_json(page)["files"]]
    except (TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a page of this index: {error}") from None


# ----------------------------------------------------------------------------------------------------- JSON
def _status_json(status: Status) -> dict[str, Any]:
    reason = {} if status.reason is None else {"reason": status.reason}
    return {"project-status": {"status": status.status, **reason}}


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=4096)
def _member(key: str, value: str) -> str:
    return f'"{key}":{json.dumps(value, ensure_ascii=False)},'


def _place(record: WheelRecord) -> str:
    """The same as part of an address: a `+` is quoted, and nothing else of a wheel's name can need it."""
    path = file_path(record)
    return path.replace("+", "%2B") if "+" in path else path


def provenance_url(record: WheelRecord, address: str | None) -> str | None:
    """The whole URL of a wheel's attestations; None where it has none, or the index has no address."""
    if address is None or not any(side.suffix == ATTESTATION for side in record.sides):
        return None
    return f"{address}{_place(record)}{ATTESTATION}"


def _private(record: WheelRecord) -> str:
    """What no standard has a key for."""
    if not (record.lines or record.canns or record.sides):
        return ""
    said: dict[str, Any] = {}
    if record.lines:
        said["_lines"] = record.lines
    if record.canns:
        said["_canns"] = record.canns
    if record.sides:
        said["_side-files"] = {side.suffix: {"sha256": side.sha256} for side in record.sides}
    return "," + _json(said)[1:-1]


def _record(entry: Mapping[str, Any]) -> WheelRecord:
    yanked, uploaded = entry["yanked"], entry["upload-time"]
    if not MOMENT.fullmatch(uploaded):
        raise ValueError(f"{uploaded!r} is no upload time")
    return WheelRecord(
        filename=entry["filename"],
        sha256=entry["hashes"]["sha256"],
        size=entry["size"],
        requires_python=entry.get("requires-python"),
        uploaded=uploaded,
        yanked=None if yanked is False else "" if yanked is True else yanked,
        lines=tuple(entry.get("_lines", ())),
        canns=tuple(entry.get("_canns", ())),
        sides=_sides(entry["_side-files"]) if "_side-files" in entry else (),
        metadata_sha256=entry["core-metadata"]["sha256"],
    )


def _sides(listed: Mapping[str, Any]) -> tuple[SideFile, ...]:
    return tuple(SideFile(suffix, side["sha256"]) for suffix, side in listed.items())


# ----------------------------------------------------------------------------------------------------- HTML
@lru_cache(maxsize=4096)
def _attribute(name: str, value: str) -> str:
    return f' {name}="{escape(value)}"'


def _page(title: str, body: str, status: Status) -> bytes:
    told = []
    if status != ACTIVE:
        told.append(f'<meta name="pypi:project-status" content="{status.status}">')
        if status.reason is not None:
            told.append(f'<meta name="pypi:project-status-reason" content="{escape(status.reason)}">')
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta name="pypi:repository-version" content="{API_VERSION}">',
        *told,
        f"<title>{escape(title)}</title>",
        "</head>",
        "<body>",
        f"<h1>{escape(title)}</h1>",
        body,
        "</body>",
        "</html>",
    ]
    return ("\n".join(lines) + "\n").encode()
