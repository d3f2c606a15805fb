"""The tests need a device: an NPU with CANN, or the simulator, sourced in the shell that runs pytest."""

import pytest
import torch
import torch_npu  # noqa: F401  (registers torch.npu)


def pytest_sessionstart(session):
    try:
        torch.npu.init()
    except RuntimeError as error:
        raise pytest.UsageError(
            f"the adapter's tests need an NPU or the simulator, and there is none: {error}"
        ) from error
    if torch.npu.device_count() < 2:
        raise pytest.UsageError(
            f"the adapter's tests need two devices, found {torch.npu.device_count()}; "
            "on the simulator leave CANN_SIMULATOR_DEVICES unset"
        )


@pytest.fixture(autouse=True)
def _same_device_after_each_test():
    yield
    torch.npu.set_device(0)


def fallback_mode(mode):
    before = torch.ops.torch_npu.set_fallback(mode)
    yield
    torch.ops.torch_npu.set_fallback(before)


@pytest.fixture
def no_fallback():
    """An operator that would run on the CPU is an error during this test."""
    yield from fallback_mode("error")


@pytest.fixture
def silent_fallback():
    """An operator that runs on the CPU does so without its warning during this test."""
    yield from fallback_mode("silent")
