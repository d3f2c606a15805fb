"""One cell all the way: build, audit, tag, index, smoke. The conductor of the making wing.

Every finished step is a record in the store, so a second run of the same cell reads a few records and does
nothing. A wheel that the audit refuses never reaches the index; one above its line's platform policy is shown
in the local index under its linux tag and is marked as local only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from wheelmill.errors import WheelmillError
from wheelmill.make.build import BuildError, BuiltWheel, Failed, Workshop, build_each, make_plan, refuse
from wheelmill.progress import Progress
from wheelmill.prove.admission import Admitted, admit_both

if TYPE_CHECKING:
    from wheelmill.console import Console
    from wheelmill.make.plan import Plan
    from wheelmill.matrix import Cell
    from wheelmill.prove.smoke import SmokeResult
    from wheelmill.prove.smoke.places import Place, Target
    from wheelmill.store import Store

INDEX = "index"

# Whether to smoke-run: never, unless these wheels have run before, or in any case.
Smoke = Literal["never", "once", "again"]


class Done(Protocol):
    """What became of a cell of any project, as it is told to people."""

    @property
    def key(self) -> str:
        """The cell."""

    @property
    def wheel(self) -> Admitted:
        """Its wheel."""

    @property
    def cached(self) -> bool:
        """Whether there was nothing to do at all."""

    @property
    def seconds(self) -> Mapping[str, float]:
        """How long each phase took that ran now."""

    @property
    def ran(self) -> str | None:
        """What the smoke run showed; None without one."""

    @property
    def not_run(self) -> str | None:
        """Why there was no smoke run."""

    def to_json(self) -> dict[str, Any]:
        """For machines."""


DoneT = TypeVar("DoneT", bound=Done)


@dataclass(frozen=True)
class Outcome:
    """What became of a cell. `smoke` is the run's JSON, or None with the reason in `not_run`."""

    built: BuiltWheel
    wheel: Admitted
    simulator: Admitted
    smoke: Mapping[str, Any] | None
    not_run: str | None
    smoke_cached: bool = False

    @property
    def key(self) -> str:
        """See Done."""
        return self.built.cell.key

    @property
    def seconds(self) -> Mapping[str, float]:
        """See Done."""
        return self.built.seconds

    @property
    def ran(self) -> str | None:
        """See Done."""
        return None if self.smoke is None else "mm on the simulated NPU equals the CPU"

    @property
    def cached(self) -> bool:
        """See Done."""
        done = self.smoke is None or self.smoke_cached
        return self.built.cached and self.wheel.cached and self.simulator.cached and done

    def to_json(self) -> dict[str, Any]:
        """For machines; paths are absolute, seconds per phase that ran now."""
        cell = self.built.cell
        return {
            "cell": cell.key,
            "cached": self.cached,
            "wheel": str(self.wheel.path),
            "sha256": self.wheel.digest,
            "simulator": str(self.simulator.path),
            "audit": dict(self.wheel.verdict),
            "smoke": None if self.smoke is None else dict(self.smoke),
            "not_run": self.not_run,
            "seconds": dict(self.built.seconds),
        }


@dataclass(frozen=True)
class Report(Generic[DoneT]):
    """What became of many cells, in the order asked; a cell is in one of the two."""

    outcomes: tuple[DoneT, ...]
    failures: tuple[Failed, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "schema": 1,
            "cells": [outcome.to_json() for outcome in self.outcomes],
            "failed": [
                {
                    "cell": failed.cell.key,
                    "phase": failed.phase,
                    "message": failed.error.message,
                    "hint": failed.error.hint,
                }
                for failed in self.failures
            ],
        }


def run(
    cells: Iterable[Cell], workshop: Workshop, console: Console, *, smoke: Smoke = "once"
) -> tuple[Outcome, ...]:
    """Bring cells to audited, indexed and, where this machine can, smoke-run wheels.

    Raises what building raises, GateError for a refused wheel, and SmokeError for one that does not run.
    """
    return run_all(make_plan(cells, workshop), workshop, console, smoke=smoke).outcomes


