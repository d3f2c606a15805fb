"""Answers about a described project as a dictionary for machines and as text for people."""

from __future__ import annotations

from typing import Any

from wheelmill.console import visible
from wheelmill.pick.commands import with_uv
from wheelmill.pick.packages import Answer, PackageOffer


def to_json(found: Answer) -> dict[str, Any]:
    """The whole answer; `outcome` is "pick" or "nofit"."""
    shared = {"schema": 1, "package": found.package, "request": dict(found.asked)}
    if found.offer is None:
        return {
            **shared,
            "outcome": "nofit",
            "conflicts": [dict(one) for one in found.conflicts],
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


def render_text(found: Answer, installer: str = "pip") -> str:
    """For people; all but commands starts with `#` where something fits."""
    if found.offer is None:
        lines = _nofit(found)
    else:
        lines = [f"# {_named(found.package, found.offer)}"]
        if found.met:
            had = ", ".join(f"{axis} {value}" for axis, value in found.met.items())
            lines.append(f"# For this machine: {had}. Options choose others, --anywhere chooses freely.")
        if found.offer.how == "build":
            lines.append("# No release has it yet: it has to be built.")
        if found.offer.wheel is not None:
            lines.append(f"# Wheel: {found.offer.wheel.file}")
        if found.others:
            lines.append(f"# Also fit: {', '.join(one.version or 'a build' for one in found.others)}")
        lines += with_uv(found.commands) if installer == "uv" else found.commands
    return "\n".join(visible(line, lines=False) for line in lines)


def _nofit(found: Answer) -> list[str]:
    asked = ", ".join(f"{axis} {wanted}" for axis, wanted in found.asked.items())
    lines = [f"No wheel of {found.package} fits {asked or 'anything'}."]
    for conflict in found.conflicts:
        names = " with ".join(f"{axis} {found.asked[axis]}" for axis in conflict)
        lines += ["", f"Blocking: {names}", *(f"  {axis}: {why}" for axis, why in conflict.items())]
    if found.near:
        lines += ["", "Nearest that fit:"]
    for offer, changes in found.near:
        new = ", ".join(f"{axis} {value}" for axis, value in changes.items())
        lines.append(f"  change {new}: {_named(found.package, offer)}")
    return lines


def _named(package: str, offer: PackageOffer) -> str:
    values = ", ".join(f"{axis} {value}" for axis, value in offer.values.items())
    return f"{package} {offer.version or '(not released)'} for {values}"
