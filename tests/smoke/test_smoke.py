"""A smoke run installs as a user would, names the step that failed, and leaves the evidence."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from wheelmill.matrix import Cell
from wheelmill.prove.smoke import EXAMPLE, SmokeError, SmokeResult, smoke
from wheelmill.publish.index import IndexServer

from tests.smoke.conftest import Small

Make = Callable[..., Small]
ROOT = Path(__file__).parents[2]
STEPS = [
    "environment",
    "torch",
    "wheels",
    "pip check",
    "import without CANN",
    "example on the simulated NPU",
]


def run(small: Small, **options: object) -> SmokeResult:
    wheel = small.build()
    return smoke(small.cell, small.served, small.root / "work", torch_wheel=wheel, **options)  # type: ignore[arg-type]


def test_a_good_cell_passes_and_says_what_was_installed_and_printed(small: Make) -> None:
    told: list[str] = []
    packages = small()
    result = run(packages, progress=told.append)
    assert result.failure is None
    assert (result.ok, result.status) == (True, "passed")
    assert result.printed.startswith("tensor([[")
    assert "device='npu:0'" in result.printed
    assert (result.device, result.max_error) == ("Ascend910B (simulated)", 0)
    line = packages.cell.line
    expected = {"torch": line.torch.version, "torch_npu": line.adapter, "cann-simulator": line.torch.version}
    assert {name: result.versions[name] for name in expected} == expected
    assert list(result.seconds) == STEPS
    assert set(STEPS) <= set(told)
    assert json.loads(json.dumps(result.to_json()))["status"] == "passed"
    # The wheels are those of the index, and nothing is left of the environment.
    shown = packages.index.glob("files/*/*.whl")
    assert dict(result.wheels) == {path.name: path.parent.name for path in shown}
    assert result.environment is None
    assert list((packages.root / "work").iterdir()) == []


def test_nothing_of_the_users_surroundings_reaches_the_run(
    small: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither same-named wheels that pip is configured to find, nor modules, nor a CANN of the machine."""
    decoy = small(adapter="raise ImportError('decoy')")
    decoy.root = tmp_path / "decoy"
    decoy.build()
    (tmp_path / "torch.py").write_text("raise ImportError('shadowed')")
    (tmp_path / "pip.conf").write_text(f"[global]\nfind-links = {tmp_path / 'decoy/wheels/torch_npu'}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "decoy/wheels/torch_npu"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("ASCEND_HOME_PATH", "/usr/local/Ascend")
    result = run(small(adapter="import os, torch\nassert 'ASCEND_HOME_PATH' not in os.environ\n"), keep=True)
    assert result.failure is None
    assert result.environment is not None
    assert (result.environment / "example.py").read_text() == EXAMPLE


@pytest.mark.parametrize(
    ("change", "step", "told"),
    [
        (
            {"adapter": "raise ImportError('undefined symbol: x')"},
            "import without CANN",
            "undefined symbol: x",
        ),
        ({"simulator": "import nothing_such\n"}, "example on the simulated NPU", "nothing_such"),
        ({"adapter_requires": ["Requires-Dist: not-there"]}, "pip check", "not-there"),
    ],
)
def test_a_failure_names_its_step_and_keeps_the_environment_and_the_log(
    small: Make, change: dict[str, object], step: str, told: str
) -> None:
    result = run(small(**change))
    assert result.failure is not None
    assert result.failure.step == step
    assert list(result.seconds) == STEPS[: STEPS.index(step)]
    assert told in "\n".join(result.failure.tail)
    assert told in result.failure.log.read_text()
    assert result.environment is not None
    assert (result.environment / "env/bin/python").exists()
    with pytest.raises(SmokeError) as caught:
        result.check()
    assert told in caught.value.message
    assert str(result.environment) in str(caught.value.hint)


def test_a_wheel_that_is_not_in_the_index_fails_there(small: Make) -> None:
    packages = small()
    torch_wheel = packages.build()
    line = dataclasses.replace(packages.cell.line, adapter="99.0")
    cell = dataclasses.replace(packages.cell, line=line)
    result = smoke(cell, packages.served, packages.root / "work", torch_wheel=torch_wheel)
    assert result.failure is not None
    assert (result.failure.step, "99.0" in "\n".join(result.failure.tail)) == ("wheels", True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"arch": "riscv64"}, "a wheel for riscv64 cannot be run here"),
        ({"python": "3.99"}, "no Python 3.99 on this machine: 3.99-"),
    ],
)
def test_a_cell_for_another_machine_is_not_a_failure(
    cell: Cell, tmp_path: Path, change: dict[str, str], told: str
) -> None:
    result = smoke(
        dataclasses.replace(cell, **change), partial(IndexServer, tmp_path / "index"), tmp_path / "work"
    )
    assert (result.status, result.failure) == ("not run", None)
    assert told in str(result.reason)
    assert result.check() is result


def test_the_readme_of_the_wheel_shows_the_example_that_runs() -> None:
    shown = (ROOT / "adapter/README.md").read_text(encoding="utf-8").splitlines()
    written = {text.partition("  #")[0].rstrip() for text in shown}
    assert [line for line in EXAMPLE.splitlines() if line not in written] == []
