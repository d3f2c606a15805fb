"""Hold the matrix against the catalogue, both ways: what is promised and missing, what exists undeclared.

An error is to be mended here, in the matrix. A note is a fault of the published wheels, which only their
maintainers can mend; whoever picks a wheel should know it. `data["about"]` of a finding is the branch or the
adapter version.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from wheelmill.catalogue.model import Catalogue, Record, Wheel, glibc_of
from wheelmill.catalogue.windows import judged_wheels
from wheelmill.errors import Finding
from wheelmill.matrix.model import Line, Matrix
from wheelmill.matrix.rules.frame import Rule, rule, rules_of
from wheelmill.matrix.versions import base_version, python_key, version

_WINDOWS = "judge what is new: wheelmill catalogue windows"


@dataclass(frozen=True)
class Subject:
    """What the rules look at: the matrix, and the wheels of the public index."""

    matrix: Matrix
    catalogue: Catalogue

    @cached_property
    def record(self) -> Record | None:
        """The record of the source `index`."""
        return self.catalogue.record("index")

    @cached_property
    def published(self) -> dict[str, tuple[Wheel, ...]]:
        """The wheels of the source `index` by adapter version, newest version first."""
        return Catalogue((self.record,)).versions if self.record is not None else {}

    @cached_property
    def lines(self) -> dict[str, Line]:
        """The rows that say that the index has their wheels, by canonical adapter version."""
        return {str(version(line.adapter)): line for line in self.matrix.lines if line.on_index}

    def wheels(self, line: Line) -> tuple[Wheel, ...]:
        """The published wheels of a row."""
        return self.published.get(str(version(line.adapter)), ())


def check(matrix: Matrix, catalogue: Catalogue) -> tuple[Finding, ...]:
    """All findings, errors first, each kind in the order of the versions."""
    subject = Subject(matrix, catalogue)
    found = [finding for rule in _rules() for finding in rule.apply(subject)]
    return tuple(sorted(found, key=lambda finding: finding.severity != "error"))


def titles() -> dict[str, str]:
    """Rule name -> what it asks for."""
    return {rule.name: rule.title for rule in _rules()}


def _rules() -> tuple[Rule[Subject], ...]:
    """Every rule of this module, in the order of its text."""
    return tuple(rules_of(sys.modules[__name__]))


def _error(subject: Subject, about: str, message: str, hint: str, line: int = 0) -> Finding:
    """What the matrix has to mend: at a line of it where a row is there."""
    path = str(subject.matrix.path)
    return Finding("", "error", path, f"{about}: {message}", hint, line, {"about": about})


# ------------------------------------------------------------------------------- what the matrix has to mend
@rule()
def promised_but_missing(subject: Subject) -> Iterator[Finding]:
    """Every cell that a row promises on the index is there"""
    for line in subject.lines.values():
        have = {(python, wheel.arch) for wheel in subject.wheels(line) for python in wheel.pythons}
        missing = [cell.name for cell in line.cells() if (cell.python, cell.arch) not in have]
        if missing:
            what = "none of its wheels" if not have else f"no wheel for {', '.join(missing)}"
            yield _error(
                subject, line.branch, f"the index has {what} of {line.adapter}",
                "correct pythons: or arches: of the row, or remove on_index:", line.at.of("pythons"),
            )  # fmt: skip


@rule()
def exists_but_undeclared(subject: Subject) -> Iterator[Finding]:
    """Every version on the index stands in the matrix, with every Python that it has"""
    others = {str(version(other.adapter)) for other in subject.matrix.document.other_versions}
    for adapter, wheels in subject.published.items():
        line = subject.lines.get(adapter)
        if line is not None:
            more = sorted(_pythons(wheels) - set(line.pythons), key=python_key)
            if more:
                yield _error(
                    subject, line.branch, f"the index has {adapter} for Python {', '.join(more)} too",
                    "add it to the row", line.at.of("pythons"),
                )  # fmt: skip
        elif adapter not in others:
            named = next((one for one in subject.matrix.lines if str(version(one.adapter)) == adapter), None)
            about = f"row {named.branch} says that it is not" if named else "no row has it"
            yield _error(
                subject, adapter, f"on the index ({_span(wheels)}), and {about}",
                "set on_index: true there" if named else "wheelmill catalogue propose writes its row",
                named.at.line if named else 0,
            )  # fmt: skip


@rule()
def one_version_two_branches(subject: Subject) -> Iterator[Finding]:
    """An adapter version belongs to one branch, held true and as printed"""
    branches: dict[str, list[str]] = {}
    for line in subject.matrix.lines:
        printed = line.published.adapter if line.published is not None else None
        for adapter in {line.adapter, printed or line.adapter}:
            try:
                branches.setdefault(str(version(adapter)), []).append(line.branch)
            except ValueError:
                continue
    for other in subject.matrix.document.other_versions:
        if other.branch is not None:
            branches.setdefault(str(version(other.adapter)), []).append(other.branch)
    for adapter, named in branches.items():
        if len(set(named)) > 1:
            yield _error(
                subject, adapter, f"stands for {' and '.join(sorted(set(named)))}",
                "keep the branch whose sources have this version",
            )  # fmt: skip


@rule()
def window_of_each_version(subject: Subject) -> Iterator[Finding]:
    """Where windows are kept, each version has that of the wheel that stands for it, and of its bytes"""
    if subject.record is None or not subject.record.windows:
        return
    known = {one.file: one for one in subject.record.windows}
    for wheel in judged_wheels(subject.record):
        found = known.pop(wheel.file, None)
        if found is None:
            message = f"it is not known in which torches {wheel.file} runs"
            yield _error(subject, wheel.version, message, _WINDOWS)
        elif found.sha256 != wheel.sha256:
            message = f"{wheel.file} had other bytes ({found.sha256[:12]}...) when its window was made"
            yield _error(subject, wheel.version, message, _WINDOWS)
    for found in known.values():
        message = f"the window of {found.file} stands for no version of the record"
        yield _error(subject, found.version, message, _WINDOWS)


# --------------------------------------------------------------------------- what the publishers have to mend
@rule()
def window_has_its_torch(subject: Subject) -> Iterator[Finding]:
    """A wheel runs in the torch that its version names"""
    for found in subject.record.windows if subject.record is not None else ():
        torch = base_version(found.version)
        if torch is not None and torch not in found.runs:
            runs = f"only in torch {', '.join(found.runs)}" if found.runs else "and in no other"
            why = next((one.partition(": ")[2] for one in found.stops if one.startswith(f"{torch}: ")), "")
            message = f"{found.file} does not run in torch {torch} by its symbols, {runs}"
            yield _note(
                found.version, f"{message}: {why}" if why else message, f"build it with torch {torch}"
            )


@rule()
def half_uploaded(subject: Subject) -> Iterator[Finding]:
    """A version has the same Pythons on every architecture, and none that its neighbors had is gone"""
    by_torch: dict[str, list[str]] = {}
    for adapter in sorted(subject.published, key=version):
        if not version(adapter).is_prerelease:
            by_torch.setdefault(base_version(adapter) or adapter, []).append(adapter)
    for adapter, wheels in subject.published.items():
        arches = {wheel.arch for wheel in wheels if wheel.arch}
        by_arch = {arch: _pythons(one for one in wheels if one.arch == arch) for arch in sorted(arches)}
        everything = set().union(*by_arch.values())
        lacking = [
            f"{python}-{arch}"
            for arch, has in by_arch.items()
            for python in sorted(everything - has, key=python_key)
        ]
        if lacking:
            yield _note(adapter, f"there is no wheel for {', '.join(lacking)}", "upload it")
    for adapters in by_torch.values():
        for before, after in pairwise(adapters):
            lost = _pythons(subject.published[before]) - _pythons(subject.published[after])
            if lost:
                named = ", ".join(sorted(lost, key=python_key))
                yield _note(after, f"{before} has Python {named}, this has not", "upload it")


@rule()
def requirement_pip_cannot_solve(subject: Subject) -> Iterator[Finding]:
    """What a wheel requires of torch can be had from the index that has the wheel"""
    asking: dict[tuple[str, str], dict[str, None]] = {}
    for adapter, wheels in subject.published.items():
        for wheel in wheels:
            if (pin := wheel.torch_pin()) is not None and "+" in pin:
                asking.setdefault((pin, wheel.arch or "?"), {})[adapter] = None
    for (pin, arch), adapters in asking.items():
        message = f"the {arch} wheels require torch{pin}, a build that no public index has"
        yield _note(", ".join(adapters), message, "require it without +cpu")


@rule()
def requires_its_torch(subject: Subject) -> Iterator[Finding]:
    """A wheel requires the torch that its own version names"""
    for adapter, wheels in subject.published.items():
        base = base_version(adapter)
        for pin in sorted({pin for wheel in wheels if (pin := wheel.torch_pin()) is not None}):
            named = base_version(re.sub(r"^[=~<>!]+", "", pin))
            if named != base:
                yield _note(adapter, f"it requires torch{pin}", f"require torch {base}")
        silent = [wheel for wheel in wheels if wheel.requires is not None and wheel.torch_pin() is None]
        if silent:
            message = f"{len(silent)} of {len(wheels)} wheels require no torch at all"
            yield _note(adapter, message, f"require torch {base}")


@rule()
def python_bound(subject: Subject) -> Iterator[Finding]:
    """A wheel says which Pythons it is for, so that installers can say why there is none"""
    every = [wheel for wheels in subject.published.values() for wheel in wheels]
    silent = [wheel for wheel in every if wheel.requires_python == ""]
    if silent:
        message = f"{len(silent)} of {len(every)} wheels have no Requires-Python"
        yield _note("the index", message, "set requires-python")


@rule()
def two_wheels_for_one_cell(subject: Subject) -> Iterator[Finding]:
    """No two wheels of a version serve the same Python and architecture"""
    for adapter, wheels in subject.published.items():
        cells: dict[tuple[str, str | None], list[Wheel]] = {}
        for wheel in wheels:
            for python in wheel.pythons:
                cells.setdefault((python, wheel.arch), []).append(wheel)
        for (python, arch), same in cells.items():
            if len(same) > 1:
                taken = max(same, key=lambda one: max(glibc_of(p) or (0, 0) for p in one.platforms))
                named = ", ".join(f"{one.parts[4]} of {one.day}" for one in same)
                message = f"two wheels for Python {python} on {arch} ({named}); pip takes {taken.parts[4]}"
                yield _note(adapter, message, "yank the one that is not meant")


@rule()
def tag_below_symbols(subject: Subject) -> Iterator[Finding]:
    """The platform tag of an audited wheel is not older than its symbols"""
    for adapter, wheels in subject.published.items():
        for wheel in wheels:
            if wheel.audited is not None and wheel.audited.verdict == "tag too old":
                found = wheel.audited
                message = f"{wheel.file} needs {found.platform} (audited on {found.day})"
                yield _note(adapter, message, "build it on an older system, or tag it so")


@rule()
def printed_python_has_a_wheel(subject: Subject) -> Iterator[Finding]:
    """A Python that a published table names for a torch has a wheel"""
    for table in subject.matrix.document.python_support:
        for line in subject.lines.values():
            if (line.source, line.torch.version) != (table.source, table.torch):
                continue
            lacking = [one for one in table.pythons if one not in _pythons(subject.wheels(line))]
            if lacking and subject.wheels(line):
                since = [_since(subject, table.torch, python) for python in lacking]
                message = f"the {table.source} table names Python {', '.join(lacking)}; {'; '.join(since)}"
                yield _note(line.adapter, message, "correct the table")


@rule()
def yanked(subject: Subject) -> Iterator[Finding]:
    """A row's wheels are not yanked"""
    for line in subject.lines.values():
        gone = [wheel for wheel in subject.wheels(line) if wheel.yanked]
        if gone:
            reason = gone[0].yanked if isinstance(gone[0].yanked, str) else "no reason is given"
            message = f"{len(gone)} wheels of {line.adapter} are yanked: {reason}"
            hint = "remove on_index:, or name another version"
            yield _error(subject, line.branch, message, hint, line.at.line)


def _since(subject: Subject, torch: str, python: str) -> str:
    have = [
        adapter for adapter, wheels in subject.published.items()
        if base_version(adapter) == torch and python in _pythons(wheels)
    ]  # fmt: skip
    if not have:
        return f"no wheel for torch {torch} has {python}"
    return f"{python} came with {min(have, key=version)}"


def _note(about: str, message: str, hint: str) -> Finding:
    """What only the publisher can mend: of no file here."""
    return Finding("", "note", "", f"{about}: {message}", f"of the publisher: {hint}", data={"about": about})


def _pythons(wheels: Iterable[Wheel]) -> set[str]:
    return {python for wheel in wheels for python in wheel.pythons}


def _span(wheels: Iterable[Wheel]) -> str:
    wheels = list(wheels)
    days = sorted(wheel.day for wheel in wheels if wheel.day)
    when = f", since {days[0]}" if days else ""
    return f"{len(wheels)} wheels for Python {', '.join(sorted(_pythons(wheels), key=python_key))}{when}"