def run_all(
    made: Plan, workshop: Workshop, console: Console, *, smoke: Smoke = "once", keep_going: bool = False
) -> Report[Outcome]:
    """The same for the cells of a plan. With `keep_going` a failure is one cell's and is told in the report.

    Without it the first failure is raised, after what still runs was stopped. In any case wheels that were
    finished before are admitted and in the index.
    """
    if not keep_going:
        refuse(made)
    if made.doubt is not None and made.counts()["to build"]:
        console.note(made.doubt)
    failures = Failures(console, keep_going)
    for step in made.refused:
        failures.add(Failed(step.cell, "plan", BuildError(step.reason or "")))
    try:
        admitted = _build(made, workshop, console, failures)
    except WheelmillError:
        show_admitted(workshop.store)
        raise
    with console.step("index"):
        show_admitted(workshop.store)
    outcomes = {}
    for built, wheels in admitted:
        try:
            outcomes[built.cell.key] = _outcome(built, wheels, workshop, console, smoke)
        except WheelmillError as error:
            failures.add(Failed(built.cell, "smoke", error))
    failed = {failure.cell.key: failure for failure in failures.all}
    order = [step.cell.key for step in made.wanted]
    return Report(
        tuple(outcomes[key] for key in order if key in outcomes),
        tuple(failed[key] for key in order if key in failed),
    )


class Failures:
    """Collects failures and says each at once, or raises the first."""

    def __init__(self, console: Console, keep_going: bool) -> None:
        """`keep_going` collects, and says that it goes on."""
        self._console = console
        self._keep_going = keep_going
        self.all: list[Failed] = []

    def add(self, failed: Failed) -> None:
        """One more."""
        if not self._keep_going:
            raise failed.error
        self.all.append(failed)
        self._console.note(f"{failed.cell.key}: {failed.phase} failed; continuing with the others")


def _build(
    made: Plan, workshop: Workshop, console: Console, failures: Failures
) -> list[tuple[BuiltWheel, tuple[Admitted, Admitted]]]:
    """Build and audit, cell by cell as they come."""
    admitted = []
    with console.step(f"build and audit {_names(made)}"), closing(build_each(made, workshop)) as each:
        for item in each:
            if isinstance(item, Failed):
                failures.add(item)
                continue
            try:
                admitted.append((item, admit_both(item, workshop.store)))
            except WheelmillError as error:
                failures.add(Failed(item.cell, "audit", error))
                continue
            if not item.cached:
                console.note(f"{item.cell.key}  built and audited")
    return admitted


def _names(made: Plan) -> str:
    keys = [step.cell.key for step in made.wanted if step.state != "refused"]
    return keys[0] if len(keys) == 1 else f"{len(keys)} cells"


# ------------------------------------------------------------------------------------------------------ index
@dataclass(frozen=True)
class ShownIndex:
    """The local index. `absent` says, for each admitted wheel that is not in it, how to make it again."""

    path: Path
    wheels: int
    absent: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "schema": 1,
            "index": str(self.path),
            "wheels": self.wheels,
            "absent": list(self.absent),
        }


def show_admitted(store: Store) -> None:
    """The index, once a wheel was admitted: there is no empty one."""
    shown, absent = admitted(store)
    if shown:
        _show(store, shown, tuple(absent.values()))


def show_index(store: Store) -> ShownIndex:
    """Make the local index show the newest admitted wheel of every name, each the file that was admitted.

    Everything in it is hashed; what is damaged is told and made again. Raises IndexFaultError when no wheel
    is left.
    """
    shown, absent = admitted(store)
    return _show(store, shown, tuple(absent.values()))


def admitted(store: Store) -> tuple[dict[str, Mapping[str, Any]], dict[str, str]]:
    """The newest record of every admitted wheel by file name, and words for those that are not there."""
    newest = {str(record.data["file"]): record.data for record in store.records("audit")}
    shown = {file: data for file, data in newest.items() if _stored(store, file, data["digest"])}
    return shown, {file: _made_again(file, newest[file]) for file in newest if file not in shown}


def _stored(store: Store, file: str, digest: str) -> bool:
    """Whether the store has this wheel; one that it lost is taken back from where it was given out."""
    if store.has(digest):
        return True
    given = (*store.root.glob(f"wheels/*/{escape(file)}"), store.root / INDEX / "files" / digest / file)
    whole = next((path for path in given if store.fault(path, digest) is None), None)
    if whole is None:
        return False
    store.put(whole)
    store.notice(f"{file} was taken back from {whole}")
    return True


