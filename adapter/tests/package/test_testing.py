"""torch_npu.testing, as tests of programs for NPUs use it."""

import numpy
import pytest
import torch
from torch_npu.testing.common_utils import create_common_tensor, create_dtype_tensor
from torch_npu.testing.testcase import TestCase


class Cases(TestCase):
    def runTest(self):  # noqa: N802
        pass


@pytest.fixture
def case():
    made = Cases()
    made.setUp()
    return made


def test_equal_results_pass(case):
    cpu, npu = create_common_tensor([numpy.float32, 2, (8, 8)], -1, 1)
    assert npu.device.type == "npu"
    case.assertRtolEqual(cpu.exp().numpy(), npu.exp().cpu().numpy())
    case.assertRtolEqual([cpu, 1.0], [npu, 1.0])
    case.assertRtolEqual(
        torch.tensor([float("nan"), float("inf")]), torch.tensor([float("nan"), float("inf")])
    )


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (torch.ones(4), torch.ones(4) * 1.01),
        (torch.ones(4), torch.tensor([1, 1, 1, float("nan")])),
        (torch.ones(4), torch.tensor([1, 1, 1, float("inf")])),
        (torch.ones(4), torch.ones(5)),
        (torch.ones(4), torch.ones(4).int()),
        (torch.tensor([1, 2]), torch.tensor([1, 3])),
    ],
)
def test_other_results_fail(case, x, y):
    with pytest.raises(AssertionError):
        case.assertRtolEqual(x, y)


def test_half_precision_has_a_tolerance_of_its_own(case):
    case.assertRtolEqual(torch.ones(4).half(), torch.ones(4).half() * 1.0005)
    with pytest.raises(AssertionError, match=r"elements differ by more than 0.001; the largest error"):
        case.assertRtolEqual(torch.ones(4).half(), torch.ones(4).half() * 1.01)


def test_tensors_of_each_dtype():
    for dtype in (torch.float16, torch.int32, torch.bool):
        cpu, npu = create_dtype_tensor((3, 4), dtype, no_zero=dtype is torch.int32)
        assert cpu.dtype is npu.dtype is dtype
        assert torch.equal(cpu, npu.cpu())
