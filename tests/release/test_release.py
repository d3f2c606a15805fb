"""A release from the plan to the announcement, what stops it, and what can be done to it afterwards."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pypi_simple import ACCEPT_HTML_ONLY, ACCEPT_JSON_ONLY, PyPISimple
from wheelmill.catalogue.record import read_record
from wheelmill.errors import WheelmillError
from wheelmill.make import assemble, sbom
from wheelmill.publish.index import IndexServer, build_index, read_index
from wheelmill.publish.index import pages as index_pages
from wheelmill.publish.index.records import SideFile
from wheelmill.publish.release import read_back
from wheelmill.publish.release.checks import CHECKS, NotReadyError, title
from wheelmill.publish.release.conductor import plan
from wheelmill.publish.release.folder import SealError
from wheelmill.publish.release.installers import INSTALLERS, InstallError
from wheelmill.publish.release.place import unwritable
from wheelmill.publish.release.repository import Repository
from wheelmill.publish.release.session import ReleaseError, Session, State, Waiver, from_json
from wheelmill.publish.sign import VerifyError, load_keyring, sign_root, verify_index, verify_release
from wheelmill.store import Store
from wheelmill.store.holder import this_owner

from tests.needs import need_root
from tests.release.conftest import ARM, BRANCH, Rig, git, make_rig
from tests.sign.test_identity import Job

Snapshot = Callable[[Path], dict[str, bytes]]
WHEELS = 4  # two cells, and the simulator's wheel of two architectures


def told(rig: Rig) -> str:
    """What `status` says to do next."""
    sessions = rig.conductor().tools.sessions
    return str(sessions.next_command(sessions.current(BRANCH)))


def pages(shown: dict[str, bytes]) -> dict[str, bytes]:
    """Without what is signed anew at each change."""
    return {path: data for path, data in shown.items() if path != "sealed" and "metadata/" not in path}


def listed(rig: Rig, project: str = "torch-npu") -> dict[str, dict[str, object]]:
    """The files of a project in the public index."""
    page = json.loads((rig.into / "simple" / project / "index.v1+json").read_text())
    return {file["filename"]: file for file in page["files"]}


# ---------------------------------------------------------------------------------------------- the whole way
def test_a_line_goes_all_the_way_by_real_pip_and_uv(rig: Rig) -> None:
    rig.installers = INSTALLERS
    session = rig.release()
    assert session.state == "announced"
    assert git(rig.root, "rev-parse", f"{BRANCH}/2.1.0rc1^{{commit}}") == session.commit
    assert git(rig.root, "rev-parse", f"refs/heads/{BRANCH}") == session.commit
    taken = session.facts["verified"]["taken"]
    assert {key: set(by) for key, by in taken.items()} == {
        f"{BRANCH}/3.8/{arch}": {"pip", "uv"} for arch in ("aarch64", "x86_64")
    }
    for key, by in taken.items():
        arch = key.rpartition("/")[2]
        for files in by.values():
            assert [file.partition("-")[0] for file in files] == ["cann_simulator", "torch_npu"]
            assert all(arch in file for file in files), "each machine gets the wheels of its own architecture"
    assert len(listed(rig)) == 2
    assert len(listed(rig, "cann-simulator")) == 2


def test_the_release_folder_has_what_it_says_and_sha256sum_agrees(rig: Rig) -> None:
    session = rig.release()
    folder = Path(session.facts["sealed"]["folder"])
    done = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stdout
    about = json.loads((folder / "release.json").read_text())
    files = {file["name"]: file for file in about["files"]}
    for wheel in (name for name in files if name.endswith(".whl")):
        assert {f"{wheel}.cdx.json", f"{wheel}.intoto.jsonl"} <= set(files)
    notes = {f"release-notes.{form}" for form in ("json", "en.md", "zh.md", "en.html", "zh.html")}
    assert notes == {name for name, file in files.items() if file["kind"] == "notes"}
    assert "支持`mm`" in (folder / "release-notes.zh.md").read_text()
    over = {"release.json", "SHA256SUMS", "release.intoto.jsonl"}
    assert set(files) == {path.name for path in folder.iterdir()} - over
    assert sum(file["kind"] == "adapter" for file in files.values()) == 2
    assert sum(file["kind"] == "simulator" for file in files.values()) == 2
    assert (about["branch"], about["version"], about["stage"]) == (BRANCH, "2.1.0rc1", "maintained")
    assert about["cells"][f"{BRANCH}/3.8/aarch64"]["waived"]["who"] == "farm@example.org"
    assert not any(path.stat().st_mode & 0o222 for path in folder.iterdir()), "nobody writes to a release"


def test_wheels_are_built_from_the_tag_whatever_the_checkout_has_since(rig: Rig) -> None:
    conductor = rig.conductor()
    session = conductor.advance(conductor.start(rig.request()), "tagged")
    rig.write("adapter/src/torch_npu/__init__.py", "later = True\n")
    rig.commit("Later")
    session = conductor.advance(session, "announced")
    for wheel in Path(session.facts["sealed"]["folder"]).glob("torch_npu*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            assert archive.read("torch_npu/__init__.py") == b""


def test_nothing_but_what_was_committed_is_in_the_tree_that_is_built(rig: Rig) -> None:
    """Neither a file that git ignores, nor what a hook of the checkout or its user's line ends make of it."""
    rig.write(".gitignore", ".wheelmill/\n*.so\n")
    rig.commit("Ignore built files")
    repository, folder = Repository(rig.root), rig.home / "tree"
    hook = rig.root / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho evil >> adapter/CMakeLists.txt\n")
    hook.chmod(0o755)
    git(rig.root, "config", "core.autocrlf", "true")
    repository.worktree(folder, repository.head())
    assert (folder / "adapter/CMakeLists.txt").read_bytes() == b"project(small)\n"
    (folder / "adapter/evil.so").write_text("evil")
    repository.worktree(folder, repository.head())
    assert not (folder / "adapter/evil.so").exists()


def test_the_stage_has_an_address_of_its_own_and_nothing_is_public_before(rig: Rig) -> None:
    conductor = rig.conductor()
    session = conductor.advance(conductor.start(rig.request()), "verified")
    with IndexServer(Path(session.facts["staged"]["index"])) as server:
        page = urllib.request.urlopen(f"{server.simple_url}torch-npu/").read().decode()
    assert page.count(".whl</a>") == 2
    assert not rig.into.exists()


def test_a_stage_that_somebody_changed_is_made_again_before_it_is_verified(rig: Rig) -> None:
    """Also where page and wheel were changed to agree."""
    conductor = rig.conductor()
    session = conductor.advance(conductor.start(rig.request()), "staged")
    stage = Path(session.facts["staged"]["index"])
    wheel = next(stage.glob("files/*/torch_npu-*.whl"))
    before = wheel.read_bytes()
    other = before + b"evil"
    old, new = (hashlib.sha256(data).hexdigest() for data in (before, other))
    wheel.unlink()
    wheel.write_bytes(other)
    for page in stage.glob("simple/torch-npu/index*"):
        page.write_text(page.read_text().replace(f'"{old}"', f'"{new}"').replace(f"={old}", f"={new}"))
    conductor.advance(session, "verified")
    assert wheel.read_bytes() == before


