"""A verdict as text for people and as plain data for machines; both pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from wheelmill.errors import Finding
from wheelmill.prove.audit.model import Verdict

SCHEMA = 3  # 2 called the hint of a finding its fix


def render_text(verdict: Verdict) -> str:
    """The verdict in one line, then each finding with file, message and hint; no trailing newline."""
    lines = [verdict.wheel, f"  {summary(verdict)}"]
    for finding in (*verdict.errors, *verdict.platform_errors, *verdict.notes):
        lines.extend(_finding_lines(finding))
    return "\n".join(lines)


def summary(verdict: Verdict) -> str:
    """releasable / local only / refused, and why, in one line."""
    errors = (*verdict.errors, *verdict.platform_errors)
    counts = f"{_count(errors, 'error')}, {_count(verdict.notes, 'note')}"
    if verdict.releasable:
        return f"releasable as {verdict.release_tag or 'any'} ({_count(verdict.notes, 'note')})"
    if not verdict.ok:
        return f"refused: {counts}"
    if verdict.policy is None:
        return f"local only: held to no platform policy; it runs on {verdict.platform_tag}"
    return (
        f"local only: needs {verdict.platform_tag}, its line is held to {verdict.policy}; "
        f"it keeps its linux tag and cannot be released ({counts})"
    )


def _count(findings: Iterable[Finding], noun: str) -> str:
    number = len(tuple(findings))
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _finding_lines(finding: Finding) -> Iterator[str]:
    where = f"{finding.file}: " if finding.file else ""
    yield f"  {finding.severity:<5} {finding.rule}: {where}{finding.message}"
    if finding.hint:
        yield f"        {finding.hint}"


def to_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict as JSON-ready data, findings in the rules' order."""
    return {
        "schema": SCHEMA,
        "wheel": verdict.wheel,
        "sha256": verdict.sha256,
        "ok": verdict.ok,
        "releasable": verdict.releasable,
        "local_only": verdict.local_only,
        "exit_code": verdict.exit_code,
        "platforms": list(verdict.platforms),
        "platform_tag": verdict.platform_tag,
        "policy": verdict.policy,
        "release_tag": verdict.release_tag,
        "native_files": verdict.native_files,
        "findings": [
            {
                "rule": finding.rule,
                "severity": finding.severity,
                "file": finding.file,
                "message": finding.message,
                "hint": finding.hint or None,
                **({"data": dict(finding.data)} if finding.data else {}),
            }
            for finding in verdict.findings
        ],
    }
