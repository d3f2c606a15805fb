"""This adapter beside the published one: what calls, training steps and the import cost on the host.

Each in an environment of its own, on the same torch and the same simulator. They take turns, and the least
counts, so that a load that comes or goes meets both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import simulated

ROOT = Path(__file__).parents[1]
ROUNDS = 3
#: How each is run; the published one hands calls to a thread of its own, by default and where it is told to.
SIDES = {"ours": {}, "queue off": {"TASK_QUEUE_ENABLE": "0"}, "queue on": {"TASK_QUEUE_ENABLE": "1"}}

# Seconds of CPU and MiB of memory that the adapter adds to a process with torch in it.
_IMPORT = """
import json, os, time
import torch
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
seconds, memory = time.process_time(), resident()
import torch_npu
print(json.dumps([time.process_time() - seconds, resident() - memory]))
"""
_BARE = "import json, time, torch; print(json.dumps([time.process_time()]))"


class DifferentPeersError(RuntimeError):
    """The two environments do not have the same torch and the same simulator."""


@dataclass(frozen=True)
class Found:
    """`calls`: what -> side of SIDES, or `cpu` -> microseconds. `imports`: side -> (seconds of CPU, MiB).

    `bare`: seconds of CPU of a process that imports torch alone.
    """

    calls: Mapping[str, Mapping[str, float]]
    imports: Mapping[str, tuple[float, float]]
    bare: float


def measure(ours: Path, published: Path) -> Found:
    """Both environments; DifferentPeersError where they could not be compared."""
    same_peers(ours, published)
    calls: dict[str, dict[str, float]] = {}
    imports: dict[str, tuple[float, float]] = {}
    bare = float("inf")
    for _ in range(ROUNDS):
        for side, chosen in SIDES.items():
            environment = ours if side == "ours" else published
            for words in ((), ("training",)):
                told = json.loads(_run(environment, [str(ROOT / "bench/dispatch.py"), *words], chosen))
                for what, (npu, cpu) in told.items():
                    least = calls.setdefault(what, {})
                    least[side] = min(npu, least.get(side, npu))
                    least["cpu"] = min(cpu, least.get("cpu", cpu))
            if side != "queue off":  # the queue has no part in an import
                seconds, memory = json.loads(_run(environment, ["-c", _IMPORT], chosen))
                before = imports.get(side, (seconds, memory))
                imports[side] = (min(seconds, before[0]), min(memory, before[1]))
        bare = min(bare, *json.loads(_run(ours, ["-c", _BARE], {})))
    return Found(calls, imports, bare)


def same_peers(ours: Path, published: Path) -> None:
    """Raise DifferentPeersError where torch's or the simulator's libraries differ."""
    for name in ("torch/version.py", "cann_simulator/lib"):
        digests = {_digest(next(one.glob(f"lib/python*/site-packages/{name}"))) for one in (ours, published)}
        if len(digests) != 1:
            raise DifferentPeersError(
                f"{name} differs in {ours} and {published}; delete the older one and run this again"
            )


def _digest(path: Path) -> str:
    files = sorted(path.glob("*.so")) if path.is_dir() else [path]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _run(environment: Path, words: list[str], chosen: Mapping[str, str]) -> str:
    """The last line; the adapter is imported by the program, not by torch."""
    told = simulated.run(environment, *words, **{"TORCH_DEVICE_BACKEND_AUTOLOAD": "0", **chosen})
    return told.splitlines()[-1]
