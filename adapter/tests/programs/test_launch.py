"""Launchers start one process per NPU: what two of them learn is what one learns."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.on_demand  # each starts five processes that import transformers or accelerate

PROGRAM = str(Path(__file__).with_name("launched.py"))
LAUNCHERS = {
    "torchrun": ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"],
    "accelerate launch": [
        *("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--num_machines=1"),
        *("--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0"),
    ],
}


def run(launcher, kind, folder, *words):
    result = folder / f"{kind}.json"
    command = [sys.executable, *launcher, PROGRAM, kind, str(result), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(result.read_text())


@pytest.mark.parametrize("name", LAUNCHERS)
def test_two_processes_of_accelerate_learn_what_one_learns(tmp_path, name):
    single, both = (tmp_path / folder for folder in ("single", "both"))
    single.mkdir()
    both.mkdir()
    expected = run([], "accelerate", single)
    found = run(LAUNCHERS[name], "accelerate", both)
    assert (expected["processes"], found["processes"]) == (1, 2)
    assert (found["backend"], torch.device(found["device"]).type) == ("hccl", "npu")
    torch.testing.assert_close(found["losses"], expected["losses"], rtol=1e-3, atol=1e-3)


def test_two_processes_of_the_trainer_learn(tmp_path):
    found = run(LAUNCHERS["torchrun"], "trainer", tmp_path)
    assert (found["processes"], found["backend"]) == (2, "hccl")
    assert found["losses"][-1] < 0.95 * found["losses"][0]
