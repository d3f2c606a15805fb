"""Over all values of matrix and catalogue: a wheel that pip accepts, or a true and sufficient explanation."""

from __future__ import annotations

import itertools
from functools import cache
from random import Random

import pytest
from packaging.tags import Tag, cpython_tags
from packaging.utils import parse_wheel_filename
from wheelmill.matrix.versions import cann_key
from wheelmill.pick import NoFit, Pick, Request, answer, render_text
from wheelmill.pick.model import Axis, Offer
from wheelmill.pick.shelf import VALUES

from tests.pick.asking import CATALOGUE, MATRIX, SHELF

NEWEST_GLIBC = 45


def every(axis: Axis) -> list[str]:
    """All values of an axis that an offer or a record has."""
    return sorted({value for one in (*SHELF.offers, *SHELF.records) if (value := VALUES[axis](one))})


CANN = sorted({*every("cann"), *(one.name for one in MATRIX.document.cann_names), "8.0.RC2.2"}, key=cann_key)


@cache
def tags_of(python: str, arch: str, glibc: str | None) -> frozenset[Tag]:
    """The tags that an interpreter of this kind accepts, by packaging."""
    newest = int(glibc.partition(".")[2]) if glibc else NEWEST_GLIBC
    platforms = [f"manylinux_2_{minor}_{arch}" for minor in range(newest, 4, -1)]
    platforms += [f"{name}_{arch}" for name in ("manylinux2014", "manylinux2010", "manylinux1", "linux")]
    major, minor = map(int, python.split("."))
    return frozenset(cpython_tags((major, minor), platforms=platforms))


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
    """A fifth of the CANNs with each adapter, another fifth with the next: every pair of values is asked."""
    chips = [None, *(chip.socs[0] for chip in MATRIX.document.chips), "NONE"]
    for at, adapter in enumerate(every("adapter")):
        for cann, chip in itertools.product(CANN[at % 5 :: 5], chips):
            check(Request(adapter=adapter, cann=cann, chip=chip))


def test_all_ten_axes_at_once() -> None:
    """The product of all values is far too large, so it is sampled, also with values that nothing has."""
    chips = [name for chip in MATRIX.document.chips for name in (*chip.socs, *chip.also)]
    values: dict[Axis, list[str]] = {
        "adapter": [*every("adapter"), "9.9.9"], "branch": [*every("branch"), "v9.9.9-1.0.0"],
        "python": [*every("python"), "3.6"], "torch": [*every("torch"), "3.0.0"], "cann": [*CANN, "4.0.0"],
        "arch": ["aarch64", "x86_64"], "glibc": ["2.12", "2.17", "2.27", "2.28", "2.41"],
        "chip": [*chips, "NONE"], "date": ["2019-01-01", *every("date")], "stage": ["supported"],
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
