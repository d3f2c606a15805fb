"""Where an index has the root for a CANN and a chip: who publishes and who picks have it from here."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from wheelmill.matrix.model import Chip


def chip_names(chip: Chip, chips: Iterable[Chip]) -> tuple[str, ...]:
    """How a chip is called in addresses: what its parts' names have in common, and its other names.

    `910b` and `a2` for the Atlas A2; where another family begins alike, the name of its first part.
    """
    family = _beginning(chip.socs)
    shared = any(_beginning(other.socs) == family for other in chips if other is not chip)
    head = chip.socs[0] if shared and not chip.also else family
    return tuple(dict.fromkeys(name.lower() for name in (head, *chip.also)))


def view_path(cann: str, chip: Chip | None, chips: Iterable[Chip]) -> str:
    """The folder of the view for a CANN and a chip, below an index: `cann-9.2.0/910b/simple/`.

    Without a chip that of all that was built for the CANN.
    """
    named = "" if chip is None else f"{chip_names(chip, chips)[0]}/"
    return f"cann-{cann.lower()}/{named}simple/"


def _beginning(words: Iterable[str]) -> str:
    """What all words begin with."""
    return "".join(
        letters[0] for letters in takewhile(lambda found: len(set(found)) == 1, zip(*words, strict=False))
    )
