"""The caching allocator as its user sees it: statistics, the cache, limits, and running out."""

import gc
import json

import pytest
import torch
from npu_testing import environment, output

MIB = 2**20
#: How much larger a block may be than asked for: operators may touch 32 bytes behind it, and 512 is the unit.
SLACK = 512


@pytest.fixture(autouse=True)
def _clean_slate():
    gc.collect()
    torch.npu.synchronize()
    torch.npu.empty_cache()
    torch.npu.reset_peak_memory_stats()


def test_allocated_follows_a_tensors_life():
    before = torch.npu.memory_allocated()
    x = torch.empty(4 * MIB, dtype=torch.uint8, device="npu")
    assert before + 4 * MIB <= torch.npu.memory_allocated() <= before + 4 * MIB + SLACK
    assert torch.npu.memory_reserved() >= torch.npu.memory_allocated()
    del x
    assert torch.npu.memory_allocated() == before


def test_small_requests_are_rounded_up():
    before = torch.npu.memory_allocated()
    x = torch.empty(1, device="npu")
    assert torch.npu.memory_allocated() == before + 512
    del x


def test_freed_memory_is_kept_used_again_and_given_back():
    x = torch.empty(8 * MIB, dtype=torch.uint8, device="npu")
    reserved, address = torch.npu.memory_reserved(), x.data_ptr()
    del x
    assert torch.npu.memory_reserved() == reserved
    y = torch.empty(8 * MIB, dtype=torch.uint8, device="npu")
    assert y.data_ptr() == address
    del y
    torch.npu.empty_cache()
    assert torch.npu.memory_reserved() <= reserved - 8 * MIB


def test_the_peak_stays_until_it_is_reset():
    before = torch.npu.memory_allocated()
    x = torch.empty(16 * MIB, dtype=torch.uint8, device="npu")
    del x
    assert torch.npu.max_memory_allocated() >= before + 16 * MIB
    assert torch.npu.max_memory_reserved() >= 16 * MIB
    torch.npu.reset_peak_memory_stats()
    assert torch.npu.max_memory_allocated() == torch.npu.memory_allocated()


def test_devices_are_counted_apart():
    before = torch.npu.memory_allocated(0)
    x = torch.empty(4 * MIB, dtype=torch.uint8, device="npu:1")
    assert torch.npu.memory_allocated(0) == before
    assert torch.npu.memory_allocated("npu:1") >= 4 * MIB
    del x


def test_stats_flat_and_nested_agree():
    x = torch.ones(10, device="npu")
    flat, nested = torch.npu.memory_stats(), torch.npu.memory_stats_as_nested_dict()
    assert nested["allocated_bytes"]["all"]["current"] == flat["allocated_bytes.all.current"]
    assert flat["allocation.all.current"] > 0
    assert flat["segment.all.current"] > 0
    assert nested["num_ooms"] == flat["num_ooms"]
    assert list(flat) == sorted(flat)
    del x


def test_accumulated_counters_start_again():
    torch.npu.reset_accumulated_memory_stats()
    x = torch.empty(MIB, device="npu")
    del x
    stats = torch.npu.memory_stats()
    assert stats["allocated_bytes.all.allocated"] == stats["allocated_bytes.all.freed"]
    assert 4 * MIB <= stats["allocated_bytes.all.freed"] <= 4 * MIB + SLACK


def test_the_summary_shows_the_same_numbers():
    x = torch.empty(64 * MIB, dtype=torch.uint8, device="npu")
    full, short = torch.npu.memory_summary(), torch.npu.memory_summary(abbreviated=True)
    row = next(line for line in full.splitlines() if "Allocated memory" in line)
    assert f"{round(torch.npu.memory_allocated() / MIB)} MiB" in row
    assert "Segments" in full
    assert "Segments" not in short
    del x


def test_mem_get_info_sees_the_reserved_memory():
    free_before, total = torch.npu.mem_get_info()
    x = torch.empty(64 * MIB, dtype=torch.uint8, device="npu")
    free, same_total = torch.npu.mem_get_info()
    assert same_total == total >= free_before
    assert free <= free_before - 64 * MIB
    del x


def test_raw_blocks_are_counted():
    before = torch.npu.memory_allocated()
    pointer = torch.npu.caching_allocator_alloc(MIB)
    other = torch.npu.caching_allocator_alloc(MIB, stream=torch.npu.Stream())
    assert pointer != other
    assert before + 2 * MIB <= torch.npu.memory_allocated() <= before + 2 * (MIB + SLACK)
    torch.npu.caching_allocator_delete(pointer)
    torch.npu.caching_allocator_delete(other)
    assert torch.npu.memory_allocated() == before


def test_a_block_used_by_another_stream_waits_for_it():
    """record_stream: the block must not be handed out before the stream's work on it is done."""
    side = torch.npu.Stream()
    x = torch.full((512, 512), 1.0, device="npu")
    side.wait_stream(torch.npu.current_stream())
    with torch.npu.stream(side):
        for _ in range(8):
            y = x @ x
        total = x.sum()
    x.record_stream(side)
    del x
    z = torch.full((512, 512), 7.0, device="npu")
    side.synchronize()
    assert total.item() == 512 * 512
    assert y[0, 0].item() == 512
    assert z[0, 0].item() == 7


@pytest.mark.parametrize("fraction", [0.0, 1.5, -1.0])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(ValueError, match="at most 1"):
        torch.npu.set_per_process_memory_fraction(fraction)


def test_a_fraction_must_be_a_float():
    with pytest.raises(TypeError, match="must be a float, got int"):
        torch.npu.set_per_process_memory_fraction(1)


RUN_OUT = """
import json, torch, torch_npu
held, error = [], None
try:
    while True:
        held.append(torch.empty(8 << 20, dtype=torch.uint8, device="npu"))
except torch.npu.OutOfMemoryError as caught:
    error = str(caught)
count = len(held)
del held
again = torch.ones(8 << 20, dtype=torch.uint8, device="npu")
print(json.dumps([error, count, torch.npu.memory_stats()["num_ooms"], int(again[-1].item())]))
"""


def test_out_of_memory_is_an_error_to_recover_from():
    error, count, ooms, value = json.loads(output(RUN_OUT, env=environment(CANN_SIMULATOR_MEMORY="64M")))
    assert 6 <= count <= 8
    assert (ooms, value) == (1, 1)
    assert "out of memory" in error.lower()
    assert "8.00 MiB" in error or "8 MiB" in error


def test_the_cache_is_emptied_before_giving_up():
    code = """
import torch, torch_npu
for size in (20, 28, 36, 44):  # no two fit, and none fits into what was cached before
    x = torch.empty(size << 20, dtype=torch.uint8, device="npu")
    del x
print(torch.npu.memory_stats()["num_alloc_retries"], torch.npu.memory_stats()["num_ooms"])
"""
    retries, ooms = output(code, env=environment(CANN_SIMULATOR_MEMORY="64M")).split()
    assert int(retries) > 0
    assert ooms == "0"


def test_a_fraction_limits_this_process():
    code = """
import torch, torch_npu
torch.npu.set_per_process_memory_fraction(0.25)
x = torch.empty(8 << 20, dtype=torch.uint8, device="npu")
try:
    y = torch.empty(16 << 20, dtype=torch.uint8, device="npu")
except torch.npu.OutOfMemoryError as error:
    print("limited")
torch.npu.set_per_process_memory_fraction(1.0)
y = torch.empty(16 << 20, dtype=torch.uint8, device="npu")
"""
    assert output(code, env=environment(CANN_SIMULATOR_MEMORY="64M")) == "limited"
