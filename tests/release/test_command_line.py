"""`wheelmill release` as a maintainer types it, with real installers; and the builder that it calls."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from wheelmill.cli import cli
from wheelmill.errors import WheelmillError
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.publish.index import IndexServer
from wheelmill.publish.release.builder import PipelineBuilder
from wheelmill.publish.sign import load_keyring, verify_release
from wheelmill.store import Store
from wheelmill.store.holder import this_owner

from tests.make.conftest import Checkout, adapter, checkout, linkable_torch, server, torch_wheel
from tests.places import places, put
from tests.release.conftest import BRANCH, PROJECT, Rig, git

__all__ = ["adapter", "checkout", "linkable_torch", "server", "torch_wheel"]  # fixtures

# Which Pythons and engines this machine has is no concern of these tests.
WAIVED = ("--waive", "*=farm@example.org:runs all of them there")
Command = Callable[..., Result]


@pytest.fixture
def command(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`wheelmill --matrix ... WORDS` in the small project, on this day, by this user; tiny wheels at once."""
    text = rig.matrix.read_text()
    override = "    override: {stage: maintained, reason: A test is of every day.}\n    begins:"
    rig.matrix.write_text(text.replace("    begins:", override))
    rig.add_key("bob", until=date(2999, 1, 1))
    rig.commit("Of every day")
    for name, value in rig.private_keys().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WHEELMILL_HOME", str(rig.home))
    monkeypatch.setattr(PipelineBuilder, "__call__", lambda _, *words: rig.build(*words))

    def run(*words: str) -> Result:
        return CliRunner().invoke(cli, ["--matrix", str(rig.matrix), "release", *words])

    return run


def answer(result: Result) -> dict[str, object]:
    """The JSON document of a command that did it."""
    assert result.exit_code == 0, result.output + str(result.exception)
    return dict(json.loads(result.stdout))


def refusal(result: Result) -> str:
    """What a command said that did not do it."""
    assert isinstance(result.exception, WheelmillError), result.exception
    return str(result.exception)


def test_one_command_releases_a_line_and_pip_installs_from_its_index(
    rig: Rig, command: Command, tmp_path: Path
) -> None:
    planned = answer(command("run", BRANCH, *WAIVED, "--dry-run", "--json"))
    assert (planned["problems"], planned["engine"]) == ([], "docker")
    assert not (rig.home / "journal.jsonl").exists()
    session = answer(command("run", BRANCH, *WAIVED, "--json"))
    assert (session["state"], session["next"]) == ("announced", None)
    folder = rig.home / "releases" / BRANCH / "2.1.0rc1"
    assert verify_release(folder, load_keyring(rig.root / "release/keys.yaml"), datetime.now(timezone.utc))
    target = tmp_path / "got"
    with IndexServer(rig.into) as index:
        words = ["--no-deps", "--no-cache-dir", "--only-binary", ":all:", "--dest", str(target)]
        tags = ["--python-version", "3.8", "--platform", "manylinux2014_aarch64", "--implementation", "cp"]
        where = ["--index-url", f"{index.url}/line/{BRANCH}/simple/"]
        pip = [sys.executable, "-m", "pip", "--isolated", "download", "-q"]
        subprocess.run([*pip, *words, *tags, *where, "torch-npu==2.1.0rc1"], check=True)
    assert [path.name.split("-")[1:3] for path in target.iterdir()] == [["2.1.0rc1", "cp38"]]
    assert git(rig.root, "status", "--porcelain", "-uall") == "?? matrix/catalogue/releases.json"
    _afterwards(command)


def _afterwards(command: Command) -> None:
    """status, the same again, yank, resume."""
    assert f"{BRANCH}/2.1.0rc1" in command("status").output
    assert "is announced already" in refusal(command("run", BRANCH, *WAIVED))
    assert answer(command("yank", BRANCH, "--reason", "wrong results", "--json"))["shown_state"] == "yanked"
    assert "wrong results" in command("status", BRANCH).output
    assert answer(command("unyank", BRANCH, "--json"))["shown_state"] == "announced"
    assert "the index would be empty" in refusal(command("rollback", BRANCH, "--reason", "why"))
    said = command("resume").output
    assert "signed for some time" in said
    assert said.endswith("no release session is open\n")