def test_every_command_says_what_comes_next_until_nothing_does(rig: Rig) -> None:
    conductor = rig.conductor()
    session = conductor.start(rig.request())
    said = []
    steps: tuple[tuple[State, ...], ...] = (
        ("checked",),
        ("tagged", "built"),
        ("staged",),
        ("verified",),
        ("sealed",),
        ("published", "announced"),
    )
    for states in steps:
        said.append(told(rig).split()[2])
        session = conductor.only(session, states)
    assert said == ["check", "build", "stage", "verify", "seal", "publish"]
    assert told(rig) == "None"


def test_a_step_out_of_order_is_refused_and_the_right_one_named(rig: Rig) -> None:
    conductor = rig.conductor()
    session = conductor.start(rig.request())
    with pytest.raises(ReleaseError, match=r"is planned, it has to be verified first") as caught:
        conductor.only(session, ("sealed",))
    assert "wheelmill release check" in str(caught.value.hint)


def test_a_finished_release_does_nothing_when_it_is_run_again(rig: Rig, snapshot: Snapshot) -> None:
    session = rig.release()
    before, journal = snapshot(rig.into), (rig.home / "journal.jsonl").read_bytes()
    again = rig.conductor().advance(session, "announced")
    assert (snapshot(rig.into), (rig.home / "journal.jsonl").read_bytes()) == (before, journal)
    assert again == session == from_json(json.loads(json.dumps(session.to_json())))
    with pytest.raises(ReleaseError, match="is announced already"):
        rig.conductor().start(rig.request())


def test_a_dry_run_changes_nothing_and_tells_everything(rig: Rig) -> None:
    rig.write("notes.txt", "not committed")
    rig.not_run = {f"{BRANCH}/3.8/aarch64": "no Arm here"}
    made = plan(rig.conductor(), rig.request())
    assert not (rig.home / "journal.jsonl").exists()
    assert git(rig.root, "branch", "--list") == "* main"
    assert [problem.check for problem in made.problems] == ["clean-tree"]
    assert made.to_json()["cells"] == [
        {
            "cell": f"{BRANCH}/3.8/aarch64",
            "not_run": "no Arm here",
            "waived": {"who": ARM.who, "reason": ARM.reason},
        },
        {"cell": f"{BRANCH}/3.8/x86_64", "not_run": None, "waived": None},
    ]


def test_a_dry_run_shows_a_cell_that_can_be_run_as_one_that_is_run(rig: Rig) -> None:
    """A waiver of it changes nothing: it is run, and has to pass."""
    made = plan(rig.conductor(), rig.request(waivers=(replace(ARM, cells="*"),)))
    assert [(cell.not_run, cell.waiver) for cell in made.cells] == [(None, None)] * 2


def test_a_dry_run_of_an_open_session_tells_what_is_left_and_leaves_it_as_it_is(rig: Rig) -> None:
    conductor = rig.conductor()
    conductor.advance(conductor.start(rig.request(waivers=())), "planned")
    journal = (rig.home / "journal.jsonl").read_bytes()
    rig.not_run = {f"{BRANCH}/3.8/aarch64": "no Arm here"}
    fresh = plan(rig.conductor(), rig.request())
    assert (fresh.begun, fresh.steps[0], fresh.problems) == (True, "checked", ())
    assert fresh.cells[0].waiver == ARM, "with the waiver that is given now"
    assert [one.check for one in plan(rig.conductor(), rig.request(waivers=())).problems] == ["cells-are-run"]
    assert (rig.home / "journal.jsonl").read_bytes() == journal
    conductor.advance(conductor.open_or_new(rig.request()), "staged")
    journal = (rig.home / "journal.jsonl").read_bytes()
    rig.write("notes.txt", "not committed")
    left = plan(rig.conductor(), rig.request())
    assert left.steps == ("verified", "sealed", "published", "announced")
    assert left.problems == (), "the sources have been taken: their checks are not done again"
    assert [cell.waiver for cell in left.cells] == [ARM, None]
    assert left.to_json()["begun"] == "staged"
    rig.into.mkdir()
    rig.owner = "bob@build"
    found = plan(rig.conductor(), rig.request()).problems
    assert [one.check for one in found] == ["session", "index-is-ours"]
    assert (rig.home / "journal.jsonl").read_bytes() == journal


def test_a_dry_run_says_no_where_the_run_would(rig: Rig) -> None:
    conductor = rig.conductor()
    conductor.advance(conductor.start(rig.request()), "built")
    with pytest.raises(ReleaseError, match="was begun with signed True, not False"):
        plan(rig.conductor(), rig.request(signed=False, said=frozenset({"signed"})))
    with pytest.raises(ReleaseError, match="its cells have been judged"):
        plan(rig.conductor(), rig.request(waivers=(replace(ARM, who="another"),)))
    with pytest.raises(ReleaseError, match="is built already"):
        plan(rig.conductor(), rig.request(), go_on=False)


def test_a_dry_run_tells_which_cells_need_a_waiver(rig: Rig) -> None:
    rig.not_run = {f"{BRANCH}/3.8/{arch}": "no Python 3.8" for arch in ("x86_64", "aarch64")}
    (problem,) = plan(rig.conductor(), rig.request()).problems
    assert problem.check == "cells-are-run"
    assert problem.message == f"{BRANCH}/3.8/x86_64 cannot be smoke-run here: no Python 3.8"
    assert f"wheelmill release run {BRANCH} --waive '3.8-x86_64=WHO:REASON'" in problem.hint


def test_run_again_takes_the_waiver_that_was_missing_and_nothing_else_on_the_quiet(rig: Rig) -> None:
    rig.not_run = {f"{BRANCH}/3.8/aarch64": "no Python 3.8"}
    conductor = rig.conductor()
    with pytest.raises(NotReadyError):
        conductor.advance(conductor.open_or_new(rig.request(waivers=())), "announced")
    with pytest.raises(ReleaseError, match="was begun with signed True, not False"):
        conductor.open_or_new(rig.request(signed=False, said=frozenset({"signed"})))
    elsewhere = rig.request(into=rig.into.with_name("other"), said=frozenset({"into"}))
    with pytest.raises(ReleaseError, match=r"was begun with into .*public, not .*other"):
        conductor.open_or_new(elsewhere)
    again = conductor.open_or_new(rig.request(into=rig.into, said=frozenset({"into"})))
    assert again.waivers == (ARM,)
    assert conductor.advance(again, "announced").is_public


def test_every_check_has_a_title() -> None:
    assert all(title(name) != name for name in CHECKS)


# ---------------------------------------------------------------------------------------------- what stops it
def refused(rig: Rig, **request: object) -> WheelmillError:
    """The error of a release that must not happen; nothing of it is public, and status has the reason."""
    with pytest.raises(WheelmillError) as caught:
        rig.release(**request)
    assert not rig.into.exists()
    session = rig.session()
    assert session.failure is not None
    assert session.failure.message == caught.value.message
    return caught.value


def problem_of(rig: Rig, **request: object) -> tuple[str, str]:
    """(check, messages with fixes) of the only check that finds something."""
    error = refused(rig, **request)
    assert isinstance(error, NotReadyError), error
    (check,) = {problem.check for problem in error.problems}
    assert git(rig.root, "tag", "--list") == "", "nothing was changed"
    assert rig.session().state == "planned"
    return check, "\n".join(map(str, error.problems))


