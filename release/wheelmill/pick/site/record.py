"""The one record that all pages and the JSON interface are made from: plain values, ready for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Any

from wheelmill.matrix.model import Chip, Matrix, System
from wheelmill.matrix.outlook import changes, statuses
from wheelmill.matrix.policy import begins
from wheelmill.matrix.versions import glibc_key, python_key, version
from wheelmill.pick.commands import pins, steps, with_uv
from wheelmill.pick.issues import known
from wheelmill.pick.model import Lang, Offer, Step
from wheelmill.pick.offers import Preference
from wheelmill.pick.request import parse_request
from wheelmill.pick.shelf import Shelf
from wheelmill.pick.site.spellings import spellings
from wheelmill.pick.windows import by_symbols, window

if TYPE_CHECKING:
    from wheelmill.notes.model import Notes


def versions(shelf: Shelf, notes: Notes | None = None) -> list[dict[str, Any]]:
    """Every adapter version, newest torch first: what it goes with, and how each of its wheels is had."""
    own = (one for one in (*shelf.offers, *shelf.records) if one.built_for is None)
    proven = _proven(shelf)
    offers = sorted(own, key=_newest, reverse=True)
    found = [
        _version(shelf.matrix, list(group), proven.get(name, ()), notes)
        for name, group in groupby(offers, key=_name)
    ]
    seen: set[str] = set()
    for one in found:  # rows of several branches may name one version
        if one["id"] in seen:
            one["id"] = f"{one['adapter']}-{one['branch']}"
        seen.add(one["id"])
    return found


def _proven(shelf: Shelf) -> dict[tuple[str, str | None], list[str]]:
    """Version -> the other torches with which its wheels are proven, ascending."""
    found: dict[tuple[str, str | None], set[str]] = {}
    for one in shelf.offers:
        if one.built_for is not None:
            found.setdefault(_name(one), set()).add(one.torch)
    return {name: sorted(torches, key=version) for name, torches in found.items()}


def _newest(offer: Offer) -> Any:
    return version(offer.torch), version(offer.adapter), offer.branch or ""


def _name(offer: Offer) -> tuple[str, str | None]:
    return offer.adapter, offer.branch if offer.own else None


def _version(
    matrix: Matrix, offers: Sequence[Offer], proven: Sequence[str], notes: Notes | None
) -> dict[str, Any]:
    first = offers[0]
    phase = first.phase
    days = sorted(one.day for one in offers if one.day)
    printed = first.line.published if first.line is not None and first.own else None
    had = [one for one in offers if one.how not in ("record", "yanked")]
    # A version that only a document names has no Python and no architecture.
    return {
        "id": first.adapter,
        "adapter": first.adapter,
        "branch": first.branch if first.own else None,
        "torch": first.torch,
        "proven": list(proven),
        "cann": first.cann,
        "source": first.source,
        "series": first.series if first.phase else None,
        "kind": first.line.kind if first.line is not None else "published",
        "image": first.line.image if first.line is not None and first.own else None,
        "stage": phase.stage if phase else None,
        "since": phase.since.isoformat() if phase and phase.since else None,
        "until": phase.until.isoformat() if phase and phase.until else None,
        "day": days[0] if days else None,
        "pythons": sorted({one.python for one in offers if one.python}, key=python_key),
        "arches": sorted({one.arch for one in offers if one.arch}),
        "glibc": min((one.glibc for one in offers if one.glibc), default=None),
        "from": had[0].how if had else first.how,
        "available": bool(had),
        "reason": first.reason["en"] if first.reason and not had else None,
        "reason_zh": first.reason["zh"] if first.reason and not had else None,
        "issues": [dict(one) for one in known(notes, (had or offers)[0])] if notes is not None else [],
        "printed": printed
        and {
            "cann": printed.cann,
            "torch": printed.torch,
            "adapter": printed.adapter,
            "reason": printed.reason,
            "zh": printed.zh or printed.reason,
        },
        "wheels": [
            _wheel(matrix, one) for one in sorted(had, key=lambda one: (python_key(one.python), one.arch))
        ],
    }


def _wheel(matrix: Matrix, offer: Offer) -> dict[str, Any]:
    wheel = offer.wheel
    return {
        "key": offer.key,
        "python": offer.python,
        "arch": offer.arch,
        "glibc": offer.glibc,
        "from": offer.how,
        "file": wheel.file if wheel else None,
        "sha256": wheel.sha256 if wheel else None,
        "size": wheel.size if wheel else None,
        "day": offer.day,
        "runs_in": (wheel.audited.torch or None) if wheel and wheel.audited else None,
        "window": None if (found := window(offer)) is None else found | _told(found),
        "steps": [_step(one) for one in steps(matrix, offer)],
    }


def _told(found: dict[str, Any]) -> dict[str, Any]:
    """What a page says of a window; None where it says nothing."""
    return {"en": by_symbols(found, "en"), "zh": by_symbols(found, "zh")}


def _step(step: Step) -> dict[str, Any]:
    return {
        "title": step.title["en"],
        "zh": step.title["zh"],
        "pip": list(step.commands),
        "uv": list(with_uv(step.commands)),
        "fallback": list(step.fallback),
    }


def picker(shelf: Shelf, notes: Notes | None = None) -> dict[str, Any]:
    """What the picker's script needs: the offers in order of preference, with values and steps as numbers."""
    matrix = shelf.matrix
    pool: dict[str, int] = {}
    texts: list[dict[str, Any]] = []
    rows = [_row(matrix, offer, pool, texts) for offer in shelf.offers]
    held: dict[tuple[str, ...], int] = {}
    issues: list[list[dict[Lang, str]]] = []
    for row, offer in zip(rows, shelf.offers, strict=True):
        row["pins"] = held.setdefault(_pins(matrix, offer), len(held))
        found = [dict(one) for one in known(notes, offer)] if notes is not None else []
        if found not in issues:
            issues.append(found)
        row["issues"] = issues.index(found)
    for row, order in zip(rows, _orders(shelf), strict=True):
        row |= order
    named = ("cann", "torch", "python", "arch", "date", "adapter")
    axes = {name: shelf.values(shelf.all, name) for name in named}
    for name in ("cann", "torch", "adapter"):
        axes[name].reverse()
    held_by = set(shelf.values(shelf.all, "branch"))
    axes["branch"] = [line.branch for line in matrix.lines if line.branch in held_by]
    histories = _histories(matrix)
    place = {name: {value: at for at, value in enumerate(values)} for name, values in axes.items()}
    place["series"] = {name: at for at, name in enumerate(histories)}
    for row in rows:
        for name, values in place.items():
            row[name] = values.get(row[name], -1)
    return {
        "day": shelf.today.isoformat(),
        "axes": axes,
        "systems": _systems(matrix),
        "chips": _chips(shelf),
        "histories": list(histories.values()),
        "spellings": spellings(matrix),
        "names": {one.name: one.of for one in matrix.document.cann_names},
        "steps": texts,
        "pins": [list(lines) for lines in held],
        "issues": issues,
        "columns": list(rows[0]) if rows else [],
        "offers": [list(row.values()) for row in rows],
    }


