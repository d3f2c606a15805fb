"""What the ranks of test_hccl.py do; each function is one rank's program.

`python hccl_scenarios.py FUNCTION RANK RANKS FOLDER` runs one; what it prints is the test's to judge.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ranks import DTYPES, REDUCTIONS, HcclError, Rank, SendRecvItem, comm_config

MOVED = [name for name in DTYPES if name != "bfloat16"]
REDUCED = ["int8", "int16", "int32", "int64", "float16", "float32"]
# Elements: fewer than ranks, a small message, and one that is announced, not a multiple of the ranks.
COUNTS = (1, 37, 30011)
FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum,
}  # fmt: skip


def values(rank: int, count: int, dtype: str) -> np.ndarray:
    """Small whole numbers: every reduction of them is exact in every data type."""
    return ((np.arange(count) * 7 + rank * 3) % 4).astype(dtype)


def reduced(ranks: int, count: int, dtype: str, reduction: str) -> np.ndarray:
    result = values(0, count, dtype)
    for rank in range(1, ranks):
        result = FUNCTIONS[reduction](result, values(rank, count, dtype))
    return result


def expect(found: np.ndarray, wanted: np.ndarray, what: str) -> None:
    if found.dtype != wanted.dtype or not np.array_equal(found, wanted):
        raise AssertionError(f"{what}: found {found[:8]}, wanted {wanted[:8]}")


def u64(*numbers: int) -> ctypes.Array[ctypes.c_uint64]:
    return (ctypes.c_uint64 * len(numbers))(*numbers)


class Buffers:
    """Device memory that lives as long as one check."""

    def __init__(self, rank: Rank) -> None:
        self._rank = rank
        self._pointers: list[ctypes.c_void_p] = []

    def __enter__(self) -> Buffers:
        return self

    def __exit__(self, *_: object) -> None:
        for pointer in self._pointers:
            self._rank.free(pointer)

    def put(self, array: np.ndarray) -> ctypes.c_void_p:
        self._pointers.append(self._rank.put(array))
        return self._pointers[-1]


def collective(
    rank: Rank,
    name: str,
    dtype: str,
    given: np.ndarray,
    room: np.ndarray,
    wanted: np.ndarray,
    *arguments: object,
) -> None:
    """Run Hccl<name>(given, room, *arguments, communicator, stream) and compare what is in `room` then."""
    with Buffers(rank) as buffers:
        source, target = buffers.put(given), buffers.put(room)
        rank.call(f"Hccl{name}", source, target, *arguments, rank.communicator, rank.stream)
        rank.synchronise()
        expect(rank.get(target, room), wanted, f"{name} of {dtype}")


def all_reduce(rank: Rank, dtype: str, count: int, reduction: str) -> None:
    given = values(rank.rank, count, dtype)
    wanted = reduced(rank.ranks, count, dtype, reduction)
    arguments = (ctypes.c_uint64(count), DTYPES[dtype], REDUCTIONS[reduction])
    collective(rank, "AllReduce", dtype, given, np.zeros_like(given), wanted, *arguments)


def reduce(rank: Rank, dtype: str, count: int, reduction: str) -> None:
    given, root = values(rank.rank, count, dtype), rank.ranks - 1
    untouched = np.full_like(given, 9)
    wanted = reduced(rank.ranks, count, dtype, reduction) if rank.rank == root else untouched
    arguments = (ctypes.c_uint64(count), DTYPES[dtype], REDUCTIONS[reduction], root)
    collective(rank, "Reduce", dtype, given, untouched, wanted, *arguments)


def reduce_scatter(rank: Rank, dtype: str, count: int, reduction: str) -> None:
    given = values(rank.rank, count * rank.ranks, dtype)
    every = reduced(rank.ranks, count * rank.ranks, dtype, reduction)
    wanted = every[rank.rank * count :][:count]
    arguments = (ctypes.c_uint64(count), DTYPES[dtype], REDUCTIONS[reduction])
    collective(rank, "ReduceScatter", dtype, given, np.zeros(count, dtype), wanted, *arguments)


def all_gather(rank: Rank, dtype: str, count: int) -> None:
    wanted = np.concatenate([values(other, count, dtype) for other in range(rank.ranks)])
    arguments = (ctypes.c_uint64(count), DTYPES[dtype])
    collective(
        rank, "AllGather", dtype, values(rank.rank, count, dtype), np.zeros_like(wanted), wanted, *arguments
    )


def broadcast(rank: Rank, dtype: str, count: int) -> None:
    root = 1 % rank.ranks
    given, wanted = values(rank.rank, count, dtype), values(root, count, dtype)
    with Buffers(rank) as buffers:
        buffer = buffers.put(given)
        rank.call(
            "HcclBroadcast", buffer, ctypes.c_uint64(count), DTYPES[dtype], root, rank.communicator,
            rank.stream,
        )  # fmt: skip
        rank.synchronise()
        expect(rank.get(buffer, given), wanted, f"Broadcast of {dtype}")


def scatter(rank: Rank, dtype: str, count: int) -> None:
    given = values(rank.rank, count * rank.ranks, dtype)
    wanted = values(0, count * rank.ranks, dtype)[rank.rank * count :][:count]
    arguments = (ctypes.c_uint64(count), DTYPES[dtype], 0)
    collective(rank, "Scatter", dtype, given, np.zeros(count, dtype), wanted, *arguments)


def all_to_all(rank: Rank, dtype: str, count: int) -> None:
    given = values(rank.rank, count * rank.ranks, dtype)
    parts = [values(other, count * rank.ranks, dtype) for other in range(rank.ranks)]
    wanted = np.concatenate([part[rank.rank * count :][:count] for part in parts])
    amount = ctypes.c_uint64(count)
    with Buffers(rank) as buffers:
        source, target = buffers.put(given), buffers.put(np.zeros_like(wanted))
        rank.call(
            "HcclAlltoAll", source, amount, DTYPES[dtype], target, amount, DTYPES[dtype], rank.communicator,
            rank.stream,
        )  # fmt: skip
        rank.synchronise()
        expect(rank.get(target, wanted), wanted, f"AlltoAll of {dtype}")


def around(rank: Rank, dtype: str, count: int) -> None:
    """Everybody sends to the next rank: the even ones first, or all at once in a batch."""
    following, before = (rank.rank + 1) % rank.ranks, (rank.rank - 1) % rank.ranks
    given, wanted = values(rank.rank, count, dtype), values(before, count, dtype)
    amount, code = ctypes.c_uint64(count), DTYPES[dtype]
    with Buffers(rank) as buffers:
        source, first, second = (buffers.put(array) for array in (given, given * 0, given * 0))
        calls = [("HcclSend", source, following), ("HcclRecv", first, before)]
        for name, buffer, other in calls if rank.rank % 2 == 0 else reversed(calls):
            rank.call(name, buffer, amount, code, other, rank.communicator, rank.stream)
        items = (SendRecvItem * 2)(
            SendRecvItem(0, source, count, code, following), SendRecvItem(1, second, count, code, before)
        )
        rank.call("HcclBatchSendRecv", items, 2, rank.communicator, rank.stream)
        rank.synchronise()
        expect(rank.get(first, given), wanted, f"Recv of {dtype}")
        expect(rank.get(second, given), wanted, f"BatchSendRecv of {dtype}")


def uneven(rank: Rank) -> None:
    """The operations with counts of their own per rank; rank r has r * 5000 + 1 elements, so one has one."""
    ranks, me = rank.ranks, rank.rank
    counts = [other * 5000 + 1 for other in range(ranks)]
    starts = [sum(counts[:other]) for other in range(ranks)]
    total, dtype = sum(counts), "float32"
    parts = [values(other, counts[other], dtype) for other in range(ranks)]
    with Buffers(rank) as buffers:
        source, target = buffers.put(parts[me]), buffers.put(np.zeros(total, dtype))
        rank.call(
            "HcclAllGatherV", source, ctypes.c_uint64(counts[me]), target, u64(*counts), u64(*starts),
            DTYPES[dtype], rank.communicator, rank.stream,
        )  # fmt: skip
        rank.synchronise()
        expect(rank.get(target, np.zeros(total, dtype)), np.concatenate(parts), "AllGatherV")
    with Buffers(rank) as buffers:
        source, target = buffers.put(values(me, total, dtype)), buffers.put(np.zeros(counts[me], dtype))
        rank.call(
            "HcclReduceScatterV", source, u64(*counts), u64(*starts), target, ctypes.c_uint64(counts[me]),
            DTYPES[dtype], REDUCTIONS["sum"], rank.communicator, rank.stream,
        )  # fmt: skip
        rank.synchronise()
        wanted = reduced(ranks, total, dtype, "sum")[starts[me] :][: counts[me]]
        expect(rank.get(target, wanted), wanted, "ReduceScatterV")
    all_to_all_uneven(rank)


def all_to_all_uneven(rank: Rank) -> None:
    """Rank i sends (i + j) % 3 * 3000 elements to rank j: some nothing at all."""
    ranks, me, dtype = rank.ranks, rank.rank, "int64"
    matrix = [[(i + j) % 3 * 3000 for j in range(ranks)] for i in range(ranks)]
    out, into = matrix[me], [matrix[i][me] for i in range(ranks)]
    given = values(me, sum(out), dtype)
    wanted = np.concatenate(
        [values(i, sum(matrix[i]), dtype)[sum(matrix[i][:me]) :][: matrix[i][me]] for i in range(ranks)]
    )
    starts, places = ([sum(row[:j]) for j in range(ranks)] for row in (out, into))
    with Buffers(rank) as buffers:
        source, first, second = (buffers.put(array) for array in (given, wanted * 0, wanted * 0))
        code = DTYPES[dtype]
        rank.call(
            "HcclAlltoAllV", source, u64(*out), u64(*starts), code, first, u64(*into), u64(*places), code,
            rank.communicator, rank.stream,
        )  # fmt: skip
        flat = u64(*[count for row in matrix for count in row])
        rank.call("HcclAlltoAllVC", source, flat, code, second, code, rank.communicator, rank.stream)
        rank.synchronise()
        expect(rank.get(first, wanted), wanted, "AlltoAllV")
        expect(rank.get(second, wanted), wanted, "AlltoAllVC")


def everything(rank: Rank) -> None:
    """Every operation, data type, reduction and way that data take."""
    rank.connect()
    for count in COUNTS if rank.ranks <= 4 else COUNTS[1:2]:
        for dtype in REDUCED:
            for reduction in REDUCTIONS:
                for operation in (all_reduce, reduce, reduce_scatter):
                    operation(rank, dtype, count, reduction)
        for dtype in MOVED:
            for move in (all_gather, broadcast, scatter, all_to_all, around):
                move(rank, dtype, count)
    uneven(rank)
    bfloat16(rank)
    rank.call("HcclBarrier", rank.communicator, rank.stream)
    rank.synchronise()
    rank.call("HcclCommDestroy", rank.communicator)
    rank.say("all right")


def bfloat16(rank: Rank) -> None:
    """258 from every rank: the sums must be rounded, to the same in whatever order."""
    term = np.float32(258)
    total = term
    for _ in range(1, rank.ranks):
        total = round_to_bfloat16(total + term)
    given, wanted = (np.full(5000, value.view(np.uint32) >> 16, np.uint16) for value in (term, total))
    arguments = (ctypes.c_uint64(given.size), DTYPES["bfloat16"], REDUCTIONS["sum"])
    collective(rank, "AllReduce", "bfloat16", given, given * 0, wanted, *arguments)


def round_to_bfloat16(value: np.float32) -> np.float32:
    bits = int(np.float32(value).view(np.uint32))
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    return np.uint32(rounded).view(np.float32)


# ---- when something goes wrong: every rank must end soon, with a reason ---------------------------


def report(rank: Rank, attempt: Callable[[], object]) -> None:
    """Say how it failed: of the call itself, or what the stream reports."""
    try:
        attempt()
    except HcclError as error:
        rank.say(f"FAILED {error.code} {error.message}")
        rank.say(f"ASYNC {rank.async_error()}")
    else:
        rank.say("no failure")


def killed(rank: Rank) -> None:
    """The last rank dies while the others wait for it, in the middle of a series of operations."""
    rank.connect()
    rank.all_reduce(np.ones(100000, np.float32))
    if rank.rank == rank.ranks - 1:
        os.kill(os.getpid(), signal.SIGKILL)
    report(rank, lambda: rank.all_reduce(np.ones(100000, np.float32)))
    report(rank, lambda: rank.all_reduce(np.ones(1, np.float32)))  # refused at once from then on


def killed_with_child(rank: Rank) -> None:
    """A forked child (a data loader's worker) of the dead rank lives on."""
    rank.connect()
    if rank.rank == rank.ranks - 1:
        if os.fork() == 0:
            rank.await_flag("seen")
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)
    report(rank, lambda: rank.all_reduce(np.ones(4, np.float32)))
    rank.flag("seen")


