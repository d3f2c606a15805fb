"""Stream and Event for torch before 2.6, whose torch.Stream and torch.Event serve CUDA only."""

import weakref
from typing import Any, Optional

import torch

from torch_npu import _native
from torch_npu.npu.devices import Device, device_index


class Stream:
    """A queue of work on one device, in order; different streams run side by side.

    `device` defaults to the current one; `priority` below 0 asks for a high-priority stream. With `stream_id`
    it names an existing stream instead of taking one from the pool.
    """

    def __init__(self, device: Device = None, priority: int = 0, *, stream_id: Optional[int] = None) -> None:
        self.device_index = device_index(device)
        self.device = torch.device("npu", self.device_index)
        if stream_id is None:
            stream_id = _native.stream_from_pool(self.device_index, priority)
        self.stream_id = int(stream_id)

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

    def wait_event(self, event: "Event") -> None:
        """Let work queued from now on wait for `event`."""
        event.wait(self)

    def wait_stream(self, stream: "Stream") -> None:
        """Let work queued from now on wait for what is queued on `stream` now."""
        self.wait_event(stream.record_event())

    def record_event(self, event: Optional["Event"] = None) -> "Event":
        """Record `event`, or a new one, at the end of the work queued so far, and return it."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stream):
            return NotImplemented
        return (self.device_index, self.stream_id) == (other.device_index, other.stream_id)

    def __hash__(self) -> int:
        return hash((self.device_index, self.stream_id))

    def __repr__(self) -> str:
        return f"torch.npu.Stream(device={self.device}, stream_id={self.stream_id})"


class Event:
    """A mark in a stream: others can wait for it, and two with `enable_timing` measure the time between them.

    `blocking` and `interprocess` are accepted as torch.cuda.Event has them; `interprocess` must be False.
    """

    def __init__(
        self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> None:
        if interprocess:
            raise ValueError("npu events cannot be shared between processes; use interprocess=False")
        self._timing = enable_timing
        self._handle: Optional[int] = None  # made when first recorded: only then is the device known
        self.device: Optional[torch.device] = None

    def record(self, stream: Optional[Any] = None) -> None:
        """Mark the end of the work queued so far on `stream` (default: the current one)."""
        index = device_index() if stream is None else stream.device.index
        stream_id = _native.current_stream(index) if stream is None else stream.stream_id
        if self._handle is None:
            self.device = torch.device("npu", index)
            self._handle = _native.event_create(index, self._timing)
            # Not at exit: the library frees what is left when it shuts down.
            weakref.finalize(self, _native.event_destroy, self._handle).atexit = False
        elif self.device is not None and self.device.index != index:
            raise RuntimeError(f"this event belongs to {self.device} and cannot be recorded on npu:{index}")
        _native.event_record(self._handle, stream_id)

    def wait(self, stream: Optional[Any] = None) -> None:
        """Let work queued on `stream` (default: the current one) from now on wait for this event."""
        if self._handle is None:
            return
        index = device_index() if stream is None else stream.device.index
        stream_id = _native.current_stream(index) if stream is None else stream.stream_id
        _native.event_block(self._handle, index, stream_id)

    def query(self) -> bool:
        """Whether the event was reached; one that was never recorded counts as reached."""
        return self._handle is None or bool(_native.event_query(self._handle))

    def synchronize(self) -> None:
        """Wait until the event was reached."""
        if self._handle is not None:
            _native.event_synchronize(self._handle)

    def elapsed_time(self, end_event: "Event") -> float:
        """Milliseconds from this event to `end_event`; both need enable_timing and must be reached."""
        if not (self._timing and end_event._timing):
            raise ValueError("both events must be created with enable_timing=True")
        if self._handle is None or end_event._handle is None:
            raise ValueError("both events must be recorded before the time between them is asked for")
        return float(_native.event_elapsed_time(self._handle, end_event._handle))
