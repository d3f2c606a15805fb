"""Over all values of matrix and catalogue: a wheel that pip accepts, or a true and sufficient explanation.

The product of all ten axes is far too large to ask for. It factors: an answer depends on which offers each
value accepts, and on how these sets meet. So every value of every axis is held against every offer; every way
in which up to five axes can meet is tried; and of whole answers, these products are asked for completely:
CANN x torch x Python x architecture, adapter x Python x old C libraries, and adapter x CANN x chip.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import cache
from random import Random

import pytest
from packaging.tags import Tag, cpython_tags
from packaging.utils import parse_wheel_filename
from wheelmill.matrix.versions import cann_key, release_key
from wheelmill.pick import NoFit, Pick, Request, answer, render_text
from wheelmill.pick.model import Axis, Offer
from wheelmill.pick.rack import smallest
from wheelmill.pick.shelf import VALUES

from tests.pick.asking import CATALOGUE, MATRIX, SHELF

NEWEST_GLIBC = 45


def every(axis: Axis) -> list[str]:
    """All values of an axis that an offer or a record has."""
    return sorted({value for one in (*SHELF.offers, *SHELF.records) if (value := VALUES[axis](one))})


CANN = sorted({*every("cann"), *(one.name for one in MATRIX.document.cann_names), "8.0.RC2.2"}, key=cann_key)

CHIPS = [name for chip in MATRIX.document.chips for name in chip.names]


@cache
def tags_of(python: str, arch: str, glibc: str | None) -> frozenset[Tag]:
    """The tags that an interpreter of this kind accepts, by packaging."""
    newest = int(glibc.partition(".")[2]) if glibc else NEWEST_GLIBC
    platforms = [f"manylinux_2_{minor}_{arch}" for minor in range(newest, 4, -1)]
    older = {"manylinux2014": 17, "manylinux2010": 12, "manylinux1": 5}
    platforms += [f"{name}_{arch}" for name, minor in older.items() if minor <= newest]
    platforms.append(f"linux_{arch}")
    version = tuple(map(int, python.split(".")))
    return frozenset(cpython_tags(version, platforms=platforms))


def accepted(offer: Offer, glibc: str | None) -> bool:
    """Whether the picked wheel's own tags are among those of the interpreter that it was picked for."""
    if offer.wheel is None:
        return True
    *_, tags = parse_wheel_filename(offer.wheel.file)
    return not tags.isdisjoint(tags_of(offer.python, offer.arch, glibc))


def without(request: Request, axes: set[str]) -> Request:
    left = {axis: value for axis, value in request.asked().items() if axis not in axes}
    return Request(**left)


def check(request: Request) -> None:
    """The promise of the picker for one request."""
    found = answer(SHELF, request, {})
    if isinstance(found, Pick):
        assert accepted(found.offer, request.glibc), request
        names = {one.name: one.of for one in MATRIX.document.cann_names}
        for axis in ("adapter", "torch", "python", "arch"):
            assert getattr(request, axis) in (None, getattr(found.offer, axis)), request
        assert request.cann is None or found.offer.cann == names.get(request.cann, request.cann), request
        return
    assert found.conflicts, request
    blocking = {one.axis for conflict in found.conflicts for one in conflict.blockers}
    assert isinstance(answer(SHELF, without(request, blocking), {}), Pick), request
    asked = found.request.asked()
    for conflict in found.conflicts:
        axes = {one.axis: asked[one.axis] for one in conflict.blockers}
        assert not SHELF.fitting(axes), request
        for axis in axes:  # and not an axis more than it takes
            assert SHELF.fitting({one: value for one, value in axes.items() if one != axis}), request
    near = found.alternatives[0]
    assert near.changes, request
    changed = without(request, set(near.changes))
    assert isinstance(answer(SHELF, changed, {}), Pick), request
    ups = [one for one in found.alternatives if set(one.changes) == {"cann"}]
    assert_never_up_first(request, [one.changes["cann"] for one in ups])


