"""C++ names for people: what a mangled symbol is called, by the runtime's own demangler."""

from __future__ import annotations

import ctypes
import re
from functools import cache, lru_cache
from typing import Any

_PREFIX = re.compile(r"_Z(?:T[VIS]|GV)?N?[rVK]*")
_LENGTH = re.compile(r"[0-9]{1,9}", re.ASCII)
_REFERENCE = re.compile(r"[ST][0-9A-Z]*_", re.ASCII)  # to a part of the name that stands before it
_LONGEST = 1 << 14  # characters of a name, mangled or readable; the longest of torch has 3,200
_EXPANDED = 1 << 24  # that references may make of one, counted high: all but sixty of torch stay below it


@lru_cache(maxsize=1 << 18)
def readable(mangled: str) -> str:
    """The C++ name of a symbol by the runtime's own demangler; without one, its qualified name.

    Nor is the demangler asked for a name that may become endless: it stops at no length.
    """
    if not mangled.startswith("_Z"):
        return mangled
    runtime = _runtime() if _stays_short(mangled) else None
    if runtime is not None:
        status = ctypes.c_int()
        address = runtime[0](mangled.encode(errors="replace"), None, None, ctypes.byref(status))
        if address:
            try:
                found = ctypes.string_at(address)
            finally:
                runtime[1](address)
            if len(found) <= _LONGEST:
                return found.decode(errors="replace")
    return qualified(mangled)


def _stays_short(mangled: str) -> bool:
    """Whether no readable form can be long: a reference stands for no more than all before its first use.

    Each that is new may double the name, so that 300 bytes could become gigabytes.
    """
    if len(mangled) > _LONGEST:
        return False
    # A pack is written out for each of its parts, of which there are fewer than characters.
    most = _EXPANDED // len(mangled) if "Dp" in mangled else _EXPANDED
    length, end = 0, 0
    seen: dict[str, int] = {}
    for found in _REFERENCE.finditer(mangled):
        length, end = length + 4 * (found.start() - end), found.end()
        length += seen.setdefault(found[0], length)
        if length > most:
            return False
    return True


def readable_type(mangled: str) -> str:
    """The same for a type, whose mangled name begins without `_Z`."""
    return readable(f"_ZTI{mangled}").removeprefix("typeinfo for ")


def qualified(mangled: str) -> str:
    """The qualified name of a mangled symbol, without its arguments: the page has nothing better."""
    found = _PREFIX.match(mangled)
    at = found.end() if found else 0
    parts: list[str] = []
    while (length := _LENGTH.match(mangled, at)) is not None:
        start = length.end()
        at = start + int(length[0])
        if at > len(mangled):
            return mangled
        parts.append(mangled[start:at])
    if parts and mangled[at : at + 2] in ("C1", "C2"):
        parts.append(parts[-1])
    return "::".join(parts) or mangled


def split_function(name: str) -> tuple[str, str]:
    """A readable function as its class or namespace, and the rest: `c10::GeneratorImpl::seed()` gives
    (`c10::GeneratorImpl`, `seed()`). The first is "" where there is none."""
    depth, cut, at = 0, 0, 0
    while at < len(name):
        if name.startswith("(anonymous namespace)", at):
            at += len("(anonymous namespace)")
            continue
        if name.startswith("operator", at) and depth == 0 and name[at - 1 : at] in (":", " ", ""):
            break  # what follows may be any sign
        sign = name[at]
        if sign == "(" and depth == 0:
            break
        if sign in "<({[":
            depth += 1
        elif sign in ">)}]":
            depth -= 1
        elif depth == 0 and name.startswith("::", at):
            cut = at + 2
            at += 1
        at += 1
    return name[: max(cut - 2, 0)], name[cut:]


@cache
def _runtime() -> tuple[Any, Any] | None:
    """The C++ runtime's demangler and the C library's free; None where there is no libstdc++."""
    try:
        library, libc = ctypes.CDLL("libstdc++.so.6"), ctypes.CDLL(None)
    except OSError:
        return None
    demangle = library.__cxa_demangle
    demangle.restype = ctypes.c_void_p
    demangle.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    libc.free.argtypes = [ctypes.c_void_p]
    return demangle, libc.free
