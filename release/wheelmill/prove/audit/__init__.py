"""The gate between a built wheel and everybody else: pure analysis in, a frozen verdict out.

The rules stand on auditwheel and an ELF reader; they are imported when the first wheel is audited, so that a
build which finds its verdicts in the store does not pay for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wheelmill.prove.audit.model import (
    EXIT_LOCAL_ONLY,
    EXIT_REFUSED,
    EXIT_RELEASABLE,
    Allowed,
    AuditError,
    Expectation,
    Finding,
    Verdict,
)
from wheelmill.prove.audit.render import render_text, summary, to_json

if TYPE_CHECKING:
    from wheelmill.prove.audit.gate import RULES, audit, judge, unjudged
    from wheelmill.prove.audit.rules import rule_name

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
    "judge",
    "render_text",
    "rule_name",
    "summary",
    "to_json",
    "unjudged",
]


def __getattr__(name: str) -> Any:
    if name in ("RULES", "audit", "judge", "unjudged"):
        from wheelmill.prove.audit import gate

        return getattr(gate, name)
    if name == "rule_name":
        from wheelmill.prove.audit.rules import rule_name

        return rule_name
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
