"""Bundles and packages built by the machines of a Dask cluster: `placement` decides, `worker` runs there.

Dask carries calls and results; which machine compiles what is decided here, so that a bundle goes where it is
native, a lost machine costs nothing but time, and a slow one is overtaken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wheelmill.errors import WheelmillError

if TYPE_CHECKING:
    from wheelmill.describe import Cell
    from wheelmill.describe.model import ProjectFile
    from wheelmill.make.bundles import Order
    from wheelmill.make.plan import BuildImage
    from wheelmill.matrix import Torch

How = Literal["native", "cross", "emulated"]


class ClusterError(WheelmillError):
    """There is no cluster, no worker that fits, or none that could do it."""


@dataclass(frozen=True)
class Offer:
    """How a worker compiles for one arch and platform policy: `identity` as Engine.identity has it."""

    how: How
    identity: str
    image: BuildImage
    python: str = ""  # the whole version of the Python that a package was asked for with


@dataclass(frozen=True)
class Profile:
    """What a worker is: `code` is the SHA-256 of its wheelmill, `engine` its --engine, memory in bytes."""

    host: str
    arch: str
    code: str
    engine: str
    cpus: float
    memory: int


@dataclass(frozen=True)
class Demand:
    """What a worker needs for a request: to compile for this arch and platform policy as `identity` says,
    and where it is not empty, the Python of the minor version `minor` that is `python` in full.
    """

    arch: str
    policy: str
    identity: str
    minor: str = ""
    python: str = ""


@dataclass(frozen=True)
class Request:
    """A bundle to compile: `sources` is a tar of the native sources; `timeout` in seconds, of each phase."""

    order: Order
    sources: bytes
    timeout: float
    fresh: bool

    @property
    def name(self) -> str:
        """What it is called in messages, and by Dask."""
        return self.order.bundle.name

    @property
    def demand(self) -> Demand:
        """What its worker needs."""
        return Demand(self.order.bundle.arch, self.order.policy, self.order.bundle.compiler)


@dataclass(frozen=True)
class PackageRequest:
    """A wheel of a described project to build, by its recipe.

    `sources` is a tar of these files, which bear the time `epoch`; `sdks` has the wheels of the SDKs beside
    torch, by the SDK's name: file name and content.
    """

    cells: tuple[Cell, ...]
    recipe: Mapping[str, Any]
    project: ProjectFile
    torches: Mapping[str, Torch]
    files: tuple[Path, ...]
    sources: bytes
    epoch: int
    sdks: Mapping[str, tuple[str, bytes]]
    policy: str

    @property
    def name(self) -> str:
        """See Request."""
        return self.cells[0].key

    @property
    def demand(self) -> Demand:
        """See Request."""
        cell, recipe = self.cells[0], self.recipe
        return Demand(cell.arch, self.policy, recipe["compiler"], cell.python, recipe["python"])


@dataclass(frozen=True)
class Answer:
    """A bundle's tar, or a wheel and its `file` name, and what the worker says that its SHA-256 is; seconds
    per phase; the log.
    """

    content: bytes
    sha256: str
    seconds: Mapping[str, float]
    log: bytes
    file: str = ""
