"""New keys, and keys in the place of others: keyring and private file change together."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from wheelmill.publish.sign.errors import KeyringError, SignError
from wheelmill.publish.sign.keyring import Key, Keyring
from wheelmill.publish.sign.signers import PASSPHRASE, refuse_checkout
from wheelmill.store.errors import disk_errors


@dataclass(frozen=True)
class Made:
    """A keyring with a new key, and where its private key lies."""

    keyring: Keyring
    key: Key
    private: Path
    replaced: Key | None = None


def new_key(
    keyring: Keyring, name: str, roles: tuple[str, ...], since: date, until: date, folder: Path
) -> Made:
    """Make a key, write its private part into `folder` and the keyring to its file.

    Raises KeyringError for a name that is taken, SignError for a folder that is no place for private keys.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if since > until:
        raise KeyringError(f"a key from {since} until {until} is never in force", hint="give a later --until")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,63}", name):
        raise KeyringError(f"{name!r} is no name of a key", hint="small letters, digits, dots and hyphens")
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
    key = Key(name, public, roles, since, until)
    wider = keyring.with_key(key)  # before anything is written
    path = _write_private(private, folder / f"{name}.pem")
    write_keyring(wider)
    return Made(wider, key, path)


def rotate(
    keyring: Keyring,
    name: str,
    successor: str | None,
    today: date,
    until: date,
    folder: Path,
    *,
    overlap: timedelta,
    reason: str | None = None,
) -> Made:
    """Make a key with the roles of another, whose last day becomes today plus `overlap` if that is sooner.

    With a `reason` the old key is revoked today: nothing that it signed is believed any more.
    """
    old = keyring.named(name)
    if old.revoked is not None:
        raise KeyringError(
            f"{name} was revoked on {old.revoked}", hint="make a new key: wheelmill keys new NAME"
        )
    made = new_key(keyring, successor or _next_name(keyring, name), old.roles, today, until, folder)
    ended = (
        replace(old, revoked=today, reason=reason)
        if reason
        else replace(old, until=max(old.since, min(old.until, today + overlap)))
    )
    changed = made.keyring.with_changed(ended)
    write_keyring(changed)
    return replace(made, keyring=changed, replaced=ended)


def _next_name(keyring: Keyring, name: str) -> str:
    """alice -> alice-2 -> alice-3, the first that is free."""
    taken = {key.name for key in keyring.keys}
    stem, number = re.fullmatch(r"(.*?)(?:-(\d{1,3}))?", name).groups()  # type: ignore[union-attr]
    count = int(number or 1) + 1
    while f"{stem}-{count}" in taken:
        count += 1
    return f"{stem}-{count}"


def write_keyring(keyring: Keyring) -> None:
    """Write the file; it is the old one or the new one at any moment."""
    path = keyring.path
    with disk_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        with part.open("w", encoding="utf-8") as stream:
            stream.write(keyring.render())
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)


def _write_private(private: object, path: Path) -> Path:
    """The private key in PKCS #8, for its owner alone; encrypted where a passphrase is set."""
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    words = os.environ.get(PASSPHRASE)
    lock = BestAvailableEncryption(words.encode()) if words else NoEncryption()
    data = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)  # type: ignore[attr-defined]
    refuse_checkout(path.resolve())
    with disk_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise SignError(
                f"there is a private key {path} already", hint="take another name; a key is never overwritten"
            ) from None
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    return path
