"""From a path to nodes with line numbers: what can go wrong before a row is a row.

Nodes are built from libyaml's events, not by its composer: that one recurses in C and takes the process down
on deep nesting, and follows aliases silently.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from yaml import CBaseLoader
from yaml.reader import ReaderError

from wheelmill.limits import MAX_TEXT, read_regular
from wheelmill.matrix.problems import Problem

MAX_DEPTH = 16  # the matrix needs 7


@dataclass(eq=False)
class Scalar:
    """One value as text; `plain` when it stands without quotes, so that YAML readers guess its type."""

    line: int
    value: str
    plain: bool


@dataclass(eq=False)
class Sequence:
    """A list of nodes."""

    line: int
    items: list[Node]


@dataclass(eq=False)
class Mapping:
    """Key and value nodes in the order of the file, doubles included."""

    line: int
    pairs: list[tuple[Node, Node]]


Node: TypeAlias = "Scalar | Sequence | Mapping"


class _WithoutAliases(yaml.SafeLoader):
    """A few aliases of aliases would be a text without end, once it is printed."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias")
        return super().compose_node(parent, index)


def parse_plain(content: bytes) -> Any:
    """YAML as plain values, of files without rows or lines. Raises ValueError for anything else."""
    try:
        return yaml.load(content, Loader=_WithoutAliases)
    except (yaml.YAMLError, RecursionError, TypeError, OverflowError) as error:
        raise ValueError(" ".join(str(error).split())[:300] or "it is nested too deeply") from None


class _RefusedError(Exception):
    def __init__(self, line: int, rule: str, message: str, hint: str) -> None:
        self.problem = Problem(line, rule, message, hint)


def read(path: Path, problems: list[Problem]) -> bytes | None:
    """The bytes of a file of sane size; None with a problem noted."""
    try:
        return read_regular(path, MAX_TEXT)
    except FileNotFoundError:
        problem = Problem(
            1, "readable-file", "there is no such file", "give the path of a file that is there"
        )
    except IsADirectoryError:
        problem = Problem(1, "readable-file", "this is a directory", "give the path of a file in it")
    except OSError as error:
        found = f"cannot be read: {error.strerror}"
        problem = Problem(1, "readable-file", found, "give the path of a readable file")
    except ValueError as error:  # a path that no file can have
        problem = Problem(1, "readable-file", f"cannot be read: {error}", "give the path of a readable file")
    problems.append(problem)
    return None


def parse(content: bytes, problems: list[Problem]) -> Node | None:
    """The root node, every scalar as text; None with a problem noted."""
    try:
        return _compose(content.decode("utf-8"))
    except _RefusedError as refused:
        problem = refused.problem
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{content[error.start]:02x} is not UTF-8"
        problem = Problem(line, "utf-8", found, "save the file as UTF-8")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        about = ", ".join(filter(None, (error.context, error.problem)))
        hint = "correct the YAML here or just above (indentation is spaces, never tabs)"
        line = mark.line + 1 if mark else 1
        # libyaml reads ahead, and newer ones have a bound of their own.
        deep = "nesting depth" in about
        problem = _too_deep(line).problem if deep else Problem(line, "yaml-syntax", about, hint)
    except ReaderError as error:
        line = content[: error.position].count(b"\n") + 1
        problem = Problem(line, "yaml-syntax", str(error.reason), "remove the control character")
    problems.append(problem)
    return None


def _compose(text: str) -> Node:
    """The root node of the only document in the text."""
    loader = CBaseLoader(text)
    composer = _Composer()
    try:
        while not isinstance(event := loader.get_event(), yaml.StreamEndEvent):
            composer.take(event)
    finally:
        loader.dispose()
    if composer.root is None:
        raise _RefusedError(1, "yaml-syntax", "the file is empty", "start from the committed file")
    return composer.root


class _Composer:
    """Builds nodes from events; the stack is a list, so depth is bounded by a check and not by C's stack."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self._stack: list[Sequence | Mapping] = []
        self._keys: list[Node | None] = []  # per open node: the key that waits for its value

    def take(self, event: Any) -> None:
        """One event of libyaml's parser."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            if (hidden := unprintable(event.value)) is not None:
                raise _hidden(event, hidden)
            self._add(event, Scalar(event.start_mark.line + 1, event.value, not event.style))
        elif kind is yaml.MappingStartEvent:
            self._open(event, Mapping(event.start_mark.line + 1, []))
        elif kind is yaml.SequenceStartEvent:
            self._open(event, Sequence(event.start_mark.line + 1, []))
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._stack.pop()
            self._keys.pop()
        elif kind is yaml.AliasEvent:
            raise _alias(event)
        elif kind is yaml.DocumentStartEvent and self.root is not None:
            line = event.start_mark.line + 1
            raise _RefusedError(line, "yaml-syntax", "a second document starts", "keep one per file")

    def _open(self, event: Any, node: Sequence | Mapping) -> None:
        self._add(event, node)
        self._stack.append(node)
        self._keys.append(None)
        if len(self._stack) > MAX_DEPTH:
            raise _too_deep(node.line)

    def _add(self, event: Any, node: Node) -> None:
        if event.anchor is not None:
            raise _alias(event)
        if event.tag is not None:
            raise _tag(event)
        if not self._stack:
            self.root = node
            return
        top = self._stack[-1]
        if isinstance(top, Sequence):
            top.items.append(node)
        elif (key := self._keys[-1]) is None:
            self._keys[-1] = node
        else:
            top.pairs.append((key, node))
            self._keys[-1] = None


def _too_deep(line: int) -> _RefusedError:
    return _RefusedError(line, "yaml-depth", "values are nested too deeply", "no field nests so deep")


def _alias(event: Any) -> _RefusedError:
    line = event.start_mark.line + 1
    return _RefusedError(
        line, "no-alias", "a YAML anchor or alias", "write the value out: one row, one block"
    )


def _tag(event: Any) -> _RefusedError:
    line = event.start_mark.line + 1
    return _RefusedError(line, "no-tag", f"a YAML tag, {event.tag!r:.60}", "write the plain value")


def _hidden(event: Any, character: str) -> _RefusedError:
    line = event.start_mark.line + 1
    found = f"a character that cannot be seen, U+{ord(character):04X}"
    return _RefusedError(line, "visible-text", found, "remove it; a line break ends a sentence here")


def unprintable(text: str) -> str | None:
    """The first character that moves a terminal's cursor, turns text around or cannot be seen at all."""
    if text.isprintable():
        return None
    return next((one for one in text if not one.isprintable() and unicodedata.category(one) != "Zs"), None)
