"""Everything that can be had, from matrix and catalogue together, the best choice first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from functools import lru_cache
from typing import Any

from packaging.version import Version

from wheelmill.catalogue.model import Catalogue, Wheel
from wheelmill.matrix.model import Cell, Line, Matrix, OtherVersion
from wheelmill.matrix.policy import Phase, phase_of_line, phase_of_series
from wheelmill.matrix.versions import base_version, branch_name, python_key, release_key, version
from wheelmill.pick.model import Offer

SUPPORTED = ("development", "maintained")


def offers(matrix: Matrix, catalogue: Catalogue, today: date) -> tuple[tuple[Offer, ...], tuple[Offer, ...]]:
    """What can be had, the best choice first; and what is known and cannot be had.

    Better is: released before development, final before pre-release, with a known CANN, supported on `today`,
    newest torch, then the version that a row names, then the newest. A wheel of the index is there by the
    catalogue; without a catalogue the matrix is believed.
    """
    found = _released([*_published(matrix, catalogue, today), *_rows(matrix, catalogue, today)])
    keys = _Keys()
    ranked = sorted(found, key=keys.of, reverse=True)
    had = tuple(one for one in ranked if one.how not in ("record", "yanked"))
    return had, tuple(one for one in ranked if one.how in ("record", "yanked"))


def _released(found: list[Offer]) -> list[Offer]:
    """The offers with their releases; one without a branch is of the last release before its day."""
    known: dict[str, str] = {}
    days: dict[str, str] = {}
    for offer in found:
        if offer.branch and offer.branch not in known:
            known[offer.branch] = _release_of(offer.branch)
        if offer.own and offer.day and offer.wheel is not None:
            name = known[offer.branch or ""]
            days[name] = min(days.get(name, offer.day), offer.day)
    first = sorted((day, release_key(name), name) for name, day in days.items())
    result = []
    for offer in found:
        name = known.get(offer.branch or "", "")
        if not name and offer.day:
            name = next((one for day, _, one in reversed(first) if day <= offer.day), "")
        result.append(replace(offer, release=name) if name else offer)
    return result


def _release_of(branch: str) -> str:
    try:
        return branch_name(branch).release or ""
    except ValueError:
        return ""


# ----------------------------------------------------------------------------------------- of the catalogue
def _published(matrix: Matrix, catalogue: Catalogue, today: date) -> Iterator[Offer]:
    """Every wheel of the catalogue, placed by its row or by what a document says of its version."""
    lines = {str(version(line.adapter)): line for line in matrix.lines}
    others = {str(version(other.adapter)): other for other in matrix.document.other_versions}
    by_branch = {line.branch: line for line in matrix.lines}
    phases = _Phases(matrix, today)
    for adapter, wheels in catalogue.versions.items():
        line, other = lines.get(adapter), None
        if line is None:
            other = others.get(adapter)
            line = by_branch.get(other.branch or "") if other is not None else None
        for python, wheel in _one_each(wheels):
            yield _placed(matrix, phases, adapter, python, wheel, line, other)


def _placed(
    matrix: Matrix,
    phases: _Phases,
    adapter: str,
    python: str,
    wheel: Wheel,
    line: Line | None,
    other: OtherVersion | None,
) -> Offer:
    torch = base_version(adapter) or adapter
    place = other or line
    yanked = wheel.yanked
    return Offer(
        adapter=adapter,
        torch=torch,
        cann=place.cann if place is not None else None,
        python=python,
        arch=wheel.arch or "",
        how="yanked" if yanked else "index",
        line=line,
        wheel=wheel,
        other=other,
        source=place.source if place is not None else None,
        glibc=_dotted(wheel.glibc),
        phase=phases.of(line) if line is not None else phases.of_torch(torch),
        series=matrix.series.get(torch),
        reason=(yanked if isinstance(yanked, str) else "no reason is given") if yanked else None,
    )


def _one_each(wheels: Iterable[Wheel]) -> Iterator[tuple[str, Wheel]]:
    """One wheel per (Python, arch): of two, the later upload, which replaced the other."""
    found: dict[tuple[str, str], Wheel] = {}
    for wheel in wheels:
        for python in wheel.pythons:
            if wheel.arch is None:
                continue
            other = found.get((python, wheel.arch))
            if other is None or _rank(wheel) > _rank(other):
                found[python, wheel.arch] = wheel
    for (python, _), wheel in found.items():
        yield python, wheel


def _rank(wheel: Wheel) -> tuple[bool, str]:
    return not wheel.yanked, wheel.uploaded or ""


@lru_cache
def _dotted(glibc: tuple[int, int] | None) -> str | None:
    return None if glibc is None else f"{glibc[0]}.{glibc[1]}"


# ---------------------------------------------------------------------------------------------- of the rows
def _rows(matrix: Matrix, catalogue: Catalogue, today: date) -> Iterator[Offer]:
    """The cells of the rows that the catalogue does not have."""
    phases = _Phases(matrix, today)
    for line in matrix.lines:
        have = {(python, wheel.arch) for wheel in catalogue.of(line.adapter) for python in wheel.pythons}
        offer = _row(matrix, line, phases.of(line), bool(catalogue))
        for cell in line.cells():
            if (cell.python, cell.arch) not in have:
                yield replace(offer, python=cell.python, arch=cell.arch, glibc=_promised(cell))


def _row(matrix: Matrix, line: Line, phase: Phase | None, known: bool) -> Offer:
    """A row's offer, of no Python and arch yet; `known` where a catalogue says what the index has."""
    offer = Offer(
        adapter=line.adapter, torch=line.torch.version, cann=line.cann, python="", arch="", how="record",
        line=line, source=line.source, phase=phase, series=matrix.series.get(line.torch.version),
        reason=line.reason, released=_day_of(matrix, line),
    )  # fmt: skip
    if line.download is not None:
        return replace(offer, how="download")
    if line.on_index and not known:
        return replace(offer, how="index")
    if line.buildable:
        return replace(offer, how="build")
    if line.on_index:
        return replace(offer, reason="the row says that the index has it, and the index does not")
    return offer


