"""What is looked at before a release changes anything: one named check each, all findings told together.

A check is a function of a Case; the first line of its docstring is its title. It yields what is wrong and
how to mend it, and never raises for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from packaging.version import Version

from wheelmill.errors import WheelmillError
from wheelmill.publish.release import place, public, signing
from wheelmill.publish.release.product import Product
from wheelmill.publish.release.repository import Repository
from wheelmill.publish.release.session import ReleaseError, Session, State
from wheelmill.publish.release.sessions import Sessions
from wheelmill.publish.sign.identity import Attestor


@dataclass(frozen=True)
class Case:
    """A release that is about to begin. `attestor` gives the identity of this CI job."""

    session: Session
    product: Product
    signers: signing.MakeSigners
    sessions: Sessions
    today: date
    attestor: Callable[[], Attestor]

    @property
    def repository(self) -> Repository:
        """The clone that it is cut from."""
        return self.product.repository


@dataclass(frozen=True)
class Problem:
    """One thing that is in the way, by which check, and what to do about it."""

    check: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.check}: {self.message}\n    hint: {self.hint}"


class NotReadyError(ReleaseError):
    """Checks found something; the message has all of it."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        listed = "\n  ".join(map(str, problems))
        many = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"{name} cannot be released: {many}\n  {listed}", hint="Nothing was changed.")


Check = Callable[[Case], Iterator[tuple[str, str]]]
CHECKS: dict[str, Check] = {}
# What has to hold after the checks, too: up to which state.
LASTING: Mapping[str, State] = {
    "tag-free": "built",
    "cells-are-run": "built",
    "signers-ready": "sealed",
    "identity-ready": "sealed",
    "index-is-ours": "published",
    "index-can-be-written": "published",
}


def check(function: Check) -> Check:
    """Register a check under its function's name."""
    CHECKS[function.__name__.replace("_", "-")] = function
    return function


def title(name: str) -> str:
    """What a check looks at, in one line."""
    return (CHECKS[name].__doc__ or name).strip().partition("\n")[0].rstrip(".")


def problems(case: Case) -> list[Problem]:
    """Run every check that a later step relies on; an error that one meets is its finding."""
    found = []
    own = {name: partial(one, case.session, case.today) for name, one in case.product.checks.items()}
    shared = {name: partial(one, case) for name, one in CHECKS.items()}
    for name, function in (own | shared).items():
        if case.session.has(LASTING.get(name, "checked")):
            continue
        try:
            found += [Problem(name, message, hint) for message, hint in function()]
        except WheelmillError as error:
            found.append(Problem(name, error.message, error.hint or "see the message"))
    return found


# ------------------------------------------------------------------------------------------------ the sources
@check
def clean_tree(case: Case) -> Iterator[tuple[str, str]]:
    """The checkout has no change that is not committed, the record of releases apart."""
    product = case.product
    changed = [
        path for path in case.repository.changes() if product.concerns(path) and path != product.record
    ]
    if changed:
        shown = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        yield f"changes that are in no commit: {shown}", "commit them, or put them away: git stash -u"


@check
def branch_and_commit(case: Case) -> Iterator[tuple[str, str]]:
    """The branch, where it exists, has the commit that is released."""
    if not case.product.branches:
        return
    branch, commit = case.session.branch, case.session.commit
    tip = case.repository.branch(branch)
    if tip is not None and not case.repository.is_ancestor(commit, tip):
        yield (
            f"branch {branch} is at {tip[:12]} and does not have commit {commit[:12]}",
            f"bring the fixes to the branch (wheelmill release cherry {branch}) and release from it: "
            f"git switch {branch}",
        )


@check
def tag_free(case: Case) -> Iterator[tuple[str, str]]:
    """The tag of the version is not taken by another commit."""
    there = case.repository.tag(case.session.name)
    if there not in (None, case.session.commit):
        yield (
            f"the tag {case.session.name} is at {str(there)[:12]}, not at {case.session.commit[:12]}",
            case.product.raise_it,
        )


