"""The static site for users: everything from one record, in English and Chinese, without a server."""

from __future__ import annotations

from wheelmill.pick.site.build import Site, settle, write
from wheelmill.pick.site.feeds import base_address

__all__ = ["Site", "base_address", "settle", "write"]
