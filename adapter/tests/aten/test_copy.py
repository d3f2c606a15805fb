"""Copies: every pair of places, blocking or not, every dtype, every layout."""

import numpy
import pytest
import torch
from npu_testing import PIN

NAMES = "float32 float16 bfloat16 float64 int8 uint8 int16 int32 int64 bool complex64 complex128"
DTYPES = [getattr(torch, name) for name in NAMES.split()]


def sample(dtype, shape=(5, 7)):
    return torch.testing.make_tensor(shape, dtype=dtype, device="cpu")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_there_and_back_keeps_every_bit(dtype, no_fallback):
    x = sample(dtype)
    assert torch.equal(x.npu().cpu(), x)


@pytest.mark.parametrize("pinned", [False, True])
@pytest.mark.parametrize("non_blocking", [False, True])
def test_there_and_back_with_each_kind_of_host_memory(pinned, non_blocking, no_fallback):
    x = torch.arange(100_000.0)
    source = x.pin_memory(**PIN) if pinned else x
    on_device = source.npu(non_blocking=non_blocking)
    back = torch.empty(100_000).pin_memory(**PIN) if pinned else torch.empty(100_000)
    back.copy_(on_device, non_blocking=non_blocking)
    torch.npu.synchronize()
    assert torch.equal(back, x)


def test_a_non_blocking_copy_from_pageable_memory_may_be_overwritten_at_once(no_fallback):
    x = torch.zeros(1_000_000)
    y = x.npu(non_blocking=True)
    x.fill_(1)
    assert y.sum().item() == 0


def test_a_copy_to_the_host_is_done_when_it_returns(no_fallback):
    x = torch.ones(512, 512, device="npu")
    for _ in range(6):
        x = x @ x / 512
    assert torch.equal(x.cpu(), torch.ones(512, 512))


LAYOUTS = {
    "transposed": lambda x: x.t(),
    "sliced": lambda x: x[1:4, ::2],
    "expanded": lambda x: x[:1].expand(5, 7),
    "offset": lambda x: x.flatten()[3:30],
    "scalar": lambda x: x[2, 3],
    "empty": lambda x: x[:0],
    "flipped": lambda x: x.flip(0),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("direction", ["to_device", "to_host", "on_device"])
def test_every_layout_in_every_direction(layout, direction, no_fallback):
    x = sample(torch.float32)
    expected = layout(x)
    if direction == "to_device":
        assert torch.equal(expected.npu().cpu(), expected)
    elif direction == "to_host":
        assert torch.equal(layout(x.npu()).cpu(), expected)
    else:
        target = torch.zeros(expected.shape, device="npu").copy_(layout(x.npu()))
        assert torch.equal(target.cpu(), expected)


def test_into_a_strided_destination(no_fallback):
    target, expected = torch.zeros(6, 8, device="npu"), torch.zeros(6, 8)
    source = torch.arange(12.0).reshape(4, 3)
    target[1:5, ::3] = source.npu()
    expected[1:5, ::3] = source
    target.t()[7, :4] = source[:, 0]  # straight from the host into strides
    expected.t()[7, :4] = source[:, 0]
    assert torch.equal(target.cpu(), expected)


def test_from_the_device_into_a_strided_host_tensor(no_fallback):
    target = torch.zeros(4, 6)
    target[:, ::2].copy_(torch.ones(4, 3, device="npu"))
    assert torch.equal(target, torch.tensor([1.0, 0] * 3).expand(4, 6))


def test_broadcasting_copies(no_fallback):
    target = torch.zeros(3, 4, device="npu").copy_(torch.arange(4.0))
    assert torch.equal(target.cpu(), torch.arange(4.0).expand(3, 4))


@pytest.mark.parametrize("source", [torch.float32, torch.int64, torch.bool, torch.float16], ids=str)
@pytest.mark.parametrize(
    "target", [torch.float32, torch.int32, torch.bool, torch.bfloat16, torch.complex64], ids=str
)
@pytest.mark.parametrize("place", ["npu", "cpu"])
def test_conversions(source, target, place, no_fallback):
    x = sample(source)
    moved = x.npu().to(target) if place == "npu" else x.npu().to("cpu", target)
    assert torch.equal(moved.cpu(), x.to(target))
    assert torch.equal(torch.empty(5, 7, dtype=target, device="npu").copy_(x).cpu(), x.to(target))


def test_from_one_device_to_another(no_fallback):
    x = sample(torch.float32)
    there = x.npu(0).npu(1)
    assert there.device == torch.device("npu:1")
    assert torch.equal(there.cpu(), x)
    assert torch.equal(x.npu(0).t().to("npu:1").cpu(), x.t())
    assert torch.equal(x.npu(0).to("npu:1", torch.float16).cpu(), x.to(torch.float16))


def test_a_copy_between_devices_waits_for_the_work_before_it_and_holds_the_work_after_it(no_fallback):
    x = torch.ones(512, 512, device="npu:0")
    for _ in range(6):
        x = x @ x / 512
    y = x.to("npu:1")
    x.zero_()
    assert torch.equal(y.cpu(), torch.ones(512, 512))


@pytest.mark.parametrize(
    "view", [torch.conj, torch.Tensor.imag.__get__, lambda x: x.conj().imag], ids=["conj", "imag", "neg"]
)
def test_conjugate_and_negative_views(view):
    x = sample(torch.complex64)
    assert torch.equal(view(x.npu()).cpu(), view(x))
    assert torch.equal(view(x).npu().cpu(), view(x))
    assert torch.equal(view(x.npu()).clone().cpu(), view(x))


def test_item_and_tolist(no_fallback):
    assert torch.tensor(3.5, device="npu").item() == 3.5
    assert torch.tensor([[1, 2], [3, 4]], device="npu").tolist() == [[1, 2], [3, 4]]
    assert bool(torch.tensor(True, device="npu"))


def test_numpy_needs_the_host():
    with pytest.raises(TypeError):
        numpy.asarray(torch.ones(2, device="npu"))
    assert torch.from_numpy(numpy.arange(3)).npu().cpu().tolist() == [0, 1, 2]


def test_clone_keeps_the_memory_format(no_fallback):
    x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    y = x.npu()
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert y.clone().is_contiguous(memory_format=torch.channels_last)
    assert y.contiguous().is_contiguous()
    assert torch.equal(y.contiguous().cpu(), x.contiguous())


def test_large_copies_are_whole(no_fallback):
    x = torch.arange(5_000_000, dtype=torch.int32)
    assert torch.equal(x.npu().cpu(), x)


def test_copying_into_another_shape_is_refused():
    with pytest.raises(RuntimeError, match="size"):
        torch.zeros(3, device="npu").copy_(torch.zeros(4))
