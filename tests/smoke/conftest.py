"""A torch, an adapter and a simulator as small as it gets, so that a smoke run's own doing can be tested.

They are real wheels, installed by a real pip from a real index; only what is in them is small. Each test
breaks one place, and the run has to notice.
"""

from __future__ import annotations

import platform
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import pytest
from wheelmill.matrix import Cell, load
from wheelmill.publish.index import IndexServer, WheelRecord, build_index

from tests.wheels import Draft

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

TORCH = """
import os, random
SIMULATED = os.environ.get("SMALL_SIMULATOR") == "1"
class Device:
    def __init__(self, type): self.type, self.index = type, 0
class Tensor:
    def __init__(self, rows, device="cpu"): self.rows, self.device = rows, Device(device)
    def npu(self):
        if not SIMULATED: raise RuntimeError("no NPU: install CANN, or use the simulator")
        return Tensor(self.rows, "npu")
    def cpu(self): return Tensor(self.rows)
    def mm(self, other):
        columns = list(zip(*other.rows))
        made = [[sum(a * b for a, b in zip(row, column)) for column in columns] for row in self.rows]
        return Tensor(made, self.device.type)
    def __sub__(self, other):
        return Tensor([[a - b for a, b in zip(r, s)] for r, s in zip(self.rows, other.rows)])
    def abs(self): return Tensor([[abs(a) for a in row] for row in self.rows])
    def max(self): return Tensor(max(a for row in self.rows for a in row))
    def item(self): return self.rows
    def __repr__(self): return f"tensor({self.rows}, device='{self.device.type}:0')"
def randn(*size): return Tensor([[random.gauss(0, 1) for _ in range(size[1])] for _ in range(size[0])])
def ones(*size): return Tensor([[1.0]])
class npu:
    is_available = staticmethod(lambda: SIMULATED)
    device_count = staticmethod(lambda: 2 if SIMULATED else 0)
    get_device_name = staticmethod(lambda index=0: "Ascend910B (simulated)")
class ops:
    class torch_npu:
        fallback_counts = staticmethod(lambda: "{}")
"""

SIMULATOR = """
import os, sys
def main():
    assert sys.argv[1:3] == ["run", "--"], sys.argv
    os.environ["SMALL_SIMULATOR"] = "1"
    os.execvp(sys.argv[3], sys.argv[3:])
"""


@dataclass
class Small:
    """Sources of the three packages, to be changed before `build`."""

    root: Path
    cell: Cell
    torch: str = TORCH
    adapter: str = "import torch\n"
    simulator: str = SIMULATOR
    adapter_requires: list[str] = field(default_factory=list)

    @property
    def index(self) -> Path:
        return self.root / "index"

    def served(self) -> IndexServer:
        """The index, on loopback."""
        return IndexServer(self.index)

    def wheels(self) -> tuple[Path, Path, Path]:
        """Write and return the wheels of torch, adapter and simulator."""
        line, platform_tag = self.cell.line, f"linux_{self.cell.arch}"
        pin = f"Requires-Dist: torch=={line.torch.version}"
        tag = f"{self.cell.python_tag}-{self.cell.python_tag}-{platform_tag}"
        torch = Draft("torch", line.torch.version, tag, {"torch.py": self.torch.encode()})
        adapter = Draft("torch_npu", line.adapter, tag, {"torch_npu.py": self.adapter.encode()})
        adapter.headers += [pin, *self.adapter_requires]
        simulator = Draft("cann_simulator", line.torch.version, f"py3-none-{platform_tag}")
        simulator.files["cann_simulator.py"] = self.simulator.encode()
        entry = b"[console_scripts]\ncann-simulator = cann_simulator:main\n"
        simulator.files[f"{simulator.dist_info}/entry_points.txt"] = entry
        simulator.headers.append(pin)
        drafts = (torch, adapter, simulator)
        return tuple(draft.write(self.root / "wheels" / draft.project) for draft in drafts)  # type: ignore[return-value]

    def build(self) -> Path:
        """Write the index of adapter and simulator; the path of torch's wheel."""
        torch, *ours = self.wheels()
        moment = datetime(2024, 1, 1, tzinfo=timezone.utc)
        build_index([WheelRecord.from_wheel(wheel, moment) for wheel in ours], self.index)
        return torch

    def unpack(self) -> Path:
        """A directory with all three, as pip would install them, without their commands."""
        site = self.root / "site"
        for wheel in self.wheels():
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(site)
        return site


@pytest.fixture(scope="session")
def cell() -> Cell:
    """The newest line of the matrix, for the Python and the machine that run the tests."""
    matrix = load(Path(__file__).parents[2] / "matrix/compat.yaml")
    return Cell(line=matrix.lines[-1], python=PYTHON, arch=platform.machine())


@pytest.fixture
def small(tmp_path: Path, cell: Cell) -> Callable[..., Small]:
    """small(adapter=..., ...) -> the packages with these sources."""
    return lambda **changes: Small(tmp_path, cell, **changes)
