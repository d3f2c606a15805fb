"""The Atom feed (RFC 4287) of releases and stage changes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree import ElementTree

from wheelmill.errors import WheelmillError

ATOM = "http://www.w3.org/2005/Atom"
MOST = 60
SCHEMES = ("https", "http", "file")
_RELATIVE = re.compile(r"(?!//)[A-Za-z0-9._~/%+,=@-]*")


def base_address(text: str) -> str:
    """The address of a site with a slash at its end: one of `SCHEMES`, or a path that is relative to readers.

    Raises WheelmillError for anything else: readers of the feed follow what stands there.
    """
    from wheelmill.matrix.forms import address  # takes longer to import than an answer to make

    text = text.strip()
    if _RELATIVE.fullmatch(text) is None:
        try:
            address(text, SCHEMES)
        except ValueError as error:
            raise WheelmillError(
                f"--base: {error}", hint="Write it as https://HOST/PATH, file:///PATH or a relative path."
            ) from None
    return text.rstrip("/") + "/"


def atom(events: Iterable[Mapping[str, Any]], day: str, base: str | None) -> bytes:
    """The newest events; the same ones give the same bytes. `base` is the site's address, if any."""
    ElementTree.register_namespace("", ATOM)
    feed = ElementTree.Element(f"{{{ATOM}}}feed")
    _add(feed, "id", "tag:wheelmill.invalid,2026:torch_npu")
    _add(feed, "title", "torch_npu: wheels and stages")
    _add(feed, "updated", f"{day}T00:00:00Z")
    author = ElementTree.SubElement(feed, f"{{{ATOM}}}author")
    _add(author, "name", "wheelmill")
    if base:
        ElementTree.SubElement(feed, f"{{{ATOM}}}link", {"rel": "self", "href": f"{base}feed.xml"})
    for event in list(events)[:MOST]:
        entry = ElementTree.SubElement(feed, f"{{{ATOM}}}entry")
        what = event["kind"] if event["kind"] == "release" else event["stage"]
        _add(entry, "id", f"tag:wheelmill.invalid,2026:{what}:{event['name']}")
        _add(entry, "title", _title(event))
        _add(entry, "updated", f"{event['day']}T00:00:00Z")
        _add(entry, "summary", _summary(event))
        if base:
            page = f"version/{event['name']}.html" if event["kind"] == "release" else "timeline.html"
            ElementTree.SubElement(entry, f"{{{ATOM}}}link", {"href": f"{base}{page}"})
    ElementTree.indent(feed)
    return bytes(ElementTree.tostring(feed, encoding="utf-8", xml_declaration=True)) + b"\n"


def _add(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, f"{{{ATOM}}}{name}").text = text


def _title(event: Mapping[str, Any]) -> str:
    if event["kind"] == "release":
        return f"torch_npu {event['name']} was published"
    return f"Series {event['name']}: {event['stage']} ({event['zh']})"


def _summary(event: Mapping[str, Any]) -> str:
    if event["kind"] == "release":
        return f"For torch {event['torch']}, CANN {event['cann'] or 'unknown'}."
    return f"The series {event['name']} entered the stage {event['stage']} on {event['day']}."
