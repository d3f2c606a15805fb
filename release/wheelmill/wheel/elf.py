"""Reads what is judged of one ELF file: pyelftools has the layouts, and nothing is followed without a bound.

pyelftools looks a name up for each section that it makes and follows lists as long as they claim to be, so a
damaged file of 50 kB can keep it busy for minutes. Here a table is read in one go and is no longer than its
bytes, and a name ends within a bound.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from elftools.common.exceptions import ELFError
from elftools.common.utils import struct_parse
from elftools.construct import ConstructError
from elftools.elf.elffile import ELFFile

MACHINES = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64", "EM_386": "i686", "EM_ARM": "armv7l"}
# What a file carries for a graphics card or the kernel is data for the loader of this machine.
_DEVICES = {"EM_CUDA", "EM_AMDGPU", "EM_BPF", 205}  # 205: Intel's graphics
KINDS = {"ET_DYN": "library", "ET_EXEC": "program", "ET_REL": "object"}

MAX_SEGMENTS = 256
MAX_SECTIONS = 4096
MAX_DYNAMIC = 4096  # entries of the dynamic segment
MAX_NEEDED = 512
MAX_NAME = 1 << 16  # bytes; names of C++ symbols are long, and no longer
_NAMES_RATIO = 8  # all names of a table together, against the bytes of its strings: they may share ends

_SYMBOL = struct.Struct("<IBBHQQ")  # Elf64_Sym: name, info, other, section, value, size
_VERSION_ROW = 16  # bytes of Elf64_Verneed and of Elf64_Vernaux
# Tags of the dynamic segment, and the sections that tell of the same tables.
_LOADED = {"DT_SYMTAB": "SHT_DYNSYM", "DT_VERSYM": "SHT_GNU_versym", "DT_VERNEED": "SHT_GNU_verneed"}
_TEXTS = (
    *("DT_SONAME", "DT_NEEDED", "DT_RPATH", "DT_RUNPATH"),
    *("DT_AUDIT", "DT_DEPAUDIT", "DT_FILTER", "DT_AUXILIARY"),
)
_UNDEFINED = 0
_LOCAL, _WEAK = 0, 2
_EXECUTE, _WRITE = 1, 2
_TEXT_RELOCATIONS = 4  # of DT_FLAGS
_HIDDEN_VERSION = 0x8000
SYSTEMS = ("ELFOSABI_SYSV", "ELFOSABI_LINUX")  # what the loaders of Linux take

# pyelftools meets a damaged file with whatever its next step happens to raise.
_STEPS = (AssertionError, AttributeError, LookupError, OverflowError, TypeError, ValueError, OSError)
DAMAGE = (ELFError, ConstructError, struct.error, MemoryError, *_STEPS)


class NotAnElfFileError(Exception):
    """The bytes begin like an ELF file and cannot be read as one."""


@dataclass(frozen=True)
class Requirement:
    """A symbol version that a library must offer; `symbols` are the functions that ask for it."""

    library: str  # "libc.so.6"
    version: str  # "GLIBC_2.34"
    symbols: tuple[str, ...]


@dataclass(frozen=True)
class ElfFacts:
    """One ELF file of a wheel; `name` is its path in the wheel."""

    name: str
    machine: str
    kind: str  # "library", "program", "object" (what a linker takes), else the number
    soname: str | None
    needed: tuple[str, ...]
    search_path: tuple[str, ...]  # DT_RUNPATH, or DT_RPATH where there is no DT_RUNPATH
    requirements: tuple[Requirement, ...]
    undefined: frozenset[str]  # not weak and without a version: a library without versions has to have them
    referenced: frozenset[str]  # all undefined ones
    defined: frozenset[str]
    executable_stack: bool
    relro: bool
    hooks: tuple[tuple[str, str], ...] = ()  # (DT_AUDIT, DT_FILTER and the like, the library that it names)
    writable_code: bool = False  # a segment that is written and executed
    text_relocations: bool = False
    relative_relocations: bool = False  # DT_RELR
    system: str = "ELFOSABI_SYSV"

    @property
    def loaded(self) -> bool:
        """Whether this machine's loader is ever given it: no object file, nothing for a graphics card."""
        return self.kind in ("library", "program") and self.machine != "device"

    @property
    def states_relative_relocations(self) -> bool:
        """Whether the loader is told by a symbol version that it has to know DT_RELR."""
        return any(requirement.version == "GLIBC_ABI_DT_RELR" for requirement in self.requirements)