def assert_never_up_first(request: Request, canns: list[str]) -> None:
    """A CANN above the one there is comes after the same major.minor and after lower ones."""
    if request.cann is None or not canns or "unknown" in canns:
        return
    had = cann_key(request.cann)
    up = [cann_key(one) > had and cann_key(one)[:2] != had[:2] for one in canns]
    assert up == sorted(up), (request, canns)


@pytest.mark.parametrize("arch", ["aarch64", "x86_64"])
def test_every_cann_torch_and_python(arch: str) -> None:
    axes = [*itertools.product([None, *CANN], [None, *every("torch")], [None, *every("python")])]
    assert len(axes) > 4000
    for cann, torch, python in axes:
        check(Request(cann=cann, torch=torch, python=python, arch=arch))


@pytest.mark.parametrize("glibc", ["2.17", "2.27", "2.28"])
def test_every_adapter_and_python_on_old_systems(glibc: str) -> None:
    for adapter, python in itertools.product(every("adapter"), every("python")):
        check(Request(adapter=adapter, python=python, arch="x86_64", glibc=glibc))


def test_every_adapter_with_every_cann_and_chip() -> None:
    """Chips that accept the same wheels, and names of one CANN, are asked for once."""
    chips = {SHELF.accepting("chip", name): name for name in [*CHIPS, "NONE"]}
    names = {one.name: one.of for one in MATRIX.document.cann_names}
    canns = sorted({names.get(cann, cann) for cann in CANN}, key=cann_key)
    assert len(chips) > 2
    for adapter, cann, chip in itertools.product(every("adapter"), canns, [None, *chips.values()]):
        check(Request(adapter=adapter, cann=cann, chip=chip))


# ----------------------------------------------------------------------------------------------- the factors
def accepting(axis: Axis, wanted: str) -> list[Offer]:
    """The offers that the picker takes for a value."""
    mask = SHELF.accepting(axis, wanted)
    return [offer for place, offer in enumerate(SHELF.offers) if mask >> place & 1]


@pytest.mark.parametrize("axis", ["adapter", "branch", "python", "torch", "cann", "arch"])
def test_every_value_is_that_of_the_offers_that_it_accepts(axis: Axis) -> None:
    for wanted in every(axis):
        assert accepting(axis, wanted) == [one for one in SHELF.offers if VALUES[axis](one) == wanted]
    assert not accepting(axis, "9.9.9")


@pytest.mark.parametrize("minor", range(5, NEWEST_GLIBC + 1))
def test_every_c_library_accepts_what_packaging_accepts(minor: int) -> None:
    glibc = f"2.{minor}"
    mine = {offer.key for offer in accepting("glibc", glibc) if offer.wheel is not None}
    assert mine == {one.key for one in SHELF.offers if one.wheel is not None and accepted(one, glibc)}


def test_every_offer_is_for_the_python_and_machine_of_its_wheel() -> None:
    wheels = [offer for offer in SHELF.offers if offer.wheel is not None]
    assert len(wheels) > 400
    for offer in wheels:
        for python, arch in itertools.product(every("python"), every("arch")):
            *_, tags = parse_wheel_filename(offer.wheel.file)  # type: ignore[union-attr]
            fits = not tags.isdisjoint(tags_of(python, arch, None))
            assert fits == ((python, arch) == (offer.python, offer.arch)), (offer.key, python, arch)


def test_every_day_stage_and_chip_accepts_what_it_says() -> None:
    for day in every("date"):
        assert accepting("date", day) == [one for one in SHELF.offers if one.day and one.day <= day]
    living = [one for one in SHELF.offers if one.phase and one.phase.stage in ("development", "maintained")]
    assert accepting("stage", "supported") == living
    assert not accepting("chip", "NONE")
    for name in CHIPS:
        since = next(chip.since for chip in MATRIX.document.chips if name in chip.names)
        old = [
            one
            for one in SHELF.offers
            if since and one.release and release_key(one.release) < release_key(since)
        ]
        assert accepting("chip", name) == [one for one in SHELF.offers if one not in old]


