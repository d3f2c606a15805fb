"""Memory of the caching allocator: statistics, the cache, limits and raw blocks.

Sizes are bytes. Statistics of a process that has not used a device yet are 0 and initialize nothing.
"""

import json
from collections import OrderedDict
from typing import Any, Dict, List, Mapping, Optional, Tuple

from torch_npu import _native
from torch_npu.npu.devices import Device, _lazy_init, device_index


def memory_stats(device: Device = None) -> "OrderedDict[str, int]":
    """All counters under torch's flat names, such as "allocated_bytes.all.peak"; empty before first use."""
    if not _native.is_initialized():
        return OrderedDict()
    return OrderedDict(sorted(json.loads(_native.memory_stats(device_index(device))).items()))


def memory_stats_as_nested_dict(device: Device = None) -> Dict[str, Any]:
    """The counters of memory_stats as a tree: stats["allocated_bytes"]["all"]["peak"]."""
    return _nested(memory_stats(device))


def _nested(flat: Mapping[str, int]) -> Dict[str, Any]:
    tree: Dict[str, Any] = {}
    for name, value in flat.items():
        *branches, leaf = name.split(".")
        node = tree
        for branch in branches:
            node = node.setdefault(branch, {})
        node[leaf] = value
    return tree


def memory_allocated(device: Device = None) -> int:
    """Bytes in tensors at this moment."""
    return memory_stats(device).get("allocated_bytes.all.current", 0)


def max_memory_allocated(device: Device = None) -> int:
    """The most bytes in tensors at one time since the start or reset_peak_memory_stats()."""
    return memory_stats(device).get("allocated_bytes.all.peak", 0)


def memory_reserved(device: Device = None) -> int:
    """Bytes that the allocator holds from CANN at this moment, in tensors or cached."""
    return memory_stats(device).get("reserved_bytes.all.current", 0)


def max_memory_reserved(device: Device = None) -> int:
    """The most bytes held from CANN at one time since the start or reset_peak_memory_stats()."""
    return memory_stats(device).get("reserved_bytes.all.peak", 0)


def reset_peak_memory_stats(device: Device = None) -> None:
    """Let every peak start again from the current value."""
    _native.reset_peak_memory_stats(device_index(device))


def reset_accumulated_memory_stats(device: Device = None) -> None:
    """Let every accumulating counter ("allocated", "freed", retries, OOMs) start again from 0."""
    _native.reset_accumulated_memory_stats(device_index(device))


def mem_get_info(device: Device = None) -> Tuple[int, int]:
    """Free and total bytes of the device, as CANN reports them."""
    free, total = _native.memory_info(device_index(device))
    return int(free), int(total)


def empty_cache() -> None:
    """Give all cached blocks that no tensor uses back to CANN, on every device in use."""
    if _native.is_initialized():
        _native.empty_cache()


def ipc_collect() -> None:
    """Give back the memory of tensors that other processes received, where those are done with it."""
    from torch_npu import _sharing

    _lazy_init()
    _sharing.collect()


def empty_virt_addr_cache() -> None:
    """Give cached memory back, as empty_cache: address space is not cached apart from it here."""
    empty_cache()


def empty_host_cache() -> None:
    """Give pinned host memory that no tensor uses back to the system."""
    if _native.is_initialized():
        _native.empty_host_cache()


def host_memory_stats() -> "OrderedDict[str, int]":
    """Counters of pinned host memory, "allocated_bytes.all.current" and so on; empty before first use."""
    if not _native.is_initialized():
        return OrderedDict()
    return OrderedDict(sorted(json.loads(_native.host_memory_stats()).items()))


def host_memory_stats_as_nested_dict() -> Dict[str, Any]:
    """The counters of host_memory_stats as a tree."""
    return _nested(host_memory_stats())


def reset_peak_host_memory_stats() -> None:
    """Let every peak of pinned host memory start again from the current value."""
    _native.reset_host_memory_stats(True)


