"""How many native builds many torches need: one for each, or one for each generation of their interface.

What a build of the same sources for another torch would need is told by the build that there is: the symbols
of it that the other torch has, the virtual functions of its classes as the other torch has them, and kernels
with the other torch's signatures. So a step from torch to torch is found to need nothing, a class for each
layout of a base (as the build for 2.13 has them for 2.14), or a build of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wheelmill.matrix import Matrix
from wheelmill.prove.abi.extension import read_extension
from wheelmill.prove.abi.kept import Shelf
from wheelmill.prove.abi.model import Derived, Extension, Record
from wheelmill.prove.abi.obstacles import Case, accepted, names_operator, obstacles
from wheelmill.prove.abi.window import changed_signatures
from wheelmill.store import Store

ARCHES = 2  # a bundle is of one torch on one architecture
OLDEST = "2.1.0"


@dataclass(frozen=True)
class Step:
    """From one torch to the next: the kinds of obstacles that a build for the first meets in the second."""

    before: str
    after: str
    kinds: frozenset[str]

    @property
    def free(self) -> bool:
        """Whether the build runs there as it is."""
        return not self.kinds

    @property
    def by_classes(self) -> bool:
        """Whether it does with a class for each layout of the bases that moved."""
        return self.kinds <= {"vtable"}


@dataclass(frozen=True)
class Measured:
    """`lines`: torches of buildable lines, and those proven with them; `generations` of them, as the matrix
    has it. `recorded`: torches from OLDEST on; `as_is` and `by_classes` are the builds that they need.
    `seconds` is what one bundle took to compile from nothing on this machine.
    """

    lines: int
    generations: int
    recorded: int
    as_is: int
    by_classes: int
    seconds: float


def measure(matrix: Matrix, wheels: Sequence[Path], store: Store, arch: str) -> Measured:
    """The numbers of builds, from the newest wheels and the records of `arch`."""
    built = {line.torch.version: line.torch for line in matrix.lines if line.buildable}
    found = steps(wheels, Shelf(matrix.path.with_name("abi")), arch)
    return Measured(
        lines=len(built) + len({other for torch in built.values() for other in torch.proven}),
        generations=len(built),
        recorded=len(found) + 1,
        as_is=1 + sum(not one.free for one in found),
        by_classes=1 + sum(not one.by_classes for one in found),
        seconds=slowest_compile(store, arch),
    )


def slowest_compile(store: Store, arch: str) -> float:
    """Seconds of the bundle that took longest: the others found some of it in a compiler cache."""
    bundles = (one.data for one in store.records("bundle"))
    return max(float(one["seconds"]["compile"]) for one in bundles if one["name"].endswith(arch))


def steps(wheels: Sequence[Path], shelf: Shelf, arch: str) -> list[Step]:
    """Every step between recorded torches from OLDEST on."""
    records = [shelf.record(origin.name) for origin in shelf.of("torch", arch)]
    signatures = changed_signatures(records)
    start = next(place for place, one in enumerate(records) if one.origin.version == OLDEST)
    extensions = [read_extension(wheel) for wheel in wheels]

    def kinds(before: Record, after: Record) -> Iterator[str]:
        for extension in extensions:
            case = Case(built_for(extension, before), after, before, signatures)
            yield from (one.kind for one in obstacles(case))

    pairs = zip(records[start:], records[start + 1 :], strict=False)
    return [Step(a.origin.version, b.origin.version, frozenset(kinds(a, b))) for a, b in pairs]


def built_for(extension: Extension, record: Record) -> Extension:
    """What the same sources would need if compiled for another torch, as far as that can be told."""
    has = record.interface
    classes = (one for one in extension.derived if one.base in has.vtables)
    named = (text for name, text in has.operators.items() if names_operator(extension, name))
    return replace(
        extension,
        symbols=extension.symbols & has.symbols,
        derived=tuple(_derived(one, has.vtables[one.base]) for one in classes),
        function_types=extension.function_types.union(*map(accepted, named)),
        pythons=(),
        parts={},
        always=True,
    )


def _derived(one: Derived, slots: Sequence[str]) -> Derived:
    """A class over the base as a torch has it; of a pure function the class itself knows the name."""
    own = [*one.slots, *[""] * len(slots)]
    return replace(one, slots=tuple(slot or own[place] for place, slot in enumerate(slots)), alone=False)


def table(found: Sequence[Step]) -> str:
    """The steps for people."""
    words = {True: "nothing", False: "a class for each layout"}
    return "\n".join(
        f"{one.before} -> {one.after}: {words[one.free] if one.by_classes else ', '.join(sorted(one.kinds))}"
        for one in found
    )
