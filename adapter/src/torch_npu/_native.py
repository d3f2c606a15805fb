"""The operators of lib/libtorch_npu.so as plain functions: `_native.device_count()`.

Each name is looked up once as the operator's default overload, which is several times cheaper to call than
the overload packet behind `torch.ops.torch_npu`.
"""

from typing import Any, Callable

import torch

#: torch 2 has a device type for outside backends, to which it gives their name.
OWN_DEVICE_TYPE = hasattr(torch.utils, "rename_privateuse1_backend")


def __getattr__(name: str) -> Callable[..., Any]:
    if name.startswith("__"):
        raise AttributeError(name)
    try:
        packet = getattr(torch.ops.torch_npu, name)
    except RuntimeError as error:  # torch 1 raises this, which hasattr lets pass
        raise AttributeError(f"the native library has no function {name}") from error
    function: Callable[..., Any] = getattr(packet, "default", packet)  # torch 1 has no packets
    globals()[name] = function
    return function
