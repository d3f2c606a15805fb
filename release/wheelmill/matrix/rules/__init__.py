"""The rules of the matrix, by topic; `RULES` has them in the order in which they run."""

from __future__ import annotations

from wheelmill.matrix.rules import cells, documents, lines, names, series, torches
from wheelmill.matrix.rules.base import Subject
from wheelmill.matrix.rules.frame import Rule, rules_of

RULES: tuple[Rule[Subject], ...] = tuple(
    rule for topic in (lines, names, cells, torches, series, documents) for rule in rules_of(topic)
)

__all__ = ["RULES", "Rule", "Subject"]
