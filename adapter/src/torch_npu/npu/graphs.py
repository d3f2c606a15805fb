"""Graphs: what a stream was given, captured once and run again, on the same memory."""

from __future__ import annotations

import ctypes
import gc
import itertools
import threading
from typing import Any, Optional, Tuple, Union

import torch

from torch_npu import _cann, _native
from torch_npu.npu.devices import current_device, synchronize
from torch_npu.npu.memory import empty_cache
from torch_npu.npu.streams import Stream, StreamContext, current_stream

__all__ = [
    "NPUGraph",
    "graph",
    "graph_pool_handle",
    "graph_task_group_begin",
    "graph_task_group_end",
    "graph_task_update_begin",
    "graph_task_update_end",
    "is_current_stream_capturing",
    "make_graphed_callables",
]

Pool = Tuple[int, int]
_MODES = {"global": 0, "thread_local": 1, "relaxed": 2}
_pools = itertools.count(1)
_lock = threading.Lock()
#: What each thread captures: thread -> (device, mode).
_captures: dict[int, tuple[int, str]] = {}


def is_current_stream_capturing() -> bool:
    """Whether work that is queued on the current stream is captured, by whoever called CANN for it."""
    if not _native.is_initialized():
        return False
    status, model = ctypes.c_int(0), ctypes.c_void_p()
    stream = ctypes.c_void_p(current_stream().npu_stream)
    try:
        _cann.call("aclmdlRICaptureGetInfo", stream, ctypes.byref(status), ctypes.byref(model))
    except NotImplementedError:  # a CANN without graphs captures nothing
        return False
    return status.value == 1


def _expect_room(device: int, mode: str) -> bool:
    """RuntimeError where a capture would spoil another, or be spoiled; whether there is no other at all.

    Two threads can capture on one device if both have asked for it.
    """
    alone = True
    for thread, (other, other_mode) in _captures.items():
        if other != device:
            continue
        alone = False
        own = thread == threading.get_ident()
        if own or "global" in (mode, other_mode):
            who, how = (
                ("this", "") if own else ("another", ", or begin both with capture_error_mode='thread_local'")
            )
            raise RuntimeError(
                f"NPUGraph.capture_begin: {who} thread is capturing a graph on npu:{device} already; end "
                f"that capture first{how}"
            )
    return alone


def graph_pool_handle() -> Pool:
    """A pool of memory that several graphs can share: `pool=` of their captures."""
    return (0, next(_pools))


class NPUGraph:
    """A graph: captured between capture_begin and capture_end, run by replay.

    Tensors that are made in a capture keep their memory for the graph's life; a replay reads and writes the
    same addresses. `with torch.npu.graph(g):` captures more comfortably.
    """

    def __init__(self, keep_graph: bool = False) -> None:
        self._graph = 0
        self._device = -1
        self._stream = -1
        self._pool: Optional[Pool] = None
        self._capturing = False

    def capture_begin(
        self, pool: Union[Pool, NPUGraph, None] = None, capture_error_mode: str = "global", **_options: Any
    ) -> None:
        """Begin to capture the current stream. `pool`: of graph_pool_handle(), or another graph's pool()."""
        if capture_error_mode not in _MODES:
            raise ValueError(
                f"capture_error_mode: expected one of {', '.join(map(repr, _MODES))}, "
                f"but got {capture_error_mode!r}"
            )
        if self._graph or self._capturing:
            raise RuntimeError(
                "NPUGraph.capture_begin: this graph holds a capture already; make another NPUGraph"
            )
        if isinstance(pool, NPUGraph):
            pool = pool.pool()
        device = current_device()
        stream = _native.current_stream(device)
        self._enter(device, capture_error_mode)
        chosen = pool or graph_pool_handle()
        try:
            _native.capture_begin(device, stream, _MODES[capture_error_mode], chosen[1])
        except BaseException:
            self._leave()
            raise
        self._device, self._stream, self._pool, self._capturing = device, stream, chosen, True

    @staticmethod
    def _enter(device: int, mode: str) -> None:
        with _lock:
            _expect_room(device, mode)
            _captures[threading.get_ident()] = (device, mode)

    @staticmethod
    def _leave() -> None:
        with _lock:
            _captures.pop(threading.get_ident(), None)

    def capture_end(self) -> None:
        """End the capture; the stream must be the one that it began on."""
        if not self._capturing:
            raise RuntimeError("NPUGraph.capture_end: no capture was begun with this graph")
        self._capturing = False
        try:
            self._graph = _native.capture_end(self._device, self._stream)
        except BaseException:
            self._release()
            raise
        finally:
            self._leave()

    def replay(self) -> None:
        """Run what was captured, on the current stream."""
        if not self._graph:
            raise RuntimeError("Called NPUGraph::replay without a preceding successful capture.")
        _native.graph_replay(self._graph, self._device, _native.current_stream(self._device))

    def reset(self) -> None:
        """Give the graph up; its memory can be used for other things once its tensors are gone."""
        captured, self._graph = self._graph, 0
        if captured:
            try:
                _native.graph_destroy(captured, self._device)
            finally:
                self._release()

    def _release(self) -> None:
        if self._pool is not None:
            pool, self._pool = self._pool, None
            _native.pool_release(self._device, pool[1])

    def pool(self) -> Pool:
        """The pool of the graph's memory, for the captures of others."""
        if self._pool is None:
            raise RuntimeError("Called NPUGraph::pool() without a preceding successful capture.")
        return self._pool

    def enable_debug_mode(self) -> None:
        """Accepted: debug_dump works without it."""

    def debug_dump(self, debug_path: str) -> None:
        """Write what the graph consists of to a file, as JSON."""
        if not self._graph:
            raise RuntimeError("Called NPUGraph::debug_dump without a preceding successful capture.")
        path = ctypes.c_char_p(str(debug_path).encode())
        _cann.call("aclmdlRIDebugJsonPrint", ctypes.c_void_p(self._graph), path, ctypes.c_uint32(0))

    def __del__(self) -> None:
        if self._graph:
            try:
                self.reset()
            except Exception:  # the device is gone, or the interpreter ends
                self._graph = 0