def killed_while_idle(rank: Rank) -> None:
    """Nobody runs an operation: HcclGetCommAsyncError is what tells."""
    rank.connect()
    if rank.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    while rank.async_error() == 0:
        time.sleep(0.01)
    rank.say(f"ASYNC {rank.async_error()}")


def leaves_early(rank: Rank) -> None:
    """A rank that has ended in good order is no failure for those that need it no more."""
    rank.connect()
    rank.all_reduce(np.ones(100000, np.float32))
    if rank.rank == 0:
        rank.call("HcclCommDestroy", rank.communicator)
        rank.flag("left")
        return
    rank.await_flag("left")
    rank.say(f"ASYNC {rank.async_error()}")
    report(rank, lambda: rank.all_reduce(np.ones(4, np.float32)))


def late_rank(rank: Rank) -> None:
    """HCCL_EXEC_TIMEOUT: rank 0 never comes, but lives."""
    rank.connect()
    if rank.rank == 0:
        for other in range(1, rank.ranks):
            rank.await_flag(f"failed{other}")
        return
    report(rank, lambda: rank.all_reduce(np.ones(4, np.float32)))
    rank.flag(f"failed{rank.rank}")


def missing_rank(rank: Rank) -> None:
    """HCCL_CONNECT_TIMEOUT: there are fewer ranks than they say."""
    rank.ranks += 2
    report_setup(rank)


