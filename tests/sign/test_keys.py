"""Keys: made and replaced by command, refused where others can read them, judged by the day."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from wheelmill.publish.sign import KeyringError, SignError, load_keyring, load_signers
from wheelmill.publish.sign.signers import variable

PROJECT = Path(__file__).parents[2]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
TODAY = datetime.now(timezone.utc)


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    return tmp_path / "keys.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "private"


@pytest.fixture
def run(tmp_path: Path, ring: Path, folder: Path) -> Run:
    """`wheelmill keys WORDS` on a keyring of its own."""

    def call(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        places = {"WHEELMILL_KEYRING": str(ring), "WHEELMILL_KEYS": str(folder)}
        environment = {**os.environ, **places, **variables}
        command = [sys.executable, "-m", "wheelmill", "keys", *words]
        return subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    return call


def test_a_key_is_made_listed_and_signs(run: Run, ring: Path, folder: Path) -> None:
    done = run("new", "alice", "--role", "release", "--role", "index")
    assert done.returncode == 0, done.stderr
    assert (folder / "alice.pem").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o077 == 0
    assert "PRIVATE" not in ring.read_text()
    listed = json.loads(run("list", "--json").stdout)
    (key,) = listed["keys"]
    assert (key["name"], key["roles"], key["in_force"], key["here"]) == (
        "alice",
        ["release", "index"],
        True,
        True,
    )
    signers = load_signers(load_keyring(ring), folder=folder, environment={})
    assert len(signers.of("release", TODAY)) == 1
    with pytest.raises(SignError, match="needed for the role root"):
        signers.of("root", TODAY)


def test_a_name_is_used_once_and_no_private_key_is_overwritten(run: Run, ring: Path, folder: Path) -> None:
    run("new", "alice")
    before = ring.read_text(), (folder / "alice.pem").read_bytes()
    done = run("new", "alice")
    assert (done.returncode, "has a key 'alice' already" in done.stderr) == (1, True)
    ring.unlink()
    done = run("new", "alice")
    assert (done.returncode, "there is a private key" in done.stderr) == (1, True)
    assert not ring.exists()
    assert (folder / "alice.pem").read_bytes() == before[1]


def test_a_private_key_does_not_go_into_a_checkout(run: Run, ring: Path, tmp_path: Path) -> None:
    (tmp_path / "checkout" / ".git").mkdir(parents=True)
    inside = tmp_path / "checkout" / "keys"
    done = run("new", "alice", "--folder", str(inside))
    assert (done.returncode, "a private key does not belong there" in done.stderr) == (1, True)
    assert not ring.exists()
    assert not inside.exists()


def test_rotation_ends_the_old_key_after_an_overlap(run: Run, ring: Path, folder: Path) -> None:
    run("new", "alice", "--until", "2100-01-01")
    assert run("rotate", "alice", "--overlap", "10").returncode == 0
    keyring = load_keyring(ring)
    old, new = keyring.keys
    assert (new.name, new.roles) == ("alice-2", old.roles)
    assert old.until == TODAY.date() + timedelta(days=10)
    assert [key.name for key in keyring.in_force("root", TODAY.date())] == ["alice", "alice-2"]
    assert [key.name for key in keyring.in_force("root", TODAY.date() + timedelta(days=11))] == ["alice-2"]
    run("rotate", "alice-2", "--revoke", "a laptop was stolen")
    keyring = load_keyring(ring)
    assert [key.name for key in keyring.keys] == ["alice", "alice-2", "alice-3"]
    assert keyring.keys[1].fault(TODAY.date()) == f"revoked on {TODAY.date()} (a laptop was stolen)"
    assert keyring.keys[1].id not in load_signers(keyring, folder=folder, environment={}).held
    done = run("rotate", "alice-2")
    assert (done.returncode, "was revoked" in done.stderr) == (1, True)
    listed = run("list").stdout
    assert "revoked on" in listed
    assert "signers needed: root 1, release 1, index 1" in listed


def test_an_encrypted_key_needs_its_passphrase(run: Run, ring: Path, folder: Path) -> None:
    run("new", "alice", WHEELMILL_KEY_PASSPHRASE="open sesame")
    assert b"ENCRYPTED" in (folder / "alice.pem").read_bytes()
    keyring = load_keyring(ring)
    for words in ({}, {"WHEELMILL_KEY_PASSPHRASE": "wrong"}):
        with pytest.raises(SignError):
            load_signers(keyring, folder=folder, environment=words)
    words = {"WHEELMILL_KEY_PASSPHRASE": "open sesame"}
    assert load_signers(keyring, folder=folder, environment=words).held


def test_a_key_that_others_can_read_is_not_used(run: Run, ring: Path, folder: Path) -> None:
    run("new", "alice")
    (folder / "alice.pem").chmod(0o640)
    with pytest.raises(SignError, match=r"can be read by others \(mode 0640\)"):
        load_signers(load_keyring(ring), folder=folder, environment={})


def test_a_key_can_come_from_the_environment_and_has_to_be_the_right_one(
    run: Run, ring: Path, folder: Path
) -> None:
    run("new", "alice")
    run("new", "bob.2")
    keyring = load_keyring(ring)
    assert variable("bob.2") == "WHEELMILL_KEY_BOB_2"
    texts = {name: (folder / f"{name}.pem").read_text() for name in ("alice", "bob.2")}
    nowhere = folder / "nowhere"
    environment = {"WHEELMILL_KEY_BOB_2": texts["bob.2"]}
    found = load_signers(keyring, folder=nowhere, environment=environment)
    assert list(found.held) == [keyring.named("bob.2").id]
    for text in (texts["alice"], "no key at all"):
        with pytest.raises(SignError, match=r"\$WHEELMILL_KEY_BOB_2 is not the private key of bob"):
            load_signers(keyring, folder=nowhere, environment={"WHEELMILL_KEY_BOB_2": text})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema: 1", "schema: 2", "schema: 1"),
        ("root: 1", "root: 0", "thresholds: root is 0"),
        ("  index: 1\n", "", "thresholds names root, release, index"),
        ("name: alice", "name: Alice!", "name 'Alice!'"),
        ("- release", "- admin", "roles are some of"),
        ("from: '", "from: 'x", "its dates are written as"),
        ("from: '20", "from: '30", "before it begins"),
        ("  until:", "  color: red\n  until:", "an unknown field color"),
        ("keys:", "keys: !!python/object:os.system", "is no keyring"),
        ("  until:", "  revoked: yes\n  until:", "revoked has the date"),
    ],
)
def test_a_keyring_that_is_not_in_order_is_not_trusted(
    run: Run, ring: Path, old: str, new: str, message: str
) -> None:
    run("new", "alice")
    text = ring.read_text()
    assert old in text
    ring.write_text(text.replace(old, new, 1))
    with pytest.raises(KeyringError) as caught:
        load_keyring(ring)
    assert message in caught.value.message


def test_an_id_or_key_that_was_changed_is_not_trusted(run: Run, ring: Path) -> None:
    run("new", "alice")
    key = load_keyring(ring).keys[0]
    text = ring.read_text()
    ring.write_text(text.replace(key.public, key.public[::-1]))
    with pytest.raises(KeyringError, match="its public key has"):
        load_keyring(ring)
    row = text[text.index("- name") :]
    ring.write_text(text + row)
    with pytest.raises(KeyringError, match="two keys have the name alice"):
        load_keyring(ring)
    ring.write_text(text)
    ring.write_bytes(b"\xff" + b"x" * 100)
    with pytest.raises(KeyringError):
        load_keyring(ring)


def test_the_projects_keyring_is_in_order() -> None:
    assert load_keyring(PROJECT / "release" / "keys.yaml").thresholds == {"root": 1, "release": 1, "index": 1}
