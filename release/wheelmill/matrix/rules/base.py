"""What a rule is, and the two views of a line that rules look at."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from wheelmill.errors import Finding
from wheelmill.matrix.model import LineRow, Matrix, Policy, Series


def hit(line: int, message: str, hint: str, *, note: bool = False) -> Finding:
    """One violation: the line of the file, what was found, how to fix it.

    `note` marks what the file already resolves although the rule is broken.
    """
    return Finding("", "note" if note else "error", "", message, hint, line)


@dataclass(frozen=True)
class LineView:
    """One row of the table, either as held true or as it was published."""

    row: LineRow
    cann: str
    torch: str
    adapter: str
    published: bool

    @property
    def branch(self) -> str:
        """The row's branch."""
        return self.row.branch

    def line(self, field: str) -> int:
        """Where the value of a field stands: under `published:` if that is where this view has it from."""
        printed = self.row.published
        if self.published and printed is not None and field in printed.at.fields:
            return printed.at.of(field)
        return self.row.at.of(field)

    def hit(self, field: str, message: str, hint: str) -> Finding:
        """A violation in one field of this row; a published one is resolved by what the row holds true."""
        if self.published:
            return hit(self.line(field), f"{self.branch}: published: {message}", self._resolved(), note=True)
        return hit(self.line(field), f"{self.branch}: {message}", hint)

    def _resolved(self) -> str:
        printed = self.row.published
        held = ", ".join(
            f"{name} {getattr(self.row, name)}"
            for name in ("cann", "torch", "adapter")
            if getattr(printed, name)
        )
        return f"nothing to do, held true: {held} ({printed.reason if printed else ''})"


@dataclass(frozen=True)
class Subject:
    """What a rule is given: the matrix, the day, and whether lines are seen as published."""

    matrix: Matrix
    today: date
    published: bool

    @cached_property
    def lines(self) -> tuple[LineView, ...]:
        """All rows as held true; as published, only those that were published differently."""
        rows = self.matrix.document.lines
        if not self.published:
            return tuple(LineView(row, row.cann, row.torch, row.adapter, False) for row in rows)
        return tuple(
            LineView(
                row, row.published.cann or row.cann, row.published.torch or row.torch,
                row.published.adapter or row.adapter, True,
            )
            for row in rows
            if row.published is not None
        )  # fmt: skip

    def policy(self, series: Series) -> Policy:
        """The policy that a branch-status row follows."""
        return self.matrix.policies[series.policy]


def readable(read: Callable[[str], Any], text: str) -> str | None:
    """What is wrong with a text that `read` cannot read; None when it can."""
    try:
        read(text)
    except ValueError as error:
        return str(error)
    return None


def out_of_order(rows: Iterable[Any], key: Callable[[Any], Any]) -> Iterator[tuple[Any, Any]]:
    """Pairs of neighbors of which the second should stand before the first (keys are to fall)."""
    rows = list(rows)
    for first, second in itertools.pairwise(rows):
        if key(second) > key(first):
            yield first, second
