"""Whether a text holds English sentences."""

from __future__ import annotations

import re

_SMALL = (
    "a", "also", "an", "and", "are", "as", "at", "be", "been", "but", "by", "can", "cannot", "do", "does",
    "for", "from", "has", "have", "if", "in", "into", "is", "it", "its", "no", "not", "nothing", "of", "on",
    "one", "or", "that", "the", "them", "then", "there", "these", "this", "those", "to", "was", "were",
    "when", "which", "why", "with", "you", "your",
)  # fmt: skip
# In code, a path, a name or an option such as `--no-deps` these are no words of a sentence.
_WORD = re.compile(rf"(?<![\w./=:@%-])(?:{'|'.join(_SMALL)})(?![\w./=:-]|\()", re.IGNORECASE)
_CODE = re.compile(r"`[^`]*`|[\"“][^\"”]*[\"”]|\{\w+\}|‹[^›]*›")  # code, quotations, values


def english(text: str) -> list[str]:
    """The small words of English that no sentence does without, in order."""
    return _WORD.findall(_CODE.sub("", text))
