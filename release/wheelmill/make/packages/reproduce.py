"""Build a wheel of a described project again from the recipe in it, in another folder and without caches."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from wheelmill.describe.cells import cells
from wheelmill.errors import WheelmillError
from wheelmill.limits import parse_json
from wheelmill.make.packages.build import ensure, jobs
from wheelmill.make.packages.shop import Job, Shop, policy_of
from wheelmill.make.reproduce import CannotReproduceError, Recorded, Reproduction, brief
from wheelmill.make.toolchain.sources import git
from wheelmill.matrix.plain import from_plain
from wheelmill.store import Store
from wheelmill.store.shapes import Sha256
from wheelmill.wheel import wheelfile
from wheelmill.wheel.compare import compare
from wheelmill.wheel.facts import RECIPE, open_wheel

if TYPE_CHECKING:
    from wheelmill.describe import Cell, Described
    from wheelmill.make.packages.compilers import Place

KIND = "package"


class _SdkStamp(TypedDict):
    name: str
    version: str
    sha256: str


class _Stamp(TypedDict):
    """A recipe of a described project's wheel; who wrote it is not known, and its key names a folder."""

    schema: int
    kind: str
    key: Sha256
    format: list[int]
    package: str
    project: str
    line: str
    cell: dict[str, str]
    sources: str
    epoch: int
    python: str
    sdks: list[_SdkStamp]
    compiler: str


@dataclass(frozen=True)
class Rebuild:
    """What is built again: the wheel, its cell in the project here, and what it is built with."""

    recorded: Recorded
    cell: Cell
    shop: Shop


def read_recorded(wheel: Path) -> Recorded | None:
    """The wheel's stamp; None where it is no wheel of a described project. Raises WheelError."""
    found = open_wheel(wheel)
    if f"{found.name.dist_info}/{RECIPE}" not in found.archive.by_name:
        return None
    try:
        stamp = from_plain(_Stamp, parse_json(found.text(RECIPE)))
    except ValueError:
        return None
    if (stamp["schema"], stamp["kind"]) != (1, KIND):
        return None
    return Recorded(wheel, found.name.distribution, found.name.tag, dict(stamp))


def cell_of(recorded: Recorded, described: Described) -> Cell:
    """The cell that the wheel was built for. Raises CannotReproduceError."""
    stamp = recorded.stamp
    for cell in cells(described.project):
        if (cell.line, dict(cell.values)) == (stamp["line"], stamp["cell"]):
            return cell
    known = described.project.axes
    axes = sorted(stamp["cell"], key=lambda name: known.index(name) if name in known else len(known))
    asked = "/".join((str(stamp["line"]), *(stamp["cell"][name] for name in axes)))
    raise CannotReproduceError(
        f"{recorded.path.name} was made for {asked} of {stamp['package']}, which {described.file} has not",
        hint="take the commit of the project that it was made from; `wheelmill project cells` lists cells",
    )


def choose_place(
    recorded: Recorded, cell: Cell, shop: Shop, places: Mapping[str, Callable[[], Place]], *, anyway: bool
) -> Place:
    """The first place whose compiler is the recorded one; with `anyway` the first that has any.

    Raises CannotReproduceError with what each has.
    """
    found, usable, policy = [], [], policy_of(cell, shop)
    for name, make in places.items():
        try:
            place = make()
            identity = place.identity(cell.arch, policy)
        except WheelmillError as error:
            found.append(f"{name}: {error.message}")
            continue
        if identity == recorded.stamp["compiler"]:
            return place
        found.append(f"{name}: {identity}")
        usable.append(place)
    if anyway and usable:
        return usable[0]
    raise CannotReproduceError(
        f"{recorded.path.name} was compiled with another compiler than there is here\n"
        f"  asked: {recorded.stamp['compiler']}\n  found: " + "\n         ".join(found),
        hint="name the engine that has it with --engine; or see with --anyway what this one makes",
    )


def reproduce(asked: Rebuild, folder: Path, *, anyway: bool) -> Reproduction:
    """Build again in `folder`, a store of its own, and compare.

    Raises CannotReproduceError with every reason. `folder` is removed where the bytes are the same.
    """
    store = asked.shop.store
    with store.lock(f"reproduce-{folder.name}", waiting=asked.shop.progress):
        shutil.rmtree(folder, ignore_errors=True)
        found = _reproduce(asked, folder, anyway)
        if found.comparison.same:
            shutil.rmtree(folder, ignore_errors=True)
    return found


