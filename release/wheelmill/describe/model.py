"""What a project file says, as frozen rows: `wheelmill.toml`, or `[tool.wheelmill]` of a pyproject.toml.

Every row knows the line of the file that it was read from (`at`). Nothing here reads a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Literal

from wheelmill.errors import Finding, WheelmillError
from wheelmill.frozen import dataclass
from wheelmill.matrix.model import Row

How = Literal["bundle", "pep517", "command"]
Use = Literal["headers", "install"]
# Rules of the audit that no specification asks for: a project names those that it wants.
OwnRule = Literal["no-libpython", "torch-pin", "license-expression", "classifiers", "one-package"]

MAX_CELLS = 10_000  # of one project
# What wheelmill writes beside a project file: who signs its releases, and the record of released wheels.
KEYS = "release/keys.yaml"
RELEASED = "release/catalogue/releases.json"


class ProjectError(WheelmillError):
    """The project file cannot be used; the message has every finding with its line."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(map(str, findings)))


@dataclass(frozen=True)
class Build(Row):
    """How a wheel is made.

    `pep517` calls the build backend that the sources name; `command` runs words of the project, in which
    `{python}` and the other axes stand for the cell's values, and takes the wheel from the folder `output`;
    `bundle` compiles native files by CMake once for all Pythons, as the adapter in this repository does.
    `requires` are more build requirements. Values of `environment` may name axes too. `shared` names the axes
    that one wheel serves all values of, such as python for a limited API. `without` are files and folders of
    the sources that a build is not shown, so that a change of them makes no wheel stale.
    """

    how: How
    command: tuple[str, ...] = ()
    output: str = "dist"
    requires: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sdk(Row):
    """What a build compiles against, and what brings libraries when the wheel runs.

    `axis` has its version (default: the axis of the SDK's own name); `package` is the distribution (default:
    its name). `needs` names SDKs that it needs itself. `libraries` are patterns over names of libraries that
    it brings to a process: a wheel may need these, and no others. `headers` puts a stand-in into the build
    that has the SDK's headers and libraries and is never run, so that it serves any Python and architecture;
    `install` installs the real package. `index` is a folder or address that has its wheels beside pip's own.
    """

    axis: str | None = None
    package: str | None = None
    needs: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    use: Use = "headers"
    index: str | None = None


@dataclass(frozen=True)
class Wheel(Row):
    """What is written into a finished wheel.

    `local` is the local part of its version, such as `torch{torch}`, which tells wheels for two torches
    apart. `requires` are requirements of it, such as `torch=={torch}`; one of the same name is replaced.
    """

    local: str | None = None
    requires: tuple[str, ...] = ()


@dataclass(frozen=True)
class Audit(Row):
    """What a wheel of this project has to be beyond what the specifications ask.

    `policy` is the platform policy (default: torch's own, else what the wheel deserves).
    """

    rules: tuple[OwnRule, ...] = ()
    policy: str | None = None


@dataclass(frozen=True)
class Smoke(Row):
    """The program that shows that an installed wheel works: it ends with exit code 0.

    `runner` comes before the interpreter, such as `cann-simulator run --`. `requires` are installed beside
    the wheel. Both may name axes. `index` is a folder or address that has wheels of `requires`.
    """

    program: str
    runner: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    index: str | None = None


@dataclass(frozen=True)
class Line(Row):
    """A release line: the values of every axis, and combinations that are left `out` of them.

    An entry of `out` gives values of some axes; every cell that has all of them is left out.
    """

    name: str
    cells: Mapping[str, tuple[str, ...]]
    out: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True)
class MatrixFile(Row):
    """A file of its own for the lines, where a project keeps them apart."""

    lines: tuple[Line, ...]


@dataclass(frozen=True)
class ProjectFile(Row):
    """The whole file.

    `package` is the distribution's name, `source` the folder of its sources, from the file's own folder.
    `version` is what is released, where no file of the sources says it in so many words.
    `axes` are the names of what cells differ in, in the order in which a cell is named; `python` and `arch`
    are always among them. The lines stand in the file itself or in `matrix`.
    """

    schema: int
    package: str
    build: Build
    version: str | None = None
    source: str = "."
    axes: tuple[str, ...] = ("python", "arch")
    sdks: Mapping[str, Sdk] = field(default_factory=dict)
    wheel: Wheel = Wheel()
    audit: Audit = Audit()
    smoke: Smoke | None = None
    matrix: str | None = None
    lines: tuple[Line, ...] = ()
