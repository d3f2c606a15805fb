"""Why nothing fits: every smallest conflict, a reason per axis, and what is nearest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from wheelmill.matrix.versions import version
from wheelmill.pick.model import AXES, LABELS, Alternative, Axis, Blocker, BlockKind, Conflict, Offer
from wheelmill.pick.rack import near, smallest
from wheelmill.pick.shelf import KEYS, VALUES, Shelf

ALTERNATIVES = 6
_LISTED = 8


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


def _record(offer: Offer) -> tuple[BlockKind, str]:
    if offer.how == "yanked":
        return "yanked", f"torch_npu {offer.adapter} was yanked from the index: {offer.reason}"
    return "record only", f"row {offer.branch} (torch_npu {offer.adapter}): {offer.reason}"


def _blocker(shelf: Shelf, conflict: Mapping[Axis, str], axis: Axis) -> Blocker:
    """Why this axis fails, given the other axes of the conflict."""
    wanted = conflict[axis]
    others = {one: other for one, other in conflict.items() if one != axis}
    possible, having = shelf.fitting(others), shelf.accepting(axis, wanted)
    given = " and ".join(f"{LABELS[one]} {other}" for one, other in others.items())
    with_given = f"with {given} " if given else ""
    bound = _bound(shelf, axis, wanted, possible, with_given)
    if bound is not None:
        return Blocker(axis, wanted, *bound)
    there = f"{with_given}there is {_exist(shelf, possible, axis)}"
    if not having:
        kind, why = _unknown(shelf, axis, wanted)
        return Blocker(axis, wanted, kind, f"{why}; {there}" if why else there)
    if axis == "cann" and possible & shelf.accepting("cann", wanted) == 0 and _all_unknown(shelf, possible):
        named = ", ".join(offer.adapter for offer in shelf.distinct(possible, "adapter", 3))
        reason = f"torch_npu {named} is on the index, CANN unknown: no document says which CANN it goes with"
        return Blocker(axis, wanted, "CANN unknown", reason)
    kind, more = _history(shelf, axis, wanted, possible, having)
    return Blocker(axis, wanted, kind, there + more)


def _bound(shelf: Shelf, axis: Axis, wanted: str, possible: int, given: str) -> tuple[BlockKind, str] | None:
    """The reason of an axis that is a bound and not a value: the C library, a day, a stage, a chip."""
    if axis == "glibc":
        lowest, _ = shelf.ends(possible, "glibc")
        policy = f"manylinux_{(lowest.glibc or '').replace('.', '_')}"
        return (
            "policy",
            f"{given}the wheels need glibc {lowest.glibc} or newer; {wanted} is older than {policy}",
        )
    if axis == "date":
        if not shelf.values(possible, "date"):
            return "not yet", f"{given}no day of publication is known"
        first, _ = shelf.ends(possible, "date")
        return "not yet", f"{given}the first wheel was published on {first.day} (torch_npu {first.adapter})"
    if axis == "stage":
        best = shelf.first(possible)
        assert best is not None
        if best.phase is None:
            return "end of life", f"{given}no document gives torch_npu {best.adapter} a stage"
        since = f" since {best.phase.since}" if best.phase.since else ""
        return "end of life", f"{given}torch_npu {best.adapter} is {best.phase.stage}{since}"
    if axis != "chip":
        return None
    chip = shelf.chip(wanted)
    if chip is None:
        known = ", ".join(one.name for one in shelf.matrix.document.chips) or "none"
        return "unknown chip", f"the matrix knows no chip {wanted}; it knows {known}"
    return "never built", f"{given}the adapter does not know {chip.name}; releases since {chip.since} do"


def _unknown(shelf: Shelf, axis: Axis, wanted: str) -> tuple[BlockKind, str]:
    """Of a value that nothing has: whether it is planned, was misprinted, or never existed."""
    if axis == "torch" and (series := shelf.matrix.series.get(wanted)) is not None:
        printed = series.published.next
        return "planned", f"torch_npu for torch {wanted} is planned{f' ({printed})' if printed else ''}"
    for line in shelf.misprinted:
        if line.published is not None and getattr(line.published, axis, None) == wanted:
            value = line.torch.version if axis == "torch" else getattr(line, axis)
            held = f"{LABELS[axis]} {value}"
            reason = f"it was published for {line.branch}, which has {held}: {line.published.reason}"
            return "never built", reason
    if axis in ("adapter", "branch") and shelf.catalogue:
        return "not published", f"no index and no row has {LABELS[axis]} {wanted}"
    return "never built", f"no wheel has {LABELS[axis]} {wanted}"


def _all_unknown(shelf: Shelf, possible: int) -> bool:
    return not any(offer.cann is not None for offer in shelf.distinct(possible, "cann", 2))


def _exist(shelf: Shelf, mask: int, axis: Axis) -> str:
    """The values that there are, or the ends of a long list."""
    offers = list(shelf.distinct(mask, axis, 4 * _LISTED))
    found = {value for offer in offers if (value := VALUES[axis](offer)) is not None}
    names = sorted(found, key=KEYS.get(axis, str))
    if not names:
        return f"{LABELS[axis]} that no document names" if mask else f"no {LABELS[axis]}"
    if len(names) <= _LISTED:
        return f"{LABELS[axis]} {', '.join(names)}"
    many = f"{len(names)} in all" if len(offers) < 4 * _LISTED else "and more"
    return f"{LABELS[axis]} {', '.join(names[:2])}, ... {', '.join(names[-4:])} ({many})"


def _history(shelf: Shelf, axis: Axis, wanted: str, possible: int, having: int) -> tuple[BlockKind, str]:
    """Whether a Python came after the wheels in question or ended before them; other axes have no history."""
    if axis != "python":
        return "elsewhere", ""
    first, last = _oldest_and_newest(shelf, having)
    oldest, newest = _oldest_and_newest(shelf, possible)
    if version(last.adapter) < version(oldest.adapter):
        return "dropped", f"; Python {wanted} ended with torch_npu {last.adapter} (torch {last.torch})"
    if version(first.adapter) > version(newest.adapter):
        return "never built", f"; Python {wanted} began with torch_npu {first.adapter} (torch {first.torch})"
    return "never built", f"; other wheels of torch_npu have Python {wanted}"


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
        return f"other than {wanted}"
    if axis == "cann" and value is None:
        return "unknown"
    return value or "any"
