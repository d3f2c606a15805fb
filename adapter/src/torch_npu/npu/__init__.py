"""The device module `torch.npu`: devices, streams, memory, random numbers and mixed precision on NPUs.

What programs use seldom is imported when it is first asked for, so that `import torch_npu` stays short.
"""

import importlib
from typing import Any, List

import torch

from torch_npu.npu import amp
from torch_npu.npu.amp import (
    get_amp_supported_dtype,
    get_autocast_dtype,
    is_autocast_enabled,
    set_autocast_dtype,
    set_autocast_enabled,
)
from torch_npu.npu.devices import (
    NpuDeviceProperties,
    current_device,
    device,
    device_count,
    device_of,
    get_device_capability,
    get_device_name,
    get_device_properties,
    init,
    is_available,
    is_bf16_supported,
    is_initialized,
    set_device,
    synchronize,
)
from torch_npu.npu.devices import _is_in_bad_fork as _is_in_bad_fork
from torch_npu.npu.devices import _lazy_init as _lazy_init
from torch_npu.npu.memory import (
    caching_allocator_alloc,
    caching_allocator_delete,
    empty_cache,
    empty_host_cache,
    empty_virt_addr_cache,
    get_per_process_memory_fraction,
    host_empty_cache,
    host_memory_stats,
    host_memory_stats_as_nested_dict,
    ipc_collect,
    max_memory_allocated,
    max_memory_cached,
    max_memory_reserved,
    mem_get_info,
    memory_allocated,
    memory_cached,
    memory_reserved,
    memory_snapshot,
    memory_stats,
    memory_stats_as_nested_dict,
    memory_summary,
    reset_accumulated_host_memory_stats,
    reset_accumulated_memory_stats,
    reset_max_memory_allocated,
    reset_max_memory_cached,
    reset_peak_host_memory_stats,
    reset_peak_memory_stats,
    set_per_process_memory_fraction,
)
from torch_npu.npu.random import default_generators as _default_generators
from torch_npu.npu.random import (
    get_rng_state,
    get_rng_state_all,
    initial_seed,
    manual_seed,
    manual_seed_all,
    seed,
    seed_all,
    set_rng_state,
    set_rng_state_all,
)
from torch_npu.npu.streams import (
    Event,
    Stream,
    StreamContext,
    current_stream,
    default_stream,
    set_stream,
    stream,
)

#: Raised when a device has no memory left, also after the cache was emptied. One class for all devices
#: (in torch 1 the general one).
OutOfMemoryError = getattr(torch, "OutOfMemoryError", None) or getattr(
    torch.cuda, "OutOfMemoryError", RuntimeError
)

#: Names by the module that has them, imported when the first of them is asked for.
_LATER = {
    "external": "ExternalEvent ExternalStream SyncLaunchStream get_stream_from_external",
    "graphs": (
        "NPUGraph graph graph_pool_handle graph_task_group_begin graph_task_group_end "
        "graph_task_update_begin graph_task_update_end is_current_stream_capturing "
        "make_graphed_callables"
    ),
    "health": (
        "can_device_access_peer check_uce_in_memory clear_npu_overflow_flag current_blas_handle "
        "get_npu_overflow_flag obfuscation_calculate obfuscation_finalize obfuscation_initialize "
        "restart_device stop_device stress_detect utilization"
    ),
    "mstx": "mstx",
    "options": (
        "CubeMathType are_compatible_impl_enabled config conv "
        "disable_deterministic_with_backward enable_deterministic_with_backward finalize_dump "
        "get_device_limit get_mm_bmm_format_nd get_options get_stream_limit get_sync_debug_mode "
        "get_task_queue_enable init_dump is_jit_compile_false matmul reset_stream_limit set_aoe "
        "set_compile_mode set_deterministic_level set_device_limit set_dump set_mm_bmm_format_nd "
        "set_op_timeout_ms set_option set_stream_limit set_sync_debug_mode set_task_queue_enable "
        "use_compatible_impl"
    ),
    "pools": (
        "MemPool MemPoolContext NPUPluggableAllocator change_current_allocator "
        "get_allocator_backend use_mem_pool"
    ),
}
_MODULE_OF = {name: module for module, names in _LATER.items() for name in names.split()}
#: What torch.cuda has, and why this device module does not.
_NOT_HERE = {
    reason: names.split()
    for names, reason in (
        (
            "cudart cudaStatus CudaError check_error DeferredCudaCallError",
            "it is CUDA's own interface; torch.npu raises RuntimeError with CANN's text",
        ),
        (
            "CUDAGraph CUDAPluggableAllocator GreenContext graphs",
            "of graphs and allocators there are NPUGraph and NPUPluggableAllocator",
        ),
        ("export_dot export_graph_data graph_annotations", "it shows what is in a graph of CUDA's"),
        (
            "get_arch_list get_gencode_flags is_tf32_supported has_half has_magma",
            "it says how CUDA was compiled in",
        ),
        (
            "jiterator nccl nvtx sparse tunable profiler current_solver_handle",
            "it is a library of CUDA's; for ranges there is mstx, for profiles torch_npu.profiler",
        ),
        (
            "temperature power_draw clock_rate list_gpu_processes memory_usage device_memory_used",
            "ask `npu-smi info`; utilization() and mem_get_info() are here",
        ),
        ("caching_allocator_enable caching_allocator_disabled", "the cache cannot be switched off"),
        (
            "super_kernel_scope_begin super_kernel_scope_end register_npu_graph_handler NpuGraphOpHandler",
            "it steers a compiler of graphs that this adapter does not have",
        ),
        ("npurt", "it is the published package's own interface to CANN's runtime"),
    )
}