def _day_of(matrix: Matrix, line: Line) -> str | None:
    series = matrix.series.get(line.series or "")
    return series.released.isoformat() if series is not None and series.released is not None else None


def _promised(cell: Cell) -> str | None:
    """The C library of the policy that a wheel of this cell is held to."""
    policy = cell.line.torch.policies.get(cell.arch)  # type: ignore[call-overload]
    return ".".join(policy.split("_")[1:3]) if policy else None


# ---------------------------------------------------------------------------------------------- what is best
class _Phases:
    """The stages of lines on one day, each computed once."""

    def __init__(self, matrix: Matrix, today: date) -> None:
        self._matrix, self._today = matrix, today
        self._known: dict[str, Phase | None] = {}

    def of(self, line: Line) -> Phase | None:
        """The stage of a line's series."""
        name = line.series or ""
        if name not in self._known:
            self._known[name] = phase_of_line(self._matrix, line, self._today)
        return self._known[name]

    def of_torch(self, torch: str) -> Phase | None:
        """The stage of the series that is named as a torch."""
        series = self._matrix.series.get(torch)
        if series is None:
            return None
        return phase_of_series(series, self._matrix.policies[series.policy], self._today)


class _Keys:
    """How good an offer is, greater is better; among equals aarch64, on which most NPU hosts run."""

    def __init__(self) -> None:
        self._of_version: dict[str, tuple[Version, Version]] = {}

    def of(self, offer: Offer) -> tuple[Any, ...]:
        """The sort key of an offer."""
        known = self._of_version.get(offer.adapter)
        if known is None:
            known = self._of_version[offer.adapter] = version(offer.torch), version(offer.adapter)
        (torch, adapter), line = known, offer.line
        return (
            line is None or line.kind == "published",
            offer.own or not adapter.is_prerelease,
            offer.cann is not None,
            offer.phase is not None and offer.phase.stage in SUPPORTED,
            torch,
            offer.own,
            adapter,
            python_key(offer.python),
            offer.arch == "aarch64",
        )
