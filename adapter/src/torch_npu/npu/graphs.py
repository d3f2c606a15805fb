"""Graphs: what a stream was given, captured once and run again. Capture is refused so far."""

from __future__ import annotations

import ctypes
from typing import Any, NoReturn

from torch_npu import _cann
from torch_npu.npu.streams import current_stream


def is_current_stream_capturing() -> bool:
    """Whether work that is queued on the current stream is captured, by whoever called CANN for it."""
    from torch_npu import _native

    if not _native.is_initialized():
        return False
    status, model = ctypes.c_int(0), ctypes.c_void_p()
    stream = ctypes.c_void_p(current_stream().npu_stream)
    try:
        _cann.call("aclmdlRICaptureGetInfo", stream, ctypes.byref(status), ctypes.byref(model))
    except NotImplementedError:  # a CANN without graphs captures nothing
        return False
    return status.value == 1


def _refuse(what: str) -> NoReturn:
    raise NotImplementedError(
        f"{what}: this adapter does not capture graphs yet: its allocator cannot keep the memory of a "
        "graph apart. Run the same code without the graph"
    )


class NPUGraph:
    """A captured graph; refused."""

    def __init__(self, keep_graph: bool = False) -> None:
        _refuse("NPUGraph")


class graph:  # noqa: N801  (the name that programs use)
    """`with torch.npu.graph(g):` captures into `g`; refused."""

    def __init__(self, npu_graph: Any, pool: Any = None, stream: Any = None, **options: Any) -> None:
        _refuse("graph")


def graph_pool_handle() -> NoReturn:
    """Raises NotImplementedError; see NPUGraph."""
    _refuse("graph_pool_handle")


def make_graphed_callables(*arguments: Any, **keywords: Any) -> NoReturn:
    """Raises NotImplementedError; see NPUGraph."""
    _refuse("make_graphed_callables")


def graph_task_group_begin(stream: Any) -> NoReturn:
    """Raises NotImplementedError; see NPUGraph."""
    _refuse("graph_task_group_begin")


def graph_task_group_end(stream: Any) -> NoReturn:
    """Raises NotImplementedError; see NPUGraph."""
    _refuse("graph_task_group_end")


def graph_task_update_begin(stream: Any, handle: Any) -> NoReturn:
    """Raises NotImplementedError; see NPUGraph."""
    _refuse("graph_task_update_begin")


def graph_task_update_end(stream: Any) -> NoReturn:
    """Raises NotImplementedError; see NPUGraph."""
    _refuse("graph_task_update_end")
