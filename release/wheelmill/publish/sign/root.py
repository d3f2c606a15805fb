"""Signs an index as a TUF repository: root, timestamp, snapshot and targets, in `metadata/` of its tree.

Every file of the tree is a target. Many of them are spread over 256 bins (TUF's hash bin delegation), and a
bin whose files did not change keeps its signature, so that a release added to a large index signs a few
bins only.

The version of what is signed is the time in seconds since 1970, or one more than before: it rises without a
count that could get lost. Any TUF client can read it: plain file names, no consistent snapshots, because
the tree is switched whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from datetime import time as clock
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelmill.publish.sign import sums
from wheelmill.publish.sign.errors import SignError
from wheelmill.publish.sign.keyring import Key, Keyring
from wheelmill.publish.sign.signers import Signers, public_key
from wheelmill.store import digest_file
from wheelmill.store.errors import disk_errors

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner
    from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp

METADATA = "metadata"
NAME = "wheelmill_index"  # the field of the root that says which index it is
CONTENT = "wheelmill_content"  # the field of a snapshot's entry: what a bin was made of
MANY = 4096  # files from which on they are spread over bins
BITS = 8
_PREFIX = "bin"
# Our role of a key for each role of TUF.
TUF_ROLES = {"root": "root", "targets": "release", "snapshot": "index", "timestamp": "index"}

Digests = Mapping[str, tuple[int, str]]  # path -> size in bytes and SHA-256, hex


def sign_root(
    index: Path,
    signers: Signers,
    now: datetime,
    expires: datetime,
    *,
    previous: Path | None = None,
    digests: Digests | None = None,
    name: str = "wheelmill",
) -> tuple[Path, ...]:
    """Write `metadata/` into the tree of an index that nobody sees yet; the paths of what was written.

    `previous` is the tree shown so far (or its link): its root is continued, its versions are risen above,
    its unchanged bins are kept. `digests` has every file of the tree where the caller knows them; without
    it, they are hashed. `name` tells one index from another of the same signers. `expires` is when clients
    begin to refuse the index as stale: sign it again before.

    Raises SignError: too few signers, an expiry that is over, a clock behind that of `previous`, or a tree
    with a link or an odd name.
    """
    if expires <= now:
        raise SignError(f"the index would expire on {expires}, and it is {now}", hint="give a later day")
    before = _Before.read(previous)
    version = before.next_version(now)
    files = _files(index) if digests is None else dict(digests)
    _refuse_odd(files)
    home = index / METADATA
    with disk_errors("write", home):
        home.mkdir(exist_ok=True)
        paths = _write_roots(home, signers, now, before, name)
        for path in paths:  # targets, too: TUF's own check leaves room for other bytes in roots
            files[f"{METADATA}/{path.name}"] = (path.stat().st_size, str(digest_file(path)))
        paths += _write_rest(home, files, signers, _Times(now, expires, version), before)
        for path in paths:  # after all were written, which is one wait instead of many
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return tuple(paths)


@dataclass(frozen=True)
class _Times:
    now: datetime
    expires: datetime
    version: int


@dataclass(frozen=True)
class _Before:
    """The metadata of the tree shown so far: bytes by file name, and the folder that they lie in."""

    files: Mapping[str, bytes]
    home: Path = Path()

    @classmethod
    def read(cls, previous: Path | None) -> _Before:
        home = None if previous is None else previous / METADATA
        if home is None or not home.is_dir():
            return cls({})
        with disk_errors("read", home):
            files = {path.name: path.read_bytes() for path in home.iterdir() if path.suffix == ".json"}
        return cls(files, home)

    @property
    def roots(self) -> dict[int, bytes]:
        """Version -> root, oldest first."""
        numbered = {int(name.split(".")[0]): data for name, data in self.files.items() if _is_root(name)}
        return dict(sorted(numbered.items()))

    def signed(self, name: str) -> dict[str, Any]:
        """The signed part of one of its files; {} where it has none."""
        return dict(json.loads(self.files[name])["signed"]) if name in self.files else {}

    def next_version(self, now: datetime) -> int:
        """Above all that was signed, and the time where that is above."""
        last = max(self.signed(f"{role}.json").get("version", 0) for role in ("timestamp", "snapshot"))
        seconds = int(now.timestamp())
        if last > seconds + 3600:
            shown = datetime.fromtimestamp(last, timezone.utc)
            raise SignError(
                f"the clock runs backwards: the index shown was signed on "
                f"{shown:%Y-%m-%d %H:%M}, and it is {now}",
                hint="set this machine's clock; clients refuse an index that is older than what they saw",
            )
        return max(seconds, int(last) + 1)


def _is_root(name: str) -> bool:
    return name.endswith(".root.json") and name.split(".")[0].isdigit()


def _files(index: Path) -> dict[str, tuple[int, str]]:
    def refuse(path: str, what: str) -> SignError:
        return SignError(f"{index / path} is {what}", hint="an index holds regular files only")

    with disk_errors("read", index):
        found = sums.list_files(index, refuse)
        listed = {path: size for path, size in found.items() if not path.startswith(f"{METADATA}/")}
        return {path: (size, str(digest_file(index / path))) for path, size in listed.items()}


def _refuse_odd(files: Iterable[str]) -> None:
    odd = next((path for path in files if not sums.is_plain(path) or path.startswith(f"{METADATA}/")), None)
    if odd is not None:
        raise SignError(
            f"{odd!r} cannot be in a signed index",
            hint=f"letters, digits and . _ + - are fine; {METADATA}/ is for signatures",
        )


# --------------------------------------------------------------------------------------------------- the root
def _write_roots(home: Path, signers: Signers, now: datetime, before: _Before, name: str) -> list[Path]:
    """All roots so far, and a new one where the keys or their dates are others."""
    roots = before.roots
    last = roots.get(max(roots, default=0))
    wanted = _root(signers.keyring, now, max(roots, default=1), name)
    if last is None or json.loads(last)["signed"] != _as_json(wanted):
        wanted.version = max(roots, default=0) + 1
        roots[wanted.version] = _sign_new_root(wanted, last, signers, now)
    return [_write(home / f"{version}.root.json", data) for version, data in roots.items()]


def _as_json(signed: Any) -> dict[str, Any]:
    return dict(json.loads(json.dumps(signed.to_dict())))


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
def _write_rest(home: Path, files: Digests, signers: Signers, times: _Times, before: _Before) -> list[Path]:
    release, index = signers.of("release", times.now), signers.of("index", times.now)
    end = _end(signers.keyring.in_force("release", times.now.date()), times.now)
    old = before.signed("snapshot.json").get("meta", {})
    made: dict[str, tuple[bytes, int, str]] = {}  # file -> bytes, version, content
    kept = set()
    if len(files) > MANY or any(name.startswith(_PREFIX) for name in old):
        parts = _bins(files)
        made["targets.json"] = _targets({}, release, end, times.version, bins=True)
    else:
        parts = {}
        made["targets.json"] = _targets(files, release, end, times.version)
    ids = {signer.public_key.keyid for signer in release}
    for name, part in parts.items():
        content = _content(part, end, ids)
        if old.get(name, {}).get(CONTENT) == content and _is_whole(before.files.get(name), old[name]):
            made[name] = (before.files[name], int(old[name]["version"]), content)
            kept.add(name)
        else:
            made[name] = _targets(part, release, end, times.version, content=content)
    snapshot = _signed(_snapshot(made, times), index)
    timestamp = _signed(_timestamp(snapshot, times), index)
    for name in kept:
        _link(before.home / name, home / name, made[name][0])
    written = [_write(home / name, data) for name, (data, _, _) in sorted(made.items()) if name not in kept]
    return [*written, _write(home / "snapshot.json", snapshot), _write(home / "timestamp.json", timestamp)]


def _is_whole(data: bytes | None, meta: Mapping[str, Any]) -> bool:
    """Whether a bin is what its snapshot says of it: a damaged one is signed again."""
    return data is not None and hashlib.sha256(data).hexdigest() == meta["hashes"]["sha256"]


def _link(source: Path, target: Path, data: bytes) -> None:
    """A hard link to what is on disk already, or a copy where the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        target.unlink(missing_ok=True)
        with target.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())


