"""What a release carries, and that every change of it is refused."""

from __future__ import annotations

import hashlib
import json
import subprocess
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import pytest
from wheelmill.publish.sign import (
    Keyring,
    SignError,
    VerifyError,
    WheelFacts,
    attest,
    verify_release,
    verify_wheel,
)

from tests.sign import small
from tests.sign.small import DAY, NOW, Ring


@pytest.fixture
def ring(tmp_path: Path) -> Ring:
    return small.one_key(tmp_path / "keys.yaml")


@pytest.fixture
def release(tmp_path: Path, ring: Ring) -> Path:
    return small.make_release(tmp_path / "release", ring.signers())


def refused(folder: Path, keyring: Keyring, now: object = NOW) -> str:
    with pytest.raises(VerifyError) as caught:
        verify_release(folder, keyring, now)  # type: ignore[arg-type]
    assert caught.value.hint
    return caught.value.message


def test_a_release_is_verified_and_says_what_it_is(release: Path, ring: Ring) -> None:
    found = verify_release(release, ring.keyring, NOW)
    assert (found.signers, found.facts["branch"], found.facts["commit"]) == (
        ("alice",),
        "v9.1.0-5.0",
        "c" * 40,
    )
    assert len(found.wheels) == 3
    assert all(found.wheels[path.name] for path in release.glob("*.whl"))
    assert [text for text in found.warnings if "run by the release team" in text]


def test_sha256sum_agrees(release: Path) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=release,
        capture_output=True,
        text=True,
        check=False,
    )
    listed = {line.split(": ")[0] for line in done.stdout.splitlines() if line.endswith(": OK")}
    assert done.returncode == 0
    assert listed == {path.name for path in release.iterdir()} - {"SHA256SUMS", "release.intoto.jsonl"}


def statements(path: Path) -> list[dict[str, object]]:
    return [json.loads(b64decode(json.loads(line)["payload"])) for line in path.read_text().splitlines()]


