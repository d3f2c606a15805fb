"""What a call costs on the host, against the same call on CPU tensors in the same process.

Runs in an environment with torch and torch_npu, under the simulator; prints one JSON document. Device time of
such small tensors is next to nothing; calls are submitted in batches with one synchronize, and the best batch
counts, so that another process's use of the machine counts least.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable

import torch
import torch_npu  # noqa: F401  (registers torch.npu)

BATCH, BATCHES = 500, 20


def microseconds(call: Callable[[], object]) -> float:
    """The best batch's time per call."""
    call()
    best = float("inf")
    for _ in range(BATCHES):
        torch.npu.synchronize()
        started = time.perf_counter()
        for _ in range(BATCH):
            call()
        best = min(best, time.perf_counter() - started)
        torch.npu.synchronize()
    return best / BATCH * 1e6


def calls(device: str) -> dict[str, Callable[[], object]]:
    """The same calls for any device."""
    x, y = torch.randn(4, 4, device=device), torch.randn(4, 4, device=device)
    return {
        "x.mm(y), 4x4": lambda: x.mm(y),
        "x + y, 4x4": lambda: x + y,
        "torch.relu(x), 4x4": lambda: torch.relu(x),
        "x.sum(), 4x4": lambda: x.sum(),
        "torch.empty(4, 4)": lambda: torch.empty(4, 4, device=device),
        "x.view(2, 8)": lambda: x.view(2, 8),
        "x.lgamma(), 4x4 (CPU fallback)": lambda: x.lgamma(),
    }


def main() -> None:
    """Print {call: [npu, cpu]} in microseconds."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    npu, cpu = calls("npu"), calls("cpu")
    print(json.dumps({name: [microseconds(npu[name]), microseconds(cpu[name])] for name in npu}))


if __name__ == "__main__":
    main()
