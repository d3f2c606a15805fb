"""Settings that programs for NPUs make: options of CANN's compiler, how products are computed, dumps, checks.

This adapter calls operators that CANN brings compiled, and always computes in the precision of the dtype. So
what chooses a compiler, a private format or a faster and less precise product has nothing to act on: it is
checked, kept, and given back when it is asked for. `get_options()` has all of them.
"""

from __future__ import annotations

import ctypes
import os
import warnings
from enum import IntEnum
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Union

from torch_npu import _cann, _native
from torch_npu.npu.devices import Device, device_index, synchronize
from torch_npu.npu.streams import Stream

Check = Union[None, tuple, Callable[[str], bool]]

#: Options whose values are known: the words, or a test of one.
_VALUES: Dict[str, Check] = {
    "ACL_PRECISION_MODE": ("allow_fp32_to_fp16", "must_keep_origin_dtype"),
    "ACL_OP_SELECT_IMPL_MODE": ("high_performance", "high_precision"),
    "ACL_AICORE_NUM": lambda text: text.isdigit() and 1 <= int(text) <= 32,
    "ACL_OP_DEBUG_LEVEL": ("0", "1", "2", "3", "4"),
    "ACL_OP_COMPILER_CACHE_MODE": ("disable", "enable", "force"),
    "MM_BMM_ND_ENABLE": ("enable", "disable"),
    "jitCompile": ("enable", "disable"),
}
_MM_BMM_ND = "MM_BMM_ND_ENABLE"
_options: Dict[str, str] = {}


def set_option(option: Dict[str, Any]) -> None:
    """Keep options of CANN's compiler by name, such as {"ACL_OP_DEBUG_LEVEL": "1"}; nothing is compiled.

    Raises TypeError when it is no dict, and ValueError, keeping none, for a value that CANN does not know.
    """
    if not isinstance(option, dict):
        raise TypeError(f"set_option takes a dict of options, got {type(option).__name__}")
    for name, value in option.items():
        known = _VALUES.get(name)
        fits = known(str(value)) if callable(known) else known is None or str(value) in known
        if not fits:
            allowed = "a number from 1 to 32" if callable(known) else f"one of {', '.join(known or ())}"
            raise ValueError(f"set_option: {name} must be {allowed}, got {value!r}")
    _options.update((name, str(value)) for name, value in option.items())


def get_options() -> Dict[str, str]:
    """All options that were set, by name."""
    return dict(_options)


def set_compile_mode(jit_compile: bool = False) -> None:
    """Whether operators are compiled for each shape; kept, as CANN's compiled ones are always used."""
    if _native.is_initialized():
        synchronize()
    set_option({"jitCompile": "enable" if jit_compile else "disable"})


def is_jit_compile_false() -> bool:
    """Whether compilation for each shape is switched off, as it is unless set_compile_mode changed it."""
    return _options.get("jitCompile", "disable") == "disable"


def set_aoe(dump_path: Union[str, Path]) -> None:
    """Make `dump_path` the folder for graphs to tune. Nothing is tuned here; the folder is made and kept."""
    try:
        os.makedirs(dump_path, exist_ok=True)
    except TypeError:
        raise TypeError(f"set_aoe takes a path, got {type(dump_path).__name__}") from None
    set_option({"autotune": "enable", "autotunegraphdumppath": os.fspath(dump_path)})


def set_mm_bmm_format_nd(is_nd: bool = True) -> None:
    """Whether products keep plain formats. They always do here; kept for get_mm_bmm_format_nd."""
    set_option({_MM_BMM_ND: "enable" if is_nd else "disable"})


def get_mm_bmm_format_nd() -> bool:
    """What set_mm_bmm_format_nd was told; True unless set."""
    return _options.get(_MM_BMM_ND, "enable") == "enable"


# ---- torch.npu.config, torch.npu.matmul, torch.npu.conv


