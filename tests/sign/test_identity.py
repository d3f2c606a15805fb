"""The seam for CI identities: one clear error where there is none, and its objects are checked."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from wheelmill.publish.sign import SignError, attest_release, attest_wheels, identity, pep740, verify_release
from wheelmill.publish.sign.envelope import PAYLOAD_TYPE, STATEMENT

from tests.sign import small
from tests.sign.small import NOW

JOB = {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "x"}


class Job:
    """An identity that gives the provenance of `of`, or of the wheel that it is asked for.

    Its certificate is its own, so it is in the form of PEP 740 and no Sigstore client would believe it.
    `changed` is what its statement says otherwise than it should.
    """

    name = "the release workflow"

    def __init__(self, of: Path | None = None, **changed: object) -> None:
        self.of, self.changed = of, changed
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        made = x509.CertificateBuilder(name, name, self.key.public_key(), 1, NOW, NOW + small.DAY)
        self.certificate = made.sign(self.key, SHA256()).public_bytes(Encoding.DER)

    def document(self, wheel: Path) -> dict[str, Any]:
        """The provenance object."""
        of = self.of or wheel
        subject = {"name": of.name, "digest": {"sha256": hashlib.sha256(of.read_bytes()).hexdigest()}}
        said = {"_type": STATEMENT, "subject": [subject], "predicateType": pep740.PREDICATES[0]}
        statement = json.dumps({**said, "predicate": None, **self.changed}).encode()
        pae = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(statement), statement)
        envelope = {"statement": statement, "signature": self.key.sign(pae, ec.ECDSA(SHA256()))}
        one = {
            "version": 1,
            "verification_material": {
                "certificate": text(self.certificate),
                "transparency_entries": [{"logIndex": "1"}],
            },
            "envelope": {name: text(data) for name, data in envelope.items()},
        }
        publisher = {"kind": "GitHub", "repository": "a/b", "workflow": "release.yml"}
        return {"version": 1, "attestation_bundles": [{"publisher": publisher, "attestations": [one]}]}

    def provenance(self, wheel: Path) -> bytes:
        return json.dumps(self.document(wheel)).encode()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


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


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(b"a wheel")
    return path


def fault(data: bytes, wheel: Path) -> str | None:
    return pep740.fault(data, wheel.name, hashlib.sha256(wheel.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"predicateType": pep740.PREDICATES[1]}, None),
        ({"predicateType": "https://in-toto.io/attestation/release/v0.2"}, "predicate type"),
        ({"_type": "https://in-toto.io/Statement/v0.1"}, "a statement of type"),
        ({"subject": []}, r"of \[\], not of demo-1.0"),
        ({"subject": [{"name": "demo-1.0-py3-none-any.whl", "digest": {"sha256": "0"}}]}, "not of demo-1.0"),
        ({"subject": [{"name": "demo-1.0-py3-none-any.whl"}]}, "not in the form of PEP 740 .KeyError"),
    ],
)
def test_a_statement_has_to_be_what_the_standard_asks_for(
    wheel: Path, changed: dict[str, object], said: str | None
) -> None:
    found = fault(Job(**changed).provenance(wheel), wheel)
    assert found is None if said is None else re.search(said, str(found))


def empty_log(document: dict[str, Any], one: dict[str, Any]) -> None:
    one["verification_material"]["transparency_entries"] = []


def no_attestation(document: dict[str, Any], one: dict[str, Any]) -> None:
    document["attestation_bundles"] = []


def no_publisher(document: dict[str, Any], one: dict[str, Any]) -> None:
    del document["attestation_bundles"][0]["publisher"]


def later_version(document: dict[str, Any], one: dict[str, Any]) -> None:
    document["version"] = 2


def other_certificate(document: dict[str, Any], one: dict[str, Any]) -> None:
    one["verification_material"]["certificate"] = text(Job().certificate)


def other_words(document: dict[str, Any], one: dict[str, Any]) -> None:
    """The same statement in other bytes."""
    one["envelope"]["statement"] = text(base64.b64decode(one["envelope"]["statement"]) + b" ")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (empty_log, "no entry of a transparency log"),
        (no_attestation, "no attestation"),
        (no_publisher, "not in the form of PEP 740"),
        (later_version, "version 2"),
        (other_certificate, "signature is not of its certificate"),
        (other_words, "signature is not of its certificate"),
    ],
)
def test_an_object_that_lacks_what_the_standard_asks_for(
    wheel: Path, change: Callable[[dict[str, Any], dict[str, Any]], None], said: str
) -> None:
    document = Job().document(wheel)
    change(document, document["attestation_bundles"][0]["attestations"][0])
    assert said in str(fault(json.dumps(document).encode(), wheel))


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_object_at_all(wheel: Path, data: bytes) -> None:
    assert "not in the form of PEP 740" in str(fault(data, wheel))


@pytest.mark.on_demand
@pytest.mark.timeout(1800)  # its own reader of these objects is downloaded, with all of Sigstore
def test_the_index_s_own_library_reads_the_object(tmp_path: Path, wheel: Path) -> None:
    uv, env = Path(sys.executable).with_name("uv"), tmp_path / "env"
    python = env / "bin/python"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, env], check=True)
    subprocess.run([uv, "pip", "install", "-q", "--python", python, "pypi-attestations"], check=True)
    path = tmp_path / "provenance"
    read = (
        "import sys; from pathlib import Path; from pypi_attestations import Provenance\n"
        "made = Provenance.model_validate_json(Path(sys.argv[1]).read_bytes())\n"
        "print(made.attestation_bundles[0].attestations[0].statement['subject'][0]['name'])\n"
    )
    for change, code in ((None, 0), (empty_log, 1), (no_publisher, 1)):
        document = Job().document(wheel)
        if change is not None:
            change(document, document["attestation_bundles"][0]["attestations"][0])
        path.write_text(json.dumps(document))
        done = subprocess.run([python, "-c", read, path], capture_output=True, text=True)
        assert (done.returncode, done.stdout.strip() == wheel.name) == (code, code == 0), done.stderr
        assert (fault(path.read_bytes(), wheel) is None) == (code == 0)
