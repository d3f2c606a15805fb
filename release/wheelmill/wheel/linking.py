"""What linking sees of a shared library beyond its names: where symbols lie, which word of the data points to
what, and, from both, the C++ types and vtables in it.

Nothing of it needs debug information or a symbol table: a stripped library is relocated like any other, and a
vtable is a row of relocated words that begins with the class's type. All addresses are those of the file
before it is loaded; tables are read by `elf.Tables`, within their bytes.
"""

from __future__ import annotations

import io
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from wheelmill.wheel.elf import DAMAGE, NotAnElfFileError, Tables, symbol_name

_SYMBOL = struct.Struct("<IBBHQQ")  # Elf64_Sym: name, info, other, section, value, size
_RELOCATION = struct.Struct("<QQq")  # Elf64_Rela: offset, info, addend
_WORD = 8  # bytes of a pointer: other sizes are not read
_FUNCTIONS = (2, 10)  # STT_FUNC, STT_GNU_IFUNC
_NAMED = (1, *_FUNCTIONS)  # STT_OBJECT, and those
_UNDEFINED = 0
_LOCAL, _WEAK = 0, 2
# Relocations of a pointer in the data: what they are called on each machine, by number.
_RELATIVE = {"EM_X86_64": 8, "EM_AARCH64": 1027}
_SYMBOLIC = {"EM_X86_64": (1, 6), "EM_AARCH64": (257, 1025)}  # the plain one and that of the GOT
_MAX_RUN = 4096  # slots of one vtable

_TYPES = "_ZTVN10__cxxabiv1"
_PLAIN, _SINGLE, _MULTIPLE, _FUNCTION = (
    f"{_TYPES}{name}E"
    for name in (
        "17__class_type_info",
        "20__si_class_type_info",
        "21__vmi_class_type_info",
        "20__function_type_info",
    )
)


class LinkSymbol(NamedTuple):
    """A symbol of either table; `address` is 0 where it is undefined, `exported` of the dynamic one."""

    name: str
    address: int
    size: int
    defined: bool
    exported: bool
    weak: bool
    function: bool


@dataclass(frozen=True)
class Base:
    """A base class: its mangled name without `_ZTI`, and where in the derived object it begins, in bytes."""

    name: str
    offset: int


@dataclass(frozen=True)
class ClassType:
    """A polymorphic class that the library has a typeinfo of; `name` is mangled, without `_ZTI`."""

    name: str
    bases: tuple[Base, ...]


@dataclass(frozen=True)
class Vtable:
    """One part of a class's vtable: that of the object at `offset` bytes, 0 for the primary one.

    `slots` have one mangled function each: `__cxa_pure_virtual` for a pure one, "" where the name is not
    known and `None` where the word is empty, as destructors of abstract classes are.
    """

    name: str
    offset: int
    slots: tuple[str | None, ...]


@dataclass(frozen=True)
class Image:
    """A shared library as linking sees it. `words`: address of a pointer -> a symbol, or an address."""

    name: str
    machine: str
    symbols: tuple[LinkSymbol, ...]
    words: Mapping[int, str | int]
    strings: bytes  # the read-only data: string literals, each ending with a NUL
    _segments: tuple[tuple[int, int, int, bytes], ...] = field(repr=False)  # start, end, flags, content
    offsets: tuple[
        tuple[int, int], ...
    ] = ()  # start, end of tables with one word for each symbol: no vtables

    @property
    def exported(self) -> Iterator[LinkSymbol]:
        """What other libraries can use of it."""
        return (symbol for symbol in self.symbols if symbol.exported and symbol.defined)

    @cached_property
    def functions(self) -> Mapping[int, str]:
        """Address -> a function there. Of several names the exported one, then the shortest: those of a
        destructor and of what the linker folded say the same."""
        found: dict[int, LinkSymbol] = {}
        for symbol in self.symbols:
            if symbol.defined and symbol.function:
                known = found.get(symbol.address)
                if known is None or _rank(symbol) < _rank(known):
                    found[symbol.address] = symbol
        return {address: symbol.name for address, symbol in found.items()}

    @cached_property
    def addresses(self) -> Mapping[str, int]:
        """Where each defined symbol lies."""
        return {symbol.name: symbol.address for symbol in self.symbols if symbol.defined}

    def number(self, address: int, size: int, *, signed: bool = False) -> int | None:
        """The little-endian integer at an address; None where the file has none."""
        content = self._at(address, size)
        return None if content is None else int.from_bytes(content, "little", signed=signed)

    def text(self, address: int) -> str | None:
        """The string at an address, without its NUL; None where there is none."""
        for start, end, _, content in self._segments:
            if start <= address < end:
                at = address - start
                stop = content.find(b"\0", at, at + (1 << 16))
                return content[at:stop].decode("ascii", "replace") if stop >= 0 else None
        return None

    def executable(self, address: int) -> bool:
        """Whether code lies there."""
        return any(start <= address < end and flags & 1 for start, end, flags, _ in self._segments)

    def _at(self, address: int, size: int) -> bytes | None:
        for start, _, _, content in self._segments:
            if start <= address and address + size <= start + len(content):
                return content[address - start : address - start + size]
        return None

    @cached_property
    def _types(self) -> tuple[Mapping[int, ClassType], frozenset[str]]:
        return _read_types(self)

    @property
    def classes(self) -> Mapping[int, ClassType]:
        """The polymorphic classes, by the address of their typeinfo."""
        return self._types[0]

    @property
    def function_types(self) -> frozenset[str]:
        """The mangled function types that the library has a typeinfo of, such as `FvRKN2at6TensorEE`."""
        return self._types[1]

    @cached_property
    def vtables(self) -> tuple[Vtable, ...]:
        """The vtables of its classes, found by their relocations."""
        return tuple(_vtables(self))


