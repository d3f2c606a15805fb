"""The published torch_npu, as it is on the package index, in every capability group on the simulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
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


def simulate(into: Path, program: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [into / "bin/cann-simulator", "run", "--", into / "bin/python", program]
    environment = {**os.environ, **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


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
    done = simulate(into, program)
    assert done.stdout.strip() == "[[2.0, 2.0, 2.0]]", done.stderr
    assert done.returncode == 0, done.stderr


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


# An operator that the simulator lacks, and a call of it.
LACKING, CALL = (
    "Iou",
    'torch.ops.npu.npu_ptiou(torch.ones(2, 4, device="npu"), torch.ones(2, 4, device="npu"))',
)

PROJECT = f"""
import pytest, torch

def test_mm():
    x = torch.randn(4, 4, device="npu")
    assert torch.allclose((x @ x).cpu(), x.cpu() @ x.cpu(), atol=1e-5)

def test_devices():
    assert torch.npu.device_count() == 4

def test_passes_over_what_is_lacking():
    with pytest.raises(RuntimeError):
        {CALL}

def test_after_it():
    assert torch.ones(3, device="npu").sum().item() == 3

@pytest.mark.npu_fault("oom@1+")
def test_out_of_memory():
    with pytest.raises(torch.OutOfMemoryError):
        torch.empty(64 << 20, device="npu")

@pytest.mark.npu_fault("device@1")
def test_device_fails():
    with pytest.raises(RuntimeError):
        (torch.ones(3, device="npu") + 1).cpu()

def test_after_faults():
    assert torch.empty(64 << 20, device="npu").fill_(2)[-1].item() == 2

@pytest.mark.npu_check
def test_race():
    x, stream = torch.ones(1000, device="npu"), torch.npu.Stream()
    with torch.npu.stream(stream):
        x + 1
"""


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("-n", "2", "--dist", "loadscope")], ids=["alone", "xdist"])
def test_pytest_runs_a_project_on_the_simulator(
    run: tuple[dict[str, Any], Path, str], tmp_path: Path, words: tuple[str, ...]
) -> None:
    """The three lines of docs/simulator.md; what fails in the project is what should."""
    _, into, _ = run
    subprocess.run([into / "bin/python", "-m", "pip", "install", "-q", "pytest", "pytest-xdist"], check=True)
    (tmp_path / "test_npu.py").write_text(PROJECT)
    done = subprocess.run(
        [into / "bin/pytest", "--cann-simulator=devices=4", "-q", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert "2 failed, 6 passed" in done.stdout, done.stdout + done.stderr
    assert "FAILED test_npu.py::test_passes_over_what_is_lacking" in done.stdout
    assert "FAILED test_npu.py::test_race" in done.stdout
    assert f"1 test met operator {LACKING}: " in done.stdout
    assert done.returncode == 1


def ci_scripts() -> list[Any]:
    """What simulator/action.yml and simulator/gitlab-ci.yml run, and how each is given the wheel."""
    action = yaml.safe_load((ROOT / "simulator/action.yml").read_text())
    step = action["runs"]["steps"][0]
    assert set(step["env"]) == {"WHEEL", "INDEX_URL", "PYTHON"}
    assert {f"${{{{ inputs.{name} }}}}" for name in action["inputs"]} == set(step["env"].values())
    gitlab = yaml.safe_load((ROOT / "simulator/gitlab-ci.yml").read_text())[".cann-simulator"]
    github = pytest.param(step["run"], "WHEEL", {"INDEX_URL": "", "PYTHON": "python"}, id="github")
    return [
        github,
        pytest.param(
            "\n".join(gitlab["before_script"]), "CANN_SIMULATOR_WHEEL", gitlab["variables"], id="gitlab"
        ),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("script", "variable", "variables"), ci_scripts())
def test_the_scripts_for_ci_install_a_wheel_and_show_that_it_runs(
    run: tuple[dict[str, Any], Path, str], script: str, variable: str, variables: dict[str, str]
) -> None:
    """Run by bash as a runner does it; GitHub and GitLab themselves are out of reach."""
    _, into, _ = run
    origin = next(into.glob("lib/python*/site-packages/cann_simulator-*.dist-info/direct_url.json"))
    wheel = json.loads(origin.read_text())["url"]
    subprocess.run([into / "bin/python", "-m", "pip", "uninstall", "-q", "-y", "cann_simulator"], check=True)
    environment = {**os.environ, "PATH": f"{into / 'bin'}:{os.environ['PATH']}", **variables, variable: wheel}
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "tensor([2., 2.], device='npu:0')" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0


LOOP = f"""
import torch

