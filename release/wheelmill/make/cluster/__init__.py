"""Bundles compiled by the machines of a Dask cluster: `placement` decides, `worker` runs there.

Dask carries calls and results; which machine compiles what is decided here, so that a bundle goes where it is
native, a lost machine costs nothing but time, and a slow one is overtaken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wheelmill.errors import WheelmillError

if TYPE_CHECKING:
    from wheelmill.make.bundles import Order
    from wheelmill.make.plan import BuildImage

How = Literal["native", "cross", "emulated"]


class ClusterError(WheelmillError):
    """There is no cluster, no worker that fits, or none that could do it."""


@dataclass(frozen=True)
class Offer:
    """How a worker compiles for one arch and platform policy: `identity` as Engine.identity has it."""

    how: How
    identity: str
    image: BuildImage


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
class Request:
    """A bundle to compile: `sources` is a tar of the native sources; `timeout` in seconds, of each phase."""

    order: Order
    sources: bytes
    timeout: float
    fresh: bool


@dataclass(frozen=True)
class Answer:
    """A compiled bundle: its tar and what the worker says that its SHA-256 is; seconds per phase; the log."""

    tar: bytes
    sha256: str
    seconds: Mapping[str, float]
    log: bytes