def read_elf(name: str, stream: BinaryIO) -> ElfFacts:
    """The facts of one file. Raises NotAnElfFileError with what could not be read."""
    try:
        return _read(name, Tables(stream))
    except DAMAGE as error:
        text = " ".join(str(error).split())[:300]
        raise NotAnElfFileError(f"{type(error).__name__} {text}".strip()) from None


class Tables:
    """The headers of a file, each table read once."""

    def __init__(self, stream: BinaryIO) -> None:
        self.size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        self._stream = stream
        self.elf = ELFFile(stream)
        self.header: Mapping[str, Any] = self.elf.header
        self.segments = self._rows("program headers", "e_phoff", "e_phnum", "e_phentsize", MAX_SEGMENTS)
        self.sections = self._rows("sections", "e_shoff", "e_shnum", "e_shentsize", MAX_SECTIONS)
        self._check_names()
        self.dynamic = self._dynamic()

    def data(self, at: int, size: int, what: str) -> bytes:
        """These bytes of the file, all of them."""
        if at + size > self.size:
            raise ValueError(f"{what} of {size} bytes at {at} reaches beyond the file's {self.size} bytes")
        self._stream.seek(at)
        return self._stream.read(size)

    def section(self, kind: str) -> tuple[Mapping[str, Any], bytes] | None:
        """The last section of a kind, as every reader by kind has it, with its bytes."""
        found = [section for section in self.sections if section["sh_type"] == kind]
        if not found:
            return None
        if len(found) > 1 and kind in _LOADED.values():
            raise ValueError(f"it has {len(found)} sections of the kind {kind}")
        return found[-1], self.content(found[-1])

    def linked(self, section: Mapping[str, Any]) -> bytes:
        """The strings that belong to a section."""
        return self.content(self.sections[section["sh_link"]])

    def name(self, section: Mapping[str, Any]) -> str:
        """The name of a section."""
        return symbol_name(self.content(self.sections[self.header["e_shstrndx"]]), section["sh_name"])

    def content(self, section: Mapping[str, Any]) -> bytes:
        """The bytes of a section; none where it only takes room in memory."""
        if section["sh_type"] == "SHT_NOBITS":
            return b""
        return self.data(section["sh_offset"], section["sh_size"], "a section")

    def _rows(self, what: str, place: str, count: str, size: str, most: int) -> list[Mapping[str, Any]]:
        number, at = self.header[count], self.header[place]
        if at == 0 or number == 0:
            return []
        if number > most:
            raise ValueError(f"it has {number} {what}; no more than {most} are read")
        layout = self.elf.structs.Elf_Phdr if place == "e_phoff" else self.elf.structs.Elf_Shdr
        if self.header[size] != layout.sizeof():
            raise ValueError(f"its {what} are {self.header[size]} bytes long instead of {layout.sizeof()}")
        self.data(at, number * layout.sizeof(), what)  # there at all
        return [struct_parse(layout, self._stream, at + i * layout.sizeof()) for i in range(number)]

    def _check_names(self) -> None:
        """Every section has a name that ends, for those who read the names."""
        if not self.sections:
            return
        names = self.content(self.sections[self.header["e_shstrndx"]])
        for section in self.sections:
            symbol_name(names, section["sh_name"])

    def _dynamic(self) -> list[tuple[Any, int]]:
        """(tag, value) of the dynamic segment, up to its end."""
        found = [segment for segment in self.segments if segment["p_type"] == "PT_DYNAMIC"]
        if len(found) > 1:
            raise ValueError(f"it has {len(found)} dynamic segments")
        if not found:
            return []
        layout = self.elf.structs.Elf_Dyn
        at, size = found[0]["p_offset"], found[0]["p_filesz"]
        self.data(at, size, "the dynamic segment")
        entries: list[tuple[Any, int]] = []
        for index in range(size // layout.sizeof()):
            if index == MAX_DYNAMIC:
                raise ValueError(f"its dynamic segment has more than {MAX_DYNAMIC} entries")
            entry = struct_parse(layout, self._stream, at + index * layout.sizeof())
            if entry["d_tag"] == "DT_NULL":
                return entries
            entries.append((entry["d_tag"], entry["d_val"]))
        raise ValueError("its dynamic segment has no end")

    def strings(self) -> bytes:
        """The strings of the dynamic segment, found as the loader finds them."""
        tags = dict(self.dynamic)
        if "DT_STRTAB" not in tags:
            return b""
        address, size = tags["DT_STRTAB"], tags.get("DT_STRSZ", 0)
        for segment in self.segments:
            start = segment["p_vaddr"]
            if segment["p_type"] == "PT_LOAD" and start <= address < start + segment["p_filesz"]:
                return self.data(segment["p_offset"] + address - start, size, "the dynamic strings")
        raise ValueError("its dynamic strings are in no segment")


def _read(name: str, tables: Tables) -> ElfFacts:
    kind = KINDS.get(tables.header["e_type"], str(tables.header["e_type"]))
    machine = _machine(tables)
    if kind not in ("library", "program") or machine == "device":
        found = {segment["p_type"] for segment in tables.segments}
        if (kind == "object" and found) or found & {"PT_INTERP", "PT_DYNAMIC", "PT_GNU_STACK"}:
            raise ValueError(f"its header says {kind} for a {machine}, its segments say that it is run")
        nothing: frozenset[str] = frozenset()
        return ElfFacts(name, machine, kind, None, (), (), (), nothing, nothing, nothing, False, True)
    _check_sections(tables)
    texts = _dynamic_texts(tables)
    versions = _versions(tables, texts["DT_NEEDED"])
    symbols = _symbols(tables, versions)
    tags = dict(tables.dynamic)
    flags = {segment["p_type"]: segment["p_flags"] for segment in tables.segments}
    loads = [segment["p_flags"] for segment in tables.segments if segment["p_type"] == "PT_LOAD"]
    return ElfFacts(
        name=name,
        machine=machine,
        kind=kind,
        soname=next(iter(texts["DT_SONAME"]), None),
        needed=tuple(texts["DT_NEEDED"]),
        search_path=_search_path(texts),
        requirements=_requirements(versions, symbols),
        undefined=frozenset(
            s.name for s in symbols if s.section == _UNDEFINED and s.bind != _WEAK and s.version is None
        ),
        referenced=frozenset(s.name for s in symbols if s.section == _UNDEFINED),
        defined=frozenset(s.name for s in symbols if s.section != _UNDEFINED and s.bind != _LOCAL),
        # A file without the header gets the kernel's default, which is an executable stack.
        executable_stack=bool(flags.get("PT_GNU_STACK", _EXECUTE) & _EXECUTE),
        relro="PT_GNU_RELRO" in flags,
        hooks=tuple((tag, text) for tag in _TEXTS[4:] for text in texts[tag]),
        writable_code=any(flag & _EXECUTE and flag & _WRITE for flag in loads),
        text_relocations="DT_TEXTREL" in tags or bool(tags.get("DT_FLAGS", 0) & _TEXT_RELOCATIONS),
        relative_relocations=not tags.keys().isdisjoint(("DT_RELR", "DT_ANDROID_RELR")),
        system=str(tables.header["e_ident"]["EI_OSABI"]),
    )


def _machine(tables: Tables) -> str:
    found = tables.header["e_machine"]
    if found in _DEVICES:
        return "device"
    machine = MACHINES.get(found, str(found).removeprefix("EM_").lower())
    return machine if tables.elf.little_endian else f"{machine}_be"


def _dynamic_texts(tables: Tables) -> dict[str, list[str]]:
    """Texts of the dynamic tags that name libraries and directories."""
    values: dict[str, list[str]] = {tag: [] for tag in _TEXTS}
    names = tables.strings()
    for tag, value in tables.dynamic:
        if tag in values:
            values[tag].append(symbol_name(names, value))
    if len(values["DT_NEEDED"]) > MAX_NEEDED:
        raise ValueError(f"it needs {len(values['DT_NEEDED'])} libraries; no more than {MAX_NEEDED} are read")
    return values


def _search_path(texts: Mapping[str, list[str]]) -> tuple[str, ...]:
    entries = texts["DT_RUNPATH"] or texts["DT_RPATH"]
    return tuple(part for entry in entries for part in entry.split(":"))


def _versions(tables: Tables, needed: Collection[str]) -> dict[int, tuple[str, str]]:
    """Version index -> (library, version), of .gnu.version_r.

    Raises ValueError where it says two things, as a damaged one does: then a requirement may be missing.
    """
    section = tables.section("SHT_GNU_verneed")
    if section is None:
        return {}
    header, data = section
    names = tables.linked(header)
    order = "<" if tables.elf.little_endian else ">"
    found: dict[int, tuple[str, str]] = {}
    rows = 0
    for _, count, file, first, at in _chain(data, f"{order}HHIII", 0, header["sh_info"]):
        library = symbol_name(names, file)
        if library not in needed:
            raise ValueError(f"it asks for versions of {library}, which it does not need")
        rows += 1 + count
        if rows > len(data) // _VERSION_ROW:  # before they are read: two lists may share their rows
            raise ValueError("its version requirements overlap")
        for checksum, _, index, name, _ in _chain(data, f"{order}IHHII", at + first, count):
            version = symbol_name(names, name)
            if checksum != _elf_hash(version):
                raise ValueError(f"the version {version} of {library} has the checksum of another")
            found[index] = (library, version)
    return found


def _chain(data: bytes, layout: str, at: int, count: int) -> Iterator[tuple[int, ...]]:
    """The rows of a linked list of exactly `count`; the last field, the way to the next row, becomes the
    row's own offset."""
    if count > len(data) // _VERSION_ROW:
        raise ValueError(f"its version requirements are {count}, which have no place in {len(data)} bytes")
    for left in reversed(range(count)):
        *row, step = struct.unpack_from(layout, data, at)
        yield (*row, at)
        if (step == 0) != (left == 0):
            raise ValueError("the list of its version requirements is broken")
        at += step


def symbol_name(names: bytes, at: int) -> str:
    """The name at a place of a table of strings. Raises ValueError where it does not end within MAX_NAME."""
    end = names.find(b"\0", at, at + MAX_NAME)
    if at >= len(names) or end < 0:
        raise ValueError(f"the name at {at} does not end within {MAX_NAME} bytes")
    return names[at:end].decode()


def _elf_hash(name: str) -> int:
    """The hash of the System V ABI, which the loader compares before the name itself."""
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        high = value & 0xF000_0000
        value = (value ^ (high >> 24)) & ~high
    return value


def _check_sections(tables: Tables) -> None:
    """Section headers describe what the loader uses, which follows the dynamic segment and not them.

    Raises ValueError where they do not: what a reader of sections sees then is not what is run.
    """
    if not tables.dynamic:
        if tables.header["e_type"] == "ET_DYN":
            raise ValueError("a library without a dynamic segment")
        return
    tags = dict(tables.dynamic)
    sections = {section["sh_type"]: section for section in tables.sections}
    for tag, kind in _LOADED.items():
        at = sections[kind]["sh_addr"] if kind in sections else None
        if tags.get(tag) != at:
            raise ValueError(f"its section headers and its dynamic segment differ in {tag}")
    count = sections["SHT_GNU_verneed"]["sh_info"] if "SHT_GNU_verneed" in sections else None
    if tags.get("DT_VERNEEDNUM") != count:
        raise ValueError("its section headers and its dynamic segment differ in DT_VERNEEDNUM")
    segments = [s for s in tables.segments if s["p_type"] == "PT_DYNAMIC"]
    described = sections.get("SHT_DYNAMIC")
    if described is not None and described["sh_offset"] != segments[0]["p_offset"]:
        raise ValueError("its section headers and its program headers differ in the dynamic segment")


@dataclass(frozen=True)
class _Symbol:
    name: str
    bind: int
    section: int
    version: tuple[str, str] | None


def _symbols(tables: Tables, versions: dict[int, tuple[str, str]]) -> list[_Symbol]:
    table = tables.section("SHT_DYNSYM")
    if table is None or tables.elf.elfclass != 64 or not tables.elf.little_endian:
        return []
    header, data = table
    names = tables.linked(header)
    rows = len(data) // _SYMBOL.size
    marked = tables.section("SHT_GNU_versym")
    marks = marked[1] if marked is not None else bytes(2 * rows)
    indices = struct.unpack(f"<{rows}H", marks[: 2 * rows])
    allowed = _NAMES_RATIO * len(names) + MAX_NAME
    symbols = []
    for (at, info, _, section, _, _), index in zip(
        _SYMBOL.iter_unpack(data[: rows * _SYMBOL.size]), indices, strict=True
    ):
        if at:
            name = symbol_name(names, at)
            allowed -= len(name)
            if allowed < 0:
                raise ValueError(f"the names of its symbols are longer than {len(names)} bytes can say")
            symbols.append(_Symbol(name, info >> 4, section, versions.get(index & ~_HIDDEN_VERSION)))
    return symbols


def _requirements(versions: dict[int, tuple[str, str]], symbols: list[_Symbol]) -> tuple[Requirement, ...]:
    users: dict[tuple[str, str], set[str]] = {version: set() for version in versions.values()}
    for symbol in symbols:
        if symbol.version is not None and symbol.section == _UNDEFINED:
            users[symbol.version].add(symbol.name)
    return tuple(
        Requirement(library, version, tuple(sorted(users[library, version])))
        for library, version in sorted(users)
    )
