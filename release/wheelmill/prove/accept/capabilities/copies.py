"""Bytes between host and device, and within the device: synchronous, asynchronous, pinned."""

from __future__ import annotations

import copy
import importlib.util
import io
import pickle

import torch
from harness import FLOATS, INTEGERS, LAYOUTS, SMALL_INTEGERS, Group, Sample, label, offered, same

group = Group("copies")
DTYPES = (*FLOATS, *INTEGERS, *SMALL_INTEGERS, torch.bool, torch.float64, torch.complex64)


def pinned(x: torch.Tensor) -> torch.Tensor:
    """A pinned copy; before torch 2.6 the device must be named, later naming it is deprecated."""
    return x.pin_memory() if hasattr(torch, "accelerator") else x.pin_memory("npu")


def round_trip(x: torch.Tensor) -> None:
    there = x.to(group.device)
    same(there, x)
    assert there.data_ptr() != x.data_ptr()


def viewed(layout: str) -> torch.Tensor:
    """A host tensor that lies in memory like this."""
    given = Sample((4, 6), layout=layout)
    return given.view(given.base())


for dtype in DTYPES:
    group.add(f"to the device and back {label(dtype)}", lambda t=dtype: round_trip(Sample((5, 7), t).base()))
for name in ("transposed", "strided", "offset", "expanded"):
    group.add(f"{name} host tensor to the device", lambda layout=name: round_trip(viewed(layout)))


def copied(into: Sample, source: Sample, blocking: bool = True) -> None:
    """copy_ between two layouts on the device, and from and to the host, as on the CPU."""
    expected = into.base()
    into.view(expected).copy_(source.view(source.base()))
    for make in (lambda x: x.to(group.device), lambda x: x):
        base, given = into.base().to(group.device), make(source.base())
        into.view(base).copy_(source.view(given), non_blocking=not blocking)
        same(base, expected)
    back = into.base()
    into.view(back).copy_(source.view(source.base().to(group.device)))
    torch.testing.assert_close(back, expected)


for first in ("contiguous", "transposed", "strided", "offset"):
    for second in ("contiguous", "transposed", "strided", "offset"):
        pair = Sample((4, 6), layout=first), Sample((4, 6), layout=second, seed=1)
        group.add(f"copy_ {second} into {first}", lambda p=pair: copied(*p))
group.add(
    "copy_ channels last",
    lambda: copied(Sample((2, 3, 4, 5), layout="channels last"), Sample((2, 3, 4, 5), seed=1)),
)
group.add("copy_ broadcasts", lambda: copied(Sample((4, 6)), Sample((6,), seed=1)))
group.add("copy_ asynchronous", lambda: copied(Sample((64, 65)), Sample((64, 65), seed=1), blocking=False))
for dtype in (torch.float16, torch.bfloat16, torch.int32, torch.int64, torch.bool):
    group.add(
        f"copy_ float32 into {label(dtype)}",
        lambda t=dtype: copied(Sample((4, 6), t), Sample((4, 6), seed=1)),
    )
    group.add(
        f"copy_ {label(dtype)} into float32",
        lambda t=dtype: copied(Sample((4, 6)), Sample((4, 6), t, seed=1)),
    )
group.add("copy_ of nothing", lambda: copied(Sample((0, 6)), Sample((0, 6))))
group.add("copy_ 0-dim", lambda: copied(Sample(()), Sample((), seed=1)))

for name in LAYOUTS:
    if name != "channels last":
        group.compare(f"contiguous of {name}", lambda x: x.contiguous(), Sample((4, 6), layout=name))
group.compare("contiguous of a permuted tensor", lambda x: x.permute(2, 0, 1).contiguous(), Sample((3, 4, 5)))
group.compare("contiguous of a sliced tensor", lambda x: x[1:, ::2, 1:4].contiguous(), Sample((3, 4, 5)))
group.compare(
    "contiguous of an expanded tensor", lambda x: x[:, None].expand(3, 4, 5).contiguous(), Sample((3, 5))
)


