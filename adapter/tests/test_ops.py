"""Every row of the operator table against the CPU, on PyTorch's own samples, with the CPU fallback switched off."""

import json

import pytest
import torch
from op_samples import calls_reaching, out_names
from torch.utils._pytree import tree_flatten

TABLE = json.loads(torch.ops.torch_npu.op_table())
DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool]
TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 4e-2}

#: Rows whose results are random: their numbers are test_rng.py's matter.
RANDOM = {}


def overload_of(name):
    packet, _, overload = name[len("aten::") :].partition(".")
    return getattr(getattr(torch.ops.aten, packet), overload or "default")


def tensors(result):
    return [x for x in tree_flatten(result)[0] if isinstance(x, torch.Tensor)]


def strided(x):
    """The same values on the device, with every second element of the memory left out."""
    return torch.stack([x, x], -1).npu()[..., 0]


def agree(actual, expected, what):
    actual, expected = tensors(actual), tensors(expected)
    assert len(actual) == len(expected), what
    for ours, theirs in zip(actual, expected):  # noqa: B905  (Python 3.8)
        assert ours.device.type == "npu", what
        assert ours.dtype is theirs.dtype, what
        tolerance = TOLERANCE.get(theirs.dtype, 0)
        torch.testing.assert_close(
            ours.cpu(),
            theirs,
            rtol=tolerance,
            atol=tolerance,
            equal_nan=True,
            msg=lambda text: f"{what}\n{text}",
        )