def test_a_rollback_is_one_step_forward_for_readers(rig: Rig, command: Command, tmp_path: Path) -> None:
    """Two releases, and the first one again: pip takes it, and who saw the second is not refused."""

    def verify(index: Path) -> Result:
        words = ["verify", str(index), "--keyring", str(rig.root / "release/keys.yaml")]
        return CliRunner().invoke(cli, [*words, "--state", str(tmp_path / "seen"), "--json"])

    def root_version() -> int:
        shown = json.loads((rig.into / "metadata" / "timestamp.json").read_bytes())
        return int(shown["signed"]["version"])

    answer(command("run", BRANCH, *WAIVED, "--json"))
    assert taken(rig.into, tmp_path / "first") == "2.1.0rc1"
    assert answer(verify(rig.into))["verified"]
    first = tmp_path / "as-it-was" / "public"
    shutil.copytree(rig.into, first)
    versions = [root_version()]
    git(rig.root, "add", "matrix/catalogue")
    rig.commit("The record")
    rig.raise_version("2.1.0rc2", BRANCH)
    answer(command("run", BRANCH, *WAIVED, "--json"))
    assert taken(rig.into, tmp_path / "second") == "2.1.0rc2"
    assert answer(verify(rig.into))["verified"]
    versions.append(root_version())

    rolled = answer(command("rollback", BRANCH, "--reason", "uploaded too early", "--json"))
    assert (rolled["version"], rolled["shown_state"]) == ("2.1.0rc2", "rolled back")
    assert taken(rig.into, tmp_path / "third") == "2.1.0rc1"
    assert answer(verify(rig.into))["verified"]
    versions.append(root_version())
    assert versions == sorted(set(versions)), "each is newer than the one before"
    assert "older" in str(verify(first).exception), "the pages of then are refused"


def taken(index: Path, target: Path) -> str:
    """The version of the adapter that pip takes from an index."""
    with IndexServer(index) as server:
        words = ["--no-deps", "--no-cache-dir", "--only-binary", ":all:", "--dest", str(target)]
        tags = ["--python-version", "3.8", "--platform", "manylinux2014_aarch64", "--implementation", "cp"]
        pip = [sys.executable, "-m", "pip", "--isolated", "download", "-q"]
        subprocess.run([*pip, *words, *tags, "--index-url", server.simple_url, "torch-npu"], check=True)
    (wheel,) = target.iterdir()
    return wheel.name.split("-")[1]


def test_step_by_step_each_says_what_comes_next(rig: Rig, command: Command) -> None:
    assert "there is no release session yet" in command("status").output
    assert f"wheelmill release check {BRANCH}" in command("start", BRANCH, *WAIVED).output
    assert "it has to be verified first" in refusal(command("seal", BRANCH))
    for step, said in (
        ("check", "release build"),
        ("build", "release stage"),
        ("stage", "release verify"),
        ("verify", "release seal"),
        ("seal", "release publish"),
    ):
        done = command(step, BRANCH)
        assert f"wheelmill {said} {BRANCH}" in done.output, str(done.exception)
    assert "serve --index" in command("status", BRANCH).output, "the stage has an address"
    planned = command("run", BRANCH, "--dry-run").output
    assert "its session is sealed since" in planned
    assert f"  publish {BRANCH}/2.1.0rc1\n" in planned
    assert "stage v2" not in planned, "what is done is not to be done"
    assert answer(command("extend", BRANCH, "--days", "30", "--json"))["state"] == "sealed"
    assert not rig.into.exists()
    assert "announced" in command("publish", BRANCH).output


def test_status_keeps_what_went_wrong_and_abort_ends_it(rig: Rig, command: Command) -> None:
    rig.write("adapter/new.cpp", "\n")
    assert "adapter/new.cpp" in refusal(command("run", BRANCH, *WAIVED))
    shown = command("status", BRANCH).output
    assert "clean-tree" in shown
    assert f"wheelmill release check {BRANCH}" in shown
    assert answer(command("abort", BRANCH, "--reason", "not today", "--json"))["shown_state"] == "canceled"
    assert "was canceled" in refusal(command("resume", BRANCH))


def test_status_names_who_is_at_work_and_whether_that_process_runs(rig: Rig, command: Command) -> None:
    command("start", BRANCH, *WAIVED)
    (idle,) = answer(command("status", "--json"))["sessions"]  # type: ignore[misc]
    assert idle["at_work"] is None
    assert "at work nobody" in command("status", BRANCH).output
    sessions = rig.conductor().tools.sessions
    with sessions.alone(BRANCH):
        (busy,) = answer(command("status", "--json"))["sessions"]  # type: ignore[misc]
        shown = command("status", BRANCH).output
        refused = refusal(command("run", BRANCH))
    assert (busy["at_work"]["pid"], busy["at_work"]["runs"]) == (os.getpid(), True)
    assert busy["at_work"]["owner"] == this_owner()
    assert f"at work process {os.getpid()} ({this_owner()}, since 20" in shown
    assert "is at work" in shown.split("step")[0], "in the place of the next command"
    assert f"process {os.getpid()} ({this_owner()}" in refused


def test_cherry_lists_what_a_branch_lacks(rig: Rig, command: Command) -> None:
    git(rig.root, "branch", BRANCH)
    rig.write("adapter/fix.cpp", "\n")
    commit = rig.commit("Fix a crash")
    (found,) = answer(command("cherry", BRANCH, "--json"))["missing"]  # type: ignore[misc]
    assert (found["commit"], found["subject"]) == (commit, "Fix a crash")


