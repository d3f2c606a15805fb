"""Find the operator that makes the first inf or nan.

    from torch_npu.tools.overflow import detect

    with detect(model):
        model(batch).sum().backward()     # raises OverflowFoundError, which names operator and module

An operator counts when its operands are finite and its result is not. Each one is waited for, so a program is
slower inside.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import Any, Iterator, List, Optional, Tuple

import torch

from torch_npu.tools._operators import EachOperator, tensors_in

__all__ = ["OverflowFoundError", "detect"]


class OverflowFoundError(RuntimeError):
    """An operator whose operands are finite gave inf or nan."""


class _Detect(EachOperator):
    def __init__(self, only_warn: bool) -> None:
        super().__init__()
        self._only_warn = only_warn
        self.found: List[str] = []

    def run(self, function: Any, name: str, module: str, arguments: Tuple[Any, ...], named: Any) -> Any:
        before = _finite([arguments, named])
        result = function(*arguments, **named)
        if before and not _finite(result):
            self._report(name, module, result)
        return result

    def _report(self, name: str, module: str, result: Any) -> None:
        for tensor in tensors_in(result):
            if not _finite(tensor):
                counts = f"{int(tensor.isinf().sum())} inf and {int(tensor.isnan().sum())} nan"
                where = f" in {module}" if module else ""
                text = (
                    f"{name}{where}: {counts} in a result of sizes {tuple(tensor.shape)} and {tensor.dtype}, "
                    "from finite operands"
                )
                self.found.append(text)
                if not self._only_warn:
                    raise OverflowFoundError(text)
                warnings.warn(text, RuntimeWarning, stacklevel=4)
                return


def _finite(value: Any) -> bool:
    return all(
        bool(tensor.isfinite().all())
        for tensor in tensors_in(value)
        if tensor.is_floating_point() or tensor.is_complex()
    )


@contextmanager
def detect(model: Optional[torch.nn.Module] = None, only_warn: bool = False) -> Iterator[List[str]]:
    """Raise OverflowFoundError, or warn, where an operator makes inf or nan; gives what was found."""
    mode = _Detect(only_warn)
    if model is not None:
        mode.watch(model)
    with mode:
        yield mode.found
