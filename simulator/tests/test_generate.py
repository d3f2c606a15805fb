"""The generator of the entry points: a row that cannot work is named, before any compiler sees it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from acl import KERNELS, SERVED, TORCH, symbol

GENERATE = Path(__file__).resolve().parents[1] / "aclnn" / "generate.py"
TAKES = {"Pick": "tensor self, str mode, out out"}


def row_of(match: re.Match[str]) -> str:
    """A row whose signature the test does not care about: a call, or a mapping without `takes`."""
    name, row = match.groups()
    takes = f"takes: '{TAKES.get(name, 'tensor self, out out')}'"
    if not row.startswith("{"):
        return f"{name}: {{{takes}, aten: '{row}'}}"
    return match[0] if "takes: " in row else f"{name}: {{{takes}, {row[1:]}"


def generate(tmp_path, kernels: str) -> subprocess.CompletedProcess[str]:
    headers = tmp_path / "include" / "ATen" / "ops"
    headers.mkdir(parents=True)
    for name in ("neg", "neg_meta_dispatch"):
        (headers / f"{name}.h").touch()
    (tmp_path / "topic.yaml").write_text(re.sub(r"^(\w+): (.*)$", row_of, kernels, flags=re.M))
    options = ["--tables", tmp_path / "topic.yaml"]
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
        ("Neg: {call: at::neg_out(out, self)}", "Neg: expected a mapping with takes and aten"),
        ("Neg: {aten: at::neg(self), sized: self}", "'self' is not written"),
        ("Neg: {aten: at::neg(self), shapes: {result: self.sizes()}}", "'result' is not written"),
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


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("Neg: at::nge_out(out, self)", "Neg: this torch has no at::nge_out; did you mean neg_out?"),
        ("Pick: at::pick_out(out, self)", "Pick: this torch has no at::pick_out. Fix the name"),
        ("Neg: {aten: at::neg(self), chekc: false}", "found 'chekc'; did you mean check?"),
        (
            "Neg: {aten: at::neg(self), shapes: {oot: self.sizes()}}",
            "'oot' is not written.*did you mean out?",
        ),
        ("Neg: {aten: 'self.neg_()', check: 'at::meta::nge(self)'}", "no at::nge; did you mean neg?"),
    ],
)
def test_a_misspelt_word_is_refused_with_the_nearest_right_one(tmp_path, row, told):
    """A row that is left out in silence would leave its operator missing."""
    done = generate(tmp_path, row)
    assert done.returncode == 1
    assert re.search(told.replace("?", r"\?"), done.stderr)


@pytest.mark.parametrize(("version", "served"), [("2 3", False), ("2 4", True), (None, True)])
def test_a_row_starts_with_the_first_torch_that_has_its_call(tmp_path, version, served):
    if version is not None:
        header = tmp_path / "include/torch/headeronly/version.h"
        header.parent.mkdir(parents=True)
        major, minor = version.split()
        header.write_text(f"#define TORCH_VERSION_MAJOR {major}\n#define TORCH_VERSION_MINOR {minor}\n")
    done = generate(tmp_path, "Neg: {aten: 'at::neg_out(out, self)', since: '2.4'}\n")
    assert done.returncode == 0
    assert ("for a later torch, left out: aclnnNeg" in done.stdout) is not served
    assert ("aclnnNeg" in (tmp_path / "out.cpp").read_text()) is served


def test_the_torch_at_hand_serves_every_row_of_its_own(tmp_path):
    """A mistyped call would leave its row out, and an unstructured one would go unchecked."""
    include = Path(torch.__file__).parent / "include"
    command = [sys.executable, GENERATE, "--torch-include", include, "--output", tmp_path / "out.cpp"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    later = [f"for a later torch, left out: {symbol(name)}" for name in KERNELS if name not in SERVED]
    unchecked = [line for line in done.stdout.splitlines() if line.startswith("without a check of shapes")]
    assert done.stdout.splitlines() == [*later, *unchecked]
    assert not unchecked or TORCH < (2, 0)
