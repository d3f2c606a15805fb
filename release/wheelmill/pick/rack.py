"""Offers, indexed: which of them have a value, as bits of a whole number, the best choice in bit 0.

Values of all axes are combined by `&`, so an answer costs a few operations on numbers, however many offers
there are. Only values that are asked for become numbers. What the axes are is the caller's: `shelf` has those
of the adapter, `packages` those of a described project.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, Generic, Protocol, TypeVar

from wheelmill.frozen import dataclass

NEAREST = 3  # values of one axis that alternatives are made of
FEW = 512  # values of one axis that are looked at one by one
LOOKED_AT = 1024  # offers that are looked at one by one
_FIRST = (1 << 4096) - 1


class Keyed(Protocol):
    """Something that is offered; equal keys are one choice."""

    @property
    def key(self) -> str:
        """What it is for, in one word."""


T = TypeVar("T", bound=Keyed)
A = TypeVar("A", bound=str)  # names of axes


def outward(target: Any, keys: Sequence[Any]) -> Iterator[Any]:
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


@dataclass(frozen=True)
class AxisKind(Generic[T]):
    """An axis: the value that an offer has, how values compare, and what a change costs a user.

    Without `order`, values are just different. `accepts` says of a bound, such as a C library, whether an
    offer with a key serves who has the wanted value; else values have to be equal. `nearest` sorts ascending
    keys by how far they are from a wanted one.
    """

    value: Callable[[T], str | None]
    cost: int
    order: Callable[[str], Any] | None = None
    accepts: Callable[[Any, str], bool] | None = None
    nearest: Callable[[Any, Sequence[Any]], Iterator[Any]] = outward


class Rack(Generic[T]):
    """Offers with their axes, the best offer first."""

    def __init__(self, axes: Mapping[str, AxisKind[T]], offers: Sequence[T]) -> None:
        self.axes, self.offers = axes, offers
        self.all = (1 << len(offers)) - 1
        self._of: dict[str, dict[Any, list[int]]] = {}
        self._masks: dict[tuple[str, Any], int] = {}
        self._number: dict[str, list[int]] = {}
        self._number_masks: dict[tuple[str, int], int] = {}
        self._accepted: dict[tuple[str, str], int] = {}

    def value(self, axis: str, offer: T) -> str | None:
        """What an offer has on an axis."""
        return self.axes[axis].value(offer)

    # ------------------------------------------------------------------------------------------ single values
    def _places(self, axis: str) -> dict[Any, list[int]]:
        """Value -> places of the offers that have it; values that compare equal are one."""
        if axis not in self._of:
            read = self.axes[axis].value
            found: dict[str | None, Any] = {}
            places: dict[Any, list[int]] = {}
            for place, offer in enumerate(self.offers):
                value = read(offer)
                key = found.get(value)
                if key is None and value not in found:
                    key = found[value] = self._placed(axis, value)
                places.setdefault(key, []).append(place)
            self._of[axis] = places
        return self._of[axis]

    def _placed(self, axis: str, value: str | None) -> Any:
        """What offers with this value are found by."""
        return self._key(axis, value)

    def _key(self, axis: str, value: str | None) -> Any:
        order = self.axes[axis].order
        return order(value) if value is not None and order is not None else value

    def _mask(self, axis: str, key: Any) -> int:
        """The offers that have exactly this value."""
        known = self._masks.get((axis, key))
        if known is None:
            known = self._masks[axis, key] = bits(self._places(axis).get(key, ()), len(self.offers))
        return known

    def _numbers(self, axis: str) -> list[int]:
        """By place, the number of the offer's value: numbers are compared faster than versions."""
        known = self._number.get(axis)
        if known is None:
            known = self._number[axis] = [0] * len(self.offers)
            for number, places in enumerate(self._places(axis).values()):
                for place in places:
                    known[place] = number
        return known

    def _numbered(self, axis: str, number: int) -> int:
        """The offers that have the value of this number."""
        known = self._number_masks.get((axis, number))
        if known is None:
            key = next(itertools.islice(self._places(axis), number, None))
            known = self._number_masks[axis, number] = self._mask(axis, key)
        return known

    def accepting(self, axis: str, wanted: str) -> int:
        """The offers that this value of the request allows."""
        known = self._accepted.get((axis, wanted))
        if known is None:
            known = self._accepted[axis, wanted] = self._accepting(axis, wanted)
        return known

    def _accepting(self, axis: str, wanted: str) -> int:
        accepts = self.axes[axis].accepts
        if accepts is None:
            return self._mask(axis, self._key(axis, wanted))
        mask = 0
        for key in self._places(axis):
            if accepts(key, wanted):
                mask |= self._mask(axis, key)
        return mask

    def fitting(self, asked: Mapping[A, str]) -> int:
        """The offers that have all the asked values."""
        mask = self.all
        for axis, wanted in asked.items():
            mask &= self.accepting(axis, wanted)
        return mask

    # ----------------------------------------------------------------------------------------- sets of offers
    def first(self, mask: int) -> T | None:
        """The best of them."""
        return self.offers[lowest(mask)] if mask else None

    def distinct(self, mask: int, axis: str, most: int) -> Iterator[T]:
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
            place = lowest(mask)
            yield self.offers[place]
            seen.add(numbers[place])
            mask &= ~self._numbered(axis, numbers[place])

    def values(self, mask: int, axis: str) -> list[str]:
        """The values that they have on an axis, ascending; unknown ones are left out."""
        found = []
        for key, places in self._sorted(axis):
            if key is not None and mask & self._mask(axis, key):
                found.append(self.value(axis, self.offers[places[0]]) or "")
        return found

    def some_values(self, mask: int, axis: str) -> list[str]:
        """The same where there are few; of very many values, those of the best offers."""
        if len(self._places(axis)) <= FEW:
            return self.values(mask, axis)
        best = {value for one in self.distinct(mask, axis, FEW // 8) if (value := self.value(axis, one))}
        return sorted(best, key=lambda value: self._key(axis, value))

    def ends(self, mask: int, axis: str) -> tuple[T, T]:
        """Of a set that is not empty, an offer with the lowest and one with the highest value of an axis."""
        ascending = self._sorted(axis)
        lowest = next(common for key, _ in ascending if (common := mask & self._mask(axis, key)))
        highest = next(common for key, _ in reversed(ascending) if (common := mask & self._mask(axis, key)))
        return self.offers[lowest.bit_length() - 1], self.offers[(highest & -highest).bit_length() - 1]

    def _sorted(self, axis: str) -> Sequence[tuple[Any, list[int]]]:
        known = self._orders.get(axis)
        if known is None:
            entries = [(key, places) for key, places in self._places(axis).items() if key is not None]
            known = self._orders[axis] = sorted(entries, key=lambda entry: entry[0])
        return known

    @cached_property
    def _orders(self) -> dict[str, Sequence[tuple[Any, list[int]]]]:
        return {}

    def nearest(self, mask: int, axis: str, wanted: str) -> Iterator[int]:
        """The offers of the set by distance from the wanted value, a few sets with one value each.

        An axis that has no order is left as it is.
        """
        kind = self.axes[axis]
        if kind.order is None:
            if mask:
                yield mask
            return
        found = 0
        for key in kind.nearest(self._key(axis, wanted), self._candidates(mask, axis)):
            common = mask & self._mask(axis, key)
            if common:
                yield common
                found += 1
                if found == NEAREST:
                    return
        if not found and mask:  # nothing of the set has a known value, such as the CANN or a day
            yield mask

    def _candidates(self, mask: int, axis: str) -> list[Any]:
        """The values among which the nearest are looked for, ascending: all, or of very many the best."""
        if len(self._places(axis)) <= FEW:
            return [key for key, _ in self._sorted(axis)]
        best = self.distinct(mask, axis, FEW // 8)
        keys = {self._key(axis, self.value(axis, offer)) for offer in best}
        return sorted(key for key in keys if key is not None)


def bits(places: Iterable[int], size: int) -> int:
    """The mask of some of `size` offers, by their places."""
    found = bytearray(size // 8 + 1)
    for place in places:
        found[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(found, "little")


def lowest(mask: int) -> int:
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


def at_most(order: Callable[[str], Any]) -> Callable[[Any, str], bool]:
    """Of a bound: what needs no more than the wanted value serves, and what states no bound."""
    return lambda key, wanted: key is None or bool(key <= order(wanted))


def ascending(target: Any, keys: Sequence[Any]) -> Iterator[Any]:
    """Of a bound: the one that asks for the least change first."""
    yield from keys


def same_release_first(target: Any, keys: Sequence[Any]) -> Iterator[Any]:
    """Of versions: a fix of the same release before another one."""
    first = last = bisect.bisect_left(keys, target)
    while first and keys[first - 1].release[:2] == target.release[:2]:
        first -= 1
    while last < len(keys) and keys[last].release[:2] == target.release[:2]:
        last += 1
    yield from outward(target, keys[first:last])
    yield from outward(target, [*keys[:first], *keys[last:]])


def by_spelling(target: str, keys: Sequence[str]) -> Iterator[str]:
    """Of names: those whose beginning is the least misspelt, then the least misspelt; of equals the last."""
    last_first = list(reversed(keys))
    yield from sorted(last_first, key=lambda key: _slips(target, key))


def _slips(asked: str, name: str) -> tuple[int, int]:
    """How many letters to put in, leave out or change for a beginning of the name, and for all of it."""
    before = list(range(len(name) + 1))
    for at, letter in enumerate(asked, 1):
        row = [at]
        for place, found in enumerate(name):
            row.append(min(before[place + 1] + 1, row[place] + 1, before[place] + (letter != found)))
        before = row
    return min(before), before[-1]


# --------------------------------------------------------------------------------------------- what blocks
def smallest(masks: Mapping[A, int], everything: int) -> list[frozenset[A]]:
    """The sets of axes whose masks share no bit of `everything`, and that hold no other such set."""
    found: list[frozenset[A]] = []
    smaller: dict[tuple[A, ...], int] = {(): everything}
    for size in range(1, len(masks) + 1):
        larger = {}
        for axes in itertools.combinations(masks, size):
            # What lacks its first axes lies within a conflict, or is one.
            if axes[:-1] not in smaller or any(one <= set(axes) for one in found):
                continue
            mask = smaller[axes[:-1]] & masks[axes[-1]]
            if mask:
                larger[axes] = mask
            else:
                found.append(frozenset(axes))
        smaller = larger
    return found


# --------------------------------------------------------------------------------------------- what is near
def near(
    rack: Rack[T], asked: Mapping[A, str], best: Callable[[int], int], most: int
) -> Iterator[tuple[T, frozenset[A], int]]:
    """The nearest offers, the axes to change, their cost: the cheapest axes first, then the nearest values.

    `best` narrows a set of offers to those that are preferred. Only changes are offered that are needed: no
    set of axes with a smaller one within that suffices.
    """
    masks = {axis: rack.accepting(axis, wanted) for axis, wanted in asked.items()}
    count, enough = 0, list[frozenset[A]]()
    costs = tuple((axis, rack.axes[axis].cost) for axis in asked)
    for names in _by_cost(costs):
        axes = frozenset(axis for axis in asked if axis in names)
        if count >= most:
            return
        if any(one <= axes for one in enough):
            continue
        kept = rack.all
        for axis, mask in masks.items():
            if axis not in axes:
                kept &= mask
        if not kept:
            continue
        enough.append(axes)
        cost = sum(rack.axes[axis].cost for axis in axes)
        for offer in itertools.islice(_changed(rack, asked, axes, kept, best), most - count):
            count += 1
            yield offer, axes, cost


@lru_cache(maxsize=1024)
def _by_cost(costs: tuple[tuple[str, int], ...]) -> Sequence[frozenset[str]]:
    """Every set of axes, cheapest first; a set comes after all that lie within it."""
    of = dict(costs)
    sets = [axes for size in range(1, len(of) + 1) for axes in itertools.combinations(of, size)]
    return [frozenset(axes) for axes in sorted(sets, key=lambda axes: sum(map(of.__getitem__, axes)))]


def _changed(
    rack: Rack[T], asked: Mapping[A, str], axes: frozenset[A], kept: int, best: Callable[[int], int]
) -> Iterator[T]:
    """A few offers that differ in exactly these axes, the nearest first, by the dearest axis first."""
    order = list(rack.axes)
    seen: set[str] = set()
    dearest = sorted(axes, key=lambda axis: (-rack.axes[axis].cost, order.index(axis)))
    for mask in _narrowed(rack, asked, dearest, kept):
        offer = rack.first(best(mask))
        assert offer is not None
        if offer.key not in seen:
            seen.add(offer.key)
            yield offer


def _narrowed(rack: Rack[T], asked: Mapping[A, str], axes: Sequence[A], mask: int) -> Iterator[int]:
    if not axes:
        yield mask
        return
    for nearest in rack.nearest(mask, axes[0], asked[axes[0]]):
        yield next(_narrowed(rack, asked, axes[1:], nearest))
