"""Streams and events that others wait for or made: ExternalEvent, ExternalStream, SyncLaunchStream."""

from __future__ import annotations

from typing import Any, Optional

from torch_npu.npu.devices import Device
from torch_npu.npu.streams import Event, Stream, current_stream


class ExternalEvent:
    """A mark that one stream sets and another waits for, again and again: record, wait, reset."""

    def __init__(self) -> None:
        self._event: Optional[Any] = None

    def record(self, stream: Optional[Any] = None) -> None:
        """Set the mark at the end of the work queued so far on `stream` (default: the current one)."""
        self._event = Event()
        self._event.record(current_stream() if stream is None else stream)

    def wait(self, stream: Optional[Any] = None) -> None:
        """Let work queued on `stream` from now on wait for the mark that was recorded last."""
        if self._event is None:
            raise RuntimeError("this ExternalEvent was not recorded since it was made or reset")
        self._event.wait(current_stream() if stream is None else stream)

    def reset(self, stream: Optional[Any] = None) -> None:
        """Forget the mark. Work that waits for it already is not changed."""
        self._event = None

    def __repr__(self) -> str:
        return f"<torch.npu.ExternalEvent {'recorded' if self._event else 'not recorded'}>"


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
