"""What a wheel says of itself: its recipe and its SBOM, read without unpacking it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheelmill.make.assemble import STAMP
from wheelmill.make.sbom import sbom_path
from wheelmill.publish.sign.errors import SignError
from wheelmill.wheel.wheelfile import ZIP_FAULTS

_MAX_BYTES = 16 << 20


@dataclass(frozen=True)
class Inside:
    """The recipe that a wheel was made from, and its SBOM as it lies in the wheel."""

    stamp: Mapping[str, Any]
    sbom: bytes


def look_inside(wheel: Path) -> Inside:
    """Read them. Raises SignError for a file that is no wheel of this project."""
    parts = wheel.name.split("-")
    info = "-".join(parts[:2]) + ".dist-info"
    try:
        with zipfile.ZipFile(wheel) as archive:
            stamp = json.loads(_member(archive, f"{info}/{STAMP}"))
            sbom = _member(archive, sbom_path(parts[0], parts[1]))
        _ = stamp["key"], stamp["bundle"]["torch"], stamp["bundle"]["sdk"], stamp["bundle"]["compiler"]
    except KeyError as error:
        raise SignError(
            f"{wheel.name} was not made by this version of wheelmill: {error.args[0]!s} is missing",
            hint="build it again; a wheel has its recipe and its SBOM in its .dist-info",
        ) from None
    except (IndexError, TypeError, *ZIP_FAULTS) as error:
        raise SignError(f"{wheel.name} cannot be read as a wheel: {error}", hint="build it again") from None
    return Inside(stamp, sbom)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > _MAX_BYTES:
        raise ValueError(f"{name} has over {_MAX_BYTES} bytes")
    return archive.read(name)
