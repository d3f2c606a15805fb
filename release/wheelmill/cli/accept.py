"""`wheelmill accept`: any torch_npu wheel against the capability groups, on the simulator."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheelmill.cli import output_options, project
from wheelmill.cli.options import CellOptions, EngineOptions, engine_options
from wheelmill.console import Console

if TYPE_CHECKING:
    from wheelmill.make.build import Workshop
    from wheelmill.matrix import Cell
    from wheelmill.prove.accept.acceptance import Acceptance, Supplies
    from wheelmill.prove.accept.subject import Subject


@dataclass(frozen=True)
class Asked:
    """Which wheel is to be tested, or the wheels of which cells, with which simulator and groups."""

    wheel: str | None = None
    cells: tuple[str, ...] = ()
    torch: str | None = None
    simulator: str | None = None
    python: str | None = None
    groups: tuple[str, ...] = ()
    into: Path | None = None

    def check(self, in_container: bool) -> None:
        """Raises UsageError for options that do not go together."""
        if (self.wheel is None) == (not self.cells):
            raise click.UsageError(
                "Name a wheel, such as torch-npu==2.13.0 or dist/NAME.whl, or cells with --cell 3.11-x86_64."
            )
        if self.into is not None and in_container:
            raise click.UsageError("--into makes the environment on this machine, not in a container.")
        given = {"--simulator": self.simulator, "--python": self.python, "--into": self.into}
        for option, value in given.items():
            if value is not None and self.wheel is None:
                raise click.UsageError(f"{option} goes with a WHEEL.")


@click.command()
@click.argument("wheel", metavar="[FILE | NAME==VERSION]", required=False)
@click.option(
    "--cell",
    "cells",
    multiple=True,
    metavar="CELL",
    help="Build this cell and test its wheel; can be repeated.",
)
@click.option("--torch", metavar="VERSION", help="The torch that the wheel must be for.")
@click.option(
    "--simulator",
    metavar="FILE | NAME==VERSION",
    help="The simulator's wheel. [default: the one for the wheel's torch, built if it is not cached]",
)
@click.option("--python", metavar="VERSION", help="Download the wheel for this Python, such as 3.10.")
@click.option(
    "--group",
    "groups",
    multiple=True,
    metavar="NAME",
    help="Run only this capability group; can be repeated.",
)
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Create the environment in FOLDER and keep it; then: FOLDER/bin/cann-simulator run -- PROGRAM",
)
@click.option("--in-container", is_flag=True, help="Run in a container, not with this machine's Python.")
@engine_options
@output_options
def accept(
    wheel: str | None,
    cells: tuple[str, ...],
    torch: str | None,
    simulator: str | None,
    python: str | None,
    groups: tuple[str, ...],
    into: Path | None,
    in_container: bool,
    engine: EngineOptions,
    console: Console,
) -> int:
    """Test any torch_npu wheel against the capability groups.

    Give a file, or a name that pip downloads, such as torch-npu==2.13.0. A name without a version takes the
    newest that can run here. The wheel is installed with its torch and the simulator. It multiplies two
    matrices, and then each capability group compares the device with the CPU. Exit code 1 if a check fails.
    """
    asked = Asked(wheel, cells, torch, simulator, python, groups, into)
    asked.check(in_container)
    workshop = dataclasses.replace(engine.workshop(console), run_in_container=in_container)
    results = [_accept(*one, asked, workshop, console) for one in _wanted(asked, workshop, console)]
    documents = [result.to_json() for result in results]
    console.result(documents[0] if wheel is not None else {"schema": 1, "wheels": documents})
    return 0 if all(result.ok for result in results) else 1


def _wanted(asked: Asked, workshop: Workshop, console: Console) -> Iterable[tuple[Subject, Supplies]]:
    from wheelmill.prove.accept.provision import obtain, provide
    from wheelmill.prove.accept.subject import check_torch

    matrix = project().matrix()
    if asked.wheel is None:
        return _of_cells(CellOptions(asked.cells, torch=asked.torch).cells(matrix), workshop, console)
    with console.step(f"wheel {asked.wheel}"):
        published = project().catalogue()
        subject = obtain(asked.wheel, matrix, workshop, asked.python, asked.simulator, published=published)
    if asked.torch is not None:
        check_torch(subject, asked.torch, "--torch asks for")

    def build(cell: Cell) -> Path:
        from wheelmill.publish.pipeline import run

        console.note(f"simulator for torch {subject.torch}, {subject.arch}")
        (outcome,) = run((cell,), workshop, console, smoke="never")
        return outcome.simulator.path

    return [(subject, provide(subject, matrix, workshop, build, asked.simulator))]


def _of_cells(
    cells: tuple[Cell, ...], workshop: Workshop, console: Console
) -> Iterable[tuple[Subject, Supplies]]:
    """The built wheels of cells, each with the simulator of its own build."""
    from wheelmill.make.toolchain import sdk
    from wheelmill.prove.accept.acceptance import Supplies
    from wheelmill.prove.accept.subject import read_subject
    from wheelmill.publish.pipeline import run

    for outcome in run(cells, workshop, console, smoke="never"):
        torch, arch = outcome.built.cell.line.torch, outcome.built.cell.arch
        found = sdk.ensure(torch, arch, workshop.store, workshop.progress)
        wheel = workshop.store.export(found.sha256, workshop.store.root / "torch", found.wheel_name)
        supplies = Supplies(outcome.simulator.path, torch, wheel, workshop.torch_cpu_index)
        yield read_subject(Path(outcome.wheel.path), (torch.version,)), supplies


def _accept(
    subject: Subject, supplies: Supplies, asked: Asked, workshop: Workshop, console: Console
) -> Acceptance:
    from wheelmill.prove.accept.acceptance import accept
    from wheelmill.prove.accept.table import render
    from wheelmill.publish.pipeline import place_for

    with console.step(f"acceptance of {subject.title} for Python {subject.python} on {subject.arch}"):
        result = accept(
            subject,
            supplies,
            workshop.store.root / "smoke",
            groups=asked.groups or None,
            progress=console.progress,
            note=workshop.note,
            into=asked.into,
            place=place_for(subject, workshop),
        )
    if not console.json:
        result.check()
    console.say(result.found.get("printed", ""))
    console.say(render(result))
    return result
