"""The packages that this repository makes, as data: the adapter and the simulator, in `own.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml


@dataclass(frozen=True)
class OwnPackage:
    """A distribution: its name as in file names, and what its metadata say."""

    name: str
    summary: str
    entry_points: str


@dataclass(frozen=True)
class Own:
    """Both of them, and the classifiers that they share."""

    adapter: OwnPackage
    simulator: OwnPackage
    classifiers: tuple[str, ...]


@cache
def own_packages() -> Own:
    """The packages of this repository."""
    said = yaml.safe_load(Path(__file__).with_name("own.yaml").read_text(encoding="utf-8"))
    return Own(OwnPackage(**said["adapter"]), OwnPackage(**said["simulator"]), tuple(said["classifiers"]))
