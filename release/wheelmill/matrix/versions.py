"""The spellings of versions, Pythons and architectures, and how they compare.

The patterns that have a public name are read by the script of the site too.

Every function raises ValueError with a sentence that says what it cannot read and what it can.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.version import Version

from wheelmill.frozen import dataclass

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

CannKey = tuple[int, ...]

SDK = re.compile(
    r"(?:CANN[\s-]*)?v?(\d+)\.(\d+)\.(?:(RC)(\d+)|(\d+))((?:\.\d+)*)(?:[.-]?(alpha|beta)\.?(\d+))?",
    re.IGNORECASE | re.ASCII,
)
SDK_PREFIX = re.compile(r"(?:CANN[\s-]*)?v?", re.IGNORECASE | re.ASCII)
# 3.13t and 3.13.0t are other Pythons, without the global lock.
PYTHON = re.compile(
    r"(?:c?python|cp|py)?\s*3(?:\.(\d{1,2})(?:\.\d+(?:(?:a|b|rc)\d+)?\+?)?|(\d{1,2}))",
    re.IGNORECASE | re.ASCII,
)
# Those others, and other implementations: no wheel for CPython is for them.
_OTHER_PYTHON = re.compile(
    r"(?:c?python|cp|py)?[\s-]*3\.?\d{1,2}(?:\.\d+\w*?)?t|(?:pypy|pp|graalpy|graalvm)[\s-]*3?[\d._]*",
    re.IGNORECASE | re.ASCII,
)
GLIBC = re.compile(
    r"(?:g?libc|manylinux)?[\s_-]*([0-9]+)[._]([0-9]+)(?:[._-][\w.+~-]*)?", re.IGNORECASE | re.ASCII
)
_BRANCH = re.compile(
    r"v(\d+\.\d+\.\d+)(?:-(\d+\.\d+\.(?:rc)?\d+(?:\.\w+)*))?|(\d+\.\d+\.\d+)\.tr\d+", re.ASCII
)
ARCH_NAMES = {
    "aarch64": "aarch64",
    "arm64": "aarch64",
    "x86_64": "x86_64",
    "amd64": "x86_64",
    "x64": "x86_64",
    # as containers and their images are named
    "linux/arm64": "aarch64",
    "linux/arm64/v8": "aarch64",
    "arm64/v8": "aarch64",
    "arm64v8": "aarch64",
    "linux/amd64": "x86_64",
}
ARCHES = frozenset(ARCH_NAMES.values())
# What machines of 32 bits are called; a 32-bit system on a 64-bit processor is one, too.
_OF_32_BITS = re.compile(
    r"(?:linux/)?(?:arm|armhf|armel|armv[4-7]\w*|arm(?:32|/)v[5-7]|armv8l|aarch32|x86|x86_32|ia32|i?[3-6]86|x32)",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True)
class BranchName:
    """The parts of `v2.1.0-5.0.rc3`: torch and release; a part that the name does not have is None."""

    torch: str | None
    release: str | None


@lru_cache(maxsize=4096)
def cann_key(text: str) -> CannKey:
    """A sort key: 6.3.RC2 < 6.3.RC3 < 6.3.RC3.1 < 7.0.RC1 < 7.0.0, whatever the case of `RC`."""
    match = SDK.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a CANN version; one looks like 7.0.RC1, 6.3.RC3.1 or 8.5.0")
    major, minor, candidate, number, patch, more, early, early_number = match.groups()
    stage = (0, int(number)) if candidate else (1, int(patch))
    tail = [int(part) for part in more.split(".") if part]
    while tail and tail[-1] == 0:
        tail.pop()
    # An alpha or beta sorts before what it leads to, so every key ends with how final it is.
    ripeness = (0 if (early or "").lower() == "alpha" else 1, int(early_number)) if early else (2, 0)
    return (int(major), int(minor), *stage, *(tail or [0]), *ripeness)


def minor(cann: str) -> str:
    """`8.5` of `8.5.0` or `8.5.RC1`."""
    return ".".join(map(str, cann_key(cann)[:2]))


def cann_name(text: str) -> str:
    """The matrix's spelling: `cann 7.0.rc1` is `7.0.RC1`."""
    cann_key(text)
    bare = SDK_PREFIX.sub("", text.strip(), count=1)
    return re.sub("rc", "RC", bare, flags=re.IGNORECASE)


