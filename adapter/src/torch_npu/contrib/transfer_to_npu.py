"""Importing this module lets a program that was written for CUDA run on NPUs, without an edit.

    import torch_npu
    from torch_npu.contrib import transfer_to_npu

From then on "cuda" means "npu" in this process: in device strings and devices, in `.cuda()`, in torch.cuda's
functions, in autocast and GradScaler; and "nccl" means "hccl". What torch.cuda has and NPUs have not keeps
CUDA's own function, which says that there is no CUDA.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, Callable, Iterable

import torch

import torch_npu

#: Arguments that name a device, a kind of device, or where to load to.
_DEVICE_WORDS = ("device", "device_type", "map_location", "device_id", "pin_memory_device", "output_device")
_MARK = "_transferred_to_npu"

_cuda_type = type(torch.device("cpu"))


def _moved(value: Any) -> Any:
    """The value with "cuda" become "npu"; an index stays."""
    if isinstance(value, str):
        kind, colon, index = value.partition(":")
        return f"npu{colon}{index}" if kind == "cuda" else value
    if isinstance(value, _cuda_type) and value.type == "cuda":
        return _cuda_type("npu") if value.index is None else _cuda_type("npu", value.index)
    if isinstance(value, dict):
        return {_moved(key): _moved(entry) for key, entry in value.items()}
    return value


def _numbered(value: Any) -> Any:
    """A bare number as an NPU, which to torch before 2.4 means CUDA's."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return _cuda_type("npu", value) if is_number else value


def _wrap(function: Callable[..., Any], numbers: bool = False) -> Callable[..., Any]:
    """The function with devices moved; `numbers`: a bare number as `device` names an NPU."""
    converts = numbers and function.__name__ == "to"

    @functools.wraps(function)
    def moved(*arguments: Any, **keywords: Any) -> Any:
        arguments = tuple(
            _moved(value) if isinstance(value, (str, _cuda_type)) else value for value in arguments
        )
        if converts and len(arguments) > 1:
            arguments = (arguments[0], _numbered(arguments[1]), *arguments[2:])
        for word in _DEVICE_WORDS:
            if word in keywords:
                value = _moved(keywords[word])
                keywords[word] = _numbered(value) if numbers else value
        return function(*arguments, **keywords)

    setattr(moved, _MARK, True)
    return moved


def _replace(owner: Any, names: Iterable[str], numbers: bool = False) -> None:
    for name in names:
        function = getattr(owner, name, None)
        if function is not None and not hasattr(function, _MARK):
            setattr(owner, name, _wrap(function, numbers))


class _DeviceMeta(type):
    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, _cuda_type)

    def __subclasscheck__(cls, other: Any) -> bool:
        return issubclass(other, _cuda_type)


class _Device(metaclass=_DeviceMeta):
    """torch.device, for which "cuda" is "npu"."""

    def __new__(cls, *arguments: Any, **keywords: Any) -> Any:
        if "type" in keywords:
            keywords["type"] = _moved(keywords["type"])
        if len(arguments) == 1 and isinstance(arguments[0], int) and not keywords:
            return _cuda_type("npu", arguments[0])
        return _cuda_type(*(_moved(value) for value in arguments), **keywords)


def _factories() -> Iterable[str]:
    from torch.utils._device import _device_constructors

    return [function.__name__ for function in _device_constructors()]


def _cuda_functions() -> None:
    """torch.cuda's names become torch.npu's where both have them, and where that answers here."""
    for name in (*torch.cuda.__all__, "_lazy_init", "_is_in_bad_fork"):
        try:
            ours = getattr(torch.npu, name)
        except AttributeError:
            continue
        if name in ("amp",) or inspect.ismodule(ours):
            continue
        setattr(torch.cuda, name, ours)
    torch.cuda.is_available = torch.npu.is_available
    for name in ("Stream", "Event"):  # torch.compile asks for these bases before 2.5
        base = getattr(getattr(torch, "_streambase", None), f"_{name}Base", None)
        if hasattr(base, "register"):  # an ABC up to 2.4
            base.register(getattr(torch.npu, name))
    for name in ("autocast", "GradScaler", "custom_fwd", "custom_bwd"):
        if hasattr(torch.npu.amp, name):
            setattr(torch.cuda.amp, name, getattr(torch.npu.amp, name))


def _classes() -> None:
    torch.Tensor.cuda = torch.Tensor.npu  # type: ignore[method-assign, attr-defined]
    torch.nn.Module.cuda = torch.nn.Module.npu  # type: ignore[method-assign, assignment]
    torch.Tensor.is_cuda = property(lambda self: self.device.type == "npu")  # type: ignore[assignment]
    methods = "to new_empty new_empty_strided new_full new_ones new_tensor new_zeros pin_memory"
    _replace(torch.Tensor, methods.split(), numbers=True)
    _replace(torch.nn.Module, ("to", "to_empty"), numbers=True)
    for owner in (torch.autocast, torch.Generator, torch.utils.data.DataLoader):
        _replace_init(owner)
    if hasattr(torch.amp, "GradScaler"):
        _replace_init(torch.amp.GradScaler)


def _replace_init(owner: Any) -> None:
    if inspect.isclass(owner) and "__init__" in vars(owner):
        _replace(owner, ("__init__",))
        return
    # A class of C, which makes its objects in __new__ and cannot be changed: a function in its place.
    setattr(torch, owner.__name__, _subclass(owner))


def _subclass(owner: Any) -> Any:
    class Meta(type(owner)):  # type: ignore[misc]
        def __instancecheck__(cls, value: Any) -> bool:
            return isinstance(value, owner)

        def __call__(cls, *arguments: Any, **keywords: Any) -> Any:
            return _wrap(owner)(*arguments, **keywords)

    return Meta(owner.__name__, (owner,), {"__doc__": owner.__doc__, "__module__": owner.__module__})


def _distributed() -> None:
    if not torch.distributed.is_available():
        return
    original = torch.distributed.init_process_group
    if hasattr(original, _MARK):
        return

    @functools.wraps(original)
    def init_process_group(backend: Any = None, *arguments: Any, **keywords: Any) -> Any:
        chosen = (
            backend.replace("nccl", "hccl").replace("cuda", "npu") if isinstance(backend, str) else backend
        )
        return original(chosen, *arguments, **keywords)

    setattr(init_process_group, _MARK, True)
    torch.distributed.init_process_group = init_process_group


def _apply() -> None:
    if not hasattr(torch.utils, "generate_methods_for_privateuse1_backend"):
        raise ImportError(f"transfer_to_npu needs torch 2.1 or later; torch {torch.__version__} is installed")
    _replace(torch, _factories(), numbers=True)
    _replace(torch, ("load", "set_default_device", "get_device_module", "get_autocast_dtype"))
    _replace(torch, ("is_autocast_enabled", "set_autocast_enabled", "set_autocast_dtype"))
    _classes()
    _cuda_functions()
    _distributed()
    torch.device = _Device  # type: ignore[assignment, misc]


_apply()
__all__: list = []
_ = torch_npu
