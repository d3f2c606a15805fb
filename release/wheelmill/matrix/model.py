"""The compatibility matrix as values: what the file says, resolved and frozen.

A row holds what is *true*; what was published and differs stands beside it, verbatim, under `published`.
Every value knows the line of the file that it was read from (`at`), so that a finding can point there.
Nothing here reads a file or asks for the date: see `load` and `wheelmill.matrix.policy`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, fields, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from wheelmill.errors import Finding, WheelmillError
from wheelmill.frozen import dataclass
from wheelmill.matrix.near import few_of

Stage = Literal["planned", "development", "maintained", "unmaintained", "eol"]
Arch = Literal["aarch64", "x86_64"]
Kind = Literal["published", "development"]
Build = Literal["default", "cpu"]
CannKind = Literal["second name", "patch"]
# What a stage of a maintenance policy lets happen on a line.
Act = Literal["feature", "fix", "prerelease", "release"]
# What a waiver sets aside: a rule of the release gate.
Waivable = Literal["stage-allows-release"]


@dataclass(frozen=True)
class Where:
    """The line (from 1) on which a row starts, and the line of each of its fields."""

    line: int = 0
    fields: Mapping[str, int] = field(default_factory=dict)

    def of(self, name: str) -> int:
        """The line of one field; of the row where the field is absent."""
        return self.fields.get(name, self.line)


NOWHERE = Where()


@dataclass(frozen=True)
class Row:
    """Anything that was read from the file."""

    at: Where = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


class MatrixError(WheelmillError):
    """The file could not be read as a matrix; `findings` says every place and how to fix it."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(map(str, findings)))


class MatrixLookupError(WheelmillError):
    """A line or cell was asked for that the matrix does not have."""


# ------------------------------------------------------------------------------------- published documents
@dataclass(frozen=True)
class Source(Row):
    """A document that versions were published in, and its date where it bears one.

    `zh` is what it is called in Chinese.
    """

    name: str
    title: str
    dated: date | None = None
    zh: str | None = None


@dataclass(frozen=True)
class PythonSupport(Row):
    """One row of a published PyTorch x Python table; `floors` holds lower bounds such as `>=3.7.5`."""

    source: str
    torch: str
    pythons: tuple[str, ...]
    published: str
    floors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hardware(Row):
    """What one server model runs: `systems` (name -> versions) as held true, `published` as printed."""

    model: str
    arch: Arch
    systems: Mapping[str, tuple[str, ...]]
    published: str
    reason: str | None = None


@dataclass(frozen=True)
class ReleaseNote(Row):
    """The version data of one release note; `new_...` is what it says that it newly supports."""

    version: str
    series: str
    torches: tuple[str, ...]
    hardware: tuple[Hardware, ...]
    new_pythons: tuple[str, ...] = ()
    new_systems: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    new_chips: tuple[str, ...] = ()


# --------------------------------------------------------------------------------------------------- policy
@dataclass(frozen=True)
class PolicyStage(Row):
    """One stage of a maintenance policy; `months` bounds its length, absent for the last stage.

    `zh`, `time` and `meaning` are printed words; `allows` is what they let happen on a line.
    """

    stage: Stage
    zh: str
    time: str
    meaning: str
    allows: tuple[Act, ...]
    months: tuple[int, ...] = ()


@dataclass(frozen=True)
class Policy(Row):
    """The stages of a branch in order; its first release opens the stage `released_in`."""

    name: str
    source: str
    released_in: Stage
    stages: tuple[PolicyStage, ...]


@dataclass(frozen=True)
class PublishedSeries(Row):
    """A branch-status row as printed, cell by cell."""

    status: str
    released: str
    next: str
    eol: str


@dataclass(frozen=True)
class Override(Row):
    """A stage that holds although the dates say otherwise, and why; `zh` is the reason in Chinese."""

    stage: Stage
    reason: str
    zh: str | None = None


@dataclass(frozen=True)
class Promise(Row):
    """A branch-status row of an earlier document that put the branch under another policy."""

    source: str
    policy: str
    published: PublishedSeries


@dataclass(frozen=True)
class Series(Row):
    """One row of a branch-status table.

    `begins` gives the days on which stages begin where they were announced; the rest follows from `policy`.
    `promised` is what an earlier document said.
    """

    name: str
    policy: str
    released: date | None
    published: PublishedSeries
    begins: Mapping[Stage, date] = field(default_factory=dict)
    override: Override | None = None
    reason: str | None = None
    promised: Promise | None = None


