"""What the catalogue holds: one record per source, and in it every wheel that the source has published."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import field
from functools import cached_property, lru_cache

from wheelmill.errors import WheelmillError
from wheelmill.frozen import dataclass
from wheelmill.matrix.versions import specifiers, version

# Names of PEP 513, 571 and 599 for what PEP 600 writes with the glibc in it.
LEGACY = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)", re.ASCII)
PROJECT = "torch_npu"  # whose wheels a catalogue holds that belongs to no project file
ARCHES = ("aarch64", "x86_64")
_PATCHES = 40  # no Python 3 has had as many


class CatalogueError(WheelmillError):
    """A record of the catalogue cannot be read, or an index cannot be recorded."""


@dataclass(frozen=True)
class Audited:
    """What an audit of the file itself found: on which day, and the oldest platform that its symbols allow.

    `platform` is a policy such as `manylinux_2_28`, or `linux` where no policy allows its symbols. `torch`
    has the torches in which its files run, as `>=2.13,<2.14`; "" where that was not asked.
    """

    day: str
    platform: str
    verdict: str
    torch: str = ""


@dataclass(frozen=True)
class Window:
    """In which torches the files of a wheel run, by their symbols. One wheel stands for its version.

    `file` and `sha256` are what was judged on `day`, with the torches that were recorded, of which `judged`
    is the newest. `runs` has those in which it runs, oldest first, and `without_cuda` those of them where it
    does so in builds without CUDA alone. `stops` says what stops it in the torches before and after.
    """

    file: str
    sha256: str
    day: str
    judged: str
    runs: tuple[str, ...]
    without_cuda: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """The adapter version as the file's name has it."""
        return self.file.split("-", 2)[1]

    def others(self, torch: str) -> tuple[str, ...]:
        """The torches beside this one in which it runs; none where it does not run in this one."""
        return tuple(one for one in self.runs if one != torch) if torch in self.runs else ()


