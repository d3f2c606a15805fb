"""Which wheel of a described project fits: over the project's own axes, by the record of its releases.

The record says which files were published, with their hashes. What a file is for beside its Python and its
architecture is read back from the patterns of the project file: `local = "torch{torch}"` finds torch 2.13.0
in `1.0+torch2.13.0`. Cells that no release has yet are offered as they were built here, or as builds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from packaging.utils import canonicalize_name
from packaging.version import Version

from wheelmill.catalogue.model import Catalogue, Wheel
from wheelmill.console import Expanded, shell_line
from wheelmill.describe import Described
from wheelmill.describe.version import VersionError, version_of
from wheelmill.matrix.versions import arch_name, glibc_key, python_key, python_name, version
from wheelmill.pick.commands import own_index
from wheelmill.pick.model import LABELS, Axis, SaidError, Words
from wheelmill.pick.rack import (
    AxisKind,
    Rack,
    ascending,
    at_most,
    by_spelling,
    near,
    same_release_first,
    smallest,
)
from wheelmill.pick.request import unreadable
from wheelmill.pick.words import listed, say

OTHERS = 4  # further wheels that an answer names
ALTERNATIVES = 6
# What it costs a user to change an axis, as for the adapter; an axis of the project's own is like a torch.
_COSTS = {"version": 1, "line": 1, "python": 4, "glibc": 40, "arch": 80, "cann": 20, "soc": 80, "chip": 80}
_COST = 4
# What a machine has, the hardest to change first.
_SOFT = ("arch", "glibc", "python")
_IN_CHINESE = {
    "version": "版本",
    "line": "版本线",
    "python": "Python",
    "arch": "架构",
    "cann": LABELS["cann"],
    "chip": "芯片",
}
_FIELD = re.compile(r"\{(\w+)\}")

How = Literal["index", "local", "build"]

# Axes whose values are read as those of another one are.
_LIKE: Mapping[str, Axis] = {"python": "python", "arch": "arch", "glibc": "glibc", "version": "adapter"}


class PackagePickError(SaidError):
    """An axis or value that cannot be asked for."""


@dataclass(frozen=True)
class PackageOffer:
    """A wheel that can be had (`index`), one that was built here (`local`), or a cell that can be built.

    `values` has one value of each axis; an axis that the wheel does not tell is left out. `glibc` is the
    oldest that its tag admits, as `2.28`.
    """

    version: str
    values: Mapping[str, str]
    how: How
    line: str | None = None
    wheel: Wheel | None = None
    glibc: str | None = None

    @property
    def key(self) -> str:
        """`1.0/2.13.0/3.11/x86_64`"""
        return "/".join((self.version, *self.values.values()))


@dataclass(frozen=True)
class Answer:
    """What fits best and how to install it; or every conflict and the nearest that fit.

    `met` are the preferences (of this machine) that the offer meets.
    """

    package: str
    asked: Mapping[str, str]
    offer: PackageOffer | None = None
    met: Mapping[str, str] = field(default_factory=dict)
    others: tuple[PackageOffer, ...] = ()
    commands: tuple[str, ...] = ()
    conflicts: tuple[Mapping[str, Words], ...] = ()  # axis -> why it blocks
    near: tuple[tuple[PackageOffer, Mapping[str, str]], ...] = ()


# ---------------------------------------------------------------------------------------------- what there is
def rack(described: Described, catalogue: Catalogue, built: Iterable[Wheel] = ()) -> Rack[PackageOffer]:
    """Everything that can be had: the newest release first, then newest SDKs, newest Python.

    `built` are wheels of this project that lie on this machine.
    """
    found = [*_offers(described, catalogue, "index")]
    have = [one.values for one in found]
    found += [one for one in _built(described, built) if one.values not in have]
    have = [one.values for one in found]
    found += [
        PackageOffer("", dict(cell.values), "build", cell.line)
        for cell in described.cells
        if cell.values not in have
    ]
    found.sort(key=lambda one: _goodness(one, described.project.axes), reverse=True)
    return Rack(_axes(described), found)


def _goodness(offer: PackageOffer, axes: Sequence[str]) -> tuple[Any, ...]:
    """Published before built, final before pre-release, then the newest of everything."""
    known = Version(offer.version) if offer.version else None
    values = tuple(_order(axis)(offer.values.get(axis, "0")) for axis in axes if axis != "arch")
    public = known is not None and not known.is_prerelease
    had = ("build", "local", "index").index(offer.how)
    return had, public, (known and Version(known.public)) or Version("0"), values


def _axes(described: Described) -> dict[str, AxisKind[PackageOffer]]:
    kinds: dict[str, AxisKind[PackageOffer]] = {
        "version": AxisKind(
            lambda one: one.version or None, _COSTS["version"], version, nearest=same_release_first
        ),
        "line": AxisKind(lambda one: one.line, _COSTS["line"], str.lower, nearest=by_spelling),
    }
    for axis in described.project.axes:
        kinds[axis] = AxisKind(
            _getter(axis), _COSTS.get(axis, _COST), None if axis == "arch" else _order(axis)
        )
    kinds["glibc"] = AxisKind(
        lambda one: one.glibc, _COSTS["glibc"], glibc_key, at_most(glibc_key), nearest=ascending
    )
    return kinds


def _getter(axis: str) -> Callable[[PackageOffer], str | None]:
    return lambda offer: offer.values.get(axis)


def _order(axis: str) -> Callable[[str], Any]:
    return python_key if axis == "python" else _natural


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """`2.13.0` after `2.9.1`, and `a3` after `a2`: numbers in a value compare as numbers."""
    parts = re.findall(r"\d+|[A-Za-z]+", text)
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part.lower()) for part in parts)


def _built(described: Described, wheels: Iterable[Wheel]) -> Iterator[PackageOffer]:
    """Those of cells of the project, in the version that it has now."""
    cells = [cell.values for cell in described.cells]
    for offer in _offers(described, wheels, "local"):
        assert offer.wheel is not None
        pinned = f"{described.project.package}=={offer.wheel.version}"
        if offer.values in cells and _pinned(described, offer) in (described.project.package, pinned):
            yield offer


def _offers(described: Described, wheels: Iterable[Wheel], how: How) -> Iterator[PackageOffer]:
    """One offer for each wheel and each Python of the project that it serves; yanked ones are left out."""
    project = described.project
    own = canonicalize_name(project.package)
    pythons = sorted({cell.python for cell in described.cells}, key=python_key)
    lines = {tuple(cell.values.items()): cell.line for cell in described.cells}
    for wheel in wheels:
        if canonicalize_name(wheel.parts[0]) != own or wheel.yanked:
            continue
        found = _values(described, wheel)
        glibc = None if wheel.glibc is None else ".".join(map(str, wheel.glibc))
        for python in _served(wheel, pythons):
            for arch in (wheel.arch,) if wheel.arch else sorted({cell.arch for cell in described.cells}):
                named = {**found, "python": python, "arch": arch}
                values = {axis: named[axis] for axis in project.axes if axis in named}
                line = lines.get(tuple(values.items()))
                yield PackageOffer(wheel.version.partition("+")[0], values, how, line, wheel, glibc)


def _served(wheel: Wheel, pythons: Sequence[str]) -> Sequence[str]:
    """The Pythons that a wheel is for and that its METADATA allow; of one for many, those of the project."""
    return [one for one in _tagged(wheel, pythons) if wheel.allows(one)]


def _tagged(wheel: Wheel, pythons: Sequence[str]) -> Sequence[str]:
    if wheel.pythons:
        return wheel.pythons
    _, _, tags, abi, _ = wheel.parts
    named = [int(one[3:]) for one in tags.split(".") if one.startswith("cp3") and one[3:].isdigit()]
    if named and abi == "none":
        return [one for one in pythons if python_key(one)[1] in named]
    return [one for one in pythons if python_key(one)[1] >= min(named, default=0)]


def _values(described: Described, wheel: Wheel) -> dict[str, str]:
    """What requirements and local version tell of the axes; else the one value that the project has."""
    project = described.project
    known = {axis: sorted({cell.values[axis] for cell in described.cells}) for axis in project.axes}
    required = [one.replace(" ", "") for one in wheel.requires or ()]
    patterns = [(text.replace(" ", ""), required) for text in project.wheel.requires]
    patterns.append((project.wheel.local or "", [wheel.version.partition("+")[2]]))
    found: dict[str, str] = {}
    # A pattern of one axis leaves no doubt: what it tells is known to those of several.
    for pattern, texts in sorted(patterns, key=lambda one: len(_FIELD.findall(one[0]))):
        for text in texts:
            match = re.fullmatch(_inverse(pattern, known, found), text, re.IGNORECASE)
            if match:
                found |= {axis: _spelled(value, known[axis]) for axis, value in match.groupdict().items()}
    return {axis: values[0] for axis, values in known.items() if len(values) == 1} | found


def _local(value: str) -> str:
    """As a value stands in a local version."""
    return value.replace("-", ".").lower()


def _spelled(value: str, known: Sequence[str]) -> str:
    """As the project writes it."""
    return next((one for one in known if _local(one) == _local(value)), value)


def _inverse(pattern: str, known: Mapping[str, Sequence[str]], found: Mapping[str, str]) -> str:
    """An expression that finds axes in what a pattern was filled to; the project's values come first."""
    expression, seen = "", set[str]()
    for place, part in enumerate(_FIELD.split(pattern)):
        if place % 2 == 0:
            expression += re.escape(part)
        elif part in found or part not in known:
            expression += re.escape(found.get(part, ""))
        elif part in seen:
            expression += f"(?P={part})"
        else:
            usual = "|".join(re.escape(form) for one in known[part] for form in {one, _local(one)})
            expression += f"(?P<{part}>{usual}|[A-Za-z0-9][A-Za-z0-9._+-]*)"
            seen.add(part)
    return expression


