"""`wheelmill notes`: show, check and draft release notes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from wheelmill.cli import Group, output_options, project
from wheelmill.console import Console
from wheelmill.errors import WheelmillError
from wheelmill.matrix import Finding, Line, Matrix
from wheelmill.publish.notes import FORMATS


@click.group(cls=Group)
def notes() -> None:
    """Show, check and draft release notes: one file per version in release/notes/, Chinese and English."""


@notes.command()
@click.argument("version", required=False)
@click.option(
    "--all", "everything", is_flag=True, help="Every version, newest first, with a table of contents."
)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="md", show_default=True, help="How to write it."
)
@click.option(
    "--language",
    type=click.Choice(["zh", "en"]),
    default="en",
    show_default=True,
    help="JSON has both languages.",
)
def show(version: str | None, everything: bool, form: str, language: Literal["zh", "en"]) -> int:
    """Print the release note of VERSION.

    A known issue is written once and moves to the fixed ones by its `fixed_in`. Compatibility is made from
    the matrix.
    """
    from wheelmill.publish.notes import render

    if (version is None) != everything:
        raise click.UsageError("Name a version, or all of them with --all.")
    found = project().notes()
    wanted = found.all() if version is None else (found.note(version),)
    Console().text(render(wanted, form, language))
    return 0


@notes.command()
@click.argument("adapter", metavar="ADAPTER_VERSION")
@output_options
def issues(adapter: str, console: Console) -> int:
    """List the known issues of an adapter version such as 1.8.1rc3."""
    found = project().notes().issues_of(adapter)
    rows = [{"id": one.id, "zh": one.zh, "en": one.en, "fixed_in": list(one.fixed_in)} for one in found]
    console.result({"schema": 1, "adapter": adapter, "issues": rows})
    for one in found:
        console.say(f"- {one.title.en}: {one.en} ({one.id})")
    if not found:
        console.say(f"No known issue is on record for {adapter}.")
    return 0


@notes.command()
@click.argument("branch", required=False)
@click.option(
    "--since",
    metavar="REVISION",
    help="Also ask that a note changed since REVISION, if the adapter did.",
)
@output_options
def check(branch: str | None, since: str | None, console: Console) -> int:
    """Check every note, and that changes to the adapter since the last tag of BRANCH have one.

    BRANCH is a line of the matrix. [default: the branch that is checked out, else the newest line in
    development]

    Exit code 1 if there is a finding.
    """
    from wheelmill import notes as records

    here = project()
    matrix = here.matrix()
    found = list(records.check(here.notes_folder, matrix))
    if not found and here.root is not None:
        found += _history(here.root, matrix, branch, since, console)
    for finding in found:
        console.say(str(finding))
    console.say(f"{here.notes_folder}: {'not ' if found else ''}in order: {len(found)} findings.")
    console.result({"schema": 1, "findings": [_to_json(one) for one in found]})
    return 1 if found else 0


@notes.command()
@click.argument("branch", required=False)
@click.option(
    "--version", help="The version to be released. [default: the line's; rc1 for a line in development]"
)
def draft(branch: str | None, version: str | None) -> int:
    """Print a note for BRANCH to fill in, with the commits to the adapter since its last tag."""
    from wheelmill.publish.notes import history

    here = project()
    line = _line(here.checkout, here.matrix(), branch)
    Console().text(history.draft(line, version or _next(line), history.since_last_tag(here.checkout, line)))
    return 0


def _history(
    root: Path, matrix: Matrix, branch: str | None, since: str | None, console: Console
) -> tuple[Finding, ...]:
    from wheelmill.publish.notes import history

    if not history.is_checkout(root):
        console.warn(f"{root} is no git checkout: whether every change has a note was not checked.")
        return ()
    return history.missing(root, _line(root, matrix, branch), project().notes(), since)


def _line(root: Path, matrix: Matrix, branch: str | None) -> Line:
    """The line that was named, else that of the checked-out branch, else the newest in development."""
    from wheelmill.publish.notes import history

    if branch is not None:
        return matrix.line(branch)
    current = history.current_branch(root)
    for line in matrix.lines:
        if line.branch == current:
            return line
    for line in matrix.lines:
        if line.kind == "development":
            return line
    raise WheelmillError("The matrix has no line in development.", hint="Name the branch of a line.")


def _next(line: Line) -> str:
    return f"{line.torch.version}rc1" if line.kind == "development" else line.adapter


def _to_json(one: Finding) -> dict[str, object]:
    return {"rule": one.rule, "file": one.file, "line": one.line, "message": one.message, "hint": one.hint}
