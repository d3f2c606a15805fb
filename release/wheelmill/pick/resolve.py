"""From a request to an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date

from wheelmill.catalogue.model import Catalogue
from wheelmill.matrix.addresses import view_path
from wheelmill.matrix.model import CannName, Matrix
from wheelmill.matrix.versions import cann_key, glibc_key, minor, version
from wheelmill.pick.commands import pins, steps, torch_requirement, unnamed
from wheelmill.pick.explain import alternatives, conflicts
from wheelmill.pick.model import Axis, NoFit, Offer, Pick, Request, Words
from wheelmill.pick.shelf import Shelf
from wheelmill.pick.windows import stopped
from wheelmill.pick.words import label, listed, say, told

OTHERS = 4  # further wheels that an answer names
# What a machine has, the hardest to change first: preferences give way in the reverse order.
SOFT: tuple[Axis, ...] = ("arch", "glibc", "cann", "python")


def resolve(
    matrix: Matrix,
    request: Request,
    today: date,
    catalogue: Catalogue | None = None,
    prefer: Mapping[Axis, str] | None = None,
) -> Pick | NoFit:
    """The best wheel that has every asked value on `today`, or why there is none.

    `prefer` are values that count where they can be had, such as those of this machine.
    """
    return answer(Shelf(matrix, catalogue or Catalogue(), today), request, prefer or {})


def answer(
    shelf: Shelf,
    request: Request,
    prefer: Mapping[Axis, str],
    index: str | None = None,
    script: str | None = None,
) -> Pick | NoFit:
    """The answer from a shelf that is there already.

    `index` is the address of the index that has this project's releases and their views, without `simple/`;
    `script` what loads the preferred toolkit where this machine has it.
    """
    asked_cann = request.cann
    request, notes = _translated(shelf, request)
    asked = request.asked()
    fitting = shelf.fitting(asked)
    if not fitting:
        near = alternatives(shelf, asked, lambda mask: _preferred(shelf, mask, prefer, asked)[0])
        return NoFit(request, conflicts(shelf, asked), near, (*notes, *_builds(request)))
    chosen, met = _preferred(shelf, fitting, prefer, asked)
    unmet = {axis: value for axis, value in prefer.items() if axis not in asked and axis not in met}
    offer = shelf.first(chosen)
    assert offer is not None
    others = list(shelf.distinct(chosen, "adapter", OTHERS + 1))[1:]
    if asked_cann is not None and asked_cann.count(".") == 1:
        asked_cann = request.cann  # of `8.3`, the release that it was read as
    had = asked_cann or met.get("cann")  # a patch may be loaded, of which the wheel's row says nothing
    if asked_cann is None and had is not None and (named := _cann_name(shelf.matrix, had)) is not None:
        notes = (*notes, _named(shelf.matrix, named))
    there = prefer.get("cann")
    loads_it = had is not None and there is not None and cann_key(had) == cann_key(there)
    installing = steps(shelf.matrix, offer, had, index, script if loads_it else None)
    warnings = _warnings(shelf, offer, request.glibc or met.get("glibc"))
    view = _view(shelf, request, offer)
    held = pins(shelf.matrix, offer, index)
    return Pick(
        request,
        offer,
        installing,
        warnings,
        (*notes, *_builds(request, torch_requirement(shelf.matrix, offer)[0])),
        tuple(others),
        met,
        unmet,
        view=view,
        index=index,
        pins=held,
    )


def _view(shelf: Shelf, request: Request, offer: Offer) -> str | None:
    """Where an index with views shows what fits this CANN, and this chip where one was asked."""
    if offer.cann is None:
        return None
    chip = shelf.chip(request.chip) if request.chip is not None else None
    return view_path(offer.cann, chip, shelf.matrix.document.chips)


def _translated(shelf: Shelf, request: Request) -> tuple[Request, tuple[Words, ...]]:
    """The request in the words of the rows: patches and second names of CANN become the row's CANN."""
    matrix, notes = shelf.matrix, []
    chip = shelf.chip(request.chip) if request.chip is not None else None
    if chip is not None:
        notes.append(say("chip", name=request.chip or "", family=chip.name))
    if request.system is not None:
        notes.append(_system(matrix, request.system))
    if request.cann is not None and request.cann.count(".") == 1:
        request, note = _release(shelf, request)
        notes.append(note)
    named = _cann_name(matrix, request.cann) if request.cann else None
    if named is not None:
        notes.append(_named(matrix, named))
        request = replace(request, cann=named.of)
    return request, tuple(notes)


