"""What a test may change and ask of the simulator in its own process: faults, races, refusals.

Every function needs a process that runs on the simulator: by `cann-simulator run`, or pytest's
`--cann-simulator`.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cann_simulator.environment import RUNTIME, SimulatorError

_RACE = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_void_p)
_REFUSAL = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_void_p)


@dataclass(frozen=True)
class Refusal:
    """`what` is lacking, such as "operator Sqrt", its first message, and how often it was asked for."""

    what: str
    message: str
    count: int


def set_faults(faults: Iterable[str] = ()) -> None:
    """What goes wrong from now on, as `--fault` spells it; nothing without faults.

    Counts begin at 1 with this call. Devices and streams that failed work again; kernels that hang go on.
    Raises SimulatorError for a fault that is none.
    """
    _call("cann_simulator_set_faults", ",".join(faults))


def set_check(mode: str = "") -> None:
    """Look for races between streams from now on: "report", "error", or "" to stop.

    Accesses before do not count.
    """
    _call("cann_simulator_set_check", mode)


def take_races() -> list[str]:
    """The races found so far, one of each pair of names, and forget them."""
    races: list[str] = []
    library = _loaded()
    if library is not None:
        library.cann_simulator_take_races(_RACE(lambda race, _: races.append(race.decode())), None)
    return races


def take_refusals() -> list[Refusal]:
    """What was asked for and is lacking, and forget it; nothing where the simulator was not used yet."""
    refusals: list[Refusal] = []

    def add(what: bytes, message: bytes, count: int, _: Any) -> None:
        refusals.append(Refusal(what.decode(), message.decode(), count))

    library = _loaded()
    if library is not None:
        library.cann_simulator_take_refusals(_REFUSAL(add), None)
    return refusals


def _call(function: str, value: str) -> None:
    try:
        library = ctypes.CDLL(RUNTIME)
        library.aclGetRecentErrMsg.restype = ctypes.c_char_p
        call = getattr(library, function)
    except (OSError, AttributeError) as error:
        raise SimulatorError(f"this process does not run on the simulator: {error}") from None
    if call(value.encode()) != 0:
        raise SimulatorError((library.aclGetRecentErrMsg() or b"no message").decode())


def _loaded() -> ctypes.CDLL | None:
    """The runtime where this process has loaded it; asking must not load it."""
    try:
        library = ctypes.CDLL(RUNTIME, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
    except OSError:
        return None
    return library if hasattr(library, "cann_simulator_take_refusals") else None
