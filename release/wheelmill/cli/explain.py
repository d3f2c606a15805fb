"""`wheelmill explain`: the cause of a failure, from its messages."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from wheelmill.cli import output_options, project
from wheelmill.cli.language import language_option
from wheelmill.cli.matrix import today
from wheelmill.console import Console, tell

if TYPE_CHECKING:
    from wheelmill.pick.failures import Explanation
    from wheelmill.pick.failures.model import Recorded
    from wheelmill.pick.model import Lang
    from wheelmill.project import Project

PROGRAM = "wheelmill.program"
ENDS = 64 << 20  # bytes that are kept of each end of a longer text
MOST = 8 << 30  # bytes of standard input, which may be a device that never ends
_CHUNK = 1 << 20


class WithProgram(click.Command):
    """A command that takes a program and its arguments after `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Set the program aside; its options are its own."""
        if "--" in args:
            at = args.index("--")
            ctx.meta[PROGRAM] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)


@click.command(cls=WithProgram, options_metavar="[OPTIONS]")
@click.argument("file", type=click.Path(path_type=Path), required=False, metavar="[FILE | -- PROGRAM...]")
@language_option
@output_options
@click.pass_context
def explain(ctx: click.Context, file: Path | None, language: Lang, console: Console) -> int:
    """Say what a failure of torch, torch_npu or CANN means and what to do, from what was printed.

    Reads FILE, or standard input. After `--` runs a program, passes on its output and exit code, and explains
    what it dies of; 127 if there is no such program, 126 if it cannot be run. Exit code 1 if no known failure
    is in the text.
    """
    from wheelmill.pick.words import say

    if PROGRAM in ctx.meta:
        if file is not None:
            raise click.UsageError(say("file or program")[language])
        return _run(ctx.meta[PROGRAM], language, console)
    found = explained(_read(file, language))
    _show(found, language, console)
    return 0 if found.cause else 1


def _run(words: Sequence[str], language: Lang, console: Console) -> int:
    """Run a program; its own exit code is ours."""
    from wheelmill.pick.failures.run import run
    from wheelmill.pick.words import say

    if not words:
        raise click.UsageError(say("no program")[language])
    ran = run(words, to_stderr=console.json)
    found = explained(ran.output)
    if ran.code:
        ended = say(
            "killed" if ran.signal else "ended", program=words[0], code=str(ran.code), signal=ran.signal or ""
        )
        console.note(f"\n{ended[language]}", always=True)
        _show(found, language, console, aside=True)
    elif console.json:
        _show(found, language, console)
    return ran.code


def _show(found: Explanation, language: Lang, console: Console, *, aside: bool = False) -> None:
    """The explanation on stdout, or aside on stderr where stdout is the program's."""
    from wheelmill.pick.failures import render, to_json

    text = render(found, language)
    console.result(to_json(found))
    if not aside:
        console.say(text)
    elif not console.json:
        console.note(text, always=True)


def explained(text: str) -> Explanation:
    """A text explained by all that is known."""
    from wheelmill.pick.doctor.look import toolkit
    from wheelmill.pick.failures import explain as explaining
    from wheelmill.pick.failures import failures, load_symbols
    from wheelmill.pick.failures.toolkit import own_commands

    here = project()
    matrix, found = here.matrix(), toolkit(os.environ)
    defaults = {"cpu_index": matrix.document.torch_cpu_index}
    commands = own_commands(
        matrix,
        found.version if found is not None else None,
        found.set_env if found is not None else None,
    )
    symbols = load_symbols(here.matrix_file.with_name("symbols.yaml"), lambda symbol: _recorded(here, symbol))
    return explaining(text, failures(), symbols, defaults, commands)


def _recorded(here: Project, symbol: str) -> Recorded | None:
    """What the records of torch's interface tell of a symbol; they are read only for this.

    A record that is damaged is told of, and does not take the explanation away.
    """
    from wheelmill.prove.abi.model import AbiError

    try:
        return _told(here, symbol)
    except AbiError as error:
        tell(f"note: {error}")
        return None


def _told(here: Project, symbol: str) -> Recorded | None:
    from wheelmill.pick import Pick, Request, Shelf, answer
    from wheelmill.pick.failures.symbols import recorded
    from wheelmill.prove.abi.kept import Shelf as Records

    records, shelf = (
        Records(here.abi_folder),
        Shelf(here.matrix(), here.catalogue(), today()),
    )
    every: dict[str, list[str]] = {}
    having: dict[str, list[str]] = {}
    for origins, found in ((records.origins, every), (records.having(symbol), having)):
        for one in origins:
            if one.package == "torch":
                found.setdefault(one.arch, []).append(one.version)

    def adapter_of(torch: str) -> str | None:
        found = answer(shelf, Request(torch=torch), {})
        had = isinstance(found, Pick) and found.offer.how in ("index", "download")
        return found.offer.adapter if isinstance(found, Pick) and had else None

    return recorded(every, having, adapter_of)


def _read(file: Path | None, language: Lang) -> str:
    """The text, whatever bytes it has; of a very long one both ends."""
    from wheelmill.pick.failures.decode import decoded
    from wheelmill.pick.model import SaidError
    from wheelmill.pick.words import say

    if file is None or str(file) == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise click.UsageError(say("no text")[language])
        return "\n".join(map(decoded, _ends(sys.stdin.buffer)))
    hint = say("hint no text")
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise SaidError(say("not regular", file=str(file)), hint=hint)
            parts = [stream.read(status.st_size if status.st_size <= 2 * ENDS else ENDS)]
            if status.st_size > 2 * ENDS:
                stream.seek(status.st_size - ENDS)
                parts.append(stream.read(ENDS))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise SaidError(say("not read", file=str(file), error=why), hint=hint) from None
    return "\n".join(map(decoded, parts))


def _ends(stream: IO[bytes]) -> list[bytes]:
    """All of a stream, or its two ends; never more than both in memory."""
    from wheelmill.pick.model import SaidError
    from wheelmill.pick.words import say

    head, tail, size = bytearray(), bytearray(), 0
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        if size > MOST:
            raise SaidError(say("too much", size=str(MOST >> 30)), hint=say("hint too much"))
        room = ENDS - len(head)
        head += chunk[:room] if room > 0 else b""
        tail += chunk[max(room, 0) :]
        if len(tail) > 2 * ENDS:
            del tail[:-ENDS]
    return [bytes(head), bytes(tail[-ENDS:])] if size > 2 * ENDS else [bytes(head + tail)]