__all__ = [
    "Event",
    "NpuDeviceProperties",
    "OutOfMemoryError",
    "Stream",
    "StreamContext",
    "amp",
    "caching_allocator_alloc",
    "caching_allocator_delete",
    "current_device",
    "current_stream",
    "default_generators",
    "default_stream",
    "device",
    "device_count",
    "device_of",
    "empty_cache",
    "empty_host_cache",
    "empty_virt_addr_cache",
    "get_amp_supported_dtype",
    "get_autocast_dtype",
    "get_device_capability",
    "get_device_name",
    "get_device_properties",
    "get_per_process_memory_fraction",
    "get_rng_state",
    "get_rng_state_all",
    "host_empty_cache",
    "host_memory_stats",
    "host_memory_stats_as_nested_dict",
    "init",
    "initial_seed",
    "ipc_collect",
    "is_autocast_enabled",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_cached",
    "max_memory_reserved",
    "mem_get_info",
    "memory_allocated",
    "memory_cached",
    "memory_reserved",
    "memory_snapshot",
    "memory_stats",
    "memory_stats_as_nested_dict",
    "memory_summary",
    "reset_accumulated_host_memory_stats",
    "reset_accumulated_memory_stats",
    "reset_max_memory_allocated",
    "reset_max_memory_cached",
    "reset_peak_host_memory_stats",
    "reset_peak_memory_stats",
    "seed",
    "seed_all",
    "set_autocast_dtype",
    "set_autocast_enabled",
    "set_device",
    "set_per_process_memory_fraction",
    "set_rng_state",
    "set_rng_state_all",
    "set_stream",
    "stream",
    "synchronize",
    *sorted(_MODULE_OF),
]


def __getattr__(name: str) -> Any:
    if name == "default_generators":  # asked for late: counting devices opens CANN
        return _default_generators()
    if name == "_initialized":  # torch.utils.checkpoint reads it to know whether there is a state to keep
        return is_initialized()
    if name == "utils":
        return importlib.import_module(f"{__name__}.utils")
    if name in _MODULE_OF:
        # Through the dictionary: a module may have the name of what it holds, and is an attribute then.
        value = vars(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"))[name]
    elif name.endswith(("Tensor", "Storage")):
        value = _legacy_type(name)
    else:
        reason = next((reason for reason, names in _NOT_HERE.items() if name in names), None)
        raise AttributeError(
            f"module 'torch.npu' has no attribute {name!r}"
            if reason is None
            else f"torch.npu has no {name}: {reason}"
        )
    globals()[name] = value
    return value


def _legacy_type(name: str) -> type:
    from torch_npu.npu import tensor_types

    if name not in tensor_types.NAMES:
        raise AttributeError(f"module 'torch.npu' has no attribute {name!r}")
    return tensor_types.make(name)


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})
