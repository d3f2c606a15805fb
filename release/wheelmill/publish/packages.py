"""Cells of a described project all the way, as `pipeline` does for the adapter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelmill.errors import WheelmillError
from wheelmill.make.build import Failed
from wheelmill.make.packages import build, sdks
from wheelmill.make.packages.shop import Job, Made, PackageError, Shop
from wheelmill.make.tasks import ProgressGroup, Share, Task, run_tasks
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.project import find_project
from wheelmill.prove.admission import Admitted, admit_package
from wheelmill.publish.pipeline import INDEX, Failures, Report, Smoke, choose_place, show_admitted
from wheelmill.wheel.name import parse_name

if TYPE_CHECKING:
    from wheelmill.console import Console
    from wheelmill.describe import Cell
    from wheelmill.prove.smoke.places import Place
    from wheelmill.prove.smoke.result import SmokeResult

_NO_PROGRAM = "the project file names no program under [smoke]"


@dataclass(frozen=True)
class Run:
    """Where smoke runs of a project may go, and from which index torch without CUDA comes."""

    containers: bool = False
    in_container: bool = False
    torch_cpu_index: str | None = None


@dataclass(frozen=True)
class PackageOutcome:
    """What became of a cell. `smoke` is the run's JSON, or None with the reason in `not_run`."""

    cell: Cell
    made: Made
    wheel: Admitted
    smoke: Mapping[str, Any] | None
    not_run: str | None
    smoke_cached: bool = False

    @property
    def key(self) -> str:
        """See pipeline.Done."""
        return self.cell.key

    @property
    def seconds(self) -> Mapping[str, float]:
        """See pipeline.Done."""
        return self.made.seconds

    @property
    def ran(self) -> str | None:
        """See pipeline.Done."""
        if self.smoke is None:
            return None
        printed = str(self.smoke["printed"]).splitlines()
        return printed[-1] if printed else "and printed nothing"

    @property
    def cached(self) -> bool:
        """See pipeline.Done."""
        return self.made.cached and self.wheel.cached and (self.smoke is None or self.smoke_cached)

    def to_json(self) -> dict[str, Any]:
        """For machines; paths are absolute."""
        return {
            "cell": self.key,
            "cached": self.cached,
            "wheel": str(self.wheel.path),
            "sha256": self.wheel.digest,
            "audit": dict(self.wheel.verdict),
            "smoke": None if self.smoke is None else dict(self.smoke),
            "not_run": self.not_run,
            "seconds": dict(self.seconds),
        }


# --------------------------------------------------------------------------------------------------- planning
@dataclass(frozen=True)
class Planned:
    """A cell and what a build would do for it: `cached`, `to build`, or `refused` with the reason."""

    cell: Cell
    state: str
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "cell": self.cell.key,
            **self.cell.values,
            "state": self.state,
            "reason": self.reason,
        }


def plan(cells: Iterable[Cell], shop: Shop) -> Iterator[Planned]:
    """What a build of these cells would do; nothing is changed."""
    wanted = tuple(cells)
    keys = {cell.key for cell in wanted}
    missing = _missing(shop)
    for job in build.jobs(wanted, shop):
        if isinstance(job, Job) and missing is not None:
            yield from (Planned(cell, "refused", missing.message) for cell in job.cells if cell.key in keys)
        elif isinstance(job, Job):
            state = "cached" if build.known(job, shop) else "to build"
            yield from (Planned(cell, state) for cell in job.cells if cell.key in keys)
        else:
            cell, error = job
            yield Planned(cell, "refused", error.message)


def _missing(shop: Shop) -> PackageError | None:
    """What a smoke run reads and is not there: hours of compiling are not to end in that."""
    smoke = shop.described.project.smoke
    if smoke is None or smoke.index is None or "://" in smoke.index:
        return None
    folder = (shop.described.beside / smoke.index).resolve()
    if folder.is_dir():
        return None
    return PackageError(
        f"`index` under [smoke] of {shop.described.file} is {smoke.index!r}, and there is no folder {folder}",
        hint="correct the path from the folder of the file, or fill that index first; --no-smoke builds only",
    )


def known_verdicts(cells: Iterable[Cell], shop: Shop) -> dict[str, Mapping[str, Any]]:
    """File name -> what the audit said, of those wheels of the cells that were built and audited before."""
    built = set()
    for job in build.jobs(cells, shop):
        record = shop.store.find("wheel", job.key) if isinstance(job, Job) else None
        if record is not None:
            built.add(record.data["digest"])
    audited = (record.data for record in shop.store.records("audit"))
    return {str(data["file"]): data["verdict"] for data in audited if data["built"] in built}


