"""A release session as a value: in which state it is, what each step found, and what to do next. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, get_args

from packaging.version import Version

from wheelmill.errors import WheelmillError
from wheelmill.matrix.plain import PlainError, from_plain
from wheelmill.publish.release.facts import check as check_facts
from wheelmill.store.shapes import FileName, Sha256, Stamp

State = Literal[
    "planned",
    "checked",
    "tagged",
    "built",
    "staged",
    "verified",
    "sealed",
    "published",
    "announced",
]
STATES: tuple[State, ...] = get_args(State)
SCHEMA = 2
MAX_TEXT = 1000  # characters of a reason
MAX_DAYS = 3650

# The command that leads to each state; `run` and `resume` go through all of them.
COMMANDS: Mapping[State, str] = {
    "planned": "start",
    "checked": "check",
    "tagged": "build",
    "built": "build",
    "staged": "stage",
    "verified": "verify",
    "sealed": "seal",
    "published": "publish",
    "announced": "publish",
}


_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def _is_version(text: str) -> bool:
    try:
        return bool(Version(text))
    except ValueError:
        return False


class ReleaseError(WheelmillError):
    """A release that cannot go on; nothing was published by what was asked."""


@dataclass(frozen=True)
class Waiver:
    """A cell that is released without a smoke run here: who runs it instead, and why.

    `cells` is a pattern over `3.9-aarch64` or `BRANCH/3.9/aarch64`; `*-aarch64` is all of an architecture.
    """

    cells: str
    who: str
    reason: str

    @classmethod
    def parse(cls, text: str) -> Waiver:
        """Read `CELL=WHO:REASON`. Raises ReleaseError for anything else."""
        cells, equals, rest = text.partition("=")
        who, colon, reason = rest.partition(":")
        waiver = cls(cells.strip(), plain(who, "who runs it"), plain(reason, "the reason of a waiver"))
        if not (equals and colon and waiver.cells and waiver.who and waiver.reason):
            raise ReleaseError(
                f"{text!r} is not a waiver",
                hint="Write CELL=WHO:REASON, such as '*-aarch64=arm-farm@example.org:runs there'.",
            )
        return waiver

    def covers(self, key: str) -> bool:
        """Whether it is for the cell of this key, `BRANCH/3.9/aarch64`."""
        _, python, arch = key.rsplit("/", 2)
        return fnmatchcase(key, self.cells) or fnmatchcase(f"{python}-{arch}", self.cells)


@dataclass(frozen=True)
class File:
    """A file of a release. `kind` says what it is; `cell` is None for one of several cells.

    `size` is in bytes, `sha256` in hex.
    """

    name: FileName
    sha256: Sha256
    size: int
    kind: str
    cell: str | None = None

    @property
    def is_wheel(self) -> bool:
        """Whether installers are shown it."""
        return self.name.endswith(".whl")


@dataclass(frozen=True)
class Event:
    """Something that was done to a whole release, by whom it was asked for, and why."""

    at: Stamp
    who: str
    reason: str


@dataclass(frozen=True)
class Failure:
    """Where a step ended without a result: `status` repeats it until a later step succeeds."""

    state: State
    message: str
    hint: str | None
    at: Stamp


@dataclass(frozen=True)
class Session:
    """One try to release one version of one line. Times are UTC, in ISO 8601.

    `facts` has what each step found, by the state that it led to, as JSON. `publishing` is when the publish
    began: from then on the names of `files` are taken, whatever becomes of the session. `into` is the public
    index. `promotes` is the release, `BRANCH/VERSION`, that this one is the final version of. `signed` is
    False for one that was asked for without signatures, `emulation` for one whose cells of another
    architecture are not to be run. `identity` asks for attestations of the CI job that seals it, too. `url`
    is the address of the public index's simple/, where somebody has named it.
    """

    branch: FileName
    version: Annotated[FileName, _is_version]
    attempt: int
    state: State
    owner: str
    started: Stamp
    expires: Stamp
    commit: Annotated[str, _COMMIT.fullmatch]
    into: str
    engine: str
    base: str | None = None
    waivers: tuple[Waiver, ...] = ()
    promotes: str | None = None
    signed: bool = True
    emulation: bool = True
    identity: bool = False
    url: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    reached: Mapping[str, Stamp] = field(default_factory=dict)
    files: tuple[File, ...] = ()
    publishing: Stamp | None = None
    failure: Failure | None = None
    canceled: Event | None = None
    withdrawn: Event | None = None
    yanked: Event | None = None
    superseded_by: str | None = None

    @property
    def name(self) -> str:
        """`v2.1.0-5.0.rc3/2.1.0rc1`: the key in the journal, and the tag in git."""
        return f"{self.branch}/{self.version}"

    @property
    def address(self) -> str | None:
        """Where readers find the public index, with a slash at its end; None where nobody has said it."""
        return None if self.url is None else f"{self.url.rstrip('/').removesuffix('/simple')}/"

    @property
    def is_public(self) -> bool:
        """Whether the public index is to show it."""
        return self.has("published") and self.withdrawn is None

    @property
    def is_open(self) -> bool:
        """Whether there is something left to do: not canceled and not announced."""
        return self.canceled is None and self.state != "announced"

    @property
    def shown_state(self) -> str:
        """One word for people: the state, or what became of it since."""
        if self.canceled is not None:
            return "canceled"
        if self.withdrawn is not None:
            return "rolled back"
        if self.yanked is not None:
            return "yanked"
        return "superseded" if self.superseded_by is not None else self.state

    @property
    def next_state(self) -> State | None:
        """The state that the next step leads to; None at the end."""
        at = STATES.index(self.state) + 1
        return STATES[at] if at < len(STATES) else None

    def has(self, state: State) -> bool:
        """Whether it has come to this state or past it."""
        return STATES.index(self.state) >= STATES.index(state)

    def expired(self, now: datetime) -> bool:
        """Whether its time is over; what is published does not expire."""
        return not self.has("published") and now >= moment(self.expires)

    def waiver(self, key: str) -> Waiver | None:
        """The waiver for a cell."""
        return next((waiver for waiver in self.waivers if waiver.covers(key)), None)

    def advanced(self, state: State, now: datetime, facts: Mapping[str, Any], **more: Any) -> Session:
        """The same, one state on; `facts` is what the step found."""
        return replace(
            self,
            state=state,
            facts={**self.facts, state: dict(facts)},
            reached={**self.reached, state: stamp(now)},
            failure=None,
            **more,
        )

    def to_json(self) -> dict[str, Any]:
        """For the journal and for machines."""
        return {"schema": SCHEMA, **asdict(self)}


def from_json(data: Any) -> Session:
    """What `to_json` made. Raises ReleaseError for a record of another schema, and for what is no session."""
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:
        raise ReleaseError(
            f"a release was recorded by another wheelmill (schema {schema!r:.40}, this one reads {SCHEMA})",
            hint="use the wheelmill that began it",
        )
    try:
        session = from_plain(Session, {key: value for key, value in data.items() if key != "schema"})
        for state in STATES[1 : STATES.index(session.state) + 1]:
            if state not in session.reached:
                raise PlainError(f"it lacks the time of {state}")
            check_facts(state, session.facts.get(state))
    except PlainError as error:
        raise ReleaseError(
            f"the record of a release cannot be read: {error}",
            hint="It is in journal.jsonl of the state folder: restore that file, or use the wheelmill that "
            "began the release.",
        ) from None
    return session


def next_command(session: Session, now: datetime) -> str | None:
    """What to type next; None when there is nothing to do."""
    branch = session.branch
    if session.canceled is not None:
        return f"wheelmill release start {branch}"
    if session.withdrawn is not None:
        return f"wheelmill release publish {branch}   (or abort it)"
    if not session.is_open:
        return None
    if session.expired(now):
        return f"wheelmill release extend {branch}   (or abort it)"
    assert session.next_state is not None
    return f"wheelmill release {COMMANDS[session.next_state]} {branch}   (resume does all that is left)"


def stamp(now: datetime) -> str:
    """A moment as it is written: `2026-11-28T21:30:00Z`."""
    return now.astimezone(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def moment(text: str) -> datetime:
    """The moment that `stamp` wrote."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def plain(text: str, what: str) -> str:
    """Text that is kept and shown: in records, terminals, pages and feeds. Raises ReleaseError for any other.

    Control characters would change what a terminal shows and are forbidden in a feed.
    """
    found = text.strip()
    if len(found) > MAX_TEXT or not all(character.isprintable() for character in found):
        raise ReleaseError(
            f"{what} cannot be kept: {text[:80]!r}",
            hint=f"One line of at most {MAX_TEXT} characters, without control characters.",
        )
    return found


def later(text: str, days: float) -> str:
    """A written moment so many days later. Raises ReleaseError for more than ten years."""
    if not 0 < days <= MAX_DAYS:
        raise ReleaseError(f"a session cannot last {days:g} days", hint=f"Up to {MAX_DAYS} days.")
    return stamp(moment(text) + timedelta(days=days))
