"""What is known of the torches in which a published wheel runs, as an answer and the site say it."""

from __future__ import annotations

from typing import Any

from wheelmill.matrix.versions import specifiers, version
from wheelmill.pick.model import Lang, Offer, Words
from wheelmill.pick.words import listed, say


def window(offer: Offer) -> dict[str, Any] | None:
    """The window of an offer's version, ready for JSON; None where none is kept.

    `others` are the torches beside its own in which it runs by its symbols; `requires` is what the wheel
    itself asks of torch ("" for nothing, None where that is not known), and `refused` those of the others
    that this does not allow: pip refuses them.
    """
    wheel, torch = offer.wheel, offer.built_for or offer.torch
    if wheel is None or wheel.window is None:
        return None
    found, pin = wheel.window, wheel.torch_pin()
    if pin is None and wheel.requires is not None:
        pin = ""
    others = found.others(torch)
    return {
        "wheel": found.file,
        "sha256": found.sha256,
        "day": found.day,
        "built_for": torch,
        "judged": found.judged,
        "runs": list(found.runs),
        "without_cuda": list(found.without_cuda),
        "others": list(others),
        "requires": pin,
        "refused": [other for other in others if pin and not _allowed(pin, other)],
    }


def _allowed(pin: str, torch: str) -> bool:
    try:
        return specifiers(pin).contains(torch)
    except ValueError:  # what pip cannot read it does not hold a wheel to
        return True


def by_symbols(window: dict[str, Any] | None, lang: Lang) -> str | None:
    """That it runs in other torches, and that pip refuses them; None where there is nothing to say.

    Nothing is said where it is not known whether pip would refuse.
    """
    if window is None or not window["others"] or window["requires"] is None:
        return None
    bare = window["without_cuda"]
    others = listed(say("without cuda", torch=one) if one in bare else one for one in window["others"])
    requires = say("pip refuses", pin=window["requires"]) if window["refused"] else ""
    values = {"torch": window["built_for"], "wheel": window["wheel"]}
    return say("runs by symbols", **values, others=others, refused=requires)[lang]


def stopped(offer: Offer) -> Words | None:
    """That it does not run in the torch that it is installed with; None where it does, or may."""
    found = offer.wheel.window if offer.wheel is not None else None
    torch = offer.built_for or offer.torch
    if found is None or torch in found.runs or version(torch) > version(found.judged):
        return None
    return say("stopped by symbols", torch=torch, wheel=found.file)
