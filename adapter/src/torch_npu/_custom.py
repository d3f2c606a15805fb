"""Operators of their own name: torch_npu.npu_swiglu is torch.ops.npu.npu_swiglu."""

from typing import Any, Callable, Optional, Sequence

import torch


def operator(name: str) -> Optional[Callable[..., Any]]:
    """The operator of this name; None when there is none.

    As one overload where there is one, which is several times cheaper to call than all of them.
    """
    if name in _IN_PYTHON:
        return _IN_PYTHON[name]
    try:
        packet = getattr(torch.ops.npu, name)
    except (AttributeError, RuntimeError):  # torch 1 raises RuntimeError
        return None
    overloads: Sequence[str] = packet.overloads() if hasattr(packet, "overloads") else ()
    function: Callable[..., Any] = getattr(packet, overloads[0]) if len(overloads) == 1 else packet
    return function


def npu_apply_adam_w(*arguments: Any, out: Any, **named: Any) -> Any:
    """One step of AdamW over out = (var, m, v), which it changes and gives back."""
    var, m, v = out
    return torch.ops.npu.npu_apply_adam_w.out(*arguments, **named, var=var, m=m, v=v)


_IN_PYTHON = {"npu_apply_adam_w": npu_apply_adam_w}
