"""One operator for PyTorch: `muladd(a, b, c)` is `a * b + c`."""

import torch

from torch_op_demo import _C  # noqa: F401 - it registers the operator

muladd = torch.ops.torch_op_demo.muladd

__all__ = ["muladd"]
