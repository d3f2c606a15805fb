"""The window of an extension: the versions in which it runs, as far as they are recorded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from wheelmill.matrix.versions import specifiers
from wheelmill.prove.abi.kept import Shelf
from wheelmill.prove.abi.model import AbiError, Extension, Judgement, Record
from wheelmill.prove.abi.obstacles import Case, accepted, cautions, obstacles, with_cuda


@dataclass(frozen=True)
class Window:
    """What was judged of one package: `judgements` oldest version first; `built` is the version that the
    extension was compiled for, as far as its metadata or its needs tell."""

    package: str
    requires: str | None  # the specifier of the metadata; None where they do not name the package
    judgements: tuple[Judgement, ...]
    built: str | None

    @property
    def runs(self) -> tuple[str, ...]:
        """The versions in which it runs."""
        return tuple(one.origin.version for one in self.judgements if one.runs)

    @property
    def overstated(self) -> tuple[str, ...]:
        """Recorded versions that the metadata allow and in which it does not run."""
        if self.requires is None:
            return ()
        try:
            allowed = specifiers(self.requires)
        except ValueError:
            return ()
        return tuple(
            one.origin.version
            for one in self.judgements
            if not one.runs and allowed.contains(one.origin.version, prereleases=True)
        )

    @property
    def specifier(self) -> str:
        """The widest proven requirement around `built`, else the newest: `>=2.13,<2.15`; "" for none."""
        return specifier(self.judgements, self.built)


def specifier(judgements: Sequence[Judgement], around: str | None) -> str:
    """The run of versions without a gap around a version, as a requirement of it."""
    good = [place for place, one in enumerate(judgements) if one.runs]
    if not good:
        return ""
    start = next((place for place in good if judgements[place].origin.version == around), good[-1])
    first = last = start
    while first - 1 in good:
        first -= 1
    while last + 1 in good:
        last += 1
    low = judgements[first].origin.release
    below = judgements[first - 1].origin.release if first else None
    alone = below is None or (below.major, below.minor) != (low.major, low.minor)
    bound = f">={low.major}.{low.minor}" if alone and low.micro == 0 else f">={low}"
    high = judgements[last].origin.release
    above = judgements[last + 1].origin.release if last + 1 < len(judgements) else None
    if above is not None and (above.major, above.minor) == (high.major, high.minor):
        return f"{bound},<{above}"
    return f"{bound},<{high.major}.{high.minor + 1}"


def beside(judgements: Sequence[Judgement]) -> tuple[Judgement, ...]:
    """Those of the versions next before and after the ones in which it runs; all where it runs in none."""
    good = [place for place, one in enumerate(judgements) if one.runs]
    if not good:
        return tuple(judgements)
    places = (good[0] - 1, good[-1] + 1)
    return tuple(judgements[place] for place in places if 0 <= place < len(judgements))


def judge(extension: Extension, shelf: Shelf) -> tuple[Window, ...]:
    """The windows of torch and of each other recorded package that it uses.

    Raises AbiError where nothing is recorded for its architecture.
    """
    windows = [_window("torch", extension, shelf)]
    from wheelmill.prove.abi.interface import owned
    from wheelmill.prove.abi.recorded import RECORDED

    for package in list(RECORDED)[1:]:
        linked = set(RECORDED[package].libraries) & set(extension.libraries)
        if linked or any(owned(package, symbol) for symbol in extension.symbols):
            windows.append(_window(package, extension, shelf))
    return tuple(windows)


def _window(package: str, extension: Extension, shelf: Shelf) -> Window:
    origins = shelf.of(package, extension.arch)
    if not origins:
        if package != "torch":
            return Window(package, extension.requires.get(package), (), None)
        raise AbiError(
            f"no {package} is recorded for {extension.arch}, so nothing can be said of {extension.wheel}",
            hint="Record one from its wheel: wheelmill abi record WHEEL",
        )
    wanted = extension.symbols.union(*(one.symbols for one in extension.parts.values()))
    records = shelf.restricted(origins, wanted)
    signatures = changed_signatures(records)
    requires = extension.requires.get(package)
    elsewhere = wanted if extension.unrecorded else frozenset()
    elsewhere = elsewhere.difference(*(record.interface.symbols for record in records))
    cases = [
        Case(extension.within(of.origin), of, None, signatures, elsewhere, partial(shelf.like, of.origin))
        for of in records
    ]
    built = _built(requires, records, (not obstacles(case) for case in cases))
    known = (replace(one, built=built if extension.always else _first(one.record, records)) for one in cases)
    judgements = tuple(
        Judgement(one.record.origin, obstacles(one), cautions(one), with_cuda(one)) for one in known
    )
    return Window(package, requires, judgements, built.origin.version if built else None)


def _first(record: Record, records: Sequence[Record]) -> Record:
    """What a file for one torch alone is compiled for: the oldest of the same X.Y."""
    of = record.origin.release
    return next(one for one in records if one.origin.release.release[:2] == of.release[:2])


def changed_signatures(records: Sequence[Record]) -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Operator -> C++ signature -> the versions with it, for operators that have had more than one.

    To name a size symbolically, as PyTorch came to do, changes nothing for a kernel of plain ones.
    """
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        for name, text in record.interface.operators.items():
            found[name][text].append(record.origin.version)
    return {name: variants for name, variants in found.items() if _differ(variants)}


def _differ(signatures: Iterable[str]) -> bool:
    """Whether there is no kernel that fits all."""
    return not frozenset.intersection(*map(accepted, signatures))


def _built(requires: str | None, records: Sequence[Record], fits: Iterable[bool]) -> Record | None:
    """The version that it was compiled for, as far as can be told: that which its metadata pin, else their
    lowest, else the oldest that fits. `fits` tells it of each, and is asked for nothing else."""
    try:
        allowed = specifiers(requires or "")
    except ValueError:
        allowed = SpecifierSet()
    named = {spec.operator: spec.version.partition("+")[0] for spec in allowed}
    for operator in ("===", "==", "~=", ">="):
        wanted = named.get(operator, "").removesuffix(".*")
        found = [record for record in records if wanted and record.origin.release == Version(wanted)]
        if found:
            return found[0]
    return next((record for record, fit in zip(records, fits, strict=True) if fit), None)
