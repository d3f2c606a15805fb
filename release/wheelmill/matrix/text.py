"""From a path to nodes with line numbers: what can go wrong before a row is a row.

Nodes are built from libyaml's events, not by its composer: that one recurses in C and takes the process down
on deep nesting, and follows aliases silently.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml
from yaml import CBaseLoader
from yaml.reader import ReaderError

MAX_BYTES = 32 << 20
MAX_DEPTH = 16  # the matrix needs 7


@dataclass(frozen=True)
class Problem:
    """A mistake of form: the line (from 1), the rule broken, what was found, how to mend it."""

    line: int
    rule: str
    message: str
    fix: str


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


class _Refused(Exception):
    def __init__(self, line: int, rule: str, message: str, fix: str) -> None:
        self.problem = Problem(line, rule, message, fix)


def read(path: Path, problems: list[Problem]) -> bytes | None:
    """The bytes of a file of sane size; None with a problem noted."""
    try:
        if path.stat().st_size <= MAX_BYTES:
            return path.read_bytes()
        problem = Problem(1, "readable-file", f"the file has over {MAX_BYTES >> 20} MiB", "give compat.yaml")
    except FileNotFoundError:
        problem = Problem(1, "readable-file", "there is no such file", "give the path of compat.yaml")
    except IsADirectoryError:
        problem = Problem(1, "readable-file", "this is a directory", "give the path of compat.yaml in it")
    except (OSError, ValueError) as error:
        problem = Problem(1, "readable-file", f"cannot be read: {error}", "give the path of a readable file")
    problems.append(problem)
    return None


def parse(content: bytes, problems: list[Problem]) -> Node | None:
    """The root node, every scalar as text; None with a problem noted."""
    try:
        return _compose(content.decode("utf-8"))
    except _Refused as refused:
        problem = refused.problem
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{content[error.start]:02x} is not UTF-8"
        problem = Problem(line, "utf-8", found, "save the file as UTF-8")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        about = ", ".join(filter(None, (error.context, error.problem)))
        fix = "correct the YAML here or just above (indentation is spaces, never tabs)"
        problem = Problem(mark.line + 1 if mark else 1, "yaml-syntax", about, fix)
    except ReaderError as error:
        line = content[: error.position].count(b"\n") + 1
        problem = Problem(line, "yaml-syntax", str(error.reason), "remove the control character")
    problems.append(problem)
    return None


def _compose(text: str) -> Node:
    """Nodes from events, with a stack of our own; `open_keys` holds the key that waits for its value."""
    loader = CBaseLoader(text)
    try:
        root = _compose_events(loader)
    finally:
        loader.dispose()
    if root is None:
        raise _Refused(1, "yaml-syntax", "the file is empty", "start from the committed compat.yaml")
    return root


def _compose_events(loader: CBaseLoader) -> Node | None:
    root: Node | None = None
    stack: list[Sequence | Mapping] = []
    keys: list[Node | None] = []
    get_event = loader.get_event
    while True:
        event = get_event()
        kind = type(event)
        node: Node
        if kind is yaml.ScalarEvent:
            node = Scalar(event.start_mark.line + 1, event.value, not event.style)
        elif kind is yaml.MappingStartEvent:
            node = Mapping(event.start_mark.line + 1, [])
        elif kind is yaml.SequenceStartEvent:
            node = Sequence(event.start_mark.line + 1, [])
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            stack.pop()
            keys.pop()
            continue
        elif kind is yaml.StreamEndEvent:
            return root
        elif kind is yaml.AliasEvent:
            raise _alias(event)
        elif kind is yaml.DocumentStartEvent and root is not None:
            line = event.start_mark.line + 1
            raise _Refused(line, "yaml-syntax", "a second document starts", "keep one document per file")
        else:
            continue
        if event.anchor is not None:
            raise _alias(event)
        if not stack:
            root = node
        elif isinstance(top := stack[-1], Sequence):
            top.items.append(node)
        elif keys[-1] is None:
            keys[-1] = node
        else:
            top.pairs.append((keys[-1], node))
            keys[-1] = None
        if kind is not yaml.ScalarEvent:
            stack.append(node)  # type: ignore[arg-type]
            keys.append(None)
            if len(stack) > MAX_DEPTH:
                raise _Refused(node.line, "yaml-depth", "values are nested too deeply", "no field nests so deep")


def _alias(event: yaml.Event) -> _Refused:
    line = event.start_mark.line + 1
    return _Refused(line, "no-alias", "a YAML anchor or alias", "write the value out: one row, one block")
