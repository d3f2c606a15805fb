"""The stand-in for torch, as a setup.py meets it: what builds ask is answered, the rest names its remedy."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from wheelmill.make.packages import standin
from wheelmill.make.toolchain.sdk import Sdk
from wheelmill.store import Digest

NAME = "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"


@pytest.fixture(params=["libgomp.so.1", "libother.so"])
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder for sys.path with the stand-in of a torch that has a library of this name."""
    wheel = tmp_path / NAME
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("torch/version.py", "__version__ = '2.13.0+cpu'\ncuda = hip = None\n")
        archive.writestr(f"torch/lib/{request.param}", "")
    root = tmp_path / "sdk"
    for folder in ("include", "lib"):
        (root / folder).mkdir(parents=True)
    standin.torch(Sdk(root, NAME, Digest("0" * 64)), wheel, tmp_path / "site", cxx11_abi=True)
    return tmp_path / "site"


def run(site: Path, program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(site)!r})\n{program}"],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_build_learns_what_the_loops_of_torch_run_on(site: Path, request: pytest.FixtureRequest) -> None:
    done = run(site, "from torch.__config__ import parallel_info; print(parallel_info(), end='')")
    openmp = "libgomp" in request.node.name
    wanted = "OpenMP" if openmp else "native thread pool"
    assert (done.stdout, done.stderr) == (f"ATen parallel backend: {wanted}\n", "")


@pytest.mark.parametrize("program", ["import torch.nn", "import torch; torch.ones(2)"])
def test_a_build_that_runs_torch_is_told_what_to_write(site: Path, program: str) -> None:
    done = run(site, program)
    assert done.returncode == 1
    assert 'where the build must run torch, write use = "install" under [sdks.torch]' in done.stderr
    tried = run(site, f"try:\n    {program}\nexcept (ImportError, AttributeError):\n    print('without')")
    assert tried.stdout == "without\n"
