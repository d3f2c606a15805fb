"""The packages that this repository makes, as data: the adapter and the simulator, in `own.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import yaml


@dataclass(frozen=True)
class OwnPackage:
    """A distribution: its name as in file names, what its metadata say, and what it is made of.

    `folder` has its Python files, in a checkout; `libraries` are in every native build, below `lib`.
    """

    name: str
    summary: str
    folder: Path
    libraries: tuple[str, ...]
    entry_points: str

    @property
    def native(self) -> tuple[str, ...]:
        """The paths of its libraries in a wheel."""
        return tuple(f"{self.name}/lib/{library}" for library in self.libraries)


@dataclass(frozen=True)
class Own:
    """Both of them, and what they share. `sdk` is the adapter's SDK, whose version each line has; `notes`
    says of each product whether a release note of it is for one line or for a series.
    """

    adapter: OwnPackage
    simulator: OwnPackage
    sdk: str
    notes: Mapping[str, Literal["line", "series"]]
    classifiers: tuple[str, ...]


@cache
def own_packages() -> Own:
    """The packages of this repository."""
    said = yaml.safe_load(Path(__file__).with_name("own.yaml").read_text(encoding="utf-8"))
    adapter, simulator = (_package(**said[name]) for name in ("adapter", "simulator"))
    return Own(adapter, simulator, said["sdk"], said["notes"], tuple(said["classifiers"]))


def _package(name: str, summary: str, folder: str, libraries: list[str], entry_points: str) -> OwnPackage:
    return OwnPackage(name, summary, Path(folder), tuple(libraries), entry_points)
