"""What has no kernel runs on the CPU: one warning for each operator, or an error, and counted."""

import json
import warnings

import pytest
import torch
from npu_testing import environment, output, run

TABLE = {row["aten"] for row in json.loads(torch.ops.torch_npu.op_table())}


def counts():
    return json.loads(torch.ops.torch_npu.fallback_counts())


def test_what_these_tests_use_has_no_kernel():
    assert not {"aten::lgamma.out", "aten::i0.out"} & TABLE


TWICE = """
import torch, torch_npu
x = torch.tensor([1.5, 2.5], device="npu")
for _ in range(3):
    y = torch.lgamma(x)
torch.testing.assert_close(y.cpu(), torch.lgamma(x.cpu()))
torch.i0(x)
"""


def test_one_warning_for_each_operator_naming_it():
    done = run(TWICE, env=environment(TORCH_NPU_FALLBACK_CPU_DISABLE=None))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("aten::lgamma") == 1
    assert done.stderr.count("aten::i0") == 1
    assert "CPU" in done.stderr


def test_the_environment_makes_it_an_error():
    done = run(TWICE, env=environment(TORCH_NPU_FALLBACK_CPU_DISABLE="1"))
    assert done.returncode == 1
    assert "aten::lgamma" in done.stderr.splitlines()[-1] or "aten::lgamma" in done.stderr
    assert "TORCH_NPU_FALLBACK_CPU_DISABLE" in done.stderr


def test_operators_on_lists_stay_on_the_device(no_fallback):
    """Optimizers and the clipping of gradients use them; torch before 2.4 has them for the CPU and CUDA."""
    values = [torch.rand(2, 3), torch.rand(4)]
    moved = [value.npu() for value in values]
    torch._foreach_add_(moved, torch._foreach_mul(moved, 3.0), alpha=-2.0)
    for found, value in zip(moved, values):  # noqa: B905  (Python 3.9)
        assert found.device.type == "npu"
        torch.testing.assert_close(found.cpu(), value - 6 * value)


def test_every_use_is_counted():
    x = torch.ones(2, device="npu")
    before = counts().get("aten::lgamma.out", 0) + counts().get("aten::lgamma", 0)
    torch.lgamma(x)
    torch.lgamma(x)
    assert counts().get("aten::lgamma.out", 0) + counts().get("aten::lgamma", 0) == before + 2


def test_a_native_operator_is_not_counted():
    before = counts()
    torch.ones(2, 2, device="npu").mm(torch.ones(2, 2, device="npu")).add(1).relu()
    assert counts() == before


def test_modes_are_switched_and_returned():
    x = torch.ones(2, device="npu")
    before = torch.ops.torch_npu.set_fallback("error")
    try:
        with pytest.raises(RuntimeError, match="aten::lgamma"):
            torch.lgamma(x)
        assert torch.ops.torch_npu.set_fallback("silent") == "error"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            torch.i0(x)
    finally:
        torch.ops.torch_npu.set_fallback(before)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"sometimes.*warn"):
        torch.ops.torch_npu.set_fallback("sometimes")


def test_results_of_a_fallback_are_on_the_device_and_right(silent_fallback):
    x = torch.rand(4, 4)
    spd = x @ x.t() + torch.eye(4)
    factor = torch.linalg.cholesky(spd.npu())
    assert factor.device == torch.device("npu:0")
    torch.testing.assert_close(factor.cpu(), torch.linalg.cholesky(spd))
    values, indices = torch.mode(torch.tensor([0.0, 1.0, 1.0], device="npu"))
    assert (values.item(), indices.item()) == (1, 2)


def test_writing_into_out_and_in_place_reaches_the_device(silent_fallback):
    x = torch.tensor([1.5, 2.5])
    out = torch.empty(0, device="npu")
    torch.lgamma(x.npu(), out=out)
    in_place = x.npu()
    in_place.lgamma_()
    torch.testing.assert_close(out.cpu(), torch.lgamma(x))
    torch.testing.assert_close(in_place.cpu(), torch.lgamma(x))


def test_the_fallback_keeps_the_second_device():
    code = (
        "import torch, torch_npu\n"
        "print(torch.lgamma(torch.ones(2, device='npu:1')).device, torch.npu.current_device())"
    )
    assert output(code) == "npu:1 0"
