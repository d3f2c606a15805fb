"""Compare precision, operator by operator.

On the NPU and on the CPU, with the same operands for each operator:

    from torch_npu.tools.compare import beside_cpu

    with beside_cpu(model) as report:
        loss = model(batch).sum()
        loss.backward()
    print(report)                 # the operators that leave their tolerance, the first one on top
    report.save("report.html")    # all of them, with a picture

Between two runs, of which one may be on another machine:

    from torch_npu.tools.compare import compare, dump

    with dump("npu.pt", model):
        model(batch)
    print(compare("npu.pt", "cpu.pt"))
"""

from __future__ import annotations

import html
import math
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

import torch

from torch_npu.tools._operators import EachOperator, mapped, tensors_in

#: dtype -> how far apart results may be, relative and absolute: some roundings.
TOLERANCES: Dict[torch.dtype, Tuple[float, float]] = {
    torch.float64: (1e-7, 1e-7),
    torch.float32: (1e-4, 1e-5),
    torch.float16: (4e-3, 4e-3),
    torch.bfloat16: (3e-2, 3e-2),
}
#: Operators whose results are random, or whose memory is not written yet.
_RANDOM = ("bernoulli", "dropout", "multinomial", "normal", "rand", "uniform", "exponential", "random")


@dataclass(frozen=True)
class Difference:
    """One result of one operator in both runs."""

    number: int  # of the operator, from 0
    operator: str
    module: str
    result: int  # which of its results
    shape: Tuple[int, ...]
    dtype: torch.dtype
    largest: float  # absolute difference
    share: float  # of the elements that leave the tolerance
    reason: str = ""  # why the two cannot be compared

    @property
    def within(self) -> bool:
        return not self.reason and self.share == 0

    def __str__(self) -> str:
        where = f" in {self.module}" if self.module else ""
        what = (
            self.reason or f"largest difference {self.largest:.3g}, {self.share:.1%} of the elements outside"
        )
        return f"{self.number:5d}  {self.operator}{where}: {what}"


@dataclass
class Report:
    """What was compared, in the order in which it ran."""

    differences: List[Difference] = field(default_factory=list)
    left_out: Dict[str, int] = field(default_factory=dict)  # operator -> calls that could not be compared

    @property
    def outside(self) -> List[Difference]:
        """What leaves its tolerance."""
        return [one for one in self.differences if not one.within]

    @property
    def first(self) -> Optional[Difference]:
        """The first that does; None when all agree."""
        return next(iter(self.outside), None)

    def __str__(self) -> str:
        outside = self.outside
        lines = [f"{len(self.differences)} results compared, {len(outside)} outside of the tolerance"]
        lines += [str(one) for one in outside[:20]]
        if len(outside) > 20:
            lines.append(f"... and {len(outside) - 20} more")
        if self.left_out:
            names = ", ".join(f"{name} ({count})" for name, count in sorted(self.left_out.items()))
            lines.append(f"not compared: {names}")
        return "\n".join(lines)

    def save(self, path: Union[str, "os.PathLike[str]"]) -> None:
        """Write a page with a picture of all differences and a table of them."""
        Path(path).write_text(_page(self), encoding="utf-8")


def difference(
    number: int, operator: str, module: str, result: int, actual: torch.Tensor, expected: torch.Tensor
) -> Difference:
    """How far two results, on any device, are apart."""
    known = (number, operator, module, result, tuple(actual.shape), actual.dtype)
    if actual.shape != expected.shape:
        return Difference(*known, 0.0, 0.0, f"sizes {tuple(actual.shape)} and {tuple(expected.shape)}")
    if actual.dtype is not expected.dtype:
        return Difference(*known, 0.0, 0.0, f"dtypes {actual.dtype} and {expected.dtype}")
    one, other = actual.detach().cpu(), expected.detach().cpu()
    if one.numel() == 0:
        return Difference(*known, 0.0, 0.0)
    if not one.is_floating_point() and not one.is_complex():
        wrong = one != other
        apart = (one.double() - other.double()).abs().max().item()
        return Difference(*known, apart, wrong.double().mean().item())
    rtol, atol = TOLERANCES.get(one.dtype, TOLERANCES[torch.float32])
    wide = torch.complex128 if one.is_complex() else torch.float64
    one, other = one.to(wide), other.to(wide)
    wrong = ~torch.isclose(one, other, rtol=rtol, atol=atol, equal_nan=True)
    apart = (one - other).abs().nan_to_num(nan=float("inf"), posinf=float("inf"))
    apart = torch.where(wrong | torch.isfinite(apart), apart, torch.zeros_like(apart))
    return Difference(*known, apart.max().item(), wrong.double().mean().item())


# ---- beside the CPU


