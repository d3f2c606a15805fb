"""Formats in which CANN lays out tensors. This adapter keeps every tensor in the plain format of its shape.

Formats that only the hardware knows (NC1HWC0, FRACTAL_NZ, ...) are an optimization of the published package,
off there too unless torch.npu.config.allow_internal_format is set. A cast to one warns once and gives a plain
tensor, as it does there.
"""

from __future__ import annotations

import warnings
from enum import IntEnum
from typing import Any, Union

import torch


class Format(IntEnum):
    """CANN's numbers of formats."""

    UNDEFINED = -1
    NCHW = 0
    NHWC = 1
    ND = 2
    NC1HWC0 = 3
    FRACTAL_Z = 4
    NC1HWC0_C04 = 12
    HWCN = 16
    NDHWC = 27
    FRACTAL_NZ = 29
    NCDHW = 30
    NDC1HWC0 = 32
    FRACTAL_Z_3D = 33
    NC = 35
    NCL = 47
    FRACTAL_NZ_C0_16 = 50
    FRACTAL_NZ_C0_32 = 51


_PLAIN = frozenset((Format.NCHW, Format.NHWC, Format.ND, Format.HWCN, Format.NDHWC, Format.NCDHW, Format.NCL))
_DIMENSIONS = {
    **dict.fromkeys((Format.NCL,), 3),
    **dict.fromkeys((Format.NCHW, Format.NHWC, Format.HWCN, Format.NC1HWC0, Format.NC1HWC0_C04), 4),
    **dict.fromkeys((Format.NCDHW, Format.NDHWC, Format.NDC1HWC0, Format.FRACTAL_Z_3D), 5),
}
_warned = False


def get_npu_format(tensor: torch.Tensor) -> Format:
    """The format of a tensor on an NPU: NCHW of 4 dimensions, NCDHW of 5, else ND."""
    _check_device("get_npu_format", tensor)
    return {4: Format.NCHW, 5: Format.NCDHW}.get(tensor.dim(), Format.ND)


def npu_format_cast(tensor: torch.Tensor, acl_format: Union[int, Format]) -> torch.Tensor:
    """The tensor in a format by CANN's number: itself, as this adapter keeps plain formats.

    Raises ValueError for a number that is no format, and RuntimeError where the tensor has another number of
    dimensions than the format: a tensor of more than 4 dimensions is not reduced to fit one of 4.
    """
    _check_device("npu_format_cast", tensor)
    wanted = _known("npu_format_cast", acl_format)
    _check_dimensions("npu_format_cast", wanted, tensor.dim())
    _warn_of_private(wanted)
    return tensor


def npu_format_cast_(tensor: torch.Tensor, acl_format: Union[int, Format, torch.Tensor]) -> torch.Tensor:
    """npu_format_cast in place; another tensor in place of a number stands for its format."""
    if isinstance(acl_format, torch.Tensor):
        acl_format = get_npu_format(acl_format)
    return npu_format_cast(tensor, acl_format)


def empty_with_format(size: Any, acl_format: Union[int, Format] = Format.ND, **options: Any) -> torch.Tensor:
    """torch.empty on the current NPU (or `device`) in a format; see npu_format_cast."""
    wanted = _known("empty_with_format", acl_format)
    _check_dimensions("empty_with_format", wanted, len(size))
    _warn_of_private(wanted)
    device = options.pop("device", None)
    return torch.empty(size, device="npu" if device is None else device, **options)


def npu_dtype_cast(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The tensor in another dtype; gradients flow back."""
    _check_device("npu_dtype_cast", tensor)
    return tensor.to(dtype)


def _check_device(what: str, tensor: torch.Tensor) -> None:
    if tensor.device.type != "npu":
        raise RuntimeError(f"{what}: expected a tensor on an npu, but got one on {tensor.device}")


def _known(what: str, number: Union[int, Format]) -> Format:
    try:
        return Format(int(number))
    except ValueError:
        names = ", ".join(f"{int(one)} ({one.name})" for one in Format)
        raise ValueError(f"{what}: {number!r} is no format; known are {names}") from None


def _check_dimensions(what: str, wanted: Format, dimensions: int) -> None:
    needed = _DIMENSIONS.get(wanted, dimensions)
    if needed != dimensions:
        reason = "; a tensor of more than 4 dimensions is not reduced" if dimensions > 4 else ""
        raise RuntimeError(
            f"{what}: {wanted.name} is a format of {needed} dimensions, the tensor has {dimensions}{reason}"
        )


def _warn_of_private(wanted: Format) -> None:
    global _warned
    if wanted not in _PLAIN and not _warned:
        _warned = True
        warnings.warn(
            f"{wanted.name} is a private format of the hardware; this adapter keeps tensors in plain formats",
            stacklevel=3,
        )