# --------------------------------------------------------------------------------------------------- building
def run_all(
    cells: Iterable[Cell],
    shop: Shop,
    console: Console,
    run: Run,
    *,
    smoke: Smoke = "once",
    keep_going: bool = False,
) -> Report[PackageOutcome]:
    """Bring cells to audited, indexed and, where they can be run, smoke-run wheels.

    With `keep_going` a failure is told in the report, else the first is raised; finished wheels stay.
    """
    wanted = tuple(cells)
    if smoke != "never" and (missing := _missing(shop)) is not None:
        raise missing
    failures = Failures(console, keep_going)
    admitted: dict[str, tuple[Made, Admitted]] = {}
    try:
        with console.step(f"build and audit {wanted[0].key if len(wanted) == 1 else f'{len(wanted)} cells'}"):
            for made, wheel in _each(wanted, shop, console, failures):
                admitted |= {cell.key: (made, wheel) for cell in made.job.cells}
    finally:
        show_admitted(shop.store)
    outcomes = {}
    for cell in wanted:
        if cell.key in admitted:
            try:
                outcomes[cell.key] = _outcome(cell, *admitted[cell.key], shop, console, run, smoke)
            except WheelmillError as error:
                failures.add(Failed(cell, "smoke", error))
    return Report(tuple(outcomes[cell.key] for cell in wanted if cell.key in outcomes), tuple(failures.all))


def _each(
    cells: Iterable[Cell], shop: Shop, console: Console, failures: Failures
) -> Iterator[tuple[Made, Admitted]]:
    """Every wheel as it gets ready; here one build after the other, elsewhere many at once."""
    asked = tuple(cells)
    keys = {cell.key for cell in asked}
    wanted: dict[str, Job] = {}
    for job in build.jobs(asked, shop):
        if isinstance(job, Job):
            wanted[job.cell.key] = job
        else:
            failures.add(Failed(job[0], "plan", job[1]))
    at_once = 1 if shop.elsewhere is None else shop.elsewhere.at_once
    group = ProgressGroup(console.progress)
    shops = {key: replace(shop, progress=group.channel(key)) for key in wanted}
    tasks = [Task(key, _Build(job, shops[key])) for key, job in wanted.items()]
    with closing(run_tasks(tasks, max(shop.jobs, at_once), at_once)) as each:
        for done in each:
            group.end(done.name)
            job, phase = wanted[done.name], "build"
            try:
                if done.error is not None:
                    raise done.error
                assert done.result is not None
                phase = "audit"
                yield done.result, admit_package(done.result, shop)
            except WheelmillError as error:
                for cell in job.cells:
                    if cell.key in keys:
                        failures.add(Failed(cell, phase, error))
                continue
            if not done.result.cached:
                console.note(f"{job.cell.key}  built and audited")


@dataclass(frozen=True)
class _Build:
    """A job's build as a task."""

    job: Job
    shop: Shop

    def __call__(self, share: Share) -> Made:
        return build.ensure(self.job, self.shop, share)


# ------------------------------------------------------------------------------------------------------ smoke
def cannot_run(cells: Iterable[Cell], shop: Shop, run: Run, *, emulation: bool = True) -> dict[str, str]:
    """Of each cell that is not smoke-run on this machine: key -> why."""
    found = {cell.key: _cannot_run(cell, shop, run, emulation) for cell in cells}
    return {key: reason for key, reason in found.items() if reason is not None}


def _cannot_run(cell: Cell, shop: Shop, run: Run, emulation: bool) -> str | None:
    if shop.described.project.smoke is None:
        return _NO_PROGRAM
    if cell.arch != host_arch() and not emulation:
        return f"this machine is {host_arch()}, and nothing is to be emulated"
    return _place(cell, shop, run).cannot_run(cell)


def _place(cell: Cell, shop: Shop, run: Run) -> Place:
    return choose_place(
        cell, shop.store, shop.progress, containers=run.containers, in_container=run.in_container
    )


def _outcome(
    cell: Cell, made: Made, wheel: Admitted, shop: Shop, console: Console, run: Run, smoke: Smoke
) -> PackageOutcome:
    program = shop.described.project.smoke
    if smoke == "never" or program is None:
        reason = "not asked for" if program else _NO_PROGRAM
        return PackageOutcome(cell, made, wheel, None, reason)
    key = build.smoke_key(cell, wheel.digest, shop)
    record = shop.store.find("smoke", key)
    if record is not None and smoke == "once":
        return PackageOutcome(cell, made, wheel, record.data["result"], None, smoke_cached=True)
    with console.step(f"smoke {cell.key}"):
        result = _run_smoke(cell, wheel, shop, run).check()
    if result.status == "not run":
        return PackageOutcome(cell, made, wheel, None, result.reason)
    found = result.to_json()
    shop.store.record("smoke", key, result=found)
    return PackageOutcome(cell, made, wheel, found, None)


def _run_smoke(cell: Cell, wheel: Admitted, shop: Shop, run: Run) -> SmokeResult:
    from wheelmill.prove.smoke.package import Subject
    from wheelmill.prove.smoke.package import smoke as run_smoke
    from wheelmill.publish.index import IndexServer

    program = shop.described.project.smoke
    assert program is not None
    name = parse_name(wheel.file)
    subject = Subject(
        cell,
        shop.described,
        program,
        f"{name.project}=={name.version}",
        sdks.index_words(program.index, shop.described.beside),
        find_project().catalogue(),
        sdks.torch_to_run(cell, shop),
        run.torch_cpu_index,
    )
    return run_smoke(
        subject,
        partial(IndexServer, shop.store.root / INDEX),
        Path(shop.store.root, "smoke"),
        _place(cell, shop, run),
        progress=shop.progress,
        note=shop.note,
    )
