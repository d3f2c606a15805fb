"""Stream and Event for torch 2.6 and later: torch.Stream and torch.Event, bound to `npu`."""

from typing import Any, Optional

import torch

from torch_npu import _native
from torch_npu.npu.devices import Device, device_index

_PRIVATE_USE_1 = int(torch._C._autograd.DeviceType.PrivateUse1)


class Stream(torch.Stream):
    """A queue of work on one device, in order; different streams run side by side.

    `device` defaults to the current one; `priority` below 0 asks for a high-priority stream. With `stream_id`
    it names an existing stream instead of taking one from the pool.
    """

    def __new__(
        cls, device: Device = None, priority: int = 0, *, stream_id: Optional[int] = None, **packed: Any
    ) -> "Stream":
        index = packed.get("device_index")  # how torch itself names a stream that exists
        index = device_index(device) if index is None else index
        if stream_id is None:
            stream_id = _native.stream_from_pool(index, priority)
        made: Stream = super().__new__(  # type: ignore[assignment]
            cls, stream_id=stream_id, device_index=index, device_type=_PRIVATE_USE_1
        )
        return made

    @property
    def npu_stream(self) -> int:
        """CANN's handle (aclrtStream) as an integer."""
        return int(_native.stream_handle(self.device.index, self.stream_id))

    def record_event(self, event: Optional[torch.Event] = None) -> torch.Event:
        """Record `event`, or a new one, at the end of the work queued so far, and return it."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def __repr__(self) -> str:
        return f"torch.npu.Stream(device={self.device}, stream_id={self.stream_id})"


class Event(torch.Event):
    """A mark in a stream: others can wait for it, and two with `enable_timing` measure the time between them.

    `blocking` and `interprocess` are accepted as torch.cuda.Event has them; `interprocess` must be False.
    """

    def __new__(
        cls, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> "Event":
        if interprocess:
            raise ValueError("npu events cannot be shared between processes; use interprocess=False")
        made: Event = super().__new__(  # type: ignore[assignment]
            cls, torch.device("npu"), enable_timing=enable_timing, blocking=blocking
        )
        return made