# ------------------------------------------------------------------------------------------------- the answer
def parse(described: Described, words: Mapping[str, str | None]) -> dict[str, str]:
    """Axis -> value, as the project writes them. Raises PackagePickError for an axis that it has not."""
    known = ("version", "line", *described.project.axes, "glibc")
    readers: dict[str, Callable[[str], str]] = {"python": python_name, "arch": arch_name, "version": _version}
    asked = {}
    for axis, text in words.items():
        if text is None:
            continue
        if axis not in known:
            raise PackagePickError(
                say("no axis", project=described.project.package, axis=repr(axis)),
                hint=say("its axes", axes=", ".join(known)),
            )
        try:
            asked[axis] = readers.get(axis, str.strip)(text)
            if axis == "glibc":
                glibc_key(text)
        except ValueError:
            found = unreadable(_LIKE[axis], text)
            raise PackagePickError(say("unreadable", what=axis, found=found), hint=say("hint axis")) from None
    return {axis: asked[axis] for axis in known if axis in asked}


def _version(text: str) -> str:
    return str(version(text))


def answer(
    described: Described,
    shelf: Rack[PackageOffer],
    asked: Mapping[str, str],
    prefer: Mapping[str, str],
    index: str | None = None,
) -> Answer:
    """The best offer that has every asked value, or why there is none. `index` has the releases."""
    package = described.project.package
    fitting = shelf.fitting(asked)
    if not fitting:
        masks = {axis: shelf.accepting(axis, wanted) for axis, wanted in asked.items()}
        conflicts = [
            {axis: _why(shelf, asked, axes, axis) for axis in asked if axis in axes}
            for axes in smallest(masks, shelf.all)
        ]
        close = near(shelf, asked, lambda mask: _preferred(shelf, mask, prefer, asked)[0], ALTERNATIVES)
        changes = tuple(
            (offer, {axis: shelf.value(axis, offer) or "any" for axis in asked if axis in axes})
            for offer, axes, _ in close
        )
        return Answer(package, asked, conflicts=tuple(conflicts), near=changes)
    chosen, met = _preferred(shelf, fitting, prefer, asked)
    offer = shelf.first(chosen)
    assert offer is not None
    others = tuple(shelf.distinct(chosen, "version", OTHERS + 1))[1:]
    return Answer(package, asked, offer, met, others, tuple(_commands(described, offer, index)))