def report_setup(rank: Rank) -> None:
    try:
        rank.connect()
    except HcclError as error:
        rank.say(f"FAILED {error.code} {error.message}")


def twins(rank: Rank) -> None:
    rank.root_info()
    if rank.rank == 2:
        rank.rank = 1
    report_setup(rank)


def dies_joining(rank: Rank) -> None:
    rank.root_info()
    if rank.rank == 1:
        alarm = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGKILL))
        alarm.start()
    if rank.rank == 2:
        rank.await_flag("never")
    report_setup(rank)
    rank.flag("never")


DISAGREEMENTS: dict[str, Callable[[Rank], object]] = {
    "count": lambda rank: rank.all_reduce(np.ones(4 + (rank.rank == 1), np.float32)),
    "dtype": lambda rank: rank.all_reduce(np.ones(4, "int32" if rank.rank == 1 else "float32")),
    "reduction": lambda rank: rank.all_reduce(np.ones(4, np.int8), "max" if rank.rank == 1 else "sum"),
    "operation": lambda rank: (all_gather if rank.rank == 1 else broadcast)(rank, "float32", 4),
    "order": lambda rank: (around if rank.rank == 1 else broadcast)(rank, "float32", 20000),
}


def disagree(rank: Rank) -> None:
    rank.connect()
    report(rank, lambda: DISAGREEMENTS[os.environ["DISAGREEMENT"]](rank))


