"""Records as files: one per version and architecture, compressed, each as its difference from another.

Ninety-nine of a hundred symbols are the same from version to version, so a file has what its `base` has not,
and what it lacks of it. `matrix/abi/torch-2.13.0-x86_64.json.xz` is JSON; its lines are sorted, so the same
record gives the same bytes.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypedDict, TypeVar

from packaging.version import Version

from wheelmill.cxx_names import qualified
from wheelmill.limits import MAX_TEXT, parse_json, read_regular
from wheelmill.matrix.plain import from_plain
from wheelmill.prove.abi.model import AbiError, Interface, Origin, Record

T = TypeVar("T")

SUFFIX = ".json.xz"
SCHEMA = 1
_MAPS = ("vtables", "operators", "layouts")
_MAX_FILE = 16 << 20  # bytes of one file, unpacked


def _is_version(text: str) -> bool:
    try:
        return bool(Version(text))
    except ValueError:
        return False


class _Symbols(TypedDict):
    add: list[str]
    drop: list[str]


class _Vtables(TypedDict):
    set: dict[str, list[str]]
    drop: list[str]


class _Operators(TypedDict):
    set: dict[str, str]
    drop: list[str]


class _Layouts(TypedDict):
    set: dict[str, int]
    drop: list[str]


class _MayBe(TypedDict, total=False):
    allocator_keys: list[str]


class _Document(_MayBe):
    """A file's JSON: an origin, and what the record has that its base has not."""

    schema: int
    base: str | None
    package: str
    version: Annotated[str, _is_version]
    arch: str
    build: str
    wheel: str
    pythons: tuple[str, ...]
    new_strings: bool
    pybind: str
    symbols: _Symbols
    vtables: _Vtables
    operators: _Operators
    layouts: _Layouts


@dataclass(frozen=True)
class Shelf:
    """The records of one folder. Files are read when they are asked for."""

    folder: Path

    @cached_property
    def _files(self) -> Mapping[str, Path]:
        """Record -> its file."""
        found = sorted(self.folder.glob(f"*{SUFFIX}")) if self.folder.is_dir() else ()
        return {file.name.removesuffix(SUFFIX): file for file in found}

    @cached_property
    def _read(self) -> dict[str, _Document]:
        """The files that were asked for so far."""
        return {}

    @property
    def origins(self) -> tuple[Origin, ...]:
        """What is recorded, by package, version and architecture."""
        return self._origins(self._files)

    def of(self, package: str, arch: str) -> tuple[Origin, ...]:
        """The versions of a package on an architecture, oldest first. No others are read."""
        names = (name for name in self._files if name.startswith(f"{package}-") and name.endswith(f"-{arch}"))
        return tuple(one for one in self._origins(names) if (one.package, one.arch) == (package, arch))

    def _origins(self, names: Iterable[str]) -> tuple[Origin, ...]:
        found = (_origin(self._document(name)) for name in names)
        return tuple(sorted(found, key=lambda one: (one.package, one.release, one.arch)))

    def record(self, name: str) -> Record:
        """The whole record `torch-2.13.0-x86_64`. Raises AbiError where it or a base of it is missing."""
        return Record(_origin(self._document(name)), self._interface(name, None, {}))

    def base(self, name: str) -> str | None:
        """The record that the file of this one is the difference from; None where it is whole."""
        return self._document(name)["base"]

    def restricted(self, origins: Iterable[Origin], symbols: frozenset[str]) -> list[Record]:
        """Records that know only of these symbols: what an extension asks for."""
        known: dict[str, Interface] = {}
        return [Record(origin, self._interface(origin.name, symbols, known)) for origin in origins]

    def like(self, origin: Origin, symbol: str) -> frozenset[str]:
        """The symbols of a record with the stem of this one: what there is in its place."""
        found: set[str] = set()
        for document in self._chain(origin.name):
            found.difference_update(document["symbols"]["drop"])
            found.update(self._adds_like(document, symbol))
        return frozenset(found)

    def having(self, symbol: str) -> tuple[Origin, ...]:
        """The records that have a symbol, by package, version and architecture; no record is made whole."""
        return tuple(origin for origin in self.origins if self._has(origin.name, symbol))

    def _has(self, name: str, symbol: str) -> bool:
        """Whether a record has a symbol: the last file of its chain that tells of it decides."""
        for document in reversed(self._chain(name)):
            if symbol in document["symbols"]["add"]:
                return True
            if symbol in document["symbols"]["drop"]:
                return False
        return False

    def _document(self, name: str) -> _Document:
        if name not in self._files:
            raise AbiError(
                f"there is no record {name} in {self.folder}", hint="See what there is: wheelmill abi list"
            )
        if name not in self._read:
            self._read[name] = _load(self._files[name])
        return self._read[name]

    def _chain(self, name: str) -> list[_Document]:
        """The files that make a record, the first one whole."""
        found: list[_Document] = []
        following: str | None = name
        while following is not None:
            if len(found) > len(self._files):
                raise AbiError(f"the record {name} is based on itself", hint="Restore the folder from git.")
            found.append(self._document(following))
            following = found[-1]["base"]
        return found[::-1]

    @cached_property
    def _alike(self) -> dict[tuple[str, str], list[str]]:
        return {}

    def _adds_like(self, document: _Document, symbol: str) -> list[str]:
        """Of the symbols that a file adds, those with the stem of this one. Many records ask the same."""
        of = _name(document), stem(symbol)
        if of not in self._alike:
            self._alike[of] = list(alike(document["symbols"]["add"], symbol))
        return self._alike[of]

    def _interface(self, name: str, only: frozenset[str] | None, known: dict[str, Interface]) -> Interface:
        """What the files of a record come to; `known` has the records that were asked for before."""
        found = _NOTHING
        for document in self._chain(name):
            of = _name(document)
            if of not in known:
                known[of] = _changed(found, document, only)
            found = known[of]
        return found


