"""The frame of rules, of the matrix and of the audit.

A rule is a named function of what it judges; it yields what it finds. Its name in dashes names it, and its
docstring's first line is its title.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Generic, TypeVar

from wheelmill.errors import Finding

SubjectT = TypeVar("SubjectT")
CheckT = TypeVar("CheckT", bound=Callable[[Any], Iterable[Finding]])

_MARK = "_wheelmill_rule"


@dataclass(frozen=True)
class Rule(Generic[SubjectT]):
    """A named check; `both_views` when it also runs on a matrix's lines as published."""

    name: str
    title: str
    check: Callable[[SubjectT], Iterable[Finding]]
    both_views: bool

    def apply(self, subject: SubjectT) -> Iterator[Finding]:
        """What it finds, stamped with its name."""
        for finding in self.check(subject):
            yield dataclasses.replace(finding, rule=self.name)


def rule(*, both_views: bool = False) -> Callable[[CheckT], CheckT]:
    """Mark a function as a rule."""

    def mark(check: CheckT) -> CheckT:
        setattr(check, _MARK, both_views)
        return check

    return mark


def rules_of(topic: ModuleType) -> Iterator[Rule[Any]]:
    """The rules that a module defines, in the order of its text."""
    for function in vars(topic).values():
        if hasattr(function, _MARK) and function.__module__ == topic.__name__:
            title = (function.__doc__ or "").strip().splitlines()[0]
            yield Rule(function.__name__.replace("_", "-"), title, function, getattr(function, _MARK))
