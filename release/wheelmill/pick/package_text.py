"""Answers about a described project as a dictionary for machines and as text for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wheelmill.console import visible
from wheelmill.pick.commands import with_uv
from wheelmill.pick.model import Lang, Words
from wheelmill.pick.packages import Answer, PackageOffer, axis_name, named
from wheelmill.pick.words import listed, say


def to_json(found: Answer) -> dict[str, Any]:
    """The whole answer, in English; `outcome` is "pick" or "nofit"."""
    shared = {"schema": 1, "package": found.package, "request": dict(found.asked)}
    if found.offer is None:
        return {
            **shared,
            "outcome": "nofit",
            "conflicts": [{axis: why["en"] for axis, why in one.items()} for one in found.conflicts],
            "alternatives": [{"cell": _json(one), "changes": dict(changes)} for one, changes in found.near],
        }
    return {
        **shared,
        "outcome": "pick",
        "cell": _json(found.offer),
        "met": dict(found.met),
        "commands": list(found.commands),
        "uv": list(with_uv(found.commands)),
        "others": [_json(one) for one in found.others],
    }


def _json(offer: PackageOffer) -> dict[str, Any]:
    wheel = offer.wheel
    return {
        "version": offer.version or None,
        "line": offer.line,
        **offer.values,
        "glibc": offer.glibc,
        "from": offer.how,
        "wheel": None if wheel is None else {"file": wheel.file, "sha256": wheel.sha256, "size": wheel.size},
    }


def render_text(found: Answer, installer: str = "pip", lang: Lang = "en") -> str:
    """For people; all but commands starts with `#` where something fits."""
    lines = _nofit(found, lang) if found.offer is None else _pick(found, found.offer, installer, lang)
    return "\n".join(visible(line, lines=False) for line in lines)


def _pick(found: Answer, offer: PackageOffer, installer: str, lang: Lang) -> list[str]:
    told = [_named(found.package, offer)]
    if found.met:
        told.append(say("for this machine", values=_listed(found.met)))
    if offer.how == "build":
        told.append(say("no release"))
    if offer.how == "local":
        told.append(say("built here"))
    if offer.wheel is not None:
        told.append(say("wheel line", file=offer.wheel.file))
    if found.others:
        told.append(say("others", values=listed(one.version or say("a build") for one in found.others)))
    commands = with_uv(found.commands) if installer == "uv" else found.commands
    return [*(f"# {one[lang]}" for one in told), *commands]


def _nofit(found: Answer, lang: Lang) -> list[str]:
    asked = _listed(found.asked) if found.asked else say("anything")
    lines = [say("no wheel of", project=found.package, asked=asked)[lang]]
    for conflict in found.conflicts:
        names = listed((named(axis, found.asked[axis]) for axis in conflict), " with ", " 与 ")
        lines += ["", say("blocking", names=names)[lang]]
        lines += [
            "  " + say("reason", kind=axis_name(axis), reason=why)[lang] for axis, why in conflict.items()
        ]
    if found.near:
        lines += ["", say("nearest")[lang]]
    for offer, changes in found.near:
        change = say("change", values=_listed(changes))
        lines.append("  " + say("change line", changes=change, wheel=_named(found.package, offer))[lang])
    return lines


def _listed(values: Mapping[str, str]) -> Words:
    return listed(named(axis, value) for axis, value in values.items())


def _named(package: str, offer: PackageOffer) -> Words:
    version = offer.version or say("unreleased")
    return say("wheel of", project=package, version=version, values=_listed(offer.values))
