"""Streams and events, and which stream is current.

torch 2.6 and later have device-generic torch.Stream and torch.Event, which the native library serves; earlier
ones get classes over the library's operators. Either way a stream is named by (device, stream_id), and
stream_id 0 is the default stream.
"""

from typing import Any, Optional

import torch

from torch_npu import _native
from torch_npu.npu.devices import Device, device_index

if tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 6):
    from torch_npu.npu._streams_generic import Event, Stream
else:
    from torch_npu.npu._streams_ops import Event, Stream  # type: ignore[assignment]

__all__ = ["Event", "Stream", "StreamContext", "current_stream", "default_stream", "set_stream", "stream"]


def current_stream(device: Device = None) -> Stream:
    """The calling thread's current stream of `device` (default: the current device)."""
    index = device_index(device)
    return Stream(torch.device("npu", index), stream_id=_native.current_stream(index))


def default_stream(device: Device = None) -> Stream:
    """The stream that is current unless another was set."""
    return Stream(torch.device("npu", device_index(device)), stream_id=0)


def set_stream(stream: Optional[Stream]) -> None:
    """Make `stream` and its device current for the calling thread; None changes nothing.

    Prefer `with torch.npu.stream(s):`, which restores the stream that was current before.
    """
    if stream is not None:
        _native.set_device(stream.device.index)
        _native.set_stream(stream.device.index, stream.stream_id)


class StreamContext:
    """Context manager that makes a stream, and its device, current for the calling thread; or None."""

    def __init__(self, stream: Optional[Stream]) -> None:
        self.stream = stream

    def __enter__(self) -> "StreamContext":
        if self.stream is not None:
            self._device = self.stream.device.index
            self._previous_stream = _native.current_stream(self._device)
            self._previous_device = _native.exchange_device(self._device)
            _native.set_stream(self._device, self.stream.stream_id)
        return self

    def __exit__(self, *exc_info: Any) -> None:
        if self.stream is not None:
            _native.set_stream(self._device, self._previous_stream)
            _native.set_device(self._previous_device)


def stream(stream: Optional[Stream]) -> StreamContext:
    """`with torch.npu.stream(s):` queues work on `s`."""
    return StreamContext(stream)
