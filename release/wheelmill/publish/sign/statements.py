"""What is said of a wheel and of a release, as in-toto statements; pure.

Of each wheel: how it was made (SLSA provenance v1), and that it passed its audit and, where it ran, its
smoke run (test results). Of a release: the checksum of SHA256SUMS, and so of all that is in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from packaging.utils import canonicalize_name

from wheelmill.make.plan import canonical_json
from wheelmill.publish.sign.envelope import statement
from wheelmill.publish.sign.wheels import materials

PROVENANCE = "https://slsa.dev/provenance/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
RELEASE = "https://in-toto.io/attestation/release/v0.2"
BUILD_TYPE = "urn:wheelmill:build:wheel:1"  # docs/verify.md says what its parameters mean
BUILDER = "urn:wheelmill:builder"


@dataclass(frozen=True)
class WheelFacts:
    """What is known of a wheel beside itself.

    `cell` is None for a simulator's wheel. `audit` is the verdict's JSON; `smoke` that of the run, or None
    with the reason in `not_run`, such as a waiver that names who runs it.
    """

    cell: str | None
    audit: Mapping[str, Any]
    smoke: Mapping[str, Any] | None = None
    not_run: str | None = None


@dataclass(frozen=True)
class ReleaseFacts:
    """What a release of a package was made from: its line and version, source commit and tag, SHA-256 of the
    matrix.

    `repository` is where the commit is found, as a URI, or empty when that is not known. `wheels` has every
    wheel of the folder by its file name.
    """

    package: str
    branch: str
    version: str
    commit: str
    matrix: str
    wheels: Mapping[str, WheelFacts]
    tag: str = ""
    stage: str = ""
    repository: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


def of_wheel(name: str, sha256: str, stamp: Mapping[str, Any], release: ReleaseFacts) -> list[dict[str, Any]]:
    """All statements of a wheel; `stamp` is its recipe.json."""
    known = release.wheels[name]
    subject = {name: sha256}
    made = statement(PROVENANCE, subject, _provenance(stamp, known, release))
    tests = (statement(TEST_RESULT, subject, predicate) for predicate in _tests(known, release))
    return [made, *tests]


def of_release(sums: tuple[str, str], sizes: Mapping[str, int], release: ReleaseFacts) -> dict[str, Any]:
    """The statement of a release; `sums` is the name and SHA-256 of the file of checksums."""
    predicate = {
        "purl": f"pkg:pypi/{canonicalize_name(release.package)}@{release.version.replace('+', '%2B')}",
        "releaseId": release.branch,
        "wheelmill_release": {**identity(release), "sizes": dict(sorted(sizes.items())), **release.extra},
    }
    return statement(RELEASE, dict([sums]), predicate)


def identity(release: ReleaseFacts) -> dict[str, str]:
    """What all statements of a release have to agree on."""
    words = ("branch", "version", "commit", "tag", "matrix", "stage")
    return {name: str(getattr(release, name)) for name in words}


def _provenance(stamp: Mapping[str, Any], known: WheelFacts, release: ReleaseFacts) -> dict[str, Any]:
    """SLSA provenance v1: the recipe as it is in the wheel, and what it was resolved to."""
    proofs = {"audit": known.audit, "smoke": known.smoke}
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {**identity(release), "cell": known.cell},
            "internalParameters": {"recipe": dict(stamp)},
            "resolvedDependencies": list(_dependencies(stamp, release)),
        },
        "runDetails": {
            "builder": {"id": BUILDER},
            "metadata": {"invocationId": str(stamp["key"])},
            "byproducts": [_byproduct(name, said) for name, said in proofs.items() if said is not None],
        },
    }


def _byproduct(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in said.items() if key != "environment"}  # a path of the machine
    digest = hashlib.sha256(canonical_json(kept).encode()).hexdigest()
    return {"name": name, "mediaType": "application/json", "digest": {"sha256": digest}, "annotations": kept}


def _dependencies(stamp: Mapping[str, Any], release: ReleaseFacts) -> Iterator[dict[str, Any]]:
    source = {"name": "source", "digest": {"gitCommit": release.commit}}
    yield {**source, "uri": f"git+{release.repository}"} if release.repository else source
    yield {"name": "matrix", "digest": {"sha256": release.matrix}}
    made_of = materials(stamp)
    for name, version, sha256 in made_of.sdks:
        yield {"uri": f"pkg:pypi/{name}@{version}", "digest": {"sha256": sha256}}
    yield {"name": made_of.what, "digest": {"sha256": made_of.sources}}
    yield {"uri": "urn:wheelmill:compiler", "annotations": {"identity": made_of.compiler}}
    image = stamp.get("image")
    if image:
        digest = {"sha256": str(image["id"]).removeprefix("sha256:")}
        yield {"name": str(image["name"]), "digest": digest, "annotations": {"role": "build image"}}


def _tests(known: WheelFacts, release: ReleaseFacts) -> Iterator[dict[str, Any]]:
    """What the audit and the smoke run said; WARNED is what a person answers for."""
    yield _test("audit", audit_result(known.audit), release)
    if known.smoke is not None:
        yield _test("smoke", "PASSED" if known.smoke.get("status") == "passed" else "FAILED", release)
    elif known.not_run:
        yield {**_test("smoke", "WARNED", release), "wheelmill_reason": known.not_run}


def audit_result(verdict: Mapping[str, Any]) -> str:
    """PASSED for a releasable wheel, WARNED for one that is local only, FAILED for any other."""
    if verdict.get("releasable"):
        return "PASSED"
    return "WARNED" if verdict.get("local_only") else "FAILED"


def _test(name: str, result: str, release: ReleaseFacts) -> dict[str, Any]:
    """A test result of one test, against the matrix."""
    lists = {"PASSED": "passedTests", "WARNED": "warnedTests", "FAILED": "failedTests"}
    return {
        "result": result,
        "configuration": [{"name": "matrix", "digest": {"sha256": release.matrix}}],
        **{field: [name] if key == result else [] for key, field in lists.items()},
    }
