"""What is read of a record of each kind, and as what.

A checksum tells of accidents; whoever writes a cache that is restored can write one, too. A record of another
shape is not believed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, TypedDict

from wheelmill.matrix.plain import PlainError, from_plain
from wheelmill.store.objects import is_file_name

_SHA256 = re.compile(r"[0-9a-f]{64}")
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def _is_time(text: str) -> bool:
    try:
        return bool(datetime.fromisoformat(text.replace("Z", "+00:00")))
    except ValueError:
        return False


def _is_stamp(text: str) -> bool:
    return _STAMP.fullmatch(text) is not None and _is_time(text)


Sha256 = Annotated[str, _SHA256.fullmatch]
FileName = Annotated[str, is_file_name]
Time = Annotated[str, _is_time]
Stamp = Annotated[str, _is_stamp]  # `2026-11-28T21:30:00Z`


class TorchSdk(TypedDict):
    """A torch wheel that is compiled against."""

    sha256: Sha256
    file: FileName


class TorchWheel(TypedDict):
    """What a project's own index had for a torch."""

    digest: Sha256
    file: FileName


class SdkTree(TypedDict):
    """The object that lists the files of an unzipped torch."""

    digest: Sha256


class _Told(TypedDict, total=False):
    name: str
    seconds: dict[str, float]
    image: dict[str, str]


class Bundle(_Told):
    """Native files, as one object."""

    digest: Sha256
    log: FileName


class Wheel(TypedDict):
    """A wheel as it was built."""

    digest: Sha256
    file: FileName


class FindingShape(TypedDict):
    """One of a verdict's findings."""

    rule: str
    file: str
    message: str


class VerdictShape(TypedDict, total=False):
    """The audit's JSON."""

    findings: list[FindingShape]


class _Cell(TypedDict, total=False):
    cell: str


class Audit(_Cell):
    """A wheel that the audit admitted, under its tag."""

    digest: Sha256
    file: FileName
    uploaded: Time
    verdict: VerdictShape
    summary: str


class _Wheels(TypedDict, total=False):
    wheels: dict[str, str]


class SmokeShape(_Wheels):
    """The JSON of a smoke run."""

    printed: str


class Smoke(TypedDict):
    """A smoke run of two wheels."""

    result: SmokeShape


class Index(TypedDict):
    """The local index, as it was last written."""

    set: str
    tree: str


class Release(TypedDict):
    """A release session in one of its states; what reads it knows its shape."""

    at: Stamp
    session: dict[str, Any]


SHAPES: Mapping[str, Any] = {
    "torch-sdk": TorchSdk,
    "torch-wheel": TorchWheel,
    "sdk-tree": SdkTree,
    "bundle": Bundle,
    "wheel": Wheel,
    "audit": Audit,
    "smoke": Smoke,
    "index": Index,
    "release": Release,
}


def has_shape(kind: str, data: Mapping[str, Any]) -> bool:
    """Whether what is read of a record of this kind is there, and is what its readers rely on."""
    try:
        from_plain(SHAPES.get(kind, dict[str, Any]), data)
    except PlainError:
        return False
    return True
