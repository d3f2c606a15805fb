"""What a device reports of itself, and what only the cards' own tools can do."""

from __future__ import annotations

import ctypes
from typing import Any, Union

import torch

from torch_npu import _cann, _native
from torch_npu.npu.devices import Device, device_index, get_device_name


class _Utilization(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("cube", "vector", "aicpu", "memory")),
        ("extend", ctypes.c_void_p),
    )


def utilization(device: Device = None) -> int:
    """How busy the device's vector and cube cores are, in percent: the larger of the two."""
    rate = _Utilization()
    _cann.call("aclrtGetDeviceUtilizationRate", device_index(device), ctypes.byref(rate))
    return max(int(rate.cube), int(rate.vector))


def can_device_access_peer(device_id: Device, peer_device_id: Device) -> bool:
    """Whether one device can read the memory of another. Raises ValueError for a device that is not there."""
    from torch_npu.npu.devices import device_count

    pair = [device_index(device_id), device_index(peer_device_id)]
    for index in pair:
        if not 0 <= index < device_count():
            raise ValueError(f"there is no device npu:{index}; this process sees {device_count()}")
    if pair[0] == pair[1]:
        return False
    answer = ctypes.c_int32()
    _cann.call("aclrtDeviceCanAccessPeer", ctypes.byref(answer), *pair)
    return bool(answer.value)


def stop_device(device_id: int) -> None:
    """Abort what is queued on a device; its tensors are lost. restart_device makes it usable again."""
    _cann.call("aclrtDeviceTaskAbort", device_index(device_id), ctypes.c_uint32(0))


def restart_device(device_id: int, rebuild_all_resources: Union[int, bool] = False) -> None:
    """Use a device again after stop_device. `rebuild_all_resources` is accepted: streams are kept here."""
    from torch_npu.npu.devices import synchronize

    synchronize(device_id)


def _refuse(name: str, reason: str) -> Any:
    def refused(*arguments: Any, **keywords: Any) -> Any:
        raise NotImplementedError(f"torch.npu.{name}: {reason}")

    refused.__name__ = refused.__qualname__ = name
    refused.__doc__ = f"Raises NotImplementedError: {reason}."
    return refused


_TOOLS = "it drives the cards' own diagnosis, which this adapter does not call; use CANN's ascend-dmi"
stress_detect = _refuse("stress_detect", _TOOLS)
check_uce_in_memory = _refuse("check_uce_in_memory", _TOOLS)
_OBFUSCATION = "model obfuscation needs a service of the published package that CANN does not bring"
obfuscation_initialize = _refuse("obfuscation_initialize", _OBFUSCATION)
obfuscation_calculate = _refuse("obfuscation_calculate", _OBFUSCATION)
obfuscation_finalize = _refuse("obfuscation_finalize", _OBFUSCATION)
current_blas_handle = _refuse("current_blas_handle", "CANN has no handle for its products of matrices")

# ---- overflow


def is_support_inf_nan() -> bool:
    """Whether the device computes inf and nan as IEEE 754 says: all but the first generation (910A, 310P).

    Those saturate float16 at its largest number, and set a flag instead.
    """
    return not _native.saturates(device_index(None))


def npu_check_overflow(grad: Union[float, torch.Tensor]) -> bool:
    """Whether a number, or a sum over a tensor [*], is inf or nan."""
    if not isinstance(grad, (float, torch.Tensor)):
        raise TypeError(f"npu_check_overflow takes a float or a tensor, got {type(grad).__name__}")
    total = grad if isinstance(grad, float) else float(grad.float().sum())
    return total != total or total in (float("inf"), -float("inf"))


def get_npu_overflow_flag() -> bool:
    """Raises RuntimeError on a device with inf and nan, which has no such flag: use npu_check_overflow."""
    if is_support_inf_nan():
        raise RuntimeError(
            f"get_npu_overflow_flag: {get_device_name()} computes inf and nan and has no overflow flag; "
            "use torch.npu.utils.npu_check_overflow(tensor)"
        )
    raise NotImplementedError(
        "get_npu_overflow_flag: reading the flag of saturating devices is not there yet"
    )


def clear_npu_overflow_flag() -> None:
    """Nothing on a device with inf and nan, where there is no flag; else NotImplementedError."""
    if not is_support_inf_nan():
        raise NotImplementedError(
            "clear_npu_overflow_flag: clearing the flag of saturating devices is not there yet"
        )
