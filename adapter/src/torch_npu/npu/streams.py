"""Streams and events, and which is current. A stream is named by (device, stream_id); 0 is the default."""

from typing import Any, Optional

import torch

from torch_npu import _native
from torch_npu.npu._events import DEVICE_GENERIC, Event
from torch_npu.npu.devices import Device, device_index

if not _native.OWN_DEVICE_TYPE:
    from torch_npu import _torch1

__all__ = ["Event", "Stream", "StreamContext", "current_stream", "default_stream", "set_stream", "stream"]

_PRIVATE_USE_1 = 20  # c10::DeviceType::PrivateUse1


class Stream(torch.Stream):  # torch's class only carries the name, which its operators need, before 2.6
    """A queue of work on one device, in order; different streams run side by side.

    `device` defaults to the current one; `priority` below 0 asks for a high-priority stream. With `stream_id`
    it names an existing stream instead of taking one from the pool.
    """

    def __new__(
        cls, device: Device = None, priority: int = 0, *, stream_id: Optional[int] = None
    ) -> "Stream":
        index = device_index(device)
        if stream_id is None:
            stream_id = _native.stream_from_pool(index, priority)
        made: Stream
        if _native.OWN_DEVICE_TYPE:
            made = super().__new__(  # type: ignore[assignment]
                cls, stream_id=stream_id, device_index=index, device_type=_PRIVATE_USE_1
            )
        else:
            made = super().__new__(cls, _cdata=_torch1.packed_stream(stream_id, index))  # type: ignore[assignment]
            made.stream_id, made.device_index = stream_id, index  # type: ignore[misc]
        return made

    if not _native.OWN_DEVICE_TYPE:

        @property
        def device(self) -> torch.device:
            return torch.device("npu", self.device_index)

    @property
    def npu_stream(self) -> int:
        """CANN's handle (aclrtStream) as an integer."""
        return int(_native.stream_handle(self.device_index, self.stream_id))

    def query(self) -> bool:
        """Whether all work queued so far is done."""
        return bool(_native.stream_query(self.device_index, self.stream_id))

    def synchronize(self) -> None:
        """Wait until all work queued so far is done."""
        _native.stream_synchronize(self.device_index, self.stream_id)

    def wait_event(self, event: Any) -> None:
        """Let work queued from now on wait for `event`."""
        event.wait(self)

    def wait_stream(self, other: torch.Stream) -> None:
        """Let work queued from now on wait for what is queued on `other` now."""
        event = Event()
        event.record(other)
        event.wait(self)

    def record_event(self, event: Optional[Any] = None) -> Any:
        """Record `event`, or a new one, at the end of the work queued so far, and return it."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, torch.Stream):
            return NotImplemented
        return self.device == other.device and self.stream_id == other.stream_id

    if DEVICE_GENERIC:
        __hash__ = torch.Stream.__hash__
    else:

        def __hash__(self) -> int:
            return hash((self.device_index, self.stream_id))

    def __repr__(self) -> str:
        return f"torch.npu.Stream(device={self.device}, stream_id={self.stream_id})"


def current_stream(device: Device = None) -> Stream:
    """The calling thread's current stream of `device` (default: the current device)."""
    index = device_index(device)
    return Stream(index, stream_id=_native.current_stream(index))


def default_stream(device: Device = None) -> Stream:
    """The stream that is current unless another was set."""
    return Stream(device, stream_id=0)


def set_stream(stream: Optional[torch.Stream]) -> None:
    """Make `stream` and its device current for the calling thread; None changes nothing.

    Prefer `with torch.npu.stream(s):`, which restores the stream that was current before.
    """
    if stream is not None:
        _native.set_device(stream.device_index)
        _native.set_stream(stream.device_index, stream.stream_id)


class StreamContext:
    """Context manager that makes a stream and its device current for the calling thread; or None."""

    def __init__(self, stream: Optional[torch.Stream]) -> None:
        self.stream = stream

    def __enter__(self) -> "StreamContext":
        if self.stream is not None:
            self._device = self.stream.device_index
            self._previous_stream = _native.current_stream(self._device)
            self._previous_device = _native.exchange_device(self._device)
            _native.set_stream(self._device, self.stream.stream_id)
        return self

    def __exit__(self, *exc_info: Any) -> None:
        if self.stream is not None:
            _native.set_stream(self._device, self._previous_stream)
            _native.set_device(self._previous_device)


def stream(stream: Optional[torch.Stream]) -> StreamContext:
    """`with torch.npu.stream(s):` queues work on `s`."""
    return StreamContext(stream)
