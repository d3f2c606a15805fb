"""What depends on torch's headers, with those of every torch of the matrix.

Between two releases torch adds functions to the interfaces that the adapter implements, renames them, and
takes their const away; and operators that the tables name come and change.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from wheelmill.make.toolchain import sdk
from wheelmill.make.toolchain.compiler import find_compiler, host_arch
from wheelmill.matrix import Torch, load
from wheelmill.progress import silent
from wheelmill.store import Store

PROJECT = Path(__file__).parents[2]
ADAPTER = PROJECT / "adapter"
# Where a build of this checkout left its state, torches that it fetched are there.
HOME = Path(os.environ.get("WHEELMILL_HOME", PROJECT / ".wheelmill"))
# PyTorch's wheels for it are CPU builds, a tenth of the others' size; the headers are the same.
ARCH = "aarch64"

SIMULATOR = PROJECT / "simulator"
#: What is written by hand and includes torch.
SOURCES = [*sorted(ADAPTER.glob("glue/**/*.cpp")), *sorted(SIMULATOR.glob("aclnn/*.cpp"))]

TABLES = {
    "adapter": [
        ADAPTER / "ops/generate.py",
        *("--table", ADAPTER / "ops/ops.yaml", "--custom", ADAPTER / "ops/custom.yaml", "--strict"),
        *("--operators", PROJECT / "cann/operators"),
        *("--sources", ADAPTER / "glue"),
        *("--out", "out", "--torch"),
    ],
    "simulator": [PROJECT / "simulator/aclnn/generate.py", "--output", "out.cpp", "--torch-include"],
}


def torches() -> list[Torch]:
    """Every torch that a line of the matrix can be built for, newest first."""
    matrix = load(PROJECT / "matrix/compat.yaml")
    return list({cell.line.torch.version: cell.line.torch for cell in matrix.cells()}.values())


def every_torch(*, built: bool) -> list[object]:
    """All. Every change is tested with the oldest alone, and with the newest if that is not built anyway."""
    found = torches()
    ends = (found[-1],) if built else (found[0], found[-1])
    return [
        pytest.param(torch, id=torch.version, marks=() if torch in ends else pytest.mark.on_demand)
        for torch in found
    ]


def test_both_products_have_their_sources_here() -> None:
    names = {path.name for path in SOURCES}
    assert {"allocator.cpp", "attention_ops.cpp", "guard.cpp", "hooks.cpp", "pinned.cpp"} <= names
    assert {"products.cpp", "layers.cpp"} <= names


@pytest.mark.slow
@pytest.mark.parametrize("torch", every_torch(built=True))
def test_every_source_compiles_with_this_torch(torch: Torch, tmp_path: Path) -> None:
    """Functions are overridden as it declares them, operators have the arguments that are passed."""
    compiler = find_compiler(host_arch())
    include = sdk.ensure(torch, ARCH, Store(HOME), silent).root / "include"
    generate = [sys.executable, "-B", *TABLES["adapter"], include, "--custom-parts", "1"]
    subprocess.run(generate, cwd=tmp_path, capture_output=True, check=True)
    major, minor = (int(part) for part in torch.version.split(".")[:2])
    folders = (
        *(ADAPTER / folder for folder in ("glue", "core/include", "src/torch_npu/include")),
        *(SIMULATOR / folder for folder in (".", "aclnn", "include")),
        *(PROJECT / "cann/include", tmp_path / "out"),
    )
    command = [
        *(*compiler.cxx, "-std=c++17", "-fsyntax-only", "-w"),
        *(f"-DNPU_TORCH={major * 100 + minor}", "-DAT_PER_OPERATOR_HEADERS"),
        f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.cxx11_abi[ARCH])}",
        *(f"-I{folder}" for folder in folders),
        *("-isystem", str(include), "-isystem", str(include / "torch/csrc/api/include")),
        *("-include", "ATen/core/Tensor.h", "-include", "ATen/TensorOperators.h"),
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = pool.map(
            lambda path: subprocess.run([*command, path], capture_output=True, text=True, check=False),
            [*SOURCES, tmp_path / "out" / "custom_0.cpp"],
        )
    assert "\n".join(one.stderr for one in done if one.returncode) == ""


@pytest.mark.slow
@pytest.mark.parametrize("product", TABLES)
@pytest.mark.parametrize("torch", every_torch(built=False))
def test_every_row_fits_this_torch_or_says_which_is_the_first(
    product: str, torch: Torch, tmp_path: Path
) -> None:
    """Nothing is left out for the newest torch, and for no torch anything but what `since` says."""
    include = sdk.ensure(torch, ARCH, Store(HOME), silent).root / "include"
    command = [sys.executable, "-B", *TABLES[product], include]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    if torch == torches()[0]:
        assert done.stdout == ""


def test_no_row_starts_before_the_oldest_torch_or_after_the_newest() -> None:
    versions = [tuple(int(part) for part in torch.version.split(".")[:2]) for torch in torches()]
    tables = [*ADAPTER.glob("ops/*.yaml"), *PROJECT.glob("cann/operators/*.yaml")]
    starts = [
        (int(major), int(minor))
        for table in tables
        for major, minor in re.findall(r"^[^#\n]*\bsince: [\"'](\d+)\.(\d+)", table.read_text(), re.M)
    ]
    assert len(starts) > 10
    assert [start for start in starts if not min(versions) < start <= max(versions)] == []
