"""YAML nodes into the frozen rows of `model`, driven by the rows' own type hints.

Nodes keep their lines, which plain constructed values would have lost. Scalars arrive as text and are read as
the type that the field asks for; text that other YAML readers would take for a number or a date must stand in
quotes ("3.10" is not 3.1), so that every reader sees the same matrix.
"""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from wheelmill.matrix.model import Row, Where
from wheelmill.matrix.problems import Problem
from wheelmill.matrix.text import Mapping as MappingNode
from wheelmill.matrix.text import Node, Scalar
from wheelmill.matrix.text import Sequence as SequenceNode

RowT = TypeVar("RowT", bound=Row)

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_NOT_TEXT = re.compile(
    r"""^(?: ~ | null | Null | NULL                                    # null
       | [Yy]es | YES | [Nn]o | NO | [Tt]rue | TRUE | [Ff]alse | FALSE | [Oo]n | ON | [Oo]ff | OFF
       | [-+]? (?: 0b[01_]+ | 0x[0-9a-fA-F_]+ | [0-9][0-9_]* (?: :[0-5]?[0-9] )* )   # int
       | [-+]? (?: [0-9][0-9_]* \.[0-9_]* | \.[0-9][0-9_]* ) (?: [eE][-+][0-9]+ )? | [-+]? \.inf | \.nan
       | \d{4}-\d\d?-\d\d? (?: [Tt\s].* )? )$""",
    re.VERBOSE,
)


class _MistakeError(Exception):
    """The node cannot be read; the problem was noted already."""


def decode(
    row: type[RowT], node: Node, problems: list[Problem], *, language: str = "YAML", what: str | None = None
) -> RowT | None:
    """The node as a `row`, or None; every mistake in it is added to `problems`.

    `language` is what the nodes were read from, `what` the word for the row in messages.
    """
    try:
        result: RowT = _Decoder(problems, language).row(row, node, what or row.__name__.lower())
    except _MistakeError:
        return None
    return result


@cache
def hints(row: type[Row]) -> Mapping[str, tuple[Any, bool]]:
    """The fields of a row that the file may have: name -> (type, required)."""
    types_of = get_type_hints(row)
    no_default = dataclasses.MISSING
    return {
        f.name: (types_of[f.name], f.default is no_default and f.default_factory is no_default)
        for f in dataclasses.fields(row)
        if f.name != "at"
    }


class _Decoder:
    def __init__(self, problems: list[Problem], language: str) -> None:
        self.problems = problems
        self.language = language

    def value(self, kind: Any, node: Node, what: str) -> Any:
        """A node as a value of the type hint `kind`; raises _MistakeError once its problem is noted."""
        return _reader(kind)(self, node, what)

    def row(self, row: Any, node: Node, what: str) -> Any:
        fields = hints(row)
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        meant: set[str | None] = set()
        failed = False
        for key, line, child in self.pairs(node, what):
            if key not in fields:
                self.note(line, "known-key", f"{what} has no field {key!r}", nearest(key, fields))
                meant.add(_close(key, fields))
                failed = True
                continue
            lines[key] = line
            try:
                values[key] = self.value(fields[key][0], child, key)
            except _MistakeError:
                failed = True
        # What a wrong word was meant to be is not missing: one mistake is one error.
        given = {*lines, *meant}
        missing = [name for name, (_, required) in fields.items() if required and name not in given]
        for name in missing:
            added = f"add {name}:" if self.language == "YAML" else f"add {name} = ..."
            self.note(node.line, "required-key", f"{what} lacks the field {name!r}", added)
        if failed or missing:
            raise _MistakeError
        return row(**values, at=Where(node.line, lines))

    def pairs(self, node: Node, what: str) -> list[tuple[str, int, Node]]:
        """Key, its line and value of a mapping; keys given twice are noted and the first one counts."""
        if not isinstance(node, MappingNode):
            self.stop(
                node, "type", f"{what} should be a mapping, found {_found(node)}", "write a key and a value"
            )
        found: dict[str, Node] = {}
        lines: dict[str, int] = {}
        for key_node, child in node.pairs:
            if not isinstance(key_node, Scalar):
                self.note(key_node.line, "type", f"a key of {what} is not text", "write a plain field name")
            elif key_node.value in found:
                first = lines[key_node.value]
                message = f"{key_node.value!r} is given twice, first on line {first}"
                self.note(key_node.line, "unique-key", message, "keep one of the two")
            else:
                found[key_node.value] = child
                lines[key_node.value] = key_node.line
        return [(key, lines[key], child) for key, child in found.items()]

    def scalar(self, node: Node, what: str, wanted: str) -> Scalar:
        if not isinstance(node, Scalar):
            self.stop(node, "type", f"{what} should be {wanted}, found {_found(node)}", f"write {wanted}")
        return node

    def note(self, line: int, rule: str, message: str, hint: str) -> None:
        self.problems.append(Problem(line, rule, message, hint))

    def stop(self, node: Node, rule: str, message: str, hint: str) -> NoReturn:
        self.note(node.line, rule, message, hint)
        raise _MistakeError


