"""What the capability programs share: samples of every dtype and layout, and the comparison with the CPU.

A program such as `elementwise.py` adds its checks to one Group, a line for each, and ends with group.main();
its command line is in checks.py. Runs on Python 3.8 and newer, with torch and the wheel under test alone.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, replace
from typing import Any, Callable, Iterable, Sequence

import torch
import torch_npu  # noqa: F401  (before torch 2.5 nothing else loads it)
from checks import Checks, offered

__all__ = [
    "FLOAT32",
    "FLOATS",
    "INTEGERS",
    "LAYOUTS",
    "SMALL_INTEGERS",
    "Group",
    "Sample",
    "close",
    "label",
    "offered",
    "same",
    "sample",
]

FLOATS = (torch.float32, torch.float16, torch.bfloat16)
INTEGERS = (torch.int32, torch.int64)
SMALL_INTEGERS = (torch.int8, torch.uint8, torch.int16)
FLOAT32 = (torch.float32,)

# rtol and atol: a few roundings of the dtype, as a device that accumulates in another order may differ.
TOLERANCES = {
    torch.float64: (1e-7, 1e-7),
    torch.float32: (1e-4, 1e-4),
    torch.float16: (4e-3, 4e-3),
    torch.bfloat16: (3e-2, 3e-2),
}


# ---------------------------------------------------------------------------------------------------- samples
# layout -> how large the memory behind a shape is, and the view of it that has the shape
LAYOUTS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "contiguous": (lambda shape: shape, lambda base: base),
    "transposed": (lambda s: (*s[:-2], s[-1], s[-2]), lambda base: base.transpose(-1, -2)),
    "strided": (lambda s: (*s[:-1], 2 * s[-1]), lambda base: base[..., ::2]),
    "offset": (lambda s: (s[0] + 1, *s[1:]), lambda base: base[1:]),
    "channels last": (lambda s: (s[0], *s[2:], s[1]), lambda base: base.movedim(-1, 1)),
    "expanded": (lambda s: (1, *s[1:]), lambda base: base.expand(EXPANDED, *base.shape[1:])),
}
EXPANDED = 4  # rows of an expanded sample: its shape must begin with this


@dataclass(frozen=True)
class Sample:
    """An input: the same numbers in [low, high) on every device, laid out in memory as `layout` says."""

    shape: tuple[int, ...] = (4, 6)
    dtype: torch.dtype = torch.float32
    low: float = -3.0
    high: float = 3.0
    layout: str = "contiguous"
    seed: int = 0

    def base(self) -> torch.Tensor:
        """The memory behind the sample, on the CPU."""
        shape = LAYOUTS[self.layout][0](tuple(self.shape))
        text = repr((shape, self.low, self.high, self.seed))
        generator = torch.Generator().manual_seed(zlib.crc32(text.encode()))
        numbers = torch.rand(shape, generator=generator) * (self.high - self.low) + self.low
        if self.dtype is torch.bool:
            return numbers > (self.low + self.high) / 2
        if not self.dtype.is_floating_point and not self.dtype.is_complex:
            numbers = numbers.floor()
        return numbers.to(self.dtype)

    def view(self, base: torch.Tensor) -> torch.Tensor:
        """The sample itself, of its base on some device."""
        view: torch.Tensor = LAYOUTS[self.layout][1](base)
        return view


def sample(*shape: int, **fields: Any) -> Sample:
    """`sample(3, 4, dtype=torch.int32, high=9)`."""
    return Sample(shape, **fields)


# ---------------------------------------------------------------------------------------------------- compare
def same(
    actual: Any, expected: Any, tolerance: tuple[float, float] | None = None, what: str = "result"
) -> None:
    """Assert that a result from the device equals the CPU's: kind, place, dtype, shape, values."""
    if isinstance(expected, torch.Tensor):
        assert isinstance(actual, torch.Tensor), f"{what} is {type(actual).__name__}, not a tensor"
        assert actual.device.type == "npu", f"{what} is on {actual.device}, not on an npu device"
        assert actual.dtype is expected.dtype, f"{what} is {actual.dtype}, on the CPU {expected.dtype}"
        shapes = tuple(actual.shape), tuple(expected.shape)
        assert shapes[0] == shapes[1], f"{what} has the shape {shapes[0]}, on the CPU {shapes[1]}"
        close(actual.cpu(), expected, tolerance, what)
    elif isinstance(expected, (tuple, list)):
        assert len(actual) == len(expected), f"{what} has {len(actual)} parts, on the CPU {len(expected)}"
        for number in range(len(expected)):
            same(actual[number], expected[number], tolerance, f"{what}[{number}]")
    elif isinstance(expected, float):
        close(torch.tensor(actual), torch.tensor(expected), tolerance, what)
    else:
        assert actual == expected, f"{what} is {actual!r}, on the CPU {expected!r}"


