"""A signed index: what TUF's specification calls attacks, each of them refused."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import subprocess
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata
from tuf.ngclient import Updater
from wheelmill.publish.index import WheelRecord, build_index, change_index
from wheelmill.publish.sign import SignError, VerifyError, sign_root, verify_index
from wheelmill.publish.sign.root import to_bytes

from tests.sign import small
from tests.sign.small import DAY, NOW, Ring
from tests.wheels import Draft

EXPIRES = NOW + 30 * DAY


@pytest.fixture
def ring(tmp_path: Path) -> Ring:
    return small.one_key(tmp_path / "keys.yaml")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


Publish = Callable[..., Path]


@pytest.fixture
def publish(tmp_path: Path, ring: Ring) -> Publish:
    """Publish an index of these versions of `demo` after the last one; a copy of its tree."""
    out, count = tmp_path / "public" / "index", itertools.count()

    def make(*versions: str, now: datetime = NOW, expires: datetime = EXPIRES, by: Ring = ring) -> Path:
        seal = sign_root(by.signers(), now, expires, previous=out)
        built = build_index([record(tmp_path, version) for version in versions], out, seal=seal)
        copied = tmp_path / f"tree-{next(count)}"
        shutil.copytree(built.tree, copied, ignore=shutil.ignore_patterns("files"))
        shutil.copytree(built.tree / "files", copied / "files")
        return copied

    return make


def record(home: Path, version: str) -> WheelRecord:
    """A wheel of `demo` with a side file."""
    draft = Draft(version=version, files={"demo.py": f"version = {version!r}\n".encode()})
    wheel = draft.write(home / "wheels")
    (side := home / "wheels" / f"{wheel.name}.cdx.json").write_text(f"what is in {version}")
    return WheelRecord.from_wheel(wheel, NOW, sides={".cdx.json": side})


def the_wheel(tree: Path, version: str = "1.0") -> Path:
    (found,) = tree.glob(f"files/*/demo-{version}-py3-none-any.whl")
    return found


def sign_alone(tree: Path, ring: Ring, now: datetime = NOW, expires: datetime = EXPIRES) -> Path:
    """Sign a tree again, as if there had been none before."""
    shutil.rmtree(tree / "metadata")
    (tree / "metadata").mkdir()
    made = sign_root(ring.signers(), now, expires)((tree / "manifest").read_bytes())
    for path, data in made.items():
        (tree / path).write_bytes(data)
    lines = [f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path, data in sorted(made.items())]
    (tree / "sealed").write_text("".join(lines))
    return tree


def refused(index: Path, ring: Ring, state: Path | None, now: datetime = NOW) -> str:
    with pytest.raises(VerifyError) as caught:
        verify_index(index, ring.keyring, now, state)
    assert caught.value.hint
    return caught.value.message


def test_an_index_is_verified_also_through_its_link(publish: Publish, ring: Ring, state: Path) -> None:
    tree = publish("1.0")
    (link := tree.with_name("index")).symlink_to(tree.name)
    found = verify_index(link, ring.keyring, NOW, state)
    assert (found.signers, found.on) == (("alice",), NOW)
    assert list(found.wheels) == ["demo-1.0-py3-none-any.whl"]
    newer = publish("1.0", "2.0", now=NOW + DAY)
    assert verify_index(newer, ring.keyring, NOW + DAY, state).on == NOW + DAY
    verify_index(newer, ring.keyring, NOW + DAY, state)


# ------------------------------------------------------------------------- the attacks of TUF's specification
def test_rollback_to_an_older_index_is_refused(publish: Publish, ring: Ring, state: Path) -> None:
    older = publish("1.0")
    newer = publish("1.0", "1.1", now=NOW + DAY)
    verify_index(older, ring.keyring, NOW + DAY, state)
    verify_index(newer, ring.keyring, NOW + DAY, state)
    message = refused(older, ring, state, NOW + DAY)
    assert "found an older one" in message
    verify_index(newer, ring.keyring, NOW + DAY, state)  # what was remembered is not lost by that
    verify_index(older, ring.keyring, NOW + DAY, None)  # who remembers nothing cannot tell


def test_an_index_made_again_after_a_lost_tree_is_no_rollback(
    publish: Publish, ring: Ring, state: Path, tmp_path: Path
) -> None:
    verify_index(publish("1.0"), ring.keyring, NOW, state)
    fresh = sign_alone(publish("1.0"), ring, NOW + DAY)
    verify_index(fresh, ring.keyring, NOW + DAY, state)


def test_freezing_an_index_ends_with_its_expiry(publish: Publish, ring: Ring, state: Path) -> None:
    tree = publish("1.0")
    verify_index(tree, ring.keyring, EXPIRES - timedelta(seconds=1), state)
    assert "found an expired one" in refused(tree, ring, state, EXPIRES)
    assert "found an expired one" in refused(tree, ring, None, EXPIRES + 5 * DAY)


@pytest.mark.parametrize("file", ["timestamp.json", "snapshot.json", "targets.json"])
def test_metadata_of_two_indexes_cannot_be_mixed(
    publish: Publish, ring: Ring, state: Path, file: str
) -> None:
    first = publish("1.0")
    second = publish("1.0", "1.1", now=NOW + DAY)
    for into, other in ((first, second), (second, first)):
        kept = (into / "metadata" / file).read_bytes()
        shutil.copy(other / "metadata" / file, into / "metadata" / file)
        refused(into, ring, state, NOW + DAY)
        (into / "metadata" / file).write_bytes(kept)
        verify_index(into, ring.keyring, NOW + DAY, None)


def test_pages_of_two_indexes_cannot_be_mixed(publish: Publish, ring: Ring, state: Path) -> None:
    first, second = publish("1.0"), publish("1.1", now=NOW + DAY)
    for path in [path.relative_to(first) for path in (first / "simple" / "demo").iterdir()]:
        kept = (second / path).read_bytes()
        shutil.copy(first / path, second / path)
        assert refused(second, ring, state, NOW + DAY).startswith(f"{path}: expected SHA-256")
        (second / path).write_bytes(kept)
    shutil.copy(first / "manifest", second / "manifest")
    assert refused(second, ring, state, NOW + DAY).startswith("manifest: expected")


def test_arbitrary_files_are_refused(publish: Publish, ring: Ring, state: Path) -> None:
    tree = publish("1.0")
    small.flip(the_wheel(tree), 0)
    assert "expected SHA-256" in refused(tree, ring, state)


def test_a_wrong_key_is_refused(publish: Publish, ring: Ring, state: Path, tmp_path: Path) -> None:
    tree = publish("1.0")
    other = small.one_key(tmp_path / "other.yaml")
    message = refused(tree, other, state)
    assert "found the unknown key" in message
    sign_alone(tree, other)
    assert f"the unknown key {other.keys[0].id[:16]}" in refused(tree, ring, state)


def test_a_revoked_key_is_refused(publish: Publish, ring: Ring, state: Path) -> None:
    tree = publish("1.0")
    ring.revoke("alice")
    assert "alice, revoked on 2026-11-28 (a laptop was stolen)" in refused(tree, ring, state)


@pytest.mark.parametrize("role", ["release", "index"])
def test_a_revoked_key_of_one_role_is_refused(
    publish: Publish, tmp_path: Path, state: Path, role: str
) -> None:
    """The root is in order; what another role signed is not."""
    ring = Ring(tmp_path / "keys.yaml")
    for name in ("root", "release", "index"):
        ring.add(name, (name,))
    tree = publish("1.0", by=ring)
    assert verify_index(tree, ring.keyring, NOW, state).signers == ("index", "release", "root")
    ring.revoke(role)
    assert f"{role}, revoked on" in refused(tree, ring, state)


def test_an_expired_key_is_refused(publish: Publish, ring: Ring, state: Path) -> None:
    ring.change("alice", until=(NOW + 10 * DAY).date())
    tree = publish("1.0")
    verify_index(tree, ring.keyring, NOW + 10 * DAY, state)
    assert "alice, expired on 2026-12-08" in refused(tree, ring, state, NOW + 11 * DAY)
    with pytest.raises(SignError, match="alice expired on 2026-12-08"):
        publish("1.0", now=NOW + 11 * DAY)


def test_fast_forward_is_recovered_from_by_new_keys(
    publish: Publish, ring: Ring, state: Path, tmp_path: Path
) -> None:
    """Who stole a key signed a version far ahead, so that nothing newer would be taken."""
    ring.change("alice", until=(NOW + 4000 * DAY).date())
    honest = publish("1.0")
    ahead = sign_alone(small.copy(honest, tmp_path / "ahead"), ring, NOW + 3000 * DAY, NOW + 3001 * DAY)
    verify_index(ahead, ring.keyring, NOW + DAY, state)
    later = publish("1.1", now=NOW + DAY)
    assert "found an older one" in refused(later, ring, state, NOW + DAY)
    ring.add("bob")
    ring.revoke("alice")
    cured = publish("1.1", now=NOW + 2 * DAY)
    assert verify_index(cured, ring.keyring, NOW + 2 * DAY, state).signers == ("bob",)


@pytest.mark.parametrize("file", ["1.root.json", "timestamp.json", "snapshot.json", "targets.json"])
def test_endless_metadata_are_not_read_to_their_end(
    publish: Publish, ring: Ring, state: Path, file: str
) -> None:
    tree = publish("1.0")
    with (tree / "metadata" / file).open("r+b") as stream:
        stream.truncate(1 << 40)
    refused(tree, ring, state)


def test_an_endless_file_is_not_read(publish: Publish, ring: Ring, state: Path) -> None:
    tree = publish("1.0")
    with (the_wheel(tree)).open("r+b") as stream:
        stream.truncate(1 << 40)
    assert f"found {1 << 40} bytes" in refused(tree, ring, state)


def test_extra_and_missing_files_are_refused(publish: Publish, ring: Ring, state: Path) -> None:
    tree = publish("1.0")
    for path in [path for path in tree.rglob("*") if path.is_file()]:  # pages, metadata, wheel and beside it
        kept = path.read_bytes()
        path.unlink()
        refused(tree, ring, state)
        path.write_bytes(kept)
    for name in ("simple/evil.html", "metadata/evil.json", "metadata/2.root.json.part", "evil"):
        (tree / name).write_text("")
        refused(tree, ring, state)
        (tree / name).unlink()
    verify_index(tree, ring.keyring, NOW, state)


def test_links_are_refused(publish: Publish, ring: Ring, state: Path, tmp_path: Path) -> None:
    tree = publish("1.0")
    wheel = the_wheel(tree)
    for path in (wheel, wheel.parent, tree / "simple", tree / "simple/demo/index.html", tree / "metadata"):
        moved = path.rename(tmp_path / "elsewhere")
        path.symlink_to(moved)
        refused(tree, ring, state)
        path.unlink()
        moved.rename(path)
    verify_index(tree, ring.keyring, NOW, state)


def test_every_byte_of_the_metadata_counts(publish: Publish, ring: Ring, state: Path) -> None:
    """Also of signatures that are more than enough, and of spaces and names that a parser would forgive."""
    ring.add("bob")
    tree, keyring = publish("1.0"), ring.keyring
    for path in sorted((tree / "metadata").iterdir()):
        data = path.read_bytes()
        for place in range(0, len(data), 11):
            small.flip(path, place, 1 << place % 8)
            with pytest.raises(VerifyError):
                verify_index(tree, keyring, NOW, None)
            path.write_bytes(data)
    verify_index(tree, keyring, NOW, None)


# ------------------------------------------------------------------------------------------------ rotation
def test_clients_follow_a_rotation_with_the_keyring_that_they_have(
    publish: Publish, ring: Ring, state: Path
) -> None:
    old = Ring(ring.path, list(ring.keys), dict(ring.held))
    verify_index(publish("1.0"), old.keyring, NOW, state)
    ring.add("bob")
    ring.change("alice", until=(NOW + 2 * DAY).date())
    second = publish("1.1", now=NOW + DAY)
    assert sorted(path.name for path in (second / "metadata").glob("*.root.json")) == [
        "1.root.json",
        "2.root.json",
    ]
    third = publish("1.2", now=NOW + 3 * DAY)
    found = verify_index(third, old.keyring, NOW + 3 * DAY, state)
    assert found.facts["root"] == 3
    assert found.signers == tuple(sorted([ring.keys[1].id[:16]]))  # a key that only the root tells of
    assert verify_index(third, ring.keyring, NOW + 3 * DAY, state).signers == ("bob",)


def test_a_root_that_the_old_keys_did_not_sign_is_not_followed(
    publish: Publish, ring: Ring, state: Path, tmp_path: Path
) -> None:
    tree = publish("1.0")
    verify_index(tree, ring.keyring, NOW, state)
    thief = small.one_key(tmp_path / "thief.yaml")
    first = (tree / "metadata" / "1.root.json").read_bytes()
    forged = sign_alone(tree, thief)
    root = json.loads((forged / "metadata" / "1.root.json").read_text())
    root["signed"]["version"] = 2
    made = Metadata.from_dict(root)
    made.sign(thief.signers().of("root", NOW)[0])
    (forged / "metadata" / "2.root.json").write_bytes(to_bytes(made))
    (forged / "metadata" / "1.root.json").write_bytes(first)
    refused(forged, ring, state)
    refused(forged, ring, None)


def test_a_root_cannot_change_behind_the_back_of_its_keys(publish: Publish, ring: Ring) -> None:
    publish("1.0")
    ring.add("bob")
    held = dict(ring.held)
    del ring.held[ring.keys[0].id]  # alice's key is elsewhere
    with pytest.raises(SignError, match="not here"):
        publish("1.1", now=NOW + DAY)
    ring.held.update(held)
    publish("1.1", now=NOW + DAY)


@pytest.mark.parametrize("role", ["root", "release", "index"])
def test_a_threshold_of_each_role_is_kept(publish: Publish, ring: Ring, role: str) -> None:
    ring.add("bob")
    ring.thresholds = {role: 2}
    with pytest.raises(SignError, match="2 signer"):
        sign_root(ring.signers("alice"), NOW, EXPIRES)
    tree = publish("1.0")
    verify_index(tree, ring.keyring, NOW, None)
    for path in (tree / "metadata").iterdir():
        if path.name == "timestamp.json" and role != "index":
            continue  # one of its two signatures is enough, and no other file tells how many it had
        kept, data = path.read_bytes(), json.loads(path.read_text())
        data["signatures"].pop()
        path.write_bytes(to_bytes(Metadata.from_dict(data)))
        refused(tree, ring, None)
        path.write_bytes(kept)


# ------------------------------------------------------------------------------------------------- publishing
def test_a_clock_that_runs_backwards_stops_signing(publish: Publish) -> None:
    publish("1.0")
    with pytest.raises(SignError, match="the clock runs backwards"):
        publish("1.1", now=NOW - 9 * DAY)
    with pytest.raises(SignError, match="would expire"):
        publish("1.1", expires=NOW)


def test_two_indexes_within_one_second_rise(publish: Publish, ring: Ring, state: Path) -> None:
    for number in range(3):
        verify_index(publish(f"1.{number}"), ring.keyring, NOW, state)


def test_an_index_whose_signature_is_refused_is_not_shown(
    publish: Publish, ring: Ring, tmp_path: Path
) -> None:
    publish("1.0")
    ring.revoke("alice")
    out = tmp_path / "public" / "index"
    before = out.readlink()
    with pytest.raises(SignError, match="alice revoked"):
        publish("1.1", now=NOW + DAY)
    assert out.readlink() == before


def test_a_changed_index_is_signed_like_a_built_one(publish: Publish, ring: Ring, tmp_path: Path) -> None:
    publish("1.0")
    out = tmp_path / "public" / "index"
    later = NOW + DAY
    change_index(
        out, add=[record(tmp_path, "1.1")], seal=sign_root(ring.signers(), later, EXPIRES, previous=out)
    )
    assert len(verify_index(out, ring.keyring, later, None).wheels) == 2  # through its links
    change_index(out, yank={"demo-1.1-py3-none-any.whl": "broken"})
    with pytest.raises(VerifyError, match="expected an index with metadata/"):
        verify_index(out, ring.keyring, later, None)


def test_any_tuf_client_can_read_it(publish: Publish, tmp_path: Path) -> None:
    """python-tuf's own client over HTTP, with nothing but the first root."""
    today = datetime.now(NOW.tzinfo)
    tree = publish("1.0", now=today if today > NOW else NOW, expires=today + 30 * DAY)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tree))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        updater = Updater(
            str(tmp_path / "client"),
            f"{url}/metadata/",
            str(tmp_path),
            f"{url}/",
            bootstrap=(tree / "metadata" / "1.root.json").read_bytes(),
        )
        info = updater.get_targetinfo("manifest")
        assert info is not None
        got = Path(updater.download_target(info, str(tmp_path / "got")))
        server.shutdown()
    assert got.read_bytes() == (tree / "manifest").read_bytes()
    command = ["sha256sum", "--check", "--strict", "--quiet", got]
    assert subprocess.run(command, cwd=tree, capture_output=True, check=False).returncode == 0


