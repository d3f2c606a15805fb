"""Calls of an operator with other types and shapes than its case has, and what becomes of them.

Phase one may refuse a call. What it accepts must run: a kernel that fails for a type or a shape takes the
stream down, where the program cannot see why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from acl import DTYPES, KERNELS, SIGNATURES, AclError, DeviceTensor, Simulator
from cases.base import Case

#: complex128 is to complex64 what float64 is to float32.
SWEPT = tuple(dtype for dtype in DTYPES if dtype != torch.complex128)
#: Room behind an output whose size only the kernel knows.
SPARE = 3
#: The largest workspace that an operator asks for.
WORKSPACE = 1 << 16

Call = tuple[str, list[Any]]  # what is unusual about it, and a value for each parameter
RAN, REFUSED, DIED = "ran", "refused", "died"


def values_of(name: str, case: Case) -> list[Any]:
    """A value for each parameter in C order; that of an output has its shape and type."""
    given, gives = iter(case.given), iter(case.gives)
    values = []
    for parameter in SIGNATURES[name]:
        if parameter.base in ("out", "outs"):
            value = next(gives)
            if value is not None and parameter.name in KERNELS[name].sized:
                value = torch.zeros(value.numel() + SPARE, dtype=value.dtype)
        else:
            value = next(given)
            if parameter.written:
                next(gives)
        values.append(value)
    return values


def is_tensor(value: Any) -> bool:
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, torch.Tensor)


def changed(value: Any, function: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    return [function(item) for item in value] if isinstance(value, list) else function(value)


def dtype_of(value: Any) -> torch.dtype:
    return (value[0] if isinstance(value, list) else value).dtype


def as_type(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Numbers below one become 1 and not 0, by which whole numbers cannot be divided."""
    whole = tensor.is_floating_point() and not (dtype.is_floating_point or dtype.is_complex)
    return (tensor.float().ceil() if whole else tensor).to(dtype)


def short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def with_types(name: str, case: Case) -> Iterator[Call]:
    """Every pair of types: one for the operands that are of one type in the case, one for any operand."""
    values = values_of(name, case)
    tensors = [index for index, value in enumerate(values) if is_tensor(value)]
    cast = {
        (index, dtype): changed(values[index], lambda tensor, dtype=dtype: as_type(tensor, dtype))
        for index in tensors
        for dtype in SWEPT
    }
    alike = [index for index in tensors if dtype_of(values[index]) == dtype_of(values[tensors[0]])]
    for first in SWEPT:
        base = [cast[index, first] if index in alike else value for index, value in enumerate(values)]
        for index in tensors:
            for second in SWEPT:
                if index in alike[1:] and second == first:
                    continue  # the call in which all are alike
                call = [*base[:index], cast[index, second], *base[index + 1 :]]
                yield f"{short(first)}, {SIGNATURES[name][index].name} {short(second)}", call


EMPTIED = {
    "of shape [0]": lambda tensor: tensor.new_empty(0),
    "without rows": lambda tensor: tensor[:0] if tensor.dim() else tensor,
    "without columns": lambda tensor: tensor[..., :0].contiguous() if tensor.dim() else tensor,
}


def emptied(name: str, case: Case) -> Iterator[Call]:
    """Each operand without elements, all of them, and those that have a row for each of the first one's."""
    values = values_of(name, case)
    tensors = [index for index, value in enumerate(values) if is_tensor(value)]
    chosen_by_name = {SIGNATURES[name][index].name: [index] for index in tensors}
    chosen_by_name["all"] = tensors
    chosen_by_name["the batch"] = [index for index in tensors if same_rows(values[index], values[tensors[0]])]
    for how, function in EMPTIED.items():
        for what, chosen in chosen_by_name.items():
            call = [
                changed(value, function) if index in chosen else value for index, value in enumerate(values)
            ]
            yield f"{what} {how}", call


def same_rows(value: Any, other: Any) -> bool:
    """Whether both have the same, largest number of dimensions, and the first of one size."""
    one, another = (item[0] if isinstance(item, list) else item for item in (value, other))
    return one.dim() == another.dim() and one.shape[:1] == another.shape[:1]


class Sweeper:
    """Runs calls of one operator. What they share is made once, and freed at the end."""

    def __init__(self, simulator: Simulator, name: str) -> None:
        self._simulator = simulator
        self._name = name
        self._made: dict[tuple[int, int], tuple[Any, Any, Any]] = {}
        self._placed: list[DeviceTensor] = []

    def __enter__(self) -> Sweeper:
        self._workspace = self._simulator.malloc(WORKSPACE)
        return self

    def __exit__(self, *_: object) -> None:
        for tensor in self._placed:
            self._simulator.free(tensor.address)
        self._simulator.free(self._workspace)

    def outcomes(self, calls: Iterable[Call]) -> dict[str, tuple[str, str]]:
        """What became of each call, and the simulator's message. They wait for the device once, together,
        and each for itself only when that says that one of them failed."""
        calls = list(calls)
        found = {what: self._begun(values) for what, values in calls}
        if self._failure() is not None:
            for what, values in calls:
                if found[what][0] == RAN:
                    self._begun(values)
                    why = self._failure()
                    found[what] = (RAN, "") if why is None else (DIED, why)
        return found

    def _begun(self, values: list[Any]) -> tuple[str, str]:
        arguments = [self._argument(index, value)[2] for index, value in enumerate(values)]
        try:
            size, executor = self._simulator.prepare_raw(self._name, arguments)
        except AclError as error:
            return REFUSED, error.message
        self._simulator.launch(self._name, self._workspace if size else 0, size, executor)
        return RAN, ""

    def _failure(self) -> str | None:
        try:
            self._simulator.check("aclrtSynchronizeDevice")
        except AclError as error:
            return error.message
        return None

    def read(self, index: int, value: Any) -> Any:
        """What the device holds of an argument of an earlier call."""
        placed = self._argument(index, value)[1]
        return changed(placed, self._simulator.get)

    def _argument(self, index: int, value: Any) -> tuple[Any, Any, Any]:
        """The value, which must live as long as its id is a key; where it lies; and the C argument."""
        key = (index, id(value))
        if key not in self._made:
            placed = changed(value, self._place) if is_tensor(value) else value
            argument = self._simulator.argument(SIGNATURES[self._name][index], placed)
            self._made[key] = (value, placed, argument)
        return self._made[key]

    def _place(self, tensor: torch.Tensor) -> DeviceTensor:
        self._placed.append(self._simulator.put(tensor.clone()))
        return self._placed[-1]
