"""What is known of failures in the field, and what was found in a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from wheelmill.console import shell_line
from wheelmill.pick.model import Lang, Words

# What a match says, the most telling first: the cause itself; a general row that yields to any cause; a
# message that only passes on another failure; a remark that is not a failure.
Level = Literal["cause", "guess", "wrapper", "notice"]
LEVELS: tuple[Level, ...] = ("cause", "guess", "wrapper", "notice")


# Commands of rows for which those of a machine's toolkit stand: to load it, and to install what it imports.
LOAD, IMPORTS = "source {set_env}", "pip install {cann_python}"


@dataclass(frozen=True)
class Failure:
    """One failure of the field.

    `needles` are fixed strings: only where one of them stands is `pattern` tried. `values` names the groups
    of the pattern, and `{name}` stands for them in the texts and commands. `printed_by` is the program whose
    words these are; `seen` are public threads.
    """

    id: str
    printed_by: str
    level: Level
    needles: tuple[str, ...]
    pattern: str
    values: tuple[str, ...]
    title: Words
    cause: Words
    cure: Words
    commands: tuple[str, ...]
    seen: tuple[str, ...]

    @property
    def regex(self) -> re.Pattern[str]:
        """The pattern compiled: ASCII classes, as in JavaScript."""
        return re.compile(self.pattern, re.ASCII)


@dataclass(frozen=True)
class Recorded:
    """Which recorded versions of torch have a symbol, on each architecture, oldest first.

    `first` and `last` bound what is recorded. `ranges` are the same versions for people: `1.11.0 to 2.8.0`.
    `torch` is the newest of them that an adapter can be had for, and `adapter` the version of that.
    """

    first: str
    last: str
    versions: Mapping[str, tuple[str, ...]]
    ranges: Mapping[str, str]
    torch: str | None = None
    adapter: str | None = None


@dataclass(frozen=True)
class Symbol:
    """A symbol that a loader missed: as printed, readable, its owner, and who has it if that is known.

    `since` and `until` bound the versions of `package` that have it, by a row of matrix/symbols.yaml.
    `recorded` is what the records of torch's interface tell.
    """

    mangled: str
    name: str
    owner: str | None
    package: str | None = None
    since: str | None = None
    until: str | None = None
    basis: str | None = None
    recorded: Recorded | None = None


@dataclass(frozen=True)
class Match:
    """A failure that was found: on which line (from 1), the words, and the values in them.

    `toolkit` has the commands of a machine that stand for those of a row, by these.
    """

    failure: Failure
    line: int
    quote: str
    values: Mapping[str, str]
    symbol: Symbol | None = None
    toolkit: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def words(self, texts: Words, lang: Lang) -> str:
        """A text of the failure in one language, with the values in it."""
        return fill(texts[lang], self.values)

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands of the cure, with the values in them as single words of a shell."""
        words = {name: shell_line(value) if value else "" for name, value in self.values.items()}
        return tuple(fill(one, words) for one in on_machine(self.failure.commands, self.toolkit))


@dataclass(frozen=True)
class Explanation:
    """What a text says: the cause first, then what else matched; nothing when no failure is known.

    `last_error` is the last line that looks like an error, `codes` the error codes of torch_npu and CANN in
    the text, `reporter` the package of the last frame: what to send where when nothing matched. The text
    `ends_otherwise` where its last traceback comes after the cause and has no error code: the cause may have
    been dealt with.
    """

    matches: tuple[Match, ...]
    last_error: str | None
    codes: tuple[str, ...]
    reporter: str | None
    ends_otherwise: bool = False

    @property
    def cause(self) -> Match | None:
        """The innermost cause; None when nothing matched, or only remarks that are no failure."""
        found = self.matches[0] if self.matches else None
        return found if found is not None and found.failure.level != "notice" else None


def on_machine(commands: Iterable[str], toolkit: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Commands of a row with those of a machine's toolkit in their place."""
    return tuple(one for command in commands for one in toolkit.get(command, (command,)))


def fill(text: str, values: Mapping[str, str]) -> str:
    """`{name}` replaced where there is such a value; other braces stay."""
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), text)
