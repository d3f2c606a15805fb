"""What somebody may have meant by a name that is not there: the few nearest, never the whole list."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

FEW = 5


def nearest(asked: str, known: Sequence[str], few: int = FEW) -> list[str]:
    """The known names with what was asked in them, or with as much of its beginning as any has; else the
    ones that are spelled like it, else the first. At most `few`, in the order of `known`."""
    word = asked.strip().lower().removeprefix("v")
    for beginning in _beginnings(word):
        inside = [name for name in known if beginning in name.lower()]
        whole = re.compile(
            rf"(?<![\d.]){re.escape(beginning)}" + ("" if beginning[-1] in ".-" else r"(?!\d)")
        )
        if inside:  # 2.1 is rather in v2.1.0 than in v2.12.0
            return ([name for name in inside if whole.search(name.lower())] or inside)[:few]
    from difflib import get_close_matches  # only mistakes pay for this import

    return get_close_matches(asked, known, n=few) or list(known[:few])


def _beginnings(word: str) -> Iterator[str]:
    """`2.1.7`, then `2.1.`; a first number alone says nothing."""
    parts = re.findall(r"[^.-]+[.-]?", word)
    yield from ("".join(parts[:count]) for count in range(len(parts), min(1, len(parts) - 1), -1) if count)


def few_of(asked: str, known: Sequence[str], everything: str, few: int = FEW) -> str:
    """The nearest in words; where there are more, `everything` is the command that lists them."""
    if len(known) <= few:
        return ", ".join(known)
    return f"{', '.join(nearest(asked, known, few))} (all {len(known)}: {everything})"
