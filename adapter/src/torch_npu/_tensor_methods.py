"""`.npu()` and `.is_npu` on tensors, modules, packed sequences and storages."""

from __future__ import annotations

import functools
from typing import Any, Optional, Union

import torch

from torch_npu import _checkpoint, _early_files, _native

Device = Optional[Union[int, str, torch.device]]


def register() -> None:
    """Add the methods: PyTorch's own generator makes them from 2.1 on, this module does before.

    So with what earlier torch offers to its own devices only: files, random numbers of checkpoints and
    torch.manual_seed.
    """
    generate = getattr(torch.utils, "generate_methods_for_privateuse1_backend", None)
    if generate is not None:
        generate(for_tensor=True, for_module=True, for_storage=True)
        return
    torch.Tensor.npu = _tensor_to_npu  # type: ignore[attr-defined]
    torch.Tensor.is_npu = property(_is_npu)  # type: ignore[attr-defined]
    torch.nn.Module.npu = _module_to_npu  # type: ignore[assignment]
    torch.manual_seed = torch.random.manual_seed = _seed_npu_too(torch.random.manual_seed)
    _early_files.install()
    _checkpoint.install()
    if _native.OWN_DEVICE_TYPE:  # a borrowed one has no storages in Python
        torch.UntypedStorage.npu = _storage_to_npu  # type: ignore[attr-defined]
        torch.UntypedStorage.is_npu = property(_is_npu)  # type: ignore[attr-defined]


def _is_npu(self: Any) -> bool:
    return bool(self.device.type == "npu")


def _target(device: Device) -> torch.device:
    from torch_npu.npu.devices import device_index

    return torch.device("npu", device_index(device))


def _tensor_to_npu(
    self: torch.Tensor, device: Device = None, non_blocking: bool = False, **kwargs: Any
) -> torch.Tensor:
    """This tensor on an NPU (default: the current one): itself when it is there already, else a copy."""
    return self.to(device=_target(device), non_blocking=non_blocking, **kwargs)


def _module_to_npu(self: torch.nn.Module, device: Device = None) -> torch.nn.Module:
    """Move all parameters and buffers to an NPU, in place."""
    return self._apply(lambda tensor: _tensor_to_npu(tensor, device))


def _storage_to_npu(
    self: torch.UntypedStorage, device: Device = None, non_blocking: bool = False
) -> torch.UntypedStorage:
    """This storage on an NPU: itself when it is there already, else a copy."""
    target = _target(device)
    if self.device == target:
        return self
    # torch 2.0.1 cannot construct a storage on this device, a tensor's allocation can.
    copy = torch.empty(self.nbytes(), dtype=torch.uint8, device=target)
    source = torch.empty(0, dtype=torch.uint8, device=self.device).set_(self)
    return copy.copy_(source, non_blocking=non_blocking).untyped_storage()


def _seed_npu_too(manual_seed: Any) -> Any:
    @functools.wraps(manual_seed)
    def seed_all_devices(seed: Any) -> Any:
        from torch_npu.npu.random import manual_seed_all

        manual_seed_all(int(seed))
        return manual_seed(seed)

    return seed_all_devices
