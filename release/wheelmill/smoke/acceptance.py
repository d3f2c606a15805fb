"""The acceptance run, for wheels of any make: clean environment, torch, simulator, example, groups."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelmill.progress import Progress, silent
from wheelmill.smoke.environment import Environment, Limits, torch_sources
from wheelmill.smoke.groups import PROGRAMS, GroupResult, group_names, run_groups, workers
from wheelmill.smoke.lacking import Lack, find_lacks, report
from wheelmill.smoke.places import Place, ThisMachine
from wheelmill.smoke.result import SmokeError
from wheelmill.smoke.steps import Failure, Step, StepFailedError, Steps
from wheelmill.smoke.subject import Subject, check_torch, served_torch

if TYPE_CHECKING:
    from wheelmill.matrix import Torch

SCHEMA = 1


@dataclass(frozen=True)
class Supplies:
    """What an acceptance run installs beside the wheel: the simulator, and where torch may come from."""

    simulator: Path
    torch: Torch | None = None
    torch_wheel: Path | None = None
    torch_cpu_index: str | None = None


@dataclass(frozen=True)
class Acceptance:
    """What a wheel showed. `failure` is the step before the groups that failed, if one did.

    `found` is the example's: printed, device, max_error, versions; `lacks` what the simulator was asked for
    and does not have; `notes` what was noticed and is no failure; `environment` where the run was kept.
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

    @property
    def ok(self) -> bool:
        """The example ran, and no check of any group failed."""
        return self.failure is None and all(group.ok for group in self.groups)

    def check(self) -> Acceptance:
        """Itself, unless a step failed: then SmokeError says which, and what the simulator lacked for it."""
        if self.failure is None:
            return self
        tail = "\n".join(f"    {line}" for line in self.failure.tail)
        lacking = f"\n{report(self.lacks, self.versions)}" if self.lacks else ""
        raise SmokeError(
            f"{self.subject.title}: step '{self.failure.step}' {self.failure.reason}\n{tail}{lacking}",
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
    work.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix=f"{subject.name}-", dir=work)).absolute()
    (home / "logs").mkdir()
    result = Acceptance(subject, supplies.simulator, environment=home)
    files = [subject.file, supplies.simulator, *([supplies.torch_wheel] if supplies.torch_wheel else [])]
    with place.open(subject, home, [file.absolute() for file in files]) as session:
        steps = Steps(home / "logs", progress, session.run, session.slowness)
        environment = Environment(home, steps, limits, session, into and into.absolute())
        result = _try(result, environment, supplies)
        if result.failure is None:
            progress("capability groups")
            ran = run_groups(environment, chosen, programs=programs, at_once=workers(), progress=progress)
            result = replace(result, groups=ran, lacks=_lacks(ran))
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


def _try(result: Acceptance, environment: Environment, supplies: Supplies) -> Acceptance:
    """Everything before the groups."""
    subject, steps = result.subject, environment.steps
    notes = [] if subject.pinned else [f"the wheel names no torch; {subject.torch} is taken from its version"]
    sources = torch_sources(
        subject, subject.torch, supplies.torch, supplies.torch_wheel, supplies.torch_cpu_index
    )
    try:
        environment.make()
        environment.install_torch(sources)
        environment.install_files([subject.file.absolute(), supplies.simulator.absolute()], subject.requires)
        notes += _pip_check(environment)
        found = environment.probe_example()
    except StepFailedError as error:
        said = error.failure.log.read_text(errors="replace") if error.failure.log.exists() else ""
        lacks = tuple(find_lacks({error.failure.step: [said]}))
        return replace(
            result, steps=tuple(steps.done), notes=tuple(notes), lacks=lacks, failure=error.failure
        )
    return replace(result, steps=tuple(steps.done), notes=tuple(notes), found=found)


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
