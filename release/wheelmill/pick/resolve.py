"""From a request to an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from wheelmill.catalogue.model import Catalogue
from wheelmill.matrix.addresses import view_path
from wheelmill.matrix.model import CannName, Matrix
from wheelmill.matrix.versions import cann_key, version
from wheelmill.pick.commands import pins, steps, unnamed
from wheelmill.pick.explain import alternatives, conflicts
from wheelmill.pick.model import Axis, NoFit, Offer, Pick, Request
from wheelmill.pick.shelf import Shelf

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
    shelf: Shelf, request: Request, prefer: Mapping[Axis, str], index: str | None = None
) -> Pick | NoFit:
    """The answer from a shelf that is there already.

    `index` is the address of the index that has this project's releases and their views, without `simple/`.
    """
    had = request.cann
    request, notes = _translated(shelf, request)
    asked = request.asked()
    fitting = shelf.fitting(asked)
    if not fitting:
        near = alternatives(shelf, asked, lambda mask: _preferred(shelf, mask, prefer, asked)[0])
        return NoFit(request, conflicts(shelf, asked), near, notes)
    chosen, met = _preferred(shelf, fitting, prefer, asked)
    unmet = {axis: value for axis, value in prefer.items() if axis not in asked and axis not in met}
    offer = shelf.first(chosen)
    assert offer is not None
    others = list(shelf.distinct(chosen, "adapter", OTHERS + 1))[1:]
    installing, warnings = steps(shelf.matrix, offer, had, index), _warnings(shelf, offer)
    view = _view(shelf, request, offer)
    held = pins(shelf.matrix, offer)
    return Pick(
        request,
        offer,
        installing,
        warnings,
        notes,
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


def _translated(shelf: Shelf, request: Request) -> tuple[Request, tuple[str, ...]]:
    """The request in the words of the rows: patches and second names of CANN become the row's CANN."""
    matrix, notes = shelf.matrix, []
    chip = shelf.chip(request.chip) if request.chip is not None else None
    if chip is not None:
        notes.append(f"Chip {request.chip} is of the family {chip.name}.")
    if request.system is not None:
        notes.append(f"{request.system} has glibc {request.glibc}.")
    named = _cann_name(matrix, request.cann) if request.cann else None
    if named is not None:
        title = next(one.title for one in matrix.document.sources if one.name == named.source)
        words = (
            f"CANN {named.name} is another name of CANN {named.of}"
            if named.kind == "second name"
            else f"CANN {named.name} is taken with the wheels of CANN {named.of}"
        )
        notes.append(f"{words} ({title}).")
        request = replace(request, cann=named.of)
    return request, tuple(notes)


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
    return fitting, met


# ------------------------------------------------------------------------------------------- what to know
def _warnings(shelf: Shelf, offer: Offer) -> tuple[str, ...]:
    return (*_life(shelf, offer), *_origin(shelf, offer), *_printed(offer), *_audited(offer), *_asking(offer))


def _life(shelf: Shelf, offer: Offer) -> list[str]:
    phase, name = offer.phase, f"Line {offer.branch}" if offer.branch else f"torch_npu {offer.adapter}"
    found = []
    if phase is not None and phase.stage in ("unmaintained", "eol"):
        state = "reached its end of life" if phase.ended else "is no longer maintained"
        since = f" on {phase.since}" if phase.ended and phase.since else ""
        successor = _maintained(shelf, offer)
        advice = f" Maintained for Python {offer.python} on {offer.arch}: {successor}." if successor else ""
        found.append(f"{name} {state}{since}: it gets no fixes.{advice}")
    if offer.line is not None and offer.line.kind == "development" and offer.how == "build":
        found.append(f"{name} is in development: its wheel is on no index, you build it.")
    return found


def _maintained(shelf: Shelf, offer: Offer) -> str | None:
    """The newest published line for the same Python and arch that still gets fixes."""
    asked: dict[Axis, str] = {"python": offer.python, "arch": offer.arch, "stage": "supported"}
    other = shelf.first(shelf.fitting(asked))
    if other is None or other.cann is None:
        return None
    return f"torch_npu {other.adapter} with torch {other.torch}, CANN {other.cann}"


def _origin(shelf: Shelf, offer: Offer) -> list[str]:
    """Where a version stands that is not the one of its line."""
    found = []
    if offer.cann is None:
        found.append(
            f"torch_npu {offer.adapter} is on the index, CANN unknown: no document says what it goes with."
        )
    elif not offer.own and offer.source is not None:
        title = next(one.title for one in shelf.matrix.document.sources if one.name == offer.source)
        found.append(f"torch_npu {offer.adapter} with CANN {offer.cann}: by {title}.")
    if offer.released_here:
        found.append(
            f"torch_npu {offer.adapter} is a release of this project ({offer.wheel.source}), "  # type: ignore[union-attr]
            "and not on the public index."
        )
    if offer.line is not None and not offer.own:
        newer = version(offer.line.adapter) > version(offer.adapter)
        word = "now" if newer else "in the compatibility table"
        found.append(f"Its branch {offer.branch} has torch_npu {offer.line.adapter} {word}.")
    if offer.cann is not None and not offer.own and version(offer.adapter).is_prerelease:
        found.append(f"torch_npu {offer.adapter} is a pre-release.")
    return found


def _printed(offer: Offer) -> list[str]:
    if offer.line is None or not offer.own or offer.line.published is None:
        return []
    printed = offer.line.published
    values = {"CANN": printed.cann, "torch": printed.torch, "torch_npu": printed.adapter}
    words = ", ".join(f"{name} {value}" for name, value in values.items() if value)
    return [f"This row was published as {words}. {printed.reason}"]


def _asking(offer: Offer) -> list[str]:
    """What the wheel's own METADATA asks for and no command here installs."""
    return [
        f"Its METADATA asks for {one!r:.120}, which is no requirement by name: it is left out here."
        for one in unnamed(offer)
    ]


def _audited(offer: Offer) -> list[str]:
    found = []
    wheel = offer.wheel
    if wheel is not None and wheel.audited is not None and wheel.audited.verdict != "right":
        found.append(
            f"Its symbols need {wheel.audited.platform}, which is more than its tag says "
            f"(audited on {wheel.audited.day})."
        )
    return found