class graph:  # noqa: N801  (the name that programs use)
    """`with torch.npu.graph(g):` captures what its block queues into `g`, on a stream of its own."""

    default_capture_stream: Optional[Stream] = None

    def __init__(
        self,
        npu_graph: NPUGraph,
        pool: Union[Pool, NPUGraph, None] = None,
        stream: Optional[torch.Stream] = None,
        capture_error_mode: str = "global",
        **_options: Any,
    ) -> None:
        if stream is None:
            made = self.__class__.default_capture_stream
            if made is None or made.device_index != current_device():
                made = self.__class__.default_capture_stream = Stream()
            stream = made
        self.npu_graph = npu_graph
        self.capture_stream = stream
        self._context = StreamContext(stream)
        self._pool, self._mode = pool, capture_error_mode

    def __enter__(self) -> None:
        with _lock:
            alone = _expect_room(self.capture_stream.device_index, self._mode)
        gc.collect()  # a tensor that is freed in the capture would wait for its end
        if alone:
            synchronize()
            empty_cache()
        else:  # a captured stream, and so the device, cannot be waited for
            current_stream().synchronize()
        self._context.__enter__()
        try:
            self.npu_graph.capture_begin(self._pool, self._mode)
        except BaseException as error:
            self._context.__exit__(type(error), error, error.__traceback__)
            raise

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            self.npu_graph.capture_end()
        except RuntimeError:
            if error is None:  # else the block's own error says more
                raise
        finally:
            self._context.__exit__(kind, error, trace)


def make_graphed_callables(
    callables: Any,
    sample_args: Any,
    num_warmup_iters: int = 3,
    allow_unused_input: bool = False,
    pool: Optional[Pool] = None,
) -> Any:
    """Functions or modules that run as graphs, forward and backward; see torch.cuda.make_graphed_callables.

    The arguments of later calls must be like `sample_args`: tensors of the same shapes and dtypes.
    """
    from torch_npu.npu._graphed import graphed

    single = not isinstance(callables, tuple)
    made = graphed(
        (callables,) if single else callables,
        (sample_args,) if single else sample_args,
        num_warmup_iters,
        allow_unused_input,
        graph_pool_handle() if pool is None else pool,
    )
    return made[0] if single else made


def _task_group(name: str, stream: Any, *more: Any) -> None:
    _cann.call(name, ctypes.c_void_p(stream.npu_stream), *more)


def graph_task_group_begin(stream: Stream) -> None:
    """What `stream` is given from here on, in a capture, can be given other arguments later."""
    _task_group("aclmdlRICaptureTaskGrpBegin", stream)


def graph_task_group_end(stream: Stream) -> int:
    """The end of the group; what is returned names it."""
    handle = ctypes.c_void_p()
    _task_group("aclmdlRICaptureTaskGrpEnd", stream, ctypes.byref(handle))
    return int(handle.value or 0)


def graph_task_update_begin(stream: Stream, handle: int) -> None:
    """What `stream` is given from here on replaces the group's tasks, one after the other."""
    _task_group("aclmdlRICaptureTaskUpdateBegin", stream, ctypes.c_void_p(handle))


def graph_task_update_end(stream: Stream) -> None:
    """The end of the update."""
    _task_group("aclmdlRICaptureTaskUpdateEnd", stream)
