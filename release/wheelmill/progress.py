"""How a long step says what it is doing: one short text at a time, for a spinner or a log line."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]


def silent(text: str) -> None:
    """The progress of someone who does not look."""
