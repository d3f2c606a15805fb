"""Conversions between dtypes, and of a tensor's private format."""

from __future__ import annotations

from typing import Any

import torch
import torch_npu
from harness import Group, Sample, label, offered, same, sample

group = Group("casting")
DTYPES = (
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int8,
    torch.uint8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.bool,
)

for source in DTYPES:
    for target in DTYPES:
        if source is not target:
            title = f"{label(source)} to {label(target)}"
            group.compare(title, lambda x, t=target: x.to(t), Sample((4, 6), source, 0, 9))
METHODS = ("float", "half", "bfloat16", "int", "long", "short", "char", "byte", "bool")
for method in METHODS:
    group.compare(f"the method {method}", lambda x, m=method: getattr(x, m)(), sample(4, 6, low=0, high=9))
for layout in ("transposed", "strided", "offset"):
    for target in (torch.float16, torch.int32):
        given = sample(4, 6, low=0, high=9, layout=layout)
        group.compare(f"{layout} to {label(target)}", lambda x, t=target: x.to(t), given)
group.compare("0-dim to float16", lambda x: x.half(), sample())
group.compare("empty to float16", lambda x: x.half(), sample(0, 6))
group.compare("negative floats to int32", lambda x: x.int(), sample(4, 6, low=-9))
group.compare(
    "inf and nan to float16",
    lambda x: x.half(),
    torch.tensor([float("inf"), float("-inf"), float("nan"), 1e9]),
)
group.compare("large numbers to bfloat16", lambda x: x.bfloat16(), torch.tensor([1e38, -1e38, 65504.0]))
group.compare("nonzero numbers to bool", lambda x: x.bool(), torch.tensor([0.0, 0.5, -0.5, float("nan")]))
group.compare("type_as", lambda x, y: x.type_as(y), sample(4, 6), sample(2, dtype=torch.float16))
group.compare("gradient through half", lambda x: x.half() * 2, sample(4, 6), gradient=True)
group.compare(
    "gradient through bfloat16 and back", lambda x: x.bfloat16().float() * 2, sample(4, 6), gradient=True
)
group.compare("result_type", lambda x, y: torch.result_type(x, y), sample(2), sample(2, dtype=torch.float16))


@group.check
def a_tensor_of_its_own_dtype_is_itself() -> None:
    x = torch.ones(3, device=group.device)
    assert x.float() is x
    assert x.to(torch.float32) is x


@group.check
def a_module_in_half_precision() -> None:
    module = torch.nn.Linear(3, 2).to(group.device).half()
    assert module.weight.dtype is torch.float16
    assert module(torch.ones(1, 3, device=group.device, dtype=torch.float16)).dtype is torch.float16


# ----------------------------------------------------------------------- the device's own formats of a tensor
PLAIN = (0, 2)
FORMATS = {"ND": 2, "NCHW": 0, "NC1HWC0": 3, "FRACTAL_NZ": 29}


def formatted(shape: tuple, dtype: torch.dtype, number: int) -> None:
    """A cast to a private format and back keeps the numbers.

    Adapters compute on a plain format with an aclnn operator, on a private one with an operator by name.
    """
    cast: Any = getattr(torch_npu, "npu_format_cast", None)
    offered(cast, "torch_npu.npu_format_cast is absent")
    x = Sample(shape, dtype).base()
    y = cast(x.to(group.device), number)
    same(y, x)
    same(cast(y, 2), x)
    if number in PLAIN:
        same(y + 1, x + 1)


for name, number in FORMATS.items():
    for dtype in (torch.float32, torch.float16):
        shape = (2, 17, 4, 5) if name == "NC1HWC0" else (32, 48)
        title = f"npu_format_cast to {name} {label(dtype)}"
        group.add(title, lambda s=shape, t=dtype, n=number: formatted(s, t, n))


@group.check
def npu_format_cast_and_get_npu_format_agree() -> None:
    offered(hasattr(torch_npu, "npu_format_cast"), "torch_npu.npu_format_cast is absent")
    offered(hasattr(torch_npu, "get_npu_format"), "torch_npu.get_npu_format is absent")
    x = torch.ones(32, 48, device=group.device)
    assert int(torch_npu.get_npu_format(x)) == 2
    assert int(torch_npu.get_npu_format(torch_npu.npu_format_cast(x, 2))) == 2


@group.check
def npu_dtype_cast() -> None:
    offered(hasattr(torch_npu, "npu_dtype_cast"), "torch_npu.npu_dtype_cast is absent")
    x = Sample((4, 6)).base()
    same(torch_npu.npu_dtype_cast(x.to(group.device), torch.float16), x.half())


if __name__ == "__main__":
    group.main()