def _preferred(
    shelf: Rack[PackageOffer], fitting: int, prefer: Mapping[str, str], asked: Mapping[str, str]
) -> tuple[int, dict[str, str]]:
    met: dict[str, str] = {}
    for axis in _SOFT:
        if axis in prefer and axis not in asked:
            narrowed = fitting & shelf.accepting(axis, prefer[axis])
            if narrowed:
                fitting, met[axis] = narrowed, prefer[axis]
    return fitting, met


def _why(shelf: Rack[PackageOffer], asked: Mapping[str, str], conflict: frozenset[str], axis: str) -> Words:
    """What there is on an axis, given the others of the conflict."""
    others = {one: asked[one] for one in asked if one in conflict and one != axis}
    possible = shelf.fitting(others)
    given = say("given", values=listed((named(one, wanted) for one, wanted in others.items()), " and "))
    return say(
        "is there", given=given if others else "", axis=axis_name(axis), values=_there(shelf, possible, axis)
    )


def _there(shelf: Rack[PackageOffer], possible: int, axis: str) -> Words:
    if axis == "glibc":
        return say("or newer", value=shelf.ends(possible, "glibc")[0].glibc or "")
    values = shelf.values(possible, axis)
    return listed(values) if values else say("none there")


def axis_name(axis: str) -> Words:
    """An axis as the project calls it; those that every project may have also in Chinese."""
    return {"en": axis, "zh": _IN_CHINESE.get(axis, axis)}


def named(axis: str, value: str) -> Words:
    """`torch 2.13.0`"""
    return listed((axis_name(axis), value), " ", " ")


def _pinned(described: Described, offer: PackageOffer) -> str:
    """What pip takes of all wheels that are built: this cell's, as far as the files tell its version."""
    package = described.project.package
    try:
        version_built = version_of(described)
    except VersionError:
        return package
    cell = next((one for one in described.cells if one.values == offer.values), None)
    local = None if cell is None else cell.local_version(described.project.wheel.local)
    return f"{package}=={version_built}" + (f"+{local}" if local else "")


def _commands(described: Described, offer: PackageOffer, index: str | None) -> Iterator[str]:
    package = described.project.package
    if offer.how != "index" or offer.wheel is None:
        if offer.how == "build":
            yield shell_line("wheelmill", "build", "/".join((str(offer.line), *offer.values.values())))
        where: Any = Expanded('"file://$PWD/.wheelmill/index/simple/"')
        yield shell_line("pip3", "install", "--extra-index-url", where, _pinned(described, offer))
        return
    for one in offer.wheel.requires or ():
        yield shell_line("pip3", "install", one)
    pinned = f"{package}=={offer.wheel.version}"
    hashed = f"{pinned} --hash=sha256:{offer.wheel.sha256}" if offer.wheel.sha256 else pinned
    yield f"{shell_line('printf', '%s', hashed)} > {package}.txt"
    yield shell_line("pip3", "install", "--no-deps", *own_index(index), "-r", f"{package}.txt")
