"""Tests of programs for NPUs: TestCase with assertRtolEqual, create_common_tensor, run_tests."""

from torch_npu.testing.common_utils import create_common_tensor, create_dtype_tensor
from torch_npu.testing.testcase import TestCase, run_tests

__all__ = ["TestCase", "create_common_tensor", "create_dtype_tensor", "run_tests"]