def test_an_sbom_that_its_schema_refuses_is_not_published(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit looks at it, too; here another builder let it through."""

    def bad(*words: Any) -> bytes:
        document = json.loads(sbom.adapter_sbom(*words))
        document["components"][1]["hashes"] = [{"alg": "SHA-256", "content": "none"}]
        return json.dumps(document).encode()

    monkeypatch.setattr(assemble, "adapter_sbom", bad)
    for signed in (True, False):
        with pytest.raises(SealError, match="SBOMs that nobody could read") as caught:
            rig.release(signed=signed)
        said = caught.value.message
        assert "torch_npu-2.1.0rc1-cp38-cp38-" in said, "which file"
        assert ".whl.cdx.json is not valid CycloneDX: $.components[1].hashes[0].content: 'none'" in said
        assert not (rig.home / "releases").exists()
        assert not rig.into.exists()
        rig.conductor().abort(rig.session(), "a bad SBOM")


# ------------------------------------------------------------------------- where the index is to be written
def place_problem(rig: Rig, into: Path) -> str:
    """What is said of a place before anything is built."""
    with pytest.raises(NotReadyError) as caught:
        rig.release(into=into)
    assert rig.built == []
    (problem,) = caught.value.problems
    assert problem.check == "index-can-be-written"
    assert "name another place with --into" in problem.hint
    return problem.message


def test_an_index_below_a_file_is_told_before_anything_is_built(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert f"{tmp_path}/file is a file" in place_problem(rig, tmp_path / "file" / "below" / "index")


def test_an_index_on_a_full_disk_is_told_before_anything_is_built(rig: Rig, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, "size=2m"):
        assert "has 2 MiB free, and a release needs about 32 MiB" in place_problem(rig, disk / "index")
        assert list(disk.iterdir()) == []


def test_an_index_on_a_read_only_disk_is_told_before_anything_is_built(rig: Rig, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, "ro"):
        assert f"may not write {disk}, which is on a read-only" in place_problem(rig, disk / "new" / "index")


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A small disk of its own, in memory."""
    need_root("mount a disk")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_somebody_else_s_folder_is_told_with_its_owner(rig: Rig, tmp_path: Path) -> None:
    """As another user than root, whom nothing is refused."""
    need_root("become another user")
    theirs, trees = tmp_path / "theirs", tmp_path / "open" / ".index.trees"
    theirs.mkdir(mode=0o755)
    trees.mkdir(parents=True)
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "index").symlink_to(".index.trees/x")
    for folder, mode in ((tmp_path, 0o755), (trees.parent, 0o777), (shared, 0o1777), (theirs, 0o700)):
        folder.chmod(mode)
    said = {folder: as_nobody(folder / "index", tmp_path) for folder in (theirs, trees.parent, shared)}
    assert f"may not write {theirs}, which is root's, mode 0700" in said[theirs]
    assert f"may not write {trees}, which is root's, mode 0755" in said[trees.parent]
    assert "cannot be switched: it is root's" in said[shared]


def as_nobody(into: Path, store: Path) -> str:
    """What another user is told of a place."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            for folder in into.parents[1:]:  # pytest keeps its folders to root
                folder.chmod(folder.stat().st_mode | 0o011)
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(write, "\n".join(message for message, _ in unwritable(into, store, 0)).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    with os.fdopen(read) as stream:
        return stream.read()


def test_another_stage(rig: Rig) -> None:
    rig.now += timedelta(days=365)
    check, said = problem_of(rig)
    assert check == "stage"
    assert "stage-allows-release" in said
    assert "2025-01-14" in said
    assert "waivers:" in said, "it says how to set the rule aside"


def test_a_waiver_in_the_matrix_sets_the_stage_aside_and_is_kept_in_the_release(rig: Rig) -> None:
    waiver = (
        "waivers:\n  - {rule: stage-allows-release, line: v2.1.0-5.0.rc3, version: 2.1.0rc1, "
        "reason: A last one., granted: 2025-01-01, until: 2025-02-01}\nlines:\n"
    )
    rig.matrix.write_text(rig.matrix.read_text().replace("lines:\n", waiver, 1))
    rig.commit("A waiver")
    rig.now += timedelta(days=365)
    made = plan(rig.conductor(), rig.request())
    assert (made.stage, made.waiver and made.waiver["until"]) == ("eol", "2025-02-01")
    folder = Path(rig.release().facts["sealed"]["folder"])
    assert json.loads((folder / "release.json").read_text())["waiver"]["reason"] == "A last one."


@pytest.mark.parametrize("name", ["adapter/CMakeLists.txt", "adapter/new.cpp"])
def test_a_dirty_tree(rig: Rig, name: str) -> None:
    rig.write(name, "changed\n")
    check, said = problem_of(rig)
    assert check == "clean-tree"
    assert name in said


def test_a_matrix_with_a_finding(rig: Rig) -> None:
    rig.matrix.write_text(
        rig.matrix.read_text().replace('pythons: ["3.8"]\n    arches', 'pythons: ["3.11"]\n    arches')
    )
    rig.commit()
    error = refused(rig)
    assert isinstance(error, NotReadyError)
    assert {problem.check for problem in error.problems} == {"matrix-lint"}


def test_a_note_in_one_language(rig: Rig) -> None:
    path = "release/notes/2.1.0rc1.yaml"
    rig.write(path, (rig.root / path).read_text().replace("zh: 支持`mm`。", "zh: ''"))
    rig.commit()
    check, said = problem_of(rig)
    assert check == "notes-complete"
    assert "2.1.0rc1.yaml, line 9" in said


def test_a_key_that_expired(rig: Rig) -> None:
    assert rig.ring is not None
    rig.ring.change("alice", until=rig.now.date() - timedelta(days=1))
    rig.write("release/keys.yaml", rig.ring.keyring.render())
    rig.commit()
    check, said = problem_of(rig)
    assert check == "signers-ready"
    assert "alice expired on 2024-01-14" in said
    assert "--unsigned" in said


def test_an_identity_that_is_not_there(rig: Rig) -> None:
    error = refused(rig, identity=True)
    assert "needs an OIDC identity" in str(error)
    assert "leave --identity out" in str(error)


def attested(rig: Rig) -> Session:
    """A release with attestations, up to where its index has an address: that of a server in front of it."""
    rig.attestor = Job
    with Ill(rig, 200, "no path"):
        return rig.release(identity=True)


def test_attestations_of_an_identity_are_linked_by_the_pages(rig: Rig) -> None:
    """As PEP 740 asks, and a client library finds them from the page of every root, in HTML and in JSON."""
    session = attested(rig)
    assert len([file for file in session.files if file.kind == "attestation"]) == WHEELS
    assert session.facts["announced"]["files"] == 2 * WHEELS, "they were read back, too"
    keyring = load_keyring(rig.root / "release/keys.yaml")
    verify_release(rig.home / "releases" / BRANCH / "2.1.0rc1", keyring, rig.now)
    verify_index(rig.into, keyring, rig.now, None)
    with IndexServer(rig.into, port=urllib.parse.urlsplit(session.address).port) as server:
        for root in ("", f"line/{BRANCH}/"):
            for accept in (ACCEPT_HTML_ONLY, ACCEPT_JSON_ONLY):
                client = PyPISimple(f"{server.url}/{root}simple/", accept=accept)
                packages = client.get_project_page("torch-npu").packages
                assert len(packages) == WHEELS // 2
                for package in packages:
                    found = client.get_provenance(package)
                    said = found["attestation_bundles"][0]["attestations"][0]["envelope"]["statement"]
                    subject = json.loads(base64.b64decode(said))["subject"][0]
                    assert subject["name"] == package.filename
                    assert subject["digest"]["sha256"] == package.digests["sha256"]


def test_an_index_keeps_the_address_that_was_named_last(rig: Rig) -> None:
    address = attested(rig).address
    rig.attestor, rig.read_url = Rig.attestor, None
    rig.later(hours=1)
    rig.raise_version("2.1.0rc2", BRANCH)
    rig.release()
    linked = {name: file.get("provenance") for name, file in listed(rig).items()}
    assert {name: url is not None for name, url in linked.items()} == {name: "rc1" in name for name in linked}
    assert all(str(url).startswith(f"{address}files/") for url in linked.values() if url is not None)


@pytest.mark.parametrize("url", [None, "http://pypi.example.org/simple/"])
def test_attestations_that_no_page_could_link(rig: Rig, url: str | None) -> None:
    rig.attestor, rig.read_url = Job, url
    check, said = problem_of(rig, identity=True)
    assert check == "identity-ready"
    assert "whole URL of https" in said


@pytest.mark.parametrize("where", ["page", "object"])
def test_an_index_with_attestations_of_something_else(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Signed as it is, so that nothing but the attestations can be what is refused."""
    attested(rig)
    records, keyring = read_index(rig.into), rig.ring.keyring  # type: ignore[union-attr]
    seal = sign_root(rig.conductor().tools.how.signers(), rig.now, rig.now + timedelta(days=9), previous=None)
    first = next(record for record in records if record.project == "torch-npu")
    if where == "object":
        other = next(record for record in records if record.project != "torch-npu")
        wrong = {side.suffix: side.path for side in first.sides} | {
            side.suffix: side.path for side in other.sides if side.suffix == ".provenance"
        }
        sides = tuple(SideFile.of(suffix, path) for suffix, path in wrong.items() if path is not None)
        records = (replace(first, sides=sides), *(record for record in records if record != first))
    else:
        elsewhere = "https://pypi.example.org/files/0/other.whl.provenance"
        monkeypatch.setattr(index_pages, "provenance_url", lambda record, address: elsewhere)
    out = rig.home / "other"
    build_index(records, out, seal=seal)
    with pytest.raises(VerifyError, match="attestations") as caught:
        verify_index(out, keyring, rig.now, None)
    assert ("provenance at https" in str(caught.value)) == (where == "page")


