"""Which keys may sign what, and when: a reviewed file of public keys.

A key has a first and a last day, and may be revoked. A signature counts when its key was in force on the
day of the signature and is not revoked, so a release stays valid after its signer's key has run out, and
nothing that a revoked key signed is believed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from wheelmill.describe.model import KEYS
from wheelmill.limits import open_regular
from wheelmill.make.plan import canonical_json
from wheelmill.matrix.text import parse_plain
from wheelmill.publish.sign.errors import KeyringError

SCHEMA = 1
# root: which keys count for an index; release: what is in a release or an index; index: that it is today's.
ROLES = ("root", "release", "index")
FILE = Path(KEYS)
_MAX_BYTES = 1 << 20
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
_HEAD = """\
# The public keys of releases and indexes; `wheelmill keys` writes it. Review a change of it as a change of
# trust: who may sign here decides what users install. Private keys are never in the tree.
"""


@dataclass(frozen=True)
class Key:
    """An ed25519 public key, hex. `since` and `until` are its first and last day, UTC."""

    name: str
    public: str
    roles: tuple[str, ...]
    since: date
    until: date
    revoked: date | None = None
    reason: str | None = None

    @cached_property
    def id(self) -> str:
        """What signatures call it, hex: the SHA-256 that TUF and securesystemslib give such a key."""
        words = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": self.public}}
        return hashlib.sha256(canonical_json(words).encode()).hexdigest()

    def fault(self, day: date) -> str | None:
        """Why a signature of that day does not count; None when it does."""
        if self.revoked is not None:
            return f"revoked on {self.revoked} ({self.reason})"
        if day < self.since:
            return f"valid from {self.since} only"
        return f"expired on {self.until}" if day > self.until else None

    def to_json(self) -> dict[str, Any]:
        """As the file has it."""
        revoked = None if self.revoked is None else {"on": self.revoked.isoformat(), "reason": self.reason}
        return {
            "name": self.name,
            "id": self.id,
            "ed25519": self.public,
            "roles": list(self.roles),
            "from": self.since.isoformat(),
            "until": self.until.isoformat(),
            **({} if revoked is None else {"revoked": revoked}),
        }


@dataclass(frozen=True)
class Keyring:
    """The keys, and for each role how many of them have to sign."""

    path: Path
    keys: tuple[Key, ...] = ()
    thresholds: Mapping[str, int] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """One signer for each role, unless the file asks for more."""
        object.__setattr__(self, "thresholds", {**dict.fromkeys(ROLES, 1), **(self.thresholds or {})})

    @cached_property
    def _by_id(self) -> dict[str, Key]:
        return {key.id: key for key in self.keys}

    def find(self, key_id: str) -> Key | None:
        """The key that signatures call so."""
        return self._by_id.get(key_id)

    def named(self, name: str) -> Key:
        """The key of this name. Raises KeyringError naming those that there are."""
        for key in self.keys:
            if key.name == name:
                return key
        listed = ", ".join(key.name for key in self.keys) or "none"
        raise KeyringError(f"{self.path} has no key {name!r}", hint=f"its keys: {listed}")

    def in_force(self, role: str, day: date) -> tuple[Key, ...]:
        """The keys whose signatures of that day count for a role."""
        return tuple(key for key in self.keys if role in key.roles and key.fault(day) is None)

    def with_key(self, key: Key) -> Keyring:
        """With one key more. Raises KeyringError for a name or a key that is there."""
        if any(old.name == key.name or old.public == key.public for old in self.keys):
            raise KeyringError(
                f"{self.path} has a key {key.name!r} already",
                hint="names are never used twice, so that old signatures keep their meaning; "
                "take another one",
            )
        return replace(self, keys=(*self.keys, key))

    def with_changed(self, key: Key) -> Keyring:
        """With other dates or a revocation for the key of that name."""
        return replace(self, keys=tuple(key if old.name == key.name else old for old in self.keys))

    def render(self) -> str:
        """The text of the file."""
        data = {
            "schema": SCHEMA,
            "thresholds": dict(self.thresholds),
            "keys": [key.to_json() for key in self.keys],
        }
        return _HEAD + yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)


def load_keyring(path: Path) -> Keyring:
    """Read a keyring. Raises KeyringError naming everything that is wrong with it."""
    try:
        with open_regular(path) as stream:
            text = stream.read(_MAX_BYTES + 1)
        if len(text) > _MAX_BYTES:
            raise KeyringError(
                f"{path} has over {_MAX_BYTES} bytes", hint="name a keyring with --keyring FILE"
            )
        data = parse_plain(text)
    except OSError as error:
        raise KeyringError(
            f"the keyring {path} cannot be read: {error.strerror}",
            hint="name the project's keyring with --keyring FILE, or begin one: wheelmill keys new NAME",
        ) from None
    except ValueError as error:
        words = " ".join(str(error).split())
        raise KeyringError(f"{path} is no keyring: {words[:300]}", hint="restore it from git") from None
    faults = list(_faults(data))
    if faults:
        listed = "\n  ".join(faults)
        raise KeyringError(
            f"{path} is no keyring that can be trusted:\n  {listed}", hint="restore it from git"
        )
    return Keyring(path, tuple(_key(row) for row in data["keys"]), dict(data["thresholds"]))


def _key(row: Mapping[str, Any]) -> Key:
    revoked = row.get("revoked") or {}
    return Key(
        name=row["name"],
        public=row["ed25519"],
        roles=tuple(row["roles"]),
        since=_day(row["from"]),
        until=_day(row["until"]),
        revoked=_day(revoked["on"]) if revoked else None,
        reason=revoked.get("reason"),
    )


def _day(value: object) -> date:
    """A date as YAML reads it, with or without quotes."""
    return value if type(value) is date else date.fromisoformat(str(value))


def _faults(data: object) -> Iterator[str]:
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        yield f"it is not a mapping with schema: {SCHEMA}"
        return
    yield from _unknown(data, {"schema", "thresholds", "keys"}, "the file")
    thresholds, keys = data.get("thresholds"), data.get("keys")
    if not isinstance(thresholds, dict) or set(thresholds) != set(ROLES):
        yield f"thresholds names {', '.join(ROLES)} and nothing else"
    else:
        for role, number in thresholds.items():
            if type(number) is not int or number < 1:
                yield f"thresholds: {role} is {number!r}, it is to be 1 or more"
    if not isinstance(keys, list):
        yield "keys is not a list"
        return
    for place, row in enumerate(keys, 1):
        yield from (f"key {place}: {fault}" for fault in _key_faults(row))
    rows = [row for row in keys if isinstance(row, dict)]
    for field in ("name", "ed25519"):
        yield from (f"two keys have the {field} {value}" for value in _twice(str(r.get(field)) for r in rows))


def _key_faults(row: object) -> Iterator[str]:
    if not isinstance(row, dict):
        yield "is not a mapping"
        return
    yield from _unknown(row, {"name", "id", "ed25519", "roles", "from", "until", "revoked"}, "it")
    if not _NAME.fullmatch(str(row.get("name"))):
        yield f"name {row.get('name')!r} is not of small letters, digits, dots and hyphens"
    roles = row.get("roles")
    if not isinstance(roles, list) or not roles or not set(map(str, roles)) <= set(ROLES):
        yield f"roles are some of {', '.join(ROLES)}"
    if not re.fullmatch("[0-9a-f]{64}", str(row.get("ed25519"))):
        yield "ed25519 is not a public key of 64 hex digits"
        return
    try:
        since, until = _day(row.get("from")), _day(row.get("until"))
        if since > until:
            yield f"it ends on {until}, before it begins on {since}"
        revoked = row.get("revoked")
        if revoked is not None and (not isinstance(revoked, dict) or set(revoked) != {"on", "reason"}):
            yield "revoked has the date `on` and a `reason`"
            return
        found = _key({**row, "roles": list(map(str, roles)) if isinstance(roles, list) else []})
    except (ValueError, TypeError, KeyError) as error:
        yield f"its dates are written as 2026-11-28: {error}"
        return
    if row.get("id") != found.id:
        yield f"id is {row.get('id')}, its public key has {found.id}"


def _unknown(row: Mapping[str, Any], known: set[str], what: str) -> Iterator[str]:
    for name in sorted(set(map(str, row)) - known):
        yield f"{what} has an unknown field {name}"


def _twice(values: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            yield value
        seen.add(value)
