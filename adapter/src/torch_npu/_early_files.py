"""Before torch 2.1: npu tensors in files and deep copies. Both are made of storages in Python, of which torch
makes no tensor on this device. So a tensor is pickled as the bytes of its copy on the CPU and the name of its
device, and copied by itself."""

import functools
import io
import threading
from copy import deepcopy
from typing import Any, Tuple

import torch

_load = torch.load
_reduce = torch.Tensor._reduce_ex_internal  # type: ignore[attr-defined]
_deepcopy = torch.Tensor.__deepcopy__
_loading = threading.local()  # map_location: torch.load's argument, while it runs


def install() -> None:
    """Let torch.save, torch.load, pickle and copy know npu tensors; `map_location` moves them as others."""
    torch.Tensor._reduce_ex_internal = _reduced  # type: ignore[attr-defined]
    torch.Tensor.__deepcopy__ = copied  # type: ignore[method-assign]
    torch.load = _load_mapped
    torch.serialization.register_package(23, lambda storage: None, _refuse)  # type: ignore[no-untyped-call]


def _reduced(tensor: torch.Tensor, protocol: int) -> Tuple[Any, ...]:
    if tensor.device.type != "npu":
        reduced: Tuple[Any, ...] = _reduce(tensor, protocol)
        return reduced
    torch.utils.hooks.warn_if_has_hooks(tensor)  # type: ignore[no-untyped-call]
    content = io.BytesIO()
    torch.save(tensor.detach().cpu().requires_grad_(tensor.requires_grad), content)
    return rebuilt, (content.getvalue(), str(tensor.device))


def copied(tensor: torch.Tensor, memo: Any) -> Any:
    """What copy.deepcopy makes of a tensor, and of its gradient."""
    if tensor.device.type != "npu" or type(tensor) is not torch.Tensor or not tensor.is_leaf:
        return _deepcopy(tensor, memo)  # type: ignore[no-untyped-call]
    if id(tensor) not in memo:
        copy = memo[id(tensor)] = tensor.detach().clone().requires_grad_(tensor.requires_grad)
        copy.__dict__.update(deepcopy(tensor.__dict__, memo))
        if tensor.grad is not None:
            copy.grad = copied(tensor.grad, memo)
    return memo[id(tensor)]


def rebuilt(content: bytes, device: str) -> torch.Tensor:
    """The tensor that _reduced took apart, on its device or where the running torch.load maps that."""
    tensor: torch.Tensor = _load(io.BytesIO(content), "cpu")
    target = _mapped(tensor, device)
    try:
        return tensor.detach().to(target).requires_grad_(tensor.requires_grad)
    except RuntimeError as error:
        raise RuntimeError(
            f"a tensor that was saved on {device} cannot be loaded on {target}: {error}.\nGive torch.load a "
            'device that is here, such as map_location="cpu".'
        ) from error


def _mapped(tensor: torch.Tensor, device: str) -> str:
    mapping = getattr(_loading, "map_location", None)
    if mapping is None:
        return device
    if isinstance(mapping, dict):
        return str(mapping.get(device, device))
    if callable(mapping):  # it is given a storage on the CPU: what it returns is there, too
        return device if mapping(tensor.storage(), device) is None else "cpu"
    return str(mapping)


@functools.wraps(_load)
def _load_mapped(f: Any, map_location: Any = None, *arguments: Any, **keywords: Any) -> Any:
    before = getattr(_loading, "map_location", None)
    _loading.map_location = map_location
    try:
        return _load(f, map_location, *arguments, **keywords)
    finally:
        _loading.map_location = before


def _refuse(storage: Any, location: str) -> None:
    if location.startswith("npu"):
        raise RuntimeError(
            f"torch {torch.__version__} has no storages on {location}, so tensors that were saved on the CPU "
            "or by torch 2.1 and later cannot be loaded there.\n"
            'Load with map_location="cpu" and move them or the module with .npu().'
        )