def _bins(files: Digests) -> dict[str, Digests]:
    """The files of each bin, by TUF's rule: the first bits of the SHA-256 of the path."""
    names = [f"{_PREFIX}-{number:02x}.json" for number in range(1 << BITS)]
    parts: dict[str, dict[str, tuple[int, str]]] = {name: {} for name in names}
    for path, known in files.items():
        parts[names[hashlib.sha256(path.encode()).digest()[0]]][path] = known
    return dict(parts)


def _content(part: Digests, end: datetime, ids: Iterable[str]) -> str:
    """What a bin says and who signs it, as one hash: the same means that its old signature is good."""
    lines = [f"{part[path][1]} {part[path][0]} {path}\n" for path in sorted(part)]
    return hashlib.sha256("".join([end.isoformat(), *sorted(ids), "\n", *lines]).encode()).hexdigest()


def _targets(
    files: Digests,
    release: tuple[CryptoSigner, ...],
    end: datetime,
    version: int,
    *,
    bins: bool = False,
    content: str = "",
) -> tuple[bytes, int, str]:
    from tuf.api.metadata import Delegations, SuccinctRoles, TargetFile, Targets

    listed: dict[str, TargetFile] = {
        path: TargetFile(size, {"sha256": digest}, path) for path, (size, digest) in sorted(files.items())
    }
    delegated = None
    if bins:
        keys = {signer.public_key.keyid: signer.public_key for signer in release}
        delegated = Delegations(dict(keys), succinct_roles=SuccinctRoles(list(keys), 1, BITS, _PREFIX))
    signed: Targets = Targets(version=version, expires=end, targets=listed, delegations=delegated)
    return _signed(signed, release), version, content


def _snapshot(made: Mapping[str, tuple[bytes, int, str]], times: _Times) -> Snapshot:
    from tuf.api.metadata import MetaFile, Snapshot

    meta = {
        name: MetaFile(
            version,
            len(data),
            {"sha256": hashlib.sha256(data).hexdigest()},
            {CONTENT: content} if content else None,
        )
        for name, (data, version, content) in sorted(made.items())
    }
    return Snapshot(version=times.version, expires=times.expires, meta=meta)


def _timestamp(snapshot: bytes, times: _Times) -> Timestamp:
    from tuf.api.metadata import MetaFile, Timestamp

    digest = {"sha256": hashlib.sha256(snapshot).hexdigest()}
    described = MetaFile(times.version, len(snapshot), digest)
    return Timestamp(version=times.version, expires=times.expires, snapshot_meta=described)


def _write(path: Path, data: bytes) -> Path:
    path.unlink(missing_ok=True)  # it may be a link to a file of the tree before, left by a killed run
    path.write_bytes(data)
    return path
