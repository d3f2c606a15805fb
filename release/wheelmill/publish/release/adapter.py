"""The adapter of this repository as what is released: its lines are rows of the matrix, and branches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from wheelmill.make.metadata import ADAPTER, SIMULATOR
from wheelmill.matrix import Line, Matrix, load
from wheelmill.matrix.own import own_packages
from wheelmill.matrix.policy import Refusal, may_release
from wheelmill.project import MATRIX, NOTES
from wheelmill.publish.index import Layout
from wheelmill.publish.index.views import layout_of
from wheelmill.publish.notes import notes_for, side_files
from wheelmill.publish.notes import problems as problems_of_note
from wheelmill.publish.release.builder import Builder, MadeCell, above_policies
from wheelmill.publish.release.product import Finding, Machine, OwnCheck
from wheelmill.publish.release.repository import Repository
from wheelmill.publish.release.session import Session, moment
from wheelmill.publish.sign.keyring import FILE as KEYS
from wheelmill.store import Store


@dataclass(frozen=True)
class AdapterProduct:
    """See Product.

    `builder` makes the wheels; `unrunnable` has of each cell that is not smoke-run here: key -> why.
    """

    repository: Repository
    store: Store
    builder: Builder
    unrunnable: Callable[[Session, Line], Mapping[str, str]]
    package: str = ADAPTER
    record: str = "matrix/catalogue/releases.json"
    branches: bool = True
    raise_it: str = "raise the line's `adapter` version in the matrix"
    _matrices: dict[str, Matrix] = field(default_factory=dict, repr=False)

    def concerns(self, path: str) -> bool:
        """All of the repository is."""
        return True

    # -------------------------------------------------------------------------------- of the release's commit
    def data(self, commit: str) -> Path:
        """A folder with matrix, release notes and public keys as the commit has them, in their places."""
        folder = self.store.root / "work" / "commits" / commit
        if commit not in self._matrices:
            for name in self.repository.files(commit, MATRIX.as_posix(), NOTES.as_posix(), KEYS.as_posix()):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(self.repository.file(commit, name))
            self._matrices[commit] = load(folder / MATRIX)
        return folder

    def matrix(self, commit: str) -> Matrix:
        """The matrix as the commit has it."""
        self.data(commit)
        return self._matrices[commit]

    def line(self, session: Session) -> Line:
        """The line as the release's commit has it."""
        return self.matrix(session.commit).line(session.branch)

    def keyring(self, commit: str) -> Path:
        """See Product."""
        return self.data(commit) / KEYS

    @property
    def keys(self) -> Path:
        """See Product."""
        return self.repository.root / KEYS

    def version(self, commit: str, line: str) -> str:
        """The line's `adapter` in the matrix. Raises what the matrix raises."""
        return self.matrix(commit).line(line).adapter

    def cells(self, session: Session) -> Sequence[str]:
        """See Product."""
        return [cell.key for cell in self.line(session).cells()]

    def cannot_run(self, session: Session) -> Mapping[str, str]:
        """See Product."""
        return self.unrunnable(session, self.line(session))

    def doubts(self, session: Session) -> Iterator[str]:
        """See Product."""
        cells = self.line(session).cells()
        return above_policies(session, ((cell.key, cell.arch, cell.manylinux) for cell in cells))

    def facts(self, session: Session, today: date) -> Mapping[str, Any]:
        """The matrix, the SDK and torch; the stage of the line on this day and the waiver that was needed."""
        matrix, line = self.matrix(session.commit), self.line(session)
        found = may_release(matrix, line, session.version, today)
        waiver = None if isinstance(found, Refusal) else found.waiver
        return {
            "stage": None if found.phase is None else found.phase.stage,
            "waiver": None
            if waiver is None
            else {
                "rule": waiver.rule,
                "reason": waiver.reason,
                "granted": str(waiver.granted),
                "until": str(waiver.until),
            },
            "matrix": matrix.digest,
            "cann": line.cann,
            "torch": line.torch.version,
        }

    def title(self, session: Session) -> str:
        """See Product."""
        line = self.line(session)
        made_for = f"torch {line.torch.version} and {own_packages().sdk} {line.cann}"
        return f"{ADAPTER} {session.version} for {made_for}"

    def build(self, session: Session, tree: Path) -> list[MadeCell]:
        """See Product."""
        return self.builder(session, self.matrix(session.commit), self.line(session), tree)

    def machines(self, session: Session) -> Sequence[Machine]:
        """See Product."""
        return [
            Machine(cell.key, cell.python, cell.arch, cell.abi_tag, cell.manylinux)
            for cell in self.line(session).cells()
        ]

    def requirements(self, session: Session, key: str) -> Sequence[str]:
        """The adapter, and the simulator of its torch."""
        return (f"{ADAPTER}=={session.version}", f"{SIMULATOR}=={self.line(session).torch.version}")

    def notes(self, session: Session) -> Mapping[str, bytes]:
        """Markdown and HTML in both languages, and JSON."""
        records = self.data(session.commit) / NOTES
        return side_files(notes_for(session.version, records, self.matrix(session.commit)))

    def layout(self, session: Session) -> Layout:
        """The roots of the index as the release's matrix has them, on the day of its publishing."""
        return layout_of(self.matrix(session.commit), moment(str(session.publishing)).date())

    # ------------------------------------------------------------------------------------------------- checks
    @property
    def checks(self) -> Mapping[str, OwnCheck]:
        """See Product."""
        return {
            "matrix-lint": self.matrix_lint,
            "line-buildable": self.line_buildable,
            "stage": self.stage,
            "notes-complete": self.notes_complete,
        }

    def matrix_lint(self, session: Session, today: date) -> Iterator[Finding]:
        """The matrix of the commit has no finding."""
        from wheelmill.matrix.lint import lint

        for finding in lint(self.matrix(session.commit).path, today).errors:
            yield f"matrix line {finding.line}: {finding.message} [{finding.rule}]", finding.hint

    def line_buildable(self, session: Session, today: date) -> Iterator[Finding]:
        """The line has wheels to build."""
        line = self.line(session)
        if not line.buildable:
            found = f"{line.branch} is a record: {line.reason}"
            yield found, self.matrix(session.commit).instead_of(line)

    def stage(self, session: Session, today: date) -> Iterator[Finding]:
        """The maintenance policy allows this version on this day, or a waiver in the matrix does."""
        found = may_release(self.matrix(session.commit), self.line(session), session.version, today)
        if isinstance(found, Refusal):
            yield f"{found.reason} (rule {found.rule}, on {today})", found.hint

    def notes_complete(self, session: Session, today: date) -> Iterator[Finding]:
        """The version has a release note, whole in both languages."""
        note = notes_for(session.version, self.data(session.commit) / NOTES, self.matrix(session.commit))
        for finding in problems_of_note(note):
            where = f"{Path(finding.file).name}, line {finding.line}"
            yield f"{where}: {finding.message} [{finding.rule}]", finding.hint
