"""What signing and verifying say when they refuse."""

from __future__ import annotations

from wheelmill.errors import WheelmillError


class SignError(WheelmillError):
    """Nothing was signed: a key, a file or a fact is not as it has to be."""


class KeyringError(WheelmillError):
    """A keyring that cannot be used, or a change of one that is refused."""


class VerifyError(WheelmillError):
    """What was verified is not what its signers released: what was expected, what was found, what to do."""

    def __init__(self, what: str, *, expected: str, found: str, hint: str) -> None:
        super().__init__(f"{what}: expected {expected}, found {found}", hint=hint)
        self.what, self.expected, self.found = what, expected, found
