"""The interface of a library from its files: exported symbols, and the methods in the slots of classes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from wheelmill.cxx_names import readable, readable_type, split_function
from wheelmill.prove.abi.recorded import RECORDED
from wheelmill.wheel.linking import Image, Vtable

# Whose a symbol is, by its mangled name: the outermost namespace, behind what special names and thunks begin
# with. Everything else in a library of torch's (MKL, oneDNN, its copies of libstdc++'s templates) is its own
# matter: who uses such a thing has a copy.
_SPECIAL = r"_Z(?:T[VISTCWH]|GV|GR|Th?n?\d*_|Tv\d+_n\d+_|Tc\w+?_)*"
_OWN = {
    package: re.compile(rf"{_SPECIAL}(?:N[KVrRO]*)?{one.mangled}|(?:{one.c_names})\Z")
    for package, one in RECORDED.items()
}
_CLASSES = {package: re.compile(one.readable) for package, one in RECORDED.items()}
# Classes that nobody outside derives from: generated ones by the hundred, and details.
_INNER = re.compile(
    r"torch::autograd::generated|torch::autograd::(?:AccumulateGrad|CopySlices)|at::meta::|at::native::"
    r"|at::functionalization::|torch::jit::(?:tensorexpr|mobile|fuser|SR)|torch::lazy::|torch::nn::.*Impl"
    r"|torch::distributed::|torch::TraceType|[<({]"
)
PURE = "__cxa_pure_virtual"
NEW_STRINGS = re.compile(r"7__cxx11|B5cxx11")


def owned(package: str, symbol: str) -> bool:
    """Whether a symbol is of the package's C++ or C interface."""
    return _OWN[package].match(symbol) is not None


def exported(package: str, images: Iterable[Image]) -> frozenset[str]:
    """The symbols of its interface that a package's libraries export."""
    return frozenset(
        symbol.name for image in images for symbol in image.exported if owned(package, symbol.name)
    )


def is_class_of(package: str, name: str) -> bool:
    """Whether a readable class is one that others may derive from."""
    return _CLASSES[package].match(name) is not None and _INNER.search(name) is None


def is_own_template(name: str) -> bool:
    """Whether a readable class is one that torch's headers leave in every binary that uses them."""
    return _CLASSES["torch"].match(name) is not None and _INNER.search(name) is not None


def method(mangled: str | None) -> str:
    """What stands in a slot, without its class: `seed()`, `~` for a destructor, "" where it is unknown."""
    if not mangled or mangled == PURE:
        return ""
    name = readable(mangled)
    if " thunk to " in name:
        name = name.partition(" thunk to ")[2]
    rest = split_function(name)[1]
    return "~" if rest.startswith("~") else rest


def base_methods(package: str, images: Sequence[Image]) -> dict[str, tuple[str, ...]]:
    """Class -> the methods in the slots of its primary vtable, for the classes that others may derive from.

    A pure function has no name in its own class's vtable, and an interface may have none at all: the classes
    that derive from it name them.
    """
    parents, vtables = _hierarchy(images)
    below = defaultdict(list)
    for name in vtables:
        for parent in _ancestors(name, parents):
            below[parent].append(name)
    found = {}
    for name in {*vtables, *below}:
        title = readable_type(name)
        if is_class_of(package, title):
            slots = _slots(name, vtables, below[name])
            if slots:
                found[title] = slots
    return found


def _hierarchy(images: Iterable[Image]) -> tuple[Mapping[str, str], Mapping[str, Vtable]]:
    """Class -> the base that its object begins with, and class -> its primary vtable; by mangled names."""
    parents: dict[str, str] = {}
    vtables: dict[str, Vtable] = {}
    for image in images:
        for one in image.classes.values():
            first = next((base.name for base in one.bases if base.offset == 0), None)
            if first is not None:
                parents.setdefault(one.name, first)
        for table in image.vtables:
            if table.offset == 0:
                vtables.setdefault(table.name, table)
    return parents, vtables


def _ancestors(name: str, parents: Mapping[str, str]) -> list[str]:
    found: list[str] = []
    while (parent := parents.get(name)) is not None and parent not in found:
        found.append(parent)
        name = parent
    return found


def _slots(name: str, vtables: Mapping[str, Vtable], below: Sequence[str]) -> tuple[str, ...]:
    own = vtables.get(name)
    tables = [vtables[one] for one in below if one in vtables]
    if own is None and not tables:
        return ()
    length = len(own.slots) if own is not None else min(len(table.slots) for table in tables)
    slots = []
    for place in range(length):
        candidates = ([own] if own is not None else []) + tables
        words = (table.slots[place] for table in candidates if place < len(table.slots))
        slots.append(next((text for word in words if (text := method(word))), ""))
    return tuple(slots)
