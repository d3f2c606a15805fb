"""Provenance objects of PEP 740: whether one is of a wheel, and well-formed. Pure.

An object carries the certificate that it was signed with, so a changed byte of what was signed is noticed.
Who the certificate is of, and whether a log has seen it, only Sigstore's clients can say, from its roots.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from wheelmill.limits import parse_json
from wheelmill.publish.sign.envelope import PAYLOAD_TYPE, STATEMENT

# What an index may carry; it has no other kinds of statement.
PREDICATES = ("https://docs.pypi.org/attestations/publish/v1", "https://slsa.dev/provenance/v1")


def fault(data: bytes, name: str, sha256: str) -> str | None:
    """Why these bytes are no provenance object of the wheel; None for one whose attestations all are."""
    try:
        found = list(_attestations(parse_json(data)))
        faults = (_fault(one, name, sha256) for one in found)
        return next(filter(None, faults), None) if found else "it has no attestation"
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return f"it is not in the form of PEP 740 ({type(error).__name__}: {error})"


def _attestations(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if document["version"] != 1:
        raise ValueError(f"version {document['version']!r}")
    for bundle in document["attestation_bundles"]:
        if not isinstance(bundle["publisher"]["kind"], str):
            raise ValueError("a publisher without a kind")
        yield from bundle["attestations"]


def _fault(one: Mapping[str, Any], name: str, sha256: str) -> str | None:
    """What is wrong with one attestation, of those things that it says itself."""
    material, envelope = one["verification_material"], one["envelope"]
    statement = base64.b64decode(envelope["statement"], validate=True)
    said = parse_json(statement)
    subjects = [(item["name"], item["digest"]["sha256"]) for item in said["subject"]]
    if one["version"] != 1 or said["_type"] != STATEMENT:
        return f"it has version {one['version']!r} and a statement of type {said['_type']!r}"
    if subjects != [(name, sha256)]:
        return f"it is of {subjects}, not of {name} with SHA-256 {sha256}"
    if said["predicateType"] not in PREDICATES:
        return f"its predicate type is {said['predicateType']!r}, not one of {', '.join(PREDICATES)}"
    if not material["transparency_entries"]:
        return "it names no entry of a transparency log"
    certificate = base64.b64decode(material["certificate"], validate=True)
    signature = base64.b64decode(envelope["signature"], validate=True)
    return _signature_fault(certificate, signature, statement)


def _signature_fault(certificate: bytes, signature: bytes, statement: bytes) -> str | None:
    """Version 1 is ECDSA on P-256 with SHA-256, over DSSE's encoding of the statement."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from securesystemslib.dsse import Envelope

    key = x509.load_der_x509_certificate(certificate).public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        return "its certificate has no key on the curve P-256"
    try:
        key.verify(signature, Envelope(statement, PAYLOAD_TYPE, {}).pae(), ec.ECDSA(SHA256()))
    except InvalidSignature:
        return "its signature is not of its certificate"
    return None
