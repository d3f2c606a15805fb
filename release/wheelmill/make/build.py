"""Cells become wheels in the store: what is known is taken, the rest is compiled once per (torch, arch) and
assembled.

Everything can be killed at any moment and started again; two builds of one bundle at once wait for each
other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from wheelmill.errors import WheelmillError
from wheelmill.make.bundles import BuildError, Order, bundle_path, ensure_bundle, made_in
from wheelmill.make.plan import BuildImage, Facts, Group, Plan, Recipe, SimulatorRecipe, plan, rows
from wheelmill.make.tasks import ProgressGroup, Share, Task, run_tasks
from wheelmill.make.toolchain import sdk as sdks
from wheelmill.make.toolchain.sources import README, read_sources
from wheelmill.make.workshop import Workshop
from wheelmill.progress import Progress
from wheelmill.store import Digest, Store

if TYPE_CHECKING:
    from wheelmill.make.engines import Engine
    from wheelmill.matrix import Cell

__all__ = ["Artifact", "BuildError", "BuiltWheel", "Failed", "Workshop", "build", "build_each", "make_plan"]


@dataclass(frozen=True)
class Artifact:
    """A wheel in the store. `path` has its file name; `cached` says that nothing was done for it now."""

    file: str
    digest: Digest
    path: Path
    key: str
    cached: bool


@dataclass(frozen=True)
class BuiltWheel:
    """The adapter's wheel of a cell and the simulator's for the same (torch, arch).

    `seconds` has the time of each phase that ran now (sdk, configure, compile, install: once for all cells of
    the bundle; assemble: this wheel's own). `log` is the compiler's log, where this machine made the bundle.
    """

    cell: Cell
    wheel: Artifact
    simulator: Artifact
    bundle: str
    seconds: Mapping[str, float] = field(default_factory=dict)
    log: Path | None = None

    @property
    def cached(self) -> bool:
        """Whether there was nothing to do."""
        return self.wheel.cached and self.simulator.cached


class Keyed(Protocol):
    """A cell of any project."""

    @property
    def key(self) -> str:
        """Its name among all."""


@dataclass(frozen=True)
class Failed:
    """A cell that has no good wheel now: in which phase that came out (sdk, compile, ...), and why."""

    cell: Keyed
    phase: str
    error: WheelmillError


Each = Generator[BuiltWheel | Failed, None, None]


def make_plan(cells: Iterable[Cell], workshop: Workshop, *, elsewhere: bool = False) -> Plan:
    """What would be done for these cells; changes nothing.

    `elsewhere`: other machines will build, so what this one cannot compile is not refused.
    """
    wanted = tuple(cells)
    return plan(wanted, gather_facts(wanted, workshop, elsewhere=elsewhere), _known(workshop.store))


def build(cells: Iterable[Cell], workshop: Workshop) -> tuple[BuiltWheel, ...]:
    """Build what is not known of these cells and return all their wheels, in the order asked.

    Raises BuildError when a cell is refused (before anything is built), and what engines, SDK and store
    raise. Wheels that were finished before an error stay in the store.
    """
    made = make_plan(cells, workshop)
    refuse(made)
    built = {}
    with closing(build_each(made, workshop)) as each:
        for item in each:
            if isinstance(item, Failed):
                raise item.error
            built[item.cell.key] = item
    return tuple(built[step.cell.key] for step in made.wanted)


def refuse(made: Plan) -> None:
    """Raise BuildError with every reason when cells of the plan cannot be built."""
    if made.refused:
        reasons = "\n  ".join(f"{step.cell.key}: {step.reason}" for step in made.refused)
        raise BuildError(f"{len(made.refused)} of {len(made.steps)} cells cannot be built:\n  {reasons}")


def build_each(made: Plan, workshop: Workshop) -> Each:
    """Every cell of the plan that is not refused, as soon as its wheels are there or it is clear that they
    will not be: known cells first, then bundle by bundle.

    Several bundles are compiled at once. Close it to end what still runs; what is finished stays.
    """
    for group in made.groups:
        if group.ready:
            yield from _wheels(group, workshop, {})
    yield from _compile_all([group for group in made.groups if not group.ready], workshop)


@dataclass
class _Compilation:
    """A bundle on its way: which group it is for, and the seconds spent."""

    group: Group
    workshop: Workshop
    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    def prepare(self) -> None:
        """Have the SDK. The torch wheel that comes may be another of those that the matrix allows: it is part
        of the key."""
        started = time.monotonic()
        cell = self.group.steps[0].cell
        workshop = self.workshop
        sdk = sdks.ensure(cell.line.torch, cell.arch, workshop.sdk_store, self.progress, workshop.note)
        if sdk.sha256 != self.group.bundle.sdk:
            (self.group,) = make_plan((step.cell for step in self.group.steps), self.workshop).groups
        self.seconds["sdk"] = round(time.monotonic() - started, 3)

    def run(self, share: Share) -> None:
        """Compile."""
        cell = self.group.steps[0].cell
        order = Order(self.group.bundle, cell.line.torch, cell.manylinux)
        self.seconds |= ensure_bundle(order, self.workshop, share, self.progress)


def _compile_all(groups: Sequence[Group], workshop: Workshop) -> Each:
    """Compile the groups' bundles, several at once; the wheels of each as soon as its bundle is there."""
    if not groups:
        return
    group_progress = ProgressGroup(workshop.progress)
    names = {group.bundle.name: group for group in groups}
    wanted = {
        name: _Compilation(group, workshop, group_progress.channel(name)) for name, group in names.items()
    }
    tasks = [Task(name, one.run, one.prepare) for name, one in wanted.items()]
    jobs = workshop.jobs or workshop.engine.compilers()
    with closing(run_tasks(tasks, jobs, workshop.at_once)) as each:
        for done in each:
            group_progress.end(done.name)
            one = wanted[done.name]
            if done.error is None:
                yield from _wheels(one.group, workshop, one.seconds)
            elif isinstance(done.error, WheelmillError):
                phase = "compile" if done.started else "sdk"
                yield from (Failed(step.cell, phase, done.error) for step in one.group.steps)
            else:
                raise done.error


def _wheels(group: Group, workshop: Workshop, seconds: Mapping[str, float]) -> Each:
    """The wheels of every cell of a group whose bundle is there, or is not needed."""
    native = bundle_path(workshop.store, group.bundle)
    for step, recipe in zip(group.steps, group.recipes, strict=True):
        try:
            yield _ensure_wheels(recipe, native, workshop, seconds)
        except WheelmillError as error:
            yield Failed(step.cell, "assemble", error)


def gather_facts(cells: Iterable[Cell], workshop: Workshop, *, elsewhere: bool = False) -> Facts:
    """Read the sources, ask the engine for its compilers and the store for its SDKs."""
    found: dict[tuple[str, str], str] = {}
    compilers: dict[tuple[str, str], str] = {}
    images: dict[tuple[str, str], BuildImage] = {}
    missing: dict[tuple[str, str], str] = {}
    for cell in cells:
        torch, arch = cell.line.torch, cell.arch
        if not cell.line.buildable or (torch.version, arch) in found:
            continue
        try:
            found[torch.version, arch] = sdks.expected_sha256(torch, arch, workshop.sdk_store)
            compilers[torch.version, arch] = _compiler(cell, workshop.engine, elsewhere)
            images[torch.version, arch] = _image(cell, workshop, elsewhere)
        except WheelmillError as error:
            missing[torch.version, arch] = str(error)
    readme = workshop.sources / README
    environment = None if workshop.epoch is None else {"SOURCE_DATE_EPOCH": str(workshop.epoch)}
    return Facts(
        sources=read_sources(workshop.sources, environment=environment),
        sdks=found,
        compilers=compilers,
        rows=rows(workshop.lines),
        description=readme.read_text(encoding="utf-8") if readme.is_file() else "",
        images=images,
        made_in=partial(made_in, workshop.store) if workshop.image is None else lambda key: workshop.image,
        missing=missing,
    )


def _compiler(cell: Cell, engine: Engine, elsewhere: bool) -> str:
    try:
        return engine.identity(cell.arch, cell.manylinux)
    except WheelmillError:
        if not elsewhere:
            raise
        return f"unknown: of the machine that builds for {cell.arch}"


def _image(cell: Cell, workshop: Workshop, elsewhere: bool) -> BuildImage:
    try:
        return workshop.image or workshop.engine.image(cell.arch, cell.manylinux)
    except WheelmillError:
        if not elsewhere:
            raise
        return BuildImage()


def _known(store: Store) -> Callable[[str, str], bool]:
    def known(kind: str, key: str) -> bool:
        if kind == "bundle":  # the remote has these; a wheel is assembled in a moment
            return store.obtain(kind, key) is not None
        record = store.find(kind, key)
        return record is not None and store.has(record.data["digest"])

    return known


def _ensure_wheels(
    recipe: Recipe, native: Path | None, workshop: Workshop, bundle_seconds: Mapping[str, float]
) -> BuiltWheel:
    """The cell's two wheels, assembled where the store lacks them."""
    from wheelmill.make import assemble

    started = time.monotonic()

    def adapter_wheel(folder: Path) -> Path:
        return assemble.adapter_wheel(
            recipe, assemble.read_bundle(_present(native)), workshop.sources, folder
        )

    def simulator_wheel(folder: Path) -> Path:
        files = assemble.read_bundle(_present(native))
        return assemble.simulator_wheel(recipe.simulator, files, workshop.sources, folder)

    branch = recipe.cell.line.branch
    simulator = _ensure_wheel(
        recipe.simulator, branch, simulator_wheel, workshop, cell=recipe.simulator.bundle.name
    )
    wheel = _ensure_wheel(recipe, branch, adapter_wheel, workshop, cell=recipe.cell.key)
    seconds = dict(bundle_seconds)
    if not (wheel.cached and simulator.cached):
        seconds["assemble"] = round(time.monotonic() - started, 3)
    made = workshop.store.find("bundle", recipe.bundle.key)
    log = None if made is None else workshop.store.root / "logs" / str(made.data["log"])
    if log is not None and not log.is_file():  # another machine compiled it
        log = None
    return BuiltWheel(recipe.cell, wheel, simulator, recipe.bundle.key, seconds, log)


def _ensure_wheel(
    recipe: Recipe | SimulatorRecipe,
    branch: str,
    make: Callable[[Path], Path],
    workshop: Workshop,
    **data: Any,
) -> Artifact:
    store, key = workshop.store, recipe.key
    record = store.find("wheel", key)
    cached = record is not None and store.has(record.data["digest"])
    if record is None or not cached:
        with store.scratch("wheel-") as scratch:
            path = make(scratch)
            workshop.progress(f"assembled {path.name}")
            digest = store.put(path)
            record = store.record(
                "wheel", key, digest=digest, file=path.name, bundle=recipe.bundle.key, **data
            )
    digest, file = Digest(record.data["digest"]), str(record.data["file"])
    folder = store.root / "assembled" / branch.replace("/", "_")  # no wheel yet: nobody has audited it
    return Artifact(file, digest, store.export(digest, folder, file), key, cached)


def _present(native: Path | None) -> Path:
    if native is None:
        raise BuildError(
            "a wheel of a known bundle vanished from the store during the build", hint="run it again"
        )
    return native
