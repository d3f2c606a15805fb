"""Whether an index is its signers' newest that is known here, and every file in it theirs. Fails closed.

python-tuf's client walks the metadata: root, timestamp, snapshot, targets, against what was trusted before.
Added to it: the keyring decides which root is believed and whose keys are revoked or over; metadata are
held to the one way they are written; and the tree has to be whole, with nothing beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelmill.limits import open_regular
from wheelmill.publish.index.pages import FILES
from wheelmill.publish.sign import contents, sums
from wheelmill.publish.sign.errors import VerifyError
from wheelmill.publish.sign.keyring import Keyring
from wheelmill.publish.sign.release import Verified
from wheelmill.publish.sign.root import METADATA, NAME, TUF_ROLES, to_bytes
from wheelmill.publish.sign.signers import public_key
from wheelmill.store import Lock
from wheelmill.store.errors import disk_errors

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata, Root

_TOP = ("timestamp", "snapshot", "targets")
_MAX_ROOTS = 256
_LIMITS = {"root": 512_000, "timestamp": 16_384, "snapshot": 2_000_000, "targets": 512_000}
_AGAIN = "get the index again; if that is what is published, tell its maintainers"
_SIGNATURE = re.compile("[0-9a-f]{128}")  # capital letters would do as well, and be other bytes


def verify_index(index: Path, keyring: Keyring, now: datetime, trusted_state: Path | None) -> Verified:
    """Check an index whole: its signed root, every page, and every wheel and side file that a page links.

    `trusted_state` is a folder that remembers the newest index seen, by name and first root: an older one is
    refused. It changes only after everything was found good; without it, only the expiry bounds how
    old an index can be. Raises VerifyError.
    """
    tree = index.resolve()
    home = tree / METADATA
    if not home.is_dir():
        raise VerifyError(
            str(index),
            expected=f"an index with {METADATA}/",
            found="no such folder",
            hint="name the folder that has simple/ and metadata/; an index that nobody signed cannot be "
            "verified",
        )
    files = _files(tree)
    roots = _read_roots(home)
    anchor = _anchor(roots, keyring, now)
    name = str(anchor.signed.unrecognized_fields.get(NAME, ""))
    first = hashlib.sha256(to_bytes(roots[1])).hexdigest()[:16]  # two indexes may have one name
    with _state(trusted_state, name, first) as state:
        said = _walk(home, state, to_bytes(anchor), now)
        _same_metadata(home, said, roots)
        _judge_keys(said, keyring, now)
        pages = contents.check_tree(tree, files, said.targets, set(roots))
        wheels, beside = contents.check_wheels(tree, pages)
        state.keep(said.data)
    return Verified(
        kind="index",
        path=index,
        files=len(files) + len(wheels) + beside,
        signers=said.signers(keyring),
        on=datetime.fromtimestamp(said.version, timezone.utc),
        facts={"name": name, "version": said.version, "root": max(roots), "expires": said.expires},
        wheels=wheels,
    )


# -------------------------------------------------------------------------------------------------- reading
def _files(tree: Path) -> dict[str, int]:
    """Path -> size of all that is in the tree but its wheels."""

    def refuse(path: str, what: str) -> VerifyError:
        return VerifyError(path, expected="a regular file", found=what, hint=_AGAIN)

    try:
        return sums.list_files(tree, refuse, leave_out=FILES)
    except OSError as error:
        raise VerifyError(
            str(tree), expected="an index that can be read", found=str(error.strerror), hint=_AGAIN
        ) from None


def _load(home: Path, file: str, role: str) -> tuple[bytes, Metadata[Any]]:
    """A file of metadata, held to its size and to the one way that it is written."""
    from tuf.api.exceptions import RepositoryError
    from tuf.api.metadata import Metadata

    what = f"{METADATA}/{file}"
    try:
        with open_regular(home / file) as stream:
            data = stream.read(_LIMITS[role] + 1)
        if len(data) > _LIMITS[role]:
            raise VerifyError(
                what, expected=f"at most {_LIMITS[role]} bytes", found="more than that", hint=_AGAIN
            )
        found: Metadata[Any] = Metadata.from_bytes(data)
        written, kind = to_bytes(found), found.signed.type
    except OSError as error:
        raise VerifyError(what, expected="signed metadata", found=str(error.strerror), hint=_AGAIN) from None
    except (RepositoryError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise VerifyError(what, expected="signed metadata", found="something else", hint=_AGAIN) from None
    plain = all(_SIGNATURE.fullmatch(signature.signature) for signature in found.signatures.values())
    if written != data or kind != role or not plain:
        raise VerifyError(
            what, expected=f"metadata of the {role}", found=f"{kind}, written in another way", hint=_AGAIN
        )
    return data, found


def _read_roots(home: Path) -> dict[int, Metadata[Root]]:
    """All roots from the first on, without a hole."""
    roots: dict[int, Metadata[Root]] = {}
    numbered = [path.name for path in home.glob("*.root.json") if path.name.split(".")[0].isdigit()]
    for version in range(1, len(numbered) + 1):
        if version > _MAX_ROOTS:
            break
        _, roots[version] = _load(home, f"{version}.root.json", "root")
        if roots[version].signed.version != version:
            raise VerifyError(
                f"{METADATA}/{version}.root.json",
                expected=f"version {version}",
                found=f"version {roots[version].signed.version}",
                hint=_AGAIN,
            )
    if not roots:
        raise VerifyError(f"{METADATA}/1.root.json", expected="a root", found="none", hint=_AGAIN)
    return roots


def _anchor(roots: Mapping[int, Metadata[Root]], keyring: Keyring, now: datetime) -> Metadata[Root]:
    """The newest root that enough root keys of the keyring signed: what all trust begins with."""
    from tuf.api.exceptions import RepositoryError
    from tuf.api.metadata import Role
    from tuf.api.metadata import Root as TufRoot

    able = {key.id: public_key(key) for key in keyring.in_force("root", now.date())}
    roles = {role: Role([], 1) for role in TUF_ROLES}
    roles["root"] = Role(list(able), keyring.thresholds["root"])
    delegator = TufRoot(version=1, keys=dict(able), roles=roles)
    for version in sorted(roots, reverse=True):
        with contextlib.suppress(RepositoryError):
            found = roots[version]
            delegator.verify_delegate("root", found.signed_bytes, found.signatures)
            return found
    raise VerifyError(
        f"{METADATA}/{max(roots)}.root.json",
        expected=f"signatures of {keyring.thresholds['root']} root key(s) in force of {keyring.path}",
        found=_found_signers(roots[max(roots)], keyring, now),
        hint="get the project's newest keyring from a place that you trust, and name it with "
        "--keyring; if it is "
        "the newest one, do not use this index",
    )


def _found_signers(root: Metadata[Root], keyring: Keyring, now: datetime) -> str:
    words = []
    for key_id in root.signatures:
        key = keyring.find(key_id)
        fault = None if key is None else key.fault(now.date())
        words.append(
            f"the unknown key {key_id[:16]}" if key is None else f"{key.name}, {fault or 'not for roots'}"
        )
    return "; ".join(words) or "none"


# ---------------------------------------------------------------------------------------------- TUF's client
@dataclass(frozen=True)
class _Said:
    """The metadata that the client came to trust, by role; `root` is the last one."""

    data: Mapping[str, bytes]
    signed: Mapping[str, Metadata[Any]]

    @property
    def targets(self) -> dict[str, tuple[int, str]]:
        """Path -> size and SHA-256: the manifest, and the roots."""
        listed = self.signed["targets"].signed.targets
        return {path: (target.length, target.hashes["sha256"]) for path, target in listed.items()}

    @property
    def version(self) -> int:
        """Of the timestamp: seconds since 1970, as a rule."""
        return int(self.signed["timestamp"].signed.version)

    @property
    def expires(self) -> str:
        """When clients begin to refuse it."""
        return str(self.signed["timestamp"].signed.expires.strftime("%Y-%m-%dT%H:%M:%SZ"))

    def signers(self, keyring: Keyring) -> tuple[str, ...]:
        """Names, or IDs of keys that a newer root brought."""
        root = self.signed["root"].signed
        ids = {key_id for made in self.signed.values() for key_id in made.signatures if key_id in root.keys}
        known = {key_id: keyring.find(key_id) for key_id in ids}
        return tuple(sorted(key_id[:16] if key is None else key.name for key_id, key in known.items()))


def _walk(home: Path, state: _State, anchor: bytes, now: datetime) -> _Said:
    """TUF's client workflow on the files of the index, as of `now`."""
    from tuf.api.exceptions import DownloadError, RepositoryError
    from tuf.api.metadata import Metadata
    from tuf.ngclient import Updater, UpdaterConfig

    config = UpdaterConfig(
        max_root_rotations=_MAX_ROOTS,
        root_max_length=_LIMITS["root"],
        timestamp_max_length=_LIMITS["timestamp"],
        snapshot_max_length=_LIMITS["snapshot"],
        targets_max_length=_LIMITS["targets"],
    )
    try:
        updater = Updater(str(state.work), "index:/", fetcher=_fetcher(home), config=config, bootstrap=anchor)
        updater._trusted_set.reference_time = now  # there is no other way to say which day it is
        updater.refresh()
    except (RepositoryError, DownloadError) as error:
        raise _refusal(error, state, now) from None
    data = {role: (state.work / f"{role}.json").read_bytes() for role in ("root", *_TOP)}
    return _Said(data, {role: Metadata.from_bytes(content) for role, content in data.items()})