def test_the_same_index_keeps_its_signatures_while_half_of_their_time_is_left(
    publish: Publish, ring: Ring, tmp_path: Path
) -> None:
    """So that a killed command, and a repair, end in the same tree."""
    publish("1.0")
    out = tmp_path / "public" / "index"
    first = out.readlink()
    publish("1.0", now=NOW + 14 * DAY, expires=EXPIRES + 14 * DAY)
    assert out.readlink() == first
    publish("1.0", now=NOW + 16 * DAY, expires=EXPIRES + 16 * DAY)
    assert out.readlink() != first
    second = out.readlink()
    ring.add("bob")  # another keyring is another root
    publish("1.0", now=NOW + 16 * DAY, expires=EXPIRES + 16 * DAY)
    assert out.readlink() != second
    small.flip(out / "metadata" / "snapshot.json", 90)
    publish("1.0", now=NOW + 16 * DAY, expires=EXPIRES + 16 * DAY)
    verify_index(out, ring.keyring, NOW + 16 * DAY, None)
    small.flip(out / "metadata" / "1.root.json", 3)
    with pytest.raises(SignError, match=r"1\.root\.json of the index shown is damaged"):
        publish("1.0", now=NOW + 17 * DAY)


def test_root_keys_may_be_away_while_the_root_stays(publish: Publish, tmp_path: Path) -> None:
    ring = Ring(tmp_path / "keys.yaml")
    for name in ("root", "release", "index"):
        ring.add(name, (name,))
    publish("1.0", by=ring)
    del ring.held[ring.keys[0].id]
    verify_index(publish("1.1", now=NOW + DAY, by=ring), ring.keyring, NOW + DAY, None)
    ring.add("other", ("index",))
    with pytest.raises(SignError, match="needed for the role root"):
        publish("1.2", now=NOW + 2 * DAY, by=ring)