def _made_again(file: str, data: Mapping[str, Any]) -> str:
    """`x.whl is damaged or gone; make it again: wheelmill build v2.13.0/3.11/x86_64`"""
    cell = str(data.get("cell", ""))
    how = f"wheelmill build {cell}" if cell else "build its cell"
    return f"{file} is damaged or gone; make it again: {how}"


def _show(store: Store, shown: Mapping[str, Mapping[str, Any]], absent: tuple[str, ...]) -> ShownIndex:
    from wheelmill.publish.index.intact import is_intact

    for text in absent:
        store.notice(f"not in the index: {text}")
    key = hashlib.sha256(repr(sorted((f, d["digest"]) for f, d in shown.items())).encode()).hexdigest()
    out = store.root / INDEX
    found = ShownIndex(out, len(shown), absent)
    record = store.find("index", "local")
    said = {} if record is None else record.data
    if said.get("set") == key and is_intact(out, said.get("tree"), store.fault):
        return found
    from wheelmill.publish.index import WheelRecord, build_index

    if out.exists() and not out.is_symlink():
        store.set_aside(out, "is a copy of an index and no link to one, as a cache without links restores it")
    records = [
        WheelRecord.from_wheel(
            store.get(data["digest"]),
            datetime.fromisoformat(data["uploaded"]),
            filename=file,
            sha256=data["digest"],
        )
        for file, data in shown.items()
    ]
    built = build_index(records, out)
    for text in built.damaged:
        store.notice(f"damaged: {built.tree / text}; made again, what was there is kept in {built.kept}")
    store.record("index", "local", set=key, tree=built.tree.name, wheels=len(shown))
    return found


# ------------------------------------------------------------------------------------------------------ smoke
def _outcome(
    built: BuiltWheel, admitted: tuple[Admitted, Admitted], workshop: Workshop, console: Console, smoke: Smoke
) -> Outcome:
    wheel, simulator = admitted
    if smoke == "never":
        return Outcome(built, wheel, simulator, None, "not asked for")
    key = f"{wheel.digest}/{simulator.digest}"
    record = workshop.store.find("smoke", key)
    if record is not None and smoke == "once":
        return Outcome(built, wheel, simulator, record.data["result"], None, smoke_cached=True)
    with console.step(f"smoke {built.cell.key}"):
        result = run_smoke(built.cell, workshop)
    if result.status == "not run":
        return Outcome(built, wheel, simulator, None, result.reason)
    found = result.to_json()
    workshop.store.record("smoke", key, result=found)
    return Outcome(built, wheel, simulator, found, None)


def run_smoke(cell: Cell, workshop: Workshop, *, keep: bool = False) -> SmokeResult:
    """Smoke-run a cell from the local index; `keep` leaves its environment. Raises SmokeError on failure."""
    from wheelmill.make.toolchain import sdk
    from wheelmill.prove.smoke import smoke
    from wheelmill.prove.smoke.result import SmokeResult
    from wheelmill.publish.index import IndexServer

    place = place_for(cell, workshop)
    reason = place.cannot_run(cell)
    if reason is not None:
        return SmokeResult.not_run(cell.key, reason)
    store = workshop.store
    torch = sdk.ensure(cell.line.torch, cell.arch, store, workshop.progress)
    return smoke(
        cell,
        partial(IndexServer, store.root / INDEX),
        store.root / "smoke",
        torch_wheel=store.export(torch.sha256, store.root / "torch", torch.wheel_name),
        torch_cpu_index=workshop.torch_cpu_index,
        progress=workshop.progress,
        note=workshop.note,
        keep=keep,
        place=place,
    ).check()


def place_for(target: Target, workshop: Workshop) -> Place:
    """Where the workshop's cells are run."""
    containers = workshop.engine.name not in ("host", "auto")
    return choose_place(
        target,
        workshop.store,
        workshop.progress,
        containers=containers,
        in_container=workshop.run_in_container,
    )


def choose_place(
    target: Target, store: Store, progress: Progress, *, containers: bool, in_container: bool
) -> Place:
    """This machine; a container for what it cannot run, where that is what is built with, or when told."""
    from wheelmill.prove.smoke.places import ThisMachine

    here = ThisMachine()
    if not in_container and (not containers or here.cannot_run(target) is None):
        return here
    from wheelmill.make.images import ImageShop
    from wheelmill.prove.smoke.container import InContainer

    return InContainer(ImageShop(store.root, progress=progress))