@dataclass(frozen=True)
class Waiver(Row):
    """A rule of the release gate set aside for one version of one line, from `granted` to before `until`."""

    rule: Waivable
    line: str
    version: str
    reason: str
    granted: date
    until: date

    def in_force(self, day: date) -> bool:
        """Whether it holds on `day`."""
        return self.granted <= day < self.until


# ---------------------------------------------------------------------------------------------------- torch
@dataclass(frozen=True)
class TorchWheel(Row):
    """A torch wheel that serves as SDK; `url` only where its file is not (only) on the package index.

    `build` is "default" for what the package index has, "cpu" for the build without CUDA (`X.Y.Z+cpu`).
    """

    python: str
    arch: Arch
    sha256: str
    url: str | None = None
    build: Build = "default"


@dataclass(frozen=True)
class Torch(Row):
    """A PyTorch release: the Pythons that all its arches have wheels for, and how to compile against its C++.

    `cxx11_abi` and `policies` (manylinux policy) are per arch: 2.6.0 changed both on aarch64 only. An
    adapter that is compiled for it loads into the later torches of `serves` too: they are one generation of
    the C++ interface. With those of `proven` its whole test suite was run.
    """

    version: str
    pythons: tuple[str, ...]
    cxx_standard: int
    cxx11_abi: Mapping[Arch, bool]
    policies: Mapping[Arch, str]
    dependencies: tuple[str, ...] = ()
    wheels: tuple[TorchWheel, ...] = ()
    serves: tuple[str, ...] = ()
    proven: tuple[str, ...] = ()

    @property
    def requirement(self) -> str:
        """Which torches a wheel that is compiled for this one asks for: itself, and those that are proven."""
        if not self.proven:
            return f"=={self.version}"
        newest = self.serves.index(self.proven[-1])
        without = (f",!={other}" for other in self.serves[:newest] if other not in self.proven)
        return f">={self.version},<={self.proven[-1]}{''.join(without)}"

    def proving(self, version: str) -> Torch:
        """This torch as it will be once `version` is proven: for wheels on which that is to be shown."""
        from packaging.version import Version

        both = ({*known, version} for known in (self.serves, self.proven))
        serves, proven = (tuple(sorted(known, key=Version)) for known in both)
        return replace(self, serves=serves, proven=proven)

    @property
    def manylinux(self) -> str:
        """The newest policy over all arches; `Cell.manylinux` is exact."""
        return max(self.policies.values(), key=lambda policy: tuple(map(int, policy.split("_")[1:])))

    def wheel(self, python: str, arch: str, build: Build | None = None) -> TorchWheel | None:
        """The wheel for one (Python, arch); without `build`, the small CPU build wherever there is one."""
        fitting = [
            w for w in self.wheels if (w.python, w.arch) == (python, arch) and build in (None, w.build)
        ]
        return min(fitting, key=lambda w: w.build != "cpu", default=None)


# ---------------------------------------------------------------------------------------------------- lines
@dataclass(frozen=True)
class PublishedLine(Row):
    """What was printed for a row where it differs from what is held true, and why it is not believed.

    `zh` is the reason in Chinese.
    """

    reason: str
    cann: str | None = None
    torch: str | None = None
    adapter: str | None = None
    pythons: tuple[str, ...] | None = None
    zh: str | None = None


@dataclass(frozen=True)
class LineRow(Row):
    """One row of the compatibility table as the file has it; `Line` is the same with its torch resolved."""

    branch: str
    series: str | None
    source: str | None
    cann: str
    torch: str
    adapter: str
    pythons: tuple[str, ...]
    arches: tuple[Arch, ...]
    kind: Kind
    buildable: bool
    image: str | None = None
    on_index: bool = False
    download: str | None = None
    published: PublishedLine | None = None
    reason: str | None = None
    zh: str | None = None


