"""`wheelmill accept`: options that do not go together, and wheels that are refused before an install."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest

from tests.cli.test_command_line import wheelmill
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
        ([], 2, "Name a wheel, such as torch-npu==2.13.0"),
        (["x.whl", "--cell", "3.11-x86_64"], 2, "Name a wheel, such as"),
        (["--cell", "3.11-x86_64", "--simulator", "x.whl"], 2, "--simulator goes with a WHEEL"),
        (["--cell", "3.11-x86_64", "--python", "3.10"], 2, "--python goes with a WHEEL"),
        (["--cell", "3.11-x86_64", "--into", "folder"], 2, "--into goes with a WHEEL"),
        (["x.whl", "--into", "folder", "--in-container"], 2, "--into makes the environment on this"),
        (["x.whl"], 1, "x.whl is not the name of a wheel"),
        (["torch npu 2.13"], 1, "neither a wheel file nor a name with a version"),
        (["torch-npu==2.13.0", "--python", "3.99"], 1, "there is no Python 3.99"),
    ],
)
def test_words_that_mean_nothing_are_one_clear_error(
    tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    done = wheelmill("accept", *words, WHEELMILL_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (["--wheel", "torch-npu==2.13.0"], "wheelmill accept torch-npu==2.13.0"),
        (["3.11-x86_64", "--capabilities"], "wheelmill accept --cell 3.11-x86_64"),
    ],
)
def test_the_old_spelling_says_the_new_one(words: list[str], instead: str) -> None:
    done = wheelmill("smoke", *words)
    assert done.returncode == 2
    assert instead in " ".join(done.stderr.split())


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
    done = wheelmill("accept", str(wheel), *words, WHEELMILL_HOME=str(tmp_path / "home"))
    assert done.returncode == 1
    assert said in done.stderr
    assert not (tmp_path / "home" / "smoke").exists()


def test_a_torch_that_no_simulator_can_be_built_for_is_told(tmp_path: Path) -> None:
    draft = Draft("torch_npu", "9.9.9", TAG)
    draft.headers.append("Requires-Dist: torch==9.9.9")
    done = wheelmill("accept", str(draft.write(tmp_path)), WHEELMILL_HOME=str(tmp_path / "home"))
    assert done.returncode == 1
    assert f"the matrix has no line on it for {ARCH}: no simulator can be built" in done.stderr
    assert "--simulator WHEEL" in done.stderr


@pytest.mark.parametrize(
    ("asked", "chosen", "over"),
    [
        ("torch-npu", "2.13.0.post1", ["9.9.9 (no line of the matrix has torch 9.9.9"]),
        ("torch-npu<2.13", "2.9.0", []),
        ("torch-npu==2.13.*", "2.13.0.post1", []),
        ("torch-npu==2.13.0", None, []),
    ],
)
def test_without_a_version_the_newest_that_can_be_run_is_taken_and_told(
    tmp_path: Path, asked: str, chosen: str | None, over: list[str]
) -> None:
    for version in ("2.9.0", "2.13.0", "2.13.0.post1", "2.14.0a1", "9.9.9"):
        Draft("torch_npu", version, TAG).write(tmp_path / "links")
    # --torch is compared behind the wheel and before anything is built.
    settings = {"PIP_FIND_LINKS": str(tmp_path / "links"), "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    words = [asked, "--torch", "1.0.0"]
    done = wheelmill("accept", *words, WHEELMILL_HOME=str(tmp_path / "home"), **settings)
    assert done.returncode == 1
    assert "but --torch asks for torch 1.0.0" in done.stderr
    assert ("is the newest that can be run here" in done.stderr) == (chosen is not None)
    (taken,) = (tmp_path / "home" / "published").iterdir()
    assert taken.name.startswith(f"torch_npu-{chosen or '2.13.0'}-")
    assert all(text in done.stderr for text in over)


def test_with_a_simulator_the_newest_of_its_torch_is_taken(tmp_path: Path) -> None:
    for version in ("2.9.0", "2.13.0"):
        Draft("torch_npu", version, TAG).write(tmp_path / "links")
    simulator = Draft("cann_simulator", "2.9.0", f"py3-none-linux_{ARCH}")
    simulator.headers.append("Requires-Dist: torch==2.9.0")
    words = ["--simulator", str(simulator.write(tmp_path)), "--group", "nonsense"]
    settings = {"PIP_FIND_LINKS": str(tmp_path / "links"), "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    home = {"WHEELMILL_HOME": str(tmp_path / "home")}
    done = wheelmill("accept", "torch-npu", *words, **home, **settings)
    assert "torch-npu==2.9.0 is the newest that can be run here" in done.stderr
    assert "2.13.0 (the simulator is not for torch 2.13.0)" in done.stderr
    assert "there is no capability group nonsense" in done.stderr


def test_where_no_version_fits_each_is_named_with_its_reason(tmp_path: Path) -> None:
    Draft("torch_npu", "9.9.9", TAG).write(tmp_path / "links")
    settings = {"PIP_FIND_LINKS": str(tmp_path / "links"), "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    words = ["torch-npu", "--python", f"{sys.version_info.major}.{sys.version_info.minor}"]
    done = wheelmill("accept", *words, WHEELMILL_HOME=str(tmp_path / "home"), **settings)
    assert done.returncode == 1
    assert f"9.9.9 (no line of the matrix has torch 9.9.9 for {ARCH})" in done.stderr
    assert "--simulator WHEEL" in done.stderr
    assert "Traceback" not in done.stderr
