"""What stops an extension in one version: named checks, each of what the loader or the program meets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import takewhile

from wheelmill.cxx_names import readable
from wheelmill.prove.abi.interface import NEW_STRINGS, owned
from wheelmill.prove.abi.kept import alike
from wheelmill.prove.abi.model import Derived, Extension, Obstacle, Record

_ENDING = "::Undefined"
# What registers keys of the allocator's configuration calls this, inline.
_REGISTERS = "AcceleratorAllocatorConfig14getMutableKeys"
_SHOWN = 160  # characters of a C++ name in a sentence


@dataclass(frozen=True)
class Case:
    """An extension and one version. `built` is the record of the torch that it was compiled for, where known;
    `signatures` has every C++ signature that an operator ever had, and the versions with it.
    """

    extension: Extension
    record: Record
    built: Record | None
    signatures: Mapping[str, Mapping[str, Sequence[str]]]
    elsewhere: frozenset[str] = frozenset()  # symbols that a library has which is not recorded
    like: Callable[[str], Iterable[str]] | None = None  # what the version has of the same name as a symbol

    @property
    def version(self) -> str:
        """The version as text: `torch 2.13.0`."""
        return f"{self.record.origin.package.replace('-', '_')} {self.record.origin.version}"


def obstacles(case: Case) -> tuple[Obstacle, ...]:
    """Everything that stops the extension, in the order in which it is met."""
    checks = _CHECKS if case.record.origin.package == "torch" else (python, symbols)
    return tuple(obstacle for check in checks for obstacle in check(case))


def python(case: Case) -> Iterator[Obstacle]:
    """The version has wheels for the extension's Python."""
    of, wanted = case.record.origin, case.extension.pythons
    if wanted and of.pythons and not set(wanted) & set(of.pythons):
        text = f"{case.version} has no wheel for Python {', '.join(wanted)}, only for {', '.join(of.pythons)}"
        yield Obstacle("python", ", ".join(wanted), text)


def folders(case: Case) -> Iterator[Obstacle]:
    """The extension has files for the version, where all of them are for one torch each."""
    known = case.extension.parts
    if known and not case.extension.always:
        text = f"its libraries are for torch {', '.join(known)}, each in a folder of that name"
        yield Obstacle("folder", ", ".join(known), text)


def strings(case: Case) -> Iterator[Obstacle]:
    """Both use the same std::string."""
    mixed = _string_symbols(case)
    new = case.record.interface.new_strings
    if mixed and not new:
        text = f"built with the std::string since GCC 5, and {case.version} has the one before"
        yield Obstacle("libstdc++", mixed[0], text, len(mixed) - 1)


def _string_symbols(case: Case) -> list[str]:
    """Missing symbols that name the new std::string."""
    missing = case.extension.symbols - case.elsewhere - case.record.interface.symbols
    return sorted(name for name in missing if NEW_STRINGS.search(name))


def symbols(case: Case) -> Iterator[Obstacle]:
    """Every symbol that the extension needs is exported."""
    package, has = case.record.origin.package, case.record.interface.symbols
    missing = [name for name in case.extension.symbols - case.elsewhere - has if owned(package, name)]
    if not case.record.interface.new_strings:
        missing = [name for name in missing if not NEW_STRINGS.search(name)]  # `strings` tells of them
    if missing:
        first = _most_telling(missing)
        text = f"no {_short(readable(first))}{_instead(case, first)}"
        yield Obstacle("symbol", first, text, len(missing) - 1)


def _most_telling(missing: Iterable[str]) -> str:
    """A function before a type, a short name before a long one."""
    return min(missing, key=lambda name: (name.startswith("_ZT"), len(readable(name)), name))


def _instead(case: Case, name: str) -> str:
    """What the version has of the same name."""
    like = case.like if case.like is not None else partial(alike, case.record.interface.symbols)
    others = sorted(readable(other) for other in like(name))
    return f"; it has {_short(others[0])}" if others else ""