def receive_another_size(rank: Rank) -> None:
    rank.connect()
    count = ctypes.c_uint64(8 if rank.rank == 0 else 6)
    buffer = rank.put(np.ones(8, np.float32))
    name = "HcclSend" if rank.rank == 0 else "HcclRecv"

    def attempt() -> None:
        rank.call(name, buffer, count, 4, 1 - rank.rank, rank.communicator, rank.stream)
        rank.synchronise()

    report(rank, attempt)


def both_send(rank: Rank) -> None:
    rank.connect()
    buffer = rank.put(np.ones(8, np.float32))

    def attempt() -> None:
        rank.call("HcclSend", buffer, ctypes.c_uint64(8), 4, 1 - rank.rank, rank.communicator, rank.stream)
        rank.synchronise()

    report(rank, attempt)


def send_meets_batch(rank: Rank) -> None:
    """A send and then a receive match a batch of both on the other side, however large."""
    rank.connect()
    count = 300000
    source, target = rank.put(values(rank.rank, count, "float32")), rank.put(np.zeros(count, np.float32))
    if rank.rank == 0:
        for name, buffer in (("HcclSend", source), ("HcclRecv", target)):
            rank.call(name, buffer, ctypes.c_uint64(count), 4, 1, rank.communicator, rank.stream)
    else:
        items = (SendRecvItem * 2)(SendRecvItem(0, source, count, 4, 0), SendRecvItem(1, target, count, 4, 0))
        rank.call("HcclBatchSendRecv", items, 2, rank.communicator, rank.stream)
    rank.synchronise()
    wanted = values(1 - rank.rank, count, "float32")
    expect(rank.get(target, wanted), wanted, "the other's data")
    rank.say("all right")


