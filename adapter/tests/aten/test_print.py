"""Tensors print as on the CPU, with their device."""

import pytest
import torch

TENSORS = {
    "float": torch.tensor([[1.5, -2.25], [1e-3, 300.0]]),
    "special": torch.tensor([float("nan"), float("inf"), 1.0]),
    "scientific": torch.tensor([1e-8, 1e8]),
    "int": torch.arange(6).reshape(2, 3),
    "bool": torch.tensor([True, False]),
    "half": torch.tensor([1.0, 2.5], dtype=torch.float16),
    "bfloat16": torch.tensor([1.0, 2.5], dtype=torch.bfloat16),
    "complex": torch.tensor([1 + 2j, -3j]),
    "scalar": torch.tensor(3.0),
    "empty": torch.empty(0, 3),
    "large": torch.arange(3000.0).reshape(30, 100),
    "strided": torch.arange(12).reshape(3, 4).t()[1:],
}


@pytest.mark.parametrize("x", TENSORS.values(), ids=TENSORS.keys())
@pytest.mark.parametrize("index", [0, 1])
def test_the_text_is_the_cpus_with_the_device(x, index):
    device = f"device='npu:{index}'"
    text = repr(x.to(f"npu:{index}"))
    assert device in text
    without_device = text.replace(f", {device}", "").split()
    assert without_device == repr(x).split()


def test_requires_grad_and_grad_fn_are_shown():
    x = torch.ones(2, device="npu", requires_grad=True)
    assert repr(x) == "tensor([1., 1.], device='npu:0', requires_grad=True)"
    assert "grad_fn=<MulBackward0>" in repr(x * 2)


def test_a_format_string_takes_a_scalar():
    assert f"{torch.tensor(1.23456, device='npu'):.2f}" == "1.23"
