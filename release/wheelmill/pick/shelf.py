"""The offers, indexed: which of them have a value, as bits of a whole number, the best choice in bit 0.

Values of all axes are combined by `&`, so an answer costs a few operations on numbers, however many offers
there are. Only values that are asked for become numbers.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from wheelmill.pick.model import Axis, Offer
from wheelmill.pick.offers import SUPPORTED, offers

# How values of an axis compare; an axis without order is absent.
KEYS: Mapping[Axis, Callable[[str], Any]] = {
    "adapter": version,
    "torch": version,
    "cann": cann_key,
    "python": python_key,
    "glibc": glibc_key,
    "date": str,
}
_NAMED: frozenset[Axis] = frozenset(("adapter", "branch", "python", "torch", "cann", "arch"))
NEAREST = 3  # values of one axis that alternatives are made of
FEW = 512  # values of one axis that are looked at one by one
LOOKED_AT = 1024  # offers that are looked at one by one
_FIRST = (1 << 4096) - 1


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


class Shelf:
    """All offers of a matrix and a catalogue on one day. `records` are those that cannot be had."""

    def __init__(self, matrix: Matrix, catalogue: Catalogue, today: date) -> None:
        self.matrix, self.catalogue, self.today = matrix, catalogue, today
        self.offers, self.records = offers(matrix, catalogue, today)
        self.all = (1 << len(self.offers)) - 1
        self._of: dict[Axis, dict[Any, list[int]]] = {}
        self._masks: dict[tuple[Axis, Any], int] = {}
        self._number: dict[Axis, list[int]] = {}
        self._number_masks: dict[tuple[Axis, int], int] = {}
        self._accepted: dict[tuple[Axis, str], int] = {}
        self._record_masks: dict[Axis, dict[Any, int]] = {}

    def record(self, asked: Mapping[Axis, str]) -> Offer | None:
        """The best record that has the asked values; None too where one is a bound, such as a C library."""
        if not asked or not set(asked) <= _NAMED:
            return None
        fitting = (1 << len(self.records)) - 1
        for axis, wanted in asked.items():
            fitting &= self._records_of(axis).get(self._key(axis, wanted), 0)
        return self.records[_lowest(fitting)] if fitting else None

    def _records_of(self, axis: Axis) -> dict[Any, int]:
        """Value -> the records that have it, as bits."""
        if axis not in self._record_masks:
            found: dict[Any, list[int]] = {}
            for place, offer in enumerate(self.records):
                found.setdefault(self._key(axis, VALUES[axis](offer)), []).append(place)
            masks = {key: _bits(places, len(self.records)) for key, places in found.items()}
            self._record_masks[axis] = masks
        return self._record_masks[axis]

    @cached_property
    def misprinted(self) -> tuple[Line, ...]:
        """The rows that a document printed otherwise."""
        return tuple(line for line in self.matrix.lines if line.published is not None)

    # ------------------------------------------------------------------------------------------ single values
    def _places(self, axis: Axis) -> dict[Any, list[int]]:
        """Value -> places of the offers that have it; values that compare equal are one."""
        if axis not in self._of:
            read = VALUES[axis]
            found: dict[str | None, Any] = {}
            places: dict[Any, list[int]] = {}
            for place, offer in enumerate(self.offers):
                value = read(offer)
                key = found.get(value)
                if key is None and value not in found:
                    key = found[value] = self._knows(value) if axis == "chip" else self._key(axis, value)
                places.setdefault(key, []).append(place)
            self._of[axis] = places
        return self._of[axis]

    def _knows(self, release: str | None) -> tuple[str, ...]:
        """The first releases (`since` of chips) that a release is not older than; all if it is unknown."""
        return tuple(
            since for since in self._since if not release or release_key(release) >= release_key(since)
        )

    @cached_property
    def _since(self) -> tuple[str, ...]:
        return tuple({chip.since: None for chip in self.matrix.document.chips if chip.since})

    @staticmethod
    def _key(axis: Axis, value: str | None) -> Any:
        return KEYS[axis](value) if value is not None and axis in KEYS else value

    def _mask(self, axis: Axis, key: Any) -> int:
        """The offers that have exactly this value."""
        known = self._masks.get((axis, key))
        if known is None:
            known = self._masks[axis, key] = _bits(self._places(axis).get(key, ()), len(self.offers))
        return known

    def _numbers(self, axis: Axis) -> list[int]:
        """By place, the number of the offer's value: numbers are compared faster than versions."""
        known = self._number.get(axis)
        if known is None:
            known = self._number[axis] = [0] * len(self.offers)
            for number, places in enumerate(self._places(axis).values()):
                for place in places:
                    known[place] = number
        return known

    def _numbered(self, axis: Axis, number: int) -> int:
        """The offers that have the value of this number."""
        known = self._number_masks.get((axis, number))
        if known is None:
            key = next(itertools.islice(self._places(axis), number, None))
            known = self._number_masks[axis, number] = self._mask(axis, key)
        return known

    def accepting(self, axis: Axis, wanted: str) -> int:
        """The offers that this value of the request allows."""
        known = self._accepted.get((axis, wanted))
        if known is None:
            known = self._accepted[axis, wanted] = self._accepting(axis, wanted)
        return known

    def _accepting(self, axis: Axis, wanted: str) -> int:
        if axis not in ("glibc", "date", "chip", "stage"):
            return self._mask(axis, self._key(axis, wanted))
        known = self._places(axis)
        mask = 0
        for key in known:
            if _accepts(axis, key, wanted, self.chip(wanted) if axis == "chip" else None):
                mask |= self._mask(axis, key)
        return mask

    def fitting(self, asked: Mapping[Axis, str]) -> int:
        """The offers that have all the asked values."""
        mask = self.all
        for axis, wanted in asked.items():
            mask &= self.accepting(axis, wanted)
        return mask

    def chip(self, wanted: str) -> Chip | None:
        """The family that a chip's name belongs to."""
        return self._chips.get(wanted.lower())

    @cached_property
    def _chips(self) -> dict[str, Chip]:
        chips = self.matrix.document.chips
        return {name.lower(): chip for chip in chips for name in (chip.name, *chip.socs, *chip.also)}

    # ----------------------------------------------------------------------------------------- sets of offers
    def first(self, mask: int) -> Offer | None:
        """The best of them."""
        return self.offers[_lowest(mask)] if mask else None

    def distinct(self, mask: int, axis: Axis, most: int) -> Iterator[Offer]:
        """The best offer of each value of an axis, best first."""
        seen: set[int] = set()
        numbers = self._numbers(axis)
        if len(self._places(axis)) > FEW:  # many values, so that neighbors differ: look at the best few
            for place in itertools.islice(_ascending(mask), LOOKED_AT):
                if numbers[place] not in seen:
                    seen.add(numbers[place])
                    yield self.offers[place]
                    if len(seen) == most:
                        return
            for number in seen:
                mask &= ~self._numbered(axis, number)
        while mask and len(seen) < most:
            place = _lowest(mask)
            yield self.offers[place]
            seen.add(numbers[place])
            mask &= ~self._numbered(axis, numbers[place])

    def values(self, mask: int, axis: Axis) -> list[str]:
        """The values that they have on an axis, ascending; unknown ones are left out."""
        found = []
        for key, places in self._sorted(axis):
            if key is not None and mask & self._mask(axis, key):
                found.append(VALUES[axis](self.offers[places[0]]) or "")
        return found

    def ends(self, mask: int, axis: Axis) -> tuple[Offer, Offer]:
        """Of a set that is not empty, an offer with the lowest and one with the highest value of an axis."""
        ascending = self._sorted(axis)
        lowest = next(common for key, _ in ascending if (common := mask & self._mask(axis, key)))
        highest = next(common for key, _ in reversed(ascending) if (common := mask & self._mask(axis, key)))
        return self.offers[lowest.bit_length() - 1], self.offers[(highest & -highest).bit_length() - 1]

    def _sorted(self, axis: Axis) -> Sequence[tuple[Any, list[int]]]:
        known = self._orders.get(axis)
        if known is None:
            entries = [(key, places) for key, places in self._places(axis).items() if key is not None]
            known = self._orders[axis] = sorted(entries, key=lambda entry: entry[0])
        return known

    @cached_property
    def _orders(self) -> dict[Axis, Sequence[tuple[Any, list[int]]]]:
        return {}

    def nearest(self, mask: int, axis: Axis, wanted: str) -> Iterator[int]:
        """The offers of the set by distance from the wanted value, a few sets with one value each.

        Of CANN the same major.minor comes first, then lower ones, then higher: nobody is sent up first. An
        axis that has no order is left as it is.
        """
        if axis not in KEYS:
            if mask:
                yield mask
            return
        found = 0
        for key in _by_distance(axis, self._key(axis, wanted), self._candidates(mask, axis)):
            common = mask & self._mask(axis, key)
            if common:
                yield common
                found += 1
                if found == NEAREST:
                    return
        if not found and mask:  # nothing of the set has a known value, such as the CANN or a day
            yield mask

    def _candidates(self, mask: int, axis: Axis) -> list[Any]:
        """The values among which the nearest are looked for, ascending: all, or of very many the best."""
        if len(self._places(axis)) <= FEW:
            return [key for key, _ in self._sorted(axis)]
        best = self.distinct(mask, axis, FEW // 8)
        keys = {self._key(axis, VALUES[axis](offer)) for offer in best}
        return sorted(key for key in keys if key is not None)


def _bits(places: Iterable[int], size: int) -> int:
    bits = bytearray(size // 8 + 1)
    for place in places:
        bits[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(bits, "little")


def _lowest(mask: int) -> int:
    """The place of the lowest bit of a mask that is not 0."""
    start = mask & _FIRST  # most masks have one there, and the rest need not be looked at
    if start:
        return (start & -start).bit_length() - 1
    return (mask & -mask).bit_length() - 1


def _ascending(mask: int) -> Iterator[int]:
    """The places of the bits of a mask, lowest first."""
    data = mask.to_bytes(mask.bit_length() // 8 + 1, "little")
    for start in range(0, len(data), 64):
        word = int.from_bytes(data[start : start + 64], "little")
        while word:
            low = word & -word
            yield 8 * start + low.bit_length() - 1
            word ^= low


def _by_distance(axis: Axis, target: Any, keys: Sequence[Any]) -> Iterator[Any]:
    """Ascending keys by how far they are from the target."""
    if axis == "cann":
        yield from (key for key in reversed(keys) if key <= target and key[:2] == target[:2])
        yield from (key for key in keys if key > target and key[:2] == target[:2])
        yield from (key for key in reversed(keys) if key < target and key[:2] != target[:2])
        yield from (key for key in keys if key > target and key[:2] != target[:2])
    elif axis in ("glibc", "date"):  # bounds: the one that asks for the least change
        yield from keys
    else:
        if axis in ("adapter", "torch"):  # a fix of the same release before another one
            first = last = bisect.bisect_left(keys, target)
            while first and keys[first - 1].release[:2] == target.release[:2]:
                first -= 1
            while last < len(keys) and keys[last].release[:2] == target.release[:2]:
                last += 1
            yield from _outward(keys[first:last], target)
            keys = [*keys[:first], *keys[last:]]
        yield from _outward(keys, target)


def _outward(keys: Sequence[Any], target: Any) -> Iterator[Any]:
    """Ascending keys from the target on, above and below in turn."""
    if keys:
        above = bisect.bisect_left(keys, target)
        below = above - 1
        while below >= 0 or above < len(keys):
            if above < len(keys):
                yield keys[above]
                above += 1
            if below >= 0:
                yield keys[below]
                below -= 1


def _accepts(axis: Axis, key: Any, wanted: str, chip: Chip | None) -> bool:
    """Whether an offer with this value serves who has, or asks for, the wanted one."""
    if axis == "glibc":
        return key is None or bool(key <= glibc_key(wanted))
    if axis == "date":
        return key is not None and bool(key <= wanted)
    if axis == "stage":
        return key in SUPPORTED
    if chip is None:
        return False
    return chip.since is None or chip.since in key
