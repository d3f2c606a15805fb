"""What the ranks of test_joint.py do: `python joint_ranks.py FUNCTION RANKS FOLDER`.

The ranks are forks of one process that has imported torch, which is what takes long, and has loaded none of
the simulator's libraries. Each says on its own line of the output what came of it, as JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from acl import AclError, Simulator
from cases.joint import FORMS, ROWS, K, N, Room, World, numbers, refusals
from ranks import Rank


def say(rank: int, what: str, problem: str) -> None:
    line = json.dumps({"rank": rank, "what": what, "problem": problem}) + "\n"
    os.write(1, line.encode())


def attempt(world: World, what: str, function: Callable[[], None]) -> None:
    """Say what was wrong with it; "" for nothing."""
    try:
        function()
        world.simulator.check("aclrtSynchronizeDevice")
    except Exception as error:
        text = str(error) if isinstance(error, AclError) else traceback.format_exc(limit=-2)
        say(world.rank, what, text)
    else:
        say(world.rank, what, "")


def forms(world: World) -> None:
    """Every form; what phase one refuses, and that the operators work after it."""
    for names, label, form in FORMS:
        attempt(world, f"{names[0]}: {label}", partial(form, world))
    for name, values, code, message in refusals(world):
        attempt(world, f"{name} refuses: {message}", partial(refused, world, name, values, code, message))
    attempt(world, "after the refusals", lambda: FORMS[0][2](world))


def refused(world: World, name: str, values: list[object], code: int, message: str) -> None:
    with pytest.raises(AclError, match=message) as error:
        world.prepare(name, *values)
    assert error.value.code == code, f"code {error.value.code}: {error.value.message}"


def reduce(world: World, rows: int = ROWS) -> None:
    world.run(
        "MatmulAllReduce", numbers(rows, K, seed=1), numbers(K, N, seed=2), None, world.group, "sum", 0, 1,
        Room(rows, N),
    )  # fmt: skip


def is_last(world: World) -> bool:
    return world.rank == world.size - 1


def killed(world: World) -> None:
    """The last rank dies while the others wait for it."""
    attempt(world, "before", lambda: reduce(world))
    if is_last(world):
        os.kill(os.getpid(), signal.SIGKILL)
    attempt(world, "without it", lambda: reduce(world))


def absent(world: World) -> None:
    """The last rank lives and never calls."""
    folder, others = Path(sys.argv[3]), range(world.size - 1)
    if is_last(world):
        while not all((folder / f"{rank}.done").exists() for rank in others):
            time.sleep(0.01)
    else:
        attempt(world, "without it", lambda: reduce(world))
        (folder / f"{world.rank}.done").touch()


def disagreements(world: World) -> None:
    """The last rank does something else than the others, each time in a communicator of its own."""
    attempt(world, "another operator", lambda: FORMS[0][2](world) if is_last(world) else reduce(world))
    world = joined("second")
    attempt(world, "another size", lambda: reduce(world, ROWS + 1 if is_last(world) else ROWS))
    world = joined("third")
    ids = torch.full((4, 1), 99 if is_last(world) else 0, dtype=torch.int32)  # no such expert
    most = 4 * world.size
    attempt(
        world, "another expert", lambda: world.run(
            "MoeDistributeDispatch", numbers(4, 32, seed=1), ids, None, None, None, world.group, world.size,
            world.rank, world.size, "", 0, 0, 0, 1, 0, 0, 0, 1, Room(most, 32), None,
            Room(4, dtype=torch.int32), Room(1, dtype=torch.int64), Room(world.size, dtype=torch.int32), None,
            None,
        ),
    )  # fmt: skip


LIBRARIES = Path(os.environ["CANN_SIMULATOR_LIBRARIES"])
RANK: Rank


def joined(root: str = "root") -> World:
    """The communicator of all ranks that is set up under this name."""
    RANK.connect(root)
    name = ctypes.create_string_buffer(128)
    RANK.call("HcclGetCommName", RANK.communicator, name)
    return World(Simulator(LIBRARIES), RANK.rank, RANK.ranks, name.value.decode())


def main(function: str, count: str, folder: str) -> int:
    global RANK
    children = []
    for number in range(int(count)):
        child = os.fork()
        if child == 0:
            RANK = Rank(LIBRARIES, number, int(count), Path(folder))
            globals()[function](joined())
            sys.stdout.flush()
            os._exit(0)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    print(json.dumps(codes), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
