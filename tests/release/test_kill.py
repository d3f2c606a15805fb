"""A publisher that is killed, torn or out of space at any step: readers see one whole index, and it goes on.

Each case begins with one published release and a second one that is built, and does all the rest of the
second: stage, verify, seal, publish, read back, announce. Another begins where the second is only planned:
checks, branch, tag, worktree and build come before. The steps are counted first, so none is forgotten when
the code changes. On every change each kind of step is tried once, and all of them with `-m on_demand`.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from wheelmill.errors import WheelmillError
from wheelmill.publish.release.session import State
from wheelmill.store import digest_file

from tests.needs import need_program
from tests.release import disk
from tests.release.conftest import BRANCH, PROJECT, make_rig, read_index, read_tree

Tree = dict[str, bytes]


class Case:
    """The project before the steps that are broken, what its index shows then, and all that is there then."""

    def __init__(self, root: Path, begun: State = "built") -> None:
        self.rig = make_rig(root / "project")
        self.rig.release()
        self.old = self.shown()
        self.rig.later(hours=1)
        self.rig.raise_version("2.1.0rc2", BRANCH)
        conductor = self.rig.conductor()
        conductor.advance(conductor.start(self.rig.request()), begun)
        self._kept = root / "kept"
        shutil.copytree(self.rig.root, self._kept, symlinks=True)
        self.steps = disk.count(self.work, self.rig.root)
        self.new, self.ended = self.shown(), self.end()
        assert self.new != self.old

    def reset(self) -> None:
        """As it was before."""
        shutil.rmtree(self.rig.root)
        shutil.copytree(self._kept, self.rig.root, symlinks=True)

    def work(self) -> None:
        """What is broken."""
        self.rig.conductor().advance(self.rig.session("2.1.0rc2"), "announced")

    def shown(self) -> Tree:
        """What readers of the public index can reach."""
        return read_index(self.rig.into)

    def end(self) -> dict[str, Tree | bytes]:
        """All that a release leaves to others: index, release folders, feed, record."""
        feed = self.rig.into.with_name("public.atom")
        catalogue = self.rig.root / "matrix" / "catalogue"
        return {
            "index": self.shown(),
            "releases": read_tree(self.rig.home / "releases"),
            "feed": feed.read_bytes() if feed.exists() else b"",
            "catalogue": read_tree(catalogue),
        }

    def check_readers(self) -> None:
        """The index is the old one or the new one, and each file in it has the hash that its page gives."""
        found = self.shown()
        assert found in (self.old, self.new), "readers see a mixture"
        for page in self.rig.into.glob("simple/*/index.v1+json"):
            for file in json.loads(page.read_bytes())["files"]:
                assert digest_file(page.parent / file["url"]) == file["hashes"]["sha256"]

    def check_resumed(self) -> None:
        """Going on ends where an undisturbed run ends, byte for byte, and leaves nothing behind.

        Hours later, too, once the publish has begun: its time is that of the beginning.
        """
        now = self.rig.now
        if self.rig.session("2.1.0rc2").publishing is not None:
            self.rig.later(hours=5)
        self.work()
        self.rig.now = now
        assert self.end() == self.ended
        names = [path.name for path in self.rig.home.rglob("*") if "partial" in path.name]
        assert not names, "left behind"


@contextmanager
def in_memory() -> Iterator[Path]:
    """A folder, in memory where that can be: it is flushed often."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def case() -> Iterator[Case]:
    """One for all tests here; each begins with `reset`."""
    with in_memory() as folder:
        yield Case(folder)


@pytest.fixture(scope="module")
def early() -> Iterator[Case]:
    """The same before its checks."""
    with in_memory() as folder:
        yield Case(folder, "planned")


def before_the_stage(case: Case) -> list[str]:
    """The steps until something is staged; what comes then is the other case's."""
    return case.steps[: next(at for at, step in enumerate(case.steps) if "/stages" in step)]


FOLDERS = ("objects", "stages", "releases", "commits", ".public.trees", "locks")


def one_of_each(steps: list[str], calls: str) -> Iterator[int]:
    """The last step of each kind (which call, in which part of the state), and one after the end."""
    places: dict[str, int] = {}
    for number, step in enumerate(steps, 1):
        call, path = step.split(" ", 1)
        part = next((part for part in FOLDERS if part in Path(path).parts), "others")
        if call in calls.split():
            places[f"{call} {part}"] = number
    yield from sorted(places.values())
    yield len(steps) + 1


Break = Callable[[Case, int], None]


def killed(case: Case, at: int) -> None:
    """Killed before the step."""
    assert disk.kill(case.work, case.rig.root, at) == (at <= len(case.steps))


def torn(case: Case, at: int) -> None:
    """The power fails before the step: what was not flushed is half there."""
    disk.kill(case.work, case.rig.root, at, torn=True)


def full(case: Case, at: int) -> None:
    """The disk has no room for the step: an error with words, not a traceback."""
    code = disk.fill(case.work, case.rig.root, at)
    assert code in (0, 7), f"step {at}, {case.steps[at - 1]}: it did not end with an error of ours"


