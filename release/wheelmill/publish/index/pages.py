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
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from functools import lru_cache
from html import escape
from typing import Any
from urllib.parse import quote

from wheelmill.limits import parse_json
from wheelmill.publish.index.layout import ACTIVE, Status
from wheelmill.publish.index.records import SideFile, WheelRecord

API_VERSION = "1.4"
HTML_NAME = "index.html"
JSON_NAME = "index.v1+json"
SIMPLE = "simple"
ATTESTATION = ".provenance"
FILES = "files"

_META = {"api-version": API_VERSION}


def simple_path(root: str, project: str = "") -> str:
    """The folder of a root's or project's page: `line/v2.1.0/simple/torch-npu`."""
    return "/".join(part for part in (root, SIMPLE, project) if part)


def file_path(record: WheelRecord) -> str:
    """Where a wheel lies in the tree: under its hash, so that what a URL gives never changes."""
    return f"{FILES}/{record.sha256}/{record.filename}"


def root_pages(projects: Sequence[str]) -> dict[str, bytes]:
    """File name -> content of the list of a root's projects."""
    links = [f'<a href="{quote(name)}/">{escape(name)}</a><br>' for name in projects]
    listed = {"meta": _META, "projects": [{"name": name} for name in projects]}
    return {HTML_NAME: _page("Simple index", links, ACTIVE), JSON_NAME: _json(listed).encode()}


def project_pages(
    root: str,
    name: str,
    records: Sequence[WheelRecord],
    status: Status = ACTIVE,
    beside: Mapping[str, bytes] | None = None,
    address: str | None = None,
) -> dict[str, bytes]:
    """File name -> content of a project's page under a root; `records` in order.

    `beside` are files in the page's own folder that it lists, too, by name. `address` is that of a Layout.
    """
    up = "../" * (simple_path(root, name).count("/") + 1)
    versions = list(dict.fromkeys(record.filename.split("-", 2)[1] for record in records))
    head = _json({"meta": _META, "name": name, **_status_json(status), "versions": versions})
    listed = {name: hashlib.sha256(data).hexdigest() for name, data in (beside or {}).items()}
    more = [_json({"filename": n, "url": n, "hashes": {"sha256": digest}}) for n, digest in listed.items()]
    files = ",\n".join([*(_file_json(record, up, address) for record in records), *more])
    made = f'{head[:-1]},"files":[\n{files}\n]}}\n'
    body = [_anchor(record, up, address) for record in records]
    body += [f'<a href="{n}#sha256={digest}">{n}</a><br>' for n, digest in listed.items()]
    pages = {HTML_NAME: _page(f"Links for {name}", body, status), JSON_NAME: made.encode()}
    return {**pages, **beside} if beside else pages


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
def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _file_json(record: WheelRecord, up: str, address: str | None) -> str:
    """One file, on one line. Written by hand: a page may have a hundred thousand of them."""
    name = record.filename
    python = record.requires_python
    asked = "" if python is None else f'"requires-python":{_text(python)},'
    yanked = "false" if record.yanked is None else _text(record.yanked) if record.yanked else "true"
    attested = provenance_url(record, address)
    proved = "" if attested is None else f'"provenance":{_text(attested)},'
    # Not under its older name, too: the pip that comes with Python 3.8 (22.3 to 23.0) fails on it.
    return (
        f'{{"filename":"{name}","url":"{up}{_address(record)}",'
        f'"hashes":{{"sha256":"{record.sha256}"}},{asked}"size":{record.size},'
        f'"upload-time":"{_moment(record.upload_time)}","yanked":{yanked},{proved}'
        f'"core-metadata":{{"sha256":"{record.metadata_sha256}"}}{_private(record)}}}'
    )


def _address(record: WheelRecord) -> str:
    """Where a wheel lies in the tree, as part of a URL."""
    return f"{FILES}/{record.sha256}/{_quoted(record.filename)}"


def provenance_url(record: WheelRecord, address: str | None) -> str | None:
    """The whole URL of a wheel's attestations; None where it has none, or the index has no address."""
    if address is None or not any(side.suffix == ATTESTATION for side in record.sides):
        return None
    return f"{address}{_address(record)}{ATTESTATION}"


def _private(record: WheelRecord) -> str:
    """What no standard has a key for."""
    said: dict[str, Any] = {}
    if record.lines:
        said["_lines"] = record.lines
    if record.canns:
        said["_canns"] = record.canns
    if record.sides:
        said["_side-files"] = {side.suffix: {"sha256": side.sha256} for side in record.sides}
    return "," + _json(said)[1:-1] if said else ""


def _record(entry: Mapping[str, Any]) -> WheelRecord:
    yanked = entry["yanked"]
    return WheelRecord(
        filename=entry["filename"],
        sha256=entry["hashes"]["sha256"],
        size=entry["size"],
        requires_python=entry.get("requires-python"),
        upload_time=datetime.fromisoformat(f"{entry['upload-time'][:-1]}+00:00"),
        yanked=None if yanked is False else "" if yanked is True else yanked,
        lines=tuple(entry.get("_lines", ())),
        canns=tuple(entry.get("_canns", ())),
        sides=tuple(SideFile(name, side["sha256"]) for name, side in entry.get("_side-files", {}).items()),
        metadata_sha256=entry["core-metadata"]["sha256"],
    )


def _moment(moment: datetime) -> str:
    if moment.tzinfo is not timezone.utc:
        moment = moment.astimezone(timezone.utc)
    return f"{moment.isoformat(timespec='microseconds')[:-6]}Z"


def _quoted(name: str) -> str:
    """A `+` of a local version has to be quoted; nothing else of a wheel's name can need it."""
    return name.replace("+", "%2B")


# ----------------------------------------------------------------------------------------------------- HTML
@lru_cache(maxsize=4096)
def _attribute(name: str, value: str) -> str:
    return f' {name}="{escape(value)}"'


def _anchor(record: WheelRecord, up: str, address: str | None) -> str:
    name, core = record.filename, record.metadata_sha256
    python, yanked, attested = record.requires_python, record.yanked, provenance_url(record, address)
    return (
        f'<a href="{up}{_address(record)}#sha256={record.sha256}"'
        f"{'' if python is None else _attribute('data-requires-python', python)}"
        f' data-core-metadata="sha256={core}" data-dist-info-metadata="sha256={core}"'
        f"{'' if yanked is None else _attribute('data-yanked', yanked)}"
        f"{'' if attested is None else _attribute('data-provenance', attested)}>{name}</a><br>"
    )


def _page(title: str, body: Iterable[str], status: Status) -> bytes:
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
        *body,
        "</body>",
        "</html>",
    ]
    return ("\n".join(lines) + "\n").encode()
