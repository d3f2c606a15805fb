"""The time that wheels bear comes from the sources; what stands in the way is an error, or is told."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from wheelmill.make.toolchain.sources import Sources, SourcesError, read_sources

from tests.make.conftest import LINE, Checkout
from tests.needs import need_root

EARLIEST = 315_532_800
FIRST, SECOND = 1_700_000_000, 1_710_000_000


def git(folder: Path, *words: str, time: int = FIRST) -> str:
    """As a user of a clean machine, at a time."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        **{f"GIT_{who}_DATE": f"@{time} +0000" for who in ("AUTHOR", "COMMITTER")},
    }
    command = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@t", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


def commit(root: Path, *paths: str, time: int) -> None:
    git(root, "add", *paths)
    git(root, "commit", "-qm", "changed", time=time)


@pytest.fixture(autouse=True)
def no_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's own SOURCE_DATE_EPOCH is not meant."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


@pytest.fixture
def root(adapter: Path) -> Iterator[Path]:
    """A checkout in which the adapter was committed first, and something else after it."""
    root = adapter.parent
    git(root, "init", "-q")
    commit(root, "adapter", "simulator", time=FIRST)
    (root / "notes.txt").write_text("not the adapter\n")
    commit(root, "notes.txt", time=SECOND)
    yield root
    if os.getuid() == 0:
        give(root, 0)


def give(root: Path, user: int) -> None:
    """Make all of a folder another user's."""
    need_root("give files to another user")
    for folder, _, names in os.walk(root):
        for name in (".", *names):
            os.chown(Path(folder, name), user, user, follow_symlinks=False)


def read(root: Path) -> Sources:
    return read_sources(root)


def test_the_last_commit_of_the_adapter_dates_it_whether_or_not_more_was_changed(root: Path) -> None:
    assert (read(root).epoch, read(root).doubt) == (FIRST, None)
    (root / "adapter" / "core" / "opapi.cpp").write_text("int changed() { return 1; }\n")
    assert (read(root).epoch, read(root).doubt) == (FIRST, None)
    commit(root, "adapter", time=SECOND)
    assert read(root).epoch == SECOND


def test_a_checkout_of_another_user_is_dated_as_for_its_owner(root: Path) -> None:
    """Git calls that dubious ownership; a checkout that is mounted into a container is of another user."""
    give(root, 1234)
    refused = subprocess.run(
        ["git", "-C", root, "log"],
        capture_output=True,
        text=True,
        env={"HOME": "/", "PATH": os.environ["PATH"]},
    )
    assert "dubious ownership" in refused.stderr
    assert (read(root).epoch, read(root).doubt) == (FIRST, None)


def test_variables_and_replacements_of_git_do_not_move_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook of git runs with GIT_DIR, and so does all that it starts."""
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert (read(root).epoch, read(root).doubt) == (FIRST, None)
    first, second = git(root, "rev-list", "HEAD").splitlines()[::-1]
    git(root, "replace", "-f", "--graft", second)
    assert git(root, "log", "-1", "--format=%ct", "--", "adapter") == str(SECOND), first
    assert read(root).epoch == FIRST


@pytest.mark.parametrize("case", ["no checkout", "no git", "no commit", "not of it"])
def test_where_no_commit_can_be_read_it_is_1980_and_that_is_told(
    case: str, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = adapter.parent
    if case != "no checkout":
        git(root, "init", "-q")
    if case == "no git":
        commit(root, "adapter", time=FIRST)
        monkeypatch.setenv("PATH", "/nonexistent")
    if case == "not of it":  # unpacked somewhere in a checkout of something else
        (root / "notes.txt").write_text("not the adapter\n")
        commit(root, "notes.txt", time=FIRST)
    found = read(root)
    assert found.epoch == EARLIEST
    assert (found.doubt or "").startswith("wheels get the time 1980-01-01: ")
    assert {
        "no checkout": "is in no git checkout",
        "no git": "git is not installed",
        "no commit": "has no commit (",
        "not of it": "has no commit with",
    }[case] in (found.doubt or "")


@pytest.mark.parametrize("damage", ["HEAD", "objects"])
def test_a_checkout_that_git_cannot_read_is_an_error_with_git_s_words(damage: str, root: Path) -> None:
    if damage == "HEAD":
        (root / ".git" / "HEAD").unlink()
    else:
        shutil.rmtree(root / ".git" / "objects")
        (root / ".git" / "objects").mkdir()
    with pytest.raises(
        SourcesError, match=r"git does not tell when .* was last changed: (fatal|error): "
    ) as caught:
        read(root)
    assert "SOURCE_DATE_EPOCH" in (caught.value.hint or "")


def test_where_a_shallow_clone_ends_is_told(root: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clones" / "shallow"
    git(root, "clone", "-q", "--depth", "1", f"file://{root}", str(clone))
    found = read(clone)
    assert found.epoch == SECOND
    assert "where the history of this checkout ends" in (found.doubt or "")
    git(clone, "fetch", "-q", "--unshallow")
    assert (read(clone).epoch, read(clone).doubt) == (FIRST, None)


@pytest.mark.parametrize(
    "value",
    ["5000000000", "1" + "0" * 20, "-1", "0", "315532799", "4354819200", "", "yesterday", "1e9", "١", "1 "],
)
def test_a_time_that_no_wheel_can_bear_is_one_clear_error(value: str, adapter: Path) -> None:
    with pytest.raises(SourcesError, match=r"SOURCE_DATE_EPOCH is .*the years 1980 to 2107") as caught:
        read_sources(adapter.parent, environment={"SOURCE_DATE_EPOCH": value})
    assert "unset it" in (caught.value.hint or "")


@pytest.mark.parametrize("value", [EARLIEST, 4_354_819_199])
def test_the_first_and_the_last_moment_that_a_wheel_can_bear(value: int, adapter: Path) -> None:
    assert read_sources(adapter.parent, environment={"SOURCE_DATE_EPOCH": str(value)}).epoch == value


def test_a_commit_from_before_wheels_is_an_error(root: Path) -> None:
    (root / "adapter" / "LICENSE").write_text("another\n")
    commit(root, "adapter", time=1)
    with pytest.raises(SourcesError, match=r"the time of commit [0-9a-f]{12} is '1'"):
        read(root)


def test_commands_tell_the_doubt_and_errors_are_no_tracebacks(checkout: Checkout) -> None:
    words = ("3.8-x86_64", "--line", LINE)
    planned = checkout.run("plan", *words)
    assert "wheels get the time 1980-01-01: " in planned.stdout
    built = checkout.run("build", *words, "--no-smoke")
    assert built.returncode == 0, built.stderr
    assert "wheels get the time 1980-01-01: " in built.stderr
    refused = checkout.run("build", *words, "--no-smoke", SOURCE_DATE_EPOCH="5000000000")
    assert (refused.returncode, "Traceback" in refused.stderr) == (1, False), refused.stderr
    assert "SOURCE_DATE_EPOCH is '5000000000'" in refused.stderr