def test_root_keys_may_be_away_once_the_index_has_its_root(rig: Rig) -> None:
    ring = rig.ring
    assert ring is not None
    ring.keys.clear()
    ring.held.clear()
    ring.add("online", ("release", "index"), since=-2000)
    root = ring.add("safe", ("root",), since=-2000)
    rig.write("release/keys.yaml", ring.keyring.render())
    rig.commit()
    away = ring.held.pop(root.id)
    assert problem_of(rig)[0] == "signers-ready"
    rig.conductor().abort(rig.session(), "the safe is opened first")
    ring.held[root.id] = away
    rig.release()
    del ring.held[root.id]
    session, conductor = rig.session(), rig.conductor()
    assert list(CHECKS["signers-ready"](conductor.tools.case(session))) == []
    rig.later(days=20)
    shown = conductor.repair(rig.into)
    assert shown is not None
    assert shown.changed, "it is signed again, by the online key alone"


def test_without_signatures_only_when_asked_for(rig: Rig) -> None:
    assert rig.ring is not None
    rig.ring.held.clear()
    assert problem_of(rig)[0] == "signers-ready"
    rig.conductor().abort(rig.session(), "no keys")
    folder = Path(rig.release(signed=False).facts["sealed"]["folder"])
    assert json.loads((folder / "release.json").read_text())["signed"] is False
    assert not list(folder.glob("*.intoto.jsonl"))
    assert len(list(folder.glob("*.cdx.json"))) == WHEELS


def test_the_index_is_signed_and_signed_again_before_it_expires(rig: Rig, tmp_path: Path) -> None:
    rig.release()
    keyring, state = load_keyring(rig.root / "release/keys.yaml"), tmp_path / "state"
    first = verify_index(rig.into, keyring, rig.now, state)
    assert len(first.wheels) == WHEELS
    rig.later(days=10)
    shown = rig.conductor().repair(rig.into)
    assert shown is not None
    assert not shown.changed, "its signatures hold for some time"
    rig.later(days=10)
    rig.conductor().repair(rig.into)
    rig.later(days=20)
    again = verify_index(rig.into, keyring, rig.now, state)
    assert again.facts["version"] > first.facts["version"]
    with pytest.raises(VerifyError):
        verify_index(rig.into, keyring, rig.now + timedelta(days=20), state)


def test_a_rotated_key_signs_the_index_with_the_next_resume(rig: Rig, tmp_path: Path) -> None:
    """As docs/release.md says: both sign, users follow with the keyring that they had."""
    rig.release()
    old, state = load_keyring(rig.root / "release/keys.yaml"), tmp_path / "state"
    assert verify_index(rig.into, old, rig.now, state).signers == ("alice",)
    rig.later(hours=1)
    rig.add_key("bob")
    rig.commit("Bob signs, too")
    shown = rig.conductor().repair(rig.into)
    assert shown is not None
    assert shown.changed
    found = verify_index(rig.into, old, rig.now, state)
    assert found.facts["root"] == 2
    assert len(found.signers) == 2
    again = rig.conductor().repair(rig.into)
    assert again is not None
    assert not again.changed, "once is enough"


def test_after_a_revocation_resume_signs_the_index_without_that_key(rig: Rig, tmp_path: Path) -> None:
    assert rig.ring is not None
    rig.release()
    rig.later(hours=1)
    rig.add_key("bob")
    rig.ring.change("alice", revoked=rig.now.date(), reason="stolen")
    rig.write("release/keys.yaml", rig.ring.keyring.render())
    rig.commit("Alice's key was stolen")
    new = load_keyring(rig.root / "release/keys.yaml")
    with pytest.raises(VerifyError, match="revoked"):
        verify_index(rig.into, new, rig.now, tmp_path / "state")
    rig.conductor().repair(rig.into)
    assert verify_index(rig.into, new, rig.now, tmp_path / "state").signers == ("bob",)


def test_an_index_has_a_root_for_the_line_and_one_for_its_cann(rig: Rig) -> None:
    rig.release()
    roots = {path.parent.relative_to(rig.into).as_posix() for path in rig.into.rglob("simple")}
    assert {".", f"line/{BRANCH}", "pre-release", "cann-7.0.rc1"} <= roots
    for root in (f"line/{BRANCH}", "cann-7.0.rc1"):
        shown = {path.name for path in (rig.into / root / "simple").iterdir() if path.is_dir()}
        assert shown == {"torch-npu", "cann-simulator"}


def test_an_unsigned_release_is_not_mixed_with_signed_ones(rig: Rig) -> None:
    rig.release()
    rig.later(hours=1)
    rig.raise_version("2.1.0rc2", BRANCH)
    with pytest.raises(ReleaseError, match="has signed releases, and"):
        rig.release(signed=False)
    assert {name.split("-")[1] for name in listed(rig)} == {"2.1.0rc1"}


def test_a_damaged_index_is_repaired_by_name(rig: Rig, snapshot: Snapshot) -> None:
    rig.release()
    before = snapshot(rig.into)
    wheel = next(rig.into.glob("files/*/torch_npu*.whl"))
    wheel.unlink()
    wheel.write_bytes(b"something else")
    shown = rig.conductor().repair(rig.into)
    assert shown is not None
    assert shown.changed
    assert pages(snapshot(rig.into)) == pages(before)


