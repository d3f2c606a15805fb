"""A project that a file describes, as what is released: all cells of a line, from one commit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from wheelmill.describe import Cell, Described, load
from wheelmill.describe.model import RELEASED, Line, ProjectError
from wheelmill.describe.version import version_of
from wheelmill.matrix import Torch
from wheelmill.matrix.model import abi_tag
from wheelmill.publish.index import Layout
from wheelmill.publish.packages import PackageOutcome, Run, cannot_run, known_verdicts, run_all
from wheelmill.publish.release.builder import (
    MadeCell,
    MadeWheel,
    above_policies,
    instead,
    local_only,
    refuse_local_only,
    refuse_not_run,
)
from wheelmill.publish.release.product import Finding, Machine, OwnCheck
from wheelmill.publish.release.repository import Repository
from wheelmill.publish.release.session import ReleaseError, Session
from wheelmill.publish.sign.keyring import FILE as KEYS
from wheelmill.store import Store
from wheelmill.wheel.name import WheelName, parse_name, tag_policy

if TYPE_CHECKING:
    from wheelmill.console import Console
    from wheelmill.make.packages.shop import Shop

# What builds and runs the cells of a session, for the project as a commit has it.
Shops = Callable[[Session, Described], "tuple[Shop, Run]"]


@dataclass(frozen=True)
class DescribedProduct:
    """See Product. `folder` is that of the project file, in the repository; `file` the file's name."""

    repository: Repository
    store: Store
    folder: Path
    file: str
    package: str
    torches: Mapping[str, Torch]
    shops: Shops
    console: Console
    branches: bool = False
    raise_it: str = "raise the version of the project"
    _known: dict[str, Described] = field(default_factory=dict, repr=False)

    @property
    def record(self) -> str:
        """See Product."""
        return (self._prefix / RELEASED).as_posix()

    @property
    def keys(self) -> Path:
        """See Product."""
        return self.folder / KEYS

    @property
    def _prefix(self) -> Path:
        return self.folder.relative_to(self.repository.root)

    def concerns(self, path: str) -> bool:
        """What lies in the folder of the project file."""
        return Path(path.strip('"')).is_relative_to(self._prefix)

    # -------------------------------------------------------------------------------- of the release's commit
    def described(self, commit: str) -> Described:
        """The project as the commit has it. Raises ProjectError."""
        if commit not in self._known:
            folder = self.store.root / "work" / "commits" / commit
            self.repository.export(commit, folder)
            self._known[commit] = self._in(folder)
        return self._known[commit]

    def _in(self, tree: Path) -> Described:
        """The project in a tree; what it names outside of itself lies beside the original."""
        file = tree / self._prefix / self.file
        if not file.is_file():
            raise ReleaseError(
                f"{self._prefix / self.file} is in no commit that is to be released",
                hint="commit it; a release is made from a commit",
            )
        try:
            return replace(load(file, self.torches), home=self.folder)
        except ProjectError as error:
            load(self.folder / self.file, self.torches)  # what is wrong there as well is told of there
            raise ReleaseError(
                f"the commit has another {self.file} than here, or lacks a file that it names:\n{error}",
                hint="commit what is missing, though git ignores it: git add --force FILE",
            ) from None

    def _line(self, commit: str, line: str) -> Line:
        lines = self.described(commit).project.lines
        found = next((one for one in lines if one.name == line), None)
        if found is None:
            known = ", ".join(one.name for one in lines)
            raise ReleaseError(f"{self.file} has no line {line!r}", hint=f"The lines are: {known}")
        return found

    def _cells(self, session: Session) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.described(session.commit).cells if cell.line == session.branch)

    def version(self, commit: str, line: str) -> str:
        """That of the project file, else of the sources. Raises ReleaseError where neither says it."""
        self._line(commit, line)
        return version_of(self.described(commit))

    def cells(self, session: Session) -> Sequence[str]:
        """See Product."""
        return [cell.key for cell in self._cells(session)]

    def cannot_run(self, session: Session) -> Mapping[str, str]:
        """See Product."""
        described = self.described(session.commit)
        shop, run = self.shops(session, described)
        return cannot_run(self._cells(session), shop, run, emulation=session.emulation)

    def doubts(self, session: Session) -> Iterator[str]:
        """See Product."""
        policy, cells = self.described(session.commit).policy, self._cells(session)
        return above_policies(session, ((cell.key, cell.arch, policy(cell)) for cell in cells))

    def facts(self, session: Session, today: date) -> Mapping[str, Any]:
        """The digest of the project file; nobody plans the stages of its lines."""
        described = self.described(session.commit)
        content = described.file.read_bytes()
        if described.project.matrix is not None:
            content += (described.root / described.project.matrix).read_bytes()
        return {"stage": None, "waiver": None, "matrix": hashlib.sha256(content).hexdigest()}

    def title(self, session: Session) -> str:
        """See Product."""
        return f"{self.package} {session.version} ({session.branch})"

    def keyring(self, commit: str) -> Path:
        """See Product."""
        return self.described(commit).root / KEYS

    def notes(self, session: Session) -> Mapping[str, bytes]:
        """None: how a project tells its users of changes is its own."""
        return {}

    def layout(self, session: Session) -> Layout:
        """A root for each line, and one for all."""
        return Layout()

    @property
    def checks(self) -> Mapping[str, OwnCheck]:
        """See Product."""
        return {"smoke-program": self.smoke_program, "wheels-releasable": self.wheels_releasable}

    def smoke_program(self, session: Session, today: date) -> Iterator[Finding]:
        """The project file names a program that shows that a wheel works."""
        if self.described(session.commit).project.smoke is None and not session.waivers:
            yield "no [smoke] program is named", 'write one, and name it: [smoke] program = "smoke.py"'

    def wheels_releasable(self, session: Session, today: date) -> Iterator[Finding]:
        """No wheel that the commit gives, and that this machine has built before, is local only."""
        commit = self.repository.head()
        if session.engine != "host" or commit != session.commit or self._changes():
            return  # what is checked out is something else, and its wheels say nothing
        shop, _ = self.shops(session, load(self.folder / self.file, self.torches))
        for file, verdict in known_verdicts(self._cells(session), shop).items():
            if not verdict["releasable"]:
                abort = f"wheelmill release abort {session.branch}"
                ended = f"An open session keeps its engine, and is ended first: {abort}"
                yield local_only(file, verdict), f"{instead(session, begun=False)} {ended}"

    def _changes(self) -> list[str]:
        return [path for path in self.repository.changes() if self.concerns(path) and path != self.record]

    # --------------------------------------------------------------------------------------------- the wheels
    def build(self, session: Session, tree: Path) -> list[MadeCell]:
        """Build and audit every cell from `tree`, then smoke-run those that can be run here.

        Raises ReleaseError for a cell that cannot be run and has no waiver, before anything is built; for a
        wheel that is local only or of another version, before anything is run.
        """
        cells, reasons = self._cells(session), self.cannot_run(session)
        refuse_not_run(session, reasons)
        shop, run = self.shops(session, self._in(tree))
        built = run_all(cells, shop, self.console, run, smoke="never").outcomes
        several = {one.wheel.file for one in built if len(one.made.job.cells) > 1}
        made = {one.key: _made(one, several, reasons.get(one.key)) for one in built}
        refuse_local_only(session, made.values())
        self._refuse_versions(session, made.values())
        tried = [cell for cell in cells if cell.key not in reasons]
        if tried:
            ran = run_all(tried, shop, self.console, run, smoke="once").outcomes
            made |= {one.key: _made(one, several, one.not_run) for one in ran}
        return [made[cell.key] for cell in cells]

    def _refuse_versions(self, session: Session, made: Iterable[MadeCell]) -> None:
        for cell in made:
            for wheel in cell.wheels:
                version = parse_name(wheel.file).version.partition("+")[0]
                if version != session.version:
                    raise ReleaseError(
                        f"{cell.key}: the build gave {wheel.file}, the release is {session.version}",
                        hint=f"`version` in {self.file} has to be what the build makes",
                    )

    def machines(self, session: Session) -> Sequence[Machine]:
        """Each with the oldest C library that its wheel's tag admits."""
        return [
            Machine(
                one.key, one.python, one.arch, abi_tag(one.python), _policy(self._wheel(session, one.key))
            )
            for one in self._cells(session)
        ]

    def requirements(self, session: Session, key: str) -> Sequence[str]:
        """The cell's own wheel, by its whole version."""
        return (f"{canonicalize_name(self.package)}=={self._wheel(session, key).version}",)

    def _wheel(self, session: Session, key: str) -> WheelName:
        (made,) = session.facts["built"]["cells"][key]["wheels"]
        return parse_name(made["file"])


def _made(outcome: PackageOutcome, several: set[str], not_run: str | None) -> MadeCell:
    wheel = outcome.wheel
    return MadeCell(
        outcome.key, (MadeWheel(wheel.file, wheel.digest, wheel.verdict),), outcome.smoke, not_run
    )


def _policy(name: WheelName) -> str:
    """`manylinux_2_28`, the oldest that its tags name; for a wheel without native files any will do."""
    found = [policy for tag in name.tags if (policy := tag_policy(tag.platform)) and policy.count("_") == 2]
    return min(found, key=lambda policy: int(policy.rpartition("_")[2]), default="manylinux_2_17")
