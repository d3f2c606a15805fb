"""NPU tensors for other processes: torch.multiprocessing sends them as loans of device memory.

The sender keeps the memory until the receiver's storage is gone, which it reads in a slot of shared memory. A
process that was forked after its parent used an NPU has none, so what it is asked to send is refused.

A multiprocessing.Queue pickles in a thread that feeds the pipe; an error there is printed, the object is
dropped, and the receiver waits for ever. So a queue pickles at `put` here, once the process uses NPUs, and
hands the bytes on.
"""

from __future__ import annotations

import functools
import multiprocessing.context
import multiprocessing.queues
import os
import pickle
import threading
import uuid
from multiprocessing.reduction import ForkingPickler
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import torch
import torch.multiprocessing.reductions

from torch_npu import _native


class NotSharedError(RuntimeError):
    """A tensor, or a storage, of an NPU cannot be sent to another process, or not be received."""


def register() -> None:
    """Replace torch's reductions of tensors and storages, and the queues' `put`."""
    reductions = torch.multiprocessing.reductions
    lend = {reductions.reduce_tensor: _reduce_tensor, reductions.reduce_storage: _reduce_storage}
    for kind, reduce in list(ForkingPickler._extra_reducers.items()):  # type: ignore[attr-defined]
        if reduce in lend:
            ForkingPickler.register(kind, _for_npu(lend[reduce], reduce))
    for queue in (multiprocessing.queues.Queue, multiprocessing.queues.JoinableQueue):
        queue.put = _pickling_first(queue.put)  # type: ignore[method-assign]


def collect() -> None:
    """Free what receivers have given back. Every send does it, too."""
    _lent.collect()


class Loan(NamedTuple):
    """What the receiver needs to know of one storage."""

    pid: int
    device: int
    key: str
    offset: int  # in the allocation that the key names, bytes
    size: int  # bytes; 0 has no key
    table: bytes  # the pickled table of slots
    token: str  # which table that is
    number: int  # the same, for the sender
    slot: int


class _Lent:
    """The storages that this process has lent: each is kept until its slot is 0."""

    SLOTS = 1024  # of one table; a full one is followed by another

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tables: List[Any] = []
        self._tokens: List[str] = []
        self._kept: Dict[Tuple[int, int], Tuple[Any, str]] = {}

    def add(self, storage: Any, key: str) -> Tuple[Any, str, int, int]:
        """The table, its token, its number and the slot in it."""
        with self._lock:
            for number, slot in self._places():
                if (number, slot) not in self._kept:
                    self._tables[number][slot] = 1
                    self._kept[number, slot] = (storage, key)
                    return self._tables[number], self._tokens[number], number, slot
        raise AssertionError("a new table has free slots")

    def _places(self) -> Any:
        for number in range(len(self._tables) + 1):
            if number == len(self._tables):
                self._tables.append(torch.zeros(self.SLOTS, dtype=torch.int64).share_memory_())
                self._tokens.append(uuid.uuid4().hex)
            for slot in range(self.SLOTS):
                yield number, slot

    def take(self, number: int, slot: int) -> Any:
        """The storage itself, for a receiver in this very process."""
        with self._lock:
            storage, key = self._kept.pop((number, slot))
        _native.ipc_withdraw(key)
        return storage

    def collect(self) -> None:
        with self._lock:
            ended = [place for place in self._kept if not self._tables[place[0]][place[1]].item()]
            kept = [self._kept.pop(place) for place in ended]
        for _storage, key in kept:
            _native.ipc_withdraw(key)


_lent = _Lent()
_tables: Dict[str, Any] = {}  # that were received, by their tokens: 8 KiB each


