"""The set-up of communicators in every order in which ranks can come: random delays, the same for a seed.

`python hccl_orders.py --libraries DIR --times 1000 [--first SEED] [SCENARIO ...]` runs each scenario so often
and prints, for each, how many runs were wrong, how they ended, and the longest wait for what was known to be
wrong: from when the last rank had called or one was killed until a rank was told. Ranks are forks of this
process.
"""

from __future__ import annotations

import argparse
import collections
import ctypes
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ranks import CommConfig, HcclError, Rank, comm_config

HERE = Path(__file__).resolve().parent
LONGEST_DELAY = 0.02  # seconds, of one step
E_TIMEOUT = 9

Program = Callable[[Rank, random.Random], None]


# ---- what a rank does ----------------------------------------------------------------------------


def say(word: str, text: str = "") -> None:
    os.write(1, f"{json.dumps([word, time.monotonic(), text])}\n".encode())  # whole, whichever thread says it


def attempt(call: Callable[[], object]) -> bool:
    """Say when it began and how it ended."""
    say("CALLS")
    try:
        call()
    except HcclError as error:
        say("FAILED", f"{error.code} {error.message}")
        return False
    say("CONNECTED")
    return True


def dawdle(chance: random.Random) -> None:
    time.sleep(chance.random() * LONGEST_DELAY * chance.choice((0, 0, 1, 3)))


def meet(
    rank: Rank, chance: random.Random, *, number: int | None = None, ranks: int | None = None,
    config: CommConfig | None = None,
) -> bool:  # fmt: skip
    """Join as `number` of `ranks`, if not as what the process is."""
    dawdle(chance)
    info = rank.root_info()
    dawdle(chance)
    number, ranks = rank.rank if number is None else number, ranks or rank.ranks
    handle = ctypes.byref(rank.communicator)
    if config is None:
        return attempt(lambda: rank.call("HcclCommInitRootInfo", ranks, info, number, handle))
    name = "HcclCommInitRootInfoConfig"
    return attempt(lambda: rank.call(name, ranks, info, number, ctypes.byref(config), handle))


def add_up(rank: Rank) -> None:
    """The communicator works."""
    total = rank.all_reduce(np.ones(3, np.int32))
    say("SUM", str(total.tolist()))


def die_soon(chance: random.Random, most: float = 0.06) -> None:
    def die() -> None:
        say("KILLED")
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Timer(chance.random() * most, die).start()


def connects(rank: Rank, chance: random.Random) -> None:
    if meet(rank, chance):
        add_up(rank)


