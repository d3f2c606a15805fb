"""What uploads raise."""

from __future__ import annotations

from wheelmill.errors import WheelmillError


class UploadError(WheelmillError):
    """The release cannot be uploaded as asked; the message says what is there, the hint what to do."""


class PassingError(UploadError):
    """The server did not do it this time: overloaded, broken off, or it asked to wait `after` seconds."""

    def __init__(self, message: str, *, after: float | None = None) -> None:
        super().__init__(
            message, hint="The server may be back later: run the same command again to continue."
        )
        self.after = after
