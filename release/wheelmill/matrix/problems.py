"""Mistakes of form, as readers note them one by one, and what is told of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wheelmill.errors import Finding
from wheelmill.frozen import dataclass


@dataclass(frozen=True)
class Problem:
    """A mistake of form: the line (from 1), the rule broken, what was found, how to fix it."""

    line: int
    rule: str
    message: str
    hint: str


def findings(path: Path, problems: Iterable[Problem]) -> list[Finding]:
    """Problems of form as findings of this file, in the order of its lines; what is missing comes last."""
    ordered = sorted(problems, key=lambda problem: (problem.rule == "required-key", problem.line))
    return [Finding(p.rule, "error", str(path), p.message, p.hint, p.line) for p in ordered]
