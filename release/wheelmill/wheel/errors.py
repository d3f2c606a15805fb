"""The one error of reading and writing wheels."""

from __future__ import annotations

from wheelmill.errors import WheelmillError


class WheelError(WheelmillError):
    """A file that cannot be read as a wheel, or one that cannot be written."""
