"""A signed index: what TUF's specification calls attacks, each of them refused."""

from __future__ import annotations

import itertools
import json
import shutil
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata
from tuf.ngclient import Updater
from wheelmill.publish.sign import SignError, VerifyError, sign_root, verify_index
from wheelmill.publish.sign.root import to_bytes

from tests.sign import small
from tests.sign.small import DAY, NOW, Ring

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
    """Publish an index of these wheels after the last one; its tree."""
    trees: list[Path] = []
    number = itertools.count()

    def make(*wheels: str, now: datetime = NOW, expires: datetime = EXPIRES, by: Ring = ring) -> Path:
        tree = tmp_path / f"tree-{next(number)}"
        for name in wheels:
            path = tree / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"wheel {name}")
        (tree / "simple").mkdir(parents=True)
        (tree / "simple" / "index.html").write_text(" ".join(wheels))
        sign_root(tree, by.signers(), now, expires, previous=trees[-1] if trees else None)
        trees.append(tree)
        return tree

    return make


def refused(index: Path, ring: Ring, state: Path | None, now: datetime = NOW) -> str:
    with pytest.raises(VerifyError) as caught:
        verify_index(index, ring.keyring, now, state)
    assert caught.value.hint
    return caught.value.message


def test_an_index_is_verified_also_through_its_link(publish: Publish, ring: Ring, state: Path) -> None:
    tree = publish("a-1.0-py3-none-any.whl")
    (link := tree.with_name("index")).symlink_to(tree.name)
    found = verify_index(link, ring.keyring, NOW, state)
    assert (found.signers, found.on, list(found.wheels)) == (("alice",), NOW, ["a-1.0-py3-none-any.whl"])
    newer = publish("a-1.0-py3-none-any.whl", "b-1.0-py3-none-any.whl", now=NOW + DAY)
    assert verify_index(newer, ring.keyring, NOW + DAY, state).on == NOW + DAY
    verify_index(newer, ring.keyring, NOW + DAY, state)


# ------------------------------------------------------------------------- the attacks of TUF's specification
def test_rollback_to_an_older_index_is_refused(publish: Publish, ring: Ring, state: Path) -> None:
    older = publish("a-1.0-py3-none-any.whl")
    newer = publish("a-1.0-py3-none-any.whl", "a-1.1-py3-none-any.whl", now=NOW + DAY)
    verify_index(older, ring.keyring, NOW + DAY, state)
    verify_index(newer, ring.keyring, NOW + DAY, state)
    message = refused(older, ring, state, NOW + DAY)
    assert "found an older one" in message
    verify_index(newer, ring.keyring, NOW + DAY, state)  # what was remembered is not lost by that
    verify_index(older, ring.keyring, NOW + DAY, None)  # who remembers nothing cannot tell


def test_an_index_made_again_after_a_lost_tree_is_no_rollback(
    publish: Publish, ring: Ring, state: Path, tmp_path: Path
) -> None:
    verify_index(publish("a-1.0-py3-none-any.whl"), ring.keyring, NOW, state)
    fresh = tmp_path / "fresh"
    (fresh / "simple").mkdir(parents=True)
    sign_root(fresh, ring.signers(), NOW + DAY, EXPIRES)
    verify_index(fresh, ring.keyring, NOW + DAY, state)


def test_freezing_an_index_ends_with_its_expiry(publish: Publish, ring: Ring, state: Path) -> None:
    tree = publish("a-1.0-py3-none-any.whl")
    verify_index(tree, ring.keyring, EXPIRES - timedelta(seconds=1), state)
    assert "found an expired one" in refused(tree, ring, state, EXPIRES)
    assert "found an expired one" in refused(tree, ring, None, EXPIRES + 5 * DAY)