def attempt(name, body):
    try:
        print(name, body())
    except RuntimeError as error:
        print(name, "raised", error)

def boxes():
    return {CALL}.cpu().shape

def gradient():
    layer = torch.nn.Linear(3, 1).to("npu")
    layer(torch.ones(2, 3, device="npu")).sum().backward()
    return layer.weight.grad

def to_pinned_memory():
    values = torch.zeros(2, pin_memory=True)
    values.copy_(torch.ones(2, device="npu"), non_blocking=True)
    torch.npu.current_stream().synchronize()
    return values.tolist()

def after_an_event():
    event = torch.npu.Event()
    event.record()
    event.synchronize()
    return event.query()

attempt("boxes:", boxes)
attempt("gradient:", lambda: gradient().cpu().tolist())
attempt("number:", lambda: gradient().sum().item())
attempt("other device:", lambda: gradient().to("npu:1").cpu().tolist())
attempt("pinned:", to_pinned_memory)
attempt("event:", after_an_event)
attempt("wait:", torch.npu.synchronize)
"""


def started(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What the program's attempts gave, by their names."""
    lines = (line.partition(": ") for line in done.stdout.splitlines())
    names = ("boxes", "gradient", "number", "other device", "pinned", "event", "wait")
    return {name: rest for name, _, rest in lines if name in names}


@pytest.mark.slow
@pytest.mark.parametrize("queue", ["1", "2"])
def test_after_a_refused_operator_no_wrong_number_comes_back(
    run: tuple[dict[str, Any], Path, str], tmp_path: Path, queue: str
) -> None:
    """The wheel's task queue drops every launch that follows; the wheel itself says so once, at the first."""
    _, into, _ = run
    program = tmp_path / "loop.py"
    program.write_text(LOOP)
    done = simulate(into, program, TASK_QUEUE_ENABLE=queue)
    ended = started(done)
    assert len(ended) == 7, done.stderr
    assert {name: rest for name, rest in ended.items() if not rest.startswith("raised")} == {}
    assert done.returncode == 67, done.stderr
    assert done.stderr.count("cann-simulator: no result is valid any more") == 1
    assert f"operator {LACKING} (1)" in done.stderr
    assert f"operator '{LACKING}'" in done.stdout


@pytest.mark.slow
def test_without_the_queue_a_refused_operator_fails_alone(
    run: tuple[dict[str, Any], Path, str], tmp_path: Path
) -> None:
    _, into, _ = run
    program = tmp_path / "loop.py"
    program.write_text(LOOP)
    done = simulate(into, program, TASK_QUEUE_ENABLE="0")
    ended = started(done)
    assert ended.pop("boxes").startswith("raised"), done.stderr
    row = "[[2.0, 2.0, 2.0]]"
    assert ended == {
        "gradient": row,
        "number": "6.0",
        "other device": row,
        "pinned": "[1.0, 1.0]",
        "event": "True",
        "wait": "None",
    }
    assert done.returncode == 67, done.stderr
    assert f"operator {LACKING} (1)" in done.stderr


@pytest.mark.slow
def test_devices_can_be_chosen_after_the_import(
    run: tuple[dict[str, Any], Path, str], tmp_path: Path
) -> None:
    _, into, _ = run
    program = tmp_path / "choose.py"
    program.write_text(
        "import os, torch, torch_npu\n"
        "os.environ['ASCEND_RT_VISIBLE_DEVICES'] = '1'\n"
        "print(torch.npu.device_count(), torch.ones(2, device='npu').device)\n"
    )
    done = simulate(into, program)
    assert done.stdout.strip() == "1 npu:0", done.stderr
