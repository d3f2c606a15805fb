"""The matrix's block for a torch that it does not have yet, from what the package index offers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version

from wheelmill.errors import WheelmillError
from wheelmill.matrix.model import Arch
from wheelmill.matrix.versions import python_key
from wheelmill.wheel.errors import WheelError
from wheelmill.wheel.name import parse_name

if TYPE_CHECKING:
    from pypi_simple import DistributionPackage

    from wheelmill.matrix import Torch

ARCHES: tuple[Arch, ...] = ("aarch64", "x86_64")


@dataclass(frozen=True)
class Offered:
    """A torch wheel on the index: Python as `3.11`, arch, SHA-256 in hex, policy as `manylinux_2_28`."""

    python: str
    arch: Arch
    sha256: str
    policy: str


def offered(version: str, url: str) -> tuple[Offered, ...]:
    """The Linux CPython wheels of torch `version` on the index at `url`, by Python and arch.

    Raises WheelmillError when `version` is no X.Y.Z, or the index cannot be read, has none or gives no hash.
    """
    if not re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", version):  # as the matrix names it, not another form of it
        raise WheelmillError(
            f"{version!r} is not the version of a torch.", hint="Write all three numbers, such as 2.13.0."
        )
    import requests
    from pypi_simple import NoSuchProjectError, PyPISimple

    try:
        with PyPISimple(url) as client:
            packages = client.get_project_page("torch", timeout=60).packages
    except (requests.RequestException, NoSuchProjectError, ValueError) as error:
        raise WheelmillError(
            f"the index {url} cannot be read: {error}",
            hint="Check pip's index: pip config list. $PIP_INDEX_URL names another one.",
        ) from None
    wheels = wheels_of(version, packages)
    if not wheels:
        known = {of for package in packages if (of := _version(package.version)) is not None}
        newest = ", ".join(str(one) for one in sorted(known, reverse=True)[:5])
        raise WheelmillError(
            f"the index {url} has no Linux wheel of torch {version}",
            hint=f"Newest: {newest}" if newest else "It lists no torch: is it a package index?",
        )
    return wheels


def wheels_of(version: str, packages: Iterable[DistributionPackage]) -> tuple[Offered, ...]:
    """Of all files of the project, the wheels that a matrix names; free-threaded builds are none."""
    found: dict[tuple[str, Arch], Offered] = {}
    for package in packages:
        if package.is_yanked:  # withdrawn: pip takes it for no one who does not name it
            continue
        try:
            name = parse_name(package.filename)
        except WheelError:
            continue
        tag = next(iter(name.tags))
        arch = next((arch for arch in ARCHES if tag.platform.endswith(f"_{arch}")), None)
        if (
            Version(name.version) != Version(version)
            or arch is None
            or tag.abi != tag.interpreter
            or tag.interpreter[:2] != "cp"
        ):
            continue
        python = f"{tag.interpreter[2]}.{tag.interpreter[3:]}"
        policy = max((one.platform.removesuffix(f"_{arch}") for one in name.tags), key=_policy_key)
        sha256 = package.digests.get("sha256")
        if sha256 is None:
            raise WheelmillError(
                f"the index gives no SHA-256 of {package.filename}",
                hint="$PIP_INDEX_URL names another index.",
            )
        wheel = Offered(python, arch, sha256, policy)
        if found.setdefault((python, arch), wheel).sha256 != sha256:
            raise WheelmillError(
                f"the index has two wheels of torch {version} for Python {python} on {arch}",
                hint=f"One is {package.filename}; $PIP_INDEX_URL names another index.",
            )
    return tuple(sorted(found.values(), key=lambda wheel: (python_key(wheel.python), wheel.arch)))


def _version(text: str | None) -> Version | None:
    try:
        return Version(text or "")
    except ValueError:  # an old file's name, or one that is no package
        return None


def _policy_key(policy: str) -> tuple[int, ...]:
    """PEP 600 names before the older ones (manylinux2014 is manylinux_2_17)."""
    return tuple(int(part) for part in policy.split("_")[1:]) if policy.startswith("manylinux_") else (0,)


def block(version: str, wheels: Iterable[Offered], like: Torch) -> str:
    """The YAML block to paste above the newest one; what no index tells is taken from torch `like`."""
    listed = tuple(wheels)
    pythons = ", ".join(f'"{python}"' for python in dict.fromkeys(wheel.python for wheel in listed))
    policies = {wheel.arch: wheel.policy for wheel in listed}
    abi = {arch: str(like.cxx11_abi.get(arch, True)).lower() for arch in policies}
    rows = [
        f'      - {{python: "{wheel.python}", arch: {wheel.arch}, sha256: {wheel.sha256}}}'
        for wheel in listed
    ]
    return "\n".join(
        [
            f"  - version: {version}",
            f"    pythons: [{pythons}]",
            f"    cxx_standard: {like.cxx_standard}  # as torch {like.version}: check",
            f"    cxx11_abi: {_mapping(abi)}  # as torch {like.version}: check",
            f"    policies: {_mapping(policies)}",
            f"    dependencies: [{', '.join(like.dependencies)}]",
            "    wheels:",
            *rows,
            "",
        ]
    )


def _mapping(values: Mapping[Arch, str]) -> str:
    return "{" + ", ".join(f"{name}: {value}" for name, value in sorted(values.items())) + "}"
