"""The seam for identities that a CI vouches for (OIDC, Sigstore), beside keys of the keyring.

Nothing of it works offline, so it is a package of its own: an entry point in the group `wheelmill.attestors`
names a function that takes the environment and returns an Attestor. What it gives are PEP 740 provenance
objects, which an index links as `provenance`; key-based signatures can never be those.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from wheelmill.publish.index.pages import ATTESTATION
from wheelmill.publish.sign import pep740
from wheelmill.publish.sign.errors import SignError
from wheelmill.store import digest_file
from wheelmill.store.errors import disk_errors

GROUP = "wheelmill.attestors"
# What a CI sets where a job may ask for an identity: GitHub, GitLab, Google, Buildkite, CircleCI.
_AMBIENT = (
    *("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "SIGSTORE_ID_TOKEN", "GOOGLE_SERVICE_ACCOUNT_NAME"),
    *("BUILDKITE_AGENT_ACCESS_TOKEN", "CIRCLE_OIDC_TOKEN_V2"),
)


class Attestor(Protocol):
    """An identity that signs."""

    @property
    def name(self) -> str:
        """Who it is, for people."""

    def provenance(self, wheel: Path) -> bytes:
        """The PEP 740 provenance object of a wheel. Raises SignError."""


def ambient_attestor(environment: Mapping[str, str] = os.environ) -> Attestor:
    """The identity of this CI job. Raises SignError where there is none, or nothing that can use it."""
    if not any(environment.get(name) for name in _AMBIENT):
        raise SignError(
            "Sigstore needs an OIDC identity, and this is no CI job that has one",
            hint=f"let the job ask for an ID token (one of {', '.join(_AMBIENT[:2])} is then set); "
            "signatures with keys of the keyring need none",
        )
    found = list(entry_points(group=GROUP))
    if len(found) != 1:
        names = ", ".join(point.value for point in found) or "none"
        raise SignError(
            f"one installed package has to sign with this job's identity, found {names}",
            hint=f"install the one that has an entry point in the group {GROUP}",
        )
    attestor: Attestor = found[0].load()(environment)
    return attestor


def attest_identity(folder: Path, attestor: Attestor) -> tuple[Path, ...]:
    """Write `<wheel>.provenance` beside every wheel of a folder, before its sums are made.

    Raises SignError where the object is not PEP 740's, or of another file.
    """
    written = []
    for wheel in sorted(folder.glob("*.whl")):
        data, sha256 = attestor.provenance(wheel), str(digest_file(wheel))
        if reason := pep740.fault(data, wheel.name, sha256):
            raise SignError(
                f"{attestor.name} gave no provenance object (PEP 740) of {wheel.name}: {reason}",
                hint="nothing was written for it; this is a fault of the package that signs",
            )
        path = wheel.with_name(wheel.name + ATTESTATION)
        with disk_errors("write", path):
            path.write_bytes(data)
        written.append(path)
    return tuple(written)
