"""How a rule looks: a named function over a Case whose docstring is its title; it yields what it finds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from wheelmill.prove.audit.model import AuditError, Expectation, Finding
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


UNREADABLE = "unreadable"  # the rule of findings about what cannot be read at all

Rule = Callable[[Case], Iterable[Finding]]


def error(file: str, message: str, hint: str | None = None, **data: object) -> Finding:
    """A finding that refuses the wheel; the rule's name is filled in by `apply`."""
    return Finding("", "error", file, message, hint, data)


def note(file: str, message: str, hint: str | None = None, **data: object) -> Finding:
    """A finding that is good to know."""
    return Finding("", "note", file, message, hint, data)


def apply(rules: Iterable[Rule], case: Case) -> Iterator[Finding]:
    """All findings, each stamped with the name of the rule that made it.

    A rule that meets something which nobody thought of is itself a finding, and the others are asked.
    """
    for rule in rules:
        try:
            for finding in rule(case):
                yield dataclasses.replace(finding, rule=rule_name(rule))
        except AuditError:  # of the SDK or the policy that was asked for, and not of the wheel
            raise
        except Exception as fault:
            yield unreadable(f"the rule {rule_name(rule)} cannot be judged: {_cause(fault)}")


def unreadable(message: str, hint: str | None = None) -> Finding:
    """What keeps a wheel from being judged."""
    return Finding(UNREADABLE, "error", "", message, hint)


def _cause(fault: Exception) -> str:
    return f"{type(fault).__name__}: {' '.join(str(fault).split())}".rstrip(": ")[:300]


def rule_name(rule: Rule) -> str:
    """elf_machine -> elf-machine."""
    return rule.__name__.replace("_", "-")


def some(names: Iterable[str], limit: int = 4) -> str:
    """The first few names and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - limit} more" if len(ordered) > limit else ""
    return ", ".join(ordered[:limit]) + more
