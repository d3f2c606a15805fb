"""Whether a release folder, or a wheel with its side files, is what its signers released. Fails closed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from wheelmill.limits import open_regular
from wheelmill.make.sbom import SUFFIX as SBOM_SUFFIX
from wheelmill.publish.sign import sums
from wheelmill.publish.sign.attesting import RELEASE, STATEMENT_SUFFIX
from wheelmill.publish.sign.envelope import AGAIN, MAX_BYTES, Signed, read, stamp
from wheelmill.publish.sign.errors import SignError, VerifyError
from wheelmill.publish.sign.keyring import Keyring
from wheelmill.publish.sign.statements import BUILD_TYPE, PROVENANCE, TEST_RESULT
from wheelmill.publish.sign.statements import RELEASE as RELEASE_TYPE
from wheelmill.publish.sign.wheels import look_inside
from wheelmill.store import digest_file
from wheelmill.wheel.facts import MAX_SBOM

SCHEMA = 1
_SHOWN = 5  # files that one refusal names
_IDENTITY = ("branch", "version", "commit", "tag", "matrix", "stage")


@dataclass(frozen=True)
class Verified:
    """What was verified: `kind` is release, wheel or index. `facts` is what its signers say of it.

    `files` is how many were hashed; `warnings` is what a signer answers for, such as a waived smoke run.
    """

    kind: str
    path: Path
    files: int
    signers: tuple[str, ...]
    on: datetime
    facts: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    wheels: Mapping[str, str] = field(default_factory=dict)  # file name -> SHA-256

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "schema": SCHEMA,
            "verified": True,
            "kind": self.kind,
            "path": str(self.path),
            "files": self.files,
            "signers": list(self.signers),
            "signed": stamp(self.on),
            "facts": dict(self.facts),
            "wheels": dict(self.wheels),
            "warnings": list(self.warnings),
        }


# -------------------------------------------------------------------------------------------------- a release
def verify_release(folder: Path, keyring: Keyring, now: datetime) -> Verified:
    """Check a release folder whole: the signers, every file, and that what they say fits together.

    Raises VerifyError for the first thing that is wrong; KeyringError is the caller's.
    """
    files = _files(folder)
    (signed,) = _statements(folder, RELEASE, RELEASE_TYPE, keyring, now)
    text = _read(folder / sums.SUMS, sums.MAX_BYTES)
    if signed.subjects != {sums.SUMS: hashlib.sha256(text).hexdigest()}:
        raise VerifyError(
            sums.SUMS,
            expected=f"SHA-256 {next(iter(signed.subjects.values()))}, which was signed",
            found=hashlib.sha256(text).hexdigest(),
            hint=AGAIN,
        )
    listed = sums.parse(text, sums.SUMS)
    told = dict(signed.predicate.get("wheelmill_release", {}))
    sizes = told.pop("sizes", {})
    _same_names(set(files) - {sums.SUMS, RELEASE}, set(listed), folder)
    _same_bytes(folder, files, listed, sizes)
    wheels = {name: listed[name] for name in listed if name.endswith(".whl")}
    warnings: list[str] = []
    for name, sha256 in sorted(wheels.items()):
        found = _wheel(folder / name, sha256, keyring, now, beside=True)
        _same_release(name, found.facts, told)
        warnings += found.warnings
    return Verified(
        "release", folder, len(files), signed.signers, signed.on, told, tuple(warnings), wheels=wheels
    )


def _files(folder: Path) -> dict[str, int]:
    def refuse(path: str, what: str) -> VerifyError:
        return VerifyError(path, expected="a regular file", found=what, hint=AGAIN)

    try:
        return sums.list_files(folder, refuse)
    except OSError as error:
        raise _unreadable(folder, error) from None


def _unreadable(path: Path, error: OSError) -> VerifyError:
    return VerifyError(path.name, expected="a file that can be read", found=str(error.strerror), hint=AGAIN)


def _read(path: Path, limit: int) -> bytes:
    try:
        with open_regular(path) as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise _unreadable(path, error) from None
    if len(data) > limit:
        raise VerifyError(path.name, expected=f"at most {limit} bytes", found="more", hint=AGAIN)
    return data


def _statements(folder: Path, name: str, kind: str, keyring: Keyring, now: datetime) -> tuple[Signed, ...]:
    if not (folder / name).is_file():
        raise VerifyError(
            name,
            expected="a file beside what it is said of",
            found="no such file",
            hint="download it, too; without it nothing can be verified",
        )
    found = read(_read(folder / name, MAX_BYTES), name, keyring, "release", now)
    if found[0].type != kind or (kind == RELEASE_TYPE and len(found) != 1):
        raise VerifyError(name, expected=f"a statement of type {kind}", found=found[0].type, hint=AGAIN)
    return found


def _same_names(there: set[str], listed: set[str], folder: Path) -> None:
    for words, names, hint in (
        ("missing", listed - there, "download the release again, whole"),
        ("not in the release", there - listed, f"take it away from {folder}; nobody signed it"),
    ):
        if names:
            shown = ", ".join(map(sums.shown, sorted(names)[:_SHOWN]))
            raise VerifyError(
                sums.SUMS,
                expected=f"{len(listed)} files, each of them listed",
                found=f"{len(names)} {words}: {shown}",
                hint=hint,
            )


def _same_bytes(
    folder: Path, files: Mapping[str, int], listed: Mapping[str, str], sizes: Mapping[str, int]
) -> None:
    """Sizes first: what is longer than it may be is not read at all."""
    for name in sorted(listed):
        if sizes.get(name) != files[name]:
            raise VerifyError(
                name, expected=f"{sizes.get(name)} bytes", found=f"{files[name]} bytes", hint=AGAIN
            )
    for name in sorted(listed):
        try:
            digest = digest_file(folder / name)
        except OSError as error:
            raise _unreadable(folder / name, error) from None
        if digest != listed[name]:
            raise VerifyError(name, expected=f"SHA-256 {listed[name]}", found=str(digest), hint=AGAIN)


def _same_release(name: str, said: Mapping[str, Any], release: Mapping[str, Any]) -> None:
    """A wheel of another release is refused, also where one signer signed both."""
    for word in _IDENTITY:
        if said.get(word) != release.get(word):
            raise VerifyError(
                f"{name}{STATEMENT_SUFFIX}",
                expected=f"the {word} of its release, {release.get(word)!r}",
                found=f"{said.get(word)!r}",
                hint="these are files of two releases; download one of them, whole",
            )


# ---------------------------------------------------------------------------------------------------- a wheel
def verify_wheel(wheel: Path, keyring: Keyring, now: datetime) -> Verified:
    """Check a wheel by the statements that lie beside it. Raises VerifyError."""
    try:
        sha256 = str(digest_file(wheel))
    except OSError as error:
        raise _unreadable(wheel, error) from None
    return _wheel(wheel, sha256, keyring, now, beside=False)


def _wheel(wheel: Path, sha256: str, keyring: Keyring, now: datetime, *, beside: bool) -> Verified:
    """`beside`: the SBOM has to lie beside it."""
    name = f"{wheel.name}{STATEMENT_SUFFIX}"
    said = _statements(wheel.parent, name, PROVENANCE, keyring, now)
    for one in said:
        if one.subjects != {wheel.name: sha256}:
            found = ", ".join(f"{file} with SHA-256 {digest}" for file, digest in one.subjects.items())
            raise VerifyError(
                name, expected=f"statements of {wheel.name} with SHA-256 {sha256}", found=found, hint=AGAIN
            )
    provenance, *tests = said
    facts = _same_recipe(wheel, provenance, beside=beside)
    warnings = tuple(_results(wheel.name, tests))
    return Verified(
        "wheel", wheel, 1, provenance.signers, provenance.on, facts, warnings, wheels={wheel.name: sha256}
    )


def _same_recipe(wheel: Path, provenance: Signed, *, beside: bool) -> dict[str, Any]:
    """The provenance tells of the recipe that is in the wheel, and the SBOM beside it is the one in it."""
    name = f"{wheel.name}{STATEMENT_SUFFIX}"
    try:
        inside = look_inside(wheel)
        definition = provenance.predicate["buildDefinition"]
        facts = dict(definition["externalParameters"])
        recipe = definition["internalParameters"]["recipe"]
    except SignError as error:
        raise VerifyError(wheel.name, expected="a wheel", found=error.message, hint=AGAIN) from None
    except (KeyError, TypeError) as error:
        raise VerifyError(
            name, expected=f"SLSA provenance of {BUILD_TYPE}", found=f"none ({error})", hint=AGAIN
        ) from None
    if definition.get("buildType") != BUILD_TYPE or recipe != inside.recipe:
        raise VerifyError(
            name,
            expected=f"the recipe in the wheel, {str(inside.recipe['key'])[:16]}",
            found=f"another one, {str(recipe.get('key'))[:16]}",
            hint="do not install it; its provenance is of another build",
        )
    copy = wheel.with_name(wheel.name + SBOM_SUFFIX)
    if (beside or copy.exists()) and _read(copy, MAX_SBOM) != inside.sbom:
        raise VerifyError(copy.name, expected="the SBOM in the wheel", found="another one", hint=AGAIN)
    return {**facts, "recipe": str(recipe["key"])}


def _results(name: str, tests: list[Signed]) -> Iterator[str]:
    """What was waived; raises VerifyError for a test that failed or is missing."""
    found = {}
    for one in tests:
        listed = [*one.predicate.get("passedTests", []), *one.predicate.get("warnedTests", [])]
        for test in listed if one.type == TEST_RESULT else []:
            found[test] = (str(one.predicate.get("result")), str(one.predicate.get("wheelmill_reason", "")))
    if found.get("audit", ("", ""))[0] not in ("PASSED", "WARNED"):
        raise VerifyError(
            f"{name}{STATEMENT_SUFFIX}",
            expected="an audit that passed",
            found=found.get("audit", ("none", ""))[0],
            hint="do not install it; a wheel is released after its audit only",
        )
    for test, (result, reason) in sorted(found.items()):
        if result != "PASSED":
            yield f"{name}: {test} {result.lower()}{f': {reason}' if reason else ''}"
