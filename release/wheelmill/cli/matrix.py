"""`wheelmill matrix`: check the matrix, print its schema, list its lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from wheelmill.cli import Group, output_options, project
from wheelmill.console import Console
from wheelmill.errors import WheelmillError
from wheelmill.matrix.versions import python_key


def today() -> date:
    """The only place where the command line reads the clock for a date; all below take it as an argument."""
    return datetime.now(tz=timezone.utc).date()


@click.group(cls=Group)
def matrix() -> None:
    """Check and show the compatibility matrix."""


@matrix.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--notes", is_flag=True, help="Also show the notes: what documents printed wrong.")
@click.option(
    "--today", "day", type=click.DateTime(["%Y-%m-%d"]), help="Compute stages for this day. [default: today]"
)
@click.option("--rules", is_flag=True, help="List the rules and their titles.")
@output_options
def lint(file: Path | None, notes: bool, day: datetime | None, rules: bool, console: Console) -> int:
    """Check FILE (default: the project's matrix) by rule.

    Exit code 1 if there is an error. A note is not an error: it names a value that a document printed wrong,
    the value that the matrix has instead, and the reason.
    """
    from wheelmill.matrix import lint as linting

    if rules:
        titles = linting.titles()
        console.say("\n".join(f"{name}: {title}" for name, title in titles.items()))
        console.result(titles)
        return 0
    report = linting.lint(file or project().matrix_file, day.date() if day else today())
    console.say(linting.render_text(report, notes=notes))
    console.result(linting.to_json(report))
    return report.exit_code


@matrix.command()
@click.option("--check", is_flag=True, help="Only compare with the file; exit code 1 if it is stale.")
@output_options
def schema(check: bool, console: Console) -> int:
    """Write matrix/compat.schema.json from the model."""
    from wheelmill.matrix.schema import schema as generate

    path = project().matrix_file.with_name("compat.schema.json")
    text = json.dumps(generate(), indent=2, ensure_ascii=False) + "\n"
    fresh = path.is_file() and path.read_text(encoding="utf-8") == text
    if check and not fresh:
        raise WheelmillError(f"{path} is stale.", hint="Run `wheelmill matrix schema` and commit it.")
    if not fresh:
        path.write_text(text, encoding="utf-8")
    console.say(f"{path} is fresh" if fresh else f"{path} written")
    console.result({"schema": 1, "file": str(path), "written": not fresh})
    return 0


@matrix.command()
@click.option("--all", "everything", is_flag=True, help="Include lines that cannot be built.")
@output_options
def lines(everything: bool, console: Console) -> int:
    """List the release lines, newest first, with the stage each is in today."""
    from wheelmill.matrix.policy import phase_of_line

    found = project().matrix()
    shown = [line for line in found.lines if everything or line.buildable]
    rows = []
    for line in shown:
        phase = phase_of_line(found, line, today())
        rows.append(
            {
                **line.to_json(),
                "stage": phase.stage if phase else None,
                "buildable": line.buildable,
            }
        )
    console.result({"schema": 1, "lines": rows})
    columns = ("branch", "torch_npu", "torch", "CANN", "Python", "arch", "stage")
    whole = ("branch", "torch_npu", "torch", "CANN", "stage")
    console.table(columns, (_cells(row) for row in rows), whole=whole)
    return 0


@matrix.command("torch")
@click.argument("version", metavar="X.Y.Z")
def torch_block(version: str) -> int:
    """Print the matrix block of torch X.Y.Z with the hash of every wheel, from the index that pip uses.

    Paste it above the newest block under `torches`, add a line that uses it, and run `wheelmill matrix lint`.
    """
    from wheelmill.make.toolchain import torch_block as blocks
    from wheelmill.make.toolchain.pip_index import index_url

    known = project().matrix()
    if version in known.torches:
        raise WheelmillError(f"torch {version} is in the matrix already.")
    newest = known.document.torches[0]
    Console().text(blocks.block(version, blocks.offered(version, index_url()), newest))
    return 0


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A line as the table shows it."""
    pythons, arches = _span(row["pythons"]), " ".join(row["arches"])
    return (row["branch"], row["adapter"], row["torch"], row["cann"], pythons, arches, row["stage"] or "-")


def _span(pythons: Sequence[str]) -> str:
    """`3.8-3.10` for Pythons without a gap, else all of them."""
    minors = [python_key(python) for python in pythons]
    gapless = len(minors) > 2 and all(b[1] - a[1] == 1 for a, b in pairwise(minors))
    return f"{pythons[0]}-{pythons[-1]}" if gapless else " ".join(pythons)
