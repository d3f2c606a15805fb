"""`wheelmill smoke --wheel`: words that do not go together, and wheels that are refused before an install."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from tests.cli.test_words import wheelmill
from tests.wheels import Draft

ARCH = platform.machine()
RUNNING = f"cp{sys.version_info.major}{sys.version_info.minor}"
TAG = f"{RUNNING}-{RUNNING}-linux_{ARCH}"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A published adapter, as far as its name and metadata go."""
    draft = Draft("torch_npu", "2.13.0", TAG)
    draft.headers.append("Requires-Dist: torch==2.13.0.*")
    return draft.write(tmp_path)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["3.11-x86_64", "--wheel", "x.whl"], 2, "no cell, --line or --all goes with it"),
        (["--all", "--wheel", "x.whl"], 2, "no cell, --line or --all goes with it"),
        (["--simulator", "x.whl"], 2, "--simulator goes with --wheel"),
        (["--python", "3.10"], 2, "--python goes with --wheel"),
        (["--into", "folder"], 2, "--into goes with --wheel"),
        (
            ["--wheel", "x.whl", "--into", "folder", "--in-container"],
            2,
            "--into makes the environment on this",
        ),
        (["--wheel", "x.whl"], 1, "x.whl is no wheel"),
        (["--wheel", "torch npu 2.13"], 1, "neither a wheel file nor a name with a version"),
        (["--wheel", "torch-npu==2.13.0", "--python", "3.99"], 1, "there is no Python 3.99"),
    ],
)
def test_words_that_mean_nothing_are_one_clear_error(
    tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    done = wheelmill("smoke", *words, WHEELMILL_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--torch", "2.1.0"], "is for torch 2.13.0, but --torch asks for torch 2.1.0"),
        (["--python", "3.7"], ", not for 3.7"),
        (["--simulator", "absent.whl"], "there is no file absent.whl"),
        (["--group", "nonsense", "--simulator", "SIMULATOR"], "there is no capability group nonsense"),
        (["--simulator", "OTHER"], f"cann_simulator-2.1.0-py3-none-linux_{ARCH}.whl is for torch 2.1.0"),
        (["--simulator", "SIMULATOR", "--into", "."], ". is there already"),
    ],
)
def test_what_does_not_fit_the_wheel_is_said_before_anything_is_installed(
    tmp_path: Path, wheel: Path, words: list[str], said: str
) -> None:
    for name, torch in (("SIMULATOR", "2.13.0"), ("OTHER", "2.1.0")):
        draft = Draft("cann_simulator", torch, f"py3-none-linux_{ARCH}")
        draft.headers.append(f"Requires-Dist: torch=={torch}")
        words = [str(draft.write(tmp_path)) if word == name else word for word in words]
    done = wheelmill("smoke", "--wheel", str(wheel), *words, WHEELMILL_HOME=str(tmp_path / "home"))
    assert done.returncode == 1
    assert said in done.stderr
    assert not (tmp_path / "home" / "smoke").exists()


def test_a_torch_that_no_simulator_can_be_built_for_is_told(tmp_path: Path) -> None:
    draft = Draft("torch_npu", "9.9.9", TAG)
    draft.headers.append("Requires-Dist: torch==9.9.9")
    done = wheelmill("smoke", "--wheel", str(draft.write(tmp_path)), WHEELMILL_HOME=str(tmp_path / "home"))
    assert done.returncode == 1
    assert f"the matrix has no line on it for {ARCH}: no simulator can be built" in done.stderr
    assert "--simulator WHEEL" in done.stderr