def read_image(name: str, content: bytes) -> Image:
    """Read a 64-bit little-endian shared library. Raises NotAnElfFileError with what could not be read."""
    try:
        return _read(name, Tables(io.BytesIO(content)), content)
    except DAMAGE as error:
        text = " ".join(str(error).split())[:300]
        raise NotAnElfFileError(f"{type(error).__name__} {text}".strip()) from None


def _read(name: str, tables: Tables, content: bytes) -> Image:
    machine = str(tables.header["e_machine"])
    if tables.elf.elfclass != 64 or not tables.elf.little_endian or machine not in _RELATIVE:
        raise ValueError(f"it is made for {machine.removeprefix('EM_').lower()}")
    dynamic = tuple(_symbols(tables, "SHT_DYNSYM"))
    segments = tuple(
        (
            segment["p_vaddr"],
            segment["p_vaddr"] + segment["p_memsz"],
            segment["p_flags"],
            tables.data(segment["p_offset"], segment["p_filesz"], "a segment"),
        )
        for segment in tables.segments
        if segment["p_type"] == "PT_LOAD"
    )
    offsets = _offset_tables(tables)
    image = Image(name, machine, dynamic, {}, _read_only(tables), segments)
    words = dict(_relocated(tables, machine, [symbol.name for symbol in dynamic]))
    for address in _packed(tables):
        if (value := image.number(address, _WORD)) is not None:
            words.setdefault(address, value)
    pointed = {word for word in words.values() if isinstance(word, int)}
    further = _symbols(tables, "SHT_SYMTAB", lambda at: at in pointed or at + _WORD in words)
    symbols = (*(symbol for symbol in dynamic if symbol.name), *further)
    return Image(name, machine, symbols, words, image.strings, segments, offsets)


def _symbols(tables: Tables, kind: str, wanted: Callable[[int], bool] | None = None) -> Iterator[LinkSymbol]:
    """The symbols of one table; with `wanted`, defined ones at those addresses, for the second table has
    hundreds of thousands that nothing points to."""
    table = tables.section(kind)
    if table is None:
        return
    header, data = table
    texts = tables.linked(header)
    rows = len(data) // _SYMBOL.size * _SYMBOL.size
    for at, info, _, section, value, size in _SYMBOL.iter_unpack(data[:rows]):
        if wanted is not None and (not at or not section or info & 15 not in _NAMED or not wanted(value)):
            continue
        bind = info >> 4
        yield LinkSymbol(
            name=symbol_name(texts, at) if at else "",
            address=value,
            size=size,
            defined=section != _UNDEFINED,
            exported=wanted is None and bind != _LOCAL,
            weak=bind == _WEAK,
            function=info & 15 in _FUNCTIONS,
        )


def _relocated(tables: Tables, machine: str, names: list[str]) -> Iterator[tuple[int, str | int]]:
    """The pointers of the data that the loader fills in, from every table of relocations with addends."""
    relative, symbolic = _RELATIVE[machine], _SYMBOLIC[machine]
    for section in tables.sections:
        if section["sh_type"] != "SHT_RELA":
            continue
        data = tables.content(section)
        rows = len(data) // _RELOCATION.size * _RELOCATION.size
        for address, info, addend in _RELOCATION.iter_unpack(data[:rows]):
            kind = info & 0xFFFFFFFF
            if kind == relative:
                yield address, addend
            elif kind in symbolic and (index := info >> 32) < len(names):
                yield address, names[index]


