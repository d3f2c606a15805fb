"""`torch.npu.mstx`: marks and ranges of a program's own in profiles.

They become annotations of PyTorch's profiler and of torch_npu.profiler, on the host's time line, whatever
`stream` and `domain` say.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any, Callable, Dict, List

from torch.autograd.profiler import record_function

_stack: List[record_function] = []
_open: Dict[int, record_function] = {}
_ids = itertools.count(1)


class mstx:  # noqa: N801  (the name that programs use)
    """Marks and ranges; all methods are static."""

    @staticmethod
    def mark(message: str, stream: Any = None, domain: str = "default") -> None:
        """A point in time with a name."""
        with record_function(_text(message)):
            pass

    @staticmethod
    def range_push(message: str, stream: Any = None, domain: str = "default") -> int:
        """Open a nested range and return its depth from 0."""
        _stack.append(_entered(message))
        return len(_stack) - 1

    @staticmethod
    def range_pop(domain: str = "default") -> int:
        """Close the range that was opened last and return its depth; -1 when none is open."""
        if _stack:
            _stack.pop().__exit__(None, None, None)
            return len(_stack)
        return -1

    @staticmethod
    def range_start(message: str, stream: Any = None, domain: str = "default") -> int:
        """Open a range that may overlap others, and return the number that range_end takes."""
        number = next(_ids)
        _open[number] = _entered(message)
        return number

    @staticmethod
    def range_end(range_id: int, domain: str = "default") -> None:
        """Close a range. Raises ValueError for a number that range_start did not give, or that is closed."""
        try:
            _open.pop(range_id).__exit__(None, None, None)
        except KeyError:
            raise ValueError(f"range_end: no range {range_id!r} is open") from None

    @staticmethod
    def mstx_range(message: str, stream: Any = None, domain: str = "default") -> Callable[..., Any]:
        """A decorator: each call of the function is a range."""

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(function)
            def inside(*arguments: Any, **keywords: Any) -> Any:
                with record_function(_text(message)):
                    return function(*arguments, **keywords)

            return inside

        return decorate


def _text(message: str) -> str:
    if not isinstance(message, str) or not message:
        raise TypeError(f"a mark needs a name that is not empty, got {message!r}")
    return message


def _entered(message: str) -> record_function:
    record = record_function(_text(message))
    record.__enter__()
    return record
