"""References between the rows of a matrix, by name: each leads somewhere, and no name stands for two."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TypeVar

from wheelmill.matrix.model import Document, Matrix, Policy, Row, Series
from wheelmill.matrix.problems import Problem

RowT = TypeVar("RowT", bound=Row)


def resolve(path: Path, digest: str, document: Document, problems: list[Problem]) -> Matrix | None:
    """Follow every reference by name; dangling ones and names given twice become problems."""
    torches = _by_name(document.torches, "version", "torch", problems)
    series = _by_name(document.series, "name", "series", problems)
    policies = _by_name(document.policies, "name", "policy", problems)
    sources = _by_name(document.sources, "name", "source", problems)
    for policy in policies.values():
        _refer(policy, "source", sources, problems)
        _know("released_in", policy.released_in, _stages(policy), policy.at.of("released_in"), problems)
    for one in document.series:
        if _refer(one, "policy", policies, problems):
            _refer_stages(one, _stages(policies[one.policy]), problems)
        if one.promised is not None:
            _refer(one.promised, "source", sources, problems)
            _refer(one.promised, "policy", policies, problems)
    for table in document.python_support:
        _refer(table, "source", sources, problems)
    for note in document.release_notes:
        _refer(note, "series", series, problems)
    rows = _by_name(document.lines, "branch", "branch", problems)
    for other in _by_name(document.other_versions, "adapter", "adapter version", problems).values():
        _refer(other, "source", sources, problems)
        _refer(other, "branch", rows, problems)
    for named in _by_name(document.cann_names, "name", "CANN", problems).values():
        _refer(named, "source", sources, problems)
    for family in document.cann_families:
        _refer(family, "source", sources, problems)
    for chip in _by_name(document.chips, "name", "chip", problems).values():
        _refer(chip, "source", sources, problems)
    for system in document.systems:
        _refer(system, "source", sources, problems)
    for row in document.lines:
        for field, known in (("series", series), ("source", sources), ("torch", torches)):
            _refer(row, field, known, problems)
    branches = {row.branch for row in document.lines}
    for waiver in document.waivers:
        _refer(waiver, "line", branches, problems)
    if problems:
        return None
    return Matrix.of(path, digest, document)


def _by_name(rows: Iterable[RowT], key: str, what: str, problems: list[Problem]) -> dict[str, RowT]:
    named: dict[str, RowT] = {}
    for row in rows:
        name = getattr(row, key)
        other = named.setdefault(name, row)
        if other is not row:
            message = f"{what} {name!r} is already on line {other.at.of(key)}"
            hint = "keep one of the two rows, or correct the name of this one"
            problems.append(Problem(row.at.of(key), "unique-name", message, hint))
    return named


def _refer(row: Row, field: str, known: Collection[str], problems: list[Problem]) -> bool:
    name = getattr(row, field)
    return name is None or _know(field, name, known, row.at.of(field), problems)


def _refer_stages(series: Series, stages: Collection[str], problems: list[Problem]) -> None:
    for stage in series.begins:
        _know("begins", stage, stages, series.at.of("begins"), problems)
    if series.override is not None:
        _know("stage", series.override.stage, stages, series.override.at.of("stage"), problems)


def _stages(policy: Policy) -> tuple[str, ...]:
    return tuple(stage.stage for stage in policy.stages)


def _know(field: str, name: str, known: Collection[str], line: int, problems: list[Problem]) -> bool:
    if name in known:
        return True
    message = f"{field} {name!r} is not in the matrix"
    hint = f"add it, or take one of: {', '.join(known) or '(there is none yet)'}"
    problems.append(Problem(line, "known-reference", message, hint))
    return False