class _Beside(EachOperator):
    """Runs each operator a second time on the CPU, with the operands that it has on the NPU."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self._report = report
        self._number = 0

    def run(self, function: Any, name: str, module: str, arguments: Tuple[Any, ...], named: Any) -> Any:
        if any(word in name for word in _RANDOM) or not _on_npu(arguments, named):
            return function(*arguments, **named)
        number, self._number = self._number, self._number + 1
        # Before the operator runs: it may change its operands.
        operands = mapped((arguments, named), _copied)
        result = function(*arguments, **named)
        try:
            expected = function(*operands[0], **_on_cpu(operands[1]))
        except (NotImplementedError, RuntimeError):  # the CPU has no such operator, or not for the dtype
            self._report.left_out[name] = self._report.left_out.get(name, 0) + 1
            return result
        pairs = zip(tensors_in(result), tensors_in(expected))  # noqa: B905  (Python 3.9)
        for index, (actual, wanted) in enumerate(pairs):
            self._report.differences.append(difference(number, name, module, index, actual, wanted))
        return result


def _on_cpu(named: Dict[str, Any]) -> Dict[str, Any]:
    """Keyword arguments with the CPU as the device."""
    return {
        key: torch.device("cpu") if key == "device" and value is not None else value
        for key, value in named.items()
    }


def _copied(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().clone()


def _on_npu(arguments: Any, named: Any) -> bool:
    return any(tensor.device.type == "npu" for tensor in tensors_in([arguments, named]))


@contextmanager
def beside_cpu(model: Optional[torch.nn.Module] = None) -> Iterator[Report]:
    """Compare each operator that runs on the NPU in this block with the CPU, on the same operands.

    With a `model`, the report says in which of its modules an operator ran. Random operators are left out,
    and those that the CPU lacks are counted.
    """
    report = Report()
    mode = _Beside(report)
    if model is not None:
        mode.watch(model)
    with mode:
        yield report


# ---- two runs


@dataclass(frozen=True)
class Step:
    """An operator of a run, with copies of its results."""

    operator: str
    module: str
    results: Tuple[torch.Tensor, ...]


class _Dump(EachOperator):
    def __init__(self) -> None:
        super().__init__()
        self.steps: List[Step] = []

    def run(self, function: Any, name: str, module: str, arguments: Tuple[Any, ...], named: Any) -> Any:
        result = function(*arguments, **named)
        copies = tuple(map(_copied, tensors_in(result)))
        self.steps.append(Step(name, module, copies))
        return result


@contextmanager
def dump(
    path: Union[str, "os.PathLike[str]"], model: Optional[torch.nn.Module] = None
) -> Iterator[List[Step]]:
    """Write the results of each operator in this block to a file, for compare()."""
    mode = _Dump()
    if model is not None:
        mode.watch(model)
    with mode:
        yield mode.steps
    torch.save([(step.operator, step.module, list(step.results)) for step in mode.steps], path)


def load(path: Union[str, "os.PathLike[str]"]) -> List[Step]:
    """What dump() wrote."""
    steps = torch.load(path, map_location="cpu")
    return [Step(operator, module, tuple(results)) for operator, module, results in steps]


Run = Union[str, "os.PathLike[str]", Sequence[Step]]


def compare(actual: Run, expected: Run) -> Report:
    """Two runs of one program, step by step; raises ValueError where they did not run the same operators."""
    runs = [load(run) if isinstance(run, (str, os.PathLike)) else list(run) for run in (actual, expected)]
    report = Report()
    for number, (one, other) in enumerate(zip(*runs)):  # noqa: B905
        if one.operator != other.operator or len(one.results) != len(other.results):
            raise ValueError(
                f"step {number} is {one.operator} in one run and {other.operator} in the other: "
                "dump the same program, with the same input, twice"
            )
        if any(word in one.operator for word in _RANDOM):
            continue
        for index, (result, wanted) in enumerate(zip(one.results, other.results)):  # noqa: B905
            report.differences.append(difference(number, one.operator, one.module, index, result, wanted))
    if len(runs[0]) != len(runs[1]):
        raise ValueError(
            f"one run has {len(runs[0])} steps and the other {len(runs[1])}: dump the same program twice"
        )
    return report


# ---- the page

_STYLE = (
    "body{font:15px system-ui,sans-serif;margin:2em}table{border-collapse:collapse}"
    "td,th{padding:.2em .8em;text-align:left;border-bottom:1px solid #ddd}.outside{background:#fdd}"
)


def _page(report: Report) -> str:
    rows = "".join(_row(one) for one in report.differences)
    first = report.first
    about = "All agree." if first is None else f"The first outside of its tolerance: {first}"
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Precision</title>"
        f"<style>{_STYLE}</style><h1>Precision</h1><p>{html.escape(about)}</p>{_picture(report)}"
        "<table><tr><th>step<th>operator<th>module<th>sizes<th>dtype<th>largest difference<th>outside</tr>"
        f"{rows}</table></html>\n"
    )


def _row(one: Difference) -> str:
    cells = (one.number, one.operator, one.module, list(one.shape), one.dtype)
    text = "".join(f"<td>{html.escape(str(cell))}" for cell in cells)
    last = html.escape(one.reason) or f"{one.share:.2%}"
    return f"<tr{'' if one.within else ' class=outside'}>{text}<td>{one.largest:.3g}<td>{last}</tr>"


def _picture(report: Report) -> str:
    """A bar for each result, as high as its largest difference has digits above 1e-9."""
    width, height = 900, 160
    step = width / max(len(report.differences), 1)
    bars = []
    for place, one in enumerate(report.differences):
        size = min(max(one.largest, 1e-9), 1e3)
        tall = height * (math.log10(size) + 9) / 12
        bars.append(
            f"<rect x='{place * step:.1f}' y='{height - tall:.1f}' width='{max(step - 0.5, 0.5):.1f}' "
            f"height='{tall:.1f}' fill='{'#8ac' if one.within else '#c33'}'>"
            f"<title>{html.escape(str(one))}</title></rect>"
        )
    about = "largest difference of each step, from 1e-9 to 1e3"
    return (
        f"<svg viewBox='0 0 {width} {height}' width='{width}' role=img aria-label='{about}'>"
        f"{''.join(bars)}</svg>"
    )
