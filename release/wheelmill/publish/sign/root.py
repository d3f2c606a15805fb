"""Signs an index as a TUF repository: root, timestamp, snapshot and targets, in `metadata/` of its tree.

The target is the index's manifest. It has the hash of every page, and pages have those of wheels and of what
lies beside them, so the size of an index costs nothing here. Older roots are targets, too.

The version of what is signed is the time in seconds since 1970, or one more than before: it rises without a
count that could get lost. Any TUF client can read it: plain file names, no consistent snapshots, because the
tree is switched whole.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from datetime import time as clock
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from wheelmill.limits import MAX_INDEX, parse_json, read_regular
from wheelmill.matrix.plain import from_plain
from wheelmill.publish.index.intact import MANIFEST
from wheelmill.publish.sign.errors import SignError
from wheelmill.publish.sign.keyring import Key, Keyring
from wheelmill.publish.sign.signers import Signers, public_key
from wheelmill.store.errors import disk_errors

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner
    from tuf.api.metadata import Metadata, Root

    from wheelmill.publish.index.tree import Seal

METADATA = "metadata"
_BEHIND = 8 * 86_400  # seconds that a publish which was interrupted, and began before another, may be behind
NAME = "wheelmill_index"  # the field of the root that says which index it is
# Our role of a key for each role of TUF.
TUF_ROLES = {"root": "root", "targets": "release", "snapshot": "index", "timestamp": "index"}


def sign_root(
    signers: Signers,
    now: datetime,
    expires: datetime,
    *,
    previous: Path | None = None,
    name: str = "wheelmill",
) -> Seal:
    """What `build_index` and `change_index` take as `seal`: it signs the manifest before the tree is shown.

    `previous` is the index shown so far: its root is continued, and its versions are risen above. `name`
    tells one index from another of the same signers. `expires` is when clients begin to refuse the index as
    stale: sign it again before. The same manifest keeps its signatures while half of their time is left.

    Raises SignError: too few signers, an expiry that is over, or a clock behind that of `previous`. What
    cannot be signed today is told here, before an index is made.
    """
    if expires <= now:
        raise SignError(f"the index would expire on {expires}, and it is {now}", hint="give a later day")
    for role in ("release", "index"):
        signers.of(role, now)
    shown = _Before.read(previous)
    shown.next_version(now)
    _roots(signers, now, shown, name)  # asks for root keys only where the root changes: they may be away

    def seal(manifest: bytes) -> Mapping[str, bytes]:
        before = _Before.read(previous)
        roots = _roots(signers, now, before, name)
        targets = {MANIFEST: manifest, **_under(roots)}
        made = {**roots, **_rest(targets, signers, before.times(now, expires))}
        if made != before.files:
            made = {**roots, **_rest(targets, signers, _Times(now, expires, before.next_version(now)))}
        return _under(made)

    return seal


def is_signed_by(keyring: Keyring, index: Path, now: datetime) -> bool:
    """Whether an index is signed as this keyring wants it today; no private key is needed to ask.

    Not where its root names other keys or dates, nor where a signature is of a key that is not in force.
    """
    before = _Before.read(index)
    last = before.signed(f"{max(before.roots, default=0)}.root.json")
    wanted = _root(keyring, now, int(last.get("version", 1)), str(last.get(NAME, "")))
    return last == _as_json(wanted) and all(
        _signer_ids(before, role) <= {key.id for key in keyring.in_force(ours, now.date())}
        for role, ours in TUF_ROLES.items()
        if role != "root"
    )


def _signer_ids(before: _Before, role: str) -> set[str]:
    try:
        return {one["keyid"] for one in parse_json(before.files[f"{role}.json"])["signatures"]}
    except (ValueError, LookupError, TypeError):
        return set()


def _under(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{METADATA}/{name}": data for name, data in files.items()}


@dataclass(frozen=True)
class _Times:
    now: datetime
    expires: datetime
    version: int


_TIME = "%Y-%m-%dT%H:%M:%SZ"


def _is_day(text: str) -> bool:
    try:
        return bool(datetime.strptime(text, _TIME))
    except ValueError:
        return False


class _Signed(TypedDict):
    version: int
    expires: Annotated[str, _is_day]


class _File(TypedDict):
    """What is read of a file of signed metadata."""

    signed: _Signed


@dataclass(frozen=True)
class _Before:
    """The metadata of the index shown so far, by file name."""

    files: Mapping[str, bytes]

    @classmethod
    def read(cls, previous: Path | None) -> _Before:
        home = None if previous is None else previous / METADATA
        if home is None or not home.is_dir():
            return cls({})
        with disk_errors("read", home):
            return cls(
                {
                    path.name: read_regular(path, MAX_INDEX)
                    for path in home.iterdir()
                    if path.suffix == ".json"
                }
            )

    @property
    def roots(self) -> dict[int, bytes]:
        """Version -> root, oldest first."""
        numbered = {int(name.split(".")[0]): data for name, data in self.files.items() if _is_root(name)}
        for version, data in numbered.items():
            if not _is_whole_root(data, version):
                raise SignError(
                    f"{METADATA}/{version}.root.json of the index shown is damaged; users follow from root "
                    "to root",
                    hint="put it back from a copy of the index; where there is none, take the index away and "
                    "begin a new one",
                )
        return dict(sorted(numbered.items()))

    def signed(self, name: str) -> dict[str, Any]:
        """The signed part of one of its files; {} where it is not there or damaged."""
        try:
            return dict(from_plain(_File, parse_json(self.files[name]))["signed"])
        except (ValueError, LookupError):
            return {}

    def times(self, now: datetime, expires: datetime) -> _Times:
        """Those that it was signed with; the new ones where it was not, or little of its time is left."""
        signed = self.signed("timestamp.json")
        if signed:
            ends = datetime.strptime(signed["expires"], _TIME).replace(tzinfo=timezone.utc)
            if ends - now > (expires - now) / 2:
                return _Times(now, ends, int(signed["version"]))
        return _Times(now, expires, self.next_version(now))

    def next_version(self, now: datetime) -> int:
        """Above all that was signed, and the time where that is above."""
        roles = ("timestamp", "snapshot", "targets")
        last = max(int(self.signed(f"{role}.json").get("version", 0)) for role in roles)
        seconds = int(now.timestamp())
        if last > seconds + _BEHIND:
            shown = datetime.fromtimestamp(last, timezone.utc)
            raise SignError(
                f"the clock runs backwards: the index shown was signed on "
                f"{shown:%Y-%m-%d %H:%M}, and it is {now}",
                hint="set this machine's clock; clients refuse an index that is older than what they saw",
            )
        return max(seconds, last + 1)


def _is_whole_root(data: bytes, version: int) -> bool:
    """Whether a root is of that version, signed by its own keys, and written as here."""
    from tuf.api.exceptions import RepositoryError
    from tuf.api.metadata import Metadata, Root

    try:
        found = Metadata[Root].from_bytes(data)
        found.signed.verify_delegate("root", found.signed_bytes, found.signatures)
        return found.signed.version == version and to_bytes(found) == data
    except (RepositoryError, ValueError, LookupError, TypeError, AttributeError):
        return False


def _is_root(name: str) -> bool:
    return re.fullmatch(r"[1-9][0-9]{0,8}\.root\.json", name, re.ASCII) is not None


# --------------------------------------------------------------------------------------------------- the root
def _roots(signers: Signers, now: datetime, before: _Before, name: str) -> dict[str, bytes]:
    """All roots so far, and a new one where the keys or their dates are others."""
    roots = before.roots
    last = roots.get(max(roots, default=0))
    wanted = _root(signers.keyring, now, max(roots, default=1), name)
    if last is None or parse_json(last)["signed"] != _as_json(wanted):
        wanted.version = max(roots, default=0) + 1
        roots[wanted.version] = _sign_new_root(wanted, last, signers, now)
    return {f"{version}.root.json": data for version, data in roots.items()}


def _as_json(signed: Any) -> dict[str, Any]:
    return dict(parse_json(json.dumps(signed.to_dict())))


def _root(keyring: Keyring, now: datetime, version: int, name: str) -> Root:
    """The keys in force, with the thresholds; it expires with the last of its own."""
    from tuf.api.metadata import Role, Root

    roles, keys = {}, {}
    for role, ours in TUF_ROLES.items():
        able = keyring.in_force(ours, now.date())
        keys.update({key.id: public_key(key) for key in able})
        roles[role] = Role([key.id for key in able], keyring.thresholds[ours])
    return Root(
        version=version,
        expires=_end(keyring.in_force("root", now.date()), now),
        keys=dict(keys),
        roles=roles,
        consistent_snapshot=False,
        unrecognized_fields={NAME: name},
    )


def _end(keys: tuple[Key, ...], now: datetime) -> datetime:
    """The end of the last day of these keys."""
    last = max((key.until for key in keys), default=now.date())
    return datetime.combine(min(last, date(9998, 12, 31)), clock(), timezone.utc) + timedelta(days=1)


def _sign_new_root(wanted: Root, last: bytes | None, signers: Signers, now: datetime) -> bytes:
    """By the keys of the new root and those of the last one, so that clients can follow from there.

    Where too few of the last root's keys are here, that has to be because they are revoked or ran out:
    clients then need the new keyring.
    """
    from tuf.api.metadata import Metadata, Root

    able = {signer.public_key.keyid: signer for signer in signers.of("root", now)}
    if last is not None:
        old = Metadata[Root].from_bytes(last).signed.roles["root"]
        held = {key_id for key_id in old.keyids if key_id in signers.held}
        gone = {key_id for key_id in old.keyids if _is_gone(signers.keyring.find(key_id), now)}
        if len(held) < old.threshold and len(held | gone) < len(old.keyids):
            absent = [key_id[:16] for key_id in old.keyids if key_id not in held | gone]
            raise SignError(
                f"the index's root is to change, and {old.threshold} of its present keys have to sign that; "
                f"not here: {', '.join(absent)}",
                hint="sign where the private key is; or revoke the key if it is lost",
            )
        able.update({key_id: signers.held[key_id] for key_id in held})
    return _signed(wanted, able.values())


def _is_gone(key: Key | None, now: datetime) -> bool:
    return key is None or key.fault(now.date()) is not None


def _signed(signed: Any, able: Iterable[CryptoSigner]) -> bytes:
    from tuf.api.metadata import Metadata

    made: Metadata[Any] = Metadata(signed)
    for signer in sorted(able, key=lambda signer: signer.public_key.keyid):
        made.sign(signer, append=True)
    return to_bytes(made)


def to_bytes(made: Metadata[Any]) -> bytes:
    """The one way that metadata is written: verifying compares with it."""
    from tuf.api.serialization.json import JSONSerializer

    return bytes(made.to_bytes(JSONSerializer(compact=True)))


# --------------------------------------------------------------------------- targets, snapshot and timestamp
def _rest(targets: Mapping[str, bytes], signers: Signers, times: _Times) -> dict[str, bytes]:
    """The other three: what is in the index, and that it is today's."""
    from tuf.api.metadata import MetaFile, Snapshot, TargetFile, Targets, Timestamp

    release, index = signers.of("release", times.now), signers.of("index", times.now)
    listed = {path: TargetFile(len(data), {"sha256": _sha256(data)}, path) for path, data in targets.items()}
    end = _end(signers.keyring.in_force("release", times.now.date()), times.now)
    signed = _signed(Targets(version=times.version, expires=end, targets=listed), release)

    def meta(data: bytes) -> MetaFile:
        return MetaFile(times.version, len(data), {"sha256": _sha256(data)})

    head: dict[str, Any] = {"version": times.version, "expires": times.expires}
    snapshot = _signed(Snapshot(**head, meta={"targets.json": meta(signed)}), index)
    timestamp = _signed(Timestamp(**head, snapshot_meta=meta(snapshot)), index)
    return {"targets.json": signed, "snapshot.json": snapshot, "timestamp.json": timestamp}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
