"""Reads what the rules need of one ELF file: pyelftools for the structure, struct for the long tables.

A symbol table of torch has 150,000 rows; pyelftools builds an object tree for each, so the table's bytes are
unpacked here in one go instead.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile

MACHINES = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64", "EM_386": "i686", "EM_ARM": "armv7l"}

_SYMBOL = struct.Struct("<IBBHQQ")  # Elf64_Sym: name, info, other, section, value, size
_VERSION_ROW = 16  # bytes of Elf64_Verneed and of Elf64_Vernaux
# Tags of the dynamic segment, and the sections that tell of the same tables.
_LOADED = {"DT_SYMTAB": "SHT_DYNSYM", "DT_VERSYM": "SHT_GNU_versym", "DT_VERNEED": "SHT_GNU_verneed"}
_UNDEFINED = 0
_LOCAL, _WEAK = 0, 2
_FLAG_EXECUTE = 1
_HIDDEN_VERSION = 0x8000

# pyelftools meets a damaged file with whatever its next step happens to raise.
_STEPS = (AssertionError, AttributeError, LookupError, OverflowError, TypeError, ValueError)
_DAMAGE = (ELFError, ConstructError, struct.error, *_STEPS)


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
    soname: str | None
    needed: tuple[str, ...]
    search_path: tuple[str, ...]  # DT_RUNPATH, or DT_RPATH where there is no DT_RUNPATH
    requirements: tuple[Requirement, ...]
    undefined: frozenset[str]  # not weak and without a version: a library without versions has to have them
    referenced: frozenset[str]  # all undefined ones
    defined: frozenset[str]
    executable_stack: bool
    relro: bool


def read_elf(name: str, stream: BinaryIO) -> ElfFacts:
    """The facts of one file. Raises NotAnElfFileError with what could not be read."""
    try:
        return _read(name, ELFFile(stream))
    except _DAMAGE as error:
        raise NotAnElfFileError(f"{type(error).__name__} {error}".strip()) from None


def _read(name: str, elf: ELFFile) -> ElfFacts:
    _check_sections(elf)
    dynamic = _dynamic(elf)
    versions = _versions(elf, dynamic["DT_NEEDED"])
    symbols = _symbols(elf, versions)
    flags = {segment["p_type"]: segment["p_flags"] for segment in elf.iter_segments()}
    return ElfFacts(
        name=name,
        machine=_machine(elf),
        soname=next(iter(dynamic["DT_SONAME"]), None),
        needed=tuple(dynamic["DT_NEEDED"]),
        search_path=_search_path(dynamic),
        requirements=_requirements(versions, symbols),
        undefined=frozenset(
            s.name for s in symbols if s.section == _UNDEFINED and s.bind != _WEAK and s.version is None
        ),
        referenced=frozenset(s.name for s in symbols if s.section == _UNDEFINED),
        defined=frozenset(s.name for s in symbols if s.section != _UNDEFINED and s.bind != _LOCAL),
        # A file without the header gets the kernel's default, which is an executable stack.
        executable_stack=bool(flags.get("PT_GNU_STACK", _FLAG_EXECUTE) & _FLAG_EXECUTE),
        relro="PT_GNU_RELRO" in flags,
    )


def _machine(elf: ELFFile) -> str:
    machine = MACHINES.get(elf["e_machine"], str(elf["e_machine"]).removeprefix("EM_").lower())
    return machine if elf.little_endian else f"{machine}_be"


def _dynamic(elf: ELFFile) -> dict[str, list[str]]:
    """Text values of the dynamic tags that name libraries and directories."""
    values: dict[str, list[str]] = {tag: [] for tag in ("DT_SONAME", "DT_NEEDED", "DT_RPATH", "DT_RUNPATH")}
    attributes = {"DT_SONAME": "soname", "DT_NEEDED": "needed", "DT_RPATH": "rpath", "DT_RUNPATH": "runpath"}
    for segment in elf.iter_segments():
        if isinstance(segment, DynamicSegment):
            for tag in segment.iter_tags():
                if tag.entry.d_tag in values:
                    values[tag.entry.d_tag].append(getattr(tag, attributes[tag.entry.d_tag]))
    return values


def _search_path(dynamic: dict[str, list[str]]) -> tuple[str, ...]:
    entries = dynamic["DT_RUNPATH"] or dynamic["DT_RPATH"]
    return tuple(part for entry in entries for part in entry.split(":"))


def _versions(elf: ELFFile, needed: Collection[str]) -> dict[int, tuple[str, str]]:
    """Version index -> (library, version), of .gnu.version_r.

    Raises ValueError where it says two things, as a damaged one does: then a requirement may be missing.
    """
    section = next((s for s in elf.iter_sections() if s["sh_type"] == "SHT_GNU_verneed"), None)
    if section is None:
        return {}
    data: bytes = section.data()
    names: bytes = elf.get_section(section["sh_link"]).data()
    order = "<" if elf.little_endian else ">"
    found: dict[int, tuple[str, str]] = {}
    for _, count, file, first, at in _chain(data, f"{order}HHIII", 0, section["sh_info"]):
        library = _name(names, file)
        if library not in needed:
            raise ValueError(f"it asks for versions of {library}, which it does not need")
        for checksum, _, index, name, _ in _chain(data, f"{order}IHHII", at + first, count):
            version = _name(names, name)
            if checksum != _elf_hash(version):
                raise ValueError(f"the version {version} of {library} has the checksum of another")
            found[index] = (library, version)
    if len(found) > len(data) // _VERSION_ROW:
        raise ValueError("its version requirements overlap")
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


def _name(names: bytes, at: int) -> str:
    return names[at : names.index(b"\0", at)].decode()


def _elf_hash(name: str) -> int:
    """The hash of the System V ABI, which the loader compares before the name itself."""
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        high = value & 0xF000_0000
        value = (value ^ (high >> 24)) & ~high
    return value


def _check_sections(elf: ELFFile) -> None:
    """Section headers describe what the loader uses, which follows the dynamic segment and not them.

    Raises ValueError where they do not: what a reader of sections sees then is not what is run.
    """
    segment = next((s for s in elf.iter_segments() if isinstance(s, DynamicSegment)), None)
    if segment is None:
        if elf["e_type"] == "ET_DYN":
            raise ValueError("a library without a dynamic segment")
        return
    tags = {tag.entry.d_tag: tag.entry.d_val for tag in segment.iter_tags()}
    sections = {section["sh_type"]: section for section in elf.iter_sections()}
    for tag, kind in _LOADED.items():
        at = sections[kind]["sh_addr"] if kind in sections else None
        if tags.get(tag) != at:
            raise ValueError(f"its section headers and its dynamic segment differ in {tag}")
    count = sections["SHT_GNU_verneed"]["sh_info"] if "SHT_GNU_verneed" in sections else None
    if tags.get("DT_VERNEEDNUM") != count:
        raise ValueError("its section headers and its dynamic segment differ in DT_VERNEEDNUM")


@dataclass(frozen=True)
class _Symbol:
    name: str
    bind: int
    section: int
    version: tuple[str, str] | None


def _symbols(elf: ELFFile, versions: dict[int, tuple[str, str]]) -> list[_Symbol]:
    tables = {section["sh_type"]: section for section in elf.iter_sections()}
    table = tables.get("SHT_DYNSYM")
    if table is None or elf.elfclass != 64 or not elf.little_endian:
        return []
    names: bytes = elf.get_section(table["sh_link"]).data()
    data: bytes = table.data()
    rows = len(data) // _SYMBOL.size
    marks = tables["SHT_GNU_versym"].data() if "SHT_GNU_versym" in tables else bytes(2 * rows)
    indices = struct.unpack(f"<{rows}H", marks[: 2 * rows])
    symbols = []
    for (at, info, _, section, _, _), index in zip(
        _SYMBOL.iter_unpack(data[: rows * _SYMBOL.size]), indices, strict=True
    ):
        if at:
            name = names[at : names.index(b"\0", at)].decode()
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
