"""What a release folder gets from its signers: SBOM and provenance beside each wheel, sums, one statement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from wheelmill.publish.release.session import Session, moment
from wheelmill.publish.sign import (
    Keyring,
    ReleaseFacts,
    Signers,
    WheelFacts,
    attest_release,
    attest_wheels,
    load_keyring,
    sign_root,
)

MakeSigners = Callable[[Keyring], Signers]


def ready(keyring: Path, make: MakeSigners, now: datetime, into: Path) -> None:
    """Raise KeyringError or SignError where the release, or the index `into`, could not be signed today.

    Root keys are needed only where the index has no root yet, or another one than the keyring says: the rest
    of the time they are kept elsewhere.
    """
    sign_root(make(load_keyring(keyring)), now, now + timedelta(days=1), previous=into)


def sign(
    folder: Path, session: Session, keyring: Path, make: MakeSigners, about: Callable[[], bytes]
) -> None:
    """Write what is signed into the folder; `about` gives release.json once all of its files are there.

    Signatures bear the time when the wheels were built, so that a killed run makes the same bytes.
    """
    signers, facts = make(load_keyring(keyring)), facts_of(session)
    when = moment(session.reached["built"])
    attest_wheels(folder, facts, signers, when)
    (folder / "release.json").write_bytes(about())
    attest_release(folder, facts, signers, when)


def facts_of(session: Session) -> ReleaseFacts:
    """What is signed of a release, from what its session recorded."""
    checked = session.facts["checked"]
    wheels: dict[str, WheelFacts] = {}
    for key, cell in session.facts["built"]["cells"].items():
        smoke, waived = cell["smoke"], cell["waived"]
        reason = None if waived is None else f"{waived['who']} runs it: {waived['reason']}"
        wheels[cell["adapter"]["file"]] = WheelFacts(key, cell["adapter"]["verdict"], smoke, reason)
        name, verdict = _released_simulator(session, cell["simulator"]), cell["simulator"]["verdict"]
        ran = smoke if smoke is not None and name in smoke.get("wheels", {}) else None
        known = wheels.get(name)
        if known is None or known.smoke is None:
            wheels[name] = WheelFacts(None, verdict, ran, None if ran is not None else _with(reason, cell))
    return ReleaseFacts(
        branch=session.branch,
        version=session.version,
        commit=session.commit,
        matrix=checked["matrix"],
        wheels=wheels,
        tag=session.name,
        stage=str(checked["stage"]),
        extra={"waiver": checked["waiver"]} if checked["waiver"] else {},
    )


def _released_simulator(session: Session, made: Mapping[str, Any]) -> str:
    """The name that the simulator's wheel is released under: perhaps with a build number."""
    return str(session.facts["staged"]["simulators"].get(made["file"], made["file"]))


def _with(reason: str | None, cell: Mapping[str, Any]) -> str:
    if reason is not None:
        return reason
    return f"it ran as {cell['simulator']['file']}, before it had a build number"
