"""What the audit's rules are given, and what they say it with."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from wheelmill.errors import Finding
from wheelmill.matrix.rules.frame import Rule
from wheelmill.prove.audit.model import AuditError, Expectation
from wheelmill.prove.audit.platforms import PlatformAnalysis, Policies
from wheelmill.prove.audit.symbols import Sdk
from wheelmill.wheel.facts import WheelFacts


@dataclass(frozen=True)
class Case:
    """Everything about one wheel that a rule may use."""

    wheel: WheelFacts
    expected: Expectation
    policies: Policies | None  # None for a wheel of no architecture
    platform: PlatformAnalysis | None  # None without native files, or when they are of several machines
    sdk: Sdk | None  # None when no SDK was given


MAX_FINDINGS = 200  # of one rule
UNREADABLE = "unreadable"  # the rule of findings about what cannot be read at all


def error(file: str, message: str, hint: str = "", **data: object) -> Finding:
    """A finding that refuses the wheel; the frame fills in the rule."""
    return Finding("", "error", file, message, hint, data=data)


def note(file: str, message: str, hint: str = "", **data: object) -> Finding:
    """A finding that is good to know."""
    return Finding("", "note", file, message, hint, data=data)


def required(case: Case, rule: str = "") -> Callable[..., Finding]:
    """An error in this project's own wheels, or where their project asks for the rule; a note in others.

    The specification leaves it open.
    """
    return error if case.expected.asks(rule) else note


def apply(rules: Iterable[Rule[Case]], case: Case) -> Iterator[Finding]:
    """All findings, each stamped with the name of the rule that made it.

    A rule that meets something which nobody thought of is itself a finding, and the others are asked.
    """
    for rule in rules:
        try:
            yield from _bounded(rule.apply(case), rule.name)
        except (
            AuditError,
            ModuleNotFoundError,
        ):  # not of the wheel
            raise
        except Exception as fault:
            yield unreadable(f"the rule {rule.name} cannot be judged: {_cause(fault)}")


def _bounded(findings: Iterator[Finding], rule: str) -> Iterator[Finding]:
    """The first findings of a rule; of the others the number, and whether an error is among them."""
    yield from itertools.islice(findings, MAX_FINDINGS)
    counts = Counter(finding.severity for finding in findings)
    for severity, count in counts.items():
        yield Finding(rule, severity, "", f"and {count} more of this rule")


def unreadable(message: str, hint: str = "") -> Finding:
    """What keeps a wheel from being judged."""
    return Finding(UNREADABLE, "error", "", message, hint)


def _cause(fault: Exception) -> str:
    return f"{type(fault).__name__}: {' '.join(str(fault).split())}".rstrip(": ")[:300]


def some(names: Iterable[str], limit: int = 4) -> str:
    """The first few names and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - limit} more" if len(ordered) > limit else ""
    return ", ".join(ordered[:limit]) + more
