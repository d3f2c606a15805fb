"""Wheels of other projects in torches from the package index: what is predicted is what the loader does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from wheelmill.prove.abi.extension import read_extension
from wheelmill.prove.abi.window import judge

from tests.abi.published import SHELF

pytestmark = [pytest.mark.on_demand, pytest.mark.slow]

RUN = [
    ("fbgemm_gpu_cpu==1.8.0", "2.13.0"),
    ("fbgemm_gpu_cpu==1.9.0", "2.14.1"),
    ("torchvision==0.29.1", "2.14.1"),
    ("vesin_torch==0.6.2", "2.13.0"),
    ("vesin_torch==0.6.2", "2.14.1"),
]
FAIL = [
    ("fbgemm_gpu_cpu==1.8.0", "2.14.1"),
    ("fbgemm_gpu_cpu==1.9.0", "2.13.0"),
    ("fbgemm_gpu_cpu==1.6.0", "2.13.0"),
    ("torchvision==0.28.0", "2.14.1"),
    ("torchvision==0.25.0", "2.14.1"),
]

# Loads what is linked to torch, of a folder for one torch that torch's alone.
LOAD = """
import re, sys
from pathlib import Path
import torch
series = ".".join(torch.__version__.split(".")[:2])
for file in sorted(Path(sys.argv[1]).rglob("*.so")):
    only = re.search(r"/torch-(\\d+\\.\\d+)/", str(file))
    if b"libtorch" in file.read_bytes() and (only is None or only[1] == series):
        torch.ops.load_library(str(file))
"""


def pip(python: str, *words: str) -> None:
    subprocess.run([python, "-m", "pip", "-q", "--disable-pip-version-check", *words], check=True)


@pytest.fixture(scope="module")
def python_with(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The Python of an environment with this torch."""

    @cache
    def made(torch: str) -> str:
        home = tmp_path_factory.mktemp(f"torch-{torch}")
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        pip(str(home / "bin" / "python"), "install", f"torch=={torch}", "numpy")
        return str(home / "bin" / "python")

    return made


@pytest.fixture(scope="module")
def wheel_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The wheel of this requirement, beside it a folder with its files."""

    @cache
    def made(requirement: str) -> Path:
        folder = tmp_path_factory.mktemp("wheel")
        pip(sys.executable, "download", "--no-deps", "-d", str(folder), requirement)
        (wheel,) = folder.glob("*.whl")
        subprocess.run([sys.executable, "-m", "zipfile", "-e", wheel, folder / "files"], check=True)
        return wheel

    return made


@pytest.mark.parametrize(
    ("requirement", "torch", "runs"), [(*pair, True) for pair in RUN] + [(*pair, False) for pair in FAIL]
)
def test_what_is_predicted_is_what_happens(
    requirement: str,
    torch: str,
    runs: bool,
    python_with: Callable[[str], str],
    wheel_of: Callable[[str], Path],
) -> None:
    wheel = wheel_of(requirement)
    (window, *_) = judge(read_extension(wheel), SHELF)
    assert (torch in window.runs) is runs
    command = [python_with(torch), "-c", LOAD, str(wheel.with_name("files"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is runs, done.stderr
