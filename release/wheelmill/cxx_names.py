"""C++ names for people: what a mangled symbol is called, by the runtime's own demangler."""

from __future__ import annotations

import ctypes
import re
from functools import cache, lru_cache
from typing import Any

_PREFIX = re.compile(r"_Z(?:T[VIS]|GV)?N?[rVK]*")
_LENGTH = re.compile(r"[0-9]+", re.ASCII)


@lru_cache(maxsize=1 << 18)
def readable(mangled: str) -> str:
    """The C++ name of a symbol by the runtime's own demangler; without one, its qualified name."""
    if not mangled.startswith("_Z"):
        return mangled
    runtime = _runtime()
    if runtime is not None:
        status = ctypes.c_int()
        address = runtime[0](mangled.encode(), None, None, ctypes.byref(status))
        if address:
            try:
                return ctypes.string_at(address).decode(errors="replace")
            finally:
                runtime[1](address)
    return qualified(mangled)


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
