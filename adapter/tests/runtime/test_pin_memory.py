"""Page-locked host memory, and the DataLoader that uses it."""

import pytest
import torch
from npu_testing import PIN, TORCH
from torch.utils.data import DataLoader, TensorDataset

#: From 2.7 on the loader pins for the accelerator that is there.
LOADER = {"pin_memory_device": "npu"} if TORCH < (2, 7) else {}


def test_pinned_is_pinned_and_equal():
    x = torch.arange(1000.0)
    pinned = x.pin_memory(**PIN)
    assert pinned.is_pinned(**PIN)
    assert not x.is_pinned(**PIN)
    assert pinned.device.type == "cpu"
    assert torch.equal(pinned, x)


def test_pinning_pinned_memory_copies_nothing():
    pinned = torch.ones(3).pin_memory(**PIN)
    assert pinned.pin_memory(**PIN).data_ptr() == pinned.data_ptr()


def test_a_view_of_pinned_memory_is_pinned():
    assert torch.ones(10).pin_memory(**PIN)[3:].is_pinned(**PIN)


def test_only_host_memory_can_be_pinned():
    with pytest.raises(RuntimeError, match=r"(?i)pin"):
        torch.ones(2, device="npu").pin_memory(**PIN)


@pytest.mark.skipif(bool(PIN), reason="factories pin for CUDA only before 2.6")
def test_a_factory_makes_pinned_memory():
    assert torch.empty(5, pin_memory=True).is_pinned()


def test_an_empty_tensor_can_be_pinned():
    assert torch.empty(0).pin_memory(**PIN).shape == (0,)


def test_pinned_memory_is_not_used_again_while_a_copy_reads_it():
    expected = [torch.full((250_000,), float(i)) for i in range(8)]
    copies = []
    for x in expected:
        pinned = x.pin_memory(**PIN)
        copies.append(pinned.npu(non_blocking=True))
        del pinned  # its block goes back to the cache at once
    torch.testing.assert_close([copy.cpu() for copy in copies], expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    "workers",
    [
        0,
        pytest.param(
            1,
            marks=pytest.mark.skipif(
                TORCH < (2, 1), reason="before 2.1 torch pins in a thread that starts CUDA"
            ),
        ),
    ],
)
@pytest.mark.skipif(TORCH < (2, 0), reason="torch 1 pins for CUDA only")
def test_a_data_loader_hands_out_pinned_batches(workers):
    data = TensorDataset(torch.arange(12.0).reshape(6, 2), torch.arange(6))
    loader = DataLoader(
        data, batch_size=2, pin_memory=True, num_workers=workers, timeout=60 * workers, **LOADER
    )
    seen = []
    for x, y in loader:
        assert x.is_pinned(**PIN)
        assert y.is_pinned(**PIN)
        seen += (x.npu(non_blocking=True).sum(1) - y.npu(non_blocking=True)).tolist()
    assert seen == [1.0, 4.0, 7.0, 10.0, 13.0, 16.0]
