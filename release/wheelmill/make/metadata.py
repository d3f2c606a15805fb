"""The METADATA of the two wheels, as text: pure functions of the matrix's rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wheelmill.matrix.own import own_packages
from wheelmill.matrix.versions import python_key

if TYPE_CHECKING:
    from wheelmill.matrix import Line, Torch

ADAPTER = own_packages().adapter.name
SIMULATOR = own_packages().simulator.name


def adapter_metadata(line: Line, python: str, description: str = "") -> str:
    """METADATA of the line's wheel for one Python.

    torch is pinned to X.Y.Z without a local part: `==2.1.0` accepts both the CPU build `2.1.0+cpu` and the
    plain one. Where other torches are proven, a range with them takes the pin's place.

    The classifier names the wheel's own Python; Requires-Python is a lower bound, the oldest Python of the
    line, in all its wheels. The file's tag already decides which Python may install it, and pip looks at the
    tag first. Resolvers that lock for several Pythons (uv, Poetry) read the metadata of one wheel and take it
    for the whole version, so a bound such as `>=3.8,<3.9` would hide the other wheels from them.
    """
    return _metadata(
        name=ADAPTER,
        version=line.adapter,
        summary=own_packages().adapter.summary,
        languages=[f"Programming Language :: Python :: {python}"],
        torch=line.torch.requirement,
        oldest=min(line.pythons, key=python_key),
        description=description,
    )


def simulator_metadata(torch: Torch) -> str:
    """METADATA of the simulator's wheel for this torch; the one wheel serves all Pythons that torch has."""
    return _metadata(
        name=SIMULATOR,
        version=torch.version,
        summary=own_packages().simulator.summary,
        languages=[],
        torch=torch.requirement,
        oldest=min(torch.pythons, key=python_key),
        description="",
    )


def _metadata(
    *,
    name: str,
    version: str,
    summary: str,
    languages: Sequence[str],
    torch: str,
    oldest: str,
    description: str,
) -> str:
    headers = [
        "Metadata-Version: 2.4",
        f"Name: {name}",
        f"Version: {version}",
        f"Summary: {summary}",
        "License-Expression: BSD-3-Clause",
        "License-File: LICENSE",
        *(f"Classifier: {classifier}" for classifier in sorted([*own_packages().classifiers, *languages])),
        f"Requires-Python: >={oldest}",
        f"Requires-Dist: torch{torch}",
    ]
    if description:
        headers.append("Description-Content-Type: text/markdown")
    return "\n".join(headers) + "\n" + (f"\n{description}" if description else "")
