"""The probe inside the environment notices a wrong result, a wrong device and a wrong answer without CANN."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from wheelmill.progress import silent
from wheelmill.prove.smoke import EXAMPLE, probe
from wheelmill.prove.smoke.steps import StepFailedError, Steps

from tests.smoke.conftest import TORCH, Small

Make = Callable[..., Small]


def ask(small: Small, mode: str, *, simulated: bool) -> tuple[int, str]:
    """Run the probe on unpacked packages; (exit code, all it said)."""
    site = small.unpack()
    script = site / "example.py"
    script.write_text(EXAMPLE)
    words = ["absent", "out"] if mode == "absent" else ["example", str(script), "out", "--named-simulated"]
    environment = {**os.environ, "PYTHONPATH": str(site), "SMALL_SIMULATOR": str(int(simulated))}
    command = [sys.executable, str(probe.__file__), *words]
    done = subprocess.run(
        command, cwd=small.root, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (small.root / "out").exists() == (done.returncode == 0)
    return done.returncode, done.stdout + done.stderr


def test_good_packages_satisfy_it(small: Make) -> None:
    assert ask(small(), "absent", simulated=False)[0] == 0
    (small().root / "out").unlink()
    code, told = ask(small(), "example", simulated=True)
    assert (code, told.startswith("tensor(")) == (0, True)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("staticmethod(lambda: SIMULATED)", "staticmethod(lambda: True)", "is_available() is True"),
        ("2 if SIMULATED else 0", "1", "device_count() is 1 without any NPU"),
        (
            "no NPU: install CANN, or use the simulator",
            "error 507899",
            "does not tell what is missing: error 507899",
        ),
        ("if not SIMULATED: raise", "if False: raise", "moved to an NPU that does not exist"),
    ],
)
def test_a_wrong_answer_without_cann_is_told(small: Make, old: str, new: str, told: str) -> None:
    assert old in TORCH
    code, said = ask(small(torch=TORCH.replace(old, new)), "absent", simulated=False)
    assert (code, told in said) == (1, True), said


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("sum(a * b", "(self.device.type == 'npu') + sum(a * b", "differs from the CPU's by"),
        ("sum(a * b", "float('nan') * sum(a * b", "differs from the CPU's by nan"),
        ("Tensor(made, self.device.type)", "Tensor(made)", "not on an npu device"),
        ("Ascend910B (simulated)", "Ascend910B", "does not say that it is simulated"),
        ('"{}"', "'{\"aten::mm\": 1}'", "as a fallback"),
    ],
)
def test_a_wrong_run_under_the_simulator_is_told(small: Make, old: str, new: str, told: str) -> None:
    assert old in TORCH
    code, said = ask(small(torch=TORCH.replace(old, new)), "example", simulated=True)
    assert (code, told in said) == (1, True), said


def test_a_hang_ends_at_its_limit_with_what_was_said(tmp_path: Path) -> None:
    steps = Steps(tmp_path, silent)
    code = "print('began', flush=True); import time; time.sleep(600)"
    with pytest.raises(StepFailedError) as caught:
        steps.run("hang", [sys.executable, "-c", code], dict(os.environ), 3)
    failure = caught.value.failure
    assert (failure.step, failure.reason) == ("hang", "was stopped after 3 seconds")
    assert "began" in failure.tail


def test_a_program_that_is_not_there_is_a_failure_of_its_step(tmp_path: Path) -> None:
    with pytest.raises(StepFailedError) as caught:
        Steps(tmp_path, silent).run("start", [tmp_path / "absent"], dict(os.environ), 3)
    assert "could not be started" in caught.value.failure.reason
