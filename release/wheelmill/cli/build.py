"""`wheelmill plan`, `build`, `smoke`, `quickstart`: the commands that make wheels."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from wheelmill.cli import adapter_only, described, output_options, project
from wheelmill.cli.options import (
    CellOptions,
    EngineOptions,
    cell_options,
    engine_options,
    own_cell,
    plan_engine_options,
)
from wheelmill.console import Console
from wheelmill.errors import WheelmillError

if TYPE_CHECKING:
    from pathlib import Path

    from wheelmill.describe import Described
    from wheelmill.make.build import Workshop
    from wheelmill.make.plan import Plan
    from wheelmill.matrix import Cell
    from wheelmill.publish.pipeline import Smoke

__all__ = ["build", "plan", "quickstart", "smoke"]


keep_going_option = click.option(
    "-k",
    "--keep-going",
    is_flag=True,
    help="After a failure, continue with the other cells; the exit code is then 1.",
)


@click.command()
@cell_options
@click.option(
    "--github", is_flag=True, help="Print a job matrix for GitHub Actions: one job per bundle to build."
)
@click.option(
    "--chunk", type=click.IntRange(min=1), metavar="N", help="Print only the Nth chunk of the jobs."
)
@click.option("--chunks", is_flag=True, help="Print the chunk numbers as a matrix, instead of jobs.")
@click.option(
    "--chunk-size",
    type=click.IntRange(1, 256),
    default=250,
    show_default=True,
    help="Jobs per chunk; GitHub Actions refuses a matrix of more than 256.",
)
@click.option(
    "--runner",
    "runners",
    multiple=True,
    metavar="ARCH=LABEL",
    help="The runner's label for an architecture. [default: GitHub's own Ubuntu ones]",
)
@click.option("--gitlab", is_flag=True, help="Print a child pipeline for GitLab CI: one job per bundle.")
@click.option(
    "--kubernetes",
    "repository",
    metavar="REPOSITORY",
    help="Print Indexed Jobs for Kubernetes, one index per bundle. Pods clone REPOSITORY at this commit and "
    "share what they make through --remote.",
)
@plan_engine_options
@output_options
def plan(
    wanted: CellOptions,
    engine: EngineOptions,
    gitlab: bool,
    repository: str | None,
    github: bool,
    chunk: int | None,
    chunks: bool,
    chunk_size: int,
    runners: tuple[str, ...],
    console: Console,
) -> int:
    """Show what a build of these cells would do: cached, to build, or refused with the reason.

    --github prints one line of JSON for `strategy.matrix: ${{ fromJSON(...) }}`. Each job has `name`,
    `runner`, `torch`, `arch`, `pythons` and `cells`. Its steps run `wheelmill build ${{ matrix.cells }}`, so
    native files are compiled once for all Pythons. If there are more jobs than a matrix may have, use two
    levels: a first matrix from --chunks, whose jobs each call a workflow whose matrix is --chunk N. Exit code
    1 if a cell is refused.
    """
    from wheelmill.cli import render
    from wheelmill.make.build import make_plan

    file = described()
    if file is not None:
        return _plan_of_file(file, wanted, engine, console)
    others = gitlab or repository is not None
    as_matrix = github or chunks or chunk is not None or others
    if as_matrix and engine.engine == "auto":  # other machines compile: none of them is asked for here
        engine = dataclasses.replace(engine, engine="host")
    workshop = engine.workshop(console)
    made = make_plan(wanted.cells(project().matrix()), workshop, elsewhere=as_matrix)
    if others:
        console.text(_exported(made, engine, runners, repository, gitlab=gitlab))
    elif as_matrix:
        from wheelmill.make import ci_matrix

        jobs = ci_matrix.jobs(made, ci_matrix.labels(runners))
        console.text(ci_matrix.render(jobs, chunk_size, chunk=chunk, numbers=chunks) + "\n")
    else:
        console.result(made.to_json())
        console.say(render.whole_plan(made))
    for line in (*render.refused(made), *render.doubt(made)) if as_matrix else ():
        console.note(line)
    return 1 if made.refused else 0


def _exported(
    made: Plan, engine: EngineOptions, runners: tuple[str, ...], repository: str | None, *, gitlab: bool
) -> str:
    """The plan as YAML for GitLab or Kubernetes."""
    import yaml

    from wheelmill.make import ci_gitlab, ci_matrix, kubernetes
    from wheelmill.make.images import manylinux_image

    works = ci_matrix.works(made)
    if gitlab:
        labels = ci_matrix.labels(runners, ci_gitlab.RUNNERS)
        return yaml.safe_dump(ci_gitlab.pipeline(works, labels, manylinux_image), sort_keys=False)
    if engine.remote is None:
        raise click.UsageError("--kubernetes needs --remote URL: what a pod makes goes there.")
    cluster = kubernetes.Cluster(repository or "", _commit(project().checkout), engine.remote)
    return yaml.safe_dump_all(kubernetes.manifests(works, cluster, manylinux_image), sort_keys=False)


def _commit(checkout: Path) -> str:
    from wheelmill.make.toolchain.sources import git

    found = git(checkout, "rev-parse", "HEAD")
    if found.returncode:
        raise WheelmillError(f"{checkout} is no clone of a repository.", hint="Pods build a commit of it.")
    return found.stdout.strip()


def _plan_of_file(file: Described, wanted: CellOptions, engine: EngineOptions, console: Console) -> int:
    from wheelmill.cli import render
    from wheelmill.publish import packages

    shop, _ = engine.shop(file, console)
    planned = tuple(packages.plan(wanted.of_file(file), shop))
    console.result({"schema": 1, "cells": [one.to_json() for one in planned]})
    console.say(render.plan_of_file(planned))
    return 1 if any(one.state == "refused" for one in planned) else 0


@click.command()
@cell_options
@engine_options
@click.option("--no-smoke", is_flag=True, help="Do not install and run the wheels.")
@keep_going_option
@output_options
def build(
    wanted: CellOptions, engine: EngineOptions, no_smoke: bool, keep_going: bool, console: Console
) -> int:
    """Build, audit, index and run the wheels of cells such as 3.11-x86_64.

    A cell is built on the newest line that has it. --line and --torch choose another line; without cells they
    build all cells of that line. Cached results are reused, and several bundles of native files are compiled
    at once. The first failure ends the build unless you pass --keep-going. Finished wheels are kept; run the
    same command again to continue. With --engine docker, wheels that this machine cannot run are run in a
    container, under emulation if needed.
    """
    smoke: Smoke = "never" if no_smoke else "once"
    if (file := described()) is not None:
        return _run_file(file, wanted, engine, console, smoke, keep_going)
    workshop = engine.workshop(console)
    return _run(wanted.cells(project().matrix()), workshop, console, smoke, keep_going)


@click.command()
@cell_options
@engine_options
@keep_going_option
@click.option("--in-container", is_flag=True, help="Run in a container, not with this machine's Python.")
@click.option("--wheel", hidden=True)
@click.option("--capabilities", is_flag=True, hidden=True)
@output_options
def smoke(
    wanted: CellOptions,
    engine: EngineOptions,
    in_container: bool,
    keep_going: bool,
    wheel: str | None,
    capabilities: bool,
    console: Console,
) -> int:
    """Install cells from the local index into a clean environment and run them, even if they ran before.

    Without a cell, run the one for this Python on this machine. To test any wheel, use `wheelmill accept`.
    """
    if wheel or capabilities:
        instead = wheel or f"--cell {' --cell '.join(wanted.names) or 'CELL'}"
        raise click.UsageError(
            f"smoke runs a cell's own wheel. To test any wheel: wheelmill accept {instead}"
        )
    if (file := described()) is not None:
        return _run_file(file, wanted, engine, console, "again", keep_going, in_container=in_container)
    matrix = project().matrix()
    cells = wanted.cells(matrix) if wanted else (own_cell(matrix),)
    workshop = dataclasses.replace(engine.workshop(console), run_in_container=in_container)
    return _run(cells, workshop, console, "again", keep_going)


def _run(
    cells: tuple[Cell, ...], workshop: Workshop, console: Console, smoke: Smoke, keep_going: bool
) -> int:
    """Plan, say the plan, do it, say what came out; 1 when a cell failed."""
    from wheelmill.cli import render
    from wheelmill.make.build import make_plan
    from wheelmill.publish.pipeline import run_all

    made = make_plan(cells, workshop)
    if len(made.steps) > 1:
        console.note(render.short_plan(made))
    found = run_all(made, workshop, console, smoke=smoke, keep_going=keep_going)
    console.result({**found.to_json(), "counts": made.counts()})
    render.report(found, console)
    return 1 if found.failures else 0


def _run_file(
    file: Described,
    wanted: CellOptions,
    engine: EngineOptions,
    console: Console,
    smoke: Smoke,
    keep_going: bool,
    *,
    in_container: bool = False,
) -> int:
    """The same for the cells of a project file."""
    from wheelmill.cli import render
    from wheelmill.publish.packages import run_all

    shop, run = engine.shop(file, console)
    run = dataclasses.replace(run, in_container=in_container)
    found = run_all(wanted.of_file(file), shop, console, run, smoke=smoke, keep_going=keep_going)
    console.result(found.to_json())
    render.report(found, console)
    return 1 if found.failures else 0


@click.command()
@engine_options
@output_options
def quickstart(engine: EngineOptions, console: Console) -> int:
    """Build the wheel of the newest line for this Python, audit it, install it and run it."""
    from wheelmill.cli.render import in_lines
    from wheelmill.publish.pipeline import run

    adapter_only("quickstart")
    cell = own_cell(project().matrix())
    console.note(
        f"line {cell.line.branch}: torch {cell.line.torch.version}, CANN {cell.line.cann}, "
        f"torch_npu {cell.line.adapter}, Python {cell.python}, {cell.arch}"
    )
    workshop = engine.workshop(console)
    (outcome,) = run((cell,), workshop, console)
    console.result(outcome.to_json())
    console.say(in_lines(outcome))
    if outcome.smoke is not None:
        console.say(
            f"\n{outcome.smoke['printed']}\n\nindex  {workshop.store.root / 'index'}  (wheelmill serve)"
        )
    return 0
