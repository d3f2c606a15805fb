"""Before torch 2.1: torch.utils.checkpoint. Its second run draws the random numbers of the first on CPU and
CUDA only; on this device dropout would drop other elements, and gradients would be those of no model."""

import functools
from typing import Any, Callable, Dict, Optional, Set

import torch.utils.checkpoint

from torch_npu import _native


def install() -> None:
    """Give both kinds of checkpoints functions that repeat their random numbers."""
    checkpoint: Any = torch.utils.checkpoint
    forward, other = checkpoint.CheckpointFunction.forward, checkpoint._checkpoint_without_reentrant

    def reentrant(context: Any, function: Any, preserve: bool, *arguments: Any) -> Any:
        return forward(context, Repeated(function) if preserve else function, preserve, *arguments)

    def without(function: Any, preserve_rng_state: bool = True, *arguments: Any, **keywords: Any) -> Any:
        repeated = Repeated(function) if preserve_rng_state else function
        return other(repeated, preserve_rng_state, *arguments, **keywords)

    checkpoint.CheckpointFunction.forward = staticmethod(functools.wraps(forward)(reentrant))
    checkpoint._checkpoint_without_reentrant = functools.wraps(other)(without)


class Repeated:
    """A function whose later calls draw the random numbers of its first, and leave the generators alone.

    As torch does for CUDA: those of the devices of its arguments, and of the current one.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._states: Optional[Dict[int, torch.Tensor]] = None

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        if self._states is None:
            self._states = _states(_devices(arguments))
            return self._function(*arguments, **keywords)
        around = _states(set(self._states))
        _restore(self._states)
        try:
            return self._function(*arguments, **keywords)
        finally:
            _restore(around)


def _devices(arguments: Any) -> Set[int]:
    if not _native.is_initialized():
        return set()
    tensors = (argument for argument in arguments if isinstance(argument, torch.Tensor))
    return {torch.npu.current_device(), *(one.device.index for one in tensors if one.device.type == "npu")}


def _states(devices: Set[int]) -> Dict[int, torch.Tensor]:
    return {device: torch.npu.get_rng_state(device) for device in devices}


def _restore(states: Dict[int, torch.Tensor]) -> None:
    for device, state in states.items():
        torch.npu.set_rng_state(state, device)