def interrupted(rank: Rank) -> None:
    """Waits in an operation that cannot end; the test presses Ctrl-C."""
    rank.connect()
    if rank.rank == 0:
        rank.flag("waiting0")
        time.sleep(60)
    rank.flag(f"waiting{rank.rank}")
    rank.all_reduce(np.ones(4, np.float32))


def wrong_arguments(rank: Rank) -> None:
    """Refused by the call itself, as CANN would, and nothing is broken by it."""
    rank.connect()
    good, count = rank.put(np.ones(8, np.float32)), ctypes.c_uint64(8)
    comm, stream = rank.communicator, rank.stream
    host = np.ones(8, np.float32).ctypes.data_as(ctypes.c_void_p)
    calls = {
        "null buffer": ("HcclAllReduce", None, good, count, 4, 0, comm, stream),
        "host memory": ("HcclAllReduce", host, good, count, 4, 0, comm, stream),
        "too long": ("HcclAllReduce", good, good, ctypes.c_uint64(1 << 20), 4, 0, comm, stream),
        "no such type": ("HcclAllReduce", good, good, count, 99, 0, comm, stream),
        "not reduced": ("HcclAllReduce", good, good, count, 10, 0, comm, stream),
        "no such reduction": ("HcclAllReduce", good, good, count, 4, 7, comm, stream),
        "no such root": ("HcclBroadcast", good, count, 4, 5, comm, stream),
        "to itself": ("HcclSend", good, count, 4, rank.rank, comm, stream),
        "null communicator": ("HcclBarrier", None, stream),
        "no communicator": ("HcclBarrier", ctypes.c_void_p(4096), stream),
    }
    for what, (name, *arguments) in calls.items():
        try:
            rank.call(name, *arguments)
        except HcclError as error:
            rank.say(f"{what}: {error.code} {error.message}")
        else:
            rank.say(f"{what}: no failure")
    expect(rank.all_reduce(np.ones(4, np.float32)), np.full(4, rank.ranks, np.float32), "after all that")


# ---- communicators ------------------------------------------------------------------------------


def sub_communicators(rank: Rank) -> None:
    """Halves of the world in reverse order, made with names of their own; who is in none passes no ranks."""
    rank.connect(config=comm_config("world", 20))
    name = ctypes.create_string_buffer(128)
    rank.call("HcclGetCommName", rank.communicator, name)
    expect(np.array(name.value.decode()), np.array("world"), "name")
    world, half = rank.communicator, rank.ranks // 2
    mine = [*range(half)][::-1] if rank.rank < half else [*range(half, rank.ranks)][::-1]
    members, config = (ctypes.c_uint32 * len(mine))(*mine), comm_config(f"half{mine[0]}")
    sub, none = ctypes.c_void_p(), ctypes.c_void_p(1)
    rank.call(
        "HcclCreateSubCommConfig", ctypes.byref(world), len(mine), members, ctypes.c_uint64(mine[0]),
        mine.index(rank.rank), ctypes.byref(config), ctypes.byref(sub),
    )  # fmt: skip
    rank.call(
        "HcclCreateSubCommConfig", ctypes.byref(world), 0, None, ctypes.c_uint64(0xFFFFFFFF), 0, None,
        ctypes.byref(none),
    )  # fmt: skip
    assert none.value is None
    place, size = ctypes.c_uint32(), ctypes.c_uint32()
    rank.call("HcclGetRankId", sub, ctypes.byref(place))
    rank.call("HcclGetRankSize", sub, ctypes.byref(size))
    assert (place.value, size.value) == (mine.index(rank.rank), len(mine))
    rank.communicator = sub
    total = np.full(3, sum(mine), np.int32)
    expect(rank.all_reduce(np.full(3, rank.rank, np.int32)), total, "sum of the half")
    rank.communicator = world
    expect(rank.all_reduce(np.ones(3, np.int32)), np.full(3, rank.ranks, np.int32), "sum of the world")
    rank.call("HcclCommDestroy", sub)
    rank.call("HcclCommDestroy", world)
    rank.say("all right")


