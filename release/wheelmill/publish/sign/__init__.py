"""What lets a user check a release without trusting who handed it on: checksums, provenance, signatures.

A release carries SHA256SUMS, an SBOM and a signed provenance for each wheel, and a signed statement over
all of it (`attest`); an index has a signed root with a version and an expiry (`sign_root`). Both are
written into a tree that nobody sees yet. `verify_release`, `verify_wheel` and `verify_index` refuse by
default.

Everything is imported on first use: cryptography and python-tuf are heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelmill.publish.lazy import attributes

if TYPE_CHECKING:
    from wheelmill.publish.sign.attesting import attest, attest_release, attest_wheels
    from wheelmill.publish.sign.errors import KeyringError, SignError, VerifyError
    from wheelmill.publish.sign.keyring import Key, Keyring, load_keyring
    from wheelmill.publish.sign.release import Verified, verify_release, verify_wheel
    from wheelmill.publish.sign.root import sign_root
    from wheelmill.publish.sign.signers import Signers, load_signers
    from wheelmill.publish.sign.statements import ReleaseFacts, WheelFacts
    from wheelmill.publish.sign.trust import verify_index

__all__ = [
    "Key",
    "Keyring",
    "KeyringError",
    "ReleaseFacts",
    "SignError",
    "Signers",
    "Verified",
    "VerifyError",
    "WheelFacts",
    "attest",
    "attest_release",
    "attest_wheels",
    "load_keyring",
    "load_signers",
    "sign_root",
    "verify_index",
    "verify_release",
    "verify_wheel",
]

_HOMES = {
    "attest": "attesting",
    "attest_release": "attesting",
    "attest_wheels": "attesting",
    "KeyringError": "errors",
    "SignError": "errors",
    "VerifyError": "errors",
    "Key": "keyring",
    "Keyring": "keyring",
    "load_keyring": "keyring",
    "Verified": "release",
    "verify_release": "release",
    "verify_wheel": "release",
    "sign_root": "root",
    "Signers": "signers",
    "load_signers": "signers",
    "ReleaseFacts": "statements",
    "WheelFacts": "statements",
    "verify_index": "trust",
}

__getattr__ = attributes(__name__, _HOMES)
