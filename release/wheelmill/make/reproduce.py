"""Build a wheel again from the recipe stamped into it, in another folder and without caches, and compare.

What the recipe asks for and this checkout or machine does not have is told before anything is built.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from wheelmill.errors import WheelmillError
from wheelmill.limits import parse_json
from wheelmill.make.build import Keyed, Workshop, build, make_plan
from wheelmill.make.metadata import ADAPTER, SIMULATOR
from wheelmill.make.plan import BuildImage
from wheelmill.make.toolchain import sdk as sdks
from wheelmill.make.toolchain.sources import PARTS, SourcesError, git
from wheelmill.matrix.plain import from_plain
from wheelmill.store import Store
from wheelmill.store.shapes import Sha256
from wheelmill.wheel import wheelfile
from wheelmill.wheel.compare import Comparison, compare
from wheelmill.wheel.errors import WheelError
from wheelmill.wheel.facts import RECIPE, open_wheel

if TYPE_CHECKING:
    from wheelmill.make.engines import Engine
    from wheelmill.make.plan import Recipe
    from wheelmill.matrix import Cell, Matrix

SCHEMA = 1


class CannotReproduceError(WheelmillError):
    """The wheel cannot be built again here; the message has every reason."""

    exit_code = 4


@dataclass(frozen=True)
class Recorded:
    """A wheel and the recipe that is stamped into it."""

    path: Path
    name: str
    tag: str
    stamp: Mapping[str, Any]

    @property
    def bundle(self) -> Mapping[str, Any]:
        """The recipe of its native files."""
        return dict(self.stamp["bundle"])


@dataclass(frozen=True)
class Reproduction:
    """What came out; `rebuilt` is kept where it is not the same."""

    recorded: Recorded
    cell: Keyed
    engine: str
    comparison: Comparison
    seconds: Mapping[str, float]
    rebuilt: Path | None
    changed: tuple[str, ...] = ()  # what the rebuild was made from that the recipe does not say

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "schema": SCHEMA,
            "wheel": str(self.recorded.path),
            "cell": self.cell.key,
            "engine": self.engine,
            "same": self.comparison.same,
            "changed": list(self.changed),
            "differences": [difference.to_json() for difference in self.comparison.differences],
            "framing": list(self.comparison.framing),
            "rebuilt": None if self.rebuilt is None else str(self.rebuilt),
            "seconds": dict(self.seconds),
        }


# ---------------------------------------------------------------------------------------------- what is asked
def read_recorded(wheel: Path) -> Recorded:
    """The wheel's stamp. Raises CannotReproduceError for what is no wheel, or was not made here."""
    try:
        found = open_wheel(wheel)
        stamped = f"{found.name.dist_info}/{RECIPE}" in found.archive.by_name
        text = found.text(RECIPE) if stamped else None
    except WheelError as error:
        raise CannotReproduceError(error.message, hint="name a whole .whl file") from error
    name = found.name
    if text is None or name.build or name.distribution not in (ADAPTER, SIMULATOR):
        raise CannotReproduceError(
            f"{wheel.name} has no recipe: this project did not make it, or it lost its file name",
            hint=f"only a wheel with {RECIPE} in its .dist-info can be rebuilt; `wheelmill audit` takes any",
        )
    return Recorded(wheel, name.distribution, name.tag, _checked(text, wheel))


def _is_image(found: Mapping[str, str] | None) -> bool:
    return found is None or set(found) == {field.name for field in fields(BuildImage)}


class _BundleStamp(TypedDict):
    torch: str
    arch: str
    sdk: str
    native: str
    compiler: str
    cxx11_abi: bool
    settings: list[str]


class _MayBe(TypedDict, total=False):
    cell: str
    matrix: str
    image: Annotated[dict[str, str] | None, _is_image]


class _Stamp(_MayBe):
    """What is read of a recipe in a wheel."""

    schema: int
    key: Sha256
    bundle: _BundleStamp
    python: str
    license: str
    metadata: str
    epoch: int
    format: Any


