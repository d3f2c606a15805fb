"""What the native files of an extension wheel need of torch, read from the wheel alone."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.version import Version

from wheelmill.cxx_names import readable, readable_type
from wheelmill.prove.abi.headers import CLASSES, VALUES
from wheelmill.prove.abi.interface import PURE, is_class_of, is_own_template, method, owned
from wheelmill.prove.abi.model import AbiError, Derived, Extension
from wheelmill.prove.abi.recorded import RECORDED
from wheelmill.wheel.elf import NotAnElfFileError, read_elf
from wheelmill.wheel.errors import WheelError
from wheelmill.wheel.facts import WheelFile, is_native_by_name, open_wheel
from wheelmill.wheel.linking import Image, read_image
from wheelmill.wheel.name import tag_arch, tag_python

_OF_RECORDED = tuple(one.folder.partition("/")[0] + "/" for one in RECORDED.values())
_MAX_NATIVE = 1 << 30  # bytes
_RECORDED = {library for one in RECORDED.values() for library in (*one.libraries, *one.some)}
# Libraries of torch's that not every build has, so that no record covers them.
_TORCH_LIBRARY = re.compile(r"lib(?:torch|c10|caffe2)(?:_\w+)?\.so")
_ONLY = re.compile(r"(?:^|/)torch-(\d+\.\d+)/")  # a folder of files for one torch alone
_PYBIND = re.compile(rb"__pybind11_internals_(v\d+)_")
_STATIC = 200  # functions of c10's own in a file: a program has a handful that inline code left there
_NAMED = sorted({*CLASSES, *(value.rsplit("::", 1)[0] for value in VALUES)})
_MENTION = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in _NAMED))
# Only a symbol with the last word of one can be readable as it; a mangled one has its length before it.
_LAST = sorted({name.rpartition("::")[2] for name in _NAMED})
_MANGLED_MENTION = re.compile("|".join(f"{len(word)}{word}" for word in _LAST))


@dataclass(frozen=True)
class _Native:
    name: str
    needed: tuple[str, ...]
    image: Image

    @property
    def only(self) -> str | None:
        """The one torch that it is loaded into, `2.14`; None for every one."""
        found = _ONLY.search(self.name)
        return found[1] if found is not None else None

    @property
    def undefined(self) -> frozenset[str]:
        """What it wants from others; a weak one may be missing."""
        return frozenset(s.name for s in self.image.symbols if s.exported and not s.defined and not s.weak)


def read_extension(path: Path) -> Extension:
    """What a wheel needs. Raises AbiError or WheelError for what is no extension of torch, or is damaged."""
    wheel = open_wheel(path)
    natives = list(_natives(wheel))
    if not natives:
        raise AbiError(
            f"{path.name} has no native file, so no C++ interface binds it to a torch",
            hint="Such a wheel runs with every torch that its metadata allow.",
        )
    _check_static(path.name, natives)
    always = [native for native in natives if native.only is None]
    parts = {
        name: _extension(wheel, [native for native in natives if native.only in (None, name)])
        for name in sorted({native.only for native in natives if native.only is not None}, key=Version)
    }
    used = any(_uses(native, native.undefined) for native in always)
    whole = _extension(wheel, always if used else natives)
    users = sum(_uses(native, native.undefined) for native in natives)
    return replace(whole, parts=parts, always=used, natives=users) if parts else whole


def _extension(wheel: WheelFile, natives: Sequence[_Native]) -> Extension:
    """What some files of a wheel need together."""
    path = wheel.path
    given = frozenset(symbol.name for native in natives for symbol in native.image.exported)
    wanted = {native.name: native.undefined - given for native in natives}
    users = [native for native in natives if _uses(native, wanted[native.name])]
    if not users:
        raise AbiError(
            f"no native file of {path.name} uses torch: {len(natives)} were read",
            hint="It is no C++ extension of torch, or it finds torch's functions while it runs.",
        )
    symbols = frozenset(
        name for user in users for name in wanted[user.name] if any(owned(one, name) for one in RECORDED)
    )
    own = {library for native in natives for library in (native.name.rpartition("/")[2],)}
    needed = sorted({library for user in users for library in user.needed} - own)
    return Extension(
        wheel=path.name,
        arch=_arch(wheel, users),
        pythons=_pythons(wheel, users),
        requires=_requires(wheel),
        symbols=symbols,
        derived=tuple(_derived(natives)),
        function_types=frozenset(readable_type(name) for user in users for name in user.image.function_types),
        texts=b"\0".join(user.image.strings for user in users),
        mentioned=_mentioned(users),
        libraries=tuple(library for library in needed if library in _RECORDED),
        unrecorded=tuple(
            library for library in needed if _TORCH_LIBRARY.fullmatch(library) and library not in _RECORDED
        ),
        pybind=next((p[1].decode() for user in users if (p := _PYBIND.search(user.image.strings))), ""),
        natives=len(users),
    )


def _natives(wheel: WheelFile) -> Iterator[_Native]:
    for member in wheel.archive.members:
        if member.is_folder or not is_native_by_name(member.name):
            continue
        try:
            content = wheel.archive.read(member, _MAX_NATIVE)
            facts = read_elf(member.name, io.BytesIO(content))
            if facts.loaded:
                yield _Native(member.name, facts.needed, read_image(member.name, content))
        except (WheelError, NotAnElfFileError) as error:
            text = error.message if isinstance(error, WheelError) else error
            raise AbiError(
                f"{wheel.path.name}: {member.name} cannot be read: {text}",
                hint="The file is damaged or not for Linux on x86_64 or aarch64; build or download it again.",
            ) from None


def linked(needed: Iterable[str]) -> bool:
    """Whether libraries of torch's are among those that a file needs."""
    return any(_TORCH_LIBRARY.fullmatch(library) for library in needed)


