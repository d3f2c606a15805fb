"""Cells become wheels in the store: what is known is taken, the rest is compiled once per (torch, arch) and
assembled.

Everything can be killed at any moment and started again; two builds of one bundle at once wait for each
other.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelmill.errors import WheelmillError
from wheelmill.plan import BundleRecipe, Facts, Group, Plan, Recipe, SimulatorRecipe, plan, rows
from wheelmill.progress import Progress, silent
from wheelmill.store import Digest, Store
from wheelmill.store.errors import disk_errors
from wheelmill.toolchain import sdk as sdks
from wheelmill.toolchain.sources import digest_tree, native_files, read_sources

if TYPE_CHECKING:
    from wheelmill.engines import Engine
    from wheelmill.matrix import Cell, Line


class BuildError(WheelmillError):
    """Cells that cannot be built, or sources that changed under the build."""


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


@dataclass(frozen=True)
class Workshop:
    """What a build works with. `lines` are all lines of the matrix, which are stamped into every wheel.

    `run_in_container` keeps smoke runs off this machine also where it could run the cell.
    """

    store: Store
    engine: Engine
    adapter: Path
    lines: tuple[Line, ...]
    torch_cpu_index: str | None = None
    progress: Progress = silent
    jobs: int | None = None
    run_in_container: bool = False
    timeout: float = 3 * 3600.0


def make_plan(cells: Iterable[Cell], workshop: Workshop) -> Plan:
    """What would be done for these cells; changes nothing."""
    wanted = tuple(cells)
    return plan(wanted, gather_facts(wanted, workshop), _known(workshop.store))


def build(cells: Iterable[Cell], workshop: Workshop) -> tuple[BuiltWheel, ...]:
    """Build what is not known of these cells and return all their wheels, in the order asked.

    Raises BuildError when a cell is refused (before anything is built), and what engines, SDK and store
    raise. Wheels that were finished before an error stay in the store.
    """
    wanted = tuple({cell.key: cell for cell in cells}.values())
    made = make_plan(wanted, workshop)
    if made.refused:
        reasons = "\n  ".join(f"{step.cell.key}: {step.reason}" for step in made.refused)
        raise BuildError(f"{len(made.refused)} of {len(wanted)} cells cannot be built:\n  {reasons}")
    seconds = _fetch_sdks(made, workshop)
    if seconds:  # the wheel that came may be another of those that the matrix allows: it is part of the key
        made = make_plan(wanted, workshop)
    built = {
        wheel.cell.key: wheel for group in made.groups for wheel in _build_group(group, workshop, seconds)
    }
    return tuple(built[cell.key] for cell in wanted)


def gather_facts(cells: Iterable[Cell], workshop: Workshop) -> Facts:
    """Read the sources, ask the engine for its compilers and the store for its SDKs."""
    found: dict[tuple[str, str], str] = {}
    compilers: dict[tuple[str, str], str] = {}
    missing: dict[tuple[str, str], str] = {}
    for cell in cells:
        torch, arch = cell.line.torch, cell.arch
        if not cell.line.buildable or (torch.version, arch) in found:
            continue
        try:
            found[torch.version, arch] = sdks.expected_sha256(torch, arch, workshop.store)
            compilers[torch.version, arch] = workshop.engine.identity(arch, cell.manylinux)
        except WheelmillError as error:
            missing[torch.version, arch] = str(error)
    readme = workshop.adapter / "README.md"
    return Facts(
        sources=read_sources(workshop.adapter),
        sdks=found,
        compilers=compilers,
        rows=rows(workshop.lines),
        description=readme.read_text(encoding="utf-8") if readme.is_file() else "",
        missing=missing,
    )


def _known(store: Store) -> Callable[[str, str], bool]:
    def known(kind: str, key: str) -> bool:
        record = store.find(kind, key)
        return record is not None and store.has(record.data["digest"])

    return known


def _fetch_sdks(made: Plan, workshop: Workshop) -> dict[tuple[str, str], float]:
    """Have the SDK of every bundle that must be compiled; the seconds that each took."""
    seconds = {}
    for group in made.groups:
        if group.cached or all(step.state == "cached" for step in group.steps):
            continue
        started = time.monotonic()
        cell = group.steps[0].cell
        sdks.ensure(cell.line.torch, cell.arch, workshop.store, workshop.progress)
        seconds[group.bundle.torch, group.bundle.arch] = round(time.monotonic() - started, 3)
    return seconds


def _build_group(
    group: Group, workshop: Workshop, sdk_seconds: Mapping[tuple[str, str], float]
) -> list[BuiltWheel]:
    recipes = [step.recipe for step in group.steps if step.recipe is not None]
    seconds: dict[str, float] = {}
    native: Path | None = None
    if any(step.state != "cached" for step in group.steps):
        spent = sdk_seconds.get((group.bundle.torch, group.bundle.arch))
        seconds |= {} if spent is None else {"sdk": spent}
        seconds |= _have_bundle(recipes[0], workshop)
        native = _bundle_path(workshop.store, group.bundle)
    return [_have_wheels(recipe, native, workshop, seconds) for recipe in recipes]


def _bundle_path(store: Store, bundle: BundleRecipe) -> Path | None:
    record = store.find("bundle", bundle.key)
    return (
        store.get(record.data["digest"]) if record is not None and store.has(record.data["digest"]) else None
    )


def _have_bundle(recipe: Recipe, workshop: Workshop) -> Mapping[str, float]:
    """Compile the recipe's bundle unless the store has it; the seconds of each phase that ran."""
    store, bundle = workshop.store, recipe.bundle
    if _bundle_path(store, bundle) is not None:
        return {}
    with store.lock(f"bundle-{bundle.name}", waiting=workshop.progress) as lock:
        if _bundle_path(store, bundle) is not None:  # who held the lock has just made it
            return {}
        return _compile(recipe, workshop, lock.descriptor)


