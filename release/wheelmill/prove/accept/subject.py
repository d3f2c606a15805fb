"""The wheel that an acceptance run is about: of any make, read from its file without installing it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from wheelmill.matrix.versions import specifiers
from wheelmill.prove.smoke.result import SmokeError
from wheelmill.wheel.errors import WheelError
from wheelmill.wheel.facts import open_wheel
from wheelmill.wheel.metadata import Metadata
from wheelmill.wheel.name import parse_name

_PYTHON = re.compile(r"cp(\d)(\d+)")
_ARCH = re.compile(r"(?:manylinux\w*?|linux)_(x86_64|aarch64)")


@dataclass(frozen=True)
class Subject:
    """An adapter's wheel. `python` "3.11", `arch` "x86_64", `torch` the version that it is made for.

    `pinned` tells whether its metadata says so, or only its own version; `requires` is what it asks for
    beside torch, for its Python. `chosen` says why it is this version where none was asked for.
    """

    file: Path
    project: str
    version: str
    python: str
    arch: str
    torch: str
    pinned: bool
    requires: tuple[str, ...] = ()
    chosen: str | None = None

    @property
    def name(self) -> str:
        """`3.11-x86_64`"""
        return f"{self.python}-{self.arch}"

    @property
    def title(self) -> str:
        """`torch_npu 2.13.0`"""
        return f"{self.project} {self.version}"


def read_subject(file: Path, known_torches: Collection[str] = ()) -> Subject:
    """Read a wheel's name and metadata. `known_torches` serve where it accepts more than one torch.

    Raises SmokeError for a file that is no wheel for one CPython on Linux, or that says nothing of torch.
    """
    version, python, arch = _tags(file)
    metadata = _metadata(file)
    environment = {"python_version": python, "platform_machine": arch, "extra": ""}
    asked = _requirements(metadata, file)
    wanted = [one for one in asked if one.marker is None or one.marker.evaluate(environment)]
    torch = next((one for one in wanted if canonicalize_name(one.name) == "torch"), None)
    return Subject(
        file=file,
        project=metadata.name,
        version=version,
        python=python,
        arch=arch,
        torch=_torch(torch, Version(version), known_torches, file),
        pinned=torch is not None,
        requires=tuple(_without_marker(one) for one in wanted if one is not torch),
    )


def not_asked_for(subject: Subject, needed: Iterable[str]) -> tuple[str, ...]:
    """Those of `needed` (requirements) that the wheel's metadata does not ask for, by name."""
    asked = {canonicalize_name(Requirement(one).name) for one in subject.requires}
    return tuple(one for one in needed if canonicalize_name(Requirement(one).name) not in asked)


def served_torch(simulator: Path) -> str:
    """The torch that a simulator's wheel is built for: its version, where it is proven with later ones, too.

    Raises SmokeError when it does not say, or is no wheel.
    """
    metadata = _metadata(simulator)
    asked = _requirements(metadata, simulator)
    torch = next((one for one in asked if canonicalize_name(one.name) == "torch"), None)
    built_for = None if torch is None else _exact(torch)
    if built_for is None and torch is not None and torch.specifier:
        built_for = next(iter(_accepted(torch, [metadata.version], simulator)), None)
    if built_for is None:
        raise SmokeError(
            f"{simulator.name} is not a simulator's wheel: it does not ask for the torch of its build",
            hint="A simulator is built with every cell: wheelmill build 3.11-x86_64",
        )
    return built_for


def check_torch(subject: Subject, torch: str, whose: str) -> None:
    """Raises SmokeError unless `torch` is the wheel's own; `whose` is the start of the sentence about it."""
    if Version(torch).release[:3] == Version(subject.torch).release[:3]:
        return
    raise SmokeError(
        f"{subject.title} is for torch {subject.torch}, but {whose} torch {torch}: "
        "its libraries would not load, so nothing was installed",
        hint=f"Use torch {subject.torch}, or the {subject.project} of torch {torch}.",
    )


def _tags(file: Path) -> tuple[str, str, str]:
    """(version, Python, arch) of a wheel's file name."""
    try:
        name = parse_name(file.name)
    except WheelError as error:
        raise SmokeError(error.message, hint=error.hint) from error
    found = {
        (f"{interpreter[1]}.{interpreter[2]}", platform[1])
        for tag in name.tags
        if (interpreter := _PYTHON.fullmatch(tag.interpreter)) and (platform := _ARCH.fullmatch(tag.platform))
    }
    if len(found) != 1:
        raise SmokeError(
            f"{file.name} is not for one CPython on one Linux machine",
            hint="A smoke run needs a wheel that is.",
        )
    python, arch = found.pop()
    return name.version, python, arch


def _metadata(file: Path) -> Metadata:
    try:
        return open_wheel(file).metadata
    except WheelError as error:
        raise SmokeError(error.message, hint=error.hint) from error


def _requirements(metadata: Metadata, file: Path) -> list[Requirement]:
    try:
        return list(metadata.requirements())
    except WheelError as error:
        raise SmokeError(f"{file.name} {error.message}") from error


def _without_marker(requirement: Requirement) -> str:
    return str(requirement).partition(";")[0].strip()


def _torch(asked: Requirement | None, own: Version, known: Collection[str], file: Path) -> str:
    """The torch to install: the pinned one, else the wheel's own X.Y.Z or the newest known that fits."""
    own_release = ".".join(map(str, own.release[:3]))
    if asked is None:
        return own_release
    exact = _exact(asked)
    if exact is not None:
        return exact
    accepted = _accepted(asked, (own_release, *known), file)
    if not accepted:
        raise SmokeError(f"{file.name} asks for {asked}, and no torch that the matrix knows fits")
    return own_release if own_release in accepted else max(accepted, key=Version)


def _accepted(asked: Requirement, versions: Iterable[str], file: Path) -> list[str]:
    """Those of `versions` that a requirement allows."""
    try:
        allowed = specifiers(str(asked.specifier))
        return [version for version in versions if allowed.contains(version)]
    except ValueError as error:
        raise SmokeError(f"{file.name} asks for {str(asked)[:80]}: {error}") from None


def _exact(asked: Requirement) -> str | None:
    """X.Y.Z of `==X.Y.Z`, `==X.Y.Z+cpu`, `==X.Y.Z.*`; None when several are accepted."""
    for specifier in asked.specifier:
        if specifier.operator in ("==", "==="):
            try:
                release = Version(specifier.version.removesuffix(".*")).release
            except ValueError:
                continue
            if len(release) >= 3:
                return ".".join(map(str, release[:3]))
    return None