def families(sets: Sequence[frozenset[Axis]]) -> Iterator[tuple[frozenset[Axis], ...]]:
    """Every family of sets of which none lies within another."""
    if not sets:
        yield ()
        return
    first, rest = sets[0], sets[1:]
    yield from families(rest)
    for family in families([one for one in rest if not (one <= first or first <= one)]):
        yield (first, *family)


def test_conflicts_are_right_however_five_axes_meet() -> None:
    """An offer is the set of asked values that it has; offers with fewer of the same change nothing."""
    five: tuple[Axis, ...] = ("adapter", "python", "torch", "cann", "arch")
    subsets = [frozenset(one) for size in range(6) for one in itertools.combinations(five, size)]
    tried = 0
    for offers in families(subsets):
        if not offers:
            continue
        tried += 1
        masks = {axis: sum(1 << at for at, one in enumerate(offers) if axis in one) for axis in five}
        empty = [one for one in subsets if not any(one <= offer for offer in offers)]
        expected = [one for one in empty if not any(other < one for other in empty)]
        assert set(smallest(masks, (1 << len(offers)) - 1)) == set(expected), offers
    assert tried == 7580  # Dedekind's number for five, without the family that has no offer


# --------------------------------------------------------------------------------------------------- samples
def test_all_ten_axes_at_once() -> None:
    """The product of all values is far too large, so it is sampled, also with values that nothing has."""
    values: dict[Axis, list[str]] = {
        "adapter": [*every("adapter"), "9.9.9"], "branch": [*every("branch"), "v9.9.9-1.0.0"],
        "python": [*every("python"), "3.6"], "torch": [*every("torch"), "3.0.0"], "cann": [*CANN, "4.0.0"],
        "arch": ["aarch64", "x86_64"], "glibc": ["2.12", "2.17", "2.27", "2.28", "2.41"],
        "chip": [*CHIPS, "NONE"], "date": ["2019-01-01", *every("date")], "stage": ["supported"],
    }  # fmt: skip
    random = Random(12)
    outcomes = set()
    for _ in range(600):
        likely = random.choice((0.2, 0.5, 0.9))
        asked = {axis: random.choice(known) for axis, known in values.items() if random.random() < likely}
        request = Request(**asked)  # type: ignore[arg-type]
        check(request)
        outcomes.add(type(answer(SHELF, request, {})))
    assert outcomes == {Pick, NoFit}


def test_where_nothing_has_a_value_the_axis_is_left_out() -> None:
    """A line in development has no day of publication: no day would let it fit."""
    found = answer(SHELF, Request(branch="v2.13.0", date="2019-01-01"), {})
    assert isinstance(found, NoFit)
    assert "without a date: torch_npu 2.13.0.dev0" in render_text(found)


def test_nothing_on_the_index_is_unknown() -> None:
    """Every wheel of the catalogue is what the picker names for it, unless another one replaced it."""
    replaced = []
    for wheel in CATALOGUE:
        for python in wheel.pythons:
            found = answer(SHELF, Request(adapter=wheel.version, python=python, arch=wheel.arch), {})
            assert isinstance(found, Pick), render_text(found)
            assert found.offer.wheel is not None
            if found.offer.wheel.file != wheel.file:
                replaced.append(wheel.file)
    assert replaced == ["torch_npu-2.1.0-cp39-cp39-manylinux_2_27_x86_64.whl"]


def test_never_built_is_said_only_of_what_no_index_has() -> None:
    adapters = {wheel.version for wheel in CATALOGUE}
    for adapter in adapters:
        found = answer(SHELF, Request(adapter=adapter, cann="4.0.0"), {})
        assert isinstance(found, NoFit)
        assert ["adapter"] not in [[one.axis for one in conflict.blockers] for conflict in found.conflicts]