def close(
    actual: torch.Tensor,
    expected: torch.Tensor,
    tolerance: tuple[float, float] | None = None,
    what: str = "result",
) -> None:
    """Assert that two CPU tensors are equal within the dtype's tolerance; integers exactly."""
    rtol, atol = tolerance or TOLERANCES.get(expected.dtype, (0.0, 0.0))
    torch.testing.assert_close(
        actual.detach(),
        expected.detach(),
        rtol=rtol,
        atol=atol,
        equal_nan=True,
        check_stride=False,
        msg=lambda text: f"{what}: {text}",
    )


def _inputs(inputs: Sequence[Any], device: str, gradient: bool) -> tuple[list[torch.Tensor], list[Any]]:
    """The memory behind every sample, and the arguments of the call, on `device`."""
    bases, arguments = [], []
    for value in inputs:
        if isinstance(value, Sample):
            base = value.base().to(device)
            if gradient and base.dtype.is_floating_point:
                base.requires_grad_()
            bases.append(base)
            arguments.append(value.view(base))
        elif isinstance(value, torch.Tensor):
            arguments.append(value.to(device))
        elif isinstance(value, list):
            more, made = _inputs(value, device, gradient)
            bases += more
            arguments.append(made)
        else:
            arguments.append(value)
    return bases, arguments


def _weighted_sum(result: Any) -> torch.Tensor:
    """A number that depends on every element in its own way, so that gradients are not all ones."""
    tensors = [result] if isinstance(result, torch.Tensor) else list(result)
    total: Any = 0.0
    for tensor in tensors:
        if tensor.dtype.is_floating_point and tensor.requires_grad:
            weights = torch.linspace(0.5, 1.5, max(tensor.numel(), 1))[: tensor.numel()]
            total = total + (tensor.float() * weights.reshape(tensor.shape).to(tensor.device)).sum()
    return total


@dataclass(frozen=True)
class Comparison:
    """A call on the device against the same call on the CPU: result, gradients, and the inputs after it."""

    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    device: str
    gradient: bool = False
    tolerance: tuple[float, float] | None = None

    def __call__(self) -> None:
        """Raises AssertionError with the first difference."""
        wanted, expected = self._run("cpu")
        bases, actual = self._run(self.device)
        same(actual, expected, self.tolerance)
        for number, base in enumerate(bases):
            same(base, wanted[number], self.tolerance, f"input {number} after the call")
            if self.gradient and wanted[number].requires_grad:
                grads = base.grad, wanted[number].grad
                same(*grads, self.tolerance, f"gradient of input {number}")

    def _run(self, device: str) -> tuple[list[torch.Tensor], Any]:
        bases, arguments = _inputs(self.inputs, device, self.gradient)
        result = self.function(*arguments)
        if self.gradient:
            _weighted_sum(result).backward()
        return bases, result


# ------------------------------------------------------------------------------------------------------ group
def label(dtype: torch.dtype) -> str:
    """torch.float32 -> "float32"."""
    return str(dtype).replace("torch.", "")


