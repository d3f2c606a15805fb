"""`wheelmill plan`, `build`, `audit`, `smoke`, `quickstart`: the making wing's commands."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wheelmill.cli import output_options, project
from wheelmill.console import Console
from wheelmill.errors import WheelmillError

if TYPE_CHECKING:
    from wheelmill.build import Workshop
    from wheelmill.engines import Engine
    from wheelmill.matrix import Cell, Matrix
    from wheelmill.pipeline import Outcome
    from wheelmill.store import Store

F = TypeVar("F", bound=Callable[..., Any])
ENGINES = ("host", "docker")


def cell_options(function: F) -> F:
    """CELL... with --line, --torch, --engine and --jobs."""
    options = (
        click.argument("cells", nargs=-1, metavar="[PYTHON-ARCH]..."),
        click.option(
            "--line", metavar="BRANCH", help="Of this release line; without cells, all of its cells."
        ),
        click.option("--torch", metavar="VERSION", help="Of the newest line with this torch."),
        click.option(
            "--engine",
            type=click.Choice(ENGINES),
            default="host",
            show_default=True,
            help="Where to compile.",
        ),
        click.option(
            "-j", "--jobs", type=click.IntRange(min=1), help="Parallel compilers [default: CPUs and memory]."
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def wanted_cells(
    matrix: Matrix, names: tuple[str, ...], line: str | None, torch: str | None
) -> tuple[Cell, ...]:
    """The cells that the words name; raises WheelmillError saying what exists."""
    if names:
        return tuple(matrix.cell(*_axes(name), line=line, torch=torch) for name in names)
    if line is not None:
        found = tuple(cell for cell in matrix.cells() if cell.line.branch == line)
        if not found:
            raise WheelmillError(f"Line {line} cannot be built: {matrix.line(line).reason}")
        return found
    if torch is not None:
        newest = next((cell.line for cell in matrix.cells() if cell.line.torch.version == torch), None)
        if newest is None:
            known = dict.fromkeys(cell.line.torch.version for cell in matrix.cells())
            raise WheelmillError(
                f"No buildable line is on torch {torch}.", hint="There are lines on torch " + ", ".join(known)
            )
        return newest.cells()
    raise click.UsageError("Name a cell such as 3.11-x86_64, or a --line, or a --torch.")


def _axes(name: str) -> tuple[str, str]:
    from wheelmill.matrix.versions import arch_name, python_name

    python, _, arch = name.partition("-")
    try:
        return python_name(python), arch_name(arch)
    except ValueError as error:
        raise WheelmillError(
            f"{name!r} is no cell: {error}.",
            hint="A cell is a Python and an architecture, such as 3.8-aarch64.",
        ) from None


def workshop(engine: str, jobs: int | None, console: Console) -> Workshop:
    """What the project builds with."""
    from wheelmill.build import Workshop
    from wheelmill.store import Store, default_root

    here = project()
    matrix = here.matrix()
    store = Store(default_root(here.checkout))
    return Workshop(
        store=store,
        engine=_engine(engine, store, matrix, console),
        adapter=here.adapter,
        lines=matrix.lines,
        torch_cpu_index=matrix.document.torch_cpu_index,
        progress=console.progress,
        jobs=jobs,
    )


def _engine(name: str, store: Store, matrix: Matrix, console: Console) -> Engine:
    if name == "docker":
        from wheelmill.engines.docker import DockerEngine
        from wheelmill.images import ImageShop

        return DockerEngine(ImageShop(store.root, matrix.digest, progress=console.progress))
    from wheelmill.engines.host import HostEngine

    return HostEngine(store.root / "tools")


@click.command()
@cell_options
@output_options
def plan(
    cells: tuple[str, ...],
    line: str | None,
    torch: str | None,
    engine: str,
    jobs: int | None,
    console: Console,
) -> int:
    """Say what a build of these cells would do: cached, to build, or refused with the reason."""
    from wheelmill.build import make_plan

    works = workshop(engine, jobs, console)
    made = make_plan(wanted_cells(project().matrix(), cells, line, torch), works)
    console.result(made.to_json())
    for group in made.groups:
        console.say(f"{group.bundle.name}  native files {'cached' if group.cached else 'to build'}")
        for step in group.steps:
            console.say(f"  {step.cell.key}  {step.state}")
    for step in made.refused:
        console.say(f"{step.cell.key}  refused: {step.reason}")
    console.say(", ".join(f"{count} {state}" for state, count in made.counts().items()))
    return 1 if made.refused else 0


@click.command()
@cell_options
@click.option("--no-smoke", is_flag=True, help="Do not install and run the wheels.")
@output_options
def build(
    cells: tuple[str, ...],
    line: str | None,
    torch: str | None,
    engine: str,
    jobs: int | None,
    no_smoke: bool,
    console: Console,
) -> int:
    """Build, audit, index and run the wheels of cells such as 3.11-x86_64.

    A cell means the newest line that supports it; --line and --torch choose another. What is known is not
    done again. What this machine cannot run, --engine docker runs in a container, under emulation if need be.
    """
    from wheelmill.pipeline import run

    chosen = wanted_cells(project().matrix(), cells, line, torch)
    outcomes = run(chosen, workshop(engine, jobs, console), console, smoke="never" if no_smoke else "once")
    _report(outcomes, console)
    return 0


def _report(outcomes: tuple[Outcome, ...], console: Console) -> None:
    console.result({"schema": 1, "cells": [outcome.to_json() for outcome in outcomes]})
    for outcome in outcomes:
        console.say(_told(outcome))


def _told(outcome: Outcome) -> str:
    smoke = (
        f"not run: {outcome.not_run}"
        if outcome.smoke is None
        else "ran: mm on the simulated NPU equals the CPU"
    )
    known = "  (nothing to do: known by its content key)" if outcome.cached else ""
    return (
        f"{outcome.built.cell.key}{known}\n  wheel  {outcome.wheel.path}\n"
        f"  audit  {outcome.wheel.summary}\n  smoke  {smoke}"
    )


@click.command()
@click.argument("wheels", nargs=-1, type=click.Path(path_type=Path), metavar="[WHEEL]...")
@click.option("--policy", metavar="NAME", help="Hold wheels to this platform policy, e.g. manylinux_2_28.")
@output_options
def audit(wheels: tuple[Path, ...], policy: str | None, console: Console) -> int:
    """Audit WHEELs, of any make; without words the newest of every wheel in the store.

    Exit code: 0 all are releasable, 3 some are good for this machine only, 1 some are refused.
    """
    import dataclasses

    from wheelmill import audit as gate

    found = wheels or _stored_wheels()
    verdicts = []
    for wheel in found:
        expectation = gate.Expectation.from_wheel(wheel)
        if policy:
            expectation = dataclasses.replace(expectation, policy=policy)
        verdicts.append(gate.audit(wheel, expectation))
        console.say(gate.render_text(verdicts[-1]))
    console.result({"schema": 1, "wheels": [gate.to_json(verdict) for verdict in verdicts]})
    codes = {verdict.exit_code for verdict in verdicts}
    return gate.EXIT_REFUSED if gate.EXIT_REFUSED in codes else max(codes)


def _stored_wheels() -> tuple[Path, ...]:
    from wheelmill.store import Store, default_root

    store = Store(default_root(project().checkout))
    files = {str(record.data["file"]): record.data["digest"] for record in store.records("audit")}
    if not files:
        raise WheelmillError(
            f"There is no wheel in {store.root}.",
            hint="Name wheel files, or build some: wheelmill build 3.11-x86_64",
        )
    return tuple(store.export(digest, store.root / "admitted", file) for file, digest in files.items())


@click.command()
@cell_options
@click.option("--in-container", is_flag=True, help="Run them in a container, not with this machine's Python.")
@output_options
def smoke(
    cells: tuple[str, ...],
    line: str | None,
    torch: str | None,
    engine: str,
    jobs: int | None,
    in_container: bool,
    console: Console,
) -> int:
    """Install cells from the local index into a clean environment and run them, even if they ran before."""
    import dataclasses

    from wheelmill.pipeline import run

    matrix = project().matrix()
    own = not (cells or line or torch)
    chosen = (own_cell(matrix),) if own else wanted_cells(matrix, cells, line, torch)
    works = dataclasses.replace(workshop(engine, jobs, console), run_in_container=in_container)
    outcomes = run(chosen, works, console, smoke="again")
    _report(outcomes, console)
    return 0


def own_cell(matrix: Matrix, torch: str | None = None) -> Cell:
    """The cell of the Python and machine that run this, on the newest line (with that torch)."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return matrix.cell(python, platform.machine(), torch=torch)


@click.command()
@click.option(
    "--engine", type=click.Choice(ENGINES), default="host", show_default=True, help="Where to compile."
)
@output_options
def quickstart(engine: str, console: Console) -> int:
    """The whole path once: the newest line for this Python becomes a wheel, is audited and run."""
    from wheelmill.pipeline import run

    cell = own_cell(project().matrix())
    console.note(
        f"line {cell.line.branch}: torch {cell.line.torch.version}, CANN {cell.line.cann}, "
        f"torch_npu {cell.line.adapter}, Python {cell.python}, {cell.arch}"
    )
    works = workshop(engine, None, console)
    (outcome,) = run((cell,), works, console)
    console.result(outcome.to_json())
    console.say(_told(outcome))
    if outcome.smoke is not None:
        console.say(f"\n{outcome.smoke['printed']}\n\nindex  {works.store.root / 'index'}  (wheelmill serve)")
    return 0