@dataclass(frozen=True)
class Line:
    """One release branch = one row of the compatibility table.

    `reason` says why it is a record only, or why it differs from what was published; `zh` is
    the same in Chinese. `on_index` tells whether
    the public package index has its wheels, `download` is the folder of its release page that has them.
    """

    branch: str
    series: str | None
    cann: str
    torch: Torch
    adapter: str
    pythons: tuple[str, ...]
    arches: tuple[Arch, ...]
    buildable: bool
    reason: str | None
    kind: Kind
    image: str | None = None
    on_index: bool = False
    download: str | None = None
    published: PublishedLine | None = None
    source: str | None = None
    zh: str | None = None
    at: Where = field(default=NOWHERE, compare=False, repr=False)

    def cells(self) -> tuple[Cell, ...]:
        """Every (Python, arch) of the line, buildable or not."""
        return tuple(Cell(self, python, arch) for python in self.pythons for arch in self.arches)

    def to_json(self) -> dict[str, Any]:
        """What fits together, for machines."""
        return {
            "branch": self.branch,
            "cann": self.cann,
            "torch": self.torch.version,
            "adapter": self.adapter,
            "pythons": list(self.pythons),
            "arches": list(self.arches),
        }


# The fields that a row of the file and a resolved line have in common.
_SHARED = tuple(one.name for one in fields(Line) if one.name not in ("torch", "at"))


def abi_tag(python: str) -> str:
    """`cp38` of `3.8`; Python 3.7 still names pymalloc in it: `cp37m`."""
    tag = f"cp{python.replace('.', '')}"
    return f"{tag}m" if python == "3.7" else tag


@dataclass(frozen=True)
class Cell:
    """The unit of work: one line for one Python on one arch; exactly one adapter wheel."""

    line: Line
    python: str
    arch: str

    @property
    def name(self) -> str:
        """`3.8-aarch64`"""
        return f"{self.python}-{self.arch}"

    @property
    def python_tag(self) -> str:
        """`cp38`"""
        return "cp" + self.python.replace(".", "")

    @property
    def abi_tag(self) -> str:
        """`cp38`; Python 3.7 still names pymalloc in it: `cp37m`"""
        return abi_tag(self.python)

    @property
    def key(self) -> str:
        """`v2.1.0-5.0.rc3/3.8/aarch64`"""
        return f"{self.line.branch}/{self.python}/{self.arch}"

    @property
    def manylinux(self) -> str:
        """The policy the wheel is held to, e.g. `manylinux_2_17`."""
        return self.line.torch.policies[self.arch]  # type: ignore[index]

    @property
    def cxx11_abi(self) -> bool:
        """Whether torch's own libraries use the new libstdc++ ABI on this arch."""
        return self.line.torch.cxx11_abi[self.arch]  # type: ignore[index]


# --------------------------------------------------------------------------------------- what goes with lines
@dataclass(frozen=True)
class OtherVersion(Row):
    """An adapter version on the index beside those of the lines, and the CANN that a document gives it.

    `cann` is None where no document says so; `reason` tells then. `branch` names the line whose earlier or
    later wheel it is.
    """

    adapter: str
    cann: str | None
    source: str | None = None
    branch: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class CannName(Row):
    """A CANN release that no line names, and the line's CANN (`of`) whose wheels are taken for it."""

    name: str
    of: str
    kind: CannKind
    source: str


@dataclass(frozen=True)
class CannFamily(Row):
    """CANN versions, each as `8.5` for all of its patches: adapters made for one run on every other."""

    versions: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class Chip(Row):
    """A family of chips: the names that the adapter's sources know (`socs`) and names in use (`also`).

    `products` are sold with them: `800I A2` of Atlas 800I A2. `since` is the first release of the adapter
    that knows them; None where all of these lines do.
    """

    name: str
    socs: tuple[str, ...]
    source: str
    also: tuple[str, ...] = ()
    since: str | None = None
    products: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that a user may give, the family's own first."""
        return (self.name, *self.also, *self.socs, *self.products)