class CubeMathType(IntEnum):
    """How a product may round. This adapter computes with KEEP_DTYPE always."""

    KEEP_DTYPE = 0
    ALLOW_FP32_DOWN_PRECISION = 1
    USE_FP16 = 2
    USE_HF32 = 3
    USE_FP32_ADD = 4


class _Switch:
    """An attribute that is True or False, kept as an option."""

    def __init__(self, option: str, default: bool) -> None:
        self._option, self._default = option, "enable" if default else "disable"

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: Optional[type] = None) -> bool:
        return _options.get(self._option, self._default) == "enable"

    def __set__(self, instance: Any, value: bool) -> None:
        if not isinstance(value, bool):
            raise TypeError(f"{self._name} must be True or False, got {value!r}")
        _options[self._option] = "enable" if value else "disable"


class _Config:
    """`torch.npu.config`. Tensors are in plain formats whatever `allow_internal_format` says."""

    allow_internal_format = _Switch("ALLOW_INTERNAL_FORMAT", False)


class _Matmul:
    """`torch.npu.matmul`. Products are computed in float32 whatever `allow_hf32` says."""

    allow_hf32 = _Switch("ALLOW_MATMUL_HF32", False)

    @property
    def cube_math_type(self) -> Optional[CubeMathType]:
        value = _options.get("CUBE_MATH_TYPE")
        return None if value is None else CubeMathType(int(value))

    @cube_math_type.setter
    def cube_math_type(self, value: CubeMathType) -> None:
        if not isinstance(value, CubeMathType):
            raise TypeError(f"cube_math_type must be a torch.npu.CubeMathType, got {value!r}")
        _options["CUBE_MATH_TYPE"] = str(int(value))


class _Conv:
    """`torch.npu.conv`. Convolutions are computed in float32 whatever `allow_hf32` says."""

    allow_hf32 = _Switch("ALLOW_CONV_HF32", True)


config = _Config()
matmul = _Matmul()
conv = _Conv()

# ---- the task queue, checks of synchronization, determinism, versions of operators

_task_queue = 1
_sync_debug_mode = 0
_compatible_impl = False


def set_task_queue_enable(mode: int) -> None:
    """Keep the level 0, 1 or 2 of the task queue. Calls go to CANN at once here, without one."""
    global _task_queue
    if mode not in (0, 1, 2):
        raise ValueError(f"the task queue has the levels 0, 1 and 2, got {mode!r}")
    _task_queue = mode


def get_task_queue_enable() -> int:
    """What set_task_queue_enable was told, else $TASK_QUEUE_ENABLE, else 1."""
    given = os.environ.get("TASK_QUEUE_ENABLE", "")
    return _task_queue if not given.isdigit() else int(given)


def set_sync_debug_mode(debug_mode: Union[int, str]) -> None:
    """Keep 0 "default", 1 "warn" or 2 "error". Waits that an operator needs are not reported yet."""
    global _sync_debug_mode
    names = {"default": 0, "warn": 1, "error": 2}
    level = names.get(debug_mode, -1) if isinstance(debug_mode, str) else debug_mode
    if level not in (0, 1, 2):
        raise ValueError(
            f'set_sync_debug_mode takes 0 to 2, "default", "warn" or "error", got {debug_mode!r}'
        )
    if level:
        warnings.warn("synchronizing operators are not reported by this adapter", stacklevel=2)
    _sync_debug_mode = level


def get_sync_debug_mode() -> int:
    """What set_sync_debug_mode was told; 0 unless set."""
    return _sync_debug_mode


def set_deterministic_level(level: int) -> None:
    """0: any order of sums; 1 and 2: repeatable results, as torch.use_deterministic_algorithms asks."""
    if level not in (0, 1, 2):
        raise ValueError(f"the deterministic level is 0, 1 or 2, got {level!r}")
    import torch

    torch.use_deterministic_algorithms(level > 0)


def enable_deterministic_with_backward(tensor: Any) -> Any:
    """The tensor: whether results repeat is switched for forward and backward at once here."""
    set_deterministic_level(1)
    return tensor