def _compile(recipe: Recipe, workshop: Workshop, lock: int) -> Mapping[str, float]:
    from wheelmill.assemble import pack_bundle
    from wheelmill.engines import Job

    store, bundle, cell = workshop.store, recipe.bundle, recipe.cell
    workdir = _workdir(bundle, workshop)
    log = store.root / "logs" / f"{bundle.name}-{bundle.key[:12]}.log"
    job = Job(
        recipe=bundle,
        adapter=workdir / "adapter",
        sdk=sdks.ensure(cell.line.torch, cell.arch, store, workshop.progress).root,
        workdir=workdir,
        log=log,
        timeout=workshop.timeout,
        jobs=workshop.jobs,
        keep_open=(lock,),
        policy=cell.manylinux,
    )
    result = workshop.engine.build(job, workshop.progress)
    packed = workdir / "bundle.tar"
    with disk_errors("write", packed):
        pack_bundle(result.prefix, packed)
    digest = store.put(packed)
    engine, seconds = workshop.engine.name, dict(result.seconds)
    store.record(
        "bundle", bundle.key, digest=digest, name=bundle.name, engine=engine, seconds=seconds, log=log.name
    )
    shutil.rmtree(workdir, ignore_errors=True)
    return result.seconds


def _workdir(bundle: BundleRecipe, workshop: Workshop) -> Path:
    """The bundle's folder with a snapshot of the native sources, so that an edit during the build cannot get
    in.

    Its path depends on (torch, arch) alone, for ccache's sake. An interrupted build of the same recipe goes
    on in it.
    """
    workdir = workshop.store.root / "work" / bundle.name
    marker = workdir / "recipe"
    snapshot = workdir / "adapter"
    with disk_errors("prepare", workdir):
        if not marker.is_file() or marker.read_text() != bundle.key:
            shutil.rmtree(workdir, ignore_errors=True)
            for path in native_files(workshop.adapter):
                (snapshot / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(workshop.adapter / path, snapshot / path)
            marker.write_text(bundle.key)
    if digest_tree(snapshot, native_files(snapshot)) != bundle.native:
        marker.unlink()
        raise BuildError(
            f"{workshop.adapter} changed while the build began", hint="run the same command again"
        )
    return workdir


def _have_wheels(
    recipe: Recipe, native: Path | None, workshop: Workshop, bundle_seconds: Mapping[str, float]
) -> BuiltWheel:
    """The cell's two wheels, assembled where the store lacks them."""
    from wheelmill import assemble

    started = time.monotonic()

    def adapter_wheel(folder: Path) -> Path:
        return assemble.adapter_wheel(recipe, assemble.read_bundle(_need(native)), workshop.adapter, folder)

    def simulator_wheel(folder: Path) -> Path:
        files = assemble.read_bundle(_need(native))
        return assemble.simulator_wheel(recipe.simulator, files, workshop.adapter, folder)

    branch = recipe.cell.line.branch
    simulator = _have_wheel(
        recipe.simulator, branch, simulator_wheel, workshop, cell=recipe.simulator.bundle.name
    )
    wheel = _have_wheel(recipe, branch, adapter_wheel, workshop, cell=recipe.cell.key)
    seconds = dict(bundle_seconds)
    if not (wheel.cached and simulator.cached):
        seconds["assemble"] = round(time.monotonic() - started, 3)
    made = workshop.store.find("bundle", recipe.bundle.key)
    log = None if made is None else workshop.store.root / "logs" / str(made.data["log"])
    return BuiltWheel(recipe.cell, wheel, simulator, recipe.bundle.key, seconds, log)


def _have_wheel(
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
        with tempfile.TemporaryDirectory(dir=_scratch(store), prefix="wheel-") as scratch:
            path = make(Path(scratch))
            workshop.progress(f"assembled {path.name}")
            digest = store.put(path)
            record = store.record(
                "wheel", key, digest=digest, file=path.name, bundle=recipe.bundle.key, **data
            )
    digest, file = Digest(record.data["digest"]), str(record.data["file"])
    folder = store.root / "wheels" / branch.replace("/", "_")
    return Artifact(file, digest, store.export(digest, folder, file), key, cached)


def _scratch(store: Store) -> Path:
    folder = store.root / "work"
    with disk_errors("write to", folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _need(native: Path | None) -> Path:
    if native is None:
        raise BuildError(
            "a wheel of a known bundle vanished from the store during the build", hint="run it again"
        )
    return native
