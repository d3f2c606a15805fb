"""The forms of values that are printed to be pasted into a shell, or handed to pip: addresses, requirements.

Both are parsed whole. A look at how a text begins is not enough: `https://host@other/` is an address of
`other`, and `--index-url=...` among requirements is an option to pip.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement

# What may stand in an address: nothing that a shell, a quoted string or a requirements file reads otherwise.
_ADDRESS = re.compile(r"[A-Za-z0-9._~:/%+,=@\[\]-]+")
_USER = re.compile(r"^([a-z]+://)[^/]*@")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_ESCAPES = re.compile(r"%(?![0-9A-Fa-f]{2})")


def https_url(text: str) -> str:
    """The same text; raises ValueError unless it is `https://host[:port]/path`: no user, query or `..`."""
    return address(text, ("https",))


def address(text: str, schemes: Sequence[str], *, user: bool = False) -> str:
    """The same for any of these schemes; one of `file` has no host. `user` allows one, with any password."""
    if wrong := _wrong(_USER.sub(r"\1", text) if user else text, schemes):
        raise ValueError(f"{text!r:.200} {wrong}")
    return text


def _wrong(text: str, schemes: Sequence[str]) -> str | None:
    """What is wrong with an address."""
    if not _ADDRESS.fullmatch(text):
        return "has characters that do not belong into an address"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        return f"is no address: {error}"
    if parts.scheme not in schemes or not text.startswith(f"{parts.scheme}://"):
        return f"is no {' or '.join(schemes)} address"
    if "@" in parts.netloc:
        return "names a user"
    if parts.scheme == "file":
        if parts.netloc:
            return "names a host"
    elif port == 0 or not _is_host(parts.hostname or "") or parts.netloc.endswith(":"):
        return "has no host"
    path = unquote(parts.path)
    if _ESCAPES.search(parts.path) or not path.isprintable() or " " in path or "\\" in path:
        return "has a path with escapes that cannot be read"
    if "//" in path or {"..", "."} & set(path.split("/")):
        return "has a path with empty or relative parts"
    return None


def _is_host(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        labels = name.split(".")
        numeric = labels[-1].isdigit()  # such as 127.1, which a browser and a resolver read as a number
        return len(name) <= 253 and not numeric and all(map(_LABEL.fullmatch, labels))
    return True


@lru_cache(maxsize=4096)
def requirement(text: str) -> str:
    """The same text; raises ValueError unless it is a PEP 508 requirement by name, without an address."""
    if not text.isprintable():
        raise ValueError(f"{text!r:.200} has characters that cannot be seen")
    try:
        found = Requirement(text)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{text!r:.200} is no requirement: {reason}") from None
    if found.url is not None:
        raise ValueError(f"{text!r:.200} names an address, from which anything could be installed")
    return text