def _reproduce(asked: Rebuild, folder: Path, anyway: bool) -> Reproduction:
    recorded, shop = asked.recorded, _with_its_torch(asked)
    store = Store(folder, notice=shop.store.notice)
    shop = replace(shop, store=store, sdks=shop.store, epoch=int(recorded.stamp["epoch"]))
    job = _job(asked.cell, shop)
    found = list(_changes(recorded, job))
    if found and not anyway:
        reasons = "\n  ".join(text for text, _ in found)
        hints = dict.fromkeys(hint for _, hint in found)
        raise CannotReproduceError(
            f"{recorded.path.name} was made from something else than there is here:\n  {reasons}",
            hint="\n".join([*hints, "or see with --anyway what that changes"]),
        )
    made = ensure(job, shop)
    rebuilt = wheelfile.rewrite(made.path, folder / "rebuilt", tag=recorded.tag)
    comparison = compare(recorded.path, rebuilt)
    return Reproduction(
        recorded=recorded,
        cell=asked.cell,
        engine=shop.place.name,
        comparison=comparison,
        seconds=made.seconds,
        rebuilt=None if comparison.same else rebuilt,
        changed=tuple(text for text, _ in found),
    )


def _with_its_torch(asked: Rebuild) -> Shop:
    """The shop, in which the cell's torch has the one wheel that the recipe names, where it is known here."""
    described = asked.shop.described
    torch, named = described.torch(asked.cell), {sdk["sha256"] for sdk in asked.recorded.stamp["sdks"]}
    own = () if torch is None else tuple(wheel for wheel in torch.wheels if wheel.sha256 in named)
    if torch is None or not own:
        return asked.shop
    torches = {**described.torches, torch.version: replace(torch, wheels=own)}
    return replace(asked.shop, described=replace(described, torches=torches))


def _job(cell: Cell, shop: Shop) -> Job:
    """The build that makes the cell's wheel, for all cells that share it. Raises what `jobs` gives."""
    described = shop.described
    shared = described.project.build.shared
    together = [
        one
        for one in cells(described.project)
        if (one.line, one.without(shared)) == (cell.line, cell.without(shared))
    ]
    (job,) = list(jobs(together, shop))[:1]
    if not isinstance(job, Job):
        raise job[1]
    return job


def _changes(recorded: Recorded, job: Job) -> Iterator[tuple[str, str]]:
    """What the recipe says otherwise than this project and machine: (in words, what to do)."""
    sources = _where_sources_are(recorded, job.sources.root)
    asked, here = recorded.stamp, job.recipe
    words: tuple[tuple[str, str, str], ...] = (
        ("sources", "sources", sources),
        ("project file", "project", sources),
        ("Python", "python", "install that Python; `wheelmill build` takes the newest patch that is here"),
        ("compiler", "compiler", "take an engine that has it"),
        ("format of wheels", "format", "take the wheelmill that made it"),
    )
    for what, name, hint in words:
        if asked[name] != here[name]:
            yield f"{what}: asked {brief(asked[name])}, found {brief(here[name])}", hint
    mine = {sdk["name"]: sdk["sha256"] for sdk in here["sdks"]}
    for sdk in asked["sdks"]:
        if mine.get(sdk["name"]) != sdk["sha256"]:
            found = brief(mine.get(sdk["name"], "none"))
            text = f"{sdk['name']} {sdk['version']}: asked {brief(sdk['sha256'])}, found {found}"
            yield text, "an index has another file of it now; build against that one, or name its `index`"


def _where_sources_are(recorded: Recorded, tree: Path) -> str:
    """The commit that the sources are of, where the history here has it."""
    epoch = str(recorded.stamp["epoch"])
    try:
        lines = git(tree, "log", "--format=%h %ct", "--", ".").stdout.splitlines()
    except WheelmillError:  # there may be no git
        lines = []
    commit = next((line.split()[0] for line in lines if line.split()[1] == epoch), None)
    if commit is None:
        return f"take the sources that it was made from: their time is {epoch} (seconds since 1970)"
    return f"its sources are of commit {commit}: git worktree add ../{commit} {commit}, and run this there"