@pytest.mark.parametrize("file", ["timestamp.json", "snapshot.json", "targets.json"])
def test_metadata_of_two_indexes_cannot_be_mixed(
    publish: Publish, ring: Ring, state: Path, file: str
) -> None:
    first = publish("a-1.0-py3-none-any.whl")
    second = publish("a-1.0-py3-none-any.whl", "a-1.1-py3-none-any.whl", now=NOW + DAY)
    for into, other in ((first, second), (second, first)):
        kept = (into / "metadata" / file).read_bytes()
        shutil.copy(other / "metadata" / file, into / "metadata" / file)
        refused(into, ring, state, NOW + DAY)
        (into / "metadata" / file).write_bytes(kept)
        verify_index(into, ring.keyring, NOW + DAY, None)


def test_pages_and_files_of_two_indexes_cannot_be_mixed(publish: Publish, ring: Ring, state: Path) -> None:
    first = publish("a-1.0-py3-none-any.whl")
    second = publish("a-1.1-py3-none-any.whl", now=NOW + DAY)
    shutil.copy(first / "simple" / "index.html", second / "simple" / "index.html")
    assert refused(second, ring, state, NOW + DAY).startswith("simple/index.html: expected SHA-256")
    shutil.copytree(first / "files", first / "metadata" / "files")
    assert "1 that nobody signed: metadata/files/a-1.0" in refused(first, ring, state)


def test_arbitrary_files_are_refused(publish: Publish, ring: Ring, state: Path) -> None:
    tree = publish("a-1.0-py3-none-any.whl")
    small.flip(tree / "files" / "a-1.0-py3-none-any.whl", 0)
    assert "expected SHA-256" in refused(tree, ring, state)


def test_a_wrong_key_is_refused(publish: Publish, ring: Ring, state: Path, tmp_path: Path) -> None:
    tree = publish("a-1.0-py3-none-any.whl")
    other = small.one_key(tmp_path / "other.yaml")
    message = refused(tree, other, state)
    assert "found the unknown key" in message
    sign_root(_without_metadata(tree), other.signers(), NOW, EXPIRES)
    assert f"the unknown key {other.keys[0].id[:16]}" in refused(tree, ring, state)


def _without_metadata(tree: Path) -> Path:
    shutil.rmtree(tree / "metadata")
    return tree


def test_a_revoked_key_is_refused(publish: Publish, ring: Ring, state: Path) -> None:
    tree = publish("a-1.0-py3-none-any.whl")
    ring.revoke("alice")
    assert "alice, revoked on 2026-11-28 (a laptop was stolen)" in refused(tree, ring, state)


@pytest.mark.parametrize("role", ["release", "index"])
def test_a_revoked_key_of_one_role_is_refused(tmp_path: Path, state: Path, role: str) -> None:
    """The root is in order; what another role signed is not."""
    ring = Ring(tmp_path / "keys.yaml")
    for name in ("root", "release", "index"):
        ring.add(name, (name,))
    tree = tmp_path / "tree"
    (tree / "simple").mkdir(parents=True)
    (tree / "simple" / "index.html").write_text("")
    sign_root(tree, ring.signers(), NOW, EXPIRES)
    assert verify_index(tree, ring.keyring, NOW, state).signers == ("index", "release", "root")
    ring.revoke(role)
    assert f"{role}, revoked on" in refused(tree, ring, state)


def test_an_expired_key_is_refused(publish: Publish, ring: Ring, state: Path) -> None:
    ring.change("alice", until=(NOW + 10 * DAY).date())
    tree = publish("a-1.0-py3-none-any.whl")
    verify_index(tree, ring.keyring, NOW + 10 * DAY, state)
    assert "alice, expired on 2026-12-08" in refused(tree, ring, state, NOW + 11 * DAY)
    with pytest.raises(SignError, match="alice expired on 2026-12-08"):
        publish("a-1.0-py3-none-any.whl", now=NOW + 11 * DAY)


def test_fast_forward_is_recovered_from_by_new_keys(
    publish: Publish, ring: Ring, state: Path, tmp_path: Path
) -> None:
    """Who stole a key signed a version far ahead, so that nothing newer would be taken."""
    ring.change("alice", until=(NOW + 4000 * DAY).date())
    honest = publish("a-1.0-py3-none-any.whl")
    ahead = _without_metadata(small.copy(honest, tmp_path / "ahead"))
    sign_root(ahead, ring.signers(), NOW + 3000 * DAY, NOW + 3001 * DAY)  # not its real time
    verify_index(ahead, ring.keyring, NOW + DAY, state)
    later = publish("a-1.1-py3-none-any.whl", now=NOW + DAY)
    assert "found an older one" in refused(later, ring, state, NOW + DAY)
    ring.add("bob")
    ring.revoke("alice")
    cured = publish("a-1.1-py3-none-any.whl", now=NOW + 2 * DAY)
    assert verify_index(cured, ring.keyring, NOW + 2 * DAY, state).signers == ("bob",)


