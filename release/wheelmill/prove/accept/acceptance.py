"""The acceptance run, for wheels of any make: clean environment, torch, simulator, example, groups."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelmill.progress import Progress, silent
from wheelmill.prove.accept.groups import PROGRAMS, GroupResult, group_names, run_groups, workers
from wheelmill.prove.accept.known_faults import gone, known_faults, told
from wheelmill.prove.accept.lacking import Lack, find_lacks, report
from wheelmill.prove.accept.subject import Subject, check_torch, not_asked_for, served_torch
from wheelmill.prove.smoke.environment import Environment, Limits, home_for
from wheelmill.prove.smoke.places import Place, ThisMachine
from wheelmill.prove.smoke.result import SmokeError
from wheelmill.prove.smoke.steps import Failure, Step, StepFailedError, Steps
from wheelmill.prove.smoke.torch_sources import torch_sources

if TYPE_CHECKING:
    from wheelmill.matrix import Torch

SCHEMA = 1

# A chip on which published adapters that allow private formats on the default one do not.
_WITHOUT_PRIVATE_FORMATS = "910_9391"


@dataclass(frozen=True)
class Supplies:
    """What an acceptance run installs beside the wheel: the simulator, and where torch may come from.

    `needed` is what an adapter of that torch needs by the matrix, whether its own metadata says so or not.
    """

    simulator: Path
    torch: Torch | None = None
    torch_wheel: Path | None = None
    torch_cpu_index: str | None = None
    needed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Acceptance:
    """What a wheel showed. `failure` is the step before the groups that failed, if one did.

    `found` is the example's: printed, device, max_error, versions; `lacks` what the simulator was asked for
    and does not have; `notes` what was noticed and is no failure; `environment` where the run was kept.
    `soc` is the chip that was simulated where it is not the simulator's own default.
    """

    subject: Subject
    simulator: Path
    steps: tuple[Step, ...] = ()
    found: Mapping[str, Any] = field(default_factory=dict)
    groups: tuple[GroupResult, ...] = ()
    lacks: tuple[Lack, ...] = ()
    notes: tuple[str, ...] = ()
    failure: Failure | None = None
    environment: Path | None = None
    soc: str | None = None

    @property
    def ok(self) -> bool:
        """The example ran, and no check of any group failed."""
        return self.failure is None and all(group.ok for group in self.groups)

    def check(self) -> Acceptance:
        """Itself, unless a step failed: then SmokeError says which, and what the simulator lacked for it."""
        if self.failure is None:
            return self
        noted = "".join(f"\nnote: {note}" for note in self.notes)
        lacking = f"\n{report(self.lacks, self.versions)}" if self.lacks else ""
        raise SmokeError(
            f"{self.subject.title}: {self.failure.render()}{noted}{lacking}",
            hint=f"All of its output: {self.failure.log}\nThe environment is kept: {self.environment}",
        )

    @property
    def versions(self) -> dict[str, str]:
        """What the run was made of: as found installed, else as read from the files."""
        files = {
            "torch": self.subject.torch,
            self.subject.project: self.subject.version,
            "cann-simulator": self.simulator.name.split("-")[1],
            "python": self.subject.python,
        }
        return {**files, **self.found.get("versions", {})}

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "schema": SCHEMA,
            "status": "passed" if self.ok else "failed",
            "wheel": self.subject.file.name,
            "simulator": self.simulator.name,
            "arch": self.subject.arch,
            "soc": self.soc,
            "versions": self.versions,
            "example": {key: self.found.get(key) for key in ("printed", "device", "max_error", "fallbacks")},
            "groups": [group.to_json() for group in self.groups],
            "lacking": [lack.to_json() for lack in self.lacks],
            "notes": list(self.notes),
            "seconds": {step.name: step.seconds for step in self.steps},
            "failure": None if self.failure is None else self.failure.to_json(),
            "environment": None if self.environment is None else str(self.environment),
        }


def accept(
    subject: Subject,
    supplies: Supplies,
    work: Path,
    *,
    groups: tuple[str, ...] | None = None,
    programs: Path = PROGRAMS,
    progress: Progress = silent,
    note: Progress = silent,
    keep: bool = False,
    into: Path | None = None,
    limits: Limits = Limits(),
    place: Place = ThisMachine(),
) -> Acceptance:
    """Install a wheel with its torch and the simulator into a clean environment, and see what it can do.

    `groups` are names of `group_names()`; all of them when None. Raises SmokeError before anything is
    installed where the place cannot run the wheel, a group does not exist, or the simulator is for another
    torch, or the folder `into` is there. What the wheel does never raises. The environment is made at `into`
    where that is given, and stays; else it is removed after a good run unless `keep`.
    """
    chosen = _chosen(groups, programs)
    reason = place.cannot_run(subject)
    if reason is not None:
        raise SmokeError(f"{subject.file.name} cannot be tested: {reason}")
    if into is not None and into.exists():
        raise SmokeError(f"{into} is there already", hint="Remove it, or name another folder.")
    check_torch(subject, served_torch(supplies.simulator), f"the simulator {supplies.simulator.name} is for")
    home = home_for(subject.name, work)
    result = Acceptance(subject, supplies.simulator, environment=home)
    files = [subject.file, supplies.simulator, *([supplies.torch_wheel] if supplies.torch_wheel else [])]
    with place.open(subject, home, [file.absolute() for file in files]) as session:
        steps = Steps(home / "logs", progress, session.run, session.slowness)
        environment = Environment(home, steps, limits, session, into and into.absolute())
        result = _try(result, environment, supplies, note)
        if result.failure is None:
            progress("capability groups")
            ran = run_groups(environment, chosen, programs=programs, at_once=workers(), progress=progress)
            known = known_faults()
            named = told(ran, subject, known)
            notes = (*result.notes, *gone(named, subject, known))
            result = replace(result, groups=named, lacks=_lacks(named), notes=notes)
    if keep or not result.ok:
        return result
    shutil.rmtree(home)
    return replace(result, environment=None)


def _chosen(groups: tuple[str, ...] | None, programs: Path) -> tuple[str, ...]:
    known = group_names(programs)
    unknown = [name for name in groups or () if name not in known]
    if unknown:
        raise SmokeError(
            f"there is no capability group {', '.join(unknown)}", hint=f"There are: {', '.join(known)}"
        )
    return known if groups is None else groups


def _try(result: Acceptance, environment: Environment, supplies: Supplies, note: Progress) -> Acceptance:
    """Everything before the groups. Notes are said at once too: they may explain what fails next."""
    subject, steps = result.subject, environment.steps
    missing = not_asked_for(subject, supplies.needed)
    notes = [*_of_the_wheel(subject, missing)]
    for text in notes:
        note(text)
    sources = torch_sources(
        subject, subject.torch, supplies.torch, supplies.torch_wheel, supplies.torch_cpu_index
    )
    try:
        environment.make()
        taken = environment.install_torch(sources, note)
        if not taken.verified:
            notes.append(f"the matrix has no SHA-256 to hold {taken.requirement} for {subject.name} to")
        files = [subject.file.absolute(), supplies.simulator.absolute()]
        environment.install_files(files, (*subject.requires, *missing))
        notes += _pip_check(environment)
        if _choose_chip(environment):
            notes.append(_chip_chosen(subject, environment))
            note(notes[-1])
        found = environment.probe_example()
    except StepFailedError as error:
        said = error.failure.log.read_text(errors="replace") if error.failure.log.exists() else ""
        lacks = tuple(find_lacks({error.failure.step: [said]}))
        result = replace(result, lacks=lacks, failure=error.failure)
    else:
        result = replace(result, found=found)
    return replace(result, steps=tuple(steps.done), notes=tuple(notes), soc=environment.soc)


def _of_the_wheel(subject: Subject, missing: tuple[str, ...]) -> Iterator[str]:
    """What is to be said about the wheel before anything is installed."""
    if subject.chosen is not None:
        yield subject.chosen
    if not subject.pinned:
        yield f"the wheel names no torch; {subject.torch} is taken from its version"
    if missing:
        yield (
            f"the metadata of {subject.title} does not ask for {', '.join(missing)}, which the matrix lists "
            f"for an adapter of torch {subject.torch}: installed beside it (pip install {subject.project} "
            "does not)"
        )


def _choose_chip(environment: Environment) -> bool:
    """Leave the default chip for one without private formats, where only that one spares the adapter them."""
    if not environment.probe_formats():
        return False
    environment.soc = _WITHOUT_PRIVATE_FORMATS
    if environment.probe_formats():
        environment.soc = None
    return environment.soc is not None


def _chip_chosen(subject: Subject, environment: Environment) -> str:
    return (
        f"{subject.title} takes private formats for granted on the default chip, and the simulator computes "
        f"on none: simulated is --soc {environment.soc}, on which it does not. Programs run the same way: "
        f"cann-simulator run --soc {environment.soc} -- PROGRAM, or torch.npu.config.allow_internal_format "
        "= False in them"
    )


def _pip_check(environment: Environment) -> list[str]:
    """What pip finds wrong. Only noted: a wheel that asks for torch==X+cpu runs on the plain X too."""
    try:
        environment.check()
    except StepFailedError as error:
        return [f"pip check: {line}" for line in error.failure.tail if "requirement" in line]
    return []


def _lacks(groups: tuple[GroupResult, ...]) -> tuple[Lack, ...]:
    said = {
        group.name: [check.message for check in group.checks if check.state == "failed"] for group in groups
    }
    return tuple(find_lacks(said))
