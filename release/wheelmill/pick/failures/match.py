"""Find known failures in a text. The page of the site does the same in JavaScript; keep both alike.

The time is bounded by the size of the text: a pattern is only tried in a short window around its fixed
strings, and only around so many of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from wheelmill.pick.failures.model import LEVELS, Explanation, Failure, Match
from wheelmill.pick.failures.symbols import SymbolTable

BEFORE, AFTER = 400, 1200  # characters of the window around a needle
MOST = 200  # needles that are looked at from each end of the text
# What a terminal does with an output: strings such as titles and links, moves that stand for spaces or line
# ends (a console of Windows prints them so), and all other sequences, colors among them.
_STRING = re.compile(r"\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)")
_FORWARD = re.compile(r"\x1b\[([0-9]{0,2})C")
_TO_A_LINE = re.compile(r"\x1b\[[0-9;]*[BEFHdf]")
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[ -/]*[0-~])")
_ENDS = re.compile(r"\r{1,8}\n")
_WRAP = re.compile(r"(?:[\r\n][ \t|│]*)+")
_TRACEBACK = "Traceback (most recent call last)"
_CHAINED = ("The above exception was the direct cause", "During handling of the above exception")
_ERROR = re.compile(
    r"^(?:.{0,120}?[ :\])])?([A-Za-z_][\w.]{0,80}(?:Error|Exception|Interrupt)\b.{0,400}"
    r"|ERROR: .{1,400}|error: .{1,400}|.{0,60}[Ss]egmentation fault.{0,60})$",
    re.ASCII,
)
_CODE = re.compile(r"\b(?:ERR[0-9]{5}|E[A-Z0-9][0-9]{4})\b|error code is ([0-9]{5,6})", re.ASCII)
_FRAME = re.compile(r"(?:site|dist)-packages/([A-Za-z0-9_]+)", re.ASCII)
_LINES = 2000  # lines from the end that are searched for the last error


def explain(
    text: str,
    failures: Iterable[Failure],
    symbols: SymbolTable,
    defaults: Mapping[str, str] | None = None,
    toolkit: Mapping[str, Sequence[str]] | None = None,
) -> Explanation:
    """All known failures in a text, the innermost cause first.

    `defaults` are values that every text of a failure may use, such as `cpu_index`; `toolkit` has the
    commands of the machine's toolkit, by those of rows that they stand for.
    """
    text = plain(text)
    found = [
        (failure, order, *hit)
        for order, failure in enumerate(failures)
        if (hit := first(failure, text)) is not None
    ]
    chain = last_chain(text)
    found.sort(key=lambda one: (LEVELS.index(one[0].level), one[2] < chain, one[2], one[1]))
    causes = [one for one in found if one[0].level == "cause"]
    kept = [one for one in found if not (causes and one[0].level == "guess") and not _shadowed(one, causes)]
    matches = tuple(
        Match(failure, text.count("\n", 0, at) + 1, quote, {**(defaults or {}), **values},
              symbols.look_up(values["symbol"]) if "symbol" in values else None, toolkit or {})
        for failure, _, at, quote, values in kept
    )  # fmt: skip
    error, reporter = _last_error(text)
    otherwise = bool(kept) and kept[0][2] < chain and _CODE.search(text, chain) is None
    return Explanation(matches, error, _codes(text), reporter, otherwise)


def _shadowed(
    one: tuple[Failure, int, int, str, dict[str, str]],
    causes: Sequence[tuple[Failure, int, int, str, dict[str, str]]],
) -> bool:
    """Whether an earlier row has claimed the same place."""
    return any(other[1] < one[1] and abs(other[2] - one[2]) < len("undefined symbol: ") for other in causes)


def plain(text: str) -> str:
    """What a terminal would show, with `\\n` at the end of lines.

    A carriage return within a line stays, and with it what a progress bar has overwritten: it breaks the line
    for patterns and quotes, and is not counted.
    """
    if "\x1b" in text:
        text = _FORWARD.sub(lambda found: " " * int(found[1] or 1), _STRING.sub("", text))
        text = _SEQUENCE.sub("", _TO_A_LINE.sub("\r", text))
    return _ENDS.sub("\n", text) if "\r" in text else text


def first(failure: Failure, text: str) -> tuple[int, str, dict[str, str]] | None:
    """Where a failure stands first in a text: the needle's place, the words, and the values in them."""
    regex = failure.regex
    for at in sorted(set(_places(failure.needles, text))):
        # Programs break long lines for the terminal, so a window is read as one line.
        start = max(0, at - BEFORE)
        window = _WRAP.sub(" ", text[start : at + AFTER])
        hit = regex.search(window)
        if hit:
            values = {name: value or "" for name, value in zip(failure.values, hit.groups(), strict=False)}
            return at, _line(text, at), values
    return None


def _line(text: str, at: int) -> str:
    """The line around a place; of a very long one the part around it."""
    start = max(text.rfind("\n", 0, at) + 1, text.rfind("\r", max(0, at - 240), at) + 1, at - 240)
    end = re.compile(r"[\r\n]").search(text, at, at + 240)
    return text[start : end.start() if end else at + 240].strip()


def _places(needles: Sequence[str], text: str) -> Iterator[int]:
    """Where the needles stand: the first and the last of each."""
    for needle in needles:
        at = text.find(needle)
        if at < 0:
            continue
        for _ in range(MOST):
            yield at
            at = text.find(needle, at + 1)
            if at < 0:
                break
        at = len(text)
        for _ in range(MOST):
            at = text.rfind(needle, 0, at)
            if at < 0:
                break
            yield at


def last_chain(text: str) -> int:
    """Where the last traceback begins, or the first of those that are chained to it; 0 without one."""
    at = text.rfind(_TRACEBACK)
    while at > 0:
        before = text.rfind(_TRACEBACK, 0, at)
        if before < 0 or not any(word in text[max(before, at - 500) : at] for word in _CHAINED):
            break
        at = before
    return max(at, 0)


def _last_error(text: str) -> tuple[str | None, str | None]:
    """The last line that looks like an error, and the package of the last frame before it."""
    lines = text[-200_000:].splitlines()[-_LINES:]
    for at in range(len(lines) - 1, -1, -1):
        found = _ERROR.match(lines[at][:600])
        if found:
            frames = _FRAME.findall("\n".join(lines[max(0, at - 40) : at]))
            return found[1].strip(), frames[-1] if frames else None
    return None, None


def _codes(text: str) -> tuple[str, ...]:
    """Error codes, in order, without repeats; of a long text its end."""
    found = (hit[1] or hit[0] for hit in _CODE.finditer(text[-200_000:]))
    return tuple(dict.fromkeys(found))[:12]
