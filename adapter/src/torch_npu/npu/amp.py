"""Automatic mixed precision: `torch.npu.amp.autocast` and `torch.npu.amp.GradScaler`.

Both are torch's own with the device filled in, where torch has them: autocast on this device from 2.1 on, a
GradScaler that is not CUDA's from 2.3 on.
"""

import functools
from typing import Any, List, Optional

import torch

from torch_npu import _native

_GENERIC_SWITCHES = hasattr(torch, "get_autocast_dtype")  # 2.4: torch keeps autocast state by device type
_DTYPE_CODES = {5: torch.float16, 6: torch.float32, 15: torch.bfloat16}  # c10::ScalarType


def get_amp_supported_dtype() -> List[torch.dtype]:
    """The dtypes that autocast can compute in on this device."""
    return [torch.float16, torch.bfloat16]


def is_autocast_enabled() -> bool:
    """Whether autocast is on for this device in the calling thread."""
    if _GENERIC_SWITCHES:
        return bool(torch.is_autocast_enabled("npu"))
    return hasattr(_native, "is_autocast_enabled") and bool(_native.is_autocast_enabled())


def set_autocast_enabled(enabled: bool) -> None:
    """Switch autocast for this device in the calling thread; prefer the context manager."""
    if _GENERIC_SWITCHES:
        torch.set_autocast_enabled("npu", enabled)
    else:
        _native.set_autocast_enabled(enabled)


def get_autocast_dtype() -> torch.dtype:
    """The dtype that autocast computes in on this device; float16 unless set."""
    if _GENERIC_SWITCHES:
        return torch.get_autocast_dtype("npu")
    return _DTYPE_CODES[_native.get_autocast_dtype()]


def set_autocast_dtype(dtype: torch.dtype) -> None:
    """Choose the dtype that autocast computes in; prefer the context manager's argument."""
    if _GENERIC_SWITCHES:
        torch.set_autocast_dtype("npu", dtype)
    else:
        _native.set_autocast_dtype(dtype)


class autocast(torch.autocast):  # noqa: N801
    """`torch.autocast("npu", ...)`: run eligible operators in `dtype` (default: float16)."""

    def __init__(
        self, enabled: bool = True, dtype: Optional[torch.dtype] = None, cache_enabled: Optional[bool] = True
    ) -> None:
        if not hasattr(torch.utils, "generate_methods_for_privateuse1_backend"):
            raise RuntimeError(
                f"torch {torch.__version__} autocasts on its own devices only; npu needs torch 2.1 or later"
            )
        super().__init__("npu", enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)


if hasattr(getattr(torch, "amp", None), "GradScaler"):

    class GradScaler(torch.amp.GradScaler):
        """`torch.amp.GradScaler("npu", ...)`: scales the loss so that float16 gradients do not vanish."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__("npu", *args, **kwargs)

else:
    from torch_npu.npu._grad_scaler import GradScaler as GradScaler  # type: ignore[assignment]

if hasattr(getattr(torch, "amp", None), "custom_fwd"):
    custom_fwd = functools.partial(torch.amp.custom_fwd, device_type="npu")
    custom_bwd = functools.partial(torch.amp.custom_bwd, device_type="npu")
