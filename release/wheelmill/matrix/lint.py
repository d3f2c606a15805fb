"""Check the matrix by rule: a finding names file and line, the rule, what was found and how to fix it.

A rule is a named function (see `rules`); the first line of its docstring is its title. Rules about lines
run twice: on what the rows hold true, where a violation is an error, and on what was published, where it is a
note, for the row already holds another value true and says why. So contradictions of the documents are found
by rule.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from wheelmill.errors import Finding
from wheelmill.matrix.model import Matrix
from wheelmill.matrix.problems import Problem, findings
from wheelmill.matrix.references import resolve
from wheelmill.matrix.rules import RULES, Subject


@dataclass(frozen=True)
class LintReport:
    """The outcome: all findings in the order of the file, and how much was checked."""

    path: Path
    findings: tuple[Finding, ...]
    lines: int
    rules: int

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What has to be mended."""
        return tuple(one for one in self.findings if one.severity == "error")

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What was published wrong and is held right."""
        return tuple(one for one in self.findings if one.severity == "note")

    @property
    def exit_code(self) -> int:
        """1 when there is an error."""
        return 1 if self.errors else 0


def lint(path: Path, today: date) -> LintReport:
    """Check one file; never raises for what the file holds. `today` decides which stage a branch is in."""
    from wheelmill.matrix.reading import load_document  # imports YAML, which a picker can do without

    path = Path(path)
    problems: list[Problem] = []
    digest, document = load_document(path, problems)
    matrix = resolve(path, digest, document, problems) if document else None
    lines = len(document.lines) if document else 0
    if matrix is None:
        return LintReport(path, tuple(findings(path, problems)), lines, 0)
    return LintReport(path, tuple(check(matrix, today)), lines, len(RULES))


def check(matrix: Matrix, today: date) -> list[Finding]:
    """Run every rule on a matrix that loads; findings in the order of the file."""
    held = Subject(matrix, today, published=False)
    printed = Subject(matrix, today, published=True)
    found: list[Finding] = []
    for rule in RULES:
        mine = list(rule.apply(held))
        found += mine
        if rule.both_views:
            known = {(one.line, one.message) for one in mine}
            news = (one for one in rule.apply(printed) if (one.line, one.message) not in known)
            found += [dataclasses.replace(one, severity="note") for one in news]
    found = [dataclasses.replace(one, file=str(matrix.path)) for one in found]
    return sorted(found, key=lambda one: (one.line, one.rule, one.message))


def errors(matrix: Matrix) -> list[Finding]:
    """What has to be mended. It depends on no day, as only notes do, and not on what was published."""
    held = Subject(matrix, date.min, published=False)
    found = [one for rule in RULES for one in rule.apply(held) if one.severity == "error"]
    found = [dataclasses.replace(one, file=str(matrix.path)) for one in found]
    return sorted(found, key=lambda one: (one.line, one.rule, one.message))


def render_text(report: LintReport, *, notes: bool = True) -> str:
    """For people: one block per finding, then a line that counts."""
    shown = report.findings if notes else report.errors
    blocks = [str(one) for one in shown]
    errors, noted = len(report.errors), len(report.notes)
    hidden = " (--notes shows them)" if noted and not notes else ""
    verdict = "not in order" if errors else "in order"
    blocks.append(
        f"{report.path}: {verdict}: {errors} error{'s' * (errors != 1)}, {noted} note{'s' * (noted != 1)}"
        f"{hidden} in {report.lines} lines, by {report.rules} rules."
    )
    return "\n".join(blocks)


def to_json(report: LintReport) -> dict[str, object]:
    """For machines: the same content as `render_text`, ready for JSON."""
    return {
        "schema": 1,
        "file": str(report.path),
        "lines": report.lines,
        "rules": report.rules,
        "errors": len(report.errors),
        "notes": len(report.notes),
        "findings": [
            {
                "severity": one.severity,
                "rule": one.rule,
                "file": one.file,
                "line": one.line,
                "message": one.message,
                "hint": one.hint,
            }
            for one in report.findings
        ],
    }


def titles() -> dict[str, str]:
    """Rule name -> title, in the order in which rules run."""
    return {rule.name: rule.title for rule in RULES}
