"""What a finished wheel of a described project gets: its local version, its pins, its recipe and its SBOM."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelmill.make.plan import canonical_json
from wheelmill.make.sbom import package_sbom, sbom_path
from wheelmill.wheel.facts import RECIPE, is_native_by_name, open_wheel
from wheelmill.wheel.wheelfile import restamp, with_files

if TYPE_CHECKING:
    from wheelmill.describe import Cell
    from wheelmill.describe.model import Wheel


def stamped(wheel: Path, cell: Cell, asked: Wheel, recipe: Mapping[str, Any], work: Path) -> Path:
    """The wheel as it is released, in a folder below `work`; `recipe` is all that decided its bytes."""
    renamed, whole = work / "renamed", work / "stamped"
    for folder in (renamed, whole):
        folder.mkdir()
    if asked.local is not None or asked.requires:
        local = cell.local_version(asked.local)
        wheel = restamp(wheel, renamed, local=local, requires=tuple(map(cell.fill, asked.requires)))
    return with_files(wheel, whole, _about(wheel, recipe), int(recipe["epoch"]))


def _about(wheel: Path, recipe: Mapping[str, Any]) -> dict[str, bytes]:
    """File in the .dist-info -> content."""
    found = open_wheel(wheel)
    native = {
        member.name: found.content(member.name, found.archive.allowance)
        for member in found.archive.members
        if is_native_by_name(member.name)
    }
    distribution, version = found.name.dist_info.removesuffix(".dist-info").split("-")
    metadata = found.metadata
    requires = [str(one) for one in metadata.requirements() if one.marker is None]
    sbom = package_sbom(recipe, version, metadata.fields.get("summary", ""), requires, native)
    _, _, inside = sbom_path(distribution, version).partition("/")
    return {RECIPE: canonical_json(recipe).encode(), inside: sbom}
