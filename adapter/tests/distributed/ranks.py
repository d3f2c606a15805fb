"""Runs functions of a module in one process per rank, each with a device of its own.

    python ranks.py MODULE FUNCTION... (with RANK, WORLD_SIZE and STORE)

Each rank prints one line of JSON per function: its name, and the traceback or null. The first that fails ends
the rank, as the others would wait for it; with GO_ON it goes on, which shows what fails on all ranks alike.
"""

import importlib
import json
import os
import subprocess
import sys
import traceback
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIMEOUT = 60  # of the group's operations, seconds


@dataclass(frozen=True)
class Ended:
    """How a rank's process ended: what each function that it began came to, and what it wrote."""

    code: int
    problems: dict
    text: str


def start(module, functions, size, folder, timeout=TIMEOUT, devices=None, **variables):
    """The processes of `size` ranks."""
    environment = {
        **os.environ, "WORLD_SIZE": str(size), "STORE": str(Path(folder, "store")), "PYTHONPATH": str(HERE),
        "GROUP_TIMEOUT": str(timeout), "CANN_SIMULATOR_DEVICES": str(devices or max(size, 2)),
        "CANN_SIMULATOR_MEMORY": "256M", "OMP_NUM_THREADS": "1", **variables,
    }  # fmt: skip
    return [
        subprocess.Popen(
            [sys.executable, str(HERE / "ranks.py"), module, *functions],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(size)
    ]


def finish(processes, within=240):
    """Waits for all; none is left running."""
    try:
        texts = [process.communicate(timeout=within)[0] for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()
    ended = zip(processes, texts)  # noqa: B905
    return [Ended(process.returncode, _problems(text), text) for process, text in ended]


def run(module, functions, size, folder, within=240, **options):
    """One Ended for each rank."""
    return finish(start(module, functions, size, folder, **options), within)


def _problems(text):
    lines = [line for line in text.splitlines() if line.startswith('{"function"')]
    return {entry["function"]: entry["problem"] for entry in map(json.loads, lines)}


def main():
    import torch
    import torch.distributed as dist
    import torch_npu  # noqa: F401

    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    module = importlib.import_module(sys.argv[1])
    torch.set_num_threads(1)
    torch.npu.set_device(rank % torch.npu.device_count())
    dist.init_process_group(
        "hccl",
        init_method=f"file://{os.environ['STORE']}",
        rank=rank,
        world_size=size,
        timeout=timedelta(seconds=float(os.environ["GROUP_TIMEOUT"])),
    )
    for name in sys.argv[2:]:
        try:
            getattr(module, name)()
            problem = None
        except Exception:
            problem = traceback.format_exc()
        print(json.dumps({"function": name, "problem": problem}), flush=True)
        if problem is not None and not os.environ.get("GO_ON"):
            os._exit(1)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
