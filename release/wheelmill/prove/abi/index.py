"""A wheel of a recorded package on the package index, opened without being downloaded whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, cast

from packaging.version import Version

from wheelmill.catalogue.remote import Ranges
from wheelmill.matrix.versions import python_key
from wheelmill.prove.abi.model import AbiError
from wheelmill.wheel.errors import WheelError
from wheelmill.wheel.name import parse_name, tag_arch, tag_python

if TYPE_CHECKING:
    from pypi_simple import DistributionPackage

_BLOCK = 8 << 20  # bytes of one request: libtorch_cpu.so is 120 MB packed


@dataclass(frozen=True)
class Found:
    """The wheel of a version on the index, and the Pythons that the version has wheels for."""

    file: str
    url: str
    pythons: tuple[str, ...]


def find(package: str, version: str, arch: str, index: str) -> Found:
    """The wheel of a version for Linux on `arch` on the index at the address `index`.

    Raises AbiError when the index cannot be read or has none.
    """
    import requests
    from pypi_simple import NoSuchProjectError, PyPISimple

    try:
        with PyPISimple(index) as client:
            packages = client.get_project_page(package, timeout=60).packages
    except (requests.RequestException, NoSuchProjectError, ValueError) as error:
        raise AbiError(
            f"the index {index} cannot be read: {error}",
            hint="Check pip's index: pip config list. $PIP_INDEX_URL names another one.",
        ) from None
    wheels = dict(_wheels(packages, version, arch))
    if not wheels:
        raise AbiError(
            f"the index {index} has no wheel of {package} {version} for Linux on {arch}",
            hint="Name a version that it has, or give the path of a wheel.",
        )
    pythons = sorted(wheels, key=python_key)
    middle = wheels["3.11"] if "3.11" in wheels else wheels[pythons[-1]]
    return Found(middle.filename, middle.url, tuple(pythons))


def _wheels(
    packages: list[DistributionPackage], version: str, arch: str
) -> Iterator[tuple[str, DistributionPackage]]:
    """(Python, wheel) of a version: the last wheel of each Python is that with the highest build tag."""
    for package in sorted(packages, key=lambda one: one.filename):
        if package.is_yanked:
            continue
        try:
            name = parse_name(package.filename)
            same = Version(name.version).public == Version(version).public
        except (WheelError, ValueError):
            continue
        arches = {tag_arch(platform) for platform in name.platforms}
        for tag in name.tags:
            python = tag_python(tag.interpreter, tag.abi)
            if same and arches == {arch} and python is not None and tag.abi == tag.interpreter:
                yield python, package


@contextmanager
def opened(found: Found) -> Iterator[IO[bytes]]:
    """The wheel, of which what is read is fetched. Raises AbiError where its server does not allow that."""
    import requests

    with requests.Session() as session:
        try:
            stream = Ranges(session, found.url, block=_BLOCK, most=1 << 30)
        except (requests.RequestException, OSError) as error:
            raise AbiError(
                f"{found.file} cannot be read in parts: {error}",
                hint="Download it, and give the path of the file.",
            ) from None
        yield cast("IO[bytes]", stream)
