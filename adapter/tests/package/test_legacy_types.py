"""torch.npu.FloatTensor and its like, as code from before devices uses them."""

import pytest
import torch
from npu_testing import TORCH

pytestmark = pytest.mark.skipif(
    not hasattr(torch.utils, "rename_privateuse1_backend"),
    reason="torch 1 has no device type for this backend",
)


def test_isinstance_looks_at_device_and_dtype():
    x = torch.ones(2, device="npu")
    assert isinstance(x, torch.npu.FloatTensor)
    assert not isinstance(x, torch.npu.HalfTensor)
    assert not isinstance(torch.ones(2), torch.npu.FloatTensor)
    assert isinstance(torch.npu.LongTensor([1, 2]), torch.npu.LongTensor)


def test_a_type_makes_tensors_of_sizes_and_of_values():
    assert torch.npu.FloatTensor(2, 3).shape == (2, 3)
    assert torch.npu.FloatTensor(torch.Size([4])).shape == (4,)
    assert torch.npu.FloatTensor().numel() == 0
    made = torch.npu.IntTensor([1, 2, 3])
    assert made.tolist() == [1, 2, 3]
    assert made.dtype is torch.int32
    assert made.device.type == "npu"


def test_a_type_does_not_convert():
    with pytest.raises(TypeError, match=r"FloatTensor takes a tensor of torch.float32, got torch.float16"):
        torch.npu.FloatTensor(torch.ones(2, dtype=torch.half))


@pytest.mark.skipif(TORCH < (2, 3), reason="before 2.3 torch refuses types that are named as texts")
@pytest.mark.parametrize("name", ["Float", "Half", "Double", "Long", "Bool", "Byte"])
def test_type_by_name_and_by_class(name):
    kind = getattr(torch.npu, f"{name}Tensor")
    x = torch.ones(2)
    assert x.type(kind).type() == x.type(f"torch.npu.{name}Tensor").type() == f"torch.npu.{name}Tensor"


@pytest.mark.skipif(
    not hasattr(torch.utils, "generate_methods_for_privateuse1_backend"),
    reason="storages come with torch 2.1",
)
def test_a_storage_lies_on_the_device():
    storage = torch.npu.FloatStorage(4)
    assert storage.device.type == "npu"
    assert len(storage) == 4
