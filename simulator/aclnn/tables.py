"""The rows of cann/operators as the simulator reads them: which ATen call serves an aclnn operator."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SIMULATOR = Path(__file__).resolve().parents[1]
OPERATORS = SIMULATOR.parent / "cann" / "operators"
sys.path.insert(0, str(OPERATORS))

from sdk import torch_version  # noqa: E402
from signatures import (  # noqa: E402
    Parameter,
    SignatureError,
    load_rows,
    nearest,
    parse_parameters,
    symbol,
    torch_since,
)

__all__ = [
    "OPERATORS",
    "Kernel",
    "KernelTableError",
    "SignatureError",
    "nearest",
    "read_tables",
    "symbol",
    "table_paths",
    "torch_version",
]

KEYS = frozenset({"takes", "aten", "workspace", "shapes", "check", "sized", "since", "trial"})


class KernelTableError(Exception):
    """A row of a table cannot be used; the message names it and says what to fix."""


@dataclass(frozen=True)
class Kernel:
    """One operator: its parameters and the ATen call that serves it."""

    name: str
    parameters: tuple[Parameter, ...]
    aten: str
    workspace: int = 0
    check: str | bool = True
    trial: str | None = None
    sized: tuple[str, ...] = ()
    since: tuple[int, int] = (0, 0)  # the first torch whose ATen has the call
    shapes: Mapping[str, str] = field(default_factory=dict)


def table_paths() -> tuple[Path, ...]:
    """The project's own tables, in the order in which they are read."""
    return tuple(sorted(OPERATORS.glob("*.yaml")))


def read_tables(paths: Iterable[Path]) -> list[Kernel]:
    """Every operator of the tables; KernelTableError (or SignatureError) for a row that cannot be used."""
    return [_kernel(where, name, row) for where, name, row in load_rows(paths)]


def _kernel(where: str, name: str, row: object) -> Kernel:
    if not isinstance(row, dict) or not {"takes", "aten"} <= set(row) <= KEYS:
        unknown = next((str(key) for key in row if key not in KEYS), "") if isinstance(row, dict) else ""
        found = f", found {unknown!r}{nearest(unknown, KEYS)}" if unknown else ""
        raise KernelTableError(
            f"{where}: expected a mapping with takes and aten, of {', '.join(sorted(KEYS))}{found}"
        )
    rest = {key: value for key, value in row.items() if key not in ("takes", "sized")}
    if "since" in rest:
        rest["since"] = torch_since(where, rest["since"])
    parameters, sized = parse_parameters(where, row["takes"]), row.get("sized", ())
    kernel = Kernel(name, parameters, sized=(sized,) if isinstance(sized, str) else tuple(sized), **rest)
    written = {parameter.name for parameter in kernel.parameters if parameter.written}
    for output in (*kernel.shapes, *kernel.sized):
        if output not in written:
            raise KernelTableError(
                f"{where}: {output!r} is not written by the operator; it writes {sorted(written)}"
                f"{nearest(output, written)}"
            )
    return kernel
