"""Words of a user to a `Request` in the matrix's spelling."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date as day

from wheelmill.console import without_password
from wheelmill.matrix.model import Matrix, System
from wheelmill.matrix.versions import (
    arch_name,
    cann_name,
    glibc_key,
    has_32_bits,
    is_other_python,
    python_name,
    version,
)
from wheelmill.pick.model import Axis, PickError, Request, Words
from wheelmill.pick.words import Value, label, listed, say

# The script of the site reads its address by the same patterns (pick/site/spellings.py).
MUSL = ("alpine", "musl", "postmarketos")  # systems whose C library is musl, and itself
OTHER_TORCH = re.compile(r"cu\d|rocm|xpu|hip", re.IGNORECASE)  # builds of torch for other accelerators
SYSTEM = re.compile(r"\s*([^\W\d]+(?:-[^\W\d]+)?)[\s:_-]*(v?\d[\w.]*)(?:[\s-]|$)", re.IGNORECASE)
SHORT_SDK = re.compile(r"(?:CANN[\s-]*)?v?(\d{1,3}\.\d{1,3})", re.IGNORECASE | re.ASCII)
BRANCH = re.compile(r"[\w.+/-]{1,100}", re.ASCII)
LDD = re.compile(r"ldd \([^()]*\) ([\d.]+)")
CHIP_PREFIX = re.compile(r"(?:(?:Huawei|Ascend|Atlas)[\s-]*)*", re.IGNORECASE)
CHIP = re.compile(r"\w[\w -]{0,29}", re.ASCII)
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)  # newer Pythons read more forms
LONGEST = 200  # characters of a value: expressions that read one take their time with more


def parse_request(
    *,
    cann: str | None = None,
    torch: str | None = None,
    python: str | None = None,
    arch: str | None = None,
    adapter: str | None = None,
    branch: str | None = None,
    glibc: str | None = None,
    chip: str | None = None,
    date: str | None = None,
    supported: bool = False,
) -> Request:
    """A request from any usual spelling: `7.0.rc1`, `cp38`, `arm64`, `2.1.0.rc1`, `2.1.0+cpu`, `glibc 2.28`.

    `supported` asks for lines that still get fixes. Raises PickError naming the axis and what its values look
    like.
    """
    return Request(
        cann=_read("cann", _cann, cann),
        torch=_read("torch", _torch, torch),
        python=_read("python", python_name, python),
        arch=_read("arch", arch_name, arch),
        adapter=_read("adapter", _release, adapter),
        branch=_read("branch", _branch, branch),
        glibc=_read("glibc", _glibc, glibc and glibc.strip().partition("\n")[0]),
        chip=_read("chip", _chip, chip),
        date=_read("date", _day, date),
        stage="supported" if supported else None,
        written=_builds({"adapter": adapter, "torch": torch}),
    )


def with_system(request: Request, text: str, matrix: Matrix) -> Request:
    """The request for an operating system such as `Ubuntu 20.04`, which decides on the C library.

    Raises PickError naming the systems that the matrix knows.
    """
    from dataclasses import replace

    if len(text) > LONGEST:
        raise _error(say("operating system"), say("too long", value=_shown(text), most=str(LONGEST)))
    words = SYSTEM.match(text)
    systems = matrix.document.systems
    if words is not None:
        for system in systems:
            if _same_name(system, words[1]) and _same_release(system, words[2]):
                return replace(request, glibc=system.glibc, system=system.title)
    if words is not None and words[1].lower() in MUSL:
        raise _error(say("operating system"), say("musl", name=_shown(text)), say("hint musl"))
    known = listed(system.title for system in systems) if systems else say("none there")
    raise _error(
        say("operating system"), say("unknown system", value=_shown(text)), say("hint system", known=known)
    )


def index_base(text: str) -> str:
    """The address of an index without `simple/` at its end. Raises PickError for what is no address."""
    return re.sub(r"(/simple)?/*$", "", index_address(text))


def index_address(text: str, what: str = "index") -> str:
    """The address of an index as it stands. Raises PickError for what is no address, or has a password."""
    from wheelmill.matrix.forms import address  # takes longer to import than an answer to make

    text = text.strip()
    try:
        return address(text, ("https", "http", "file"))
    except ValueError as error:
        shown = without_password(_shown(text))
        found: Words = {
            "en": without_password(str(error)),
            "zh": say("unreadable index", value=shown)["zh"],
        }
        raise _error(say(what), found, say("hint index")) from None


def _same_name(system: System, asked: str) -> bool:
    """`Euler` is EulerOS; openEuler is another one."""
    return system.name.lower() in (asked.lower(), f"{asked.lower()}os")


def _same_release(system: System, asked: str) -> bool:
    """`10` is Kylin's V10, `7.6` is of CentOS 7, and `22.04.3` is Ubuntu 22.04."""
    wanted, own = asked.lower().lstrip("v").split("."), system.version.lower().lstrip("v").split(".")
    return wanted[: len(own)] == own


