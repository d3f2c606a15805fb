"""How a rule looks: a named function over a Case whose docstring is its title; it yields what it finds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from wheelmill.audit.archive import WheelFacts
from wheelmill.audit.model import Expectation, Finding
from wheelmill.audit.platforms import PlatformAnalysis, Policies
from wheelmill.audit.symbols import Sdk


@dataclass(frozen=True)
class Case:
    """Everything about one wheel that a rule may use."""

    wheel: WheelFacts
    expected: Expectation
    policies: Policies | None  # None for a wheel of no architecture
    platform: PlatformAnalysis | None  # None without native files, or when they are of several machines
    sdk: Sdk | None  # None when no SDK was given


Rule = Callable[[Case], Iterable[Finding]]


def error(file: str, message: str, hint: str | None = None, **data: object) -> Finding:
    """A finding that refuses the wheel; the rule's name is filled in by `apply`."""
    return Finding("", "error", file, message, hint, data)


def note(file: str, message: str, hint: str | None = None, **data: object) -> Finding:
    """A finding that is good to know."""
    return Finding("", "note", file, message, hint, data)


def apply(rules: Iterable[Rule], case: Case) -> Iterator[Finding]:
    """All findings, each stamped with the name of the rule that made it."""
    for rule in rules:
        for finding in rule(case):
            yield dataclasses.replace(finding, rule=rule_name(rule))


def rule_name(rule: Rule) -> str:
    """elf_machine -> elf-machine."""
    return rule.__name__.replace("_", "-")


def some(names: Iterable[str], limit: int = 4) -> str:
    """The first few names and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - limit} more" if len(ordered) > limit else ""
    return ", ".join(ordered[:limit]) + more