def alone(rank: Rank) -> None:
    rank.connect()
    expect(rank.all_reduce(np.ones(3, np.int32)), np.ones(3, np.int32), "sum")
    rank.say("all right")


def rank_table(rank: Rank) -> None:
    path = str(rank.folder / "table.json").encode()
    rank.call("HcclCommInitClusterInfo", path, rank.rank, ctypes.byref(rank.communicator))
    expect(rank.all_reduce(np.ones(3, np.int32)), np.full(3, rank.ranks, np.int32), "sum")
    rank.say("all right")


def one_process(rank: Rank) -> None:
    """HcclCommInitAll: one rank per device of this process, driven by one thread."""
    devices = (ctypes.c_int32 * 2)(0, 1)
    handles = (ctypes.c_void_p * 2)()
    rank.call("HcclCommInitAll", 2, devices, handles)
    sides = []
    for device in (0, 1):
        rank.acl("aclrtSetDevice", device)
        buffer, stream = rank.put(np.full(50000, device + 1, np.float32)), rank.new_stream()
        rank.call(
            "HcclAllReduce", buffer, buffer, ctypes.c_uint64(50000), 4, 0, ctypes.c_void_p(handles[device]),
            stream,
        )  # fmt: skip
        sides.append((buffer, stream))
    for device, (buffer, stream) in enumerate(sides):
        rank.acl("aclrtSetDevice", device)
        rank.synchronise(stream)
        wanted = np.full(50000, 3, np.float32)
        expect(rank.get(buffer, wanted), wanted, f"device {device}")
    rank.say("all right")


def suspended(rank: Rank) -> None:
    rank.connect()
    rank.call("HcclCommSuspend", rank.communicator)
    report(rank, lambda: rank.all_reduce(np.ones(4, np.float32)))
    rank.call("HcclCommResume", rank.communicator)
    expect(rank.all_reduce(np.ones(4, np.float32)), np.full(4, rank.ranks, np.float32), "resumed")
    rank.say("all right")


def two_streams(rank: Rank) -> None:
    """Operations of one communicator on two streams run in the order of the calls, on every rank."""
    rank.connect()
    other, rounds = rank.new_stream(), 50
    buffer = rank.put(np.ones(20000, np.int64))
    for turn in range(rounds):
        # Streams run freely, so only the turn of the communicator orders these.
        rank.call(
            "HcclAllReduce", buffer, buffer, ctypes.c_uint64(20000), DTYPES["int64"], REDUCTIONS["sum"],
            rank.communicator, rank.stream if turn % 2 else other,
        )  # fmt: skip
    rank.synchronise(other)
    rank.synchronise()
    wanted = np.full(20000, 1, np.int64) * np.int64(rank.ranks) ** rounds
    expect(rank.get(buffer, wanted), wanted, "fifty sums")
    rank.say("all right")


def main(arguments: list[str]) -> None:
    scenario, rank, ranks, folder = arguments
    run: Callable[[Rank], None] = globals()[scenario]
    libraries = Path(os.environ["CANN_SIMULATOR_LIBRARIES"])
    try:
        run(Rank(libraries, int(rank), int(ranks), Path(folder)))
    except HcclError as error:
        print(f"ERROR {error}", flush=True)
        sys.exit(3)


if __name__ == "__main__":
    main(sys.argv[1:])
