"""A unittest.TestCase that compares results of an NPU with expected ones."""

from __future__ import annotations

import random
import unittest
from typing import Any, Optional

import numpy
import torch

_SEED = 1234


def run_tests() -> None:
    """Run the tests of the program's own module, as unittest.main does."""
    unittest.main()


class TestCase(unittest.TestCase):
    """Each test starts with the same random numbers, on the CPU and on every NPU."""

    _precision = 1e-5

    def setUp(self) -> None:
        random.seed(_SEED)
        numpy.random.seed(_SEED)
        torch.manual_seed(_SEED)

    def assertRtolEqual(  # noqa: N802  (as unittest spells its own)
        self,
        x: Any,
        y: Any,
        prec: float = 1e-4,
        prec16: float = 1e-3,
        auto_trans_dtype: bool = False,
        message: Optional[str] = None,
    ) -> None:
        """Fail unless x and y agree: tensors, arrays or numbers, or lists and tuples of them.

        An element agrees when its error is at most `prec` (`prec16` for float16 and bfloat16), or that part
        of the larger of both. A share of `prec` of the elements may differ. `auto_trans_dtype` compares
        what is of another dtype in that of `y`.
        """
        if isinstance(x, (list, tuple)) and isinstance(y, (list, tuple)):
            self.assertEqual(len(x), len(y), message)  # noqa: PT009
            for one, other in zip(x, y):  # noqa: B905  (Python 3.9)
                self.assertRtolEqual(one, other, prec, prec16, auto_trans_dtype, message)
            return
        left, right = _array(x), _array(y)
        if left.dtype != right.dtype:
            if not auto_trans_dtype:
                self.fail(self._formatMessage(message, f"dtypes differ: {left.dtype} and {right.dtype}"))
            left = left.astype(right.dtype)
        self.assertEqual(left.shape, right.shape, message)  # noqa: PT009
        tolerance = prec16 if _is_half(x) or _is_half(y) else prec
        wrong = _wrong(left, right, tolerance)
        if wrong > left.size * tolerance:
            worst = _worst(left, right)
            self.fail(
                self._formatMessage(
                    message,
                    f"{wrong} of {left.size} elements differ by more than {tolerance}; the largest error, "
                    f"{worst[1]:.3g}, is at {worst[0]}: {left[worst[0]]} and {right[worst[0]]}",
                )
            )


def _array(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return (value.float() if value.dtype is torch.bfloat16 else value).numpy()
    return numpy.asarray(value)


def _is_half(value: Any) -> bool:
    dtype = getattr(value, "dtype", None)
    return dtype in (torch.float16, torch.bfloat16) or dtype == numpy.float16


def _errors(left: Any, right: Any) -> Any:
    exact = left.dtype.kind in "biu"
    a, b = (one.astype(numpy.complex128 if one.dtype.kind == "c" else numpy.float64) for one in (left, right))
    with numpy.errstate(invalid="ignore"):
        error = numpy.abs(a - b)
    same = (left == right) if exact else (left == right) | (numpy.isnan(a) & numpy.isnan(b))
    return numpy.where(same, 0.0, numpy.where(numpy.isnan(error), numpy.inf, error)), numpy.maximum(
        numpy.abs(a), numpy.abs(b)
    )


def _wrong(left: Any, right: Any, tolerance: float) -> int:
    if left.size == 0:
        return 0
    error, size = _errors(left, right)
    if left.dtype.kind in "biu":
        return int(numpy.count_nonzero(error))
    with numpy.errstate(invalid="ignore"):
        return int(
            numpy.count_nonzero((error > tolerance) & (numpy.isinf(error) | ~(error <= tolerance * size)))
        )


def _worst(left: Any, right: Any) -> Any:
    error, _ = _errors(left, right)
    place = numpy.unravel_index(int(numpy.argmax(error)), left.shape)
    return place, float(error[place])
