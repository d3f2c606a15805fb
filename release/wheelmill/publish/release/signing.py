"""What a release folder gets from its signers: SBOM and provenance beside each wheel, sums, one statement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
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
    checked, wheels = session.facts["checked"], dict[str, WheelFacts]()
    for key, cell in session.facts["built"]["cells"].items():
        for made in cell["wheels"]:
            name = _released(session, made)
            known = wheels.get(name)
            if known is None or known.smoke is None:
                found = _of_wheel(key, cell, made, name)
                # A wheel of several cells is of none of them in particular.
                wheels[name] = found if known is None else replace(found, cell=None)
            else:
                wheels[name] = replace(known, cell=None)
    said = checked["said"]
    return ReleaseFacts(
        package=checked["package"],
        branch=session.branch,
        version=session.version,
        commit=session.commit,
        matrix=said["matrix"],
        wheels=wheels,
        tag=session.name,
        stage=said["stage"] or "",
        extra={"waiver": said["waiver"]} if said["waiver"] else {},
    )


def _of_wheel(key: str, cell: Mapping[str, Any], made: Mapping[str, Any], name: str) -> WheelFacts:
    smoke, waived = cell["smoke"], cell["waived"]
    reason = None if waived is None else f"{waived['who']} runs it: {waived['reason']}"
    if not made["companion"]:
        return WheelFacts(key, made["verdict"], smoke, reason)
    ran = smoke if smoke is not None and name in smoke.get("wheels", {}) else None
    if ran is None and reason is None:
        reason = f"it ran as {made['file']}, before it had a build number"
    return WheelFacts(None, made["verdict"], ran, None if ran is not None else reason)


def _released(session: Session, made: Mapping[str, Any]) -> str:
    """The name that a wheel is released under: a companion's perhaps with a build number."""
    return str(session.facts["staged"]["renamed"].get(made["file"], made["file"]))