def reset_accumulated_host_memory_stats() -> None:
    """Let every accumulating counter of pinned host memory start again from 0."""
    _native.reset_host_memory_stats(False)


def memory_snapshot() -> List[Dict[str, Any]]:
    """One entry per device in use with the sums that memory_stats has; blocks are not listed one by one."""
    from torch_npu.npu.devices import device_count

    entries = []
    for index in range(device_count() if _native.is_initialized() else 0):
        stats = memory_stats(index)
        sizes = {
            "total_size": stats.get("reserved_bytes.all.current", 0),
            "allocated_size": stats.get("allocated_bytes.all.current", 0),
        }
        if sizes["total_size"]:
            entries.append({"device": index, "segments": stats.get("segment.all.current", 0), **sizes})
    return entries


# The names of torch 1.3 and before; CUDA keeps them, too.
memory_cached = memory_reserved
max_memory_cached = max_memory_reserved
reset_max_memory_allocated = reset_peak_memory_stats
reset_max_memory_cached = reset_peak_memory_stats
host_empty_cache = empty_host_cache

_fractions: Dict[int, float] = {}


def get_per_process_memory_fraction(device: Device = None) -> float:
    """What set_per_process_memory_fraction was told for the device; 1.0 unless set."""
    return _fractions.get(device_index(device), 1.0)


def set_per_process_memory_fraction(fraction: float, device: Device = None) -> None:
    """Limit this process to a fraction in (0, 1] of the device's total memory; beyond it is out of memory."""
    if not isinstance(fraction, float):
        raise TypeError(f"fraction must be a float, got {type(fraction).__name__}")
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be greater than 0 and at most 1, got {fraction}")
    _lazy_init()
    _native.set_memory_fraction(device_index(device), fraction)
    _fractions[device_index(device)] = fraction


def caching_allocator_alloc(size: int, device: Device = None, stream: Optional[Any] = None) -> int:
    """Allocate `size` bytes for use on `stream` (default: the current one); the address on the device.

    Give the address back with caching_allocator_delete.
    """
    _lazy_init()
    index = device_index(device)
    stream_id = _native.current_stream(index) if stream is None else stream.stream_id
    return int(_native.caching_allocator_alloc(index, size, stream_id))


def caching_allocator_delete(mem_ptr: int) -> None:
    """Free what caching_allocator_alloc returned."""
    _native.caching_allocator_free(mem_ptr)


_SUMMARY = (
    ("Allocated memory", "allocated_bytes"),
    ("Reserved memory", "reserved_bytes"),
    ("Allocations", "allocation"),
    ("Segments", "segment"),
)


def memory_summary(device: Device = None, abbreviated: bool = False) -> str:
    """The counters as a table to print; `abbreviated` leaves out the counts of blocks and segments."""
    index = device_index(device)
    stats = memory_stats(index)
    rows = [("", "current", "peak", "allocated", "freed")]
    for title, metric in _SUMMARY[:2] if abbreviated else _SUMMARY:
        show = _show_bytes if metric.endswith("_bytes") else str
        values = (stats.get(f"{metric}.all.{column}", 0) for column in rows[0][1:])
        rows.append((title, *(show(value) for value in values)))
    lines = [f"| {row[0]:<16} | " + " | ".join(f"{cell:>11}" for cell in row[1:]) + " |" for row in rows]
    retries, ooms = stats.get("num_alloc_retries", 0), stats.get("num_ooms", 0)
    heading = f"NPU {index}: out of memory {ooms} times, cache emptied to serve a request {retries} times"
    rule = "-" * len(lines[0])
    return "\n".join([heading, rule, lines[0], rule, *lines[1:], rule])


def _show_bytes(size: int) -> str:
    value = float(size)
    for unit in ("B", "KiB", "MiB"):
        if abs(value) < 10240:
            return f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.0f} GiB"
