"""The published torch_npu, as it is on the package index, in every capability group on the simulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from wheelmill.smoke.groups import group_names
from wheelmill.toolchain.compiler import host_arch

ROOT = Path(__file__).parents[2]
VERSION = "2.13.0"
# Where a build of this checkout left its state, the simulator is known by its content key.
HOME = Path(os.environ.get("WHEELMILL_HOME", ROOT / ".wheelmill"))

# What may fail on the simulator for this wheel, and why; an entry whose check passes can go.
NOT_YET = {
    **{
        f"activation: {check}": "aclnnPrelu with a weight of the input's dimensions"
        for dtype in ("float32", "float16", "bfloat16")
        for check in (f"prelu {dtype}", f"gradient of prelu {dtype}")
    },
    **{
        f"activation: prelu {layout}": "aclnnPrelu with a weight of the input's dimensions"
        for layout in ("transposed", "strided", "empty", "in 4 dims")
    },
    "casting: npu_format_cast to NC1HWC0 float32": "by CANN's older interface, operator Identity",
    "casting: npu_format_cast to NC1HWC0 float16": "by CANN's older interface, operator Identity",
    "casting: npu_format_cast to FRACTAL_NZ float32": "by CANN's older interface, operator Identity",
    "casting: npu_format_cast to FRACTAL_NZ float16": "by CANN's older interface, operator Identity",
    "copies: copy_ broadcasts": "aclnnInplaceCopy does not broadcast",
    "copies: between two devices": "a flag of aclrtCreateEventExWithFlag",
    "embedding: embedding_bag sum": "aclnnEmbeddingBag",
    "embedding: embedding_bag mean": "aclnnEmbeddingBag",
    "embedding: embedding_bag max": "aclnnEmbeddingBag",
    "embedding: embedding_bag with offsets": "aclnnEmbeddingBag",
    "indexing: columns float32": "aclnnIndex and a dimension without an index",
    "indexing: columns float16": "aclnnIndex and a dimension without an index",
    "indexing: columns bfloat16": "aclnnIndex and a dimension without an index",
    "indexing: a third dimension": "aclnnIndex and a dimension without an index",
    "indexing: no rows": "aclnnIndex and an index without elements",
    "indexing: a mask with no hit": "aclnnIndex and an index without elements",
    "normalisation: layer_norm of no rows": "aclnnLayerNorm without rows",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path, str]:
    """The one command of the README: its JSON, the environment that it made, and what it said."""
    if host_arch() != "x86_64":
        pytest.skip("the wheel under test is the one for x86_64")
    into = tmp_path_factory.mktemp("published") / "npu"
    words = ["smoke", "--wheel", f"torch-npu=={VERSION}", "--into", str(into), "--json"]
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
def test_every_check_passes_but_the_known_ones(run: tuple[dict[str, Any], Path, str]) -> None:
    document, _, said = run
    assert document["failure"] is None, said
    failed = {
        f"{group['group']}: {one['check']}": one["message"][:300]
        for group in document["groups"]
        for one in group["others"]
        if one["state"] == "failed"
    }
    assert {name: said for name, said in failed.items() if name not in NOT_YET} == {}
    assert document["status"] == ("failed" if failed else "passed")
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
