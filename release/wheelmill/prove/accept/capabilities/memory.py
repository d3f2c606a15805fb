"""The allocator's figures: what is allocated, reserved, freed and given back."""

from __future__ import annotations

import gc

import torch
from harness import Group

group = Group("memory")
DEVICE = group.device
MIB = 1 << 20


def settled() -> int:
    """Bytes in tensors now, after all that nobody holds is gone."""
    gc.collect()
    torch.npu.synchronize()
    return torch.npu.memory_allocated()


@group.check
def allocated_grows_by_the_tensors_size_and_falls_when_it_goes() -> None:
    before = settled()
    x = torch.empty(4 * MIB, dtype=torch.uint8, device=DEVICE)
    grown = torch.npu.memory_allocated() - before
    assert 4 * MIB <= grown <= 4 * MIB + 4096, grown
    del x
    assert settled() == before


@group.check
def reserved_is_never_below_allocated() -> None:
    for size in (1, 1000, 3 * MIB, 50 * MIB):
        x = torch.empty(size, dtype=torch.uint8, device=DEVICE)
        assert torch.npu.memory_reserved() >= torch.npu.memory_allocated() >= x.numel()


@group.check
def freed_memory_is_used_again() -> None:
    x = torch.empty(8 * MIB, dtype=torch.uint8, device=DEVICE)
    address, reserved = x.data_ptr(), torch.npu.memory_reserved()
    del x
    x = torch.empty(8 * MIB, dtype=torch.uint8, device=DEVICE)
    assert (x.data_ptr(), torch.npu.memory_reserved()) == (address, reserved)


@group.check
def the_peak_is_kept_and_reset() -> None:
    before = settled()
    torch.npu.reset_peak_memory_stats()
    x = torch.empty(16 * MIB, dtype=torch.uint8, device=DEVICE)
    del x
    assert torch.npu.max_memory_allocated() >= before + 16 * MIB
    torch.npu.reset_peak_memory_stats()
    assert torch.npu.max_memory_allocated() < before + 16 * MIB


@group.check
def the_peak_of_reserved_memory() -> None:
    assert torch.npu.max_memory_reserved() >= torch.npu.memory_reserved()


@group.check
def empty_cache_gives_memory_back() -> None:
    x = torch.empty(100 * MIB, dtype=torch.uint8, device=DEVICE)
    reserved = torch.npu.memory_reserved()
    del x
    settled()
    torch.npu.empty_cache()
    assert torch.npu.memory_reserved() <= reserved - 100 * MIB


@group.check
def empty_cache_keeps_what_is_used() -> None:
    x = torch.arange(1000, device=DEVICE)
    torch.npu.empty_cache()
    assert x.sum().item() == 499500


@group.check
def free_and_total_memory_of_the_device() -> None:
    free, total = torch.npu.mem_get_info()
    assert 0 < free <= total
    x = torch.empty(200 * MIB, dtype=torch.uint8, device=DEVICE)
    less, same = torch.npu.mem_get_info()
    assert same == total
    assert less <= free
    del x


@group.check
def the_total_is_that_of_the_devices_properties() -> None:
    total = torch.npu.get_device_properties(0).total_memory
    assert abs(total - torch.npu.mem_get_info()[1]) <= 0.1 * total + MIB, total


@group.check
def statistics_agree_with_each_other() -> None:
    x = torch.empty(MIB, dtype=torch.uint8, device=DEVICE)
    stats = torch.npu.memory_stats()
    assert stats["allocated_bytes.all.current"] == torch.npu.memory_allocated() >= x.numel()
    assert stats["reserved_bytes.all.current"] == torch.npu.memory_reserved()
    assert stats["allocated_bytes.all.peak"] >= stats["allocated_bytes.all.current"]
    given = stats["allocated_bytes.all.allocated"] - stats["allocated_bytes.all.freed"]
    assert given == stats["allocated_bytes.all.current"]


@group.check
def the_number_of_allocations_is_counted() -> None:
    settled()
    before = torch.npu.memory_stats()["allocation.all.current"]
    held = [torch.empty(1000, device=DEVICE) for _ in range(5)]
    assert torch.npu.memory_stats()["allocation.all.current"] == before + len(held)


@group.check
def a_summary_can_be_printed() -> None:
    assert "alloc" in torch.npu.memory_summary().lower()


@group.check
def a_view_needs_no_memory() -> None:
    x = torch.empty(MIB, device=DEVICE)
    before = settled()
    views = [x.view(-1, 64), x[5:], x.t() if x.dim() == 2 else x[None], x.detach()]
    assert settled() == before
    assert len(views) == 4


@group.check
def an_in_place_operator_needs_no_tensor() -> None:
    x = torch.zeros(MIB, device=DEVICE)
    before = settled()
    x.add_(1).mul_(2)
    assert settled() == before


@group.check
def gradients_and_optimizer_state_are_counted() -> None:
    before = settled()
    module = torch.nn.Linear(512, 512, bias=False).to(DEVICE)
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 512, device=DEVICE)).sum().backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    grown = settled() - before
    assert grown >= 4 * MIB, grown  # weight, gradient and two moments of 1 MiB each
    del module, optimizer
    assert settled() <= before + 4096


@group.check
def too_much_is_out_of_memory_and_the_next_allocation_works() -> None:
    total, told = torch.npu.mem_get_info()[1], ""
    try:
        torch.empty(2 * total, dtype=torch.uint8, device=DEVICE)
    except RuntimeError as error:
        told = str(error)
    assert "memory" in told.lower(), f"twice the device's memory was asked for: {told or 'no error'}"
    assert torch.ones(8, device=DEVICE).sum().item() == 8


@group.check
def an_empty_tensor_needs_no_memory() -> None:
    before = settled()
    x = torch.empty(0, device=DEVICE)
    assert torch.npu.memory_allocated() == before
    assert x.numel() == 0


if __name__ == "__main__":
    group.main()
