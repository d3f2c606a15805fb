"""The command that counts what is right on the device, and what is native."""

import json

import opinfo_coverage as coverage
import pytest
import torch
from npu_testing import TORCH


@pytest.fixture(autouse=True)
def fallback_as_before():
    before = torch.ops.torch_npu.set_fallback("silent")
    yield
    torch.ops.torch_npu.set_fallback(before)


@pytest.mark.skipif(TORCH < (2, 0), reason="PyTorch's samples lie elsewhere in torch 1")
def test_native_and_correct_are_told_apart(capsys, tmp_path):
    words = ["--only", "add", "--only", "special.airy_ai", "--dtypes", "float32", "--samples", "3"]
    assert coverage.main([*words, "--list", "--json", str(tmp_path / "cases.json")]) == 0
    shown = capsys.readouterr().out
    assert "forward\n  correct:     2 of 2 (100.0 %)\n  native:      1 of 2 (50.0 %)" in shown
    assert "aten::special_airy_ai.out" in shown
    rows = json.loads((tmp_path / "cases.json").read_text())
    assert {(row["name"], row["backward"]): row["native"] for row in rows} == {
        ("add", False): True,
        ("add", True): True,
        ("special.airy_ai", False): False,
    }


def test_other_values_than_the_cpus_are_named(monkeypatch, capsys):
    honest = coverage.call

    def wrong(op, sample, device, backward):
        results = honest(op, sample, device, backward)
        return [x + 1 for x in results] if device == "npu" else results

    monkeypatch.setattr(coverage, "call", wrong)
    words = ["--only", "mul", "--dtypes", "float32", "--samples", "2", "--list"]
    assert coverage.main(words) == 1
    assert "mul float32: other values" in capsys.readouterr().out
