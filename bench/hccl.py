"""All_reduce of 64 MB float32 between two ranks: the simulator's libhccl beside gloo on CPU tensors.

`python bench/hccl.py hccl|gloo RANK FOLDER` is one rank, in an environment with torch (gloo) or numpy and
CANN_SIMULATOR_LIBRARIES (hccl); `seconds()` starts both ranks of both.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

COUNT = 16 << 20  # float32
ROUNDS = 8
TESTS = Path(__file__).parents[1] / "simulator" / "tests"


def best(all_reduce: Callable[[], object]) -> float:
    """Seconds of the fastest of some rounds, the first of which has warmed up."""
    found = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        all_reduce()
        found.append(time.perf_counter() - started)
    return min(found[1:])


def run_hccl(number: int, folder: Path) -> float:
    sys.path.insert(0, str(TESTS))
    import ctypes

    import numpy as np
    from ranks import DTYPES, REDUCTIONS, Rank

    rank = Rank(Path(os.environ["CANN_SIMULATOR_LIBRARIES"]), number, 2, folder).connect()
    buffer = rank.put(np.zeros(COUNT, np.float32))
    what = (ctypes.c_uint64(COUNT), DTYPES["float32"], REDUCTIONS["sum"])

    def all_reduce() -> None:
        rank.call("HcclAllReduce", buffer, buffer, *what, rank.communicator, rank.stream)
        rank.synchronize()

    return best(all_reduce)


def run_gloo(number: int, folder: Path) -> float:
    import torch
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=number, world_size=2)
    tensor = torch.zeros(COUNT)
    found = best(lambda: dist.all_reduce(tensor))
    dist.barrier()
    return found


def seconds(python: Path, libraries: Path) -> dict[str, float]:
    """Seconds of one all_reduce with "hccl" and "gloo", of the slower rank."""
    environment = {
        **os.environ,
        "CANN_SIMULATOR_LIBRARIES": str(libraries),
        "LD_LIBRARY_PATH": str(libraries),
        "TORCH_DEVICE_BACKEND_AUTOLOAD": "0",
    }
    found = {}
    for peer in ("hccl", "gloo"):
        with tempfile.TemporaryDirectory() as folder:
            running = [
                subprocess.Popen(
                    [str(python), __file__, peer, str(number), folder],
                    env=environment,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                for number in range(2)
            ]
            found[peer] = max(float(process.communicate()[0]) for process in running)
    return found


if __name__ == "__main__":
    run = {"hccl": run_hccl, "gloo": run_gloo}[sys.argv[1]]
    print(run(int(sys.argv[2]), Path(sys.argv[3])))
