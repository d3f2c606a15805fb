"""The gate between a built wheel and everybody else: pure analysis in, a frozen verdict out."""

from __future__ import annotations

from wheelmill.audit.gate import RULES, audit
from wheelmill.audit.model import (
    EXIT_LOCAL_ONLY,
    EXIT_REFUSED,
    EXIT_RELEASABLE,
    Allowed,
    AuditError,
    Expectation,
    Finding,
    Verdict,
)
from wheelmill.audit.render import render_text, summary, to_json
from wheelmill.audit.rules import rule_name

__all__ = [
    "EXIT_LOCAL_ONLY",
    "EXIT_REFUSED",
    "EXIT_RELEASABLE",
    "RULES",
    "Allowed",
    "AuditError",
    "Expectation",
    "Finding",
    "Verdict",
    "audit",
    "render_text",
    "rule_name",
    "summary",
    "to_json",
]
