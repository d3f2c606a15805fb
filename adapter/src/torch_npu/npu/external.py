"""Streams and events that others wait for or made: ExternalEvent, ExternalStream, SyncLaunchStream."""

from __future__ import annotations

import ctypes
import weakref
from typing import Any, Optional

from torch_npu import _cann, _native
from torch_npu.npu.devices import Device
from torch_npu.npu.streams import Stream, current_stream

_ACL_EVENT_EXTERNAL = 0x20


class ExternalEvent:
    """A mark that one stream sets and another waits for, again and again: record, wait, reset.

    In the capture of a graph a wait or a record belongs to the graph, whose replays then wait for what others
    record, or record for others.
    """

    def __init__(self) -> None:
        self._event: Optional[ctypes.c_void_p] = None
        self._recorded = False

    def record(self, stream: Optional[Any] = None) -> None:
        """Set the mark at the end of the work queued so far on `stream` (default: the current one)."""
        self._call("aclrtRecordEvent", stream)
        self._recorded = True

    def wait(self, stream: Optional[Any] = None) -> None:
        """Let work queued on `stream` from now on wait for the mark."""
        chosen = current_stream() if stream is None else stream
        captured = _native.is_captured(chosen.device_index, chosen.stream_id)
        if not captured and not self._recorded:
            raise RuntimeError("this ExternalEvent was not recorded since it was made or reset")
        _cann.call("aclrtStreamWaitEvent", ctypes.c_void_p(chosen.npu_stream), self._handle())

    def reset(self, stream: Optional[Any] = None) -> None:
        """Forget the mark where `stream` gets there; work that waits for it already is not changed."""
        chosen = current_stream() if stream is None else stream
        self._call("aclrtResetEvent", chosen)
        if not _native.is_captured(chosen.device_index, chosen.stream_id):
            self._recorded = False

    def _call(self, name: str, stream: Optional[Any]) -> None:
        chosen = current_stream() if stream is None else stream
        _cann.call(name, self._handle(), ctypes.c_void_p(chosen.npu_stream))

    def _handle(self) -> ctypes.c_void_p:
        """CANN's event, made when it is first used."""
        if self._event is None:
            event = ctypes.c_void_p()
            flag = ctypes.c_uint32(_ACL_EVENT_EXTERNAL)
            _cann.call("aclrtCreateEventExWithFlag", ctypes.byref(event), flag)
            self._event = event
            weakref.finalize(self, _cann.call, "aclrtDestroyEvent", event).atexit = False
        return self._event

    def __repr__(self) -> str:
        return f"<torch.npu.ExternalEvent {'recorded' if self._recorded else 'not recorded'}>"


class SyncLaunchStream(Stream):
    """A stream for work that is launched at once. This adapter queues nothing before CANN: a plain stream."""


class ExternalStream:
    """A stream that other code made, by its handle; refused."""

    def __init__(self, stream_ptr: int, device: Device = None) -> None:
        raise NotImplementedError(
            "ExternalStream: this adapter orders memory and events by its own streams. Let the other code "
            "use the handle torch.npu.current_stream().npu_stream instead"
        )


get_stream_from_external = ExternalStream