@group.check
def pinned_memory_is_pinned() -> None:
    x = pinned(torch.randn(16, 16))
    assert x.is_pinned() if hasattr(torch, "accelerator") else x.is_pinned("npu")
    assert not torch.randn(4).is_pinned()
    same(x.to(group.device), x)


@group.check
def pinned_to_the_device_asynchronously() -> None:
    hosts = [pinned(torch.full((256, 257), float(number))) for number in range(8)]
    there = [host.to(group.device, non_blocking=True) for host in hosts]
    for number, tensor in enumerate(there):
        same(tensor, hosts[number])


@group.check
def the_device_to_pinned_asynchronously() -> None:
    x = torch.arange(4096, dtype=torch.float32, device=group.device) * 2
    host = pinned(torch.zeros(4096))
    host.copy_(x, non_blocking=True)
    torch.npu.synchronize()
    torch.testing.assert_close(host, torch.arange(4096, dtype=torch.float32) * 2)


@group.check
def an_asynchronous_copy_is_in_the_streams_order() -> None:
    host = pinned(torch.ones(1 << 16))
    x = torch.zeros(1 << 16, device=group.device)
    for _ in range(5):
        x.add_(host.to(group.device, non_blocking=True))
    same(x, torch.full((1 << 16,), 5.0))


@group.check
def to_with_a_dtype_and_a_device_at_once() -> None:
    x = torch.randn(4, 5)
    same(x.to(group.device, torch.float16), x.half())
    same(x.to(device=group.device, dtype=torch.int32), x.int())


@group.check
def to_the_same_device_is_the_same_tensor() -> None:
    x = torch.ones(3, device=group.device)
    assert x.to(group.device) is x
    assert x.to(group.device, copy=True).data_ptr() != x.data_ptr()


@group.check
def npu_and_cpu_methods() -> None:
    x = torch.randn(3, 4)
    assert x.npu().is_npu
    assert not x.is_npu
    torch.testing.assert_close(x.npu().cpu(), x, rtol=0, atol=0)


@group.check
def numpy_of_a_copy() -> None:
    offered(importlib.util.find_spec("numpy"), "numpy is not installed: the wheel does not ask for it")
    x = torch.arange(6, device=group.device).reshape(2, 3)
    assert x.cpu().numpy().tolist() == [[0, 1, 2], [3, 4, 5]]


@group.check
def between_two_devices() -> None:
    offered(torch.npu.device_count() > 1, "a second device is not visible")
    x = torch.randn(33, 7)
    y = x.to("npu:0").to("npu:1")
    assert y.device.index == 1, y.device
    same(y.to("npu:0"), x)
    same(y + 1, x + 1)


@group.check
def deepcopy_of_a_tensor_and_a_module() -> None:
    module = torch.nn.Linear(3, 2).to(group.device)
    twin = copy.deepcopy(module)
    assert twin.weight.data_ptr() != module.weight.data_ptr()
    same(twin.weight, module.weight.cpu())


@group.check
def saved_and_loaded() -> None:
    x, file = torch.randn(3, 4), io.BytesIO()
    torch.save({"x": x.to(group.device)}, file)
    file.seek(0)
    same(torch.load(file, weights_only=True)["x"], x)
    file.seek(0)
    torch.testing.assert_close(torch.load(file, map_location="cpu", weights_only=True)["x"], x)


@group.check
def pickled() -> None:
    x = torch.randn(3, 4)
    same(pickle.loads(pickle.dumps(x.to(group.device))), x)


@group.check
def a_large_tensor() -> None:
    x = torch.arange(3_000_001, dtype=torch.int32)
    round_trip(x)


@group.check
def module_to_and_state_dict() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    moved = copy.deepcopy(module).to(group.device)
    for name, value in moved.state_dict().items():
        same(value, module.state_dict()[name])
    moved.load_state_dict(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).state_dict())


if __name__ == "__main__":
    group.main()
