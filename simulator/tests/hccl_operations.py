"""Every operation of libhccl, as one rank runs it and compares it with numpy."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
from ranks import DTYPES, REDUCTIONS, Rank, SendRecvItem

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
        rank.synchronize()
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
        rank.synchronize()
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
        rank.synchronize()
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
        rank.synchronize()
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
        rank.synchronize()
        expect(rank.get(target, np.zeros(total, dtype)), np.concatenate(parts), "AllGatherV")
    with Buffers(rank) as buffers:
        source, target = buffers.put(values(me, total, dtype)), buffers.put(np.zeros(counts[me], dtype))
        rank.call(
            "HcclReduceScatterV", source, u64(*counts), u64(*starts), target, ctypes.c_uint64(counts[me]),
            DTYPES[dtype], REDUCTIONS["sum"], rank.communicator, rank.stream,
        )  # fmt: skip
        rank.synchronize()
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
        rank.synchronize()
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
    rank.synchronize()
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