def _named(matrix: Matrix, name: CannName) -> Words:
    return say(name.kind, name=name.name, of=name.of, title=_title(matrix, name.source))


def _system(matrix: Matrix, name: str) -> Words:
    """Which C library a system has, and which document says so; or that none does, and why it is taken."""
    system = next(one for one in matrix.document.systems if one.title == name)
    if system.source is None:
        reason = told(system.reason or "", system.zh)
        return say("assumed system", name=name, glibc=system.glibc, reason=reason)
    return say("system", name=name, glibc=system.glibc, title=_title(matrix, system.source))


def _title(matrix: Matrix, source: str) -> Words:
    return next(told(one.title, one.zh) for one in matrix.document.sources if one.name == source)


def _release(shelf: Shelf, request: Request) -> tuple[Request, Words]:
    """The request for a CANN of which only `8.3` is told: its first final release, else the newest that is
    known."""
    asked = request.cann or ""
    known = [one for one in shelf.values(shelf.all, "cann") if minor(one) == asked]
    final = f"{asked}.0"
    taken = final if final in known or not known else known[-1]
    others = [one for one in known if one != taken]
    note = say("read as one" if others else "read as", name=asked, of=taken, others=listed(others))
    return replace(request, cann=taken), note


def _builds(request: Request, installed: str | None = None) -> Iterator[Words]:
    """Which builds were asked for and are not had, as rows and wheels know releases only.

    `installed` is the requirement of torch that the commands have.
    """
    for axis, written in request.written.items():
        values = {"axis": label(axis), "written": written, "of": getattr(request, axis)}
        if axis != "torch" or installed is None:
            yield say("build", **values)
        elif installed != f"torch=={written}":
            yield say("build of torch", **values, installed=installed)


def _cann_name(matrix: Matrix, asked: str) -> CannName | None:
    key = cann_key(asked)
    return next((one for one in matrix.document.cann_names if cann_key(one.name) == key), None)


def _preferred(
    shelf: Shelf, fitting: int, prefer: Mapping[Axis, str], asked: Mapping[Axis, str]
) -> tuple[int, dict[Axis, str]]:
    """The fitting offers that meet the preferences as far as that goes, and the preferences so met."""
    met: dict[Axis, str] = {}
    for axis in SOFT:
        if axis not in prefer or axis in asked:
            continue
        wanted = prefer[axis]
        if axis == "cann" and (named := _cann_name(shelf.matrix, wanted)) is not None:
            wanted = named.of
        narrowed = fitting & shelf.accepting(axis, wanted)
        if narrowed:
            fitting, met[axis] = narrowed, prefer[axis]
        elif axis == "cann":  # nobody is sent up where his own release or a lower one has a wheel
            fitting = next(shelf.nearest(fitting, axis, wanted), fitting)
    return fitting, met


# ------------------------------------------------------------------------------------------- what to know
def _warnings(shelf: Shelf, offer: Offer, glibc: str | None) -> tuple[Words, ...]:
    return (
        *_life(shelf, offer, glibc),
        *_origin(shelf, offer),
        *_printed(offer),
        *_audited(offer),
        *([one] if (one := stopped(offer)) is not None else []),
        *_asking(offer),
        *_unrecorded(offer),
    )


def _life(shelf: Shelf, offer: Offer, glibc: str | None) -> list[Words]:
    phase = offer.phase
    name = say("line", name=offer.branch) if offer.branch else f"torch_npu {offer.adapter}"
    found = []
    if phase is not None and phase.stage in ("unmaintained", "eol"):
        since = say("since", day=str(phase.since)) if phase.since else ""
        wheel = _maintained(shelf, offer, glibc)
        advice = say("successor", python=offer.python, arch=offer.arch, wheel=wheel) if wheel else ""
        found.append(say("eol" if phase.ended else "unmaintained", name=name, since=since, advice=advice))
    if offer.line is not None and offer.line.kind == "development" and offer.how == "build":
        found.append(say("development", name=name))
    return found