def test_provenance_names_commit_matrix_cell_recipe_image_audit_and_smoke(release: Path) -> None:
    wheel = next(release.glob("torch_npu-*-cp311-*.whl"))
    made, audit, smoke = statements(wheel.with_name(f"{wheel.name}.intoto.jsonl"))
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    assert made["predicateType"] == "https://slsa.dev/provenance/v1"
    assert made["subject"] == [
        {"name": wheel.name, "digest": {"sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()}}
    ]
    build = made["predicate"]["buildDefinition"]  # type: ignore[index]
    assert build["externalParameters"]["cell"] == "v9.1.0-5.0/3.11/x86_64"
    digests = [item.get("digest") for item in build["resolvedDependencies"]]
    assert {"gitCommit": "c" * 40} in digests
    assert {"sha256": "d" * 64} in digests
    assert {"sha256": "ab" * 32} in digests  # the build image
    assert len(build["internalParameters"]["recipe"]["key"]) == 64
    assert audit["predicate"]["result"] == "PASSED"  # type: ignore[index]
    assert smoke["predicate"]["warnedTests"] == ["smoke"]  # type: ignore[index]
    assert audit["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"


def test_attesting_again_gives_the_same_bytes(release: Path, ring: Ring) -> None:
    before = {path.name: path.read_bytes() for path in release.iterdir()}
    (release / "SHA256SUMS").write_text("torn")  # a run was killed here
    wheels = {name: WheelFacts(None, {}) for name in before if name.endswith(".whl")}
    of = small.line()
    known = small.make_wheels(release, release.with_name("sources"), of)
    assert set(known) == set(wheels)
    attest(release, small.facts_of(known, of), ring.signers(), NOW)
    assert {path.name: path.read_bytes() for path in release.iterdir()} == before


# ------------------------------------------------------------------------------------------------- tampering
def test_every_single_byte_change_of_a_small_release_is_refused(tmp_path: Path, ring: Ring) -> None:
    one = small.line(pythons=("3.11",))
    release = small.make_release(tmp_path / "release", ring.signers(), one, simulator=False)
    keyring, tried = ring.keyring, 0
    for path in sorted(release.iterdir()):
        data = path.read_bytes()
        for place in range(len(data)):
            small.flip(path, place, 1 << place % 8)
            with pytest.raises(VerifyError):
                verify_release(release, keyring, NOW)
            tried += 1
            path.write_bytes(data)
    assert tried > 7_000
    verify_release(release, keyring, NOW)


@pytest.mark.parametrize("change", [b"", b"\n", b" "])
def test_cut_and_longer_files_are_refused(release: Path, ring: Ring, change: bytes) -> None:
    for path in sorted(release.iterdir()):
        data = path.read_bytes()
        path.write_bytes(data + change if change else data[:-1])
        refused(release, ring.keyring)
        path.write_bytes(data)


def test_a_missing_file_is_refused(release: Path, ring: Ring) -> None:
    for path in sorted(release.iterdir()):
        data = path.read_bytes()
        path.unlink()
        refused(release, ring.keyring)
        path.write_bytes(data)


def test_a_file_that_nobody_signed_is_refused(release: Path, ring: Ring) -> None:
    (release / "extra-1.0-py3-none-any.whl").write_bytes(b"")
    assert "1 not in the release: extra-1.0" in refused(release, ring.keyring)
    (release / "extra-1.0-py3-none-any.whl").unlink()
    (release / "folder").mkdir()
    (release / "folder" / "x").write_text("")
    assert "folder/x" in refused(release, ring.keyring)
    (release / "folder" / "x").rename(release / "\x1b[2Jx")  # would clear the reader's terminal
    assert "'\\x1b[2Jx'" in refused(release, ring.keyring)


def test_links_and_devices_are_refused(release: Path, ring: Ring, tmp_path: Path) -> None:
    wheel = next(release.glob("*.whl"))
    wheel.rename(tmp_path / wheel.name)
    wheel.symlink_to(tmp_path / wheel.name)
    assert "a symbolic link" in refused(release, ring.keyring)
    wheel.unlink()
    import os

    os.mkfifo(wheel)  # reading it would never end
    assert "no regular file" in refused(release, ring.keyring)


def test_endless_files_are_refused_before_they_are_read(release: Path, ring: Ring) -> None:
    for name in ("SHA256SUMS", "release.intoto.jsonl", "release.json"):
        data = (release / name).read_bytes()
        with (release / name).open("r+b") as stream:
            stream.truncate(1 << 40)  # a hole: nothing is written
        message = refused(release, ring.keyring)
        assert "at most" in message or f"found {1 << 40} bytes" in message
        (release / name).unlink()
        (release / name).write_bytes(data)


def test_a_wheel_of_another_release_is_refused_though_the_same_key_signed_it(
    release: Path, ring: Ring, tmp_path: Path
) -> None:
    """Mix and match, with sums that the attacker cannot sign, and with ones that a hurried maintainer did."""
    other = small.make_release(tmp_path / "other", ring.signers(), commit="e" * 40)
    wheel = next(release.glob("torch_npu-*-cp311-*.whl"))
    name = f"{wheel.name}.intoto.jsonl"
    (release / name).write_bytes((other / name).read_bytes())
    assert "SHA-256" in refused(release, ring.keyring)


def test_provenance_of_another_release_under_signed_sums_is_refused(
    release: Path, ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wheelmill.publish.sign import attesting

    other = small.make_release(tmp_path / "other", ring.signers(), commit="e" * 40)
    of = small.line()
    known = small.make_wheels(release, tmp_path / "again", of)
    kept = {path.name: path.read_bytes() for path in other.glob("*.whl.*")}

    def forged(wheel: Path, *_: object) -> list[tuple[str, bytes]]:
        return [(suffix, kept[f"{wheel.name}{suffix}"]) for suffix in (".cdx.json", ".intoto.jsonl")]

    monkeypatch.setattr(attesting, "_of_wheel", forged)
    attest(release, small.facts_of(known, of), ring.signers(), NOW)
    assert "the commit of its release" in refused(release, ring.keyring)


def test_two_releases_cannot_be_mixed_by_whole_files(release: Path, ring: Ring, tmp_path: Path) -> None:
    other = small.make_release(tmp_path / "other", ring.signers(), small.line(adapter="9.1.0.post2"))
    for name in ("SHA256SUMS", "release.intoto.jsonl"):
        data = (release / name).read_bytes()
        (release / name).write_bytes((other / name).read_bytes())
        refused(release, ring.keyring)
        (release / name).write_bytes(data)
    for name in ("SHA256SUMS", "release.intoto.jsonl"):
        (release / name).write_bytes((other / name).read_bytes())
    assert "missing: torch_npu-9.1.0.post2" in refused(release, ring.keyring)


# ------------------------------------------------------------------------------------------------------ keys
def test_a_wrong_key_is_refused(release: Path, ring: Ring, tmp_path: Path) -> None:
    other = small.one_key(tmp_path / "other.yaml")
    message = refused(release, other.keyring)
    assert "a signature of the unknown key" in message


def test_a_name_is_no_key(release: Path, ring: Ring, tmp_path: Path) -> None:
    """Another key under the same ID: the signature is of something else."""
    other = small.one_key(tmp_path / "other.yaml")
    forged = small.make_release(tmp_path / "forged", other.signers())
    text = (forged / "release.intoto.jsonl").read_text()
    (forged / "release.intoto.jsonl").write_text(text.replace(other.keys[0].id, ring.keys[0].id))
    assert "a signature of something else" in refused(forged, ring.keyring)


def test_a_revoked_key_is_refused_whenever_it_signed(release: Path, ring: Ring) -> None:
    ring.revoke("alice", (NOW + 5 * DAY).date())
    assert "revoked on 2026-12-03 (a laptop was stolen)" in refused(release, ring.keyring, NOW + 9 * DAY)


def test_a_key_that_ran_out_vouches_for_what_it_signed_before(release: Path, ring: Ring) -> None:
    verify_release(release, ring.keyring, NOW + 4000 * DAY)
    ring.change("alice", until=(NOW - DAY).date())
    assert "alice, which is expired on 2026-11-27" in refused(release, ring.keyring)
    ring.change("alice", since=(NOW + DAY).date(), until=(NOW + 9 * DAY).date())
    assert "valid from 2026-11-29 only" in refused(release, ring.keyring)


def test_a_signature_of_the_future_is_refused(release: Path, ring: Ring) -> None:
    assert "2026-11-28T12:00:00Z" in refused(release, ring.keyring, NOW - DAY)


def test_a_key_without_the_role_is_refused(release: Path, ring: Ring) -> None:
    ring.change("alice", roles=("root", "index"))
    assert "signers with the role release" in refused(release, ring.keyring)


def test_a_threshold_of_signers_is_kept(tmp_path: Path) -> None:
    ring = small.one_key(tmp_path / "keys.yaml")
    ring.add("bob")
    ring.thresholds = {"release": 2}
    both = small.make_release(tmp_path / "both", ring.signers())
    assert verify_release(both, ring.keyring, NOW).signers == ("alice", "bob")
    ring.thresholds = {}
    one = small.make_release(tmp_path / "one", ring.signers("bob"))
    ring.thresholds = {"release": 2}
    assert "2 signers with the role release, found 1" in refused(one, ring.keyring)
    with pytest.raises(SignError, match="2 signer"):
        small.make_release(tmp_path / "two", ring.signers("bob"))
    ring.revoke("bob")  # more than enough signed, and one of them is not believed any more
    ring.thresholds = {"release": 1}
    assert "bob, which is revoked" in refused(both, ring.keyring)


# --------------------------------------------------------------------------------------------------- a wheel
def test_a_wheel_is_verified_by_what_lies_beside_it(release: Path, ring: Ring, tmp_path: Path) -> None:
    wheel = next(release.glob("torch_npu-*-cp311-*.whl"))
    home = tmp_path / "downloads"
    home.mkdir()
    for path in release.glob(f"{wheel.name}*"):
        (home / path.name).write_bytes(path.read_bytes())
    found = verify_wheel(home / wheel.name, ring.keyring, NOW)
    assert found.facts["cell"] == "v9.1.0-5.0/3.11/x86_64"
    small.flip(home / f"{wheel.name}.cdx.json", 30)
    with pytest.raises(VerifyError, match="the SBOM in the wheel"):
        verify_wheel(home / wheel.name, ring.keyring, NOW)
    (home / f"{wheel.name}.cdx.json").unlink()
    verify_wheel(home / wheel.name, ring.keyring, NOW)
    renamed = wheel.name.replace("cp311-cp311", "cp310-cp310")
    for path in list(home.iterdir()):
        path.rename(path.with_name(path.name.replace(wheel.name, renamed)))
    with pytest.raises(VerifyError, match="statements of torch_npu"):
        verify_wheel(home / renamed, ring.keyring, NOW)
    (home / f"{renamed}.intoto.jsonl").unlink()
    with pytest.raises(VerifyError, match="no such file"):
        verify_wheel(home / renamed, ring.keyring, NOW)


# --------------------------------------------------------------------------------------- what is not signed
@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"audit": {"releasable": False, "local_only": False}}, "did not pass its audit"),
        ({"smoke": {"status": "failed"}}, "did not pass its smoke run"),
        ({"smoke": {"status": "passed", "wheels": {}}}, "its smoke run was of another file"),
    ],
)
def test_what_was_not_proven_is_not_signed(
    tmp_path: Path, ring: Ring, facts: dict[str, object], message: str
) -> None:
    folder, of = tmp_path / "release", small.line()
    known = small.make_wheels(folder, tmp_path / "sources", of)
    name = next(iter(known))
    known[name] = replace(known[name], **facts)  # type: ignore[arg-type]
    with pytest.raises(SignError, match=message):
        attest(folder, small.facts_of(known, of), ring.signers(), NOW)


def test_a_folder_with_other_wheels_is_not_signed(tmp_path: Path, ring: Ring) -> None:
    folder, of = tmp_path / "release", small.line()
    known = small.make_wheels(folder, tmp_path / "sources", of)
    facts = small.facts_of({**known, "absent-1.0-py3-none-any.whl": WheelFacts(None, {})}, of)
    with pytest.raises(SignError, match=r"missing absent-1\.0"):
        attest(folder, facts, ring.signers(), NOW)
    (folder / "unknown-1.0-py3-none-any.whl").write_bytes(b"")
    with pytest.raises(SignError, match=r"unknown unknown-1\.0"):
        attest(folder, small.facts_of(known, of), ring.signers(), NOW)


def test_a_wheel_without_an_sbom_is_not_signed(tmp_path: Path, ring: Ring) -> None:
    from tests.wheels import Draft

    wheel = Draft().write(tmp_path / "release")
    facts = small.facts_of({wheel.name: WheelFacts(None, small.RELEASABLE)}, small.line())
    with pytest.raises(SignError, match=r"recipe\.json"):
        attest(tmp_path / "release", facts, ring.signers(), NOW)