# What breaks, and before which calls that is most interesting.
CHANGING = "os.mkdir os.rename os.link os.symlink os.remove os.rmdir"
SAMPLES = {killed: f"{CHANGING} fsync", torn: "os.rename fsync", full: f"open write {CHANGING}"}
KINDS = pytest.mark.parametrize("broken", SAMPLES)


def break_at(case: Case, broken: Break, at: int) -> None:
    case.reset()
    broken(case, at)
    case.check_readers()
    case.check_resumed()


@KINDS
def test_one_step_of_each_kind(case: Case, broken: Break) -> None:
    assert len(case.steps) > 50
    assert sum(step.startswith("os.rename") and step.endswith("/public") for step in case.steps) == 1, (
        "one switch"
    )
    for at in one_of_each(case.steps, SAMPLES[broken]):
        break_at(case, broken, at)


def test_one_step_of_each_kind_before_the_stage(early: Case) -> None:
    steps = before_the_stage(early)
    assert any("/work/commits/" in step for step in steps)
    for at in one_of_each(steps, SAMPLES[killed]):
        break_at(early, killed, at)


@pytest.mark.on_demand
@pytest.mark.timeout(3600)  # minutes on a quiet machine
@KINDS
def test_every_step_before_the_stage(early: Case, broken: Break) -> None:
    for at in range(1, len(before_the_stage(early)) + 1):
        break_at(early, broken, at)


@pytest.mark.on_demand
@pytest.mark.timeout(3600)  # minutes on a quiet machine
@KINDS
def test_every_step(case: Case, broken: Break) -> None:
    for at in range(1, len(case.steps) + 2):
        break_at(case, broken, at)


@pytest.mark.on_demand
@pytest.mark.timeout(3600)  # minutes on a quiet machine
def test_killed_again_and_again(case: Case) -> None:
    """Each run is killed a few steps after it began: it still comes to the end, and to the same one."""
    case.reset()
    for at in range(5, 400, 5):
        if not disk.kill(case.work, case.rig.root, at):
            break
        case.check_readers()
    case.check_resumed()


def test_a_yank_that_is_killed_is_finished_by_resume(case: Case) -> None:
    case.reset()
    case.work()
    rig = case.rig

    def yank() -> None:
        rig.conductor().yank(rig.session("2.1.0rc2"), "broken")

    def resume() -> Tree:
        rig.conductor().repair(rig.into)
        return case.shown()

    kept = case._kept.with_name("before-yank")
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(rig.root, kept, symlinks=True)
    before = case.shown()
    steps = disk.count(yank, rig.root)
    after = case.shown()
    assert after != before
    for at in sorted({*range(1, len(steps) + 1, max(1, len(steps) // 12)), len(steps)}):
        shutil.rmtree(rig.root)
        shutil.copytree(kept, rig.root, symlinks=True)
        assert disk.kill(yank, rig.root, at)
        assert case.shown() in (before, after)
        recorded = rig.session("2.1.0rc2").yanked is not None
        assert resume() == (after if recorded else before)


def test_a_file_size_limit_stops_it_with_words(case: Case) -> None:
    """A real limit of the kernel, in place of an error that a test raises."""
    case.reset()

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        case.work()

    assert disk._child(limited, disk.Steps(case.rig.root)) == 7
    case.check_readers()
    case.check_resumed()


def test_two_publishers_at_once_end_in_one_release(case: Case) -> None:
    """One does it, the other is told so or finds it done; the index and the journal are whole."""
    case.reset()
    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                case.work()
                os._exit(0)
            except WheelmillError:
                os._exit(7)
            finally:
                os._exit(1)
        children.append(pid)
    codes = sorted(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children)
    assert codes[0] == 0
    assert set(codes) <= {0, 7}
    assert case.end() == case.ended


def test_the_count_of_steps_is_what_strace_sees(case: Case) -> None:
    """No change of a file goes past the counter: the kernel saw no other path being changed."""
    strace = need_program("strace")
    case.reset()
    log = case.rig.root.parent / "strace.log"
    script = (
        "import sys; from pathlib import Path; from tests.release.conftest import Rig\n"
        "rig = Rig(Path(sys.argv[1]), ring=None); rig.later(hours=1)\n"
        "rig.conductor().advance(rig.session('2.1.0rc2'), 'announced')\n"
    )
    calls = "rename,renameat,renameat2,fsync,fdatasync"
    traced = [strace, "-f", "-y", "-qq", "-s", "400", "-e", f"trace={calls}", "-o", str(log)]
    subprocess.run(
        [*traced, sys.executable, "-c", script, str(case.rig.root)],
        cwd=PROJECT,
        check=True,
        env={
            **os.environ,
            **case.rig.private_keys(),
            "PYTHONPATH": f"{PROJECT / 'release'}:{PROJECT}",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        timeout=120,
    )
    seen = [line for line in log.read_text().splitlines() if str(case.rig.root) in line and "= 0" in line]
    mine = [line for line in seen if "/work/trees/" not in line and "/.git/" not in line]
    renames = sum("rename" in line for line in mine)
    syncs = sum("sync" in line for line in mine)
    assert renames == sum(step.startswith("os.rename") for step in case.steps)
    assert syncs == sum(step.startswith("fsync") for step in case.steps)
