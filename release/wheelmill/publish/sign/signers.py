"""Private keys: where they lie, who may read them, and which of them sign today."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from wheelmill.limits import open_regular
from wheelmill.project import user_folder
from wheelmill.publish.sign.errors import SignError
from wheelmill.publish.sign.keyring import Key, Keyring

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, SSlibKey

FOLDER = "WHEELMILL_KEYS"  # the folder of key files
PASSPHRASE = "WHEELMILL_KEY_PASSPHRASE"  # of key files that are encrypted
_MAX_BYTES = 1 << 16


@dataclass(frozen=True)
class Signers:
    """The keyring, and the private keys of it that are here, by key ID."""

    keyring: Keyring
    held: Mapping[str, CryptoSigner]

    def of(self, role: str, now: datetime) -> tuple[CryptoSigner, ...]:
        """All that may sign for a role today. Raises SignError when they are fewer than have to."""
        keys, needed = self.keyring.in_force(role, now.date()), self.keyring.thresholds[role]
        found = tuple(self.held[key.id] for key in keys if key.id in self.held)
        if len(found) < needed:
            raise SignError(
                f"{needed} signer(s) are needed for the role {role} on {now.date()}, found {len(found)}: "
                + (self._why(role, now.date()) or f"{self.keyring.path} has no key with that role"),
                hint=self._hint(role),
            )
        return found

    def _hint(self, role: str) -> str:
        if not any(role in key.roles for key in self.keyring.keys):
            return "make a key, and commit the keyring: wheelmill keys new NAME"
        return (
            "put the private key's file into the key folder or its text into the variable named above; "
            "a key that ended is replaced with: wheelmill keys rotate NAME"
        )

    def _why(self, role: str, day: date) -> str:
        return "; ".join(
            f"{key.name} {key.fault(day) or self._where(key)}"
            for key in self.keyring.keys
            if role in key.roles
        )

    def _where(self, key: Key) -> str:
        return "is here" if key.id in self.held else f"is not here (${variable(key.name)}, {key.name}.pem)"


def variable(name: str) -> str:
    """The environment variable that may hold the private key of this name: `WHEELMILL_KEY_ALICE_2026`."""
    return "WHEELMILL_KEY_" + re.sub("[^A-Z0-9]", "_", name.upper())


def key_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """`$WHEELMILL_KEYS`, else wheelmill/keys in the user's configuration folder."""
    if environment.get(FOLDER):
        return user_folder(FOLDER, "", environment)
    return user_folder("XDG_CONFIG_HOME", "~/.config", environment) / "wheelmill" / "keys"


def load_signers(
    keyring: Keyring, *, folder: Path | None = None, environment: Mapping[str, str] = os.environ
) -> Signers:
    """The private keys of the keyring that this user has, from the environment and the key folder.

    Raises SignError for a key that others can read, that lies in a git checkout, or that is another one than
    the keyring's.
    """
    home = key_folder(environment) if folder is None else folder
    held = {}
    for key in keyring.keys:
        if key.revoked is not None:
            continue
        text, origin = environment.get(variable(key.name)), f"${variable(key.name)}"
        data = text.encode() if text else None
        if data is None and (home / f"{key.name}.pem").exists():
            origin = str(home / f"{key.name}.pem")
            data = read_private(home / f"{key.name}.pem")
        if data is not None:
            held[key.id] = _signer(data, key, origin, environment.get(PASSPHRASE))
    return Signers(keyring, held)


def read_private(path: Path) -> bytes:
    """The text of a private key's file, which nobody else may read. Raises SignError."""
    real = path.resolve()
    refuse_checkout(real)
    try:
        with open_regular(real) as stream:
            found = os.fstat(stream.fileno())
            if found.st_mode & 0o077 or found.st_uid not in (os.geteuid(), 0):
                raise SignError(
                    f"the private key {path} can be read by others (mode {found.st_mode & 0o777:04o})",
                    hint=f"chmod 600 {path}; if others had access to it: wheelmill keys rotate "
                    f"NAME --revoke REASON",
                )
            return stream.read(_MAX_BYTES)
    except OSError as error:
        raise SignError(f"the private key {path} cannot be read: {error.strerror}") from None


def refuse_checkout(path: Path) -> None:
    """Raise SignError for a place within a git checkout: what lies there is committed one day."""
    root = next((folder for folder in path.parents if (folder / ".git").exists()), None)
    if root is not None:
        raise SignError(
            f"{path} is in the git checkout {root}; a private key does not belong there",
            hint=f"set ${FOLDER} to a folder outside of it",
        )


def _signer(data: bytes, key: Key, origin: str, passphrase: str | None) -> CryptoSigner:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.exceptions import Error
    from securesystemslib.signer import CryptoSigner

    try:
        private = load_pem_private_key(data, None if passphrase is None else passphrase.encode())
        return CryptoSigner(private, public_key(key))
    except TypeError as error:  # a passphrase where none is needed, or none where one is
        raise SignError(f"{origin}: {error}", hint=f"set or unset ${PASSPHRASE}") from None
    except (ValueError, UnsupportedAlgorithm, Error) as error:
        raise SignError(
            f"{origin} is not the private key of {key.name} ({key.id[:16]}): {error}",
            hint="it has to be an ed25519 key in PKCS #8, as `wheelmill keys new` writes it",
        ) from None


def public_key(key: Key) -> SSlibKey:
    """The key as securesystemslib and python-tuf have it."""
    from securesystemslib.signer import SSlibKey

    return SSlibKey(key.id, "ed25519", "ed25519", {"public": key.public})
