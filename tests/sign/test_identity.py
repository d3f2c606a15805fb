"""The seam for CI identities: one clear error where there is none, and its objects are checked."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from wheelmill.publish.sign import SignError, attest_release, attest_wheels, identity, verify_release

from tests.sign import small
from tests.sign.small import NOW

JOB = {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "x"}


class Job:
    """An identity that gives the provenance of `of`, or of the wheel that it is asked for."""

    name = "the release workflow"

    def __init__(self, of: Path | None = None) -> None:
        self.of = of

    def provenance(self, wheel: Path) -> bytes:
        of = self.of or wheel
        sha256 = hashlib.sha256(of.read_bytes()).hexdigest()
        said = json.dumps({"subject": [{"name": of.name, "digest": {"sha256": sha256}}]}).encode()
        one = {"envelope": {"statement": base64.b64encode(said).decode()}}
        return json.dumps({"version": 1, "attestation_bundles": [{"attestations": [one]}]}).encode()


def test_without_an_identity_there_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SignError, match="needs an OIDC identity") as caught:
        identity.ambient_attestor({})
    assert "keys of the keyring need none" in str(caught.value.hint)
    with pytest.raises(SignError, match="found none"):
        identity.ambient_attestor(JOB)
    point = EntryPoint("job", "tests.sign.test_identity:make", identity.GROUP)
    monkeypatch.setattr(identity, "entry_points", lambda group: [point])
    assert identity.ambient_attestor(JOB).name == Job.name


def make(environment: dict[str, str]) -> Job:
    assert environment == JOB
    return Job()


def test_its_objects_are_released_with_the_wheels(tmp_path: Path) -> None:
    ring, of, folder = small.one_key(tmp_path / "keys.yaml"), small.line(), tmp_path / "release"
    facts = small.facts_of(small.make_wheels(folder, tmp_path / "sources", of), of)
    attest_wheels(folder, facts, ring.signers(), NOW)
    assert len(identity.attest_identity(folder, Job())) == 3
    attest_release(folder, facts, ring.signers(), NOW)
    verify_release(folder, ring.keyring, NOW)
    other = next(folder.glob("cann_simulator-*.whl"))
    with pytest.raises(SignError, match="gave no provenance object"):
        identity.attest_identity(folder, Job(other))
