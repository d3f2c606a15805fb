"""Which adapter wheel fits, with the exact commands; or why none does, and what is nearest.

Pure, and apart from all that builds: a user's picker needs neither compiler nor nox.
"""

from __future__ import annotations

from wheelmill.pick.model import (
    Alternative,
    Axis,
    Blocker,
    Conflict,
    NoFit,
    Offer,
    Pick,
    PickError,
    Request,
    Step,
)
from wheelmill.pick.render import render_dockerfile, render_text, to_json
from wheelmill.pick.request import index_address, index_base, parse_request, with_system
from wheelmill.pick.resolve import answer, resolve
from wheelmill.pick.shelf import Shelf

__all__ = [
    "Alternative",
    "Axis",
    "Blocker",
    "Conflict",
    "NoFit",
    "Offer",
    "Pick",
    "PickError",
    "Request",
    "Shelf",
    "Step",
    "answer",
    "index_address",
    "index_base",
    "parse_request",
    "render_dockerfile",
    "render_text",
    "resolve",
    "to_json",
    "with_system",
]
