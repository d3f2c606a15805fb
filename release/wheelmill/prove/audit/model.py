"""What an audit is asked (Expectation) and what it answers (Verdict of Findings); plain frozen data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from wheelmill.errors import Finding, WheelmillError
from wheelmill.make.plan import row
from wheelmill.wheel.name import WheelName, tag_arch, tag_policy, tag_python

if TYPE_CHECKING:
    from wheelmill.describe import ProjectFile
    from wheelmill.matrix import Cell

# The one rule whose errors a wheel may break and still be kept, for use on the machine that built it.
PLATFORM_RULE = "platform-policy"

EXIT_RELEASABLE = 0
EXIT_REFUSED = 1
EXIT_LOCAL_ONLY = 3


class AuditError(WheelmillError):
    """What an audit is to hold a wheel to does not exist: a policy, an architecture, an SDK."""


@dataclass(frozen=True)
class Allowed:
    """A library that a wheel may need without carrying it: an fnmatch pattern over DT_NEEDED names.

    A `required` entry that no file of the wheel needs is an error: an exclude that matches nothing is a
    typing mistake or a link that got lost, and both make a wheel that fails far from here.
    """

    pattern: str
    required: bool = True
    projects: tuple[str, ...] = ()  # each of them brings it: Requires-Dist has to name one
    by_hand: str = ""  # what brings it and is no project that Requires-Dist could name


ADAPTER_LIBRARIES = (Allowed("libc10.so*"), Allowed("libtorch_cpu.so*"))
SIMULATOR_LIBRARIES = (Allowed("libc10.so*"), Allowed("libtorch_cpu.so*"))

ADAPTER = "torch-npu"  # it asks for its torch itself


@cache
def foreign_libraries() -> tuple[Allowed, ...]:
    """For wheels that no matrix row describes: everything that others may bring at run time; brought.yaml."""
    import yaml

    rows = yaml.safe_load(Path(__file__).with_name("brought.yaml").read_text(encoding="utf-8"))
    return tuple(
        Allowed(pattern, False, tuple(row.get("projects", ())), row.get("by_hand", ""))
        for row in rows
        for pattern in row["libraries"]
    )


@dataclass(frozen=True)
class Expectation:
    """What the wheel has to be. A field that is None is not held against the wheel."""

    arch: str | None
    policy: str | None  # without arch: "manylinux_2_28"
    project: str | None = None
    version: str | None = None
    python: str | None = None  # "3.11"; None for a wheel of any Python 3
    pythons: tuple[str, ...] | None = None  # all that the version has wheels for
    torch: str | None = None  # the requirement, "==2.13.0"
    row: Mapping[str, object] | None = None  # what `_row.json` must say, its recipe apart
    allowed: tuple[Allowed, ...] = field(default_factory=foreign_libraries)
    build_roots: tuple[str, ...] = ()  # directories whose path must not be found in the files
    house: bool = False  # made here: this project's own rules are asked too, beside those of the formats
    rules: frozenset[str] = frozenset()  # of these, the ones that a project file asks for
    earned: bool = False  # without a policy: the wheel is held to the oldest that its files meet

    def asks(self, rule: str) -> bool:
        """Whether a rule that no specification has is asked of this wheel."""
        return self.house or rule in self.rules

    @classmethod
    def adapter(cls, cell: Cell, *, build_roots: tuple[str, ...] = ()) -> Expectation:
        """The adapter's wheel of one matrix cell."""
        line = cell.line
        return cls(
            arch=cell.arch,
            policy=cell.manylinux,
            project=ADAPTER,
            version=line.adapter,
            python=cell.python,
            pythons=line.pythons,
            torch=line.torch.requirement,
            row=row(cell),
            allowed=ADAPTER_LIBRARIES,
            build_roots=build_roots,
            house=True,
        )

    @classmethod
    def simulator(cls, cell: Cell, *, build_roots: tuple[str, ...] = ()) -> Expectation:
        """The simulator's wheel that serves one matrix cell; any Python 3 takes it."""
        return cls(
            arch=cell.arch,
            policy=cell.manylinux,
            project="cann-simulator",
            version=cell.line.torch.version,
            pythons=cell.line.torch.pythons,
            torch=cell.line.torch.requirement,
            allowed=SIMULATOR_LIBRARIES,
            build_roots=build_roots,
            house=True,
        )

    @classmethod
    def from_name(cls, name: WheelName) -> Expectation:
        """What the wheel's own file name promises, for wheels that no matrix row describes."""
        tags = sorted(name.tags, key=str)
        return cls(
            arch=next(filter(None, map(tag_arch, name.platforms)), None),
            policy=next(filter(None, map(tag_policy, name.platforms)), None),
            project=name.project,
            version=name.version,
            python=next(filter(None, (tag_python(t.interpreter, t.abi) for t in tags)), None),
        )


