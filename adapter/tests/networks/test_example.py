"""The example with which the project introduces itself."""

import re

import torch
from npu_testing import output

EXAMPLE = """\
import torch
import torch_npu

x = torch.randn(2, 2).npu()
y = torch.randn(2, 2).npu()
z = x.mm(y)

print(z)
"""


def test_it_prints_a_product_that_lies_on_the_device():
    number = r"\s*-?\d+\.\d+(e[-+]\d+)?"
    row = rf"\[{number},{number}\]"
    assert re.fullmatch(rf"tensor\(\[{row},\s+{row}\], device='npu:0'\)", output(EXAMPLE))


def test_the_product_is_the_cpus(no_fallback):
    x, y = torch.randn(2, 2), torch.randn(2, 2)
    torch.testing.assert_close(x.npu().mm(y.npu()).cpu(), x.mm(y))