def _packed(tables: Tables) -> Iterator[int]:
    """The addresses of DT_RELR: a row of bits says which of the words that follow are pointers."""
    for section in tables.sections:
        if section["sh_type"] not in ("SHT_RELR", 19):
            continue
        at = 0
        for (entry,) in struct.iter_unpack("<Q", tables.content(section)[: section["sh_size"] // 8 * 8]):
            if entry & 1 == 0:
                yield entry
                at = entry + _WORD
                continue
            for bit in range(63):
                if entry >> (bit + 1) & 1:
                    yield at + bit * _WORD
            at += 63 * _WORD


def _offset_tables(tables: Tables) -> tuple[tuple[int, int], ...]:
    """Where the global offset tables lie: a type may stand there before whatever symbol comes next."""
    found = (one for one in tables.sections if tables.name(one).startswith(".got"))
    return tuple((one["sh_addr"], one["sh_addr"] + one["sh_size"]) for one in found)


def _read_only(tables: Tables) -> bytes:
    parts = [b""]
    for section in tables.sections:
        name = tables.name(section)
        if section["sh_type"] == "SHT_PROGBITS" and name.startswith((".rodata", ".lrodata")):
            parts.append(tables.content(section))
    return b"\0".join(parts) + b"\0"


def _rank(symbol: LinkSymbol) -> tuple[bool, int, str]:
    return not symbol.exported, len(symbol.name), symbol.name


# ------------------------------------------------------------------------------------------------------ types
def _read_types(image: Image) -> tuple[Mapping[int, ClassType], frozenset[str]]:
    """Every typeinfo: a pointer to one of the runtime's vtables, a name, and the bases."""
    kinds = {at: str(word) for at, word in image.words.items() if word in _KINDS}
    names = {at: name for at in kinds if (name := _type_name(image, at)) is not None}
    classes: dict[int, ClassType] = {}
    functions = set()
    for at, name in names.items():
        if kinds[at] == _FUNCTION:
            functions.add(name)
        else:
            classes[at] = ClassType(name, tuple(_bases(image, at, kinds[at], names)))
    return classes, frozenset(functions)


_KINDS = frozenset({_PLAIN, _SINGLE, _MULTIPLE, _FUNCTION})


def _type_name(image: Image, at: int) -> str | None:
    word = image.words.get(at + _WORD)
    if isinstance(word, str):
        return word.removeprefix("_ZTS") if word.startswith("_ZTS") else None
    text = image.text(word) if word is not None else None
    return text.lstrip("*") if text else None


def _bases(image: Image, at: int, kind: str, names: Mapping[int, str]) -> Iterator[Base]:
    if kind == _SINGLE:
        base = _pointed_type(image, at + 2 * _WORD, names)
        if base is not None:
            yield Base(base, 0)
    elif kind == _MULTIPLE:
        count = image.number(at + 2 * _WORD + 4, 4) or 0
        for row in range(min(count, 64)):
            place = at + 3 * _WORD + row * 2 * _WORD
            base, flags = _pointed_type(image, place, names), image.number(place + _WORD, 8, signed=True)
            if base is not None and flags is not None and not flags & 1:  # a virtual base has no fixed place
                yield Base(base, flags >> 8)


def _type_size(image: Image, at: int) -> int:
    """The bytes of the typeinfo of a class."""
    kind = image.words[at]
    if kind == _MULTIPLE:
        return 3 * _WORD + 2 * _WORD * min(image.number(at + 2 * _WORD + 4, 4) or 0, 64)
    return (3 if kind == _SINGLE else 2) * _WORD


def _pointed_type(image: Image, at: int, names: Mapping[int, str]) -> str | None:
    word = image.words.get(at)
    if isinstance(word, str):
        return word.removeprefix("_ZTI") if word.startswith("_ZTI") else None
    return names.get(word) if word is not None else None


# ---------------------------------------------------------------------------------------------------- vtables
def _vtables(image: Image) -> Iterator[Vtable]:
    """A word that points to a class's type, and behind it words that point to functions."""
    inside = _Spans([*((at, at + _type_size(image, at)) for at in image.classes), *image.offsets])
    sizes = {s.address: s.size for s in image.symbols if s.defined and s.name.startswith("_ZTV")}
    by_name = {f"_ZTI{one.name}": one for one in image.classes.values()}
    for at, word in image.words.items():
        of = by_name.get(word) if isinstance(word, str) else image.classes.get(word)
        if of is None or at in inside:
            continue
        top = image.number(at - _WORD, _WORD, signed=True)
        if top is None or not -(1 << 20) < top <= 0 or at - _WORD in image.words:
            continue
        end = at - _WORD + sizes.get(at - _WORD, 0)
        slots = tuple(_slots(image, at + _WORD, end))
        if slots:
            yield Vtable(of.name, -top, slots)


def _slots(image: Image, at: int, end: int) -> Iterator[str | None]:
    """The functions from `at` on: up to the first word that is none, but for empty ones before `end`, where
    the symbol of the vtable ends."""
    for place in range(at, at + _MAX_RUN * _WORD, _WORD):
        word = image.words.get(place)
        if word is None:
            if place >= end or image.number(place, _WORD) != 0:
                return
            following = image.words.get(place + _WORD), image.words.get(place + 2 * _WORD)
            if any(isinstance(one, str) and one.startswith("_ZTI") for one in following):
                return  # the offset before the part of another base
            if any(one in image.classes for one in following if isinstance(one, int)):
                return
            yield None
        elif isinstance(word, str):
            if word.startswith(("_ZTI", "_ZTV", "_ZTS")):
                return
            yield word
        elif image.executable(word):
            yield image.functions.get(word, "")
        else:
            return


class _Spans:
    """Whether an address lies within one of some spans."""

    def __init__(self, spans: list[tuple[int, int]]) -> None:
        self._spans = sorted(spans)
        self._starts = [start for start, _ in self._spans]

    def __contains__(self, address: Any) -> bool:
        place = bisect_right(self._starts, address) - 1
        return place >= 0 and address < self._spans[place][1]
