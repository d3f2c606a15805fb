"""Which roots an index has and which wheels each of them shows: pure, one project at a time.

```
simple/                        every wheel
release/simple/                final releases
pre-release/simple/            release candidates and development versions
line/<branch>/simple/          the wheels of one release line
<sdk>-<version>/simple/        the wheels built for one version of the SDK
<sdk>-<version>/<chip>/simple/ a view: what fits a machine with this SDK and chip, and nothing else
```
The SDK is the one that lines of the matrix have a version of. A view shows projects that have wheels for one.
The simulator's have those of the lines that it was released with, so it stands in each view beside the
adapters that it fits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from wheelmill.matrix.own import own_packages
from wheelmill.matrix.versions import cann_key
from wheelmill.publish.index.records import WheelRecord

Stage = Literal["active", "archived", "deprecated", "quarantined"]

MERGED = ""
RELEASE = "release"
PRE_RELEASE = "pre-release"


@dataclass(frozen=True)
class Status:
    """A project's status (PEP 792) on the pages of one root, and why."""

    status: Stage = "active"
    reason: str | None = None


ACTIVE = Status()


@dataclass(frozen=True)
class View:
    """The machine that a view is for.

    `chips` are the names of its chip in addresses, `canns` the SDKs whose wheels run on it, the best first.
    Lines in `unaware` are of an adapter that does not know the chip. `made_for` has the SDK of each line: of
    a wheel that several lines share, only those count that know the chip.
    """

    cann: str
    chips: tuple[str, ...]
    canns: tuple[str, ...]
    unaware: frozenset[str] = frozenset()
    made_for: Mapping[str, str] = field(default_factory=dict)

    @property
    def paths(self) -> tuple[str, ...]:
        """The roots that show it: `cann-9.0.0/910b` and `cann-9.0.0/a2`, and `cann-9.0/...` for short."""
        return tuple(f"{root}/{chip}" for root in cann_roots(self.cann) for chip in self.chips)

    def of(self, records: Iterable[WheelRecord]) -> Iterator[WheelRecord]:
        """The wheels of one project that fit, in the order given: for each torch, Python and architecture
        those of the best SDK that has any.

        A torch is a base version (2.1.0 of 2.1.0.post3). A wheel for no SDK in particular always fits; a
        yanked one counts only where there is no other.
        """
        rank = {cann_key(cann): place for place, cann in enumerate(self.canns)}
        places: dict[str, int] = {}
        best: dict[tuple[str, ...], tuple[bool, int]] = {}
        kept = [r for r in records if not r.lines or not self.unaware.issuperset(r.lines)]
        for record in kept:
            fitting = [rank[key] for key in map(cann_key, self._canns(record)) if key in rank]
            if fitting:
                places[record.filename] = place = min(fitting)
                found = (record.yanked is not None, place)
                best[_cell(record)] = min(found, best.get(_cell(record), found))
        for record in kept:
            if not record.canns or best.get(_cell(record), (False, -1))[1] == places.get(record.filename):
                yield record

    def _canns(self, record: WheelRecord) -> Iterable[str]:
        """The SDKs of a wheel, of lines that know the chip."""
        if not self.made_for.keys() >= set(record.lines) or not record.lines:
            return record.canns
        return [self.made_for[line] for line in record.lines if line not in self.unaware]


def _cell(record: WheelRecord) -> tuple[str, ...]:
    """What a wheel is for beside its SDK: torch, Python, ABI, architecture."""
    *_, python, abi, platform = record.filename.removesuffix(".whl").split("-")
    arch = next((arch for arch in ("x86_64", "aarch64") if platform.endswith(arch)), platform)
    return record.version.base_version, python, abi, arch


@dataclass(frozen=True)
class Layout:
    """What the pages depend on beside the wheels: the status of lines by branch, the views, the address.

    `address` is where readers find the index, with a slash at its end; None where nobody has said it.
    """

    statuses: Mapping[str, Status] = field(default_factory=dict)
    views: tuple[View, ...] = ()
    address: str | None = None

    @property
    def digest(self) -> str:
        """Changes when pages of untouched projects may have to change."""
        views = [
            (view.cann, view.chips, view.canns, sorted(view.unaware), sorted(view.made_for.items()))
            for view in self.views
        ]
        at = () if self.address is None else (self.address,)
        said = repr((sorted(self.statuses.items(), key=lambda item: item[0]), views, *at))
        return hashlib.sha256(said.encode()).hexdigest()

    def roots(self, records: Sequence[WheelRecord]) -> dict[str, list[WheelRecord]]:
        """Root -> the wheels of one project that it shows; roots without any are left out."""
        shown: dict[str, list[WheelRecord]] = {MERGED: list(records)}
        for record in records:
            for root in _roots_of(record) if record.lines or record.canns else ():
                shown.setdefault(root, []).append(record)
        with_cann = any(record.canns for record in records)
        for view in self.views:
            if with_cann and (kept := list(view.of(records))):
                shown.update(dict.fromkeys(view.paths, kept))
        return shown

    def status(self, root: str) -> Status:
        """The status of a project on the pages of this root."""
        return self.statuses.get(root.removeprefix("line/"), ACTIVE) if root.startswith("line/") else ACTIVE


PLAIN = Layout()


def cann_roots(cann: str) -> tuple[str, ...]:
    """`8.0.RC3` -> `cann-8.0.rc3`; `9.0.0` -> `cann-9.0.0`, and `cann-9.0` for short."""
    name = f"{own_packages().sdk}-{cann}".lower()
    return (name, name[:-2]) if name.count(".") == 2 and name.endswith(".0") else (name,)


def _roots_of(record: WheelRecord) -> Iterator[str]:
    if record.lines:
        yield PRE_RELEASE if record.version.is_prerelease else RELEASE
    yield from (f"line/{line}" for line in record.lines)
    for cann in record.canns:
        yield from cann_roots(cann)
