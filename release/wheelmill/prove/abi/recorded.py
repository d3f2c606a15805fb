"""The packages whose interface is recorded, as data: `recorded.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Recorded:
    """A package: its libraries, of which not every build has `some`, and what its names look like."""

    folder: str
    libraries: tuple[str, ...]
    some: tuple[str, ...]
    mangled: str
    c_names: str
    readable: str


def _read() -> dict[str, Recorded]:
    said = yaml.safe_load(Path(__file__).with_name("recorded.yaml").read_text(encoding="utf-8"))
    return {
        name: Recorded(**{**one, "libraries": tuple(one["libraries"]), "some": tuple(one.get("some", ()))})
        for name, one in said.items()
    }


RECORDED = _read()
"""By distribution; torch is the first."""
