"""The gate between a built wheel and everybody else: pure analysis in, a frozen verdict out.

The rules stand on auditwheel and an ELF reader; they are imported when the first wheel is audited, so that a
build which finds its verdicts in the store does not pay for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wheelmill.errors import Finding
from wheelmill.prove.audit.model import (
    EXIT_LOCAL_ONLY,
    EXIT_REFUSED,
    EXIT_RELEASABLE,
    Allowed,
    AuditError,
    Expectation,
    Terms,
    Verdict,
)
from wheelmill.prove.audit.render import render_text, summary, to_json

if TYPE_CHECKING:
    from wheelmill.prove.audit.gate import RULES, audit, judge, unjudged

__all__ = [
    "EXIT_LOCAL_ONLY",
    "EXIT_REFUSED",
    "EXIT_RELEASABLE",
    "RULES",
    "Allowed",
    "AuditError",
    "Expectation",
    "Finding",
    "Terms",
    "Verdict",
    "audit",
    "judge",
    "render_text",
    "summary",
    "to_json",
    "unjudged",
]


def __getattr__(name: str) -> Any:
    if name in ("RULES", "audit", "judge", "unjudged"):
        from wheelmill.prove.audit import gate

        return getattr(gate, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