@check
def version_rises(case: Case) -> Iterator[tuple[str, str]]:
    """The version is higher than every one that was released or tagged on the branch."""
    session, wanted = case.session, Version(case.session.version)
    earlier = {one.version for one in case.sessions.of_branch(session.branch) if one.publishing is not None}
    earlier |= set(case.repository.versions_tagged(session.branch)) - {session.version}
    known = sorted(filter(None, map(_version, earlier)))
    if known and wanted <= known[-1]:
        yield (
            f"{wanted} does not rise: {session.branch} has already {known[-1]}",
            f"{case.product.raise_it}, such as to {_next(known[-1])}",
        )


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except ValueError:  # a tag of somebody else's scheme
        return None


def _next(last: Version) -> str:
    if last.pre is not None and last.post is None:
        return f"{last.base_version}{last.pre[0]}{last.pre[1] + 1}"
    return f"{last.base_version}.post{(last.post or 0) + 1}"


@check
def same_sources_as_candidate(case: Case) -> Iterator[tuple[str, str]]:
    """A final version is built from the sources of the release candidate that it promotes."""
    if case.session.promotes is None:
        return
    candidate = case.repository.tag(case.session.promotes)
    if candidate is None:
        yield f"the tag {case.session.promotes} of the candidate is not here", "git fetch --tags"
        return
    changed = case.repository.changed_sources(candidate, case.session.commit)
    if changed:
        shown = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
        yield (
            f"{shown} changed since {case.session.promotes}: nobody has tested that",
            "release another candidate first, or the final version without promote",
        )


# ----------------------------------------------------------------------------------- signers, cells and index
@check
def signers_ready(case: Case) -> Iterator[tuple[str, str]]:
    """Enough signers have their keys here, and in force."""
    if not case.session.signed:
        return
    try:
        signing.ready(
            case.product.keyring(case.session.commit),
            case.signers,
            case.sessions.now(),
            Path(case.session.into),
        )
    except WheelmillError as error:
        yield error.message, f"{error.hint or 'see the message'}; or release without signatures: --unsigned"


@check
def identity_ready(case: Case) -> Iterator[tuple[str, str]]:
    """This job has an identity that signs, where one was asked for, and pages can link what it signs."""
    if not case.session.identity:
        return
    if not _is_secure(case.session.url):
        named = case.session.url or "none"
        yield (
            f"attestations are linked by a whole URL of https, and the index has {named}",
            "name the address of its simple/: --url https://pypi.example.org/simple/",
        )
    try:
        case.attestor()
    except WheelmillError as error:
        yield error.message, f"{error.hint or 'see the message'}; or release without: leave --identity out"


def _is_secure(url: str | None) -> bool:
    """Whether nobody between can change what is read from there; loopback has nobody between."""
    parts = urlsplit(url or "")
    return parts.scheme == "https" or parts.hostname in ("127.0.0.1", "::1", "localhost")


@check
def waivers_name_cells(case: Case) -> Iterator[tuple[str, str]]:
    """Every waiver is for a cell of the line."""
    keys = case.product.cells(case.session)
    for waiver in case.session.waivers:
        if not any(waiver.covers(key) for key in keys):
            yield f"the waiver {waiver.cells!r} is for no cell of the line", f"cells: {', '.join(keys)}"


@check
def cells_are_run(case: Case) -> Iterator[tuple[str, str]]:
    """Every cell is smoke-run here, or a waiver names who runs it."""
    branch = case.session.branch
    for key, reason in case.product.cannot_run(case.session).items():
        if case.session.waiver(key) is None:
            cell = "-".join(key.rsplit("/", 2)[1:])
            yield (
                f"{key} cannot be smoke-run here: {reason}",
                "release it from a machine that can, or name who runs it: "
                f"wheelmill release run {branch} --waive '{cell}=WHO:REASON'",
            )


@check
def index_is_ours(case: Case) -> Iterator[tuple[str, str]]:
    """The public index is not there yet, or is one that these releases were published to."""
    with suppress(OSError):  # the next check says why it cannot be looked at
        yield from public.foreign(Path(case.session.into), case.sessions)


@check
def index_can_be_written(case: Case) -> Iterator[tuple[str, str]]:
    """There is room for the public index, and this user may write it."""
    yield from place.unwritable(Path(case.session.into), case.sessions.store.root, _size_of_wheels(case))


def _size_of_wheels(case: Case) -> int:
    """Of the release itself where it has them, else of the last one of its line: about as many bytes."""
    known = [one for one in (*case.sessions.of_branch(case.session.branch), case.session) if one.files]
    return sum(file.size for file in known[-1].files if file.is_wheel) if known else 0