def disable_deterministic_with_backward(tensor: Any) -> Any:
    """The tensor; see enable_deterministic_with_backward."""
    set_deterministic_level(0)
    return tensor


def use_compatible_impl(is_enabled: bool) -> None:
    """Keep whether corner cases should be computed as CUDA does. They are as on the CPU here."""
    global _compatible_impl
    _compatible_impl = bool(is_enabled)


def are_compatible_impl_enabled() -> bool:
    """What use_compatible_impl was told; False unless set."""
    return _compatible_impl


# ---- dumps of operators' inputs and outputs, by CANN


def init_dump() -> None:
    """Let CANN start its dumps; set_dump says of what and where to."""
    _cann.call("aclmdlInitDump")


def set_dump(cfg_file: Union[str, Path]) -> None:
    """Let CANN dump as the JSON file `cfg_file` says: `{"dump": {"dump_path": ..., "dump_mode": "all"}}`.

    Raises FileNotFoundError when there is no such file.
    """
    path = os.path.realpath(cfg_file)
    if not os.path.exists(path):
        raise FileNotFoundError(f"set_dump: there is no configuration {path}")
    _cann.call("aclmdlSetDump", ctypes.c_char_p(os.fsencode(path)))


def finalize_dump() -> None:
    """Let CANN end its dumps and write what is left of them."""
    if _native.is_initialized():
        synchronize()
    _cann.call("aclmdlFinalizeDump")


# ---- cores that a device or a stream may use

_CORES = (("cube_core_num", 0), ("vector_core_num", 1))


def get_device_limit(device: Device = None) -> Dict[str, int]:
    """How many cores of each kind this process may use: {"cube_core_num": .., "vector_core_num": ..}."""
    index = _existing(device)
    return {name: _cann.number("aclrtGetDeviceResLimit", index, kind) for name, kind in _CORES}


def set_device_limit(device: Device, cube_num: int = -1, vector_num: int = -1) -> None:
    """Limit the cores that this process uses on a device; -1 leaves a number as it is."""
    index = _existing(device)
    for kind, count in ((0, cube_num), (1, vector_num)):
        if count != -1:
            _cann.call("aclrtSetDeviceResLimit", index, kind, ctypes.c_uint32(count))


def get_stream_limit(stream: Stream) -> Dict[str, int]:
    """How many cores of each kind the work of a stream may use."""
    handle = ctypes.c_void_p(stream.npu_stream)
    return {name: _cann.number("aclrtGetStreamResLimit", handle, kind) for name, kind in _CORES}


def set_stream_limit(stream: Stream, cube_num: int = -1, vector_num: int = -1) -> None:
    """Limit the cores that the work of a stream uses; -1 leaves a number as it is."""
    for kind, count in ((0, cube_num), (1, vector_num)):
        if count != -1:
            handle = ctypes.c_void_p(stream.npu_stream)
            _cann.call("aclrtSetStreamResLimit", handle, kind, ctypes.c_uint32(count))


def reset_stream_limit(stream: Stream) -> None:
    """Let a stream use all cores of its device's limit again."""
    _cann.call("aclrtResetStreamResLimit", ctypes.c_void_p(stream.npu_stream))


def _existing(device: Device) -> int:
    from torch_npu.npu.devices import device_count

    index = device_index(device)
    if not 0 <= index < device_count():
        raise ValueError(f"there is no device npu:{index}; this process sees {device_count()}")
    return index


def set_op_timeout_ms(timeout: int) -> None:
    """End an operator that runs longer than this many milliseconds with an error, before the first use."""
    if not isinstance(timeout, int) or timeout <= 0:
        raise ValueError(f"the time-out of an operator is a positive number of milliseconds, got {timeout!r}")
    _cann.call("aclrtSetOpExecuteTimeOut", ctypes.c_uint32(max(1, timeout // 1000)))
