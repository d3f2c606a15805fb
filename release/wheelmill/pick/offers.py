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
from wheelmill.matrix.policy import Phase, phase_of_series
from wheelmill.matrix.versions import base_version, branch_name, python_key, release_key, specifiers, version
from wheelmill.pick.model import How, Offer, Words
from wheelmill.pick.words import same, say, told

SUPPORTED = ("development", "maintained")  # the better one last


def offers(matrix: Matrix, catalogue: Catalogue, today: date) -> tuple[tuple[Offer, ...], tuple[Offer, ...]]:
    """What can be had, the best choice first; and what is known and cannot be had.

    Better is: released before development, final before pre-release, with a known CANN, of a series that is
    maintained on `today` before one that is to be before one that was, with the torch that it was built for,
    newest torch, then the version that a row names, then the newest. A wheel of the index is there by the
    catalogue; without a catalogue the matrix is believed.
    """
    about = _About(matrix, catalogue, today)
    found = [*_published(about), *_rows(about)]
    keys = Preference()
    ranked = sorted(found, key=keys.of, reverse=True)
    had = tuple(one for one in ranked if one.how not in ("record", "yanked"))
    return had, tuple(one for one in ranked if one.how in ("record", "yanked"))


class _About:
    """What many offers share: stages on one day, each computed once, and the releases of branches."""

    def __init__(self, matrix: Matrix, catalogue: Catalogue, today: date) -> None:
        self.matrix, self.catalogue, self._today = matrix, catalogue, today
        self.lines = {str(version(line.adapter)): line for line in matrix.lines}
        self.branches = {line.branch: line for line in matrix.lines}
        self.others = {str(version(other.adapter)): other for other in matrix.document.other_versions}
        self._phases: dict[str, Phase | None] = {}
        self._releases = {line.branch: _release_of(line.branch) for line in matrix.lines}
        self._first = self._first_days()

    def phase(self, name: str | None) -> Phase | None:
        """The stage of a series; None where there is none of this name."""
        if name is None:
            return None
        if name not in self._phases:
            series = self.matrix.series.get(name)
            policy = self.matrix.policies[series.policy] if series is not None else None
            phase = phase_of_series(series, policy, self._today) if series and policy else None
            self._phases[name] = phase
        return self._phases[name]

    def release(self, line: Line | None, day: str | None) -> str:
        """The release in the branch's name; without one, the last that was published by the day."""
        if line is not None and (name := self._releases[line.branch]):
            return name
        return next((name for first, _, name in self._first if day and first <= day), "")

    def day(self, line: Line) -> str | None:
        """When a row without a wheel was there: not before its series and its release's first wheel."""
        series = self.matrix.series.get(line.series or "")
        if series is None or series.released is None:
            return None
        release = self._releases[line.branch]
        return max([series.released.isoformat(), *(day for day, _, name in self._first if name == release)])

    def _first_days(self) -> list[tuple[str, tuple[tuple[int, int], ...], str]]:
        """The day of each release's first wheel, the latest release first."""
        days: dict[str, str] = {}
        for adapter, line in self.lines.items():
            for wheel in self.catalogue.versions.get(adapter, ()):
                name, day = self._releases[line.branch], wheel.day
                if name and day:
                    days[name] = min(days.get(name, day), day)
        return sorted(((day, release_key(name), name) for name, day in days.items()), reverse=True)


def _release_of(branch: str) -> str:
    try:
        return branch_name(branch).release or ""
    except ValueError:
        return ""


# ----------------------------------------------------------------------------------------- of the catalogue
def _published(about: _About) -> Iterator[Offer]:
    """Every wheel of the catalogue, placed by its row or by what a document says of its version."""
    for adapter, wheels in about.catalogue.versions.items():
        line, other = about.lines.get(adapter), None
        if line is None:
            other = about.others.get(adapter)
            line = about.branches.get(other.branch or "") if other is not None else None
        for python, wheel in _each(wheels):
            offer = _placed(about, adapter, python, wheel, line, other)
            yield from _with_each_torch(offer, _allowed(line, wheel))


def _with_each_torch(offer: Offer, proven: Iterable[str]) -> Iterator[Offer]:
    """The offer, and one for each other torch with which the wheel is proven."""
    yield offer
    for torch in proven:
        yield replace(offer, torch=torch, built_for=offer.torch)


def _allowed(line: Line | None, wheel: Wheel) -> tuple[str, ...]:
    """The torches with which a line's build is proven and that the metadata of this wheel allow.

    What is proven is this project's build; the publisher's own wheels of the same torch pin that one.
    """
    if line is None or not line.torch.proven or (pin := wheel.torch_pin()) is None:
        return ()
    try:
        allowed = specifiers(pin)
    except ValueError:
        return ()
    return tuple(torch for torch in line.torch.proven if allowed.contains(torch))


