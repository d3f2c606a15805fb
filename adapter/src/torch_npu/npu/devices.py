"""Devices: how many there are, which one is current, what they are called, and first use."""

import json
import os
from dataclasses import dataclass
from typing import Any, Optional, Tuple, Union

import torch

from torch_npu import _native

Device = Optional[Union[int, str, torch.device]]

_initialized = False


def _forget_in_child() -> None:
    """After fork() the child must ask the library again, which refuses a device that its parent used."""
    global _initialized
    _initialized = False


os.register_at_fork(after_in_child=_forget_in_child)


def device_index(device: Device = None) -> int:
    """The index that an int, "npu:1" or torch.device names; None and "npu" mean the current device.

    Raises ValueError when it names a device of another kind.
    """
    if device is None:
        return int(_native.current_device())
    if isinstance(device, int):
        return device
    named = torch.device(device)
    if named.type != "npu":
        raise ValueError(f'expected an npu device such as "npu" or "npu:1", got {device!r}')
    return int(_native.current_device()) if named.index is None else named.index


def _lazy_init() -> None:
    """First use: initializes CANN and the current device. Called by torch before it makes a tensor on `npu`.

    Raises RuntimeError that says what to do when there is no CANN or no device, or after a fork.
    """
    global _initialized
    if not _initialized:
        _native.init()
        _initialized = True


def init() -> None:
    """Initialize CANN and the current device now rather than on first use; does nothing the second time."""
    _lazy_init()


def is_initialized() -> bool:
    """Whether CANN was initialized in this process."""
    return bool(_native.is_initialized())


def _is_in_bad_fork() -> bool:
    return bool(_native.in_bad_fork())


def device_count() -> int:
    """The number of NPUs; 0 without CANN, and in a process forked after its parent used one. Never raises."""
    return int(_native.device_count())


def is_available() -> bool:
    """Whether an NPU can be used: CANN was found and at least one device answers. Never raises."""
    return device_count() > 0


def current_device() -> int:
    """The index of the calling thread's current device."""
    _lazy_init()
    return int(_native.current_device())


def set_device(device: Device) -> None:
    """Make `device` the calling thread's current device; a negative index changes nothing."""
    index = device_index(device)
    if index >= 0:
        _native.set_device(index)


def synchronize(device: Device = None) -> None:
    """Wait for all work on all streams of `device` (default: the current one)."""
    _native.synchronize(device_index(device))


class device:  # noqa: N801  (the name that torch.cuda uses)
    """Context manager that changes the current device; a negative index changes nothing."""

    def __init__(self, device: Device) -> None:
        self.idx = device_index(device)
        self.prev_idx = -1

    def __enter__(self) -> "device":
        if self.idx >= 0:
            self.prev_idx = int(_native.exchange_device(self.idx))
        return self

    def __exit__(self, *exc_info: Any) -> None:
        if self.prev_idx >= 0:
            _native.set_device(self.prev_idx)


class device_of(device):  # noqa: N801
    """Context manager that makes the device of a tensor or storage current; one on no NPU changes nothing."""

    def __init__(self, obj: Any) -> None:
        super().__init__(obj.device.index if obj.device.type == "npu" else -1)


@dataclass(frozen=True)
class NpuDeviceProperties:
    """What a device is: SoC name (with "(simulated)" on the simulator) and memory in bytes."""

    name: str
    total_memory: int
    simulated: bool


def get_device_name(device: Device = None) -> str:
    """The SoC's name, e.g. "Ascend910B1"; the simulator's devices say that they are simulated."""
    return str(_native.device_name(device_index(device)))


def get_device_properties(device: Device = None) -> NpuDeviceProperties:
    """Name, total memory and whether the device is simulated."""
    index = device_index(device)
    _free, total = _native.memory_info(index)
    simulated = bool(json.loads(_native.cann_info())["simulated"])
    return NpuDeviceProperties(get_device_name(index), int(total), simulated)


def get_device_capability(device: Device = None) -> None:
    """None: CANN has no counterpart of a CUDA compute capability. Here for code that asks every backend."""
    device_index(device)  # a device of another kind is an error all the same


#: SoCs whose cube units multiply bfloat16; the first generation (910A, 310P) has float16 only.
_BF16_SOCS: Tuple[str, ...] = ("Ascend910B", "Ascend910_93", "Ascend950")


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the current device computes in bfloat16; it is never emulated, whatever the argument."""
    return get_device_name().startswith(_BF16_SOCS)
