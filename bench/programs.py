"""Programs on the simulator beside the same programs on plain CPU torch, in one process, by turns.

bench/simulated.py starts it in an environment with torch and a published torch_npu. A figure is the least of
some runs, on the clock and in seconds of CPU of the whole process, which other work changes less.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
import torch_npu  # noqa: F401  (registers torch.npu)

RUNS, IDLE_SECONDS, MIB = 5, 5.0, 1 << 20
Seconds = tuple[float, float]  # wall, CPU


def once(call: Callable[[], object]) -> Seconds:
    """One call, with all that it queued."""
    torch.npu.synchronize()
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    torch.npu.synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu


def by_turns(npu: Callable[[], object], cpu: Callable[[], object]) -> tuple[Seconds, Seconds]:
    """The least of each, taken by turns: a load that comes or goes meets both."""
    once(npu)
    once(cpu)
    found = [(once(npu), once(cpu)) for _ in range(RUNS)]

    def least(side: int) -> Seconds:
        return min(pair[side][0] for pair in found), min(pair[side][1] for pair in found)

    return least(0), least(1)


def training_step(device: str) -> Callable[[], object]:
    """A step of a transformer of 2 layers, 128 wide, on 8 sequences of 64: forward, backward, AdamW."""
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(128, 4, 256, dropout=0.0, batch_first=True)
    model = torch.nn.Sequential(
        torch.nn.Embedding(1000, 128), torch.nn.TransformerEncoder(layer, 2), torch.nn.Linear(128, 1000)
    ).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    words = torch.randint(0, 1000, (8, 65)).to(device)

    def step() -> float:
        optimizer.zero_grad()
        logits = model(words[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), words[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def small_kernels(device: str) -> Callable[[], object]:
    """A thousand kernels of 16 numbers, in a row."""
    x, y = torch.randn(4, 4, device=device), torch.randn(4, 4, device=device)

    def run() -> None:
        for _ in range(1000):
            torch.add(x, y)

    return run


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def held(device: str) -> float:
    """How much larger the process is with 512 MiB of tensors, in MiB."""
    gc.collect()
    before = resident()
    tensors = [torch.ones(16 * MIB // 4, device=device) for _ in range(32)]
    torch.npu.synchronize()
    grown = resident() - before
    del tensors
    return grown / MIB


def idle() -> float:
    """Seconds of CPU while 8 streams that have worked wait for work."""
    streams = [torch.npu.Stream() for _ in range(8)]
    for stream in streams:
        with torch.npu.stream(stream):
            torch.ones(4, device="npu").add_(1)
    torch.npu.synchronize()
    started = time.process_time()
    time.sleep(IDLE_SECONDS)
    return time.process_time() - started


def main() -> None:
    """Print what was found: {timed: {what: [[npu wall, npu CPU], [cpu wall, cpu CPU]]}, memory, idle}."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if sys.argv[1:] == ["idle"]:
        json.dump({"idle": idle()}, sys.stdout)
        return
    timed = {
        "a training step of a small transformer": by_turns(training_step("npu"), training_step("cpu")),
        "1,000 small kernels": by_turns(small_kernels("npu"), small_kernels("cpu")),
    }
    json.dump({"timed": timed, "memory": [held("npu"), held("cpu")]}, sys.stdout)


if __name__ == "__main__":
    main()
