"""The Atom feed of announced releases (RFC 4287): the same sessions give the same bytes."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from wheelmill.publish.release.session import Session
from wheelmill.publish.release.sessions import Sessions
from wheelmill.store.disk import flush
from wheelmill.store.errors import disk_errors

NAME = "feed.atom"
_ATOM = "http://www.w3.org/2005/Atom"


def path_of(into: Path) -> Path:
    """Beside the index: `public.atom`."""
    return into.with_name(f"{into.name}.atom")


def write(sessions: Sessions, adding: Session) -> Path:
    """Write the feed of the announced releases of an index, `adding` among them; whole, or not at all."""
    into = Path(adding.into)
    announced = [one for one in sessions.public(adding.into) if one.state == "announced"]
    entries = [one for one in announced if one.name != adding.name] + [adding]
    target = path_of(into)
    with disk_errors("write", target):
        partial = target.with_name(f".{target.name}.partial")
        partial.write_bytes(render(entries))
        flush([partial], into.parent)
        partial.replace(target)
    return target


def render(announced: list[Session]) -> bytes:
    """The feed, newest first. Every address in it is relative to where it is served."""
    ordered = sorted(announced, key=lambda one: (str(one.publishing), one.name), reverse=True)
    ElementTree.register_namespace("", _ATOM)
    root = ElementTree.Element(f"{{{_ATOM}}}feed")
    package = ordered[0].facts["checked"]["package"]
    _text(root, "title", f"Releases of {package}")
    _text(root, "id", f"urn:wheelmill:{package}:releases")
    _text(root, "updated", max(str(one.publishing) for one in ordered))
    author = ElementTree.SubElement(root, f"{{{_ATOM}}}author")
    _text(author, "name", "wheelmill")
    for session in ordered:
        _entry(root, session)
    ElementTree.indent(root, " ")
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _entry(root: ElementTree.Element, session: Session) -> None:
    checked = session.facts["checked"]
    entry = ElementTree.SubElement(root, f"{{{_ATOM}}}entry")
    package = checked["package"]
    _text(entry, "title", f"{package} {session.version} ({session.branch})")
    _text(entry, "id", f"urn:wheelmill:{package}:{session.name}")
    _text(entry, "published", str(session.publishing))
    changed = session.yanked.at if session.yanked is not None else str(session.publishing)
    _text(entry, "updated", changed)
    cells = len(session.facts["built"]["cells"])
    said = f"{checked['title']}: {cells} {'cell' if cells == 1 else 'cells'}."
    if session.yanked is not None:
        said = f"Yanked: {session.yanked.reason} {said}"
    _text(entry, "summary", said)


def _text(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, f"{{{_ATOM}}}{name}").text = text