def test_a_release_is_verified_with_the_public_keys_alone(rig: Rig) -> None:
    folder = Path(rig.release().facts["sealed"]["folder"])
    keyring = load_keyring(rig.root / "release/keys.yaml")
    found = verify_release(folder, keyring, rig.now)
    assert (found.signers, len(found.wheels)) == (("alice",), WHEELS)
    assert found.facts["tag"] == f"{BRANCH}/2.1.0rc1"
    assert any("farm@example.org" in text for text in found.warnings), "who answers for the waived cell"
    other = next(folder.glob("release-notes.en.md"))
    other.chmod(0o644)
    other.write_text(other.read_text() + " ")
    with pytest.raises(VerifyError):
        verify_release(folder, keyring, rig.now)


def test_no_note(rig: Rig) -> None:
    (rig.root / "release/notes/2.1.0rc1.yaml").unlink()
    rig.note("2.1.0rc2")  # another version's
    rig.commit()
    check, said = problem_of(rig)
    assert check == "notes-complete"
    assert "2.1.0rc1" in said


def test_a_version_that_does_not_rise(rig: Rig) -> None:
    rig.release()
    rig.raise_version("2.1.0rc0", BRANCH)
    conductor = rig.conductor()
    with pytest.raises(NotReadyError) as caught:
        conductor.advance(conductor.start(rig.request()), "announced")
    assert [problem.check for problem in caught.value.problems] == ["version-rises"]
    assert "2.1.0rc2" in caught.value.problems[0].hint
    assert set(listed(rig)) == {file.name for file in rig.session("2.1.0rc1").files if file.kind == "adapter"}


def test_the_same_version_cannot_be_released_twice(rig: Rig) -> None:
    rig.release()
    with pytest.raises(ReleaseError, match="announced already") as caught:
        rig.conductor().start(rig.request())
    assert "raise the line's `adapter` version" in str(caught.value.hint)


def test_a_tag_at_another_commit(rig: Rig) -> None:
    git(rig.root, "tag", f"{BRANCH}/2.1.0rc1")
    rig.write("adapter/new.cpp", "\n")
    rig.commit()
    with pytest.raises(NotReadyError) as caught:
        rig.release()
    assert [problem.check for problem in caught.value.problems] == ["tag-free"]


def test_a_branch_without_the_commit(rig: Rig) -> None:
    git(rig.root, "branch", BRANCH)
    rig.write("adapter/new.cpp", "\n")
    commit = rig.commit()
    check, said = problem_of(rig, commit=commit)
    assert check == "branch-and-commit"
    assert f"git switch {BRANCH}" in said


def test_a_wheel_that_is_local_only(rig: Rig) -> None:
    rig.releasable = False
    error = refused(rig)
    assert "is local only: it needs manylinux_2_36_x86_64" in error.message
    assert "an older base" in str(error.hint), "what to do about it is no waiver"
    assert told(rig).startswith("wheelmill release build")


def test_a_cell_that_was_not_smoked_needs_somebody_s_name(rig: Rig) -> None:
    error = refused(rig, waivers=())
    assert (
        f"no waiver names who smoke-runs the cells that are not run here:\n  {BRANCH}/3.8/aarch64: another"
        in error.message
    )
    assert "x86_64" not in error.message
    conductor = rig.conductor()
    given = (Waiver.parse("*-aarch64=farm@example.org:runs on Arm"),)
    session = conductor.extend(rig.session(), 7, given)
    assert conductor.advance(session, "announced").state == "announced"


@pytest.mark.parametrize("text", ["3.8-aarch64", "3.8-aarch64=farm", "=farm:why", "3.8-aarch64=:why", "x=y:"])
def test_a_waiver_that_names_nobody(text: str) -> None:
    with pytest.raises(ReleaseError, match="CELL=WHO:REASON"):
        Waiver.parse(text)


def test_a_waiver_for_no_cell(rig: Rig) -> None:
    check, said = problem_of(rig, waivers=(ARM, Waiver("3.9-aarch64", "farm", "why")))
    assert check == "waivers-name-cells"
    assert f"{BRANCH}/3.8/aarch64" in said


def test_a_session_of_a_clock_that_was_ahead_can_be_given_up(rig: Rig) -> None:
    """And then it holds nobody up, neither this line nor others."""
    rig.later(hours=48)
    conductor = rig.conductor()
    session = conductor.advance(conductor.start(rig.request()), "tagged")
    rig.later(hours=-48)
    with pytest.raises(ReleaseError, match="clock runs backwards") as caught:
        conductor.advance(session, "built")
    assert "wheelmill release abort" in (caught.value.hint or "")
    assert conductor.abort(session, "the clock was ahead").canceled is not None
    assert rig.release().state == "announced"


def test_a_clock_that_runs_backwards(rig: Rig) -> None:
    conductor = rig.conductor()
    session = conductor.advance(conductor.start(rig.request()), "sealed")
    rig.later(seconds=-1)
    with pytest.raises(ReleaseError, match=r"clock runs backwards: it says 2024-01-15T11:59:59Z"):
        rig.conductor().advance(session, "announced")
    assert not rig.into.exists()
    assert told(rig).startswith("set the clock of this machine: it says 2024-01-15T11:59:59Z, and a release")
    rig.later(seconds=1)
    assert told(rig).startswith("wheelmill release publish")
    assert rig.conductor().advance(session, "announced").state == "announced"


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_an_index_folder_of_somebody_else(rig: Rig, tmp_path: Path, kind: str) -> None:
    into = tmp_path / "theirs"
    if kind == "folder":
        into.mkdir()
        (into / "index.html").write_text("theirs")
    elif kind == "file":
        into.write_text("theirs")
    else:
        (tmp_path / "elsewhere").mkdir()
        into.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotReadyError) as caught:
        rig.release(into=into)
    assert [problem.check for problem in caught.value.problems] == ["index-is-ours"]
    assert (into / "index.html").exists() == (kind == "folder")


def test_an_index_that_another_store_published_to(rig: Rig, tmp_path: Path, snapshot: Snapshot) -> None:
    other = make_rig(tmp_path / "other")
    other.salt = "other"
    other.release(into=rig.into)
    before = snapshot(rig.into)
    with pytest.raises(NotReadyError) as caught:
        rig.release()
    assert "which no release of" in caught.value.problems[0].message
    assert snapshot(rig.into) == before


def test_an_index_that_became_another_s_after_the_checks(
    rig: Rig, tmp_path: Path, snapshot: Snapshot
) -> None:
    conductor = rig.conductor()
    session = conductor.advance(conductor.start(rig.request()), "sealed")
    other = make_rig(tmp_path / "other")
    other.salt = "other"
    other.release(into=rig.into)
    before = snapshot(rig.into)
    with pytest.raises(ReleaseError, match="which no release of"):
        conductor.advance(session, "announced")
    assert snapshot(rig.into) == before


def test_an_installer_that_does_not_find_the_wheels(rig: Rig) -> None:
    class Blind:
        name = "blind"

        def version(self) -> str:
            return "1"

        def cannot(self, cell: object) -> None:
            return None

        def take(self, cell: object, requirements: object, index_url: str) -> None:
            """Takes nothing."""

    rig.installers = (Blind(),)  # type: ignore[assignment]
    error = refused(rig)
    assert isinstance(error, InstallError)
    assert "nothing was taken from the stage" in error.message


def test_a_sealed_file_that_was_changed(rig: Rig) -> None:
    conductor = rig.conductor()
    session = conductor.advance(conductor.start(rig.request()), "sealed")
    wheel = next(Path(session.facts["sealed"]["folder"]).glob("torch_npu*.whl"))
    wheel.chmod(0o644)
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"X")
    with pytest.raises(ReleaseError, match="is not what was sealed") as caught:
        conductor.advance(session, "announced")
    assert wheel.name in caught.value.message
    assert not rig.into.exists()