def _for_npu(lend: Callable[[Any], Any], reduce: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @functools.wraps(reduce)
    def reduce_npu(value: Any) -> Any:
        if value.device.type != "npu":
            return reduce(value)
        _refuse_where_nothing_is_shared(value)
        return lend(value)

    return reduce_npu


def _refuse_where_nothing_is_shared(value: Any) -> None:
    if hasattr(_native, "ipc_lend") and not _native.in_bad_fork():
        return
    why = "this torch has no storages for npu" if not _native.in_bad_fork() else "this process was forked"
    raise NotSharedError(
        f"{_described(value)} cannot be sent to another process: {why}.\n"
        "Send a copy on the CPU, tensor.cpu() (of a module: its state_dict, each value .cpu()), and move it "
        "with .npu() where it is received."
    )


def _described(value: Any) -> str:
    what = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else "a storage"
    return f"{what} on {value.device}"


def _reduce_tensor(tensor: Any) -> Any:
    if tensor.requires_grad and not tensor.is_leaf:
        raise NotSharedError(
            f"{_described(tensor)} cannot be sent to another process: it is a non-leaf tensor that requires "
            "grad, and autograd does not cross processes.\nSend tensor.detach()."
        )
    resolved = tensor.detach().resolve_conj().resolve_neg()
    layout = (resolved.dtype, resolved.storage_offset(), tuple(resolved.size()), resolved.stride())
    loan = _lend(resolved.untyped_storage())
    return _rebuild_tensor, (type(tensor), loan, layout, tensor.requires_grad)


def _reduce_storage(storage: Any) -> Any:
    untyped = getattr(storage, "_untyped_storage", storage)
    return _rebuild_storage, (type(storage), _lend(untyped), getattr(storage, "dtype", None))


def _lend(storage: Any) -> Loan:
    collect()
    size, device = storage.nbytes(), storage.device.index
    if size == 0:
        return Loan(os.getpid(), device, "", 0, 0, b"", "", 0, 0)
    _native.synchronize(device)  # the receiver's streams know nothing of this process's
    try:
        key, offset = _native.ipc_lend(storage.data_ptr())
    except RuntimeError as error:
        raise NotSharedError(
            f"a storage on npu:{device} cannot be sent to another process: {error}"
        ) from None
    table, token, number, slot = _lent.add(storage, key)
    return Loan(os.getpid(), device, key, offset, size, _pickled_table(table, token), token, number, slot)


def _pickled_table(table: Any, token: str) -> bytes:
    """What a process that is being started inherits must be named once: it has one descriptor of a table."""
    starting = multiprocessing.context.get_spawning_popen()
    pickled = {} if starting is None else vars(starting).setdefault("_npu_tables", {})
    if token not in pickled:
        pickled[token] = bytes(ForkingPickler.dumps(table))
    return pickled[token]


def _borrow(loan: Loan) -> Any:
    """The storage that was lent. Raises NotSharedError when its process has ended."""
    if loan.size == 0:
        return torch.empty(0, dtype=torch.uint8, device=f"npu:{loan.device}").untyped_storage()
    torch.npu.init()
    try:
        if loan.pid == os.getpid():
            return _lent.take(loan.number, loan.slot)
        if loan.token not in _tables:
            _tables[loan.token] = pickle.loads(loan.table)
        table = _tables[loan.token]
        borrowed = _native.ipc_borrow(loan.key, loan.offset, loan.size, loan.device, table, loan.slot)
    except (OSError, EOFError, RuntimeError) as error:
        raise NotSharedError(_why_not_received(loan, error)) from error
    return borrowed.untyped_storage()


def _why_not_received(loan: Loan, error: Exception) -> str:
    what = f"a tensor that process {loan.pid} sent from npu:{loan.device} cannot be received"
    if isinstance(error, OSError) or not os.path.exists(f"/proc/{loan.pid}"):
        return (
            f"{what}: the process has ended, and its memory with it.\n"
            "Let a process that sends NPU tensors live until they are received and no longer used, or send "
            "tensor.cpu()."
        )
    if loan.device >= torch.npu.device_count():
        return f"{what}: this process sees {torch.npu.device_count()} devices. Send tensor.cpu()."
    return f"{what}: {error}"


def _rebuild_tensor(kind: Any, loan: Loan, layout: Any, requires_grad: bool) -> Any:
    dtype, offset, size, stride = layout
    tensor = torch.empty(0, dtype=dtype, device=f"npu:{loan.device}")
    tensor.set_(_borrow(loan), offset, size, stride)
    if kind is torch.nn.Parameter:
        return torch.nn.Parameter(tensor, requires_grad=requires_grad)
    return tensor.requires_grad_(requires_grad)


def _rebuild_storage(kind: Any, loan: Loan, dtype: Optional[torch.dtype]) -> Any:
    untyped = _borrow(loan)
    if dtype is None:
        return untyped
    return torch.storage.TypedStorage(wrap_storage=untyped, dtype=dtype, _internal=True)


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