def _row(matrix: Matrix, offer: Offer, pool: dict[str, int], texts: list[dict[str, Any]]) -> dict[str, Any]:
    sha256 = (offer.wheel.sha256 if offer.wheel else None) or ""
    numbers = []
    for step in steps(matrix, offer):
        shared = _step(step)
        for name in ("pip", "uv"):
            shared[name] = [one.replace(sha256, "{sha256}") if sha256 else one for one in shared[name]]
        shared["uv"] = [] if shared["uv"] == shared["pip"] else shared["uv"]
        key = repr(shared)
        if key not in pool:
            pool[key] = len(texts)
            texts.append(shared)
        numbers.append(pool[key])
    return {
        "cann": offer.cann, "torch": offer.torch, "built_for": offer.built_for, "python": offer.python,
        "arch": offer.arch, "adapter": offer.adapter, "glibc": offer.glibc, "from": offer.how,
        "series": offer.series, "branch": offer.branch, "key": offer.key, "sha256": sha256,
        "date": offer.day, "steps": numbers,
    }  # fmt: skip


def _orders(shelf: Shelf) -> list[dict[str, int]]:
    """By which the script sorts on any day: `tier`, then the stage of the series, then `rank`."""
    preference = Preference()
    around = [preference.around(offer) for offer in shelf.offers]
    places = sorted(range(len(around)), key=lambda place: around[place][1], reverse=True)
    rank = {place: at for at, place in enumerate(places)}
    tiers = sorted({before for before, _ in around}, reverse=True)
    return [{"tier": tiers.index(before), "rank": rank[at]} for at, (before, _) in enumerate(around)]


def _histories(matrix: Matrix) -> dict[str, list[tuple[str, str]]]:
    """Series -> its stages, each with its first day; the first of them holds on all days before."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, series in matrix.series.items():
        policy = matrix.policies[series.policy]
        days = [] if series.override is not None else list(begins(series, policy).items())
        first = series.override.stage if series.override is not None else policy.stages[0].stage
        found[name] = [("", first), *((day.isoformat(), stage) for stage, day in days[1:])]
    return found


def _pins(matrix: Matrix, offer: Offer) -> tuple[str, ...]:
    """Lines of a requirements file, with `{sha256}` for the adapter's own: most offers share the rest."""
    own = (offer.wheel.sha256 if offer.wheel else None) or ""
    return tuple(one.replace(own, "{sha256}") if own else one for one in pins(matrix, offer))


