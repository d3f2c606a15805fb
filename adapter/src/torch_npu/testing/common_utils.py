"""Pairs of tensors, one on the CPU and the same one on an NPU."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Tuple

import numpy
import torch

from torch_npu import _formats

Pair = Tuple[torch.Tensor, torch.Tensor]


def create_common_tensor(item: Sequence[Any], minValue: float, maxValue: float, device: Any = None) -> Pair:  # noqa: N803
    """`item` is [NumPy's dtype, format, shape] -> (on the CPU, on the NPU), uniform from minValue on."""
    dtype, acl_format, shape = item
    values = torch.from_numpy(numpy.asarray(numpy.random.uniform(minValue, maxValue, shape)).astype(dtype))
    return values, _on_npu(values, acl_format, device)


def create_dtype_tensor(
    shape: Sequence[int],
    dtype: torch.dtype,
    npu_format: int = -1,
    min_value: float = -5,
    max_value: float = 5,
    no_zero: bool = False,
    device: Optional[Any] = None,
) -> Pair:
    """(On the CPU, on the NPU) of one dtype, uniform; `no_zero` puts 1 in place of each 0."""
    if dtype is torch.bool:
        values = torch.randint(2, tuple(shape)).bool()
    elif dtype.is_floating_point:
        values = torch.empty(tuple(shape)).uniform_(min_value, max_value).to(dtype)
    else:
        values = torch.randint(int(min_value), int(max_value), tuple(shape)).to(dtype)
    if no_zero:
        values = torch.where(values == 0, torch.ones_like(values), values)
    return values, _on_npu(values, npu_format, device)


def _on_npu(values: torch.Tensor, acl_format: int, device: Any) -> torch.Tensor:
    moved = values.to("npu" if device is None else device)
    return moved if acl_format == -1 else _formats.npu_format_cast(moved, acl_format)