def _release(text: str) -> str:
    """Canonical and without a build's local part: `2.1.0+gitb2bbead` is 2.1.0."""
    return str(version(text.strip())).partition("+")[0]


def _builds(words: Mapping[Axis, str | None]) -> dict[Axis, str]:
    """The versions that name a build, which an answer for their release has to tell of."""
    return {axis: str(version(text.strip())) for axis, text in words.items() if text and "+" in text}


def _torch(text: str) -> str:
    """The release of `2.1.0+cpu`. A torch for another accelerator is refused, not replaced without a word."""
    release, _, build = str(version(text.strip())).partition("+")
    if OTHER_TORCH.match(build):
        found = say("accelerator torch", value=_shown(text.strip()), build=build)
        raise _error(label("torch"), found, say("hint accelerator torch", release=release))
    return release


def _cann(text: str) -> str:
    """Also a release of which only the first two numbers are told: `CANN 8.3` is 8.3."""
    short = SHORT_SDK.fullmatch(text.strip())
    return short[1] if short else cann_name(text)


def _branch(text: str) -> str:
    text = text.strip()
    if not BRANCH.fullmatch(text):
        raise ValueError(text)
    return text


def _glibc(text: str) -> str:
    """Also from the first line of `ldd --version`: `ldd (Debian GLIBC 2.36-9+deb12u10) 2.36`."""
    ldd = LDD.fullmatch(text.strip())
    major, minor = glibc_key(ldd[1] if ldd else text)
    if major != 2 or minor > 999:  # there is no other
        raise ValueError(text)
    return f"{major}.{minor}"


def _chip(text: str) -> str:
    """`310P3` from `Ascend310P3`, `Ascend 310P3` or `310p3`; `800I A2` from `Atlas 800I A2`."""
    bare = CHIP_PREFIX.sub("", text.strip(), count=1)
    chip = " ".join(bare.upper().split())
    if not CHIP.fullmatch(chip):
        raise ValueError(text)
    return chip


def _day(text: str) -> str:
    if not DAY.fullmatch(text.strip()):
        raise ValueError(text)
    return day.fromisoformat(text.strip()).isoformat()


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}...")


def unreadable(axis: Axis, text: str) -> Words:
    """What is wrong with a value that the reader of an axis refused, and what its values look like."""
    name = f"unreadable {axis}"
    if axis == "arch" and has_32_bits(text):
        name = "arch of 32 bits"
    elif axis == "python" and is_other_python(text):
        name = "python of another kind"
    return say(name, value=_shown(text))


def _read(axis: Axis, read: Callable[[str], str], text: str | None) -> str | None:
    if text is None:
        return None
    if axis == "glibc" and text.strip().lower().startswith("musl"):
        raise _error(label(axis), say("musl", name=_shown(text)), say("hint musl"))
    if len(text) > LONGEST:
        raise _error(label(axis), say("too long", value=_shown(text), most=str(LONGEST)), say("hint axis"))
    try:
        return read(text)
    except ValueError:
        raise _error(label(axis), unreadable(axis, text), say("hint axis")) from None


def _error(what: Value, found: Words, hint: Words | None = None) -> PickError:
    return PickError(say("unreadable", what=what, found=found), hint=hint)
