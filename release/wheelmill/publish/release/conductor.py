"""Begins sessions, runs their steps in order, and does what can be done to a release afterwards.

Each step is recorded only when it is done. A failure is recorded too, so that `status` says what to do. At
most one process works on a line at a time.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from packaging.version import Version

from wheelmill.errors import WheelmillError
from wheelmill.matrix import MatrixLookupError
from wheelmill.publish.release import checks, feed, public, recorded, steps
from wheelmill.publish.release.product import Product
from wheelmill.publish.release.session import (
    STATES,
    Event,
    Failure,
    ReleaseError,
    Session,
    State,
    Waiver,
    later,
    plain,
    stamp,
)
from wheelmill.publish.release.sessions import Sessions
from wheelmill.publish.release.steps import Tools
from wheelmill.store.errors import disk_errors

DAYS = 7.0  # how long a session may take unless it is extended

Make = Callable[[Sessions, Path, public.How, datetime], public.Shown]
Announce = Callable[[str], AbstractContextManager[Any]]

TITLES: dict[State, str] = {
    "checked": "check {name}",
    "tagged": "branch and tag {name}",
    "built": "build {name}",
    "staged": "stage {name}",
    "verified": "verify {name} from its stage",
    "sealed": "seal {name}",
    "published": "publish {name}",
    "announced": "read {name} back and announce it",
}


@dataclass(frozen=True)
class Request:
    """What a new session is asked for; `commit` is a revision of git, None for the line's branch or HEAD.

    `said` has the names of the fields that somebody asked for by name: an open session has to have them so.
    """

    branch: str
    into: Path
    engine: str
    base: str | None = None
    commit: str | None = None
    waivers: tuple[Waiver, ...] = ()
    promotes: str | None = None
    signed: bool = True
    emulation: bool = True
    identity: bool = False
    days: float = DAYS
    said: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Conductor:
    """What runs sessions. `step` is entered around each step with its title, for a spinner or a log."""

    tools: Tools
    step: Announce = nullcontext
    wait: bool = False
    take_over: bool = False

    # ---------------------------------------------------------------------------------------------- beginning
    def draft(self, request: Request) -> Session:
        """The session that a request would begin; nothing is recorded.

        Raises ReleaseError where one is open already, and what the product raises.
        """
        sessions, repository = self.tools.sessions, self.tools.repository
        commit = self._commit(request)
        version = self.tools.product.version(commit, request.branch)
        open_ones = [one for one in sessions.of_branch(request.branch) if one.is_open]
        if open_ones and open_ones[0].version != version:
            raise ReleaseError(
                f"{open_ones[0].name} is still {open_ones[0].state}; a line has one open release at a time",
                hint=f"Finish it with `wheelmill release resume {request.branch}`, or give it up with "
                f"`wheelmill release abort {request.branch}`.",
            )
        before = sessions.find(request.branch, version)
        if before is not None and before.canceled is None:
            raise ReleaseError(
                f"{before.name} is {before.shown_state} already",
                hint=self._already(before),
            )
        now = sessions.now()
        return Session(
            branch=request.branch,
            version=version,
            attempt=1 if before is None else before.attempt + 1,
            state="planned",
            owner=sessions.owner,
            started=stamp(now),
            expires=later(stamp(now), request.days),
            commit=repository.commit(commit) or commit,
            into=str(request.into),
            engine=request.engine,
            base=request.base,
            waivers=request.waivers,
            promotes=request.promotes,
            signed=request.signed,
            emulation=request.emulation,
            identity=request.identity,
            reached={"planned": stamp(now)},
        )

    def _already(self, before: Session) -> str:
        command = self.tools.sessions.next_command(before)
        if command is not None:
            return f"Next: {command}"
        return f"Its version cannot be released again: {self.tools.product.raise_it}."

    def _commit(self, request: Request) -> str:
        repository = self.tools.repository
        if request.commit is None:
            tip = repository.branch(request.branch) if self.tools.product.branches else None
            return tip or repository.head()
        found = repository.commit(request.commit)
        if found is None:
            raise ReleaseError(
                f"{request.commit!r} is no commit of {repository.root}", hint="git log --oneline --all"
            )
        return found

    def start(self, request: Request) -> Session:
        """Begin a session and record it."""
        with self._alone(request.branch):
            return self.tools.sessions.write(self.draft(request))

    # ----------------------------------------------------------------------------------------------- going on
    def open_or_new(self, request: Request) -> Session:
        """The open session of the line, with the request's waivers, else a new one.

        Raises ReleaseError where it was begun otherwise than is asked now.
        """
        session = self._opened(request)
        if session is None:
            return self.start(request)
        self.tools.note(f"{session.name} is {session.state}; going on")
        new = _new_waivers(session, request)
        return self.extend(session, request.days, new) if new else session

    def would_be(self, request: Request) -> Session:
        """The session that `open_or_new` gives; nothing is recorded. Raises what that raises."""
        session = self._opened(request)
        if session is None:
            return self.draft(request)
        new = _new_waivers(session, request)
        return _waived(session, new) if new else session

    def _opened(self, request: Request) -> Session | None:
        """The open session of the line; None where there is none. Raises ReleaseError for another one."""
        opened = [one for one in self.tools.sessions.of_branch(request.branch) if one.is_open]
        if not opened:
            return None
        session = opened[0]
        if request.promotes not in (None, session.promotes):
            raise ReleaseError(
                f"{session.name} was not begun as the final version of {request.promotes}, so nobody has "
                "compared their sources",
                hint=f"Begin again: wheelmill release abort {session.branch}, then promote",
            )
        wanted = {name: getattr(request, name) for name in request.said}
        if "commit" in wanted:
            wanted["commit"] = self.tools.repository.commit(self._commit(request))
        for name, value in wanted.items():
            if (begun := getattr(session, name)) != (str(value) if name == "into" else value):
                raise ReleaseError(
                    f"{session.name} was begun with {name} {begun}, not {value}",
                    hint=f"Go on as it was begun: wheelmill release resume {session.branch}   "
                    f"Or begin again: wheelmill release abort {session.branch}",
                )
        return session

    def advance(self, session: Session, goal: State) -> Session:
        """Run what is left up to `goal`, recording each step. Raises what the step that fails raises."""
        with self._alone(session.branch):
            session = self._fresh(session)
            while not session.has(goal):
                session = self._one(session)
        return session

    def only(self, session: Session, states: Sequence[State]) -> Session:
        """Run the steps that lead to these states; those before them must have been done."""
        before = STATES[STATES.index(states[0]) - 1]
        fresh = self._fresh(session)
        if not fresh.has(before):
            raise ReleaseError(
                f"{session.name} is {fresh.shown_state}, it has to be {before} first",
                hint=f"Next: {self.tools.sessions.next_command(fresh)}",
            )
        return self.advance(fresh, states[-1])

    def _fresh(self, session: Session) -> Session:
        """The session as it is recorded now, if it may be worked on."""
        sessions = self.tools.sessions
        found = sessions.find(session.branch, session.version)
        if found is None or found.canceled is not None:
            raise ReleaseError(
                f"the session of {session.name} was canceled",
                hint=f"Begin another: wheelmill release start {session.branch}",
            )
        return sessions.mine(found, take_over=self.take_over)

    def _one(self, session: Session) -> Session:
        sessions, state = self.tools.sessions, session.next_state
        assert state is not None
        sessions.now()  # a clock that runs backwards is told before anything is done
        try:
            title = TITLES[state].format(name=session.name)
            with self.step(title), disk_errors("write below", self.tools.store.root):
                done = steps.STEPS[state](session, self.tools)
        except WheelmillError as error:
            self._failed(session, state, error)
            raise
        return sessions.write(done)

    def _failed(self, session: Session, state: State, error: WheelmillError) -> None:
        """Record why it stopped, over what the step itself recorded."""
        sessions = self.tools.sessions
        now = stamp(sessions.clock())
        last = sessions.find(session.branch, session.version) or session
        failure = Failure(state, error.message, error.hint, now)
        sessions.write_failure(replace(last, failure=failure))

    # ---------------------------------------------------------------------------------- what else may be done
    def extend(self, session: Session, days: float, waivers: tuple[Waiver, ...] = ()) -> Session:
        """Give the session more time from now on, and waive smoke runs that turned out to be impossible."""
        with self._alone(session.branch):
            sessions = self.tools.sessions
            found = sessions.find(session.branch, session.version) or session
            if not found.is_open or found.has("published"):
                raise ReleaseError(f"{found.name} is {found.shown_state}: there is nothing to extend")
            if waivers:
                found = _waived(found, waivers)
            found = sessions.owned(found, take_over=self.take_over)
            return sessions.write(replace(found, expires=later(stamp(sessions.now()), days)))

    def abort(self, session: Session, reason: str) -> Session:
        """Cancel the session: stage, worktree, its own tag and branch go; what was built stays in the store.

        Raises ReleaseError for one that is published, or whose publish has begun.
        """
        with self._alone(session.branch):
            sessions = self.tools.sessions.never_behind()  # it may be the clock that was wrong
            found = sessions.find(session.branch, session.version) or session
            if found.canceled is not None:
                return found
            if found.is_public or (found.publishing is not None and found.withdrawn is None):
                raise ReleaseError(
                    f"{found.name} is {'public' if found.is_public else 'half published'}: "
                    "it cannot be canceled",
                    hint=f"Take it back: wheelmill release rollback {found.branch} --reason ...   "
                    f"Or mark it: wheelmill release yank {found.branch} --reason ..."
                    if found.is_public
                    else f"Finish it first: wheelmill release resume {found.branch}",
                )
            found = sessions.owned(found, take_over=self.take_over)
            event = _event(sessions, reason)
            self._clear(found)
            return sessions.write(replace(found, canceled=event, failure=None))

    def _clear(self, session: Session) -> None:
        tools = self.tools
        shutil.rmtree(steps.stage_trees(session, tools.store), ignore_errors=True)
        steps.stage_folder(session, tools.store).unlink(missing_ok=True)
        tools.repository.remove_worktree(tools.tree(session))
        checked = session.facts.get("checked")
        if checked is not None and not checked["tag_was_there"]:
            tools.repository.delete_tag(session.name, session.commit)
        # Or the next session would be of the branch's commit, without what was mended since.
        if session.facts.get("tagged", {}).get("branch_made"):
            tools.repository.delete_branch(session.branch, session.commit)

    # -------------------------------------------------------------------------------------- after the publish
    def yank(self, session: Session, reason: str) -> Session:
        """Mark a public release so that installers leave it alone unless it is pinned (PEP 592)."""
        if not reason.strip():
            raise ReleaseError("a yank needs a reason: it is what users are shown")
        return self._change(session, "yank", yanked=_event(self.tools.sessions, reason))

    def unyank(self, session: Session) -> Session:
        """Take the mark away."""
        return self._change(session, "unyank", yanked=None)

    def rollback(self, session: Session, reason: str) -> Session:
        """Take the newest release of an index out of it again; sealed as it is, it may be published later.

        Its file names stay taken. Raises ReleaseError for any but the newest: later ones may build on it.
        """
        newest = max(
            self.tools.sessions.public(session.into), key=lambda one: str(one.publishing), default=None
        )
        if newest is not None and newest.name != session.name:
            raise ReleaseError(
                f"{newest.name} was published after {session.name}: only the newest release is rolled back",
                hint=f"Yank it: wheelmill release yank {session.branch} --version {session.version} "
                "--reason ...",
            )
        if [one.name for one in self.tools.sessions.public(session.into)] == [session.name]:
            raise ReleaseError(
                f"{session.name} is the only release of {session.into}; without it the index would be empty",
                hint=f"Yank it: wheelmill release yank {session.branch} --reason ...",
            )
        done = self._change(
            session, "rollback", withdrawn=_event(self.tools.sessions, reason), state="sealed"
        )
        self._unsupersede(done)
        return done

    def _unsupersede(self, session: Session) -> None:
        sessions = self.tools.sessions
        for older in sessions.of_branch(session.branch):
            if older.superseded_by == session.version:
                sessions.write(replace(older, superseded_by=None))

    def _change(self, session: Session, what: str, **values: Any) -> Session:
        """Change a public release and show it so; the record comes first, so that a killed one can go on."""
        with self._alone(session.branch):
            sessions = self.tools.sessions
            found = sessions.find(session.branch, session.version) or session
            if not found.is_public:
                raise ReleaseError(
                    f"{found.name} is {found.shown_state}, not public: there is nothing to {what}",
                    hint="wheelmill release status lists the releases",
                )
            changed = sessions.write(replace(found, **values))
            with self.step(f"{what} {found.name}"):
                self._refresh(Path(changed.into), public.show)
            return changed

    def repair(self, into: Path) -> public.Shown | None:
        """Make the index what is recorded, where a killed command left it behind or a disk damaged it.

        Every file of it is hashed. None where nothing was published to it.
        """
        if not self.tools.sessions.public(str(into)):
            return None
        return self._refresh(into, public.repair)

    def _refresh(self, into: Path, make: Make) -> public.Shown:
        sessions = self.tools.sessions
        with public.alone(into), disk_errors("write", into):
            shown = make(sessions, into, self.tools.how, sessions.now())
        announced = [one for one in sessions.public(str(into)) if one.state == "announced"]
        if announced:
            feed.write(sessions, announced[-1])
        of_index = [one for one in sessions.all() if one.into == str(into)]
        recorded.write(self.tools.product, of_index, self.tools.store)
        return shown

    def candidate(self, branch: str) -> str:
        """The newest public release candidate whose final version is that of the line, `BRANCH/VERSION`.

        Raises ReleaseError when the line's version is not final, or has no candidate.
        """
        product, repository = self.tools.product, self.tools.repository
        commit = (repository.branch(branch) if product.branches else None) or repository.head()
        wanted = Version(product.version(commit, branch))
        if wanted.is_prerelease:
            raise ReleaseError(
                f"the line {branch} has version {wanted}, which is no final one",
                hint="First write the final version. The wheels are then built again, since their metadata "
                "name it.",
            )
        found = [
            one
            for one in self.tools.sessions.all()
            if one.is_public
            and Version(one.version).is_prerelease
            and Version(one.version).base_version == wanted.base_version
        ]
        if not found:
            raise ReleaseError(
                f"there is no public release candidate of {wanted}",
                hint=f"Release it without one: wheelmill release run {branch}",
            )
        return max(found, key=lambda one: Version(one.version)).name

    @contextmanager
    def _alone(self, branch: str) -> Iterator[None]:
        """At work on a line; what the disk refuses is an error with words."""
        alone = self.tools.sessions.alone(branch, wait=self.wait, progress=self.tools.note)
        with alone, disk_errors("write below", self.tools.store.root):
            yield


def _new_waivers(session: Session, request: Request) -> tuple[Waiver, ...]:
    return tuple(one for one in request.waivers if one not in session.waivers)


def _waived(session: Session, waivers: tuple[Waiver, ...]) -> Session:
    """The session with these waivers, too. Raises ReleaseError where its cells are built already."""
    if session.has("built"):
        raise ReleaseError(
            f"{session.name} is {session.state}: its cells have been judged",
            hint="A waiver has to be given before the build is done.",
        )
    given = {waiver.cells: waiver for waiver in (*session.waivers, *waivers)}
    return replace(session, waivers=tuple(given.values()))


# -------------------------------------------------------------------------------------------------- dry run
@dataclass(frozen=True)
class CellPlan:
    """What becomes of a cell's smoke run: `not_run` is why there is none here, None where there is one.

    `waiver` is the one that is used: only for a cell that is not run.
    """

    key: str
    not_run: str | None
    waiver: Waiver | None

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        waived = None if self.waiver is None else {"who": self.waiver.who, "reason": self.waiver.reason}
        return {"cell": self.key, "not_run": self.not_run, "waived": waived}


@dataclass(frozen=True)
class Plan:
    """What a release would do, and what is in its way. `begun`: the session is open already.

    `steps` are the states that are left to come to; `doubts` may come to be in its way.
    """

    session: Session
    begun: bool
    steps: tuple[State, ...]
    problems: tuple[checks.Problem, ...]
    cells: tuple[CellPlan, ...]
    stage: str | None
    waiver: Mapping[str, str] | None  # of a rule, which lets this version out in that stage
    doubts: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        session = self.session
        return {
            "schema": 1,
            "branch": session.branch,
            "version": session.version,
            "tag": session.name,
            "commit": session.commit,
            "begun": session.state if self.begun else None,
            "stage": self.stage,
            "waiver": self.waiver,
            "engine": session.engine,
            "into": session.into,
            "cells": [cell.to_json() for cell in self.cells],
            "steps": list(self.steps),
            "problems": [vars(problem) for problem in self.problems],
            "doubts": list(self.doubts),
        }


def plan(conductor: Conductor, request: Request, *, go_on: bool = True) -> Plan:
    """What a request would do; changes nothing. Raises what `would_be` raises.

    Without `go_on` it is what `start` would do, which goes on with no open session.
    """
    session = conductor.would_be(request) if go_on else conductor.draft(request)
    begun = conductor.tools.sessions.find(session.branch, session.version)
    is_begun = begun is not None and begun.attempt == session.attempt
    case, product = conductor.tools.case(session), conductor.tools.product
    try:
        facts = product.facts(session, case.today)
    except MatrixLookupError:
        facts = {"stage": None, "waiver": None}
    first = STATES.index(session.state) + 1 if is_begun else 0
    return Plan(
        session,
        is_begun,
        STATES[first:],
        (*(_not_mine(conductor, session) if is_begun else ()), *checks.problems(case)),
        tuple(_cells(case)),
        stage=facts["stage"],
        waiver=facts["waiver"],
        doubts=_doubts(product, session),
    )


def _doubts(product: Product, session: Session) -> tuple[str, ...]:
    try:
        return tuple(product.doubts(session))
    except WheelmillError:  # a problem, which the checks tell
        return ()


def _not_mine(conductor: Conductor, session: Session) -> Iterator[checks.Problem]:
    """Why this owner cannot go on with an open session now."""
    try:
        conductor.tools.sessions.mine(session, take_over=conductor.take_over)
    except ReleaseError as error:
        yield checks.Problem("session", error.message, error.hint or "see the message")


def _cells(case: checks.Case) -> Iterator[CellPlan]:
    """Each cell as it would be run, or as it was."""
    session = case.session
    if session.has("built"):
        for key, cell in session.facts["built"]["cells"].items():
            ran = cell["smoke"] is not None
            yield CellPlan(key, None if ran else "see release.json", None if ran else session.waiver(key))
        return
    try:
        reasons = case.product.cannot_run(session)
    except WheelmillError as error:  # the checks tell it, too
        reasons = dict.fromkeys(case.product.cells(session), error.message)
    for key in case.product.cells(session):
        reason = reasons.get(key)
        yield CellPlan(key, reason, None if reason is None else session.waiver(key))


def _event(sessions: Sessions, reason: str) -> Event:
    return Event(stamp(sessions.now()), sessions.owner, plain(reason, "the reason"))
