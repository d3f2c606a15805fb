"""Event for every torch: over torch.Event from 2.6 on, over the library's operators before."""

import weakref
from typing import Any, Optional, Tuple

import torch

from torch_npu import _native
from torch_npu.npu.devices import device_index

#: torch.Stream and torch.Event serve every device, through the native library's guard, from 2.6 on.
DEVICE_GENERIC = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 6)


def _refuse_sharing(interprocess: bool) -> None:
    if interprocess:
        raise ValueError("npu events cannot be shared between processes; use interprocess=False")


class OperatorEvent:
    """A mark in a stream: others can wait for it, and two with `enable_timing` measure the time between them.

    `blocking` and `interprocess` are accepted as torch.cuda.Event has them; `interprocess` must be False.
    """

    def __init__(
        self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> None:
        _refuse_sharing(interprocess)
        self._timing = enable_timing
        self._handle: Optional[int] = None  # made when first recorded: only then is the device known
        self.device: Optional[torch.device] = None

    def record(self, stream: Optional[Any] = None) -> None:
        """Mark the end of the work queued so far on `stream` (default: the current one)."""
        index, stream_id = _name(stream)
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
        if self._handle is not None:
            _native.event_block(self._handle, *_name(stream))

    def query(self) -> bool:
        """Whether the event was reached; one that was never recorded counts as reached."""
        return self._handle is None or bool(_native.event_query(self._handle))

    def synchronize(self) -> None:
        """Wait until the event was reached."""
        if self._handle is not None:
            _native.event_synchronize(self._handle)

    def elapsed_time(self, end_event: "OperatorEvent") -> float:
        """Milliseconds from this event to `end_event`; both need enable_timing and must be reached."""
        return _elapsed(self, end_event, self._handle, end_event._handle)


def _elapsed(start: Any, end: Any, start_handle: Optional[int], end_handle: Optional[int]) -> float:
    if not (start._timing and getattr(end, "_timing", True)):
        raise ValueError("both events must be created with enable_timing=True")
    if not (start_handle and end_handle):
        raise ValueError("both events must be recorded before the time between them is asked for")
    return float(_native.event_elapsed_time(start_handle, end_handle))


def _name(stream: Optional[Any]) -> Tuple[int, int]:
    if stream is not None:
        return stream.device_index, stream.stream_id
    index = device_index()
    return index, int(_native.current_stream(index))


if DEVICE_GENERIC:

    class Event(torch.Event):
        __doc__ = OperatorEvent.__doc__

        def __new__(
            cls, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
        ) -> "Event":
            _refuse_sharing(interprocess)
            made: Event = super().__new__(  # type: ignore[assignment]
                cls, torch.device("npu"), enable_timing=enable_timing, blocking=blocking
            )
            made._timing = enable_timing
            return made

        def elapsed_time(self, end_event: torch.Event) -> float:
            """Milliseconds from this event to `end_event`; both need enable_timing and must be reached."""
            # torch's own takes no subclass of torch.Event.
            return _elapsed(self, end_event, self.event_id, end_event.event_id)

else:
    Event = OperatorEvent  # type: ignore[assignment, misc]