def vtables(case: Case) -> Iterator[Obstacle]:
    """No virtual function of a base class has moved, or a class is there for where it is now.

    An extension for several torches has a class for each layout of a base and takes the one that fits. In
    others, the classes of a base were compiled with the same headers: all of them fit or none.
    """
    fitting = {derived.base for derived in case.extension.derived if _fits(case, derived)}
    classes = (derived for derived in case.extension.derived if derived.base not in fitting)
    found = [one for derived in classes if (one := _moved(case, derived)) is not None]
    if found:
        yield Obstacle("vtable", found[0].subject, found[0].text, len(found) - 1)


def _fits(case: Case, derived: Derived) -> bool:
    """Whether no slot has another function than torch has there, and those that moved are seen to have it.

    They moved since the torch that the extension was built for: a class that was compiled with its headers
    has the others where they are. A file for this torch alone was compiled for it. torch names no function
    in the slot of a pure one.
    """
    expected = certain(case.record.interface.vtables.get(derived.base, ()))
    before = certain(case.built.interface.vtables.get(derived.base, ()) if case.built is not None else ())
    pairs = list(zip(certain(derived.slots), expected, strict=False))
    as_before = sum(1 for _ in takewhile(lambda two: two[0] == two[1], zip(before, expected, strict=False)))
    same = all(mine == wanted for mine, wanted in pairs if mine and wanted)
    seen = derived.alone or all(mine for mine, _ in pairs[as_before:])
    return 0 < len(expected) == len(pairs) and same and seen


@lru_cache(1 << 14)
def certain(slots: tuple[str, ...]) -> tuple[str, ...]:
    """The slots without names that stand in several of them, but for destructors, which have two.

    A class has a function once. Linkers and compilers fold functions with the same code into one, and one of
    the names is all that is left of them: it says nothing of the slots that have it.
    """
    folded = {name for name, count in Counter(slots).items() if count > 1 and name != "~"}
    return tuple("" if name in folded else name for name in slots) if folded else slots


def _moved(case: Case, derived: Derived) -> Obstacle | None:
    """The first slot in which torch expects another function than the extension has there."""
    known = case.record.interface.vtables
    if derived.base not in known or derived.name in known:  # torch has the class itself: this is a copy
        return None
    expected, slots = certain(known[derived.base]), certain(derived.slots)
    for place, wanted in enumerate(expected):
        if place >= len(slots):
            text = f"{case.version} calls slot {place} of {derived.base}, {wanted or 'a new function'}, " + (
                f"and {derived.name} ends before it"
            )
            return Obstacle("vtable", derived.name, text)
        there = slots[place]
        if wanted and there and wanted != there:
            added = [one for one in expected if one and one not in derived.slots]
            cause = f": {_short(added[0])} is new" if added else f", not {_short(there)}"
            text = f"slot {place} of {derived.base}, which {derived.name} derives from, is {_short(wanted)} "
            text += f"in {case.version}{cause}"
            return Obstacle("vtable", derived.name, text)
    return None


def operators(case: Case) -> Iterator[Obstacle]:
    """Kernels are registered with the C++ signatures that the operators have."""
    found = sorted(_mismatched(case))
    if found:
        name = found[0]
        now = case.record.interface.operators[name]
        text = (
            f"the kernel of aten::{name} has another C++ signature than the operator, so {case.version} ends "
            f"the process; it is {_short(now, 300)} there"
        )
        yield Obstacle("operator", name, text, len(found) - 1)


def _mismatched(case: Case) -> Iterator[str]:
    """Operators that the extension names, and whose signature it has a function of, but not the one here.

    A registered C++ function leaves its type in the binary, and the operator its name. Operators that never
    changed cannot differ; where it is known for which torch the extension was compiled, nor can those that
    are the same in that one.
    """
    types = case.extension.function_types
    for name, variants in case.signatures.items():
        now = case.record.interface.operators.get(name)
        if now is None or accepted(now) & types:
            continue
        built = case.built.interface.operators.get(name) if case.built is not None else None
        others = [built] if built is not None else list(variants)
        fitting = any(accepted(other) & types for other in others if other != now)
        if fitting and names_operator(case.extension, name):
            yield name