class Group(Checks):
    """The checks of one capability that need torch. `device` is where they run."""

    def __init__(self, name: str, device: str = "npu:0") -> None:
        super().__init__(name)
        self.device = device

    # -- one line each ---------------------------------------------------------------------------------------
    def compare(self, name: str, function: Callable[..., Any], *inputs: Any, **options: Any) -> None:
        """`function(*inputs)` gives on the device what it gives on the CPU. Inputs: samples, tensors, values.

        Options: gradient=True compares the gradients too; tolerance=(rtol, atol).
        """
        self.add(name, Comparison(function, inputs, self.device, **options))

    def creates(self, name: str, function: Callable[[str], Any], **options: Any) -> None:
        """`function(device)` makes on the device what it makes on the CPU."""

        def check() -> None:
            same(function(self.device), function("cpu"), **options)

        self.add(name, check)

    def dtypes(
        self,
        name: str,
        function: Callable[..., Any],
        *inputs: Any,
        dtypes: Iterable[torch.dtype] = FLOATS,
        **options: Any,
    ) -> None:
        """`compare` for every dtype, which replaces the float32 of the samples."""
        for dtype in dtypes:
            typed = tuple(_typed(value, dtype) for value in inputs)
            self.compare(f"{name} {label(dtype)}", function, *typed, **options)

    def pointwise(
        self,
        name: str,
        function: Callable[..., Any],
        *ranges: tuple[float, float],
        dtypes: Sequence[torch.dtype] = FLOATS,
        **options: Any,
    ) -> None:
        """An elementwise operator of as many inputs as ranges: every dtype, then other layouts and shapes."""
        ranges = ranges or ((-3.0, 3.0),)

        def inputs(dtype: torch.dtype, shape: tuple[int, ...], layout: str = "contiguous") -> list[Sample]:
            return [
                Sample(shape, dtype, low, high, layout, seed=number)
                for number, (low, high) in enumerate(ranges)
            ]

        for dtype in dtypes:
            self.compare(f"{name} {label(dtype)}", function, *inputs(dtype, (4, 6)), **options)
        for layout in ("transposed", "strided", "offset"):
            self.compare(f"{name} {layout}", function, *inputs(dtypes[0], (4, 6), layout), **options)
        for kind, shape in (("0-dim", ()), ("empty", (0, 6))):
            self.compare(f"{name} {kind}", function, *inputs(dtypes[0], shape), **options)
        if len(ranges) > 1:
            wide, *narrow = inputs(dtypes[0], (4, 6))
            rows = [replace(each, shape=(6,)) for each in narrow]
            self.compare(f"{name} broadcast", function, wide, *rows, **options)

    # -- around every check ----------------------------------------------------------------------------------
    def prepare(self) -> None:
        """One CPU thread, as groups run beside each other; products as exact as the dtype allows."""
        torch.set_num_threads(1)
        torch.set_warn_always(True)  # each check must show its own falling back to the CPU
        for family in ("matmul", "conv"):
            switch = getattr(torch.npu, family, None)
            if hasattr(switch, "allow_hf32"):
                switch.allow_hf32 = False

    def settle(self) -> None:
        """Have the device finish: what fails in a kernel belongs to the check that asked for it."""
        torch.npu.synchronize()

    def works(self) -> bool:
        """See Checks: bytes there, arithmetic, and bytes back."""
        return (torch.tensor([1.0, 2.0]).to(self.device) + 1).cpu().tolist() == [2.0, 3.0]

    def counted(self) -> dict[str, int]:
        """Operator -> how often the adapter left it to the CPU so far; empty where it does not count."""
        counts = getattr(torch.ops.torch_npu, "fallback_counts", None)
        return {} if counts is None else dict(json.loads(counts()))


def _typed(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, list):
        return [_typed(each, dtype) for each in value]
    if isinstance(value, Sample) and value.dtype is torch.float32:
        return replace(value, dtype=dtype)
    return value
