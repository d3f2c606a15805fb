"""The backend `hccl` of torch.distributed: collective operations between NPUs, by CANN's HCCL.

`torch.distributed.init_process_group("hccl")` uses it, and so does `init_process_group()` for tensors on
NPUs. The native library implements it; here a process group of Python gets it.
"""

import atexit
import contextlib
import functools
import inspect
import itertools
from typing import Any, Dict, Iterator, Optional

import torch
import torch.distributed

from torch_npu import _native

__all__ = ["ProcessGroupHCCL", "is_hccl_available"]

_numbers = itertools.count()
_stops_at_exit = False


class ProcessGroupHCCL:
    """What a program names when it chooses options: `ProcessGroupHCCL.Options()`, as `pg_options`."""

    class Options:
        """`hccl_config["hccl_buffer_size"]`: MiB that HCCL may use for a communicator.

        `is_high_priority_stream`: run the operations on a stream of high priority.
        """

        def __init__(self, is_high_priority_stream: bool = False) -> None:
            self.is_high_priority_stream = is_high_priority_stream
            self.hccl_config: Dict[str, Any] = {}


def is_hccl_available() -> bool:
    """Whether `init_process_group("hccl")` can work: this torch can have it, and an NPU is there."""
    return _unsupported() is None and torch.npu.is_available()


def register() -> None:
    """Make `hccl` known to torch.distributed, for npu tensors."""
    if not torch.distributed.is_available():
        return
    register_backend = torch.distributed.Backend.register_backend
    if "devices" in inspect.signature(register_backend).parameters:  # from torch 2.1 on
        register_backend("hccl", _create, extended_api=True, devices=["npu"])
    else:
        register_backend("hccl", _refuse)
    torch.distributed.is_hccl_available = is_hccl_available  # type: ignore[attr-defined]
    _coalesce_batches()
    backend = getattr(torch._C._distributed_c10d, "Backend", None)
    if backend is not None:  # before torch 2.0 there is none, and no hccl
        backend.get_hccl_comm_name = _communicator_name


def _coalesce_batches() -> None:
    """Early torch makes one operation of batch_isend_irecv for CUDA only; two ranks that each send and then
    receive would wait for each other for ever."""
    c10d = torch.distributed.distributed_c10d
    plain: Any = c10d.batch_isend_irecv
    if "cuda" not in plain.__code__.co_consts or not hasattr(c10d, "_coalescing_manager"):
        return

    @functools.wraps(plain)
    def batch_isend_irecv(p2p_op_list: Any) -> Any:
        if not p2p_op_list or p2p_op_list[0].tensor.device.type != "npu":
            return plain(p2p_op_list)
        c10d._check_p2p_op_list(p2p_op_list)  # type: ignore[no-untyped-call]
        first = p2p_op_list[0]
        with c10d._coalescing_manager(first.group, first.tensor.device, async_ops=True) as batch:
            for one in p2p_op_list:
                one.op(one.tensor, one.peer, one.group, one.tag)
        return batch.works

    c10d.batch_isend_irecv = torch.distributed.batch_isend_irecv = batch_isend_irecv


def _unsupported() -> Optional[str]:
    """Why this torch cannot have the backend; None when it can."""
    if hasattr(_native, "hccl_attach"):
        return None
    return _why_not(torch.__version__)


def _why_not(version: str) -> str:
    if tuple(int(part) for part in version.split(".")[:2]) < (2, 2):
        return (
            f"backend hccl needs torch 2.2 or later, this is {version}: an earlier torch takes no "
            "backend that is independent of Python. Use backend gloo with CPU tensors, or a later torch."
        )
    return (
        f"backend hccl is not in this torch_npu for torch {version}, whose process groups are not those that "
        "it was compiled for. Use the torch that it was compiled for, or backend gloo with CPU tensors."
    )


def _refuse(*_arguments: Any) -> Any:
    raise RuntimeError(_unsupported())


def _require_device() -> None:
    problem = _unsupported()
    if problem is not None:
        raise RuntimeError(problem)
    if not torch.npu.is_available():
        torch.npu.init()  # says what is missing and what to do


def _create(options: Any, chosen: Optional[Any]) -> Any:
    """The backend of one group; `chosen` is the program's `pg_options`."""
    _require_device()
    config = dict(getattr(chosen, "hccl_config", None) or {})
    group = _plain_group(options.store, options.group_rank, options.group_size)
    with _known(group) as name:
        _native.hccl_attach(
            name,
            str(options.group_id),
            int(options.timeout.total_seconds() * 1000),
            int(config.get("hccl_buffer_size", 0)),
            bool(getattr(chosen, "is_high_priority_stream", False)),
        )
        backend = group._get_backend(torch.device("npu"))
    _stop_at_exit()
    return backend


def _communicator_name(backend: Any, rank: int, init_comm: bool = True) -> str:
    """`get_hccl_comm_name` of a backend: what operators of several ranks take as `hcom` or `group_ep`.

    The first call makes the communicator, with all other ranks, unless an operation has made it before.
    """
    if not 0 <= rank < backend.size():
        raise ValueError(f"expected a rank of the group, 0 to {backend.size() - 1}, but got {rank}")
    group = _plain_group(torch.distributed.HashStore(), backend.rank(), backend.size())
    group._register_backend(torch.device("npu"), torch.distributed.ProcessGroup.BackendType.CUSTOM, backend)
    with _known(group) as name:
        return str(_native.hccl_communicator_name(name, torch.npu.current_device()))


@contextlib.contextmanager
def _known(group: Any) -> Iterator[str]:
    """A name by which the native library finds a process group."""
    from torch._C import _distributed_c10d as c10d

    name = f"torch_npu.hccl.{next(_numbers)}"
    c10d._register_process_group(name, group)
    try:
        yield name
    finally:
        if hasattr(c10d, "_unregister_process_group"):  # torch 2.2 keeps every name
            c10d._unregister_process_group(name)


def _plain_group(*arguments: Any) -> Any:
    """Of store, rank and size."""
    try:
        return torch.distributed.ProcessGroup(*arguments)
    except TypeError:  # until 2.5 it has options of its own
        own = torch.distributed.ProcessGroup.Options("hccl")
        return torch.distributed.ProcessGroup(*arguments, own)


def _stop_at_exit() -> None:
    """Leave the communicators before CANN ends: a rank that only ends is none that crashed."""
    global _stops_at_exit
    if not _stops_at_exit:
        atexit.register(_native.hccl_stop)
        _stops_at_exit = True
