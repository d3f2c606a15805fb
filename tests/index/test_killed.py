"""A publish that is killed, or refused by the disk, at any of its steps.

Readers see one whole index, and the next run ends in the right one.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from wheelmill.publish.index import (
    IndexFaultError,
    Layout,
    View,
    WheelRecord,
    build_index,
    change_index,
    read_index,
    steps,
)

from tests.index.conftest import MOMENT, demo
from tests.index.test_tree import snapshot

LAYOUT = Layout(views=(View("9.0.0", ("910b",), ("9.0.0",)),))
Publish = Callable[[Path], object]


class Runs:
    """An index before and after one publish, and the steps of it."""

    def __init__(self, folder: Path, publish: Publish) -> None:
        self.folder, self.publish = folder, publish
        self.begin = folder / "begin"
        self.steps: list[str] = []
        at = self.fresh("counted")
        self.before = self.pages(at)
        with steps.observed(lambda step, _: self.steps.append(step)):
            publish(at / "index")
        self.after, self.whole = self.pages(at), snapshot(at / "index")

    def fresh(self, name: str) -> Path:
        at = self.folder / name
        shutil.copytree(self.begin, at, symlinks=True)
        return at

    @staticmethod
    def pages(at: Path) -> dict[str, bytes]:
        """What readers come to: the pages, and the files that these link to."""
        out = at / "index"
        linked = {f"files/{record.sha256}" for record in read_index(out)}
        shown = {name: data for name, data in snapshot(out).items() if "/." not in name}
        return {name: data for name, data in shown.items() if name[:70] in linked or name[:6] != "files/"}

    def check(self, at: Path) -> None:
        """One index or the other is shown; the same publish again ends in the new one and leaves nothing."""
        found = self.pages(at)
        if self.before.keys() == self.after.keys():  # a repair: each file is as before, or mended
            assert found.keys() == self.after.keys()
            assert all(data in (self.before[name], self.after[name]) for name, data in found.items())
        else:
            assert found in (self.before, self.after)
        self.publish(at / "index")
        assert self.pages(at) == self.after
        assert snapshot(at / "index").keys() == self.whole.keys()
        left = {entry.name.partition("-")[0] for entry in (at / ".index.trees").iterdir()}
        assert not left & {"partial", "pointer"}
        shutil.rmtree(at)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: hundreds of publishes flush what they write."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path) as made:
        yield Path(made)


@pytest.fixture(params=["change", "build", "repair"])
def runs(request: pytest.FixtureRequest, memory: Path) -> Runs:
    tmp_path = memory

    def record(version: str, project: str = "demo") -> WheelRecord:
        wheel = demo(version, project=project, files={}).write(tmp_path / "wheels")
        side = tmp_path / "sbom"
        side.write_text("{}")
        return WheelRecord.from_wheel(wheel, MOMENT, lines=["v1"], canns=["9.0.0"], sides={".cdx.json": side})

    old, new = [record("1.0"), record("1.0", "tool")], [record("2.0")]
    build_index(old, tmp_path / "begin/index", LAYOUT)
    if request.param == "change":
        return Runs(tmp_path, lambda out: change_index(out, LAYOUT, add=new))
    if request.param == "build":
        return Runs(tmp_path, lambda out: build_index([*old, *new], out, LAYOUT))
    wheel = next((tmp_path / "begin/index").glob("files/*/demo-1.0-*.whl"))
    wheel.unlink()
    wheel.write_bytes(b"damaged")
    page = tmp_path / "begin/index/simple/index.html"
    page.write_bytes(b"damaged")
    return Runs(tmp_path, lambda out: build_index(old, out, LAYOUT))


def test_killed_at_any_step(runs: Runs) -> None:
    assert len(runs.steps) > 25
    for number in range(len(runs.steps)):
        at = runs.fresh(f"killed-{number}")
        child = os.fork()
        if child == 0:
            left = iter(range(number))

            def kill(step: str, path: Path, left: object = left) -> None:
                if next(left, None) is None:  # type: ignore[call-overload]
                    os.kill(os.getpid(), signal.SIGKILL)

            with steps.observed(kill):
                runs.publish(at / "index")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, runs.steps[number]
        runs.check(at)


def test_a_disk_that_is_full_at_any_step(runs: Runs) -> None:
    for number, step in enumerate(runs.steps):
        at = runs.fresh(f"full-{number}")
        left = iter(range(number))

        def full(_: str, path: Path, left: object = left) -> None:
            if next(left, None) is None:  # type: ignore[call-overload]
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

        if step == "link":  # a file system that takes no link gets a copy
            shutil.rmtree(at)
            continue
        with steps.observed(full), pytest.raises(IndexFaultError, match="No space left"):
            runs.publish(at / "index")
        runs.check(at)
