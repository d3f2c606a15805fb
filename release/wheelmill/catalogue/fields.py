"""What each field of a record may hold, asked where a record is read and before one is written.

A field that nobody asks about is believed: a day that is none, a machine that is another one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from wheelmill.catalogue.model import Wheel, glibc_of
from wheelmill.matrix.versions import version

FIELDS = ("sha256", "size", "uploaded", "requires", "requires_python", "yanked")
SOURCE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,40}", re.ASCII)
LONGEST = 255  # bytes of a file's name: no file system has a longer one, and numbers in it stay small
_FILE = re.compile(
    r"[A-Za-z0-9_.]+-[A-Za-z0-9_.!+]+(-[0-9][A-Za-z0-9_.]*)?(-[A-Za-z0-9_.]+){3}\.whl", re.ASCII
)
_NAME = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]*")
_SPECIFIERS = re.compile(r"(?:(?:[<>]=?|[=!~]=)[0-9A-Za-z.*+!]+(?:,(?!$)|$))*", re.ASCII)
_MACHINE = re.compile(
    r"(?:manylinux_2_\d{1,3}|manylinux1|manylinux2010|manylinux2014|musllinux_\d+_\d+|linux)_(\w+)", re.ASCII
)


class Form(NamedTuple):
    """Whether a value can be right, and what a right one looks like."""

    accepts: Callable[[Any], bool]
    right: str


def file_fault(name: Any, project: str) -> str | None:
    """Why a file is no wheel of the project for one kind of machine; None where it is."""
    if not isinstance(name, str) or len(name) > LONGEST or not _FILE.fullmatch(name):
        right = "right is NAME-VERSION-PYTHON-ABI-PLATFORM.whl"
        return f"file is {name!r:.120}, which is not a wheel's file name; {right}"
    named, number, *_, platforms = name.removesuffix(".whl").split("-")
    if same_name(named) != same_name(project):
        return f"file is {name:.120}, of the project {named!r:.60}; right is one of {project}"
    try:
        version(number)
    except ValueError as error:
        return f"file is {name:.120}: {error}"
    fault = _platform_fault(platforms)
    return fault and f"file is {name:.120}: {fault}"


@lru_cache(256)
def same_name(project: str) -> str:
    """A project's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", project).lower()


@lru_cache(256)
def _platform_fault(platforms: str) -> str | None:
    """What is wrong with a platform tag: hundreds of wheels share a few."""
    names = platforms.split(".")
    if unknown := _unknown(names):
        return f"the platform {unknown[0]} names no glibc; right is such as manylinux_2_28_x86_64"
    machines = sorted({found[1] for one in names if (found := _MACHINE.fullmatch(one))})
    if len(machines) > 1:
        return f"its platforms are of {' and of '.join(machines)}; right is one machine"
    numbered = {glibc_of(one) for one in names if one.startswith("manylinux_")}
    for one in names:
        glibc = glibc_of(one)
        if numbered and glibc is not None and glibc not in numbered:
            return (
                f"{one} means glibc {glibc[0]}.{glibc[1]}, and its other platforms another; "
                f"right beside it is manylinux_{glibc[0]}_{glibc[1]}"
            )
    return None


def _unknown(names: Iterable[str]) -> list[str]:
    """The platforms that say that they need a glibc, and not which."""
    return [one for one in names if one.startswith("manylinux") and not _MACHINE.fullmatch(one)]


def contradiction(wheel: Wheel) -> str | None:
    """What an audit found right although its own platform is newer than the wheel's tag."""
    if wheel.audited is None or wheel.audited.verdict != "right" or wheel.glibc is None:
        return None
    found = glibc_of(wheel.audited.platform)
    if found is None or found <= wheel.glibc:
        return None
    return (
        f"audited finds {wheel.policy} right and needs {wheel.audited.platform}; "
        "right is the verdict 'tag too old', or a platform that is no newer"
    )


# ---------------------------------------------------------------------------------------------------- fields
@lru_cache(1024)
def _is_day(text: str) -> bool:
    return _DAY.fullmatch(text) is not None and _is_time(f"{text}T00:00:00Z")


@lru_cache(1024)
def _is_time(text: str) -> bool:
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text[:-1])
    except ValueError:
        return False
    return True


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _printable(value: Any) -> bool:
    return isinstance(value, str) and len(value) < 2000 and _PRINTABLE.fullmatch(value) is not None


def _audited(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) - {"torch"} == {"day", "platform", "verdict"}
        and all(map(_printable, value.values()))
        and _is_day(value["day"])
        and not _unknown((f"{value['platform']}_any",))
        and value["verdict"] in ("right", "tag too old")
        and _SPECIFIERS.fullmatch(value.get("torch", "")) is not None
    )


HEAD = {
    "project": Form(_matches(_NAME), "the name of a project"),
    "source": Form(_matches(SOURCE), "lower-case letters and digits, such as index"),
    "read": Form(lambda value: isinstance(value, str) and _is_day(value), "a day, such as 2026-10-15"),
    "unknown": Form(
        lambda value: isinstance(value, list) and all(one in FIELDS for one in value),
        f"a list of {', '.join(FIELDS)}",
    ),
    "wheels": Form(lambda value: isinstance(value, list), "a list"),
}
WHEEL = {
    "sha256": Form(_matches(_SHA256), "64 digits of 0-9 and a-f"),
    "size": Form(lambda value: type(value) is int and value >= 0, "a number of bytes"),
    "uploaded": Form(
        lambda value: isinstance(value, str) and _is_time(value),
        "a time in UTC that there is, such as 2026-10-15T03:25:01Z",
    ),
    "requires": Form(
        lambda value: isinstance(value, list) and all(map(_printable, value)), "a list of requirements"
    ),
    "requires_python": Form(_printable, "what the wheel's METADATA says, such as >=3.8"),
    "yanked": Form(
        lambda value: isinstance(value, bool) or (_printable(value) and bool(value.strip())),
        "false, true or the reason; without a reason it is true",
    ),
    "audited": Form(
        _audited,
        "a day, a platform such as manylinux_2_28 or linux, the verdict 'right' or 'tag too old', and where "
        "it is known the torches, such as >=2.13,<2.14",
    ),
}
