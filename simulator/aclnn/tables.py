"""The tables of the simulator's operators: their model and their reader.

An operator that the adapter calls has its signature in cann/operators/aclnn.yaml, which adapter and simulator
share; a row of kernels.yaml says which ATen call serves it. The tables in operators/ hold what only other
adapters call: there a row has its signature, too.
"""

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
    load_mapping,
    nearest,
    parse,
    parse_parameters,
    torch_since,
)

__all__ = [
    "OPERATORS",
    "Kernel",
    "KernelTableError",
    "SignatureError",
    "nearest",
    "read_tables",
    "table_paths",
    "torch_version",
]

KEYS = frozenset({"takes", "aten", "workspace", "shapes", "check", "sized", "since", "trial"})


class KernelTableError(Exception):
    """A row of a table cannot be used; the message names it and says what to mend."""


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
    return (SIMULATOR / "kernels.yaml", *sorted((SIMULATOR / "operators").glob("*.yaml")))


def read_tables(paths: Iterable[Path], signatures: Path = OPERATORS / "aclnn.yaml") -> list[Kernel]:
    """Read the tables in their order; KernelTableError (or SignatureError) for a row that cannot be used."""
    shared = parse(signatures)
    kernels: dict[str, Kernel] = {}
    for path in paths:
        for name, row in load_mapping(path).items():
            where = f"{path}: {name}"
            if name in kernels:
                raise KernelTableError(f"{where}: another table has this operator, too; keep one of the rows")
            kernels[str(name)] = _kernel(where, str(name), row, shared)
    return list(kernels.values())


def _kernel(where: str, name: str, row: object, shared: Mapping[str, tuple[Parameter, ...]]) -> Kernel:
    if isinstance(row, str):
        row = {"aten": row}
    if not isinstance(row, dict) or "aten" not in row or not set(row) <= KEYS:
        unknown = next((str(key) for key in row if key not in KEYS), "") if isinstance(row, dict) else ""
        found = f", found {unknown!r}{nearest(unknown, KEYS)}" if unknown else ""
        raise KernelTableError(
            f"{where}: expected an ATen call, or a mapping of {', '.join(sorted(KEYS))}{found}"
        )
    parameters = _parameters(where, name, row.pop("takes", None), shared)
    if "since" in row:
        row["since"] = torch_since(where, row["since"])
    sized = row.pop("sized", ())
    kernel = Kernel(name, parameters, sized=(sized,) if isinstance(sized, str) else tuple(sized), **row)
    written = {parameter.name for parameter in kernel.parameters if parameter.written}
    for output in (*kernel.shapes, *kernel.sized):
        if output not in written:
            raise KernelTableError(
                f"{where}: {output!r} is not written by the operator; it writes {sorted(written)}"
                f"{nearest(output, written)}"
            )
    return kernel


def _parameters(
    where: str, name: str, takes: object, shared: Mapping[str, tuple[Parameter, ...]]
) -> tuple[Parameter, ...]:
    if takes is None:
        if name not in shared:
            raise KernelTableError(
                f"{where}: no such operator in aclnn.yaml; add its signature there, or here as `takes`"
                f"{nearest(name, shared)}"
            )
        return shared[name]
    if name in shared:
        raise KernelTableError(f"{where}: aclnn.yaml has its signature; remove `takes`")
    return parse_parameters(where, takes)
