"""`torch.npu.utils`: helpers that programs import from there. See the modules that they come from."""

from __future__ import annotations

from typing import Any

import torch

from torch_npu import _cann
from torch_npu.npu.devices import (
    Device,
    current_device,
    device,
    device_index,
    device_of,
    is_bf16_supported,
    set_device,
    synchronize,
)
from torch_npu.npu.health import (
    clear_npu_overflow_flag,
    get_npu_overflow_flag,
    is_support_inf_nan,
    npu_check_overflow,
    stress_detect,
)
from torch_npu.npu.memory import ipc_collect
from torch_npu.npu.options import (
    finalize_dump,
    get_sync_debug_mode,
    init_dump,
    set_dump,
    set_op_timeout_ms,
    set_sync_debug_mode,
)
from torch_npu.npu.streams import (
    StreamContext,
    current_stream,
    default_stream,
    set_stream,
    stream,
)

__all__ = [
    "StreamContext",
    "clear_npu_overflow_flag",
    "current_device",
    "current_stream",
    "default_stream",
    "device",
    "device_of",
    "finalize_dump",
    "get_cann_version",
    "get_npu_overflow_flag",
    "get_sync_debug_mode",
    "init_dump",
    "ipc_collect",
    "is_bf16_supported",
    "is_support_inf_nan",
    "npu_check_overflow",
    "set_device",
    "set_dump",
    "set_op_timeout_ms",
    "set_stream",
    "set_sync_debug_mode",
    "stream",
    "stress_detect",
    "synchronize",
]


def get_cann_version(module: str = "CANN") -> str:
    """The version of CANN, "" when it cannot be told. Parts of CANN have the version of the whole here."""
    if not isinstance(module, str):
        raise TypeError(f"get_cann_version takes the name of a part of CANN, got {module!r}")
    return _cann.version()


def _get_device_index(device: Any, optional: bool = False, allow_cpu: bool = False) -> int:
    """The number of a device, as torch.cuda._utils has it; -1 for the CPU where that is allowed."""
    if device is None and not optional:
        raise ValueError("expected an npu device, got None")
    if (
        allow_cpu
        and device is not None
        and not isinstance(device, int)
        and torch.device(device).type == "cpu"
    ):
        return -1
    return device_index(_plain(device))


def _plain(device: Any) -> Device:
    return device  # type: ignore[no-any-return]
