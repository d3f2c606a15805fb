"""What a call or a training step costs on the host, against the same on CPU tensors in the same process.

Runs in an environment with torch and torch_npu, under the simulator; prints one JSON document. Device time of
such small tensors is next to nothing; calls are submitted in batches with one synchronize, and the best batch
counts, so that another process's use of the machine counts least.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable

import torch
import torch_npu  # noqa: F401  (registers torch.npu)

BATCH, BATCHES = 500, 20
STEPS = 10  # training steps in a batch


def microseconds(call: Callable[[], object], batch: int = BATCH) -> float:
    """The best batch's time per call."""
    call()
    best = float("inf")
    for _ in range(BATCHES):
        torch.npu.synchronize()
        started = time.perf_counter()
        for _ in range(batch):
            call()
        best = min(best, time.perf_counter() - started)
        torch.npu.synchronize()
    return best / batch * 1e6


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


def training_step(model: torch.nn.Module, shape: tuple[int, ...], device: str) -> Callable[[], object]:
    """Forward, backward and update, as a program writes them."""
    model = model.to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    x = torch.randn(shape, device=device)

    def step() -> None:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    return step


def training(device: str) -> dict[str, Callable[[], object]]:
    """The same training steps for any device."""
    layers = torch.nn.Sequential(*(torch.nn.Linear(64, 64) for _ in range(8)))
    block = torch.nn.TransformerEncoderLayer(64, nhead=4, dim_feedforward=128, dropout=0.0, batch_first=True)
    transformer = torch.nn.TransformerEncoder(block, num_layers=2, enable_nested_tensor=False)
    return {
        "a training step of eight 64x64 layers": training_step(layers, (16, 64), device),
        "a training step of a transformer of two layers": training_step(transformer, (4, 16, 64), device),
    }


def main() -> None:
    """Print {what: [npu, cpu]} in microseconds: of calls, or with `training` of training steps."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    programs, batch = (training, STEPS) if sys.argv[1:] == ["training"] else (calls, BATCH)
    npu, cpu = programs("npu"), programs("cpu")
    print(
        json.dumps({name: [microseconds(npu[name], batch), microseconds(cpu[name], batch)] for name in npu})
    )


if __name__ == "__main__":
    main()