@lru_cache(1 << 14)
def accepted(signature: str) -> frozenset[str]:
    """The C++ signatures of kernels that PyTorch takes for an operator: symbolic sizes may be plain."""
    return frozenset((signature, signature.replace("c10::SymInt", "long")))


def names_operator(extension: Extension, operator: str) -> bool:
    """Whether a string of its binaries is the operator, as registrations write it."""
    return operator.encode() in extension.names


def layouts(case: Case) -> Iterator[Obstacle]:
    """What headers compiled into the extension lies where it lay."""
    if case.built is None:
        return
    before, after = case.built.interface.layouts, case.record.interface.layouts
    changed = [
        name
        for name in sorted(
            before.keys() & after.keys(), key=lambda name: (not name.startswith("offsetof"), name)
        )
        if before[name] != after[name]
        and not name.endswith(_ENDING)
        and _class_of(name) in case.extension.mentioned
    ]
    if changed:
        name = changed[0]
        was = f"{before[name]} in torch {case.built.origin.version}, for which it was built"
        text = f"{name} is {after[name]} in {case.version} and {was}"
        yield Obstacle("layout", _class_of(name), text, len(changed) - 1)


def cautions(case: Case) -> tuple[Obstacle, ...]:
    """What changed and stops nothing that was seen to run: who uses it has to look."""
    if case.record.origin.package != "torch" or case.built is None:
        return ()
    return (*_endings(case, case.built), *_pybind(case, case.built))


def with_cuda(case: Case) -> tuple[Obstacle, ...]:
    """What stops the extension in builds with CUDA alone.

    torch takes each key of the allocator's configuration once, and ends the process at the second.
    """
    if not any(_REGISTERS in name for name in case.extension.symbols):
        return ()
    taken = [key for key in case.record.interface.allocator_keys if has_text(case.extension, key)]
    if not taken:
        return ()
    text = (
        f"it registers the allocator key {taken[0]}, which builds of {case.version} with CUDA register too: "
        "there the process ends"
    )
    return (Obstacle("allocator", taken[0], text, len(taken) - 1),)


def has_text(extension: Extension, text: str) -> bool:
    """Whether a string of its binaries is this text."""
    return text.encode() in extension.strings


def _endings(case: Case, built: Record) -> Iterator[Obstacle]:
    """The last value of an enumeration moves with each new one before it."""
    before, after = built.interface.layouts, case.record.interface.layouts
    for name in sorted(before.keys() & after.keys()):
        if name.endswith(_ENDING) and before[name] != after[name]:
            shown = name.removeprefix("value ")
            text = f"{shown} is {after[name]} in {case.version}, and {before[name]} in that it was built for"
            yield Obstacle("enumeration", shown, text)


def _pybind(case: Case, built: Record) -> Iterator[Obstacle]:
    """Modules share bound classes if their pybind11 is of one version."""
    own, now = case.extension.pybind, case.record.interface.pybind
    if own and now and own == built.interface.pybind != now:
        text = f"built with pybind11's interface {own}, and {case.version} has {now}: "
        yield Obstacle("pybind11", own, text + "classes that torch binds are not known to its Python modules")


def _class_of(name: str) -> str:
    kind, _, of = name.partition(" ")
    return of if kind == "sizeof" else of.rpartition("::")[0]


def _short(name: str, most: int = _SHOWN) -> str:
    return name if len(name) <= most else f"{name[: most - 3]}..."


_CHECKS: tuple[Callable[[Case], Iterator[Obstacle]], ...] = (
    python,
    folders,
    strings,
    symbols,
    vtables,
    operators,
    layouts,
)