_NOTHING = Interface(frozenset(), {})


def _changed(base: Interface, document: _Document, only: frozenset[str] | None) -> Interface:
    """A record from that which its file is the difference from; with `only` these symbols, where given."""
    change = document["symbols"]
    added = change["add"] if only is None else only.intersection(change["add"])
    return Interface(
        symbols=base.symbols.difference(change["drop"]).union(added),
        vtables=_over(
            base.vtables,
            {of: tuple(slots) for of, slots in document["vtables"]["set"].items()},
            document["vtables"]["drop"],
        ),
        operators=_over(base.operators, document["operators"]["set"], document["operators"]["drop"]),
        layouts=_over(base.layouts, document["layouts"]["set"], document["layouts"]["drop"]),
        new_strings=document["new_strings"],
        pybind=document["pybind"],
        allocator_keys=tuple(document.get("allocator_keys", ())),
    )


def _over(base: Mapping[str, T], new: Mapping[str, T], gone: Iterable[str]) -> dict[str, T]:
    """A map with what is new in it and without what is gone."""
    dropped = frozenset(gone) - new.keys()
    return {name: value for name, value in {**base, **new}.items() if name not in dropped}


def stem(symbol: str) -> str:
    """What overloads of a function share: its qualified name, or a C name itself."""
    return qualified(symbol) if symbol.startswith("_Z") else symbol


def alike(symbols: Iterable[str], symbol: str) -> Iterator[str]:
    """Those with the stem of this one. Few have its last word in them, and only theirs is asked."""
    of = stem(symbol)
    word = of.rpartition("::")[2]
    return (one for one in symbols if word in one and stem(one) == of)


def keep(folder: Path, record: Record) -> Path:
    """Add a record to those of a folder, or put it in the place of an older one; returns its file.

    One that replaces another keeps its base, so that the same record gives the same bytes and none is based
    on itself. What is based on it is written anew, and says the same as before.
    """
    shelf, name = Shelf(folder), record.origin.name
    if any(one.name == name for one in shelf.origins):
        base = shelf.base(name)
        others = [shelf.record(one.name) for one in shelf.origins if shelf.base(one.name) == name]
    else:
        found = nearest(record.origin, shelf.origins)
        base, others = None if found is None else found.name, []
    file = write(folder, record, None if base is None else shelf.record(base))
    for other in others:
        write(folder, other, record)
    return file


def write(folder: Path, record: Record, base: Record | None = None) -> Path:
    """Write a record, as its difference from `base` where one is given; returns the file."""
    old, new = base.interface if base is not None else Interface(frozenset(), {}), record.interface
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "base": None if base is None else base.origin.name,
        **asdict(record.origin),
        "new_strings": new.new_strings,
        "pybind": new.pybind,
        **({"allocator_keys": new.allocator_keys} if new.allocator_keys else {}),
        "symbols": {"add": sorted(new.symbols - old.symbols), "drop": sorted(old.symbols - new.symbols)},
    }
    for field in _MAPS:
        before, after = getattr(old, field), getattr(new, field)
        document[field] = {
            "set": {name: after[name] for name in sorted(after) if before.get(name) != after[name]},
            "drop": sorted(before.keys() - after.keys()),
        }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{record.origin.name}{SUFFIX}"
    text = json.dumps(document, indent=0, separators=(",", ":"))
    file.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    return file


def nearest(origin: Origin, others: Iterable[Origin]) -> Origin | None:
    """The record that a new one is written against: the version before it, that after it, or the same version
    on another architecture. Nothing is based on a new record yet, so it cannot become its own base."""
    same = [one for one in others if one.package == origin.package and one.name != origin.name]
    beside = [one for one in same if one.arch == origin.arch]
    before = [one for one in beside if one.release < origin.release]
    after = [one for one in beside if one.release > origin.release]
    if before:
        return max(before, key=lambda one: one.release)
    if after:
        return min(after, key=lambda one: one.release)
    return next((one for one in same if one.version == origin.version), None)


def _load(file: Path) -> _Document:
    try:
        unpacked = lzma.LZMADecompressor().decompress(read_regular(file, MAX_TEXT), _MAX_FILE)
        document = from_plain(_Document, parse_json(unpacked))
        if document["schema"] != SCHEMA or _origin(document).name != file.name.removesuffix(SUFFIX):
            raise ValueError("it is not the record that its name says")
    except (OSError, lzma.LZMAError, ValueError, EOFError) as error:
        raise AbiError(
            f"the record {file} cannot be read: {' '.join(str(error).split())}",
            hint="Restore it from git, or make it again: wheelmill abi record",
        ) from None
    return document


def _name(document: _Document) -> str:
    """The record that a file is of, as `Origin.name`."""
    return f"{document['package']}-{document['version']}-{document['arch']}"


def _origin(document: _Document) -> Origin:
    return Origin(
        package=document["package"],
        version=document["version"],
        arch=document["arch"],
        build=document["build"],
        wheel=document["wheel"],
        pythons=document["pythons"],
    )
