"""NPU memory is not shared between processes: who sends it to another one is told so, where it is sent.

torch.multiprocessing pickles with reductions of its own, most often in the sender's thread: there the
reduction's error is enough. A multiprocessing.Queue pickles in a thread that feeds the pipe; an error there
is printed, the object is dropped, and the receiver waits for ever. So a queue pickles at `put` here, once the
process uses NPUs, and hands the bytes on.
"""

from __future__ import annotations

import functools
import multiprocessing.queues
import pickle
from multiprocessing.reduction import ForkingPickler
from typing import Any, Callable

import torch
import torch.multiprocessing.reductions

from torch_npu import _native


class NotSharedError(RuntimeError):
    """A tensor, or a storage, of an NPU was to be sent to another process."""


def register() -> None:
    """Replace torch's reductions of tensors and storages, and the queues' `put`."""
    reductions = torch.multiprocessing.reductions
    for kind, reduce in list(ForkingPickler._extra_reducers.items()):  # type: ignore[attr-defined]
        if reduce in (reductions.reduce_tensor, reductions.reduce_storage):
            ForkingPickler.register(kind, _refusing_npu(reduce))
    for queue in (multiprocessing.queues.Queue, multiprocessing.queues.JoinableQueue):
        queue.put = _pickling_first(queue.put)  # type: ignore[method-assign]


def _refusing_npu(reduce: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @functools.wraps(reduce)
    def reduce_unless_npu(value: Any) -> Any:
        if value.device.type == "npu":
            raise NotSharedError(_message(value))
        return reduce(value)

    return reduce_unless_npu


def _message(value: Any) -> str:
    what = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else "a storage"
    return (
        f"{what} on {value.device} cannot be sent to another process: processes do not share NPU memory.\n"
        "Send a copy on the CPU, tensor.cpu() (of a module: its state_dict, each value .cpu()), and move it "
        "with .npu() where it is received."
    )


class _Pickled:
    """An object that is pickled already; who unpickles this gets that object."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __reduce__(self) -> Any:
        return pickle.loads, (self._data,)


def _pickling_first(put: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(put)
    def put_pickled(self: Any, obj: Any, *arguments: Any, **keywords: Any) -> None:
        put(self, _pickled(obj) if _is_pickled_at_put(self) else obj, *arguments, **keywords)

    return put_pickled


def _is_pickled_at_put(queue: Any) -> bool:
    """Whether an error in its thread would be lost: concurrent.futures, for one, hands it to the future."""
    plain = multiprocessing.queues.Queue._on_queue_feeder_error  # type: ignore[attr-defined]
    return type(queue)._on_queue_feeder_error is plain and (_native.is_initialized() or _native.in_bad_fork())


def _pickled(obj: Any) -> Any:
    try:
        return _Pickled(bytes(ForkingPickler.dumps(obj)))
    except NotSharedError:
        raise
    except Exception:
        return obj  # no matter of ours: the queue's thread says what it always said
