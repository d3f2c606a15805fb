"""What a release asks of the project that it is of: its version and cells, what is checked, made and told.

Everything else of a release is the same for all projects. The adapter of this repository is one of them
(`adapter`); a project that describes itself in a file is another (`described`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from wheelmill.publish.index import Layout
from wheelmill.publish.release.builder import MadeCell
from wheelmill.publish.release.repository import Repository
from wheelmill.publish.release.session import Session

Finding = tuple[str, str]  # what is wrong, and what to do about it
OwnCheck = Callable[[Session, date], Iterator[Finding]]


@dataclass(frozen=True)
class Machine:
    """A machine that a cell's wheels are for, as installers are told of it: `manylinux_2_28`, `cp311`."""

    key: str
    python: str
    arch: str
    abi_tag: str
    manylinux: str


class Product(Protocol):
    """A project whose lines are released. Everything is asked of the commit that a release is of."""

    @property
    def repository(self) -> Repository:
        """The clone that releases are cut from."""

    @property
    def package(self) -> str:
        """The distribution that users install, as its files are named."""

    @property
    def record(self) -> str:
        """The record of released wheels, as a path in the repository."""

    @property
    def branches(self) -> bool:
        """Whether a line is a branch of the repository, which releases make and are cut from."""

    @property
    def raise_it(self) -> str:
        """What to do for another version: `raise the version in ...`."""

    @property
    def checks(self) -> Mapping[str, OwnCheck]:
        """What is looked at beside what every release is looked at for; docstrings are the titles."""

    def concerns(self, path: str) -> bool:
        """Whether a file of the repository is part of the project."""

    def version(self, commit: str, line: str) -> str:
        """The version that the line has. Raises WheelmillError for no such line, or one without a version."""

    def cells(self, session: Session) -> Sequence[str]:
        """The keys of the cells."""

    def cannot_run(self, session: Session) -> Mapping[str, str]:
        """Of each cell that is not smoke-run on this machine: key -> why."""

    def doubts(self, session: Session) -> Iterator[str]:
        """What may stop the release once it is built, and cannot be known before."""

    def facts(self, session: Session, today: date) -> Mapping[str, Any]:
        """For records: `matrix`, the SHA-256 of what says so; `stage` and `waiver`; what is special to it."""

    def title(self, session: Session) -> str:
        """The release in words, for the tag."""

    def build(self, session: Session, tree: Path) -> list[MadeCell]:
        """Build, audit and smoke-run every cell from the tree of the commit."""

    def machines(self, session: Session) -> Sequence[Machine]:
        """The machines that installers are to take wheels for, once they are built."""

    def requirements(self, session: Session, key: str) -> Sequence[str]:
        """What a user of a cell asks installers for; exact, and all of it from the stage."""

    def notes(self, session: Session) -> Mapping[str, bytes]:
        """The release notes: file name -> content."""

    def keyring(self, commit: str) -> Path:
        """The public keys as the commit has them."""

    @property
    def keys(self) -> Path:
        """The public keys as they are now: what signs the index on any day."""

    def layout(self, session: Session) -> Layout:
        """The roots of the index, on the day of the publishing."""