# ------------------------------------------------------------------------------------------- the real builder
BUILD = """
import json, sys
from pathlib import Path

from wheelmill.console import Console
from wheelmill.errors import WheelmillError
from wheelmill.make.build import Workshop
from wheelmill.make.engines.host import HostEngine
from wheelmill.matrix import load
from wheelmill.prove.smoke.result import SmokeResult
from wheelmill.publish import pipeline
from wheelmill.publish.release.builder import PipelineBuilder
from wheelmill.publish.release.session import Session, Waiver
from wheelmill.store import Store

root, branch, emulation = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "emulation"
asked = []


def run_smoke(cell, workshop):
    asked.append(cell.key)
    return SmokeResult(cell.key, "passed")


class Place:
    def cannot_run(self, cell):
        return "no Python 3.8" if cell.python == "3.8" else None


pipeline.run_smoke = run_smoke
pipeline.place_for = lambda cell, workshop: Place()
matrix = load(root / "matrix" / "compat.yaml")
store = Store(root / ".wheelmill")
workshop = Workshop(store, HostEngine(store.root / "tools"), Path("/nowhere"), ())
waivers = () if sys.argv[4:] else (Waiver("*", "farm", "why"),)
session = Session(
    branch, "1", 1, "tagged", "me", "", "", "", "", "host", waivers=waivers, emulation=emulation
)
try:
    made = PipelineBuilder(workshop, Console(quiet=True))(session, matrix, matrix.line(branch), root)
    first = [(cell, cell.wheels[0]) for cell in made]
    cells = [[c.key, w.file, w.verdict["releasable"], bool(c.smoke), c.not_run] for c, w in first]
    print(json.dumps({"made": cells, "asked": asked}))
except WheelmillError as error:
    print(json.dumps({"error": error.message, "hint": error.hint, "asked": asked}))
"""
CELLS = [f"{BRANCH}/{python}/{arch}" for python in ("3.8", "3.9", "3.10") for arch in ("aarch64", "x86_64")]


def build(checkout: Checkout, *words: str) -> dict[str, Any]:
    """What the builder made of every cell, or its error; smoke runs are played, by the script above."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(checkout.root), BRANCH, *(words or ("emulation",))],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PROJECT / "release"), **checkout.pip},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.usefixtures("cross_compiler")
def test_the_builder_builds_and_audits_every_cell_and_runs_what_it_can(checkout: Checkout) -> None:
    found = build(checkout)
    assert [key for key, *_ in found["made"]] == CELLS
    assert all(releasable for _, _, releasable, *_ in found["made"])
    assert all("manylinux_2_17" in file for _, file, *_ in found["made"])
    runnable = sorted(key for key in CELLS if "/3.8/" not in key)
    assert sorted(found["asked"]) == runnable, "waived or of another architecture: what can be run is run"
    assert {(key.split("/")[1], ran, reason) for key, _, _, ran, reason in found["made"]} == {
        ("3.8", False, "no Python 3.8"),
        ("3.9", True, None),
        ("3.10", True, None),
    }
    again = build(checkout, "no emulation")
    assert [key for key in again["asked"] if not key.endswith(host_arch())] == []
    other = {(ran, reason) for key, _, _, ran, reason in again["made"] if not key.endswith(host_arch())}
    assert other == {(False, f"this machine is {host_arch()}, and nothing is to be emulated")}


def test_a_cell_that_cannot_be_run_needs_a_waiver_before_anything_is_built(checkout: Checkout) -> None:
    found = build(checkout, "emulation", "no waiver")
    assert "v2.1.0-5.0.rc3/3.8/aarch64: no Python 3.8" in found["error"]
    assert "3.9" not in found["error"]
    assert not (checkout.home / "wheels").exists()


@pytest.mark.usefixtures("cross_compiler")
def test_a_wheel_that_is_local_only_is_refused_before_anything_is_run(checkout: Checkout) -> None:
    core = checkout.adapter / "core" / "npu_core.cpp"
    core.write_text(
        f"#include <sys/random.h>\n{core.read_text()}long newer() {{ return getrandom(0, 0, 0); }}\n"
    )
    found = build(checkout)
    assert found["asked"] == []
    assert "is local only: it needs manylinux_2_2" in found["error"]
    assert "getrandom" in found["error"], "what lifts it is named"
    assert f"wheelmill release abort {BRANCH} && wheelmill release run {BRANCH}" in found["hint"]
    assert "--waive" not in found["hint"]


STRANGE = (None, True, -1.5, "", "../..", "1" * 5000, "\x1b[2J$(id)", [], [None], {}, {"": {}}, {"x": ["y"]})


def test_no_strange_record_of_a_release_ends_in_a_traceback(rig: Rig, command: Command) -> None:
    """Each value of a session that is another one, its checksum right: what a restored cache may hold."""
    answer(command("run", BRANCH, *WAIVED, "--json"))
    store = Store(rig.home)
    (*_, record) = store.records("release")
    asked = (("status",), ("status", BRANCH), ("status", "--json"), ("seal", BRANCH), ("resume",))
    found = list(places(record.data))
    assert len(found) > 100
    for number, place in enumerate(found):
        strange = STRANGE[number % len(STRANGE)]
        store.record("release", record.key, **json.loads(put(record.data, place, strange)))
        for words in (asked[number % 2], asked[2 + number % 3]):
            done = command(*words)
            if not isinstance(done.exception, (WheelmillError, SystemExit, type(None))):
                raise AssertionError((place, strange, words)) from done.exception
    store.record("release", record.key, **record.data)
    assert answer(command("status", "--json"))
