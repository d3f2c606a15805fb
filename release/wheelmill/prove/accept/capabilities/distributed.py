"""torch.distributed on the adapter's own backend: collective operations, and training by several ranks.

Ranks are processes of their own (distributed_rank.py), started once for every number of ranks; what they
found is shared by the checks.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from harness import Group, offered

PROGRAM = Path(__file__).with_name("distributed_rank.py")
SECONDS = 240  # for all parts of a run: starting many processes takes long on a busy machine
group = Group("distributed")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@functools.lru_cache(maxsize=None)
def ranks(count: int, *parts: str) -> tuple[tuple[int, str], ...]:
    """Exit code and output of every rank of a run of these parts of the rank program."""
    variables = {
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "CANN_SIMULATOR_DEVICES": str(count),
        "OMP_NUM_THREADS": "1",
    }
    faulthandler.dump_traceback_later(SECONDS + 20, exit=True)  # the check's own watch is for one process
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(PROGRAM), str(count), folder, *parts]
        done = subprocess.Popen(
            command,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            text, _ = done.communicate(timeout=SECONDS)
        finally:  # ranks that hang, too
            with contextlib.suppress(ProcessLookupError):
                os.killpg(done.pid, signal.SIGKILL)
        assert done.returncode == 0, f"the ranks could not be started:\n{text[-1500:]}"
        codes = json.loads(text.splitlines()[-1])
        logs = [Path(folder, f"{rank}.log").read_text(errors="replace") for rank in range(count)]
    return tuple((codes[rank], logs[rank]) for rank in range(count))


def problems(text: str) -> dict[str, str]:
    """Part -> what was wrong with it ("" when nothing), from a rank's output."""
    lines = (line for line in text.splitlines() if line.startswith('{"part"'))
    return {line["part"]: line["problem"] for line in map(json.loads, lines)}


def check_part(count: int, parts: tuple[str, ...], part: str) -> None:
    """Every rank has done the part and found nothing wrong."""
    known = getattr(torch.distributed, "is_backend_available", lambda _: False)  # torch 2.1 and newer
    offered(known("hccl"), 'torch.distributed.is_backend_available("hccl")')
    for rank, (code, text) in enumerate(ranks(count, *parts)):
        problem = problems(text).get(part, f"the rank ended with {code} before:\n{text[-1500:]}")
        assert problem == "", f"rank {rank} of {count}: {problem}"


OPERATIONS = (
    "all_reduce", "all_reduce_in_turn", "broadcast", "reduce", "all_gather", "all_gather_into_tensor",
    "reduce_scatter_tensor", "reduce_scatter", "scatter", "all_to_all_single", "all_to_all", "send_recv",
    "batch_isend_irecv", "barrier", "all_gather_object", "new_group",
)  # fmt: skip
TRAINING = ("data_parallel",)

# In a run of their own, whose process group is made before anything uses the device.
SHARDED = (
    "group_before_device", "fully_sharded", "tensor_parallel", "distributed_tensors", "graph_of_collectives",
)  # fmt: skip
# Operators that several ranks compute together.
FUSED = (
    "all_gather_product", "product_reduce_scatter", "product_all_reduce", "experts_there_and_back",
    "dispatch_and_combine", "dispatch_and_combine_v2",
)  # fmt: skip
NEEDED = {  # the first torch with the name: 2.6, 2.5, 2.5; the last depends on the adapter
    "fully_sharded": "torch.distributed.fsdp.fully_shard",
    "tensor_parallel": "torch.distributed.tensor.parallel.ColwiseParallel",
    "distributed_tensors": "torch.distributed.tensor.distribute_tensor",
    "graph_of_collectives": "torch_npu.npu.NPUGraph",
    "all_gather_product": "torch.ops.npu.npu_all_gather_base_mm",
    "product_reduce_scatter": "torch.ops.npu.npu_mm_reduce_scatter_base",
    "product_all_reduce": "torch.ops.npu.npu_mm_all_reduce_base",
    "experts_there_and_back": "torch.ops.npu.npu_alltoallv_gmm",
    "dispatch_and_combine": "torch.ops.npu.npu_moe_distribute_dispatch",
    "dispatch_and_combine_v2": "torch.ops.npu.npu_moe_distribute_dispatch_v2",
}


def known_parts(parts: tuple[str, ...] = SHARDED) -> tuple[str, ...]:
    """Those that this torch and this adapter can do."""
    return tuple(part for part in parts if part not in NEEDED or has(NEEDED[part]))


def has(name: str) -> bool:
    module, _, member = name.rpartition(".")
    if module == "torch.ops.npu":
        return hasattr(torch.ops.npu, member)
    try:
        return hasattr(importlib.import_module(module), member)
    except ImportError:
        return False


def check_known(count: int, parts: tuple[str, ...], part: str) -> None:
    offered(part in known_parts(parts), NEEDED.get(part, part))
    check_part(count, known_parts(parts), part)


for name in (*OPERATIONS, *TRAINING):
    group.add(name.replace("_", " "), functools.partial(check_part, 2, OPERATIONS + TRAINING, name))
for name in SHARDED:
    group.add(name.replace("_", " "), functools.partial(check_known, 2, SHARDED, name))
for number in (2, 4):
    for name in FUSED:
        group.add(
            f"{name.replace('_', ' ')}, {number} ranks", functools.partial(check_known, number, FUSED, name)
        )
for number in (4, 8):
    last = ("killed",) if number == 4 else ()
    check = functools.partial(check_part, number, TRAINING + last, "data_parallel")
    group.add(f"data parallel, {number} ranks", check)


@group.check
def a_killed_rank_ends_the_others() -> None:
    """With an error, long before any time-out."""
    check_part(4, (*TRAINING, "killed"), "data_parallel")
    *others, last = ranks(4, *TRAINING, "killed")
    assert last[0] == -signal.SIGKILL, f"rank 3 ended with {last[0]}"
    for rank, (code, text) in enumerate(others):
        assert code != 0, f"rank {rank} ended as if nothing had happened:\n{text[-1500:]}"
        assert "killed" not in problems(text), f"rank {rank} went on without rank 3:\n{text[-1500:]}"


if __name__ == "__main__":
    group.main()