def _placed(
    about: _About, adapter: str, python: str, wheel: Wheel, line: Line | None, other: OtherVersion | None
) -> Offer:
    torch = base_version(adapter) or adapter
    place = other or line
    how, reason = _had(wheel, python)
    series = line.series if line is not None else torch  # a series may be named as a torch
    return Offer(
        adapter=adapter,
        torch=torch,
        cann=place.cann if place is not None else None,
        python=python,
        arch=wheel.arch or "",
        how=how,
        line=line,
        wheel=wheel,
        other=other,
        source=place.source if place is not None else None,
        glibc=_dotted(wheel.glibc),
        series=series,
        phase=about.phase(series),
        reason=reason,
        release=about.release(line, wheel.day),
    )


def _had(wheel: Wheel, python: str) -> tuple[How, Words | None]:
    """Whether installers take a wheel for this Python, and why not."""
    if wheel.yanked:
        return "yanked", same(wheel.yanked) if isinstance(wheel.yanked, str) else say("no reason")
    if not wheel.allows(python):
        return "record", say("requires python", asked=wheel.requires_python or "", python=python)
    return "index", None


def _each(wheels: Iterable[Wheel]) -> Iterator[tuple[str, Wheel]]:
    """Every wheel with each Python that it serves; of one file in two records, that of the public index.

    Two files of a version may serve one Python: both are offered, for on a day or with a C library one of
    them alone may be there.
    """
    found: dict[str, Wheel] = {}
    for wheel in wheels:
        other = found.get(wheel.file)
        if wheel.arch is not None and (other is None or _rank(wheel) > _rank(other)):
            found[wheel.file] = wheel
    for wheel in found.values():
        for python in wheel.pythons:
            yield python, wheel


def _rank(wheel: Wheel) -> tuple[bool, bool]:
    return not wheel.yanked, wheel.source in ("", "index")


@lru_cache
def _dotted(glibc: tuple[int, int] | None) -> str | None:
    return None if glibc is None else f"{glibc[0]}.{glibc[1]}"


# ---------------------------------------------------------------------------------------------- of the rows
def _rows(about: _About) -> Iterator[Offer]:
    """The cells of the rows that the catalogue does not have."""
    for line in about.matrix.lines:
        have = {
            (python, wheel.arch) for wheel in about.catalogue.of(line.adapter) for python in wheel.pythons
        }
        cells = [(cell.python, cell.arch, _promised(cell)) for cell in line.cells()]
        if not line.buildable and not cells:  # no document names its Pythons; the row is known all the same
            cells = [("", "", None)]
        lacking = [cell for cell in cells if cell[:2] not in have]
        if not lacking:
            continue
        how, reason = _how(line, bool(about.catalogue))
        proven = line.torch.proven if how == "build" else ()
        for python, arch, glibc in lacking:
            offer = Offer(
                adapter=line.adapter, torch=line.torch.version, cann=line.cann, python=python, arch=arch,
                how=how, line=line, source=line.source, glibc=glibc,
                series=line.series,
                phase=about.phase(line.series), reason=reason, release=about.release(line, None),
                released=about.day(line),
            )  # fmt: skip
            yield from _with_each_torch(offer, proven)


def _how(line: Line, known: bool) -> tuple[How, Words | None]:
    """How a row's wheel is had, and why not; `known` where a catalogue says what the index has."""
    reason = told(line.reason, line.zh) if line.reason is not None else None
    if line.download is not None:
        return "download", reason
    if line.on_index and not known:
        return "index", reason
    if line.buildable:
        return "build", reason
    if line.on_index:
        return "record", say("index lacks")
    return "record", reason


def _promised(cell: Cell) -> str | None:
    """The C library of the policy that a wheel of this cell is held to."""
    policy = cell.line.torch.policies.get(cell.arch)  # type: ignore[call-overload]
    return ".".join(policy.split("_")[1:3]) if policy else None


# ---------------------------------------------------------------------------------------------- what is best
class Preference:
    """How good an offer is, greater is better; among equals aarch64, on which most NPU hosts run."""

    def __init__(self) -> None:
        self._of_version: dict[tuple[str, str], tuple[Version, Version]] = {}

    def of(self, offer: Offer) -> tuple[Any, ...]:
        """The sort key of an offer."""
        before, after = self.around(offer)
        stage = offer.phase.stage if offer.phase is not None else ""
        return (*before, SUPPORTED.index(stage) + 1 if stage in SUPPORTED else 0, *after)

    def around(self, offer: Offer) -> tuple[tuple[bool, ...], tuple[Any, ...]]:
        """The same on any day: what counts more than the stage of its series, and what counts less."""
        name = offer.torch, offer.adapter
        known = self._of_version.get(name)
        if known is None:
            known = self._of_version[name] = version(offer.torch), version(offer.adapter)
        (torch, adapter), line = known, offer.line
        before = (
            line is None or line.kind == "published",
            offer.own or not adapter.is_prerelease,
            offer.cann is not None,
        )
        after = (
            offer.built_for is None,
            torch,
            offer.own,
            adapter,
            python_key(offer.python) if offer.python else (),
            offer.arch == "aarch64",
            # of two wheels of one version for one cell: the public index's, then the later upload
            not offer.released_here,
            (offer.wheel.uploaded if offer.wheel is not None else None) or "",
        )
        return before, after
