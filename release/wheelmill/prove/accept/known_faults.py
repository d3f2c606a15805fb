"""Faults of published wheels that are theirs, not the simulator's: by version, with the reason.

A check that fails as a row of known_faults.yaml says counts as a known fault, never as passed; one that no
longer fails is noted, so that its row goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from wheelmill.prove.accept.groups import CheckResult, GroupResult
from wheelmill.prove.accept.subject import Subject

ROWS = Path(__file__).with_name("known_faults.yaml")


@dataclass(frozen=True)
class KnownFault:
    """What some versions of a project do wrong, and the checks of one group that show it."""

    project: str
    versions: str
    group: str
    checks: tuple[str, ...]
    reason: str

    def concerns(self, subject: Subject) -> bool:
        """Whether the wheel is one of those versions."""
        same = canonicalize_name(subject.project) == self.project
        return same and SpecifierSet(self.versions).contains(subject.version, prereleases=True)


def known_faults(file: Path = ROWS) -> tuple[KnownFault, ...]:
    """The rows of the file."""
    rows = yaml.safe_load(file.read_text(encoding="utf-8"))
    return tuple(KnownFault(**{**row, "checks": tuple(row["checks"])}) for row in rows)


def told(
    groups: Iterable[GroupResult], subject: Subject, known: Iterable[KnownFault]
) -> tuple[GroupResult, ...]:
    """The groups, with each failure that is a known fault of this wheel named so, its reason first."""
    reasons = dict(_reasons(subject, known))

    def name(group: GroupResult, check: CheckResult) -> CheckResult:
        reason = reasons.get((group.name, check.name))
        if reason is None or check.state != "failed":
            return check
        return replace(check, state="known fault", message=f"{reason}\n{check.message}")

    return tuple(replace(one, checks=tuple(name(one, check) for check in one.checks)) for one in groups)


def gone(groups: Iterable[GroupResult], subject: Subject, known: Iterable[KnownFault]) -> Iterator[str]:
    """A sentence for each recorded fault whose group ran and that did not show."""
    ran = {group.name: {check.name: check.state for check in group.checks} for group in groups}
    for group, check in (place for place, _ in _reasons(subject, known)):
        state = ran.get(group, {}).get(check, "not there")
        if group in ran and state != "known fault":
            yield (
                f"{check!r} of {group} is recorded as a known fault of {subject.title}, and is {state}: "
                f"its row in {ROWS.name} is wrong"
            )


def _reasons(subject: Subject, known: Iterable[KnownFault]) -> Iterator[tuple[tuple[str, str], str]]:
    for fault in known:
        if fault.concerns(subject):
            yield from (((fault.group, check), fault.reason) for check in fault.checks)
