"""Formats by CANN's numbers: every tensor is in the plain one of its shape."""

import warnings

import pytest
import torch
import torch_npu
from torch_npu import _formats


@pytest.mark.parametrize(("dimensions", "name"), [(1, "ND"), (2, "ND"), (3, "ND"), (4, "NCHW"), (5, "NCDHW")])
def test_the_format_follows_from_the_shape(dimensions, name):
    x = torch.ones([2] * dimensions, device="npu")
    assert torch_npu.get_npu_format(x) == torch_npu.Format[name]


def test_a_cast_between_plain_formats_gives_the_tensor():
    x = torch.ones(2, 3, 4, 5, device="npu")
    assert torch_npu.npu_format_cast(x, torch_npu.Format.NHWC) is x
    assert torch_npu.npu_format_cast_(x, x) is x


def test_a_private_format_is_warned_of_once(monkeypatch):
    monkeypatch.setattr(_formats, "_warned", False)
    x = torch.ones(16, 16, device="npu")
    with pytest.warns(UserWarning, match="FRACTAL_NZ is a private format"):
        assert torch_npu.npu_format_cast(x, 29) is x
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch_npu.npu_format_cast(x, 29)


def test_more_than_four_dimensions_are_not_reduced():
    x = torch.ones(1, 2, 3, 4, 5, device="npu")
    with pytest.raises(
        RuntimeError, match=r"NCHW is a format of 4 dimensions, the tensor has 5; .* not reduced"
    ):
        torch_npu.npu_format_cast(x, torch_npu.Format.NCHW)


def test_unknown_formats_and_host_tensors_are_refused():
    with pytest.raises(ValueError, match="1234 is no format; known are"):
        torch_npu.npu_format_cast(torch.ones(2, device="npu"), 1234)
    with pytest.raises(RuntimeError, match="expected a tensor on an npu, but got one on cpu"):
        torch_npu.get_npu_format(torch.ones(2))


def test_empty_with_format():
    x = torch_npu.empty_with_format((2, 3), dtype=torch.float16, acl_format=2)
    assert (x.shape, x.dtype, x.device.type) == ((2, 3), torch.float16, "npu")


def test_a_cast_of_dtype_lets_gradients_through():
    x = torch.ones(3, device="npu", requires_grad=True)
    torch_npu.npu_dtype_cast(x, torch.float16).float().sum().backward()
    assert x.grad.tolist() == [1, 1, 1]
