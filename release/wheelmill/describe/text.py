"""TOML into nodes with line numbers, which `wheelmill.matrix.decode` reads as rows.

tomllib gives values and no lines. The lines of keys come from a look at the text, which is known to be valid
then: what stands at the start of a statement is a table's name or a key.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

from wheelmill.matrix.problems import Problem
from wheelmill.matrix.text import Mapping, Node, Scalar, Sequence, unprintable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found]

Path = tuple["str | int", ...]

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_STATEMENT = re.compile(rf"\s*(?:(\[\[?)\s*({_DOTTED})\s*\]\]?|({_DOTTED})\s*=)")
# What may hold brackets or quotes that are none: comments and strings, long ones first.
_TEXT = re.compile(
    r'"""(?:[^\\]|\\.)*?"""|\'\'\'.*?\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#[^\n]*', re.DOTALL
)


_MANY_PARTS = re.compile(r"(?<![\w-])(?:[\w-]+[ \t]*\.[ \t]*){64}")
_LONGEST = 1 << 20  # characters of a file
_LARGE = 1 << 63


class _Number(str):
    """A number as it is written: 3.10 is not 3.1."""

    __slots__ = ()


def loads(text: str) -> dict[str, Any]:
    """TOML as plain values. Raises ValueError."""
    return _loads(text, float)


def _loads(text: str, number: Callable[[str], Any]) -> dict[str, Any]:
    """The same; the time of tomllib grows with the square of a key's parts, so those are counted first."""
    if len(text) > _LONGEST:
        raise ValueError(f"it has more than {_LONGEST >> 20} MiB")
    if _MANY_PARTS.search(_TEXT.sub(_blank, text)):
        raise _DeepError("a key has more than 64 parts")
    try:
        values: dict[str, Any] = tomllib.loads(text, parse_float=number)
    except RecursionError:
        raise _DeepError("values are nested too deeply") from None
    return values


class _DeepError(ValueError):
    """Deeper than any file that is meant to be read."""


def parse(content: bytes, problems: list[Problem], table: str = "") -> Node | None:
    """The root node, or that of a table such as `tool.wheelmill`; None with a problem noted."""
    try:
        text = content.decode("utf-8")
        values: Any = _loads(text, _Number)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.append(Problem(line, "utf-8", "a byte is not UTF-8", "save the file as UTF-8"))
        return None
    except _DeepError as error:
        problems.append(Problem(1, "toml-depth", str(error), "no field nests so deep"))
        return None
    except ValueError as error:  # of the syntax, or a number beyond what Python reads
        problems.append(_syntax(str(error)))
        return None
    path: Path = tuple(table.split(".")) if table else ()
    for name in path:
        values = values.get(name, {}) if isinstance(values, dict) else {}
    return _node(values, path, _lines(text), 1)


def _syntax(said: str) -> Problem:
    found = re.search(r"\(at line (\d+), column \d+\)", said)
    reason = re.sub(r"\s*\(at .*\)$", "", said)
    return Problem(
        int(found[1]) if found else 1, "toml-syntax", reason, "correct the TOML here or just above"
    )


def _node(value: Any, path: Path, lines: dict[Path, int], above: int) -> Node:
    """A value with the line of its key, else that of what it is in."""
    line = lines.get(path, above)
    if isinstance(value, dict):
        pairs: list[tuple[Node, Node]] = []
        for key, child in value.items():
            at = lines.get((*path, key), line)
            pairs.append((Scalar(at, key, True), _node(child, (*path, key), lines, at)))
        return Mapping(line, pairs)
    if isinstance(value, list):
        return Sequence(line, [_node(child, (*path, i), lines, line) for i, child in enumerate(value)])
    if isinstance(value, bool):
        return Scalar(line, str(value).lower(), True)
    plain = not isinstance(value, str) or isinstance(value, _Number)
    large = type(value) is int and abs(value) >= _LARGE  # Python writes only so many decimal digits
    text = hex(value) if large else str(value)
    # A character that cannot be seen is shown as its escape, which no field takes.
    return Scalar(line, text if unprintable(text) is None else repr(text), plain)


def _lines(text: str) -> dict[Path, int]:
    """The line of every table and key."""
    found: dict[Path, int] = {}
    table: Path = ()
    counts: dict[Path, int] = {}
    depth = 0
    masked = _TEXT.sub(_blank, text)
    for number, (line, bare) in enumerate(zip(text.split("\n"), masked.split("\n"), strict=True), start=1):
        statement = _STATEMENT.match(line) if depth == 0 and bare.strip() else None
        if statement is not None and statement[1]:
            table = _table(statement[1], _words(statement[2]), counts)
            found.setdefault(table, number)
            continue
        if statement is not None:
            words = _words(statement[3])
            for end in range(1, len(words) + 1):
                found.setdefault((*table, *words[:end]), number)
        depth += sum(bare.count(one) for one in "[{") - sum(bare.count(one) for one in "]}")
    return found


def _table(bracket: str, words: tuple[str, ...], counts: dict[Path, int]) -> Path:
    """The path of a table's header; one in double brackets is the next of its list."""
    path: Path = ()
    for place, word in enumerate(words, start=1):
        path = (*path, word)
        last = place == len(words)
        if last and bracket == "[[":
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _words(dotted: str) -> tuple[str, ...]:
    return tuple(word.strip("\"'") for word in re.findall(_KEY, dotted))


def _blank(found: re.Match[str]) -> str:
    """As many lines, without what a bracket could hide in; a quote stays to tell that something is there."""
    return "x" + "\n" * found[0].count("\n") if not found[0].startswith("#") else ""