def _maintained(shelf: Shelf, offer: Offer, glibc: str | None) -> Words | None:
    """A published wheel for the same Python, arch and C library that still gets fixes.

    One for the same CANN or the nearest lower one; where there is none, the newest, as CANN changes anyway.
    If the C library is not known, what it has to be is told.
    """
    asked: dict[Axis, str] = {"python": offer.python, "arch": offer.arch, "stage": "supported"}
    if glibc is not None:
        asked["glibc"] = glibc
    fitting = shelf.fitting(asked)
    sets = shelf.nearest(fitting, "cann", offer.cann) if offer.cann is not None else ()
    near = (one for mask in sets if (one := shelf.first(mask)) is not None)
    other = next((one for one in near if _no_higher(one, offer)), shelf.first(fitting))
    if other is None or other.cann is None:
        return None
    wheel = say("wheel", adapter=other.adapter, torch=other.torch, cann=other.cann)
    needs = other.glibc is not None and glibc is None
    if needs and (offer.glibc is None or glibc_key(other.glibc or "") > glibc_key(offer.glibc)):
        return say("wheel for", wheel=wheel, glibc=other.glibc or "")
    return wheel


def _no_higher(other: Offer, offer: Offer) -> bool:
    """Whether it is final, and for the same major.minor as the offer or a lower one."""
    if other.cann is None or offer.cann is None or version(other.adapter).is_prerelease:
        return False
    return minor(other.cann) == minor(offer.cann) or cann_key(other.cann) < cann_key(offer.cann)


def _origin(shelf: Shelf, offer: Offer) -> list[Words]:
    """Where a version stands that is not the one of its line."""
    found = []
    if offer.cann is None:
        found.append(say("cann unknown", adapter=offer.adapter))
    elif not offer.own and offer.source is not None:
        title = _title(shelf.matrix, offer.source)
        found.append(say("placed", adapter=offer.adapter, cann=offer.cann, title=title))
    if offer.released_here and offer.wheel is not None:
        found.append(say("own release", adapter=offer.adapter, record=offer.wheel.source))
    if offer.line is not None and not offer.own:
        newer = version(offer.line.adapter) > version(offer.adapter)
        place = "branch now" if newer else "branch table"
        found.append(say(place, branch=offer.line.branch, adapter=offer.line.adapter))
    if offer.cann is not None and not offer.own and version(offer.adapter).is_prerelease:
        found.append(say("pre-release", adapter=offer.adapter))
    return found


def _printed(offer: Offer) -> list[Words]:
    if offer.line is None or not offer.own or offer.line.published is None:
        return []
    printed = offer.line.published
    values = {"CANN": printed.cann, "torch": printed.torch, "torch_npu": printed.adapter}
    words = ", ".join(f"{name} {value}" for name, value in values.items() if value)
    return [say("printed", words=words, reason=told(printed.reason, printed.zh))]


def _asking(offer: Offer) -> list[Words]:
    """What the wheel's own METADATA asks for and no command here installs."""
    return [say("no requirement", text=f"{one!r:.120}") for one in unnamed(offer)]


def _unrecorded(offer: Offer) -> list[Words]:
    """Of a wheel that is on the index by the matrix alone, or whose hash nobody told."""
    known = offer.wheel is not None and offer.wheel.sha256 is not None
    return [] if known or offer.how != "index" else [say("unrecorded", adapter=offer.adapter)]


def _audited(offer: Offer) -> list[Words]:
    wheel = offer.wheel
    if wheel is not None and wheel.audited is not None and wheel.audited.verdict != "right":
        held = wheel.audited.platform.startswith("manylinux")
        name = "audited" if held else "audited no policy"
        return [say(name, platform=wheel.audited.platform, day=wheel.audited.day)]
    return []
