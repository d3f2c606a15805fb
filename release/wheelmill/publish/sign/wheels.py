"""What a wheel says of itself: its recipe and its SBOM, read without unpacking it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheelmill.limits import parse_json
from wheelmill.make.sbom import sbom_path
from wheelmill.publish.sign.errors import SignError
from wheelmill.wheel.errors import WheelError
from wheelmill.wheel.facts import MAX_SBOM, RECIPE, open_wheel

_AGAIN = "build it again; a wheel that was made here has its recipe and its SBOM in its .dist-info"


@dataclass(frozen=True)
class Inside:
    """The recipe that a wheel was made from, and its SBOM as it lies in the wheel."""

    recipe: Mapping[str, Any]
    sbom: bytes


@dataclass(frozen=True)
class Materials:
    """What a recipe says that a wheel was made from: SDKs as (name, version, SHA-256), sources, compiler."""

    sdks: tuple[tuple[str, str, str], ...]
    what: str
    sources: str
    compiler: str


def materials(recipe: Mapping[str, Any]) -> Materials:
    """Of a wheel from a bundle, or of one that a build backend made. Raises LookupError or TypeError."""
    if recipe.get("kind") == "package":
        sdks = tuple((str(one["name"]), str(one["version"]), str(one["sha256"])) for one in recipe["sdks"])
        return Materials(sdks, "sources", str(recipe["sources"]), str(recipe["compiler"]))
    bundle = recipe["bundle"]
    torch = ("torch", str(bundle["torch"]), str(bundle["sdk"]))
    return Materials((torch,), "native sources", str(bundle["native"]), str(bundle["compiler"]))


def look_inside(wheel: Path) -> Inside:
    """Read them. Raises SignError for a file that is no wheel that was made here."""
    try:
        found = open_wheel(wheel)
        recipe = parse_json(found.text(RECIPE))
        distribution, version = found.name.dist_info.removesuffix(".dist-info").split("-")
        sbom = found.content(sbom_path(distribution, version), MAX_SBOM)
        _ = recipe["key"], materials(recipe)
    except WheelError as error:
        raise SignError(error.message, hint=_AGAIN) from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise SignError(f"{wheel.name}: its {RECIPE} is no recipe: {error}", hint=_AGAIN) from None
    return Inside(recipe, sbom)
