"""Why nothing fits: every smallest conflict, a reason per axis, and what is nearest."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from wheelmill.matrix.versions import version
from wheelmill.pick.model import AXES, Alternative, Axis, Blocker, BlockKind, Conflict, Offer, Words
from wheelmill.pick.rack import by_spelling, near, smallest
from wheelmill.pick.shelf import KEYS, VALUES, Shelf
from wheelmill.pick.words import label, labelled, listed, say, told

ALTERNATIVES = 6
_LISTED = 8
OTHER_THAN = "other than "  # before the chip that a request has to do without


# ---------------------------------------------------------------------------------------------- what blocks
def conflicts(shelf: Shelf, asked: Mapping[Axis, str]) -> tuple[Conflict, ...]:
    """Every set of asked axes that no offer satisfies together and that has no such set within it.

    The fewest axes come first. At most 2^10 sets are tried; each costs one `&` with that of a set before.
    """
    if not shelf.offers:
        return ()
    masks = {axis: shelf.accepting(axis, wanted) for axis, wanted in asked.items()}
    return tuple(
        Conflict(_blockers(shelf, asked, {axis: asked[axis] for axis in AXES if axis in axes}))
        for axes in smallest(masks, shelf.all)
    )


def _blockers(shelf: Shelf, asked: Mapping[Axis, str], conflict: Mapping[Axis, str]) -> tuple[Blocker, ...]:
    """A reason per axis; where a known wheel that cannot be had has the values, its reason for all."""
    record = shelf.record(asked) or shelf.record(conflict)
    if record is not None:
        kind, reason = _record(record)
        return tuple(Blocker(axis, wanted, kind, reason) for axis, wanted in conflict.items())
    return tuple(_blocker(shelf, conflict, axis) for axis in conflict)


def _record(offer: Offer) -> tuple[BlockKind, Words]:
    if offer.how == "yanked":
        return "yanked", say("yanked", adapter=offer.adapter, reason=offer.reason or "")
    return "record only", say(
        "record", branch=offer.branch or "", adapter=offer.adapter, reason=offer.reason or ""
    )


def _blocker(shelf: Shelf, conflict: Mapping[Axis, str], axis: Axis) -> Blocker:
    """Why this axis fails, given the other axes of the conflict."""
    wanted = conflict[axis]
    others = {one: other for one, other in conflict.items() if one != axis}
    possible, having = shelf.fitting(others), shelf.accepting(axis, wanted)
    values = listed((labelled(one, other) for one, other in others.items()), " and ")
    given = say("given", values=values) if others else ""
    bound = _bound(shelf, axis, wanted, possible, given)
    if bound is not None:
        return Blocker(axis, wanted, *bound)
    there = say("there", given=given, values=_exist(shelf, possible, axis, wanted))
    if not having:
        return Blocker(axis, wanted, *_unknown(shelf, axis, wanted, there))
    if axis == "cann" and possible & shelf.accepting("cann", wanted) == 0 and _all_unknown(shelf, possible):
        adapters = listed(offer.adapter for offer in shelf.distinct(possible, "adapter", 3))
        return Blocker(axis, wanted, "CANN unknown", say("all unknown", adapters=adapters))
    return Blocker(axis, wanted, *_history(shelf, axis, wanted, possible, having, there))


def _bound(
    shelf: Shelf, axis: Axis, wanted: str, possible: int, given: str | Words
) -> tuple[BlockKind, Words] | None:
    """The reason of an axis that is a bound and not a value: the C library, a day, a stage, a chip."""
    if axis == "glibc":
        lowest, _ = shelf.ends(possible, "glibc")
        policy = f"manylinux_{(lowest.glibc or '').replace('.', '_')}"
        needed = lowest.glibc or ""
        return "policy", say("needs glibc", given=given, needed=needed, wanted=wanted, policy=policy)
    if axis == "date":
        if not shelf.values(possible, "date"):
            return "not yet", say("no day", given=given)
        first, _ = shelf.ends(possible, "date")
        return "not yet", say("first day", given=given, day=first.day or "", adapter=first.adapter)
    if axis == "stage":
        best = shelf.first(possible)
        assert best is not None
        if best.phase is None:
            return "end of life", say("no stage", given=given, adapter=best.adapter)
        stage: Words = {"en": best.phase.stage, "zh": best.phase.zh}
        name, day = ("stage since", str(best.phase.since)) if best.phase.since else ("stage", "")
        return "end of life", say(name, given=given, adapter=best.adapter, stage=stage, day=day)
    if axis != "chip":
        return None
    chip = shelf.chip(wanted)
    if chip is None:
        known = ", ".join(one.name for one in shelf.matrix.document.chips) or "none"
        return "unknown chip", say("unknown chip", wanted=wanted, known=known)
    return "never built", say("chip since", given=given, chip=chip.name, since=chip.since or "")


def _unknown(shelf: Shelf, axis: Axis, wanted: str, there: Words) -> tuple[BlockKind, Words]:
    """Of a value that nothing has: whether it is planned, misprinted, undocumented, or never existed."""
    if axis == "torch" and (series := shelf.matrix.series.get(wanted)) is not None:
        printed = series.published.next
        when = say("when", text=printed) if printed else ""
        return "planned", say("planned", torch=wanted, when=when, there=there)
    for line in shelf.misprinted:
        if line.published is not None and getattr(line.published, axis, None) == wanted:
            value = line.torch.version if axis == "torch" else getattr(line, axis)
            held, reason = labelled(axis, value), told(line.published.reason, line.published.zh)
            return "never built", say("misprint", branch=line.branch, held=held, reason=reason)
    value = labelled(axis, wanted)
    if axis in ("adapter", "branch") and shelf.catalogue:
        return "not published", say("not published", value=value, there=there)
    if axis == "cann":
        return "no document", say("no document", value=value, there=there)
    return "never built", say("no wheel", value=value, there=there)


def _all_unknown(shelf: Shelf, possible: int) -> bool:
    return not any(offer.cann is not None for offer in shelf.distinct(possible, "cann", 2))


def _exist(shelf: Shelf, mask: int, axis: Axis, wanted: str) -> Words:
    """The values that there are; of a long list, those around the wanted one."""
    names = shelf.some_values(mask, axis)
    if not names:
        return say("unnamed" if mask else "none", axis=label(axis))
    if len(names) > _LISTED:
        named = axis == "branch"
        names = _alike(names, KEYS[axis], wanted) if named else _around(names, KEYS.get(axis, str), wanted)
    return say("there are", axis=label(axis), values=listed(names))


def _alike(names: Sequence[str], key: Callable[[str], str], wanted: str) -> list[str]:
    """The names that are spelled most like the wanted one, in their order."""
    near = set(itertools.islice(by_spelling(key(wanted), [key(name) for name in names]), _LISTED))
    return [name for name in names if key(name) in near]


def _around(names: Sequence[str], key: Callable[[str], Any], wanted: str) -> list[str]:
    """The values next to the wanted one on either side, with dots where others are left out."""
    at = bisect.bisect_left([key(name) for name in names], key(wanted))
    start = max(0, min(at - _LISTED // 2, len(names) - _LISTED))
    near = list(names[start : start + _LISTED])
    if start:
        near[0] = f"... {near[0]}"
    if start + _LISTED < len(names):
        near[-1] = f"{near[-1]} ..."
    return near


def _history(
    shelf: Shelf, axis: Axis, wanted: str, possible: int, having: int, there: Words
) -> tuple[BlockKind, Words]:
    """Whether a Python came after the wheels in question or ended before them; other axes have no history."""
    if axis != "python":
        return "elsewhere", there
    first, last = _oldest_and_newest(shelf, having)
    oldest, newest = _oldest_and_newest(shelf, possible)
    if version(last.adapter) < version(oldest.adapter):
        more = {"adapter": last.adapter, "torch": last.torch}
        return "dropped", say("dropped", there=there, python=wanted, **more)
    if version(first.adapter) > version(newest.adapter):
        more = {"adapter": first.adapter, "torch": first.torch}
        return "never built", say("began", there=there, python=wanted, **more)
    return "never built", say("other wheels", there=there, python=wanted)


def _oldest_and_newest(shelf: Shelf, mask: int) -> tuple[Offer, Offer]:
    low, high = shelf.ends(mask, "torch")
    oldest = min(_of_torch(shelf, mask, low), key=lambda offer: version(offer.adapter))
    newest = max(_of_torch(shelf, mask, high), key=lambda offer: version(offer.adapter))
    return oldest, newest


def _of_torch(shelf: Shelf, mask: int, offer: Offer) -> Iterator[Offer]:
    return shelf.distinct(mask & shelf.accepting("torch", offer.torch), "adapter", 64)


# --------------------------------------------------------------------------------------------- what is near
def alternatives(
    shelf: Shelf, asked: Mapping[Axis, str], best: Callable[[int], int]
) -> tuple[Alternative, ...]:
    """The nearest offers, of those that `best` prefers; see `near`."""
    return tuple(
        Alternative(offer, {axis: _new(offer, axis, asked[axis]) for axis in AXES if axis in axes}, cost)
        for offer, axes, cost in near(shelf, asked, best, ALTERNATIVES)
    )


def _new(offer: Offer, axis: Axis, wanted: str) -> str:
    """The value that the request needs for this offer."""
    value = VALUES[axis](offer)
    if axis == "chip":
        return f"{OTHER_THAN}{wanted}"
    if axis == "stage":
        return "any"
    if axis == "cann" and value is None:
        return "unknown"
    return value or "any"
