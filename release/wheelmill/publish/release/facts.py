"""What later steps read of the facts that the earlier ones recorded: its shape, by state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from wheelmill.matrix.plain import from_plain
from wheelmill.store.shapes import FileName, Sha256, SmokeShape, VerdictShape


class Said(TypedDict):
    """What is said of the release; a product may say more, such as its SDKs."""

    stage: str | None
    waiver: dict[str, str] | None
    matrix: Sha256


class Checked(TypedDict):
    """What the release is of."""

    package: str
    title: str
    said: Said


class MadeShape(TypedDict):
    """A wheel that was built."""

    file: FileName
    sha256: Sha256
    verdict: VerdictShape
    kind: str
    companion: bool


class CellShape(TypedDict):
    """What was built and run for a cell."""

    wheels: list[MadeShape]
    smoke: SmokeShape | None
    waived: dict[str, str] | None


class Built(TypedDict):
    """The cells, by their keys."""

    cells: dict[str, CellShape]


class Staged(TypedDict):
    """The stage's tree, and the names that wheels are released under."""

    tree: str
    renamed: dict[str, FileName]


class Verified(TypedDict):
    """Installers and their versions."""

    installers: dict[str, str]


class Sealed(TypedDict):
    """Where the release's files lie."""

    folder: str


SHAPES: Mapping[str, Any] = {
    "checked": Checked,
    "built": Built,
    "staged": Staged,
    "verified": Verified,
    "sealed": Sealed,
}


def check(state: str, found: Any) -> None:
    """Raise PlainError where what the step to a state found is not what its readers rely on."""
    from_plain(SHAPES.get(state, dict[str, Any]), found)