@dataclass(frozen=True)
class System(Row):
    """An operating system's release and its C library, as `2.28`.

    `source` is the document that says so. Where none does, `reason` tells why this one is taken, and `zh` the
    same in Chinese.
    """

    name: str
    version: str
    glibc: str
    source: str | None = None
    reason: str | None = None
    zh: str | None = None

    @property
    def title(self) -> str:
        """`Ubuntu 20.04`"""
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Document(Row):
    """The whole file, row by row, before references are resolved.

    `torch_with_cuda`: architecture -> the first torch of which the package index has a build with CUDA.
    `cann_set_env`: the first version -> where root's installation has the script that loads it.
    `cann_python`: the first version -> what its Python packages import, as requirements.
    `cann_installers`: the first version -> the names of its installers, in order.
    """

    schema: int
    torch_cpu_index: str
    sources: tuple[Source, ...]
    policies: tuple[Policy, ...]
    series: tuple[Series, ...]
    lines: tuple[LineRow, ...]
    python_support: tuple[PythonSupport, ...]
    torches: tuple[Torch, ...]
    release_notes: tuple[ReleaseNote, ...]
    other_versions: tuple[OtherVersion, ...] = ()
    cann_names: tuple[CannName, ...] = ()
    cann_families: tuple[CannFamily, ...] = ()
    chips: tuple[Chip, ...] = ()
    systems: tuple[System, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    torch_with_cuda: Mapping[str, str] = field(default_factory=dict)
    cann_set_env: Mapping[str, str] = field(default_factory=dict)
    cann_python: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cann_installers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Matrix:
    """The matrix with its references resolved; `digest` is the sha256 of the file it came from."""

    path: Path
    digest: str
    document: Document = field(repr=False)
    lines: tuple[Line, ...]
    torches: Mapping[str, Torch]
    series: Mapping[str, Series]
    policies: Mapping[str, Policy]

    @classmethod
    def of(cls, path: Path, digest: str, document: Document) -> Matrix:
        """The matrix of a document whose references were followed before: each leads somewhere."""
        torches = {torch.version: torch for torch in document.torches}
        lines = tuple(
            Line(torch=torches[row.torch], at=row.at, **{name: getattr(row, name) for name in _SHARED})
            for row in document.lines
        )
        series = {one.name: one for one in document.series}
        policies = {policy.name: policy for policy in document.policies}
        return cls(path, digest, document, lines, torches, series, policies)

    def line(self, branch: str) -> Line:
        """The line of a branch; raises MatrixLookupError naming the nearest branches that exist."""
        for line in self.lines:
            if line.branch == branch:
                return line
        raise MatrixLookupError(
            f"There is no line {branch!r} in {self.path.name}.",
            hint="Lines: "
            + few_of(branch, [line.branch for line in self.lines], "wheelmill matrix lines --all"),
        )

    def cells(self) -> tuple[Cell, ...]:
        """Every buildable cell, newest line first."""
        return self._cells

    @cached_property
    def _cells(self) -> tuple[Cell, ...]:
        return tuple(cell for line in self.lines if line.buildable for cell in line.cells())

    def cell(self, python: str, arch: str, *, line: str | None = None, torch: str | None = None) -> Cell:
        """The buildable cell for (Python, arch) on the newest line, or on the given line or torch.

        Raises MatrixLookupError saying which lines exist for that (Python, arch).
        """
        if line is not None:
            self.buildable_line(line)
        here = [cell for cell in self.cells() if (cell.python, cell.arch) == (python, arch)]
        for cell in here:
            if line in (None, cell.line.branch) and torch in (None, cell.line.torch.version):
                return cell
        asked = "".join([f" on line {line}" if line else "", f" with torch {torch}" if torch else ""])
        raise MatrixLookupError(
            f"The matrix has no buildable cell for Python {python} on {arch}{asked}.",
            hint=self._what_exists(python, arch, here, line or torch or ""),
        )

    def buildable_line(self, branch: str) -> Line:
        """The line of that branch; MatrixLookupError, with what to do instead, when it is a record only."""
        line = self.line(branch)
        if not line.buildable:
            raise MatrixLookupError(
                f"Line {branch} is a record, it cannot be built: {line.reason}", hint=self.instead_of(line)
            )
        return line

    def instead_of(self, record: Line) -> str:
        """What to do about a line that is not built: lines for the same CANN that are, or the oldest one."""
        buildable = [line for line in self.lines if line.buildable]
        same = [line for line in buildable if line.cann == record.cann]
        found = ", ".join(f"{line.branch} (torch {line.torch.version})" for line in same or buildable[-1:])
        which = f"for CANN {record.cann}" if same else "the oldest that can be built"
        return f"Take another line, {which}: {found}."

    def _what_exists(self, python: str, arch: str, here: Sequence[Cell], asked: str) -> str:
        if here:
            known = [f"{cell.line.branch} (torch {cell.line.torch.version})" for cell in here]
            return f"Lines for Python {python} on {arch}: {few_of(asked, known, 'wheelmill matrix lines')}"
        names = dict.fromkeys(cell.name for cell in self.cells())
        return "Cells that some line can build: " + ", ".join(names)