def _systems(matrix: Matrix) -> list[dict[str, Any]]:
    """The C libraries of the systems that the matrix knows, oldest first."""
    found: dict[str, list[System]] = {}
    for system in matrix.document.systems:
        found.setdefault(system.glibc, []).append(system)
    return [
        {
            "glibc": glibc,
            "systems": [one.title for one in found[glibc] if one.source is not None],
            "assumed": [one.title for one in found[glibc] if one.source is None],
        }
        for glibc in sorted(found, key=glibc_key)
    ]


def _chips(shelf: Shelf) -> list[dict[str, Any]]:
    """The chips, and the places of the offers that serve each; null where all do."""
    found = []
    for chip in shelf.matrix.document.chips:
        key = parse_request(chip=chip.name).chip or chip.name
        if " " in key:  # a family that has no name of its own
            key = chip.socs[0]
        mask = shelf.accepting("chip", key)
        places = None if mask == shelf.all else [at for at in range(len(shelf.offers)) if mask >> at & 1]
        found.append({"key": key, "hint": _hint(chip, key), "names": list(chip.names), "offers": places})
    return found


def _hint(chip: Chip, key: str) -> str:
    """By what else a family is known: two of its names, what is sold with it among them."""
    products = [f"Atlas {one}" for one in chip.products]
    names = [*chip.also, *chip.socs[:1], *products[:1], *chip.socs[1:]]
    plain = [one for one in names if one != key and "_" not in one]
    return ", ".join(dict.fromkeys(plain[:2])) or chip.name


# ------------------------------------------------------------------------------------------- policy and time
def policy(matrix: Matrix, today: date) -> list[dict[str, Any]]:
    """Every series with its stage today, its days, and what a document printed."""
    return [
        {
            "series": status.series.name,
            "policy": status.series.policy,
            "stage": status.phase.stage,
            "zh": status.phase.zh,
            "since": status.phase.since.isoformat() if status.phase.since else None,
            "until": status.phase.until.isoformat() if status.phase.until else None,
            "reason": status.phase.reason,
            "reason_zh": status.phase.why or status.phase.reason,
            "days": {
                stage: day.isoformat()
                for stage, day in begins(status.series, matrix.policies[status.series.policy]).items()
                if status.series.override is None  # which holds whatever the days say
            },
            "released": status.series.released.isoformat() if status.series.released else None,
            "lines": [line.branch for line in status.lines],
        }
        for status in statuses(matrix, today)
    ]


def events(matrix: Matrix, shelf: Shelf, today: date) -> Iterator[dict[str, Any]]:
    """What happened up to today, newest first: wheels published and stages begun."""
    first: dict[str, Offer] = {}
    for offer in shelf.offers:
        known = first.get(offer.adapter)
        if offer.wheel is not None and offer.day and (known is None or offer.day < (known.day or "")):
            first[offer.adapter] = offer
    found = [
        {"day": offer.day, "kind": "release", "name": adapter, "torch": offer.torch, "cann": offer.cann}
        for adapter, offer in first.items()
    ]
    found += [
        {"day": one.day.isoformat(), "kind": "stage", "name": one.series, "stage": one.stage, "zh": one.zh}
        for one in changes(matrix)
        if one.day <= today
    ]
    yield from sorted(found, key=lambda one: (one["day"] or "", one["name"]), reverse=True)


def sources(matrix: Matrix) -> list[dict[str, Any]]:
    """The tables of every published document as they were printed, with what is held true beside it."""
    found = []
    for source in matrix.document.sources:
        lines = [one for one in matrix.document.lines if one.source == source.name]
        series = [one for one in matrix.document.series if matrix.policies[one.policy].source == source.name]
        pythons = [one for one in matrix.document.python_support if one.source == source.name]
        policies = [one for one in matrix.document.policies if one.source == source.name]
        if not (lines or series or pythons or policies):
            continue
        found.append(
            {
                "name": source.name,
                "title": {"en": source.title, "zh": source.zh or source.title},
                "dated": source.dated.isoformat() if source.dated else None,
                "pythons": [{"torch": one.torch, "printed": one.published} for one in pythons],
                "lines": [_printed(one) for one in lines],
                "policies": [
                    {"zh": stage.zh, "stage": stage.stage, "time": stage.time, "meaning": stage.meaning}
                    for policy in policies
                    for stage in policy.stages
                ],
                "series": [
                    {"name": one.name, **_words(one.published), "reason": one.reason} for one in series
                ],
            }
        )
    return found


def _words(published: Any) -> dict[str, str]:
    return {name: getattr(published, name) for name in ("status", "released", "next", "eol")}


def _printed(line: Any) -> dict[str, Any]:
    """A row as it was printed, and for each value that is not held true, the one that is."""
    printed = line.published
    row: dict[str, Any] = {"branch": line.branch, "image": line.image, "held": {}, "reason": None}
    for name in ("cann", "torch", "adapter"):
        held = getattr(line, name)
        said = getattr(printed, name) if printed is not None else None
        row[name] = said or held
        if said and said != held:
            row["held"][name] = held
    if row["held"]:
        row["reason"] = printed.reason
    return row
