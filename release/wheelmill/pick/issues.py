"""What the release notes know to be wrong with a wheel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from wheelmill.matrix.versions import base_version
from wheelmill.pick.model import Offer, Words

if TYPE_CHECKING:
    from wheelmill.notes.model import Notes


def known(notes: Notes, offer: Offer) -> tuple[Words, ...]:
    """The known issues of a version.

    This project's notes are about its own wheels: of a published one, only those of its series are told.
    """
    if _made_here(offer):
        found = notes.issues_of(offer.adapter)
    else:
        series = _series(offer)
        covering = [one.version for one in notes.records if series and one.series == series]
        found = tuple(issue for name in covering for issue in notes.note(name).known)
    return tuple({"en": issue.on("en"), "zh": issue.on("zh")} for issue in found)


def has_note(names: Iterable[str], offer: Offer) -> bool:
    """Whether a note of these names may be about the version: reading them takes longer than an answer."""
    series = _series(offer)[1:].lower()
    own = offer.built_for or offer.torch
    return any(name.lower() == series or (_made_here(offer) and base_version(name) == own) for name in names)


def _made_here(offer: Offer) -> bool:
    return offer.how == "build" or offer.released_here


def _series(offer: Offer) -> str:
    return (offer.line.series or "") if offer.line is not None else ""