@pytest.mark.parametrize("file", ["1.root.json", "timestamp.json", "snapshot.json", "targets.json"])
def test_endless_metadata_are_not_read_to_their_end(
    publish: Publish, ring: Ring, state: Path, file: str
) -> None:
    tree = publish("a-1.0-py3-none-any.whl")
    with (tree / "metadata" / file).open("r+b") as stream:
        stream.truncate(1 << 40)
    refused(tree, ring, state)


def test_an_endless_file_is_not_read(publish: Publish, ring: Ring, state: Path) -> None:
    tree = publish("a-1.0-py3-none-any.whl")
    with (tree / "files" / "a-1.0-py3-none-any.whl").open("r+b") as stream:
        stream.truncate(1 << 40)
    assert f"found {1 << 40} bytes" in refused(tree, ring, state)


def test_extra_and_missing_files_are_refused(publish: Publish, ring: Ring, state: Path) -> None:
    tree = publish("a-1.0-py3-none-any.whl")
    for path in [path for path in tree.rglob("*") if path.is_file()]:
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
    tree = publish("a-1.0-py3-none-any.whl")
    for path in (tree / "files" / "a-1.0-py3-none-any.whl", tree / "simple", tree / "metadata"):
        moved = path.rename(tmp_path / "elsewhere")
        path.symlink_to(moved)
        refused(tree, ring, state)
        path.unlink()
        moved.rename(path)
    verify_index(tree, ring.keyring, NOW, state)


def test_every_byte_of_the_metadata_counts(publish: Publish, ring: Ring, state: Path) -> None:
    """Also of signatures that are more than enough, and of spaces and names that a parser would forgive."""
    ring.add("bob")
    tree, keyring = publish("a-1.0-py3-none-any.whl"), ring.keyring
    for path in sorted((tree / "metadata").iterdir()):
        data = path.read_bytes()
        for place in range(0, len(data), 7):
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
    verify_index(publish("a-1.0-py3-none-any.whl"), old.keyring, NOW, state)
    ring.add("bob")
    ring.change("alice", until=(NOW + 2 * DAY).date())
    second = publish("a-1.1-py3-none-any.whl", now=NOW + DAY)
    assert sorted(path.name for path in (second / "metadata").glob("*.root.json")) == [
        "1.root.json",
        "2.root.json",
    ]
    third = publish("a-1.2-py3-none-any.whl", now=NOW + 3 * DAY)
    found = verify_index(third, old.keyring, NOW + 3 * DAY, state)
    assert found.facts["root"] == 3
    assert found.signers == tuple(sorted([ring.keys[1].id[:16]]))  # a key that only the root tells of
    assert verify_index(third, ring.keyring, NOW + 3 * DAY, state).signers == ("bob",)


def test_a_root_that_the_old_keys_did_not_sign_is_not_followed(
    publish: Publish, ring: Ring, state: Path, tmp_path: Path
) -> None:
    tree = publish("a-1.0-py3-none-any.whl")
    verify_index(tree, ring.keyring, NOW, state)
    thief = small.one_key(tmp_path / "thief.yaml")
    forged = tmp_path / "forged"
    shutil.copytree(tree, forged)
    (forged / "metadata").rename(tmp_path / "kept")
    sign_root(forged, thief.signers(), NOW, EXPIRES)
    root = json.loads((forged / "metadata" / "1.root.json").read_text())
    root["signed"]["version"] = 2
    made = Metadata.from_dict(root)
    made.sign(thief.signers().of("root", NOW)[0])
    (forged / "metadata" / "2.root.json").write_bytes(to_bytes(made))
    shutil.copy(tmp_path / "kept" / "1.root.json", forged / "metadata" / "1.root.json")
    refused(forged, ring, state)
    refused(forged, ring, None)