def _uses(native: _Native, wanted: frozenset[str]) -> bool:
    return linked(native.needed) or any(owned(package, name) for name in wanted for package in RECORDED)


def _check_static(file: str, natives: Sequence[_Native]) -> None:
    """Refuse a wheel that carries torch within itself: it runs with that one, whatever else is installed."""
    for native in natives:
        if "libc10.so" in native.needed or native.name.startswith(_OF_RECORDED):
            continue
        strong = (s.name for s in native.image.exported if s.function and not s.weak)
        found = sum(name.startswith(("_ZN3c10", "_ZNK3c10")) for name in strong)
        if found > _STATIC:
            raise AbiError(
                f"{file}: {native.name} has torch linked into it ({found} functions of c10)",
                hint="It uses no torch but its own, so no other version changes what it does.",
            )


def _arch(wheel: WheelFile, users: Sequence[_Native]) -> str:
    said = {arch for platform in wheel.name.platforms if (arch := tag_arch(platform)) is not None}
    found = {user.image.machine.removeprefix("EM_").lower() for user in users}
    if len(found) != 1 or (said and said != found):
        raise AbiError(
            f"{wheel.path.name} is named for {', '.join(sorted(said)) or 'any machine'} and has "
            f"libraries for {', '.join(sorted(found))}",
            hint="Build it for one architecture, and name it so.",
        )
    return found.pop()


def _pythons(wheel: WheelFile, users: Sequence[_Native]) -> tuple[str, ...]:
    """The one Python that it is for; () where nothing of it is bound to one.

    What is tagged for all is bound to none: libtorch_python has the same interface for every Python.
    """
    found = {tag_python(tag.interpreter, tag.abi) for tag in wheel.name.tags}
    return tuple(sorted(python for python in found if python is not None)) if None not in found else ()


def _requires(wheel: WheelFile) -> Mapping[str, str]:
    """What its metadata allow, without what stands there for extras alone."""
    from packaging.utils import canonicalize_name

    found: dict[str, str] = {}
    try:
        for requirement in wheel.metadata.requirements():
            name = canonicalize_name(requirement.name)
            marker = requirement.marker
            if name in RECORDED and (marker is None or "extra" not in str(marker)):
                found[name] = str(requirement.specifier)
    except WheelError:
        return {}  # the audit says what is wrong with METADATA
    return found


def _derived(natives: Sequence[_Native]) -> Iterator[Derived]:
    """Classes with a base of torch's, as the words of their vtables show them."""
    bases = {one.name: one.bases for native in natives for one in native.image.classes.values()}
    seen: set[Derived] = set()
    for native in natives:
        for table in native.image.vtables:
            if PURE in table.slots:
                continue  # nobody makes an object of it
            base = _base_at(table.name, table.offset, bases, frozenset())
            if base is None or is_own_template(title := readable_type(table.name)):
                continue  # none of torch's, or a copy of torch's own
            slots = tuple(method(word) for word in table.slots)
            found = Derived(title, base, slots, native.only is not None)
            if found not in seen:
                seen.add(found)
                yield found


def _base_at(
    name: str, offset: int, bases: Mapping[str, Sequence[object]], seen: frozenset[str]
) -> str | None:
    """The nearest class of torch's that begins at `offset` of an object of `name`."""
    from wheelmill.wheel.linking import Base

    for base in bases.get(name, ()):
        assert isinstance(base, Base)
        if base.name in seen:
            continue
        if base.offset <= offset:
            if base.offset == offset and is_class_of("torch", title := readable_type(base.name)):
                return title
            found = _base_at(base.name, offset - base.offset, bases, seen | {name})
            if found is not None:
                return found
    return None


def _mentioned(users: Iterable[_Native]) -> frozenset[str]:
    """Classes with recorded layouts that any of the symbols names."""
    exported = (symbol.name for user in users for symbol in user.image.symbols if symbol.exported)
    names = {name for name in exported if _MANGLED_MENTION.search(name)}
    text = "\n".join(readable(name) for name in sorted(names) if owned("torch", name) or "3c10" in name)
    return frozenset(match.group() for match in _MENTION.finditer(text))