Reader = Callable[[_Decoder, Node, str], Any]


@cache
def _reader(kind: Any) -> Reader:
    """The function that reads one type hint."""
    origin, args = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Row):
        return lambda decoder, node, what: decoder.row(kind, node, what)
    if origin in (Union, types.UnionType):
        (inner,) = (arg for arg in args if arg is not type(None))
        return _optional(inner)
    if origin is tuple:
        return _sequence(args[0])
    if origin is Literal:
        return _choice(args)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(*args)
    return {str: _text, int: _integer, bool: _boolean, date: _date}[kind]


def _optional(inner: Any) -> Reader:
    def read(decoder: _Decoder, node: Node, what: str) -> Any:
        if isinstance(node, Scalar) and node.plain and node.value in _NULL:
            return None
        return _reader(inner)(decoder, node, what)

    return read


def _sequence(inner: Any) -> Reader:
    def read(decoder: _Decoder, node: Node, what: str) -> tuple[Any, ...]:
        if not isinstance(node, SequenceNode):
            decoder.stop(node, "type", f"{what} should be a list, found {_found(node)}", "write `[a, b]`")
        items, failed = [], False
        for child in node.items:
            try:
                items.append(decoder.value(inner, child, f"an entry of {what}"))
            except _MistakeError:
                failed = True
        if failed:
            raise _MistakeError
        return tuple(items)

    return read


def _mapping(key_kind: Any, inner: Any) -> Reader:
    def read(decoder: _Decoder, node: Node, what: str) -> Mapping[str, Any]:
        allowed = get_args(key_kind) if get_origin(key_kind) is Literal else None
        result, failed = {}, False
        for key, line, child in decoder.pairs(node, what):
            if allowed is not None and key not in allowed:
                decoder.note(line, "known-key", f"{what} has no key {key!r}", nearest(key, allowed))
                failed = True
                continue
            try:
                result[key] = decoder.value(inner, child, f"{what}.{key}")
            except _MistakeError:
                failed = True
        if failed:
            raise _MistakeError
        return result

    return read


def _choice(allowed: tuple[str, ...]) -> Reader:
    def read(decoder: _Decoder, node: Node, what: str) -> str:
        text = decoder.scalar(node, what, "one of " + ", ".join(allowed)).value
        if text not in allowed:
            decoder.stop(node, "type", f"{what} is {text!r}", "take one of " + ", ".join(allowed))
        return text

    return read


def _text(decoder: _Decoder, node: Node, what: str) -> str:
    scalar = decoder.scalar(node, what, "text")
    text = scalar.value
    if scalar.plain and (text == "" or _NOT_TEXT.match(text)):
        found = f"{what} should be text, but {decoder.language} reads {text or 'nothing'} as something else"
        decoder.stop(node, "type", found, f'write "{text}" in quotes')
    return text


def _integer(decoder: _Decoder, node: Node, what: str) -> int:
    scalar = decoder.scalar(node, what, "a whole number")
    text = scalar.value
    if not scalar.plain or not re.fullmatch(r"0|[1-9][0-9]{0,8}", text):
        decoder.stop(
            node, "type", f"{what} should be a whole number, found {text!r}", "write digits, no quotes"
        )
    return int(text)


def _boolean(decoder: _Decoder, node: Node, what: str) -> bool:
    scalar = decoder.scalar(node, what, "true or false")
    text = scalar.value
    if not scalar.plain or text not in ("true", "false"):
        decoder.stop(node, "type", f"{what} should be true or false, found {text!r}", "write true or false")
    return text == "true"


def _date(decoder: _Decoder, node: Node, what: str) -> date:
    scalar = decoder.scalar(node, what, "a date")
    text = scalar.value
    if not scalar.plain or not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        decoder.stop(node, "date", f"{what} should be a date, found {text!r}", "write it as 2023-10-15")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        decoder.stop(node, "date", f"{what} is {text}, which is not a day: {error}", "correct the date")


def _found(node: Node) -> str:
    if isinstance(node, Scalar):
        return (
            repr(node.value if len(node.value) <= 60 else f"{node.value[:60]}...")
            if node.value
            else "nothing"
        )
    return "a mapping" if isinstance(node, MappingNode) else "a list"


def nearest(word: str, known: Any) -> str:
    """The hint for a word that is not among those known."""
    close = _close(word, known)
    return "take one of " + ", ".join(known) if close is None else f"did you mean {close!r}?"


def _close(word: str, known: Any) -> str | None:
    """What a word was meant to be, as far as that can be seen."""
    from difflib import get_close_matches  # only mistakes pay for this import

    return next(iter(get_close_matches(word, list(known), n=1)), None)
