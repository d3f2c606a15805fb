"""A static package index, HTML and JSON from one record set, switched whole by one rename."""

from __future__ import annotations

from wheelmill.index.records import IndexFaultError, WheelRecord
from wheelmill.index.serve import IndexServer, Request
from wheelmill.index.tree import BuiltIndex, build_index

__all__ = ["BuiltIndex", "IndexFaultError", "IndexServer", "Request", "WheelRecord", "build_index"]
