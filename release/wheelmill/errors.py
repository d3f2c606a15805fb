"""What a user is meant to read: errors, which end a command, and findings, which rules collect.

The command line prints an error's `message`, then its `hint`, and leaves with `exit_code`; nothing else is
shown. What to do about a finding is its `fix`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["error", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing that a rule found: where, what, and how to fix it.

    `file` is the file, or the path inside the wheel that is judged ("" for the whole wheel). `line` counts
    from 1, and is 0 where there are no lines. `data` has particulars for machines, for example
    {"version": "GLIBC_2.34"}. The frame that runs a rule fills in its name.
    """

    rule: str
    severity: Severity
    file: str
    message: str
    fix: str = ""
    line: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        fix = f"\n    fix: {self.fix}" if self.fix else ""
        return f"{self.file}:{self.line}: {self.severity}: {self.message} [{self.rule}]{fix}"


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