@lru_cache(maxsize=4096)
def version(text: str) -> Version:
    """A PEP 440 version, for comparing; `2.1.0.rc1` and `2.1.0rc1` are equal."""
    try:
        return Version(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a PEP 440 version; one looks like 2.1.0, 2.1.0rc1 or 2.1.0.post3"
        ) from None


def specifiers(text: str) -> SpecifierSet:
    """Version specifiers with whose every version others can be compared.

    Raises ValueError for anything else: `===what-you-like` and versions of 5000 digits can be written, too.
    """
    from packaging.specifiers import SpecifierSet

    found = SpecifierSet(text)
    for one in found:
        version(one.version.removesuffix(".*"))
    return found


def is_canonical(text: str) -> bool:
    """Whether a version stands as pip writes it."""
    try:
        return str(version(text)) == text
    except ValueError:
        return False


def readable_version(text: str) -> bool:
    """Whether a text is a PEP 440 version, canonical or not."""
    try:
        version(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def python_key(python: str) -> tuple[int, ...]:
    """A sort key for `3.8`, `3.10`."""
    return tuple(int(part) for part in python.split("."))


def python_name(text: str) -> str:
    """`3.8` from `3.8`, `3.8.10`, `cp38`, `38`, `py3.8` or `Python 3.8`."""
    match = PYTHON.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a Python version; one looks like 3.8, 3.11 or cp38")
    return f"3.{int(match[1] or match[2])}"


def readable_python(text: str) -> bool:
    """Whether a text names a CPython that wheels can be for."""
    try:
        python_name(text)
    except ValueError:
        return False
    return True


def is_other_python(text: str) -> bool:
    """Whether a Python is not the CPython that wheels are for: `3.13t`, `cp313t`, `PyPy 3.10`."""
    return _OTHER_PYTHON.fullmatch(text.strip()) is not None


def arch_name(text: str) -> str:
    """`aarch64` or `x86_64`, from any of their names."""
    try:
        return ARCH_NAMES[text.strip().lower().replace("-", "_")]
    except KeyError:
        has = "has 32 bits" if has_32_bits(text) else "has no wheels"
        raise ValueError(f"architecture {text!r} {has}; use aarch64 (arm64) or x86_64 (amd64)") from None


def has_32_bits(text: str) -> bool:
    """Whether an architecture is one of 32 bits, for which nobody makes wheels."""
    return _OF_32_BITS.fullmatch(text.strip().replace("-", "_")) is not None


def release_key(text: str) -> tuple[tuple[int, int], ...]:
    """A sort key for the release in a branch's name: 5.0.rc3 < 6.0.rc1 < 6.0.0 < 26.0.0."""
    parts = re.findall(r"(rc)?(\d+)", text, re.IGNORECASE)
    return tuple((0 if candidate else 1, int(number)) for candidate, number in parts)


def glibc_key(text: str) -> tuple[int, int]:
    """(2, 28) from `2.28`, `glibc 2.28`, `2.28-251.el8` or `manylinux_2_28`."""
    match = GLIBC.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a version of glibc; one looks like 2.28")
    return int(match[1]), int(match[2])


def base_version(text: str) -> str | None:
    """`1.8.1` of `1.8.1.post2`, also where the rest is not PEP 440."""
    match = re.match(r"[0-9]+\.[0-9]+\.[0-9]+", text)
    return match[0] if match else None


def branch_name(text: str) -> BranchName:
    """The parts of a branch's name, e.g. `v1.11.0-5.0.rc2.1`, `v2.13.0` or `2.0.4.tr5`."""
    match = _BRANCH.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a branch name; one looks like v2.1.0-5.0.rc3 or v2.13.0")
    return BranchName(torch=match[1], release=match[2] or match[3])
