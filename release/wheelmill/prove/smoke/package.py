"""The smoke run of a described project's wheel: installed from the local index into a clean environment, its
SDKs beside it, and the project's own program run in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from wheelmill.make.metadata import SIMULATOR
from wheelmill.progress import Progress, silent
from wheelmill.prove.smoke.environment import PIP, Environment, Limits, home_for
from wheelmill.prove.smoke.places import Place
from wheelmill.prove.smoke.result import SmokeError, SmokeResult
from wheelmill.prove.smoke.run import Index
from wheelmill.prove.smoke.steps import Command, StepFailedError, Steps
from wheelmill.prove.smoke.torch_sources import torch_sources

# This project's names that nobody has registered in the public index.
_OWN = frozenset((canonicalize_name(SIMULATOR), "wheelmill"))

if TYPE_CHECKING:
    from wheelmill.catalogue import Catalogue
    from wheelmill.describe import Cell, Described
    from wheelmill.describe.model import Smoke


@dataclass(frozen=True)
class Subject:
    """What is run: the exact `requirement` of the wheel for a cell of a project.

    `options` are pip's words for where the project's own requirements are. Without any, what the catalogue
    has (`published`) is held to its hashes. `torch_wheel` is the torch that it was built against, where it
    was.
    """

    cell: Cell
    described: Described
    program: Smoke
    requirement: str
    options: Sequence[str] = ()
    published: Catalogue | None = None
    torch_wheel: Path | None = None
    torch_cpu_index: str | None = None


def smoke(
    subject: Subject,
    index: Callable[[], AbstractContextManager[Index]],
    work: Path,
    place: Place,
    *,
    progress: Progress = silent,
    note: Progress = silent,
) -> SmokeResult:
    """Install the wheel as a user does, and run the project's program; exit code 0 is success.

    The wheel comes from the index that `index` starts and from nowhere else; torch as for the smoke runs of
    the matrix; whatever they require, and what the project file asks for, from the indexes that pip knows.
    The environment is removed after a good run, and left, named in the result, after a bad one.
    """
    cell = subject.cell
    own_alone(_wanted(subject), subject.options)
    reason = place.cannot_run(cell)
    if reason is not None:
        return SmokeResult.not_run(cell.key, reason)
    home = home_for(cell.name, work)
    logs = home / "logs"
    steps = Steps(logs, progress)
    readable = () if subject.torch_wheel is None else (subject.torch_wheel,)
    try:
        with index() as server, place.open(cell, home, readable) as session:
            steps = Steps(logs, progress, session.run, session.slowness)
            environment = Environment(home, steps, Limits(), session)
            environment.make()
            torch = subject.described.torch(cell)
            if torch is not None:
                sources = torch_sources(
                    cell, torch.version, torch, subject.torch_wheel, subject.torch_cpu_index
                )
                environment.install_torch(sources, note)
            environment.install_from_index(server.simple_url, (subject.requirement,))
            _install_rest(subject, environment)
            environment.check()
            printed = _run(subject, environment)
            taken = server.taken()
    except StepFailedError as error:
        return SmokeResult.failed(cell.key, home, tuple(steps.done), error.failure)
    nothing: dict[str, Any] = {"device": "", "max_error": None, "versions": {}, "fallbacks": ()}
    shutil.rmtree(home)
    return SmokeResult.passed(
        cell.key, home, tuple(steps.done), {**nothing, "printed": printed}, taken
    ).without_environment()


def _wanted(subject: Subject) -> list[str]:
    return [subject.cell.fill(text) for text in subject.program.requires]


def own_alone(wanted: Sequence[str], options: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """What of this is in no public index, and pip's words that let it come from the named place alone.

    Whoever registers such a name would be run here: pip takes a file from any of its indexes. Raises
    SmokeError where no place is named.
    """
    own = [one for one in wanted if canonicalize_name(Requirement(one).name) in _OWN]
    if own and not options:
        raise SmokeError(
            f"{own[0]} is in no public package index, and no other is named",
            hint="Name the folder or address that has it as `index` under [smoke] of the project file.",
        )
    if options[:1] == ("--find-links",):
        return own, ("--no-index", *options)
    return own, tuple("--index-url" if word == "--extra-index-url" else word for word in options)


def _install_rest(subject: Subject, environment: Environment) -> None:
    """What the wheel requires, and what the program does; the wheel itself is there already."""
    wanted = _wanted(subject)
    own, alone = own_alone(wanted, subject.options)
    if own:
        environment.install_alone("the simulator", alone, own)
        wanted = [one for one in wanted if one not in own]
    if subject.published is not None and not subject.options:
        for number, requirement in enumerate(wanted, start=1):
            if known := subject.published.pinned(requirement):
                hashes = (f"--hash=sha256:{digest}" for digest in sorted(known))
                environment.install_held(f"requirement {number}", requirement, hashes)
    command: Command = [environment.python, *PIP, *subject.options, *wanted, subject.requirement]
    steps, limits = environment.steps, environment.limits
    steps.run("what it requires", command, environment.variables, limits.torch)


def _run(subject: Subject, environment: Environment) -> str:
    """What the program printed, without the command, whose paths are of this machine alone.

    It runs as a copy: beside the original lie sources that would be imported.
    """
    program = environment.home / Path(subject.program.program).name
    shutil.copyfile(subject.described.root / subject.program.program, program)
    runner = [subject.cell.fill(word) for word in subject.program.runner]
    command: Command = [*runner, environment.python, program]
    name = f"run {program.name}"
    environment.steps.run(name, command, environment.variables, environment.limits.run)
    said = environment.steps.done[-1].log.read_text(encoding="utf-8", errors="replace")
    head, _, printed = said.partition("\n")
    return (printed if head.startswith("$ ") else said).rstrip()