@dataclass(frozen=True)
class Terms:
    """What a project file asks of every wheel of its project, beyond what the specifications ask."""

    project: str
    rules: frozenset[str] = frozenset()
    libraries: tuple[str, ...] = ()  # patterns; what SDKs bring, which a wheel may need
    policy: str | None = None
    earned: bool = True  # see Expectation

    @classmethod
    def of(cls, file: ProjectFile) -> Terms:
        """Those of a project file."""
        libraries = tuple(name for sdk in file.sdks.values() for name in sdk.libraries)
        return cls(
            canonicalize_name(file.package),
            frozenset(file.audit.rules),
            libraries,
            file.audit.policy,
            earned="torch" not in file.sdks,
        )

    def asked(self, of: Expectation) -> Expectation:
        """The same wheel, held to the terms too."""
        return dataclasses.replace(
            of,
            project=self.project,
            policy=self.policy or of.policy,
            earned=self.earned,
            allowed=tuple(Allowed(pattern, required=False) for pattern in self.libraries),
            rules=self.rules,
        )


@dataclass(frozen=True)
class Verdict:
    """The answer for one wheel."""

    wheel: str
    sha256: str
    platforms: tuple[str, ...]  # the platform tags of its file name
    policy: str | None  # the policy it is held to, with arch: "manylinux_2_28_x86_64"
    platform_tag: str  # the oldest platform its files run on: "manylinux_2_35_x86_64", "linux_x86_64", "any"
    native_files: int
    findings: tuple[Finding, ...]
    # What a releasable wheel is to be tagged: the policy with its legacy alias, joined by a dot.
    policy_tag: str | None = None

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What refuses the wheel, the platform policy apart."""
        return tuple(f for f in self.findings if f.severity == "error" and f.rule != PLATFORM_RULE)

    @property
    def platform_errors(self) -> tuple[Finding, ...]:
        """What lifts the wheel above its policy."""
        return tuple(f for f in self.findings if f.severity == "error" and f.rule == PLATFORM_RULE)

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What does not change the verdict."""
        return tuple(f for f in self.findings if f.severity == "note")

    @property
    def ok(self) -> bool:
        """Everything but the platform policy is as it should be."""
        return not self.errors

    @property
    def releasable(self) -> bool:
        """Nothing is wrong and the platform policy is met; `release_tag` is then its tag."""
        return (
            self.ok and not self.platform_errors and (self.policy is not None or self.platform_tag == "any")
        )

    @property
    def local_only(self) -> bool:
        """Good on this machine and ones as new; keeps its linux_<arch> tag and is never released."""
        return self.ok and not self.releasable

    @property
    def release_tag(self) -> str | None:
        """The platform tag to release under; None when the wheel cannot be released.

        It is the policy and not the older `platform_tag`: torch's own libraries, which every process using
        the wheel loads, hold to the policy and to nothing older.
        """
        return self.policy_tag if self.releasable else None

    @property
    def exit_code(self) -> int:
        """0 releasable, 3 local only, 1 refused."""
        if self.releasable:
            return EXIT_RELEASABLE
        return EXIT_LOCAL_ONLY if self.local_only else EXIT_REFUSED