def _fetcher(home: Path) -> Any:
    """Hands the client the files of a folder."""
    from tuf.api.exceptions import DownloadHTTPError
    from tuf.ngclient import FetcherInterface

    class FromFolder(FetcherInterface):
        def _fetch(self, url: str) -> Iterator[bytes]:
            path = home / url.removeprefix("index:/").lstrip("/")
            if not path.is_file():
                raise DownloadHTTPError(f"there is no {METADATA}/{path.name}", 404)
            return _blocks(path)

    return FromFolder()


def _blocks(path: Path) -> Iterator[bytes]:
    with open_regular(path) as stream:
        while block := stream.read(1 << 16):
            yield block


def _refusal(error: Exception, state: _State, now: datetime) -> VerifyError:
    """The client's words, with what they mean for a user."""
    from tuf.api import exceptions as tuf

    words = str(error)
    if isinstance(error, tuf.ExpiredMetadataError):
        return VerifyError(
            f"{METADATA}/",
            expected=f"an index that is good on {now:%Y-%m-%d %H:%M}",
            found=f"an expired one ({words})",
            hint="get the index again: someone may be keeping newer releases from you. If it is "
            "the newest, its "
            "maintainers have to sign it again",
        )
    if isinstance(error, tuf.BadVersionNumberError):
        return VerifyError(
            f"{METADATA}/",
            expected=f"the index that {state.folder or 'this check'} knows of, or a newer one",
            found=f"an older one or parts of two ({words})",
            hint="get the index again; an older one is refused, because it may lack a fix",
        )
    return VerifyError(f"{METADATA}/", expected="metadata that fit together", found=words, hint=_AGAIN)


