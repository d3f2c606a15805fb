"""`wheelmill verify` as users call it: what it says, what it refuses, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from wheelmill.errors import WheelmillError
from wheelmill.publish.index import WheelRecord, build_index
from wheelmill.publish.sign import load_keyring, sign_root, verify_index, verify_release
from wheelmill.publish.sign.keys import write_keyring

from tests.sign import small
from tests.sign.small import DAY, NOW, Ring
from tests.wheels import Draft

PROJECT = Path(__file__).parents[2]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def ring(tmp_path: Path) -> Ring:
    ring = small.one_key(tmp_path / "keys.yaml")
    write_keyring(ring.keyring)
    return ring


@pytest.fixture
def release(tmp_path: Path, ring: Ring) -> Path:
    return small.make_release(tmp_path / "release", ring.signers())


@pytest.fixture
def run(tmp_path: Path, ring: Ring) -> Run:
    """`wheelmill verify WORDS` with that keyring, and a home of its own."""

    def call(*words: str | Path, keyring: Path | None = ring.path) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
        environment |= {"WHEELMILL_KEYRING": str(keyring)} if keyring else {}
        command = [sys.executable, "-m", "wheelmill", "verify", *map(str, words)]
        return subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    return call


def test_a_release_and_a_wheel(run: Run, release: Path) -> None:
    done = run(release, "--on", "2026-11-28")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("verified: release release (12 files, 3 wheels)\n")
    assert "signed     2026-11-28 12:00 UTC by alice" in done.stdout
    assert "note       torch_npu-9.1.0.post1" in done.stdout
    wheel = next(release.glob("torch_npu-*-cp311-*.whl"))
    told = json.loads(run(wheel, "--on", "2026-11-28", "--json").stdout)
    assert (told["verified"], told["kind"], told["signers"]) == (True, "wheel", ["alice"])
    assert told["facts"]["cell"] == "v9.1.0-5.0/3.11/x86_64"


def test_a_waiver_is_told_in_words(run: Run, ring: Ring, tmp_path: Path) -> None:
    waiver = {"reason": "A last one.", "until": "2027-11-28"}
    folder = small.make_release(tmp_path / "waived", ring.signers(), extra={"waiver": waiver})
    assert "waiver     reason A last one.; until 2027-11-28\n" in run(folder, "--on", "2026-11-28").stdout


def test_a_refusal_says_expected_found_and_what_to_do(run: Run, release: Path) -> None:
    wheel = next(release.glob("*.whl"))
    small.flip(wheel, 100)
    done = run(release, "--on", "2026-11-28", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert (told["verified"], told["what"]) == (False, wheel.name)
    assert told["expected"].startswith("SHA-256 ")
    assert f"error: {wheel.name}: expected SHA-256" in done.stderr
    assert "download it again" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_index_and_a_rollback_of_it(run: Run, ring: Ring, tmp_path: Path) -> None:
    trees = [tmp_path / name for name in ("older", "newer")]
    wheel = WheelRecord.from_wheel(Draft().write(tmp_path), NOW)
    for number, tree in enumerate(trees):
        build_index([wheel], tree, seal=sign_root(ring.signers(), NOW + number * DAY, NOW + 30 * DAY))
    assert run(trees[1], "--on", "2026-11-30").returncode == 0
    done = run(trees[0], "--on", "2026-11-30")
    assert (done.returncode, "an older one" in done.stderr) == (1, True)
    assert run(trees[0], "--on", "2026-11-30", "--state", tmp_path / "other").returncode == 0
    done = run(trees[1], "--on", "2027-01-30")
    assert (done.returncode, "an expired one" in done.stderr) == (1, True)


def test_what_is_none_of_the_three(run: Run, ring: Ring, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "unsigned" / "simple").mkdir(parents=True)
    for path, words in (
        (tmp_path / "nothing", "found nothing"),
        (tmp_path / "empty", "a folder without any of their files"),
        (ring.path, "found a file"),
        (tmp_path / "nothing.whl", "No such file"),
        (tmp_path / "unsigned", "expected an index with metadata/"),
    ):
        done = run(path)
        assert (done.returncode, words in done.stderr) == (1, True), done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["release", "index", "keyring"])
def test_a_pipe_in_the_place_of_a_file_holds_nobody(
    ring: Ring, release: Path, tmp_path: Path, kind: str
) -> None:
    """Each file of what is verified in turn; who could write there could keep its readers waiting."""
    tree = tmp_path / "index"
    wheel = WheelRecord.from_wheel(Draft().write(tmp_path), NOW)
    build_index([wheel], tree, seal=sign_root(ring.signers(), NOW, NOW + 30 * DAY))
    folder = {"release": release, "index": tree, "keyring": ring.path}[kind]
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else [folder]
    assert len(files) > 8 or kind == "keyring"

    def verify() -> None:
        keyring = load_keyring(ring.path)
        if kind == "release":
            verify_release(release, keyring, NOW)
        else:
            verify_index(tree, keyring, NOW, tmp_path / "state")

    verify()
    for path in files:
        content = path.read_bytes()
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(WheelmillError):
            verify()
        path.unlink()
        path.write_bytes(content)


def test_without_a_checkout_no_key_is_made_in_the_package(tmp_path: Path) -> None:
    lonely = tmp_path / "compat.yaml"
    lonely.write_bytes((PROJECT / "matrix" / "compat.yaml").read_bytes())
    environment = {name: value for name, value in os.environ.items() if name != "WHEELMILL_KEYRING"}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": str(PROJECT / "release")}
    for words in (["new", "alice"], ["rotate", "alice"]):
        done = subprocess.run(
            [sys.executable, "-m", "wheelmill", "--matrix", str(lonely), "keys", *words],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert (done.returncode, "name a keyring with --keyring" in done.stderr) == (1, True), done.stderr
    assert sorted(path.name for path in tmp_path.rglob("*.pem")) == []


def test_without_a_key_nothing_is_verified(run: Run, release: Path, tmp_path: Path) -> None:
    done = run(release, keyring=None)  # the project's own, which has none yet
    assert (done.returncode, "has no key yet" in done.stderr) == (1, True)
    done = run(release, keyring=tmp_path / "absent.yaml")
    assert (done.returncode, "cannot be read" in done.stderr) == (1, True)


def test_a_wheel_that_cannot_be_rebuilt_here_says_why(run: Run, release: Path) -> None:
    done = run(next(release.glob("torch_npu-*.whl")), "--on", "2026-11-28", "--rebuild")
    assert done.returncode == 4
    assert done.stdout.startswith("verified: wheel")
    assert "which" in done.stderr
    assert "does not have" in done.stderr  # the matrix has no such line
