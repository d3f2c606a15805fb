"""The base of every error that a user is meant to read.

The command line prints `message`, then `hint`, and leaves with `exit_code`; nothing else is shown.
"""

from __future__ import annotations


class WheelmillError(Exception):
    """What was asked, what was found (`message`), and what to do next (`hint`)."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n{self.hint}"


class StoppedError(Exception):
    """Another thread asked this work to end, and it did; nobody is told but who asked."""