def _checked(text: bytes, wheel: Path) -> Mapping[str, Any]:
    """The stamp, with all that is read from it; who wrote it is not known, and its key names a folder."""
    try:
        stamp = from_plain(_Stamp, parse_json(text))
        whole = stamp["schema"] == SCHEMA
    except ValueError:
        whole = False
    if not whole:
        raise CannotReproduceError(
            f"{wheel.name}: its {RECIPE} is not a recipe of schema {SCHEMA}",
            hint="take the checkout of the time when the wheel was made; it knows that schema",
        )
    return dict(stamp)


def cell_of(recorded: Recorded, matrix: Matrix) -> Cell:
    """The cell that the wheel was made for; any with its torch and arch for a simulator's."""
    torch, arch = recorded.bundle["torch"], recorded.bundle["arch"]
    for cell in matrix.cells():
        mine = recorded.name == SIMULATOR and (cell.line.torch.version, cell.arch) == (torch, arch)
        if mine or cell.key == recorded.stamp.get("cell"):
            return replace(cell, line=replace(cell.line, torch=_pinned(cell, recorded)))
    asked = recorded.stamp.get("cell", f"torch {torch} on {arch}")
    raise CannotReproduceError(
        f"{recorded.path.name} was made for {asked}, which {matrix.path} does not have",
        hint="take a checkout whose matrix has that line: --matrix CHECKOUT/matrix/compat.yaml",
    )


def _pinned(cell: Cell, recorded: Recorded) -> Any:
    """The cell's torch, with the one wheel that the recipe was compiled against where the matrix has it."""
    torch = cell.line.torch
    wheels = tuple(w for w in torch.wheels if (w.arch, w.sha256) == (cell.arch, recorded.bundle["sdk"]))
    return replace(torch, wheels=wheels) if wheels else torch


# ----------------------------------------------------------------------------------------- what there is here
def choose_engine(
    recorded: Recorded, cell: Cell, engines: Mapping[str, Callable[[], Engine]], *, anyway: bool
) -> Engine:
    """The first engine whose compiler is the recorded one; with `anyway` the first that has any.

    Raises CannotReproduceError with what each engine has.
    """
    found, usable = [], []
    for name, make in engines.items():
        try:
            engine = make()
            identity = engine.identity(cell.arch, cell.manylinux)
        except WheelmillError as error:
            found.append(f"{name}: {error.message}")
            continue
        if identity == recorded.bundle["compiler"]:
            return engine
        found.append(f"{name}: {identity}")
        usable.append(engine)
    if anyway and usable:
        return usable[0]
    raise CannotReproduceError(
        f"{recorded.path.name} was compiled with another compiler than there is here\n"
        f"  asked: {recorded.bundle['compiler']}\n  found: " + "\n         ".join(found),
        hint=f"name that compiler in $WHEELMILL_CXX_{cell.arch.upper()}, or the image that has it with "
        "--base; or see with --anyway what this one makes",
    )


def changes(recorded: Recorded, now: Recipe, tree: Path) -> Iterator[tuple[str, str]]:
    """What the recipe says otherwise than this checkout: (in words, what to do)."""
    mine = now.stamp() if recorded.name == ADAPTER else now.simulator.stamp()
    bundle, here = recorded.bundle, mine["bundle"]
    sources = _where_sources_are(recorded, tree)
    other = "take the checkout that the wheel was made from"
    words = (
        ("native sources", bundle["native"], here["native"], sources),
        ("Python files", recorded.stamp["python"], mine["python"], sources),
        ("LICENSE", recorded.stamp["license"], mine["license"], sources),
        ("metadata (README.md, matrix)", recorded.stamp["metadata"], mine["metadata"], sources),
        ("lines of the matrix", recorded.stamp.get("matrix"), mine.get("matrix"), sources),
        ("torch wheel to compile against", bundle["sdk"], here["sdk"], "add it to the matrix's torch"),
        ("compiler", bundle["compiler"], here["compiler"], "take an engine that has it"),
        ("C++ ABI", bundle["cxx11_abi"], here["cxx11_abi"], other),
        ("CMake settings", list(bundle["settings"]), list(here["settings"]), other),
        ("format of wheels", recorded.stamp["format"], mine["format"], other),
    )
    for what, asked, found, hint in words:
        if asked != found:
            yield f"{what}: asked {brief(asked)}, found {brief(found)}", hint


