"""The offers of the adapter on one day, and its axes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import cached_property
from typing import Any

from wheelmill.catalogue.model import Catalogue
from wheelmill.matrix.model import Chip, Line, Matrix
from wheelmill.matrix.versions import (
    cann_key,
    glibc_key,
    python_key,
    release_key,
    version,
)
from wheelmill.pick.model import AXES, COSTS, Axis, Offer
from wheelmill.pick.offers import SUPPORTED, offers
from wheelmill.pick.rack import (
    AxisKind,
    Rack,
    ascending,
    at_most,
    bits,
    by_spelling,
    lowest,
    same_release_first,
)

# How values of an axis compare; an axis without order is absent.
KEYS: Mapping[Axis, Callable[[str], Any]] = {
    "adapter": version,
    "branch": lambda name: name.lower().removeprefix("v"),
    "torch": version,
    "cann": cann_key,
    "python": python_key,
    "glibc": glibc_key,
    "date": str,
}
_NAMED: frozenset[Axis] = frozenset(("adapter", "branch", "python", "torch", "cann", "arch"))


VALUES: Mapping[Axis, Callable[[Offer], str | None]] = {
    "adapter": lambda offer: offer.adapter,
    "branch": lambda offer: offer.branch,
    "python": lambda offer: offer.python or None,
    "torch": lambda offer: offer.torch,
    "cann": lambda offer: offer.cann,
    "arch": lambda offer: offer.arch or None,
    "glibc": lambda offer: offer.glibc,
    "chip": lambda offer: offer.release,
    "date": lambda offer: offer.day,
    "stage": lambda offer: offer.phase.stage if offer.phase is not None else "none",
}


class Shelf(Rack[Offer]):
    """All offers of a matrix and a catalogue on one day. `records` are those that cannot be had."""

    def __init__(self, matrix: Matrix, catalogue: Catalogue, today: date) -> None:
        had, self.records = offers(matrix, catalogue, today)
        super().__init__({axis: self._kind(axis) for axis in AXES}, had)
        self.matrix, self.catalogue, self.today = matrix, catalogue, today
        self._record_masks: dict[Axis, dict[Any, int]] = {}

    def _kind(self, axis: Axis) -> AxisKind[Offer]:
        kind = AxisKind(VALUES[axis], COSTS[axis], KEYS.get(axis), _ACCEPTS.get(axis))
        if axis == "chip":
            kind = replace(kind, accepts=self._fits_chip)
        return kind if axis not in _NEAREST else replace(kind, nearest=_NEAREST[axis])

    def record(self, asked: Mapping[Axis, str]) -> Offer | None:
        """The best record that has the asked values; None too where one is a bound, such as a C library."""
        if not asked or not set(asked) <= _NAMED:
            return None
        fitting = (1 << len(self.records)) - 1
        for axis, wanted in asked.items():
            fitting &= self._records_of(axis).get(self._key(axis, wanted), 0)
        return self.records[lowest(fitting)] if fitting else None

    def _records_of(self, axis: Axis) -> dict[Any, int]:
        """Value -> the records that have it, as bits."""
        if axis not in self._record_masks:
            found: dict[Any, list[int]] = {}
            for place, offer in enumerate(self.records):
                found.setdefault(self._key(axis, VALUES[axis](offer)), []).append(place)
            masks = {key: bits(places, len(self.records)) for key, places in found.items()}
            self._record_masks[axis] = masks
        return self._record_masks[axis]

    @cached_property
    def misprinted(self) -> tuple[Line, ...]:
        """The rows that a document printed otherwise."""
        return tuple(line for line in self.matrix.lines if line.published is not None)

    def chip(self, wanted: str) -> Chip | None:
        """The family that a chip's name belongs to: `910B4-1` is a 910B4, and `950PR_9579` a 950PR."""
        wanted = wanted.lower()
        known = self._chips.get(wanted)
        if known is None:
            begun = [name for name in self._chips if _is_kind_of(wanted, name)]
            known = self._chips[max(begun, key=len)] if begun else None
        return known

    @cached_property
    def _chips(self) -> dict[str, Chip]:
        chips = self.matrix.document.chips
        return {name.lower(): chip for chip in chips for name in chip.names}

    def _fits_chip(self, since: Any, wanted: str) -> bool:
        chip = self.chip(wanted)
        return chip is not None and (chip.since is None or chip.since in since)

    def _placed(self, axis: str, value: str | None) -> Any:
        """Of a release: the first releases (`since` of chips) that it is not older than; all if unknown."""
        if axis != "chip":
            return self._key(axis, value)
        return tuple(since for since in self._since if not value or release_key(value) >= release_key(since))

    @cached_property
    def _since(self) -> tuple[str, ...]:
        return tuple({chip.since: None for chip in self.matrix.document.chips if chip.since})


def _by_that_day(key: Any, wanted: str) -> bool:
    return key is not None and bool(key <= wanted)


def _nearest_cann(target: Any, keys: Sequence[Any]) -> Iterator[Any]:
    """The same major.minor first, then lower ones, then higher: nobody is sent up first."""
    yield from (key for key in reversed(keys) if key <= target and key[:2] == target[:2])
    yield from (key for key in keys if key > target and key[:2] == target[:2])
    yield from (key for key in reversed(keys) if key < target and key[:2] != target[:2])
    yield from (key for key in keys if key > target and key[:2] != target[:2])


_ACCEPTS: Mapping[Axis, Callable[[Any, str], bool]] = {
    "glibc": at_most(glibc_key),
    "date": _by_that_day,
    "stage": lambda key, wanted: key in SUPPORTED,
}
_NEAREST: Mapping[Axis, Callable[[Any, Sequence[Any]], Iterator[Any]]] = {
    "cann": _nearest_cann,
    "glibc": ascending,
    "date": ascending,
    "adapter": same_release_first,
    "branch": by_spelling,
    "torch": same_release_first,
}


def _is_kind_of(wanted: str, name: str) -> bool:
    """Whether a chip's name is a known one with a number after it; a bare number says too little, as 910."""
    rest = wanted.removeprefix(name)
    known = not name.isdigit() and re.fullmatch(r"\d\w*", name)
    return rest != wanted and bool(known and re.fullmatch(r"(?:\d|[-_]\w)[\w-]*", rest))