def test_what_is_served_differs_from_what_was_sealed(rig: Rig) -> None:
    """As from a cache before the index: it is not announced, and status says that."""
    conductor = rig.conductor()
    session = conductor.advance(conductor.start(rig.request()), "published")
    wheel = next(rig.into.glob("files/*/torch_npu*.whl"))
    data = wheel.read_bytes()
    wheel.unlink()
    wheel.write_bytes(data[:-1])
    with pytest.raises(ReleaseError, match="not what was sealed when it is read back"):
        conductor.advance(session, "announced")
    assert not rig.into.with_name("public.atom").exists()
    assert rig.session().state == "published"
    assert told(rig).startswith("wheelmill release publish")


def test_a_server_that_is_not_there(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_back, "PAUSES", ())
    rig.read_url = "http://127.0.0.1:9/simple"
    with pytest.raises(ReleaseError, match="cannot be read back"):
        rig.release()
    rig.read_url = None
    assert rig.conductor().advance(rig.session(), "announced").state == "announced"


class Ill:
    """A server before the public index that answers badly: `how` is a status, or what becomes of a body.

    Of each path that ends with `what`, the first `times` answers are bad.
    """

    def __init__(self, rig: Rig, how: int | str, what: str, times: int = 1000) -> None:
        self.rig, self.how, self.what, self.times = rig, how, what, times
        self.asked: list[str] = []

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = urllib.parse.unquote(handler.path)
        bad = path.endswith(self.what) and self.asked.count(path) < self.times
        self.asked.append(path)
        if bad and isinstance(self.how, int):
            handler.send_error(self.how)
            return
        file = self.rig.into / path.lstrip("/")
        data = (file / "index.v1+json" if file.is_dir() else file).read_bytes()
        length = len(data)
        if bad and self.how == "half":
            data = data[: length // 2]
        elif bad and self.how == "half, and says so":
            data = data[: length // 2]
            length = len(data)
        elif bad and self.how == "page of a proxy":
            data = b"<html>Please log in</html>"
            length = len(data)
        handler.send_response(200)
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(data)

    def __enter__(self) -> Ill:
        ill = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                ill.answer(self)

            def log_message(self, *words: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.rig.read_url = f"http://127.0.0.1:{self.server.server_port}/simple"
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.parametrize(
    ("how", "what", "said"),
    [
        (500, "/simple/torch-npu/", "/simple/torch-npu/ is answered with 500 Internal Server Error"),
        (503, ".whl", ".whl is answered with 503 Service Unavailable"),
        (404, "_x86_64.whl", "x86_64.whl is answered with 404 Not Found"),
        ("half", "/simple/cann-simulator/", r"/simple/cann-simulator/ ends after \d+ of \d+ bytes"),
        ("half", "_aarch64.whl", r"_aarch64.whl ends after \d+ of \d+ bytes"),
        ("half, and says so", "_aarch64.whl", r"as fetched, not \d+ bytes"),
        ("half, and says so", "/simple/torch-npu/", "is no page of an index in JSON"),
        ("page of a proxy", "/simple/torch-npu/", "it begins '<html>Please log in"),
    ],
)
def test_a_server_that_answers_badly(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, how: int | str, what: str, said: str
) -> None:
    """It is published and not announced, all that is wrong is told, and status says how to go on."""
    monkeypatch.setattr(read_back, "PAUSES", (0.0, 0.0))
    with Ill(rig, how, what) as ill, pytest.raises(ReleaseError, match=said) as caught:
        rig.release()
    passing = how == "half" or how in (500, 503)
    assert {ill.asked.count(path) for path in ill.asked if path.endswith(what)} == {3 if passing else 1}
    assert f"wheelmill release publish {BRANCH}" in str(caught.value.hint)
    assert (rig.session().state, told(rig).split()[2]) == ("published", "publish")
    assert not rig.into.with_name("public.atom").exists()
    rig.read_url = None
    assert rig.conductor().advance(rig.session(), "announced").state == "announced"


@pytest.mark.parametrize("how", [502, "half"])
def test_a_server_that_answers_badly_once(rig: Rig, monkeypatch: pytest.MonkeyPatch, how: int | str) -> None:
    monkeypatch.setattr(read_back, "PAUSES", (0.0,))
    with Ill(rig, how, "", times=1):
        assert rig.release().state == "announced"


@pytest.mark.parametrize("reason", ["bad\x1b[31m", "two\nlines", "\udc80", "\u202e", "\0", "x" * 1001])
def test_a_reason_that_no_page_and_no_feed_can_show(rig: Rig, reason: str) -> None:
    """Nothing is recorded: a yank is recorded before it is shown, and could not be shown."""
    session = rig.release()
    conductor = rig.conductor()
    for change in (conductor.yank, conductor.rollback, conductor.abort):
        with pytest.raises(ReleaseError):
            change(session, reason)
    assert rig.session() == session
    with pytest.raises(ReleaseError, match="cannot be kept"):
        Waiver.parse(f"*=farm:{reason}")


@pytest.mark.parametrize("days", [float("nan"), float("inf"), 1e12, 0.0, -1.0])
def test_a_session_of_no_or_of_endless_time(rig: Rig, days: float) -> None:
    with pytest.raises(ReleaseError, match="cannot last"):
        rig.conductor().start(rig.request(days=days))
    session = rig.conductor().start(rig.request())
    with pytest.raises(ReleaseError, match="cannot last"):
        rig.conductor().extend(session, days)


@pytest.mark.parametrize("url", ["nonsense", "file:///etc", "ftp://x/simple/", "http://", "http://a b/"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ReleaseError, match="is no address to read a release back from"):
        read_back.address(url)


def test_the_local_index_is_no_public_one(rig: Rig) -> None:
    check, said = problem_of(rig, into=rig.home / "index")
    assert check == "index-is-ours"
    assert "the local index" in said


# --------------------------------------------------------------------------------------------- two publishers
def test_two_at_once_the_second_is_told_who_is_at_work(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/bin/wheelmill", "release", "run", BRANCH])
    conductor = rig.conductor()
    session = conductor.start(rig.request())
    with (
        conductor.tools.sessions.alone(BRANCH),
        pytest.raises(ReleaseError, match=rf"process {os.getpid()} \(.*\) is working on {BRANCH}") as caught,
    ):
        rig.conductor().advance(session, "announced")
    assert f"({this_owner()}, since 20" in caught.value.message
    assert f", wheelmill release run {BRANCH}, it runs)" in caught.value.message
    assert rig.conductor().tools.sessions.at_work(BRANCH) is None
    assert rig.conductor().advance(session, "announced").state == "announced"


def test_somebody_else_s_session_is_left_alone_until_it_expires(rig: Rig) -> None:
    session = rig.conductor().start(rig.request())
    rig.owner = "bob@laptop"
    with pytest.raises(ReleaseError, match="belongs to alice@build until 2024-01-22") as caught:
        rig.conductor().advance(session, "announced")
    assert "--take-over" in str(caught.value.hint)
    rig.later(days=8)
    with pytest.raises(ReleaseError, match="expired at 2024-01-22"):
        rig.conductor().advance(session, "announced")
    assert told(rig).startswith("wheelmill release extend")
    rig.conductor().extend(session, 7)
    assert rig.conductor().advance(session, "announced").owner == "bob@laptop"


def test_two_lines_of_one_index_lose_nothing_of_each_other(rig: Rig) -> None:
    """Both published from one store: the index has both, whoever came last."""
    rig.release()
    rig.later(hours=1)
    rig.raise_version("2.1.0rc2", BRANCH)
    rig.release()
    assert {name.split("-")[1] for name in listed(rig)} == {"2.1.0rc1", "2.1.0rc2"}


# ------------------------------------------------------------------------------------- names keep their bytes
def test_a_simulator_with_other_bytes_is_another_build_of_it(rig: Rig, tmp_path: Path) -> None:
    """Its version is torch's, so every line on that torch has it; pip and uv take the newest build."""
    rig.release()
    first = listed(rig, "cann-simulator")
    rig.later(hours=1)
    rig.raise_version("2.1.0rc2", BRANCH)
    rig.salt = "changed"
    rig.installers = INSTALLERS
    session = rig.release()
    now = listed(rig, "cann-simulator")
    assert {name: file["hashes"] for name, file in now.items() if name in first} == {
        name: file["hashes"] for name, file in first.items()
    }
    assert {name.split("-")[2] for name in set(now) - set(first)} == {"1"}
    taken = session.facts["verified"]["taken"][f"{BRANCH}/3.8/x86_64"]
    for files in taken.values():
        assert files[0].startswith("cann_simulator-2.1.0-1-py3-none-")


def test_an_equal_simulator_is_shown_once_and_as_old_as_it_is(rig: Rig) -> None:
    rig.release()
    first = listed(rig, "cann-simulator")
    rig.later(hours=1)
    rig.raise_version("2.1.0rc2", BRANCH)
    rig.release()
    assert listed(rig, "cann-simulator") == first


def test_a_published_name_never_gets_other_bytes_not_even_after_a_rollback(rig: Rig) -> None:
    rig.release()
    rig.later(hours=1)
    rig.raise_version("2.1.0rc2", BRANCH)
    rig.release()
    rig.conductor().rollback(rig.session("2.1.0rc2"), "a mistake")
    conductor = rig.conductor()
    conductor.abort(rig.session("2.1.0rc2"), "built again")
    git(rig.root, "tag", "--delete", f"{BRANCH}/2.1.0rc2") if git(rig.root, "tag", "--list", "*rc2") else None
    rig.later(hours=1)
    rig.salt = "other"
    with pytest.raises(ReleaseError) as caught:
        rig.release()
    assert "2.1.0rc2" in caught.value.message
    assert {name.split("-")[1] for name in listed(rig)} == {"2.1.0rc1"}


# ------------------------------------------------------------------------------------------ after the publish
def test_yank_and_unyank(rig: Rig, snapshot: Snapshot) -> None:
    rig.release()
    before = snapshot(rig.into)
    rig.later(hours=1)
    conductor = rig.conductor()
    session = conductor.yank(rig.session(), "breaks <mm> & more")
    assert session.shown_state == "yanked"
    assert {file["yanked"] for file in listed(rig).values()} == {"breaks <mm> & more"}
    feed = ElementTree.fromstring(rig.into.with_name("public.atom").read_bytes())
    atom = {"a": "http://www.w3.org/2005/Atom"}
    assert "Yanked: breaks <mm> & more" in str(feed.findtext("a:entry/a:summary", namespaces=atom))
    conductor.unyank(session)
    assert pages(snapshot(rig.into)) == pages(before)
    with pytest.raises(ReleaseError, match="needs a reason"):
        conductor.yank(session, " ")


def test_a_shared_simulator_is_yanked_only_with_its_last_release(rig: Rig) -> None:
    rig.release()
    rig.later(hours=1)
    rig.raise_version("2.1.0rc2", BRANCH)
    rig.release()
    rig.conductor().yank(rig.session("2.1.0rc1"), "broken")
    assert {file["yanked"] for file in listed(rig, "cann-simulator").values()} == {False}
    rig.conductor().yank(rig.session("2.1.0rc2"), "broken, too")
    assert all(file["yanked"] for file in listed(rig, "cann-simulator").values())


def test_a_newer_release_supersedes_and_a_rollback_brings_the_old_tree_back(
    rig: Rig, snapshot: Snapshot
) -> None:
    rig.release()
    before = snapshot(rig.into)
    rig.later(hours=1)
    rig.raise_version("2.1.0rc2", BRANCH)
    rig.release()
    after = snapshot(rig.into)
    assert rig.session("2.1.0rc1").shown_state == "superseded"
    with pytest.raises(ReleaseError, match="only the newest release is rolled back"):
        rig.conductor().rollback(rig.session("2.1.0rc1"), "why")
    rolled = rig.conductor().rollback(rig.session("2.1.0rc2"), "a mistake")
    assert (rolled.shown_state, pages(snapshot(rig.into))) == ("rolled back", pages(before))
    assert rig.session("2.1.0rc1").shown_state == "announced"
    assert told(rig).startswith("wheelmill release publish")
    rig.later(hours=1)
    assert rig.conductor().advance(rolled, "announced").state == "announced"
    assert pages(snapshot(rig.into)) == pages(after), "the same bytes, with the time of their first publish"


def test_the_only_release_is_not_rolled_back(rig: Rig) -> None:
    session = rig.release()
    with pytest.raises(ReleaseError, match="the index would be empty"):
        rig.conductor().rollback(session, "why")
    assert len(listed(rig)) == 2


def test_abort_leaves_git_and_index_as_they_were_and_the_line_can_begin_again(rig: Rig) -> None:
    conductor = rig.conductor()
    session = conductor.advance(conductor.start(rig.request()), "sealed")
    conductor.abort(session, "wrong day")
    assert git(rig.root, "tag", "--list") == ""
    assert git(rig.root, "branch", "--list", BRANCH) == ""
    assert "trees" not in git(rig.root, "worktree", "list")
    assert not list((rig.home / "stages").iterdir())
    assert not rig.into.exists()
    rig.later(hours=1)
    again = rig.release()
    assert (again.state, again.attempt) == ("announced", 2)
    with pytest.raises(ReleaseError, match="it cannot be canceled") as caught:
        conductor.abort(again, "too late")
    assert "rollback" in str(caught.value.hint)


def test_after_an_abort_the_next_session_is_of_what_was_mended(rig: Rig) -> None:
    conductor = rig.conductor()
    first = conductor.advance(conductor.start(rig.request()), "tagged")
    conductor.abort(first, "does not compile")
    git(rig.root, "commit", "--allow-empty", "-m", "mended")
    assert conductor.start(rig.request()).commit == git(rig.root, "rev-parse", "HEAD").strip() != first.commit


def test_abort_keeps_a_branch_that_was_there_or_that_went_on(rig: Rig) -> None:
    conductor = rig.conductor()
    session = conductor.advance(conductor.start(rig.request()), "tagged")
    git(rig.root, "switch", "-q", BRANCH)
    conductor.abort(session, "somebody works on it")
    assert BRANCH in git(rig.root, "branch", "--list", BRANCH)
    conductor.abort(conductor.advance(conductor.start(rig.request()), "tagged"), "it was there")
    git(rig.root, "switch", "-q", "-")
    assert BRANCH in git(rig.root, "branch", "--list", BRANCH)


def test_abort_keeps_a_tag_that_was_there_before(rig: Rig) -> None:
    git(rig.root, "tag", f"{BRANCH}/2.1.0rc1")
    conductor = rig.conductor()
    conductor.abort(conductor.advance(conductor.start(rig.request()), "tagged"), "why")
    assert git(rig.root, "tag", "--list") == f"{BRANCH}/2.1.0rc1"


def recorded(rig: Rig) -> dict[str, bool | str | None]:
    """Wheel -> its yank in the checkout's catalogue of own releases."""
    record = rig.root / "matrix/catalogue/releases.json"
    return {wheel.file: wheel.yanked for wheel in read_record(record).wheels} if record.exists() else {}


def test_a_release_is_in_the_catalogue_with_its_yank_and_its_end(rig: Rig) -> None:
    conductor = rig.conductor()
    session = conductor.advance(conductor.start(rig.request()), "published")
    assert recorded(rig) == {}, "not before it was read back"
    first = conductor.advance(session, "announced")
    names = {file.name for file in first.files if file.kind == "adapter"}
    assert recorded(rig) == dict.fromkeys(names, False)
    rig.later(hours=1)
    rig.raise_version("2.1.0rc2", BRANCH)
    rig.release()
    conductor.yank(rig.session("2.1.0rc1"), "wrong results")
    conductor.rollback(rig.session("2.1.0rc2"), "too early")
    found = recorded(rig)
    assert {found[name] for name in names} == {"wrong results"}
    assert {yank for name, yank in found.items() if name not in names} == {"taken back: too early"}
    conductor.unyank(rig.session("2.1.0rc1"))
    assert conductor.advance(rig.session("2.1.0rc2"), "announced").state == "announced"
    assert set(recorded(rig).values()) == {False}


def test_the_record_alone_does_not_keep_the_next_release_from_being_cut(rig: Rig) -> None:
    rig.release()
    assert git(rig.root, "status", "--porcelain", "-uall") == "?? matrix/catalogue/releases.json"
    assert list(CHECKS["clean-tree"](rig.conductor().tools.case(rig.session()))) == []


def test_a_record_that_was_lost_is_written_again_by_resume(rig: Rig) -> None:
    rig.release()
    before = recorded(rig)
    (rig.root / "matrix/catalogue/releases.json").unlink()
    rig.conductor().repair(rig.into)
    assert recorded(rig) == before != {}


def test_names_that_another_machine_released_are_taken(rig: Rig, tmp_path: Path) -> None:
    """What a commit says of releases counts where their sessions are not known."""
    rig.release()
    other = make_rig(tmp_path / "other")
    shutil.copytree(rig.root / "matrix/catalogue", other.root / "matrix/catalogue")
    other.commit("Releases of elsewhere")
    other.salt = "other"
    with pytest.raises(ReleaseError, match=r"is recorded in matrix/catalogue/releases\.json as") as caught:
        other.release()
    assert "raise the line's `adapter` version" in str(caught.value.hint)
    assert not other.into.exists()


# -------------------------------------------------------------------------------------- promote and backports
def test_promote_builds_the_final_version_again_from_unchanged_sources(rig: Rig) -> None:
    rig.release()
    rig.later(hours=1)
    rig.raise_version("2.1.0", BRANCH)
    conductor = rig.conductor()
    candidate = conductor.candidate(BRANCH)
    assert candidate == f"{BRANCH}/2.1.0rc1"
    session = conductor.advance(conductor.start(rig.request(promotes=candidate)), "announced")
    assert rig.built == [f"{BRANCH}/2.1.0rc1", f"{BRANCH}/2.1.0"], "nothing of the candidate is reused"
    assert session.state == "announced"


def test_promote_refuses_sources_that_nobody_tested(rig: Rig) -> None:
    rig.release()
    rig.later(hours=1)
    rig.raise_version("2.1.0", BRANCH)
    rig.write("adapter/core.cpp", "int untested;\n")
    rig.commit()
    conductor = rig.conductor()
    with pytest.raises(NotReadyError) as caught:
        conductor.advance(conductor.start(rig.request(promotes=conductor.candidate(BRANCH))), "announced")
    assert [problem.check for problem in caught.value.problems] == ["same-sources-as-candidate"]
    assert "adapter/core.cpp" in caught.value.problems[0].message


def test_promote_refuses_the_candidate_s_file_under_the_final_name(rig: Rig) -> None:
    rig.release()
    rig.later(hours=1)
    rig.raise_version("2.1.0", BRANCH)
    real = rig.build

    def renamed(*words: object) -> object:
        """Builds nothing: the candidate's wheel is called final."""
        store = Store(rig.home)
        old = {file.cell: file for file in rig.session("2.1.0rc1").files if file.kind == "adapter"}
        return [
            replace(
                cell,
                wheels=(
                    replace(cell.wheels[0], sha256=store.put(store.get(old[cell.key].sha256))),
                    *cell.wheels[1:],
                ),
            )
            for cell in real(*words)  # type: ignore[arg-type]
        ]

    rig.build = renamed  # type: ignore[method-assign,assignment]
    conductor = rig.conductor()
    with pytest.raises(WheelmillError) as caught:
        conductor.advance(conductor.start(rig.request(promotes=conductor.candidate(BRANCH))), "announced")
    assert "2.1.0rc1" in caught.value.message
    assert {name.split("-")[1] for name in listed(rig)} == {"2.1.0rc1"}


def test_promote_goes_on_with_no_session_that_was_begun_without_it(rig: Rig) -> None:
    """Its checks would not have compared the sources with the candidate's."""
    rig.release()
    rig.later(hours=1)
    rig.raise_version("2.1.0", BRANCH)
    conductor = rig.conductor()
    conductor.start(rig.request())
    promotion = rig.request(promotes=conductor.candidate(BRANCH))
    for go_on in (conductor.open_or_new, conductor.would_be):
        with pytest.raises(ReleaseError, match="not begun as the final version of"):
            go_on(promotion)
    conductor.abort(conductor.open_or_new(rig.request()), "begun without the candidate")
    begun = conductor.open_or_new(promotion)
    assert conductor.open_or_new(promotion) == begun


def test_promote_needs_a_final_version_and_a_candidate(rig: Rig) -> None:
    with pytest.raises(ReleaseError, match="which is no final one"):
        rig.conductor().candidate(BRANCH)
    rig.raise_version("2.1.0")
    with pytest.raises(ReleaseError, match=r"no public release candidate of 2\.1\.0"):
        rig.conductor().candidate(BRANCH)


def test_cherry_lists_the_fixes_that_a_maintained_branch_lacks(rig: Rig) -> None:
    repository = rig.conductor().tools.repository
    git(rig.root, "branch", BRANCH)
    commits = {}
    for name, subject in (
        ("a", "Fix a crash of mm"),
        ("b", "Fix streams"),
        ("c", "A new operator"),
        ("d", "Fix events"),
    ):
        rig.write(f"adapter/{name}.cpp", f"int {name};\n")
        commits[name] = rig.commit(subject)
    rig.write("docs/page.md", "text\n")
    rig.commit("Fix a page")
    git(rig.root, "switch", "--quiet", BRANCH)
    git(rig.root, "cherry-pick", commits["b"])  # the same patch
    rig.write("adapter/d.cpp", "int d_backported;\n")  # another patch, which says where it is from
    rig.commit(f"Fix events\n\n(cherry picked from commit {commits['d']})")
    git(rig.root, "switch", "--quiet", "main")
    missing = repository.missing(BRANCH, "main")
    assert [(one.commit, one.fix) for one in missing] == [(commits["c"], False), (commits["a"], True)]
    with pytest.raises(ReleaseError, match="no branch nowhere"):
        repository.missing("nowhere", "main")