def brief(value: object) -> str:
    """Digests are long; their beginning tells them apart."""
    text = str(value)
    return text[:16] if len(text) == 64 else text


def _where_sources_are(recorded: Recorded, tree: Path) -> str:
    """The commands that get the sources of the wheel's time, where this checkout's history has them."""
    try:
        lines = git(tree, "log", "--format=%h %ct", "--", *PARTS).stdout.splitlines()
    except SourcesError:  # there may be no git
        lines = []
    epoch = str(recorded.stamp["epoch"])
    commit = next((line.split()[0] for line in lines if line.split()[1] == epoch), None)
    if commit is None:
        return f"take the sources that it was made from: their time is {epoch} (seconds since 1970)"
    return (
        f"its sources are of commit {commit}: git worktree add ../{commit} {commit}, "
        f"then the same command with wheelmill --matrix ../{commit}/matrix/compat.yaml"
    )


# -------------------------------------------------------------------------------------------------- the work
def reproduce(
    recorded: Recorded, cell: Cell, workshop: Workshop, folder: Path, *, anyway: bool = False
) -> Reproduction:
    """Build the recorded wheel in `folder` and compare.

    `workshop` has the engine and the torches; nothing else of its store is used. Raises CannotReproduceError
    where the recipe asks for what is not here, unless `anyway`, and what building raises.
    """
    with workshop.store.lock(f"reproduce-{folder.name}", waiting=workshop.progress):
        shutil.rmtree(folder, ignore_errors=True)
        found = _reproduce(recorded, cell, workshop, folder, anyway)
        if found.comparison.same:
            shutil.rmtree(folder, ignore_errors=True)
    return found


def _reproduce(
    recorded: Recorded, cell: Cell, workshop: Workshop, folder: Path, anyway: bool
) -> Reproduction:
    store = Store(folder, notice=workshop.store.notice)
    torches = workshop.store if _has_sdk(recorded, cell, workshop.store) else store
    image = BuildImage(**(recorded.stamp.get("image") or {}))  # what decides bytes is the compiler in it
    epoch = int(recorded.stamp["epoch"])
    workshop = replace(workshop, store=store, sdks=torches, fresh=True, epoch=epoch, image=image)
    made = make_plan((cell,), workshop)
    if made.refused:
        raise CannotReproduceError(f"{cell.key} cannot be built here: {made.refused[0].reason}")
    found = list(changes(recorded, made.groups[0].recipes[0], workshop.sources))
    if found and not anyway:
        reasons = "\n  ".join(text for text, _ in found)
        hints = dict.fromkeys(hint for _, hint in found)
        raise CannotReproduceError(
            f"{recorded.path.name} was made from something else than there is here:\n  {reasons}",
            hint="\n".join([*hints, "or see with --anyway what that changes"]),
        )
    (built,) = build((cell,), workshop)
    artifact = built.wheel if recorded.name == ADAPTER else built.simulator
    rebuilt = wheelfile.rewrite(artifact.path, folder / "rebuilt", tag=recorded.tag)
    comparison = compare(recorded.path, rebuilt)
    return Reproduction(
        recorded=recorded,
        cell=cell,
        engine=workshop.engine.name,
        comparison=comparison,
        seconds=built.seconds,
        rebuilt=None if comparison.same else rebuilt,
        changed=tuple(text for text, _ in found),
    )


def _has_sdk(recorded: Recorded, cell: Cell, store: Store) -> bool:
    """Whether the store has the torch wheel of the recipe, so that it is not fetched again."""
    wanted = str(recorded.bundle["sdk"])
    return sdks.stored_sha256(cell.line.torch, cell.arch, store) == wanted and store.has(wanted)