@dataclass(frozen=True)
class Wheel:
    """One published wheel; a field that no source tells is None.

    `size` in bytes, `uploaded` in UTC as `2026-10-15T03:25:01Z`. `requires` and `requires_python` come from
    the wheel's own METADATA; `requires_python` is "" where it was read and sets no bound. `yanked` is False,
    True, or the reason. `window` is that of its version.
    """

    file: str
    sha256: str | None = None
    size: int | None = None
    uploaded: str | None = None
    requires: tuple[str, ...] | None = None
    requires_python: str | None = None
    yanked: bool | str | None = None
    audited: Audited | None = None
    source: str = field(default="", compare=False)
    window: Window | None = field(default=None, compare=False)

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """Name, version, Python tag, ABI tag, platform tag; a build tag is left out."""
        parts = self.file.removesuffix(".whl").split("-")
        return (*parts[:2], *parts[-3:])

    @property
    def version(self) -> str:
        """The adapter version as the file's name has it."""
        return self.parts[1]

    @cached_property
    def pythons(self) -> tuple[str, ...]:
        """`3.11` for every CPython that the tags name; free-threaded and abi3 builds name none."""
        _, _, python, abi, _ = self.parts
        return _pythons(python, abi)

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platform tags, such as `manylinux_2_28_aarch64`."""
        return tuple(self.parts[4].split("."))

    @cached_property
    def arch(self) -> str | None:
        """`aarch64` or `x86_64`, of Linux with glibc; None for another machine or system."""
        if "linux" not in self.parts[4] or "musllinux" in self.parts[4]:
            return None
        return next((arch for arch in ARCHES if self.parts[4].endswith(f"_{arch}")), None)

    @cached_property
    def glibc(self) -> tuple[int, int] | None:
        """The lowest glibc that a tag admits; None for `linux_ARCH`, which promises nothing."""
        return _lowest_glibc(self.parts[4])

    @property
    def policy(self) -> str | None:
        """The platform policy of `glibc`, such as `manylinux_2_28`."""
        return None if self.glibc is None else f"manylinux_{self.glibc[0]}_{self.glibc[1]}"

    @property
    def day(self) -> str | None:
        """The day of the upload, as `2026-10-15`."""
        return self.uploaded[:10] if self.uploaded else None

    def allows(self, python: str) -> bool:
        """Whether Requires-Python admits any `3.9.x`: installers refuse the wheel where it does not."""
        return not self.requires_python or _admits(self.requires_python, python)

    def torch_pin(self) -> str | None:
        """What it asks of torch, such as `==2.9.0+cpu`; None where that is not known or nothing."""
        for one in self.requires or ():
            found = re.fullmatch(
                r"torch\s*(?:\[[^]]*\])?\s*\(?\s*([=<>!~][^;)]*?)\s*\)?\s*(?:;.*)?", one, re.IGNORECASE
            )
            if found:
                return found[1].replace(" ", "")
        return None


# Hundreds of wheels share a few tags.
@lru_cache(256)
def _pythons(python: str, abi: str) -> tuple[str, ...]:
    tags = [tag for tag in python.split(".") if tag.startswith("cp3") and tag[3:].isdigit()]
    return tuple(f"3.{tag[3:]}" for tag in tags if abi in (tag, f"{tag}m"))


@lru_cache(256)
def _admits(asked: str, python: str) -> bool:
    try:
        allowed = specifiers(asked)
    except ValueError:  # what installers cannot read they do not hold a wheel to
        return True
    return any(allowed.contains(f"{python}.{patch}") for patch in range(_PATCHES))


@lru_cache(256)
def _lowest_glibc(platforms: str) -> tuple[int, int] | None:
    found = [bound for one in platforms.split(".") if (bound := glibc_of(one)) is not None]
    return min(found, default=None)


def glibc_of(platform: str) -> tuple[int, int] | None:
    """The glibc that a platform tag or policy asks for, as (2, 28)."""
    if found := _MANYLINUX.match(platform):
        return int(found[1]), int(found[2])
    return LEGACY.get(platform.partition("_")[0])


@dataclass(frozen=True)
class Record:
    """What one source had on the day it was read; `source` is `index`, or what its maintainers call it.

    `unknown` names the fields that the source tells of no wheel: a mirror may strip them.
    """

    project: str
    source: str
    read: str
    wheels: tuple[Wheel, ...]
    unknown: tuple[str, ...] = ()
    windows: tuple[Window, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Catalogue:
    """All records together. The record of the public index has the source `index`."""

    records: tuple[Record, ...] = ()

    @cached_property
    def wheels(self) -> tuple[Wheel, ...]:
        """Every wheel, newest version first; a file that two sources have stands twice."""
        return tuple(wheel for wheels in self.versions.values() for wheel in wheels)

    @cached_property
    def versions(self) -> dict[str, tuple[Wheel, ...]]:
        """The wheels by adapter version, newest first."""
        spelt: dict[str, list[Wheel]] = {}
        for record in self.records:
            for wheel in record.wheels:
                spelt.setdefault(wheel.version, []).append(wheel)
        found: dict[str, list[Wheel]] = {}
        for text in sorted(spelt, key=version, reverse=True):  # few are compared: many wheels share one
            found.setdefault(str(version(text)), []).extend(spelt[text])
        return {name: tuple(wheels) for name, wheels in found.items()}

    def of(self, adapter: str) -> tuple[Wheel, ...]:
        """The wheels of one adapter version, however it is spelt."""
        try:
            return self.versions.get(str(version(adapter)), ())
        except ValueError:
            return ()

    def wheel(self, adapter: str, python: str, arch: str) -> Wheel | None:
        """The wheel for (Python, arch) that installers choose: of two, the one with the newer glibc tag."""
        return preferred(
            wheel for wheel in self.of(adapter) if wheel.arch == arch and python in wheel.pythons
        )

    def hashes(self, file: str) -> frozenset[str]:
        """The SHA-256 of a file by its name, as recorded; empty where no record has it."""
        return frozenset(wheel.sha256 for wheel in self if wheel.file == file and wheel.sha256 is not None)

    def pinned(self, requirement: str) -> frozenset[str]:
        """The SHA-256 of every wheel that `NAME==VERSION` may mean; empty for what no record has."""
        from packaging.requirements import InvalidRequirement, Requirement  # a picker asks for none
        from packaging.utils import canonicalize_name

        projects = {canonicalize_name(record.project) for record in self.records}
        try:
            wanted = Requirement(requirement)
        except InvalidRequirement:
            return frozenset()
        exact = [one.version for one in wanted.specifier if one.operator == "=="]
        if len(exact) != 1 or canonicalize_name(wanted.name) not in projects:
            return frozenset()
        return frozenset(wheel.sha256 for wheel in self.of(exact[0]) if wheel.sha256 is not None)

    def record(self, source: str) -> Record | None:
        """The record of a source."""
        return next((record for record in self.records if record.source == source), None)

    def __iter__(self) -> Iterator[Wheel]:
        return iter(self.wheels)

    def __bool__(self) -> bool:
        return bool(self.records)


def preferred(wheels: Iterable[Wheel]) -> Wheel | None:
    """Of wheels for one interpreter, the one that pip and uv take on a new system."""
    return max(wheels, key=lambda wheel: (not wheel.yanked, newest_glibc(wheel)), default=None)


def newest_glibc(wheel: Wheel) -> tuple[int, int]:
    """The newest glibc that a tag of the wheel names; installers prefer it."""
    return max((glibc_of(platform) or (0, 0) for platform in wheel.platforms), default=(0, 0))
