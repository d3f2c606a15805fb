"""The operators of lib/libtorch_npu.so as plain functions: `_native.device_count()`.

Each name is looked up once as the operator's default overload, which is several times cheaper to call than
the overload packet behind `torch.ops.torch_npu`.
"""

from typing import Any, Callable

import torch


def __getattr__(name: str) -> Callable[..., Any]:
    if name.startswith("__"):
        raise AttributeError(name)
    function: Callable[..., Any] = getattr(torch.ops.torch_npu, name).default
    globals()[name] = function
    return function
