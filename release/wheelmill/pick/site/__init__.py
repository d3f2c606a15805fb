"""The static site for users: everything from one record, in English and Chinese, without a server."""

from __future__ import annotations

from wheelmill.pick.site.build import Site, write

__all__ = ["Site", "write"]
