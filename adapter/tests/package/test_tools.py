"""torch_npu.tools: precision beside the CPU and between two runs, and the first inf or nan by name."""

import re

import pytest
import torch

pytestmark = pytest.mark.skipif(not hasattr(torch, "compile"), reason="dispatch modes of torch 2")

if hasattr(torch, "compile"):
    from torch_npu.tools import compare
    from torch_npu.tools.overflow import OverflowFoundError, detect


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(4, 8), torch.nn.Linear(8, 2)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


def net(seed=0):
    torch.manual_seed(seed)
    return Net()


def batch():
    return torch.arange(12.0).reshape(3, 4) / 12


def test_a_training_step_agrees_with_the_cpu_operator_by_operator():
    model = net().npu()
    with compare.beside_cpu(model) as report:
        model(batch().npu()).square().mean().backward()
    assert report.first is None, str(report)
    assert {one.module for one in report.differences} >= {"first", "second"}
    assert len(report.differences) > 8
    assert "0 outside of the tolerance" in str(report)


@pytest.fixture
def skewed():
    """An operator that gives something else on the NPU than on the CPU."""
    library = torch.library.Library("skewed", "DEF")
    library.define("half(Tensor x) -> Tensor")
    library.impl("half", lambda x: x / 2, "CPU")
    library.impl("half", lambda x: x / 2 + 0.25, "PrivateUse1")
    yield torch.ops.skewed.half
    del library


class Skewed(torch.nn.Module):
    def __init__(self, operator):
        super().__init__()
        self.first, self.last, self.operator = torch.nn.Identity(), torch.nn.ReLU(), operator

    def forward(self, x):
        return self.last(self.operator(self.first(x * 2)))


def test_the_first_operator_outside_of_its_tolerance_is_named(skewed, tmp_path):
    model = Skewed(skewed)
    with compare.beside_cpu(model) as report:
        model(batch().npu())
    assert [one.operator for one in report.outside] == ["skewed::half"]
    assert (report.first.module, report.first.share) == ("Skewed", 1.0)
    assert report.first.largest == pytest.approx(0.25)
    page = tmp_path / "report.html"
    report.save(page)
    text = page.read_text(encoding="utf-8")
    assert text.count("<rect") == len(report.differences) == 3
    assert text.count("class=outside") == 1


def test_what_an_operator_changes_in_place_is_compared_from_the_same_start():
    x = torch.arange(6.0).npu()
    with compare.beside_cpu() as report:
        x.mul_(2).add_(1)
    assert report.first is None
    assert len(report.differences) == 2


def dumped(path, device, model):
    with compare.dump(path, model):
        model.to(device)(batch().to(device))
    return path


def test_two_runs_are_compared_step_by_step(tmp_path):
    one = dumped(tmp_path / "npu.pt", "npu", net())
    other = dumped(tmp_path / "cpu.pt", "cpu", net())
    report = compare.compare(one, other)
    assert report.first is None
    assert len(report.differences) > 2
    changed = net()
    with torch.no_grad():
        changed.second.bias.add_(1)
    third = dumped(tmp_path / "changed.pt", "cpu", changed)
    assert compare.compare(one, third).first.module == "second"


def test_runs_of_different_programs_cannot_be_compared(tmp_path):
    with compare.dump(tmp_path / "one.pt") as one:
        torch.ones(2).npu().exp()
    with compare.dump(tmp_path / "two.pt") as two:
        torch.ones(2).npu().sin()
    with pytest.raises(ValueError, match=r"step \d+ is aten::\w+ in one run and aten::\w+ in the other"):
        compare.compare(one, two)


class Explodes(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Identity()
        self.last = torch.nn.Linear(4, 1)

    def forward(self, x):
        return self.last(self.body(x * 1e30) * 1e30)


def test_the_operator_that_overflows_is_named():
    model = Explodes().npu()
    with (
        pytest.raises(
            OverflowFoundError, match=r"aten::mul in Explodes: 12 inf and 0 nan .* finite operands"
        ),
        detect(model),
    ):
        model(torch.ones(3, 4).npu())


def test_overflow_can_be_a_warning_and_only_the_first_operator_counts():
    with pytest.warns(RuntimeWarning, match="aten::log"), detect(only_warn=True) as found:
        (torch.zeros(2).npu().log() + 1).exp()
    assert len(found) == 1
    assert re.match(r"aten::log: 2 inf and 0 nan", found[0])