def test_a_root_cannot_change_behind_the_back_of_its_keys(publish: Publish, ring: Ring) -> None:
    publish("a-1.0-py3-none-any.whl")
    ring.add("bob")
    held = dict(ring.held)
    del ring.held[ring.keys[0].id]  # alice's key is elsewhere
    with pytest.raises(SignError, match="not here"):
        publish("a-1.1-py3-none-any.whl", now=NOW + DAY)
    ring.held.update(held)
    publish("a-1.1-py3-none-any.whl", now=NOW + DAY)


def test_a_threshold_of_each_role_is_kept(tmp_path: Path, state: Path) -> None:
    ring = small.one_key(tmp_path / "keys.yaml")
    ring.add("bob")
    for role in ("root", "release", "index"):
        ring.thresholds = {role: 2}
        tree = tmp_path / role
        (tree / "simple").mkdir(parents=True)
        with pytest.raises(SignError, match="2 signer"):
            sign_root(tree, ring.signers("alice"), NOW, EXPIRES)
        sign_root(tree, ring.signers(), NOW, EXPIRES)
        verify_index(tree, ring.keyring, NOW, None)
        for path in (tree / "metadata").iterdir():
            if (path.name, role) in [("timestamp.json", "root"), ("timestamp.json", "release")]:
                continue  # one of its two signatures is enough, and no other file tells how many it had
            data = json.loads(path.read_text())
            data["signatures"].pop()
            kept = path.read_bytes()
            path.write_bytes(to_bytes(Metadata.from_dict(data)))
            refused(tree, ring, None)
            path.write_bytes(kept)


# ------------------------------------------------------------------------------------------------- publishing
def test_a_clock_that_runs_backwards_stops_signing(publish: Publish) -> None:
    publish("a-1.0-py3-none-any.whl")
    with pytest.raises(SignError, match="the clock runs backwards"):
        publish("a-1.1-py3-none-any.whl", now=NOW - DAY)
    with pytest.raises(SignError, match="would expire"):
        publish("a-1.1-py3-none-any.whl", expires=NOW)


def test_two_indexes_within_one_second_rise(publish: Publish, ring: Ring, state: Path) -> None:
    for number in range(3):
        verify_index(publish(f"a-1.{number}-py3-none-any.whl"), ring.keyring, NOW, state)


def test_a_large_index_signs_only_the_bins_that_changed(
    publish: Publish, ring: Ring, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wheelmill.publish.sign.root.MANY", 20)
    wheels = [f"a-1.{number}-py3-none-any.whl" for number in range(30)]
    first = publish(*wheels)
    second = publish(*wheels, "b-1.0-py3-none-any.whl", now=NOW + DAY)
    before, after = (
        {path.name: path.read_bytes() for path in (tree / "metadata").glob("bin-*.json")}
        for tree in (first, second)
    )
    assert len(after) == 256
    assert 1 <= len([name for name in after if after[name] != before[name]]) <= 2  # the wheel, and the page
    assert len(verify_index(first, ring.keyring, NOW, state).wheels) == 30
    assert len(verify_index(second, ring.keyring, NOW + DAY, state).wheels) == 31
    changed = next(name for name in after if after[name] != before[name])
    (second / "metadata" / changed).write_bytes(before[changed])
    refused(second, ring, None, NOW + DAY)


def test_any_tuf_client_can_read_it(publish: Publish, tmp_path: Path) -> None:
    """python-tuf's own client over HTTP, with nothing but the first root."""
    today = datetime.now(NOW.tzinfo)
    tree = publish("a-1.0-py3-none-any.whl", now=today if today > NOW else NOW, expires=today + 30 * DAY)
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
        info = updater.get_targetinfo("files/a-1.0-py3-none-any.whl")
        assert info is not None
        got = Path(updater.download_target(info, str(tmp_path / "got")))
        server.shutdown()
    assert got.read_text() == "wheel a-1.0-py3-none-any.whl"
