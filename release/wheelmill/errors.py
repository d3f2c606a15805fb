"""What a user is meant to read: errors, which end a command, and findings, which rules collect.

Either has a `message`, what was found, and a `hint`, what to do about it. The command line prints both and
leaves with the error's `exit_code`; nothing else is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from wheelmill.frozen import dataclass

Severity = Literal["error", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing that a rule found: where, what, and what to do about it.

    `file` is the file, or the path inside the wheel that is judged ("" for the whole wheel). `line` counts
    from 1, and is 0 where there are no lines. `data` has particulars for machines, for example
    {"version": "GLIBC_2.34"}. The frame that runs a rule fills in its name.
    """

    rule: str
    severity: Severity
    file: str
    message: str
    hint: str = ""
    line: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        hint = f"\n    hint: {self.hint}" if self.hint else ""
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        return f"{place}{self.severity}: {self.message} [{self.rule}]{hint}"


class WheelmillError(Exception):
    """What was asked, what was found (`message`), and what to do next (`hint`)."""

    exit_code = 1
    label = "error: "  # what stands before the message; in the language of it

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n{self.hint}"


class StoppedError(Exception):
    """Another thread asked this work to end, and it did; nobody is told but who asked."""
