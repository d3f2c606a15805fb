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
from hccl_operations import all_gather, around, broadcast, everything, expect, values
from ranks import DTYPES, REDUCTIONS, HcclError, Rank, SendRecvItem, comm_config

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


def report_setup(rank: Rank, number: int | None = None) -> None:
    try:
        rank.connect(number=number)
    except HcclError as error:
        rank.say(f"FAILED {error.code} {error.message}")


def twins(rank: Rank) -> None:
    report_setup(rank, number=(0, 1, 1)[rank.rank])


def dies_joining(rank: Rank) -> None:
    if rank.rank == 1:
        rank.root_info()
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
        rank.synchronize()

    report(rank, attempt)


def both_send(rank: Rank) -> None:
    rank.connect()
    buffer = rank.put(np.ones(8, np.float32))

    def attempt() -> None:
        rank.call("HcclSend", buffer, ctypes.c_uint64(8), 4, 1 - rank.rank, rank.communicator, rank.stream)
        rank.synchronize()

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
    rank.synchronize()
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
        rank.synchronize(stream)
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
    rank.synchronize(other)
    rank.synchronize()
    wanted = np.full(20000, 1, np.int64) * np.int64(rank.ranks) ** rounds
    expect(rank.get(buffer, wanted), wanted, "fifty sums")
    rank.say("all right")


def main(arguments: list[str]) -> None:
    scenario, rank, ranks, folder = arguments
    run: Callable[[Rank], None] = everything if scenario == "everything" else globals()[scenario]
    libraries = Path(os.environ["CANN_SIMULATOR_LIBRARIES"])
    try:
        run(Rank(libraries, int(rank), int(ranks), Path(folder)))
    except HcclError as error:
        print(f"ERROR {error}", flush=True)
        sys.exit(3)


if __name__ == "__main__":
    main(sys.argv[1:])
