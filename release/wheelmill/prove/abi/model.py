"""Records of a library's interface, and what an extension needs of one: plain values, compared elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from packaging.version import Version

from wheelmill.errors import WheelmillError

_ATEN = b"aten::"


class AbiError(WheelmillError):
    """Something that was given cannot be recorded or judged."""


@dataclass(frozen=True)
class Origin:
    """What a record is of: a recorded package, a version without its local part, an architecture.

    `build` is what the wheel was built for (`cpu`, `cu130`): only the libraries that all builds
    have are read. `wheel` is its file name, `pythons` those that the version has wheels for.
    """

    package: str
    version: str
    arch: str
    build: str
    wheel: str
    pythons: tuple[str, ...]

    @property
    def name(self) -> str:
        """`torch-2.13.0-x86_64`: of the record and of its file."""
        return f"{self.package}-{self.version}-{self.arch}"

    @cached_property
    def release(self) -> Version:
        """The version, to be compared."""
        return Version(self.version)


@dataclass(frozen=True)
class Interface:
    """The C++ interface of a library, as far as binaries depend on it.

    `vtables`: class -> the methods in its slots, `""` where a slot's name is not known. `operators`: operator
    with its overload, such as `add.out` -> the readable C++ type of its function. `layouts`: what headers
    compile into their users, such as `sizeof c10::TensorImpl` or `offsetof c10::TensorImpl::numel_` -> bytes.
    `new_strings` tells the `std::string` since GCC 5; `pybind` is the version of pybind11's own interface.
    `allocator_keys` are those of the allocator's configuration that builds with CUDA register, once each.
    """

    symbols: frozenset[str]
    vtables: Mapping[str, tuple[str, ...]]
    operators: Mapping[str, str] = field(default_factory=dict)
    layouts: Mapping[str, int] = field(default_factory=dict)
    new_strings: bool = True
    pybind: str = ""
    allocator_keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """The interface of one version on one architecture."""

    origin: Origin
    interface: Interface


@dataclass(frozen=True)
class Derived:
    """A class of an extension whose base is a class of torch: `slots` as in an interface's vtables.

    `alone`: its file is for one torch alone, so it was compiled for that torch's base.
    """

    name: str
    base: str
    slots: tuple[str, ...]
    alone: bool = False


@dataclass(frozen=True)
class Extension:
    """What the native files of one wheel need together, of whoever has it.

    `symbols` are the undefined ones that no file of the wheel defines. `libraries` are those of torch's and
    of backends that it is linked to, and `unrecorded` those of them that no record covers. `function_types`
    and `texts` tell which kernels are registered with which C++ signature. `mentioned` are the classes
    that its symbols name. `parts` has, under `2.14`, what it needs there where it has files in a folder
    `torch-2.14`: they are loaded into no other torch. `always` tells whether other files use torch too.
    """

    wheel: str
    arch: str
    pythons: tuple[str, ...]  # one, or () where it runs in several
    requires: Mapping[str, str]  # recorded package -> the specifier of its metadata
    symbols: frozenset[str]
    derived: tuple[Derived, ...]
    function_types: frozenset[str]
    texts: bytes = field(repr=False)
    mentioned: frozenset[str]
    libraries: tuple[str, ...]
    unrecorded: tuple[str, ...]
    pybind: str
    natives: int  # files that use torch
    parts: Mapping[str, Extension] = field(default_factory=dict)
    always: bool = True

    @cached_property
    def strings(self) -> frozenset[bytes]:
        """Its texts one by one, for thousands of names are looked up in them."""
        return frozenset(self.texts.split(b"\0")[1:-1])

    @cached_property
    def names(self) -> frozenset[bytes]:
        """What registrations may name: its texts, and how those with `aten::` in them end."""
        pieces = set(self.texts.split(b"\0")[:-1])
        return self.strings.union(one.rpartition(_ATEN)[2] for one in pieces if _ATEN in one)

    def within(self, origin: Origin) -> Extension:
        """What it needs in one version."""
        if origin.package != "torch":
            return self
        return self.parts.get(f"{origin.release.major}.{origin.release.minor}", self)


@dataclass(frozen=True)
class Obstacle:
    """Why an extension does not run with one version: `kind` is a name for machines, `text` a sentence.

    `subject` is the symbol, class, operator or member that it is about, and `more` how many others there are
    of this kind.
    """

    kind: str
    subject: str
    text: str
    more: int = 0


@dataclass(frozen=True)
class Judgement:
    """Whether an extension runs with one version: the obstacles, the first to be met first, and what changed
    without being one (`cautions`). `with_cuda` is what stops it in builds of the version with CUDA alone."""

    origin: Origin
    obstacles: tuple[Obstacle, ...]
    cautions: tuple[Obstacle, ...] = ()
    with_cuda: tuple[Obstacle, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether nothing was found that stops it."""
        return not self.obstacles
