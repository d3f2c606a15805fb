"""The published torch_npu, as it is on the package index, in every capability group on the simulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.prove.accept.groups import group_names

ROOT = Path(__file__).parents[2]
VERSION = "2.13.0"
# Where a build of this checkout left its state, the simulator is known by its content key.
HOME = Path(os.environ.get("WHEELMILL_HOME", ROOT / ".wheelmill"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path, str]:
    """The one command of the README: its JSON, the environment that it made, and what it said."""
    if host_arch() != "x86_64":
        pytest.skip("the wheel under test is the one for x86_64")
    into = tmp_path_factory.mktemp("published") / "npu"
    words = ["accept", f"torch-npu=={VERSION}", "--into", str(into), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "wheelmill", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "release"), "WHEELMILL_HOME": str(HOME)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    document = json.loads(done.stdout)
    assert done.returncode == (document["status"] != "passed")
    return document, into, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_check_passes(run: tuple[dict[str, Any], Path, str]) -> None:
    document, _, said = run
    assert document["failure"] is None, said
    failed = {
        f"{group['group']}: {one['check']}": one["message"][:300]
        for group in document["groups"]
        for one in group["others"]
        if one["state"] == "failed"
    }
    assert failed == {}
    assert document["status"] == "passed"
    assert document["versions"]["torch_npu"] == VERSION
    assert document["example"]["max_error"] <= 1e-5


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_group_or_check_is_left_out(run: tuple[dict[str, Any], Path, str]) -> None:
    """What the published wheel does not offer is little, and a group with few checks proves little."""
    document, _, _ = run
    counts = {group["group"]: group["checks"] for group in document["groups"]}
    assert tuple(counts) == group_names()
    assert sum(counts.values()) > 3000
    assert min(counts.values()) >= 8, counts
    absent = {
        one["check"] for group in document["groups"] for one in group["others"] if one["state"] != "failed"
    }
    assert len(absent) <= 5, absent


@pytest.mark.slow
def test_the_environment_runs_a_program(run: tuple[dict[str, Any], Path, str], tmp_path: Path) -> None:
    """What the README does next."""
    _, into, _ = run
    program = tmp_path / "train.py"
    program.write_text(
        "import torch\n"
        "layer = torch.nn.Linear(3, 1).to('npu')\n"
        "layer(torch.ones(2, 3, device='npu')).sum().backward()\n"
        "print(layer.weight.grad.cpu().tolist())\n"
    )
    command = [into / "bin/cann-simulator", "run", "--", into / "bin/python", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout.strip() == "[[2.0, 2.0, 2.0]]", done.stderr


@pytest.mark.slow
def test_torchrun_makes_the_process_group_before_the_device_is_used(
    run: tuple[dict[str, Any], Path, str], tmp_path: Path
) -> None:
    """As FSDP, tensor-parallel and accelerate's programs do."""
    _, into, _ = run
    program = tmp_path / "reduce.py"
    program.write_text(
        "import os, torch, torch.distributed as dist\n"
        "dist.init_process_group('hccl')\n"
        "torch.npu.set_device(int(os.environ['LOCAL_RANK']))\n"
        "tensor = torch.full((2,), dist.get_rank() + 1.0).npu()\n"
        "dist.all_reduce(tensor)\n"
        "print(tensor.cpu().tolist(), flush=True)\n"
        "dist.destroy_process_group()\n"
    )
    command = [into / "bin/cann-simulator", "run", "--", into / "bin/torchrun"]
    command += ["--standalone", "--nproc_per_node", "2", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout.count("[3.0, 3.0]") == 2, done.stderr
