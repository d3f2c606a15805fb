"""CANN's own C functions, for what the native library has no operator for: device limits, peers, dumps.

They are called rarely, so they are looked up when they are called, in the libascendcl that the native library
opened. Arguments are numbers and ctypes values; what CANN answers in place comes back as numbers.
"""

from __future__ import annotations

import ctypes
import json
from typing import Any

from torch_npu import _native

_library: ctypes.CDLL | None = None


def _open() -> ctypes.CDLL:
    global _library
    if _library is None:
        _native.init()  # says what to do when there is no CANN, no device, or this is a forked process
        _library = ctypes.CDLL(json.loads(_native.cann_info())["library"])
    return _library


def call(name: str, *arguments: Any) -> None:
    """Call `name` of libascendcl, which answers 0 or an error code.

    Raises NotImplementedError when this CANN lacks the function, RuntimeError with CANN's text for a code.
    """
    library = _open()
    try:
        function = getattr(library, name)
    except AttributeError:
        version = json.loads(_native.cann_info())["version"] or "of unknown version"
        raise NotImplementedError(f"this CANN ({version}) has no {name}; a later CANN may have it") from None
    code = function(*arguments)
    if code:
        library.aclGetRecentErrMsg.restype = ctypes.c_char_p
        text = library.aclGetRecentErrMsg()
        raise RuntimeError(
            f"{name} failed with {code}: {text.decode(errors='replace') if text else 'no text'}"
        )


def number(name: str, *arguments: Any, kind: Any = ctypes.c_uint32) -> int:
    """Call `name`, whose last argument is where it writes a number, and return that number."""
    value = kind()
    call(name, *arguments, ctypes.byref(value))
    return int(value.value)


def version() -> str:
    """The version of the CANN that is there, "" when it cannot be told."""
    return str(json.loads(_native.cann_info())["version"])