def groups_at_once(rank: Rank, chance: random.Random) -> None:
    """Two communicators by two threads, with the same processes in other places."""
    infos = [rank.root_info("one"), rank.root_info("two")]
    devices = int(os.environ["CANN_SIMULATOR_DEVICES"])

    def join(which: int, pause: float) -> None:
        time.sleep(pause)
        rank.acl("aclrtSetDevice", rank.rank % devices)
        handle = ctypes.c_void_p()
        number = rank.rank if which == 0 else rank.ranks - 1 - rank.rank
        call = "HcclCommInitRootInfo"
        attempt(lambda: rank.call(call, rank.ranks, infos[which], number, ctypes.byref(handle)))

    threads = [threading.Thread(target=join, args=(which, chance.random() * 0.03)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def twins(rank: Rank, chance: random.Random) -> None:
    meet(rank, chance, number=(0, 1, 1)[rank.rank])


def root_twins(rank: Rank, chance: random.Random) -> None:
    meet(rank, chance, number=(0, 1, 0)[rank.rank])
    hold(rank)


def one_too_many(rank: Rank, chance: random.Random) -> None:
    """Two of three processes are a whole world."""
    meet(rank, chance, number=(0, 1, 1)[rank.rank], ranks=2)
    hold(rank)


def other_world(rank: Rank, chance: random.Random) -> None:
    meet(rank, chance, ranks=(3, 3, 4)[rank.rank])
    hold(rank)


def no_such_rank(rank: Rank, chance: random.Random) -> None:
    meet(rank, chance, number=(0, 1, 3)[rank.rank])
    hold(rank)


def refused_itself(rank: Rank, chance: random.Random) -> None:
    """One rank's own call is wrong."""
    config = comm_config("x", execute_timeout=-7 if rank.rank == 2 else 20)
    meet(rank, chance, config=config)
    hold(rank)


def hold(rank: Rank, dead: int | None = None) -> None:
    """The root's process lives until all have been told, as a program does that goes on.

    A rank that comes when it has ended can only be told that the root is out of reach.
    """
    rank.flag(f"told{rank.rank}")
    for other in range(rank.ranks):
        if other != dead:
            rank.await_flag(f"told{other}")


def dies(rank: Rank, chance: random.Random) -> None:
    if rank.rank == 1:
        rank.root_info()
        die_soon(chance)
    meet(rank, chance)
    if rank.rank == 1:
        rank.await_flag("never")
    hold(rank, dead=1)


def root_dies(rank: Rank, chance: random.Random) -> None:
    if rank.rank == 0:
        info = ctypes.create_string_buffer(4108)
        rank.call("HcclGetRootInfo", info)
        (rank.folder / "info.part").write_bytes(info.raw)
        (rank.folder / "info.part").rename(rank.folder / "info")
        die_soon(chance)
    rank.await_flag("info")
    info = ctypes.create_string_buffer((rank.folder / "info").read_bytes(), 4108)
    dawdle(chance)
    handle = ctypes.byref(rank.communicator)
    attempt(lambda: rank.call("HcclCommInitRootInfo", rank.ranks, info, rank.rank, handle))
    if rank.rank == 0:
        rank.await_flag("never")


def missing(rank: Rank, chance: random.Random) -> None:
    meet(rank, chance, ranks=4)


def write_table(rank: Rank) -> bytes:
    devices = [{"device_id": str(number), "rank_id": str(number)} for number in range(rank.ranks)]
    server = {"server_id": "127.0.0.1", "device": devices}
    path = rank.folder / "table.json"
    if rank.rank == 0:
        table = {"status": str(rank.folder), "server_list": [server]}  # unlike that of another run
        path.with_suffix(".part").write_text(json.dumps(table), encoding="ascii")
        path.with_suffix(".part").rename(path)
    rank.await_flag("table.json")
    return str(path).encode()


def meet_at_table(rank: Rank, chance: random.Random, number: int) -> bool:
    path = write_table(rank)
    dawdle(chance)
    handle = ctypes.byref(rank.communicator)
    return attempt(lambda: rank.call("HcclCommInitClusterInfo", path, number, handle))


def table(rank: Rank, chance: random.Random) -> None:
    """Twice: the same table may be used again."""
    for _ in range(2):
        if meet_at_table(rank, chance, rank.rank):
            add_up(rank)


def table_twins(rank: Rank, chance: random.Random) -> None:
    meet_at_table(rank, chance, (0, 1, 1)[rank.rank])
    hold(rank)


def table_root_twins(rank: Rank, chance: random.Random) -> None:
    meet_at_table(rank, chance, (0, 1, 0)[rank.rank])
    hold(rank)


def split(rank: Rank, members: list[int], chance: random.Random) -> bool:
    sub = ctypes.c_void_p()
    world = rank.communicator
    ids = (ctypes.c_uint32 * len(members))(*members)
    config = comm_config("sub", 20)
    dawdle(chance)
    done = attempt(
        lambda: rank.call(
            "HcclCreateSubCommConfig", ctypes.byref(world), len(members), ids, ctypes.c_uint64(7),
            members.index(rank.rank), ctypes.byref(config), ctypes.byref(sub),
        )
    )  # fmt: skip
    if done:
        rank.communicator = sub
    return done


def splits(rank: Rank, chance: random.Random) -> None:
    """The halves of a world, each in reverse order."""
    if meet(rank, chance) and split(rank, [1, 0] if rank.rank < 2 else [3, 2], chance):
        add_up(rank)


def split_dies(rank: Rank, chance: random.Random) -> None:
    meet(rank, chance)
    if rank.rank == 2:
        die_soon(chance)
    split(rank, [3, 2, 1, 0], chance)
    if rank.rank == 2:
        rank.await_flag("never")


# ---- what must come of it ------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """What a rank's process said, in order: (word, when, text)."""

    code: int
    lines: tuple[tuple[str, float, str], ...]

    def texts(self, word: str) -> list[str]:
        return [text for said, _, text in self.lines if said == word]

    def last(self, *words: str) -> float:
        return max((when for said, when, _ in self.lines if said in words), default=0.0)


@dataclass(frozen=True)
class Scenario:
    """`told`: what every rank that fails says; `connects`: whether all ranks, none or some may succeed."""

    program: Program
    ranks: int
    told: str = "$^"
    connects: str = "none"
    dead: int = -1  # the rank that is killed
    late: str = "$^"  # where a time-out is right, what it says
    timeout: int = 30


TWINS = "two processes say that they are rank {}: process \\d+ on [\\d.]+ and process \\d+ on"
SCENARIOS = {
    "connects": Scenario(connects, 3, connects="all"),
    "alone": Scenario(connects, 1, connects="all"),
    "groups_at_once": Scenario(groups_at_once, 3, connects="all"),
    "twins": Scenario(twins, 3, TWINS.format(1)),
    "root_twins": Scenario(root_twins, 3, TWINS.format(0)),
    "one_too_many": Scenario(one_too_many, 3, TWINS.format(1), "some"),
    "other_world": Scenario(other_world, 3, r"rank \d says that there are \d ranks, rank \d says \d"),
    "no_such_rank": Scenario(no_such_rank, 3, "rank 3 of 3 does not exist"),
    "refused_itself": Scenario(refused_itself, 3, "hcclExecTimeOut is -7"),
    "dies": Scenario(
        dies, 3, r"rank 1 \(process \d+ on [\d.]+\) ended while the communicator was being set up", "some",
        dead=1, late="rank 1 of 3 did not join within 2 seconds", timeout=2,
    ),
    "root_dies": Scenario(
        root_dies, 3, r"out of reach|rank 0 \(process \d+ on [\d.]+\).*gone", "some", dead=0
    ),
    "missing": Scenario(
        missing, 2, connects="none", late="ranks 2 and 3 of 4 did not join within 1 seconds", timeout=1
    ),
    "table": Scenario(table, 3, connects="all"),
    "table_twins": Scenario(table_twins, 3, TWINS.format(1)),
    "table_root_twins": Scenario(
        table_root_twins, 3, TWINS.format(0) + "|another process may have begun as rank 0"
    ),
    "splits": Scenario(splits, 4, connects="all"),
    "split_dies": Scenario(
        split_dies, 4, r"ended while the communicator was being set up|out of reach|rank 1 \(process", "some",
        dead=2,
    ),
}  # fmt: skip


def problem(scenario: Scenario, ended: list[Ended]) -> str:
    """What is wrong with a run; nothing when it is as it must be."""
    for number, rank in enumerate(ended):
        failures, good = rank.texts("FAILED"), rank.texts("CONNECTED")
        if number == scenario.dead:
            if rank.code != -signal.SIGKILL:
                return f"rank {number} was to be killed and ended with {rank.code}"
            continue
        if rank.code != 0 or not (failures or good):
            return f"process {number} ended with {rank.code}: {rank.lines}"
        if failures and scenario.connects == "all":
            return f"process {number}: {failures}"
        if not failures and scenario.connects == "none":
            return f"process {number} has connected"
        for text in failures:
            if not re.search(f"{scenario.told}|{scenario.late}", text):
                return f"process {number}: {text}"
            if text.startswith(f"{E_TIMEOUT} ") and not re.search(scenario.late, text):
                return f"process {number} waited for what was known: {text}"
        sums = rank.texts("SUM")
        members = 2 if scenario.program is splits else scenario.ranks
        if any(text != str([members] * 3) for text in sums):
            return f"process {number}: sums {sums}"
    if scenario.program is one_too_many and not any(rank.texts("FAILED") for rank in ended):
        return "nobody was told"
    return ""


def waited(scenario: Scenario, ended: list[Ended]) -> float:
    """How long a rank waited for what was known, at most; time-outs of what nobody knew aside."""
    known = max(rank.last("CALLS", "KILLED") for rank in ended)
    told = [
        when
        for rank in ended
        for said, when, text in rank.lines
        if said == "FAILED" and not re.search(scenario.late, text)
    ]
    return max([when - known for when in told], default=0.0)


def outcome(ended: list[Ended]) -> str:
    """In a few words, to be counted."""
    words = [
        "killed" if rank.code < 0 else "timed out" if any(t.startswith(f"{E_TIMEOUT} ") for t in failures)
        else "told" if failures else "connected"
        for rank in ended for failures in [rank.texts("FAILED")]
    ]  # fmt: skip
    counts = collections.Counter(words)
    return ", ".join(f"{counts[word]} {word}" for word in sorted(counts))


# ---- running -------------------------------------------------------------------------------------


def be_rank(scenario: Scenario, number: int, seed: int, libraries: Path, folder: Path) -> None:
    """This fork's whole life."""
    log = os.open(folder / f"{number}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    code = 1
    program = ctypes.CDLL(None)
    try:
        chance = random.Random(f"{seed} {number}")
        begin = getattr(program, "delays_begin", None)
        if begin is not None:
            begin(ctypes.c_uint64(chance.getrandbits(60)), int(LONGEST_DELAY * 1e6))
        os.environ["HCCL_CONNECT_TIMEOUT"] = str(scenario.timeout)
        scenario.program(Rank(libraries, number, scenario.ranks, folder), chance)
        code = 0
    except Exception as error:
        say("BROKE", repr(error))
    program.exit(code)  # with the handlers of the libraries, as a program ends


def run_once(scenario: Scenario, seed: int, libraries: Path, folder: Path) -> list[Ended]:
    children = []
    for number in range(scenario.ranks):
        child = os.fork()
        if child == 0:
            be_rank(scenario, number, seed, libraries, folder)
        children.append(child)
    limit = time.monotonic() + 2 * scenario.timeout + 30
    codes: dict[int, int] = {}
    while len(codes) < len(children):
        for number, child in enumerate(children):
            if number not in codes and time.monotonic() > limit:
                os.kill(child, signal.SIGABRT)
            if number not in codes:
                found, status = os.waitpid(child, os.WNOHANG)
                codes.update({number: os.waitstatus_to_exitcode(status)} if found else {})
        time.sleep(0.002)
    return [Ended(codes[number], read_log(folder / f"{number}.log")) for number in range(scenario.ranks)]


def read_log(path: Path) -> tuple[tuple[str, float, str], ...]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return tuple(tuple(json.loads(line)) if line.startswith("[") else ("OTHER", 0.0, line) for line in lines)


def run_all(name: str, seeds: range, libraries: Path) -> bool:
    """Run a scenario for each seed and say how it went; whether it always went well."""
    scenario, wrong, longest = SCENARIOS[name], [], 0.0
    outcomes: collections.Counter[str] = collections.Counter()
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            ended = run_once(scenario, seed, libraries, Path(folder))
        outcomes[outcome(ended)] += 1
        longest = max(longest, waited(scenario, ended))
        found = problem(scenario, ended)
        if found:
            wrong.append(f"  seed {seed}: {found}")
    ends = "; ".join(f"{count} x {text}" for text, count in outcomes.most_common())
    print(f"{name}: {len(wrong)} of {len(seeds)} wrong, longest wait {longest:.3f} s ({ends})", flush=True)
    print("".join(f"{line}\n" for line in wrong[:5]), end="", flush=True)
    return not wrong


def preloaded(folder: Path) -> dict[str, str]:
    """The environment in which every step takes a random time."""
    library = folder / "delays.so"
    compiler = os.environ.get("CXX", "g++")
    command = [compiler, "-std=c++17", "-O1", "-shared", "-fPIC", "-o", str(library)]
    subprocess.run([*command, str(HERE / "delays.cpp"), "-ldl"], check=True)
    return {"LD_PRELOAD": str(library)}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--libraries", type=Path, required=True, help="directory with libhccl.so")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("scenarios", nargs="*", choices=[[], *SCENARIOS], help="default: all")
    options = parser.parse_args()
    if "LD_PRELOAD" not in os.environ:
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, **preloaded(Path(folder)), "CANN_SIMULATOR_MEMORY": "16M",
                           "CANN_SIMULATOR_DEVICES": "4"}  # fmt: skip
            return subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode
    seeds = range(options.first, options.first + options.times)
    libraries = options.libraries.resolve()
    went_well = [run_all(name, seeds, libraries) for name in options.scenarios or SCENARIOS]
    return 0 if all(went_well) else 1


if __name__ == "__main__":
    sys.exit(main())
