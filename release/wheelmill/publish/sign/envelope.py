"""in-toto statements in DSSE envelopes, one JSON text per line, signed with ed25519.

Reading is strict: an envelope is written in one way only, every signature in it has to be good, and every
signer has to be in the keyring. So there is no byte of a line that can be changed without notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from wheelmill.limits import parse_json
from wheelmill.make.plan import canonical_json
from wheelmill.publish.sign.errors import VerifyError
from wheelmill.publish.sign.keyring import Keyring
from wheelmill.publish.sign.signers import Signers, public_key

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
SIGNED_ON = "wheelmill_signedOn"  # an extension field, named as in-toto asks: <vendor>_<name>
MAX_BYTES = 4 << 20  # of a file of envelopes
AGAIN = "download it again from the release; if that is what was published, tell its maintainers"


@dataclass(frozen=True)
class Signed:
    """A statement whose signatures were checked. `signers` are names of the keyring."""

    statement: Mapping[str, Any]
    signers: tuple[str, ...]
    on: datetime

    @property
    def type(self) -> str:
        """The predicate's type."""
        return str(self.statement["predicateType"])

    @property
    def predicate(self) -> Mapping[str, Any]:
        """What is said."""
        return dict(self.statement["predicate"])

    @property
    def subjects(self) -> dict[str, str]:
        """Name -> SHA-256, hex, of what it is said of."""
        return {item["name"]: item["digest"]["sha256"] for item in self.statement["subject"]}


def statement(kind: str, subjects: Mapping[str, str], predicate: Mapping[str, Any]) -> dict[str, Any]:
    """An in-toto Statement v1; `subjects` are file names with their SHA-256."""
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": subjects[name]}} for name in sorted(subjects)],
        "predicateType": kind,
        "predicate": dict(predicate),
    }


def sign(statements: Iterable[Mapping[str, Any]], signers: Signers, role: str, now: datetime) -> bytes:
    """The statements as lines, each signed by all who may. The same input gives the same bytes."""
    from securesystemslib.dsse import Envelope

    able = signers.of(role, now)
    lines = []
    for item in statements:
        said = {**item, "predicate": {**item["predicate"], SIGNED_ON: stamp(now)}}
        envelope = Envelope(canonical_json(said).encode(), PAYLOAD_TYPE, {})
        for signer in able:
            envelope.sign(signer)
        lines.append(_line(envelope))
    return b"".join(lines)


def read(data: bytes, what: str, keyring: Keyring, role: str, now: datetime) -> tuple[Signed, ...]:
    """Check every line of a file of envelopes. Raises VerifyError; `what` is the file's name."""
    lines = data.splitlines(keepends=True)
    if not lines or len(data) > MAX_BYTES:
        raise VerifyError(
            what, expected=f"statements of up to {MAX_BYTES} bytes", found=f"{len(data)} bytes", hint=AGAIN
        )
    return tuple(_check(line, what, keyring, role, now) for line in lines)


def stamp(moment: datetime) -> str:
    """2026-11-28T22:00:00Z"""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> datetime:
    """What `stamp` wrote; ValueError for any other spelling."""
    found = datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=timezone.utc)
    if stamp(found) != text:
        raise ValueError(text)
    return found


def _line(envelope: Any) -> bytes:
    """The one way to write an envelope."""
    data = envelope.to_dict()
    data["signatures"] = sorted(data["signatures"], key=lambda signature: str(signature["keyid"]))
    return canonical_json(data).encode() + b"\n"


def _check(line: bytes, what: str, keyring: Keyring, role: str, now: datetime) -> Signed:
    from securesystemslib.dsse import Envelope

    try:
        envelope = Envelope.from_dict(parse_json(line))
        again = _line(envelope)
        said = parse_json(envelope.payload)
        on = _moment(said["predicate"][SIGNED_ON])
        found = Signed(said, (), on)
        form = (said["_type"], envelope.payload_type, bool(found.subjects), found.type)
    except Exception as error:  # whatever a changed byte makes of it
        raise _malformed(what, f"a line that is none ({type(error).__name__})") from None
    if again != line:
        raise _malformed(what, "a line that is written in another way")
    if form[:3] != (STATEMENT, PAYLOAD_TYPE, True):
        raise _malformed(what, f"a {form[1]} of type {form[0]}")
    return Signed(said, _signers(envelope, found, what, keyring, role, now), found.on)


def _malformed(what: str, found: str) -> VerifyError:
    return VerifyError(what, expected="in-toto statements in DSSE envelopes", found=found, hint=AGAIN)


def _signers(
    envelope: Any, found: Signed, what: str, keyring: Keyring, role: str, now: datetime
) -> tuple[str, ...]:
    """The names of the signers: all of them have to be good, and enough."""
    from securesystemslib.exceptions import UnverifiedSignatureError

    if found.on > now:
        raise VerifyError(
            what,
            expected=f"a signature of {stamp(now)} or earlier",
            found=f"one of {stamp(found.on)}",
            hint="set this machine's clock, or name the day with --on; a signature of the future "
            "is not believed",
        )
    names = []
    for key_id, signature in envelope.signatures.items():
        key = keyring.find(key_id)
        if key is None or role not in key.roles:
            raise VerifyError(
                what,
                expected=f"signers with the role {role} of {keyring.path}",
                found=f"a signature of {'the unknown key' if key is None else key.name} {key_id[:16]}",
                hint="get the project's newest keyring from a place that you trust, and name it "
                "with --keyring",
            )
        fault = key.fault(found.on.date())
        if fault is not None:
            raise VerifyError(
                what,
                expected=f"a key in force on {found.on.date()}, when it was signed",
                found=f"{key.name}, which is {fault}",
                hint="do not install it; its maintainers have to sign it again with a key in force",
            )
        try:
            public_key(key).verify_signature(signature, envelope.pae())
        except UnverifiedSignatureError:
            raise VerifyError(
                what, expected=f"what {key.name} signed", found="a signature of something else", hint=AGAIN
            ) from None
        names.append(key.name)
    if len(names) < keyring.thresholds[role]:
        raise VerifyError(
            what,
            expected=f"{keyring.thresholds[role]} signers with the role {role}",
            found=f"{len(names)}",
            hint="do not install it; the others who release it have to sign it, too",
        )
    return tuple(sorted(names))
