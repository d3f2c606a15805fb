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

_AGAIN = "build it again; a wheel of this project has its recipe and its SBOM in its .dist-info"


@dataclass(frozen=True)
class Inside:
    """The recipe that a wheel was made from, and its SBOM as it lies in the wheel."""

    recipe: Mapping[str, Any]
    sbom: bytes


def look_inside(wheel: Path) -> Inside:
    """Read them. Raises SignError for a file that is no wheel of this project."""
    try:
        found = open_wheel(wheel)
        recipe = parse_json(found.text(RECIPE))
        distribution, version = found.name.dist_info.removesuffix(".dist-info").split("-")
        sbom = found.content(sbom_path(distribution, version), MAX_SBOM)
        _ = recipe["key"], recipe["bundle"]["torch"], recipe["bundle"]["sdk"], recipe["bundle"]["compiler"]
    except WheelError as error:
        raise SignError(error.message, hint=_AGAIN) from None
    except (ValueError, LookupError, TypeError) as error:
        raise SignError(f"{wheel.name}: its {RECIPE} is no recipe: {error}", hint=_AGAIN) from None
    return Inside(recipe, sbom)