def _same_metadata(home: Path, said: _Said, roots: Mapping[int, Metadata[Root]]) -> None:
    """What the client trusts is, to the byte, what lies in the index."""
    newest = int(said.signed["root"].signed.version)
    if newest != max(roots):
        raise VerifyError(
            f"{METADATA}/{max(roots)}.root.json",
            expected=f"root {newest} as the last",
            found=f"root {max(roots)}",
            hint=_AGAIN,
        )
    for role in _TOP:
        data, _ = _load(home, f"{role}.json", role)
        if data != said.data[role]:
            raise VerifyError(
                f"{METADATA}/{role}.json",
                expected="what was signed last",
                found="other metadata of the same version",
                hint=_AGAIN,
            )


def _judge_keys(said: _Said, keyring: Keyring, now: datetime) -> None:
    """Every signature is good, by a key of its role, and by none that the keyring knows as revoked or over.

    The client takes what is enough; here each one counts, so that no byte of them can be changed.
    """
    from securesystemslib.exceptions import UnverifiedSignatureError

    root: Root = said.signed["root"].signed
    for role, made in said.signed.items():
        allowed = root.roles[role].keyids
        for key_id, signature in made.signatures.items():
            if key_id not in allowed and role == "root":
                continue  # a key of the root before, which hands over; the file is a target
            key, what = keyring.find(key_id), f"{METADATA}/{role}.json"
            fault = None if key is None else key.fault(now.date())
            if key_id not in allowed or fault is not None:
                raise VerifyError(
                    what,
                    expected=f"keys in force on {now.date()} with the role {TUF_ROLES[role]}",
                    found=f"{key_id[:16] if key is None else key.name}, {fault or 'which has not that role'}",
                    hint="do not use this index; its maintainers have to sign it again with keys in force",
                )
            try:
                root.keys[key_id].verify_signature(signature, made.signed_bytes)
            except UnverifiedSignatureError:
                raise VerifyError(
                    what,
                    expected="good signatures only",
                    found=f"one of {key_id[:16]} that is not",
                    hint=_AGAIN,
                ) from None


# ---------------------------------------------------------------------------------------------------- memory
@dataclass(frozen=True)
class _State:
    """What was trusted last, in a folder of its own to work in; `folder` is where it is kept."""

    work: Path
    folder: Path | None

    def keep(self, data: Mapping[str, bytes]) -> None:
        """Remember it: timestamp and snapshot are what an older index is told by."""
        if self.folder is None:
            return
        with disk_errors("remember the index in", self.folder):
            history = self.work / "root_history"
            (self.folder / "root_history").mkdir(parents=True, exist_ok=True)
            for path in history.iterdir():
                _replace(self.folder / "root_history" / path.name, path.read_bytes())
            for role in ("snapshot", "timestamp"):
                _replace(self.folder / f"{role}.json", data[role])


def _replace(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_bytes(data)
    part.replace(path)


@contextlib.contextmanager
def _state(folder: Path | None, name: str, first: str) -> Iterator[_State]:
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wheelmill-verify-")))
        if folder is None:
            yield _State(work, None)
            return
        if not sums.is_plain(name) or "/" in name:
            raise VerifyError(
                f"{METADATA}/", expected="an index with a name", found=f"the name {name!r}", hint=_AGAIN
            )
        kept = folder / f"{name}-{first}"
        stack.enter_context(Lock(folder / f"{kept.name}.lock"))
        with disk_errors("read", kept):
            if kept.is_dir():
                shutil.copytree(kept, work, dirs_exist_ok=True)
        yield _State(work, kept)
