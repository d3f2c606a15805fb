"""What a wheel asked of the simulator in vain: operators, functions, libraries, found in messages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["operator", "function", "library"]

# How adapters, the loader and the simulator say that something is not there.
_SAYINGS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("operator", re.compile(r"(aclnn\w+?)(?:GetWorkspaceSize)? or aclnn\w+ not in ")),
    ("operator", re.compile(r"simulator has no operator '([^']+)'")),
    ("function", re.compile(r"Failed to find function (\w+)")),
    ("function", re.compile(r"undefined symbol: (\w+)")),
    ("function", re.compile(r"(\w+): the CANN simulator does not have this")),
    ("library", re.compile(r"(lib[\w.+-]+\.so[\d.]*): cannot open shared object file")),
)


@dataclass(frozen=True)
class Lack:
    """One thing that the simulator does not have, and the groups (or the step) that asked for it."""

    kind: Kind
    name: str
    asked_by: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {"kind": self.kind, "name": self.name, "asked_by": list(self.asked_by)}


def find_lacks(said: Mapping[str, Iterable[str]]) -> Iterator[Lack]:
    """Search the messages of every group for what was missing; each thing once, in the order of its kind."""
    asked: dict[tuple[Kind, str], dict[str, None]] = {}
    for group, messages in said.items():
        for message in messages:
            for kind, saying in _SAYINGS:
                for name in saying.findall(message):
                    asked.setdefault((kind, name), {})[group] = None
    for kind, name in sorted(asked):
        yield Lack(kind, name, tuple(asked[kind, name]))


def report(lacks: Iterable[Lack], versions: Mapping[str, str]) -> str:
    """What is missing, by name, and what a report of it needs."""
    lines = [f"  {lack.kind} {lack.name}  ({', '.join(lack.asked_by)})" for lack in lacks]
    made_of = ", ".join(f"{name} {version}" for name, version in versions.items())
    return "\n".join(
        [
            "The simulator does not know everything that this wheel asks for:",
            *lines,
            f"Please report these names to the simulator's project, with: {made_of}",
        ]
    )
