"""From cells of the matrix to recipes with content keys, and from many cells to a plan. Pure: nothing is run
here.

A key is a SHA-256 over everything that decides the bytes of a result. The same key means that the result is
known, so there is nothing to do. There are two levels, because the native files need no Python: a *bundle*
holds them once per (torch, arch), and the wheel of every Python is assembled from it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from wheelmill.make.metadata import adapter_metadata, simulator_metadata

if TYPE_CHECKING:
    from wheelmill.make.toolchain.sources import Sources
    from wheelmill.matrix import Cell, Line

# Part of every wheel's key: raise it when the assembler writes other bytes for the same inputs.
WHEEL_FORMAT = 3

# CMake settings of every release build, whichever engine runs it.
SETTINGS = ("CMAKE_BUILD_TYPE=Release", "NPU_BUILD_SIMULATOR=ON", "NPU_BUILD_TESTS=OFF")

State = Literal["cached", "to build", "refused"]


@dataclass(frozen=True)
class BuildImage:
    """The builder image that native files were compiled in; empty where this machine's own compiler did it.

    It decides no native byte (the compiler's identity does, and is what keys have), but the SBOM in the wheel
    names it. `id`, `base` are image IDs, `dockerfile` is a SHA-256.
    """

    name: str = ""
    id: str = ""
    base: str = ""
    dockerfile: str = ""

    def __bool__(self) -> bool:
        """Whether there was an image."""
        return bool(self.id)


def _nowhere(key: str) -> None:
    """No bundle is known."""


@dataclass(frozen=True)
class Facts:
    """What a recipe depends on beside its cell; `missing` has a reason where the others lack a key."""

    sources: Sources
    sdks: Mapping[tuple[str, str], str]  # (torch version, arch) -> SHA-256 of the torch wheel
    compilers: Mapping[tuple[str, str], str]  # (torch version, arch) -> identity of the engine's compiler
    rows: str  # every line of the matrix, as stamped into wheels
    description: str = ""  # the adapter's README
    images: Mapping[tuple[str, str], BuildImage] = field(default_factory=dict)  # what the engine compiles in
    made_in: Callable[[str], BuildImage | None] = _nowhere  # a bundle's key -> what a known one was made in
    missing: Mapping[tuple[str, str], str] = field(default_factory=dict)  # (torch version, arch) -> why


@dataclass(frozen=True)
class BundleRecipe:
    """The native files of one (torch, arch): all that decides their bytes."""

    torch: str
    arch: str
    cxx11_abi: bool
    sdk: str  # SHA-256 of the torch wheel that is compiled against
    native: str  # digest of the adapter's native sources
    compiler: str
    settings: tuple[str, ...] = SETTINGS

    @property
    def key(self) -> str:
        """The content key, 64 hex digits."""
        return _key("bundle", asdict(self))

    @property
    def name(self) -> str:
        """`torch-2.1.0-aarch64`"""
        return f"torch-{self.torch}-{self.arch}"


@dataclass(frozen=True)
class SimulatorRecipe:
    """The simulator's wheel of one (torch, arch)."""

    bundle: BundleRecipe
    python: str  # digest of the Python package
    license: str
    metadata: str
    epoch: int
    image: BuildImage = BuildImage()

    @property
    def key(self) -> str:
        """The content key, 64 hex digits."""
        return _key("simulator", {**asdict(self), "bundle": self.bundle.key, "format": WHEEL_FORMAT})

    def stamp(self) -> dict[str, Any]:
        """As Recipe.stamp; it is of no cell, but of a torch and an arch."""
        return _stamp(self)


@dataclass(frozen=True)
class Recipe:
    """The adapter's wheel of one cell, with the recipes of what it is made from and run on."""

    cell: Cell
    bundle: BundleRecipe
    simulator: SimulatorRecipe
    python: str  # digest of the Python package
    license: str
    metadata: str
    row: Mapping[str, Any]  # this line and cell, as stamped into the wheel together with the key
    rows: str
    epoch: int
    image: BuildImage = BuildImage()

    @property
    def key(self) -> str:
        """The content key, 64 hex digits."""
        fields = {
            name: getattr(self, name) for name in ("python", "license", "metadata", "row", "rows", "epoch")
        }
        fields["image"] = asdict(self.image)
        tag = self.cell.python_tag
        return _key("wheel", {**fields, "tag": tag, "bundle": self.bundle.key, "format": WHEEL_FORMAT})

    def stamp(self) -> dict[str, Any]:
        """What the wheel was made from, as stamped into it: enough to make it again and compare."""
        matrix = _digest(canonical_json(self.row) + self.rows)
        return {**_stamp(self), "cell": self.cell.key, "matrix": matrix}


def _stamp(made: Recipe | SimulatorRecipe) -> dict[str, Any]:
    """What the stamps of both wheels have; digests are SHA-256 in hex."""
    return {
        "schema": 1,
        "key": made.key,
        "bundle": {**asdict(made.bundle), "key": made.bundle.key},
        "python": made.python,
        "license": made.license,
        "metadata": _digest(made.metadata),
        "epoch": made.epoch,
        "image": asdict(made.image) if made.image else None,
        "format": WHEEL_FORMAT,
    }


@dataclass(frozen=True)
class Step:
    """What is to be done for one cell, and why not where it is refused."""

    cell: Cell
    state: State
    recipe: Recipe | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Group:
    """The cells that share one bundle."""

    bundle: BundleRecipe
    cached: bool  # the bundle is in the store: its wheels only need assembling
    steps: tuple[Step, ...]

    @property
    def ready(self) -> bool:
        """Nothing is to be compiled: the bundle is there, or no wheel needs it."""
        return self.cached or all(step.state == "cached" for step in self.steps)

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """Of every step: a planned one has a recipe."""
        return tuple(step.recipe for step in self.steps if step.recipe is not None)


@dataclass(frozen=True)
class Plan:
    """All wanted cells: grouped by the bundle they share, and the refused ones."""

    groups: tuple[Group, ...]
    refused: tuple[Step, ...]
    order: tuple[str, ...] = ()  # keys of the cells as they were asked for
    doubt: str | None = None  # why these sources may give wheels of other keys elsewhere

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every wanted cell once."""
        return (*(step for group in self.groups for step in group.steps), *self.refused)

    @property
    def wanted(self) -> tuple[Step, ...]:
        """Every wanted cell once, in the order asked."""
        steps = {step.cell.key: step for step in self.steps}
        return tuple(steps[key] for key in self.order)

    def counts(self) -> dict[str, int]:
        """How many cells are wanted, cached, to build, refused."""
        states = [step.state for step in self.steps]
        return {
            "wanted": len(states),
            **{state: states.count(state) for state in ("cached", "to build", "refused")},
        }

    def to_json(self) -> dict[str, Any]:
        """The plan as data; keys are content keys, reasons are sentences."""
        return {
            "schema": 1,
            "counts": self.counts(),
            "doubt": self.doubt,
            "bundles": [
                {
                    "torch": group.bundle.torch,
                    "arch": group.bundle.arch,
                    "key": group.bundle.key,
                    "state": "cached" if group.cached else "to build",
                    "cells": [_step_json(step) for step in group.steps],
                }
                for group in self.groups
            ],
            "refused": [_step_json(step) for step in self.refused],
        }


def recipe(cell: Cell, facts: Facts) -> Recipe:
    """The recipe of a cell whose torch and arch the facts cover (`plan` refuses the others)."""
    torch, arch, sources = cell.line.torch, cell.arch, facts.sources
    bundle = BundleRecipe(
        torch=torch.version,
        arch=arch,
        cxx11_abi=cell.cxx11_abi,
        sdk=facts.sdks[torch.version, arch],
        native=sources.native,
        compiler=facts.compilers[torch.version, arch],
    )
    image = facts.made_in(bundle.key)
    if image is None:
        image = facts.images.get((torch.version, arch), BuildImage())
    simulator = SimulatorRecipe(
        bundle=bundle,
        python=sources.simulator,
        license=sources.license,
        metadata=simulator_metadata(torch),
        epoch=sources.epoch,
        image=image,
    )
    return Recipe(
        cell=cell,
        bundle=bundle,
        simulator=simulator,
        python=sources.python,
        license=sources.license,
        metadata=adapter_metadata(cell.line, cell.python, facts.description),
        row=row(cell),
        rows=facts.rows,
        epoch=sources.epoch,
        image=image,
    )


def plan(cells: Iterable[Cell], facts: Facts, known: Callable[[str, str], bool]) -> Plan:
    """Group the wanted cells by bundle. `known(kind, key)` tells whether the store has that result."""
    refused: list[Step] = []
    grouped: dict[BundleRecipe, list[Step]] = {}
    wanted = {cell.key: cell for cell in cells}
    for cell in wanted.values():
        reason = _refusal(cell, facts)
        if reason is not None:
            refused.append(Step(cell, "refused", reason=reason))
            continue
        made = recipe(cell, facts)
        done = known("wheel", made.key) and known("wheel", made.simulator.key)
        grouped.setdefault(made.bundle, []).append(Step(cell, "cached" if done else "to build", made))
    groups = (Group(bundle, known("bundle", bundle.key), tuple(steps)) for bundle, steps in grouped.items())
    return Plan(tuple(groups), tuple(refused), tuple(wanted), facts.sources.doubt)


def row(cell: Cell) -> dict[str, Any]:
    """The cell's row of the matrix, as stamped into its wheel."""
    line = cell.line
    return {
        "schema": 1,
        "branch": line.branch,
        "cann": line.cann,
        "torch": line.torch.version,
        "serves": list(line.torch.serves),
        "proven": list(line.torch.proven),
        "adapter": line.adapter,
        "python": cell.python,
        "arch": cell.arch,
    }


def rows(lines: Iterable[Line]) -> str:
    """Every line of the matrix as JSON text: an installed wheel names from it the one that fits a machine."""
    return canonical_json([line.to_json() for line in lines])


def _refusal(cell: Cell, facts: Facts) -> str | None:
    if not cell.line.buildable:
        return cell.line.reason or f"line {cell.line.branch} is a record only"
    return facts.missing.get((cell.line.torch.version, cell.arch))


def _step_json(step: Step) -> dict[str, Any]:
    found: dict[str, Any] = {"cell": step.cell.key, "state": step.state}
    if step.recipe is not None:
        found["key"] = step.recipe.key
    if step.reason is not None:
        found["reason"] = step.reason
    return found


def canonical_json(data: object) -> str:
    """JSON text that is the same for equal data."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _key(kind: str, fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json({"kind": kind, **fields}).encode()).hexdigest()
