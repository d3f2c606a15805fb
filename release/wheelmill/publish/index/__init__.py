"""A static package index, HTML and JSON from one record set, switched whole by one rename.

What writes and serves it is imported on first use: a cached build only asks whether it is intact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelmill.publish.lazy import attributes

if TYPE_CHECKING:
    from wheelmill.publish.index.layout import Layout, Status, View
    from wheelmill.publish.index.records import IndexFaultError, SideFile, WheelRecord
    from wheelmill.publish.index.serve import IndexServer, Request
    from wheelmill.publish.index.tree import BuiltIndex, build_index, change_index, read_index

__all__ = [
    "BuiltIndex",
    "IndexFaultError",
    "IndexServer",
    "Layout",
    "Request",
    "SideFile",
    "Status",
    "View",
    "WheelRecord",
    "build_index",
    "change_index",
    "read_index",
]

_HOMES = {
    "IndexFaultError": "records",
    "SideFile": "records",
    "WheelRecord": "records",
    "Layout": "layout",
    "Status": "layout",
    "View": "layout",
    "IndexServer": "serve",
    "Request": "serve",
    "BuiltIndex": "tree",
    "build_index": "tree",
    "change_index": "tree",
    "read_index": "tree",
}

__getattr__ = attributes(__name__, _HOMES)
