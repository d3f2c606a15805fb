"""The records of release sessions: one whole session per line of the journal, so the last line is the state.

A record is on disk before anything that builds on it happens; a step that was killed left no record and is
done again. Time never runs backwards in them: a clock that stands before the last record stops every step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from packaging.version import Version

from wheelmill.errors import StoppedError, WheelmillError
from wheelmill.matrix.near import few_of
from wheelmill.progress import Progress, silent
from wheelmill.publish.release.session import (
    File,
    ReleaseError,
    Session,
    from_json,
    moment,
    next_command,
    stamp,
)
from wheelmill.store import Holder, Record, Store
from wheelmill.store.holder import this_owner

KIND = "release"
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The machine's clock, in whole seconds as records have it."""
    return datetime.now(tz=timezone.utc).replace(microsecond=0)


def _session(record: Record) -> Session:
    """The session that a record has; raises ReleaseError for one that is of another release."""
    session = from_json(record.data["session"])
    if session.name != record.key:
        raise ReleaseError(
            f"the record of the release {record.key!r:.100} is of {session.name!r:.100}",
            hint="Restore journal.jsonl of the state folder.",
        )
    return session


def _ended_unseen(data: Mapping[str, Any]) -> bool:
    """Whether a record is of a session that was canceled and showed nothing to anybody."""
    session = data.get("session")
    return isinstance(session, dict) and bool(session.get("canceled")) and not session.get("publishing")


def _lock_of(branch: str) -> str:
    return f"release-{branch.replace('/', '_')}"


@dataclass(frozen=True)
class Sessions:
    """All sessions of a store. `clock` and `owner` are arguments, so that a test can set them."""

    store: Store
    clock: Clock = utc_now
    owner: str = field(default_factory=this_owner)

    def now(self) -> datetime:
        """The time. Raises ReleaseError where it is before the last record of a release that counts."""
        now = self.clock()
        if (behind := self._behind(now)) is not None:
            raise ReleaseError(
                f"the clock runs backwards: {behind}",
                hint="Set the clock of this machine; a release with a wrong date cannot be corrected later. "
                "If it was ahead then, and nothing was published: wheelmill release abort BRANCH",
            )
        return now

    def _behind(self, now: datetime) -> str | None:
        """How the clock is behind the last record; None where it is not."""
        last = self._last_time()
        if last is None or now >= moment(last):
            return None
        return f"it says {stamp(now)}, and a release was recorded at {last}"

    def _last_time(self) -> str | None:
        """Of each release's last record, but for those that were canceled before their publish began."""
        last = {record.key: record.data for record in self.store.records(KIND)}
        return max(
            (str(data.get("at", "")) for data in last.values() if not _ended_unseen(data)), default=None
        )

    def never_behind(self) -> Sessions:
        """The same, on a clock that stands still where it is behind: what ends a session may be recorded."""
        last = self._last_time()
        return self if last is None else replace(self, clock=lambda: max(self.clock(), moment(last)))

    def write(self, session: Session) -> Session:
        """Record the session; it is on disk when this returns. The session as it is read from there.

        What a release says is written in the order of its facts: whoever goes on in this process has to have
        them as who resumes it, or the release would have other bytes.
        """
        self.store.record(KIND, session.name, at=stamp(self.now()), session=session.to_json())
        return self._read(session.name)

    def write_failure(self, session: Session) -> None:
        """Record a failure if that can be done; the failure itself is what is told."""
        try:
            self.write(session)
        except WheelmillError:
            return

    def all(self) -> list[Session]:
        """Every session in its last state, in the order in which they were begun."""
        names = dict.fromkeys(record.key for record in self.store.records(KIND))
        return [self._read(name) for name in names]

    def _read(self, name: str) -> Session:
        record = self.store.find(KIND, name)
        assert record is not None
        return _session(record)

    def find(self, branch: str, version: str) -> Session | None:
        """The session of this version; None when there was none."""
        return self._read(f"{branch}/{version}") if self.store.find(KIND, f"{branch}/{version}") else None

    def of_branch(self, branch: str) -> list[Session]:
        """The sessions of a line, the lowest version first."""
        found = [session for session in self.all() if session.branch == branch]
        return sorted(found, key=lambda session: Version(session.version))

    def current(self, branch: str, version: str | None = None) -> Session:
        """The session that a command without a version means: the open one, else the newest release.

        Raises ReleaseError naming what there is.
        """
        found = [one for one in self.of_branch(branch) if version in (None, one.version)]
        if found:
            return next((session for session in reversed(found) if session.is_open), found[-1])
        asked = branch if version is None else f"{branch}/{version}"
        known = few_of(asked, [session.name for session in self.all()], "wheelmill release status")
        raise ReleaseError(
            f"there is no release session for {asked}",
            hint=f"Sessions: {known}" if known else f"Begin one: wheelmill release start {branch}",
        )

    def public(self, into: str) -> list[Session]:
        """The releases that this index is to show."""
        return [session for session in self.all() if session.is_public and session.into == into]

    def taken_names(self) -> dict[str, tuple[File, str]]:
        """File name -> (file, release) of every file whose publishing ever began: nobody else may have it."""
        taken: dict[str, tuple[File, str]] = {}
        for record in self.store.records(KIND):
            session = _session(record)
            if session.publishing is not None:
                for file in session.files:
                    if file.is_wheel:
                        taken.setdefault(file.name, (file, session.name))
        return taken

    def owned(self, session: Session, *, take_over: bool = False) -> Session:
        """The session as this owner's: it was, it has expired, or it is taken over. Raises ReleaseError."""
        now = self.now()
        if session.owner != self.owner and not (take_over or session.expired(now)):
            raise ReleaseError(
                f"the release {session.name} belongs to {session.owner} until {session.expires}; "
                f"you are {self.owner}",
                hint="Ask them, wait, or go on in their place with --take-over.",
            )
        return session if session.owner == self.owner else replace(session, owner=self.owner)

    def mine(self, session: Session, *, take_over: bool = False) -> Session:
        """The session as this owner's, to go on with. Raises ReleaseError for an expired one, too."""
        now = self.now()
        if session.expired(now):
            raise ReleaseError(
                f"the session of {session.name} expired at {session.expires} "
                f"in state {session.state}; it is now {stamp(now)}",
                hint=f"Go on with: wheelmill release extend {session.branch}   "
                f"Or give it up: wheelmill release abort {session.branch}",
            )
        return self.owned(session, take_over=take_over)

    @contextmanager
    def alone(self, branch: str, *, wait: bool = False, progress: Progress = silent) -> Iterator[None]:
        """Only one process at a time works on a line: another is waited for, or is an error that names it.

        The kernel drops the lock of a killed process.
        """
        stop = threading.Event()
        if not wait:
            stop.set()
        heard = progress if wait else silent
        lock = self.store.lock(_lock_of(branch), waiting=heard, stop=None if wait else stop)
        try:
            lock.__enter__()
        except StoppedError:
            raise ReleaseError(
                f"{lock.holder} is working on {branch} at this moment",
                hint="Wait for it with --wait, or look: wheelmill release status",
            ) from None
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    def at_work(self, branch: str) -> Holder | None:
        """The process that works on this line just now; None where none does."""
        return self.store.holder(_lock_of(branch))

    def next_command(self, session: Session) -> str | None:
        """What to type next, or to do first."""
        now = self.clock()
        told, behind = next_command(session, now), self._behind(now)
        return told if told is None or behind is None else f"set the clock of this machine: {behind}"
