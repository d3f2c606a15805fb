"""What a person sees: results on stdout, progress on stderr, one JSON document where a machine asked for it.

The only module that prints. rich is imported on first use, because a cached build must answer at once.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shlex
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from wheelmill.errors import WheelmillError

_LOG_SECONDS = 20.0  # between two lines about one step where no terminal shows a spinner
_OUTPUT = (errno.ENOSPC, errno.EIO, errno.EBADF, errno.EDQUOT, errno.EFBIG)  # how a write to it can fail
_KEPT: list[io.FileIO] = []  # what stands where a stream was closed
_WIDE = 160  # characters of a table where no terminal says how many it has


@dataclass
class Console:
    """Where a command's words go. With `json` only one document reaches stdout; `quiet` drops progress."""

    quiet: bool = False
    json: bool = False
    _step: str = field(default="", init=False)
    _status: Any = field(default=None, init=False)
    _said: float = field(default=0.0, init=False)

    def say(self, text: str = "") -> None:
        """A line of the result; silent under `json`."""
        if not self.json:
            print(visible(text), flush=True)

    def text(self, text: str) -> None:
        """A document for a file or another program, as it is."""
        print(text, end="", flush=True)

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[str]], *, whole: Sequence[str] = ()
    ) -> None:
        """A table as wide as the terminal; no word is cut. Silent under `json`.

        Columns named in `whole` keep to one line, the others break between words.
        """
        if self.json:
            return
        from rich.console import Console as RichConsole
        from rich.table import Table

        kept = [tuple(row) for row in rows]
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
        for place, column in enumerate(columns):
            longest = max((len(word) for row in kept for word in row[place].split()), default=0)
            table.add_column(column, no_wrap=column in whole, min_width=longest, overflow="fold")
        for row in kept:
            table.add_row(*map(visible, row))
        RichConsole(width=None if sys.stdout.isatty() else _WIDE, highlight=False).print(table)

    def result(self, data: object) -> None:
        """The command's answer as one JSON document; silent without `json`."""
        if self.json:
            escaped = not sys.stdout.encoding.lower().startswith("utf")
            print(json.dumps(data, ensure_ascii=escaped, indent=2), flush=True)

    def note(self, text: str, *, always: bool = False) -> None:
        """A line about the work under way, on stderr; `always` when it says what went wrong."""
        if always or not self.quiet:
            print(visible(text), file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """What is wrong and was dealt with, on stderr; `quiet` and `json` do not silence it."""
        self.note(text, always=True)

    def progress(self, text: str) -> None:
        """What the current step is doing: a spinner's text on a terminal, a line now and then in a log."""
        if self._status is not None:
            self._status.update(f"{self._step}: {text}")
        elif self._step and time.monotonic() - self._said >= _LOG_SECONDS:
            self._said = time.monotonic()
            self.note(f"{self._step}: {text}")

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One long step: a spinner with its text on a terminal, and in the end a line with its time."""
        self._step = title
        started = self._said = time.monotonic()
        with self._spinner(title):
            yield
        self._step = ""
        self.note(f"{title}  ({time.monotonic() - started:.1f} s)")

    @contextmanager
    def _spinner(self, title: str) -> Iterator[None]:
        if self.quiet or not sys.stderr.isatty():
            yield
            return
        from rich.console import Console as RichConsole

        with RichConsole(stderr=True).status(title) as self._status:
            try:
                yield
            finally:
                self._status = None


class Expanded(str):
    """A word that the shell is to expand, such as one with `$PWD`: written by this project, never data."""

    __slots__ = ()


def shell_line(*words: str) -> str:
    """A command to be pasted into a shell: every word quoted that the shell would read otherwise.

    Control characters, which could move a terminal's cursor or end the line, become visible escapes.
    """
    return " ".join(
        one if isinstance(one, Expanded) else shlex.quote(visible(one, lines=False)) for one in words
    )


def visible(text: str, *, lines: bool = True) -> str:
    """The text with an escape for each character that moves a terminal's cursor, or that nobody sees.

    What others wrote (names in wheels, words of documents, output of programs) passes here on its way to a
    terminal. Line breaks and tabs stay, unless `lines` is False.
    """
    if text.isprintable():
        return text
    return "".join(
        one
        if one.isprintable() or (lines and one in "\n\t") or unicodedata.category(one) == "Zs"
        else one.encode("unicode_escape").decode()
        for one in text
    )


def without_password(text: str) -> str:
    """The text without what stands before the host of an address: it may be a password."""
    return re.sub(r"//[^/@\s]+@", "//***@", text)


class _Closed(io.RawIOBase):
    """Standard output that was closed by who started this: writing to it fails, as on a full disk."""

    def writable(self) -> bool:
        """It claims to be, so that what is written is missed, and not that it was opened wrong."""
        return True

    def write(self, data: object) -> int:
        """Always an OSError."""
        raise OSError(errno.EBADF, "it is closed")


def ready_streams() -> None:
    """Let every text be printed: what a stream's encoding lacks, as an escape; a closed one fails on use."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by who started this; its number is taken, lest a file gets it
            taken = io.FileIO(os.devnull, "w")
            raw = io.BufferedWriter(_Closed()) if name == "stdout" else io.BufferedWriter(taken)
            setattr(sys, name, io.TextIOWrapper(raw, encoding="utf-8"))
            _KEPT.append(taken)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def finish_output() -> None:
    """Bring the last words out, while it can still be said that this failed."""
    sys.stdout.flush()


def unusable(error: OSError) -> WheelmillError | None:
    """What to say of a file that cannot be had, or of standard output that takes nothing more; else None."""
    if error.filename is not None:
        return WheelmillError(
            f"{os.fsdecode(error.filename)}: {error.strerror}",
            hint="Name a place that is there, and that you may use.",
        )
    if error.errno not in _OUTPUT:
        return None
    drop_output()
    return WheelmillError(
        f"the output cannot be written: {error.strerror}",
        hint="Finished work is kept; run the command again with another output.",
    )


def drop_output() -> None:
    """Drop what could not be written, or Python would try, and fail, again on its way out."""
    sys.stdout = io.TextIOWrapper(io.FileIO(os.devnull, "w"), encoding="utf-8")


def interrupted() -> None:
    """What Ctrl-C and SIGTERM say in the end."""
    tell("interrupted; finished work is kept; run the same command again to continue")


def fail(error: WheelmillError) -> int:
    """Print an error the one way all are printed; return the exit code."""
    tell(f"{error.label}{visible(error.message)}")
    if error.hint:
        tell(f"  {visible(error.hint)}".replace("\n", "\n  "))
    return error.exit_code


def tell(text: str) -> None:
    """Last words on stderr; where they cannot be written, the exit code has to say it."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # dropped, or Python would try again on its way out, and end with a code of its own
        sys.stderr = io.TextIOWrapper(io.FileIO(os.devnull, "w"), encoding="utf-8")
