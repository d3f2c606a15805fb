"""The legacy types torch.npu.FloatTensor, ... and torch.npu.FloatStorage, ... of code from before devices.

A tensor type is told by isinstance, and by name in Tensor.type(); called, it makes a tensor on the current
device: of sizes (uninitialized), or of a sequence of values.
"""

from __future__ import annotations

from typing import Any, Dict

import torch

_DTYPES = {
    "Float": torch.float32,
    "Double": torch.float64,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Byte": torch.uint8,
    "Char": torch.int8,
    "Short": torch.int16,
    "Int": torch.int32,
    "Long": torch.int64,
    "Bool": torch.bool,
    "ComplexFloat": torch.complex64,
    "ComplexDouble": torch.complex128,
}
#: torch.cuda has no tensor types of complex numbers, only storages.
TENSOR_TYPES = tuple(f"{name}Tensor" for name in _DTYPES if not name.startswith("Complex"))
STORAGE_TYPES = tuple(f"{name}Storage" for name in _DTYPES)
NAMES = frozenset(TENSOR_TYPES + STORAGE_TYPES)


class _TensorType(type):
    dtype: torch.dtype

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, torch.Tensor) and value.device.type == "npu" and value.dtype is cls.dtype

    def __call__(cls, *values: Any, device: Any = None) -> torch.Tensor:
        options: Dict[str, Any] = {"dtype": cls.dtype, "device": device or "npu"}
        if len(values) == 1 and not isinstance(values[0], (int, torch.Size)):
            if isinstance(values[0], torch.Tensor):
                if values[0].dtype is not cls.dtype:
                    raise TypeError(f"{cls.__name__} takes a tensor of {cls.dtype}, got {values[0].dtype}")
                return values[0].to(options["device"])
            return torch.tensor(values[0], **options)
        sizes = values[0] if len(values) == 1 and isinstance(values[0], torch.Size) else values
        return torch.empty(sizes or (0,), **options)

    def __repr__(cls) -> str:
        return f"<class '{cls.__name__}'>"


def make(name: str) -> type:
    """The type of that name, one of NAMES."""
    if name in TENSOR_TYPES:
        # With the module in its name, as Tensor.type() looks it up by that.
        members = {"dtype": _DTYPES[name[: -len("Tensor")]], "is_cuda": False, "__module__": "torch.npu"}
        return _TensorType(f"torch.npu.{name}", (), members)
    dtype = _DTYPES[name[: -len("Storage")]]
    legacy = getattr(torch.storage, "_LegacyStorage", None)
    if legacy is None:
        raise AttributeError(f"torch {torch.__version__} has no typed storages on other devices: {name}")
    # torch reads from the module's name which device such a storage lies on.
    constant = _constant(dtype)
    return type(name, (legacy,), {"__module__": "torch.npu", "dtype": constant, "_dtype": constant})


def _constant(dtype: torch.dtype) -> Any:
    class Constant:
        def __get__(self, instance: Any, owner: Any = None) -> torch.dtype:
            return dtype

    return Constant()
