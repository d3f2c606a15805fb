"""Everything that a release carries beside its wheels, written into its folder before anybody sees it.

```
<wheel>.cdx.json       its SBOM, the same as in the wheel
<wheel>.intoto.jsonl   how it was made, and what its audit and smoke run said; signed
SHA256SUMS             of every other file
release.intoto.jsonl   the checksum of SHA256SUMS, the sizes of all files; signed, and written last
```
The same folder, facts, signers and time give the same bytes, so a killed run is simply run again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from wheelmill.make.sbom import SUFFIX as SBOM_SUFFIX
from wheelmill.publish.sign import statements, sums
from wheelmill.publish.sign.envelope import sign
from wheelmill.publish.sign.errors import SignError
from wheelmill.publish.sign.signers import Signers
from wheelmill.publish.sign.statements import ReleaseFacts, WheelFacts
from wheelmill.publish.sign.wheels import look_inside
from wheelmill.store import digest_file
from wheelmill.store.disk import flush
from wheelmill.store.errors import disk_errors

STATEMENT_SUFFIX = ".intoto.jsonl"
RELEASE = "release.intoto.jsonl"
_BESIDE = (STATEMENT_SUFFIX, SBOM_SUFFIX)


def attest(folder: Path, facts: ReleaseFacts, signers: Signers, now: datetime) -> tuple[Path, ...]:
    """Write the side files of every wheel, SHA256SUMS and the signed statement; the paths of all of them.

    The folder has to hold every wheel of `facts` and no other, and no link or device. Raises SignError, and
    StoreError for a disk that does not take them.
    """
    known: dict[str, str] = {}
    wheels = _wheels(folder, facts, signers, now, known)
    return (*wheels, *_release(folder, facts, signers, now, known))


def attest_wheels(folder: Path, facts: ReleaseFacts, signers: Signers, now: datetime) -> tuple[Path, ...]:
    """The first half of `attest`: SBOM and provenance beside each wheel. Raises as it does."""
    return _wheels(folder, facts, signers, now, {})


def attest_release(folder: Path, facts: ReleaseFacts, signers: Signers, now: datetime) -> tuple[Path, ...]:
    """The second half: SHA256SUMS of all that lies there now, and the statement over it."""
    return _release(folder, facts, signers, now, {})


def _wheels(
    folder: Path, facts: ReleaseFacts, signers: Signers, now: datetime, known: dict[str, str]
) -> tuple[Path, ...]:
    """Write what lies beside wheels; `known` gets the SHA-256 of all that was read or written."""
    signers.of("release", now)  # before anything is written
    files = _files(folder)
    _same_wheels(files, facts)
    written: list[Path] = []
    for name in sorted(facts.wheels):
        known[name] = digest_file(folder / name)
        for suffix, data in _of_wheel(folder / name, known[name], facts, signers, now):
            known[f"{name}{suffix}"] = hashlib.sha256(data).hexdigest()
            written.append(_write(folder / f"{name}{suffix}", data))
    return _on_disk(folder, written)


def _release(
    folder: Path, facts: ReleaseFacts, signers: Signers, now: datetime, known: Mapping[str, str]
) -> tuple[Path, ...]:
    """Write sums and statement; what is not in `known` is hashed."""
    files = _files(folder)
    _same_wheels(files, facts)
    absent = [name for name in facts.wheels if not {f"{name}{s}" for s in _BESIDE} <= set(files)]
    if absent:
        raise SignError(f"{absent[0]} has no provenance and SBOM beside it", hint="attest the wheels first")
    digests = {path: known.get(path) or digest_file(folder / path) for path in files}
    text = sums.render(digests).encode()
    line = statements.of_release((sums.SUMS, hashlib.sha256(text).hexdigest()), files, facts)
    signed = sign([line], signers, "release", now)
    return _on_disk(folder, (_write(folder / sums.SUMS, text), _write(folder / RELEASE, signed)))


def _files(folder: Path) -> dict[str, int]:
    """Path -> size of all that goes into SHA256SUMS."""

    def refuse(path: str, what: str) -> SignError:
        return SignError(
            f"{folder / path} is {what}", hint="a release holds regular files only; take it away"
        )

    with disk_errors("read", folder):
        found = sums.list_files(folder, refuse)
    for path in (sums.SUMS, RELEASE):  # of an earlier run that was killed
        found.pop(path, None)
    odd = [path for path in found if not sums.is_plain(path)]
    if odd:
        raise SignError(
            f"{folder} has a file with a name that cannot be released: {odd[0]!r}",
            hint="letters, digits and . _ + - are fine",
        )
    return found


def _same_wheels(files: Mapping[str, int], facts: ReleaseFacts) -> None:
    there = {path for path in files if path.endswith(".whl")}
    wanted = set(facts.wheels)
    if there != wanted or not there:
        missing, extra = ", ".join(sorted(wanted - there)), ", ".join(sorted(there - wanted))
        raise SignError(
            f"the folder has not the release's wheels: missing {missing or 'none'}, unknown "
            f"{extra or 'none'}",
            hint="stage the release again; only what was audited is signed",
        )
    beside = {f"{name}{suffix}" for name in wanted for suffix in _BESIDE}
    for path in files:
        if path.endswith(_BESIDE) and path not in beside:
            raise SignError(f"{path} belongs to no wheel of the release", hint="take it away")


def _of_wheel(
    wheel: Path, sha256: str, facts: ReleaseFacts, signers: Signers, now: datetime
) -> Iterator[tuple[str, bytes]]:
    """Suffix and content of what lies beside a wheel."""
    name, inside = wheel.name, look_inside(wheel)
    _proven(name, sha256, facts.wheels[name])
    yield SBOM_SUFFIX, inside.sbom
    lines = statements.of_wheel(name, sha256, inside.recipe, facts)
    yield STATEMENT_SUFFIX, sign(lines, signers, "release", now)


def _proven(name: str, sha256: str, known: WheelFacts) -> None:
    """Refuse what was not audited, or failed, or was another file when it ran."""
    if statements.audit_result(known.audit) == "FAILED":
        raise SignError(f"{name} did not pass its audit", hint="wheelmill audit WHEEL says why")
    if known.smoke is None:
        return
    if known.smoke.get("status") != "passed":
        raise SignError(f"{name} did not pass its smoke run", hint="wheelmill smoke CELL says why")
    ran = known.smoke.get("wheels", {}).get(name)
    if ran != sha256:
        raise SignError(
            f"{name}: its smoke run was of another file: {ran or 'none of that name'}, this is {sha256}",
            hint="smoke-run what is to be released",
        )


def _write(path: Path, data: bytes) -> Path:
    with disk_errors("write", path):
        path.write_bytes(data)
    return path


def _on_disk(folder: Path, paths: Iterable[Path]) -> tuple[Path, ...]:
    """All of them, once they are on disk."""
    done = tuple(paths)
    with disk_errors("write", folder):
        flush(done, folder)
    return done
