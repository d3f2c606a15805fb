"""`wheelmill smoke --wheel ...` and `--capabilities`: the acceptance run of wheels of any make."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wheelmill.cli import project
from wheelmill.console import Console

if TYPE_CHECKING:
    from wheelmill.cli.words import CellWords
    from wheelmill.make.build import Workshop
    from wheelmill.matrix import Cell
    from wheelmill.prove.accept.acceptance import Acceptance, Supplies
    from wheelmill.prove.accept.subject import Subject

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class WheelWords:
    """Which wheel of any make is to be tested, with which simulator, and in which capability groups."""

    wheel: str | None = None
    simulator: str | None = None
    python: str | None = None
    groups: tuple[str, ...] = ()
    capabilities: bool = False
    into: Path | None = None

    def __bool__(self) -> bool:
        """Whether an acceptance run is meant rather than a cell's own smoke run."""
        return self.wheel is not None or self.capabilities or bool(self.groups)

    def check(self, cells: CellWords, in_container: bool) -> None:
        """Raises UsageError for words that do not go together."""
        if self.into is not None and in_container:
            raise click.UsageError("--into makes the environment on this machine, not in a container.")
        if self.wheel is not None and (cells.names or cells.line or cells.everything):
            raise click.UsageError("--wheel names the wheel: no cell, --line or --all goes with it.")
        words = (("--simulator", self.simulator), ("--python", self.python), ("--into", self.into))
        for word, given in words:
            if given and self.wheel is None:
                raise click.UsageError(f"{word} goes with --wheel.")


def wheel_options(function: F) -> F:
    """--wheel and its words; the command gets them as one WheelWords named `tested`."""

    @click.option(
        "--wheel",
        metavar="FILE | NAME==VERSION",
        help="Test this wheel, of any make: a file, or one that pip downloads, such as torch-npu==2.13.0; "
        "without a version, the newest that can be run here.",
    )
    @click.option(
        "--simulator",
        metavar="FILE | NAME==VERSION",
        help="The simulator's wheel for it. [default: built for its torch, or known from the store]",
    )
    @click.option("--python", metavar="VERSION", help="Download the wheel for this Python, such as 3.10.")
    @click.option(
        "--into",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="Make the environment there and leave it for use: FOLDER/bin/cann-simulator run -- PROGRAM",
    )
    @click.option("--group", "groups", multiple=True, metavar="NAME", help="Run this capability group only.")
    @click.option("--capabilities", is_flag=True, help="Run the capability groups on the cells' wheels too.")
    @wraps(function)
    def wrapped(
        *args: Any,
        wheel: str | None,
        simulator: str | None,
        python: str | None,
        groups: tuple[str, ...],
        capabilities: bool,
        into: Path | None,
        **rest: Any,
    ) -> Any:
        return function(
            *args, tested=WheelWords(wheel, simulator, python, groups, capabilities, into), **rest
        )

    return wrapped  # type: ignore[return-value]


def accept_wheels(words: WheelWords, cells: CellWords, works: Workshop, console: Console) -> int:
    """Run the acceptance of one wheel, or of the wheels of cells; 1 when something failed."""
    results = [
        _accept(subject, supplies, words, works, console)
        for subject, supplies in _wanted(words, cells, works, console)
    ]
    documents = [result.to_json() for result in results]
    console.result(documents[0] if words.wheel is not None else {"schema": 1, "wheels": documents})
    return 0 if all(result.ok for result in results) else 1


def _wanted(
    words: WheelWords, cells: CellWords, works: Workshop, console: Console
) -> Iterable[tuple[Subject, Supplies]]:
    from wheelmill.cli.words import own_cell
    from wheelmill.prove.accept.provision import obtain, provide
    from wheelmill.prove.accept.subject import check_torch

    matrix = project().matrix()
    if words.wheel is None:
        return _of_cells(cells.cells(matrix) if cells else (own_cell(matrix),), works, console)
    with console.step(f"wheel {words.wheel}"):
        subject = obtain(words.wheel, matrix, works, words.python, words.simulator)
    if cells.torch is not None:
        check_torch(subject, cells.torch, "--torch asks for")
    return [(subject, provide(subject, matrix, works, console, words.simulator))]


def _of_cells(
    cells: tuple[Cell, ...], works: Workshop, console: Console
) -> Iterable[tuple[Subject, Supplies]]:
    """The built wheels of cells, each with the simulator of its own build."""
    from wheelmill.make.toolchain import sdk
    from wheelmill.prove.accept.acceptance import Supplies
    from wheelmill.prove.accept.subject import read_subject
    from wheelmill.publish.pipeline import run

    for outcome in run(cells, works, console, smoke="never"):
        torch, arch = outcome.built.cell.line.torch, outcome.built.cell.arch
        found = sdk.ensure(torch, arch, works.store, works.progress)
        wheel = works.store.export(found.sha256, works.store.root / "torch", found.wheel_name)
        supplies = Supplies(outcome.simulator.path, torch, wheel, works.torch_cpu_index)
        yield read_subject(Path(outcome.wheel.path), (torch.version,)), supplies


def _accept(
    subject: Subject, supplies: Supplies, words: WheelWords, works: Workshop, console: Console
) -> Acceptance:
    from wheelmill.prove.accept.acceptance import accept
    from wheelmill.prove.accept.table import render
    from wheelmill.publish.pipeline import place_for

    with console.step(f"acceptance of {subject.title} for Python {subject.python} on {subject.arch}"):
        result = accept(
            subject,
            supplies,
            works.store.root / "smoke",
            groups=words.groups or None,
            progress=console.progress,
            note=works.note,
            into=words.into,
            place=place_for(subject, works),
        )
    if not console.json:
        result.check()
    console.say(result.found.get("printed", ""))
    console.say(render(result))
    return result
