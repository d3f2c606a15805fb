"""The generator of the entry points: a row that cannot work is named, before any compiler sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

GENERATE = Path(__file__).resolve().parents[1] / "aclnn" / "generate.py"
SIGNATURES = "Neg: tensor self, out out\nPick: tensor self, str mode, out out\n"


def generate(tmp_path, kernels: str) -> subprocess.CompletedProcess[str]:
    headers = tmp_path / "include" / "ATen" / "ops"
    headers.mkdir(parents=True)
    for name in ("neg", "neg_meta_dispatch"):
        (headers / f"{name}.h").touch()
    (tmp_path / "aclnn.yaml").write_text(SIGNATURES)
    (tmp_path / "kernels.yaml").write_text(kernels)
    options = ["--signatures", tmp_path / "aclnn.yaml", "--kernels", tmp_path / "kernels.yaml"]
    options += ["--torch-include", tmp_path / "include"]
    return subprocess.run(
        [sys.executable, GENERATE, *options, "--output", tmp_path / "out.cpp"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_row_becomes_two_entry_points_and_a_compiled_shape_check(tmp_path):
    assert generate(tmp_path, "Neg: at::neg_out(out, self)\n").returncode == 0
    source = (tmp_path / "out.cpp").read_text()
    assert "aclnnNegGetWorkspaceSize(const aclTensor* self, aclTensor* out, uint64_t* workspaceSize" in source
    assert "aclnnNeg(void* workspace, uint64_t workspaceSize, aclOpExecutor* executor" in source
    assert "at::meta::neg_out(out, self);" in source
    assert "Pick" not in source  # an operator without a row has no symbol


def test_phase_one_tries_the_call_itself_or_what_the_row_names(tmp_path):
    row = "{aten: 'at::neg_out(out, self)', check: ask(self), shapes: {out: self.sizes()}%s}\n"
    assert generate(tmp_path / "plain", "Neg: " + row % "").returncode == 0
    source = (tmp_path / "plain" / "out.cpp").read_text()
    assert '  ask(self);\n  expect_shape("out", out, self.sizes());' in source
    assert "Neg_run, Neg_check, Neg_run}" in source
    assert generate(tmp_path / "other", "Neg: " + row % ", trial: other(self)").returncode == 0
    source = (tmp_path / "other" / "out.cpp").read_text()
    assert "void Neg_trial(Frame& f) {" in source
    assert "Neg_run, Neg_check, Neg_trial}" in source


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("Negate: at::neg_out(out, self)", "Negate: no such operator in aclnn.yaml"),
        ("Neg: {call: at::neg_out(out, self)}", "Neg: expected an ATen call"),
        ("Neg: {aten: at::neg(self), sized: self}", "'self' is not written"),
        ("Neg: {aten: at::neg(self), shapes: {result: self.sizes()}}", "'result' is not written"),
        ("Neg: {takes: tensor self, aten: at::neg(self)}", "Neg: aclnn.yaml has its signature"),
        ("Nag: {takes: tensor self, aten: at::neg(self)}", "Nag: nothing is written"),
        ("Neg: {aten: at::neg(self), since: 2}", "Neg: since is 2"),
        ("Neg: at::neg_out(out, self)\nNeg: at::neg_out(out, self)", "'Neg' is given twice"),
    ],
)
def test_a_row_that_cannot_work_is_named(tmp_path, row, told):
    done = generate(tmp_path, row)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_call_that_this_torch_does_not_have_leaves_the_row_out(tmp_path):
    done = generate(tmp_path, "Neg: at::neg_out(out, self)\nPick: at::pick_out(out, self)\n")
    assert done.returncode == 0
    assert "left out: aclnnPick (this torch has no at::pick_out)" in done.stdout
    source = (tmp_path / "out.cpp").read_text()
    assert "aclnnNeg(" in source
    assert "Pick" not in source


def test_a_row_for_a_later_torch_is_not_compiled_for_an_earlier_one(tmp_path):
    assert generate(tmp_path, "Neg: {aten: 'at::neg_out(out, self)', since: '2.4'}\n").returncode == 0
    assert "#if NPU_TORCH >= 204\nnamespace {\nvoid Neg_run" in (tmp_path / "out.cpp").read_text()


def test_the_torch_at_hand_serves_every_row(tmp_path):
    """A mistyped call would leave its row out, and an unstructured one would go unchecked."""
    include = Path(torch.__file__).parent / "include"
    command = [sys.executable, GENERATE, "--torch-include", include, "--output", tmp_path / "out.cpp"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == ""
