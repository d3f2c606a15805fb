"""What one machine compiled, another takes from the store that they share, if it is what it says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from wheelmill.make.build import Workshop, build, make_plan
from wheelmill.make.engines.host import HostEngine
from wheelmill.make.toolchain.sdk import running_python
from wheelmill.matrix import Cell
from wheelmill.store import RemoteError, Store

from tests.make.test_damaged_store import cut, flip

Machine = Callable[[str, str], Workshop]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a server that speaks S3."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    boto3.client("s3").create_bucket(Bucket="shared")
    yield "s3://shared/wheelmill"
    server.stop()


@pytest.fixture(params=["a folder", "s3"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    url: str = request.getfixturevalue("s3") if request.param == "s3" else str(tmp_path / "shared")
    return url


@pytest.fixture
def told() -> list[str]:
    """What all machines were told."""
    return []


@pytest.fixture
def machine(workshop: Workshop, tmp_path: Path, told: list[str]) -> Machine:
    """A machine of this name with a store of its own and this remote."""

    def make(name: str, url: str) -> Workshop:
        store = Store(tmp_path / name, notice=told.append, remote=url)
        return replace(workshop, store=store, engine=HostEngine(store.root / "tools"))

    return make


def own_cell(workshop: Workshop, arch: str) -> Cell:
    return Cell(workshop.lines[0], running_python(), arch)


def objects(url: str) -> list[Path]:
    return [path for path in Path(url, "objects").rglob("*") if path.is_file()]


def test_a_second_machine_compiles_nothing(machine: Machine, remote: str, arch: str, told: list[str]) -> None:
    first, second = machine("first", remote), machine("second", remote)
    (made,) = build([own_cell(first, arch)], first)
    assert "compile" in made.seconds
    assert make_plan([own_cell(second, arch)], second).groups[0].cached
    (taken,) = build([own_cell(second, arch)], second)
    assert "compile" not in taken.seconds
    assert taken.log is None
    assert taken.wheel.digest == made.wheel.digest
    assert taken.simulator.digest == made.simulator.digest
    assert not told


def file_of(url: str, part: str) -> Path:
    """The one file below `objects` or `records`."""
    (found,) = [path for path in Path(url, part).rglob("*") if path.is_file()]
    return found


def empty(path: Path) -> None:
    path.write_bytes(b"")


def test_what_is_damaged_there_is_compiled_again_and_mended(
    machine: Machine, tmp_path: Path, arch: str, told: list[str]
) -> None:
    url = str(tmp_path / "shared")
    first, second, third = (machine(name, url) for name in ("first", "second", "third"))
    (made,) = build([own_cell(first, arch)], first)
    flip(file_of(url, "objects"))
    (again,) = build([own_cell(second, arch)], second)
    assert "compile" in again.seconds
    assert again.wheel.digest == made.wheel.digest
    assert [note for note in told if note.startswith("damaged: ") and url in note]
    (taken,) = build([own_cell(third, arch)], third)
    assert "compile" not in taken.seconds, told


@pytest.mark.parametrize("damage", [flip, cut, empty])
@pytest.mark.parametrize("part", ["objects", "records"])
def test_what_is_damaged_there_is_absent_and_told(
    tmp_path: Path, told: list[str], part: str, damage: Callable[[Path], None]
) -> None:
    url = str(tmp_path / "shared")
    writer = Store(tmp_path / "writer", notice=told.append, remote=url)
    writer.share(writer.record("bundle", "key", digest=writer.put(b"native" * 1000), log="a.log"))
    victim = file_of(url, part)
    victim.chmod(0o644)
    damage(victim)
    reader = Store(tmp_path / "reader", notice=told.append, remote=url)
    assert reader.obtain("bundle", "key") is None
    assert reader.find("bundle", "key") is None
    assert [note for note in told if note.startswith("damaged: ") and victim.name in note and url in note]
    writer.share(writer.record("bundle", "key", digest=writer.put(b"native" * 1000), log="a.log"))
    assert Store(tmp_path / "next", remote=url).obtain("bundle", "key")


def test_a_record_under_the_name_of_another_is_not_believed(tmp_path: Path, told: list[str]) -> None:
    url = str(tmp_path / "shared")
    writer = Store(tmp_path / "writer", notice=told.append, remote=url)
    writer.share(writer.record("bundle", "theirs", digest=writer.put(b"evil"), log="x"))
    theirs = file_of(url, "records")
    writer.share(writer.record("bundle", "mine", digest=writer.put(b"mine"), log="x"))
    for path in Path(url, "records").rglob("*"):
        if path.is_file() and path != theirs:
            shutil.copy(theirs, path)
    assert Store(tmp_path / "reader", notice=told.append, remote=url).obtain("bundle", "mine") is None
    assert any("is not what was written" in note for note in told)


def test_several_writers_of_one_bundle_leave_one_that_is_whole(tmp_path: Path, told: list[str]) -> None:
    url, content = str(tmp_path / "shared"), b"native" * 100_000

    def write(number: int) -> None:
        store = Store(tmp_path / f"machine{number}", notice=told.append, remote=url)
        store.share(store.record("bundle", "key", digest=store.put(content), log=f"{number}.log"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    reader = Store(tmp_path / "reader", notice=told.append, remote=url)
    record = reader.obtain("bundle", "key")
    assert record is not None
    assert reader.get(record.data["digest"]).read_bytes() == content
    assert len(objects(url)) == 1
    assert not told


def test_a_remote_that_fails_in_the_middle_is_told_and_the_build_goes_on(
    machine: Machine, s3: str, arch: str, told: list[str]
) -> None:
    first = machine("first", s3)
    bucket = boto3.resource("s3").Bucket("shared")
    bucket.objects.all().delete()
    bucket.delete()
    (made,) = build([own_cell(first, arch)], first)
    assert made.wheel.path.is_file()
    assert any("was not sent: The specified bucket does not exist" in note for note in told), told


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("s3://nobody-has-it/x", "cannot be used"),
        ("nonsense://host/x", "cannot be used"),
        ("/dev/null/x", "cannot be used"),
        ("/proc/here", "cannot be used"),
    ],
)
def test_a_remote_that_cannot_be_opened_is_one_error(s3: str, url: str, found: str, tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match=found) as raised:
        Store(tmp_path, remote=url)
    assert "\n" not in raised.value.message
    assert raised.value.hint
    assert not (tmp_path / "journal.jsonl").exists()


def test_a_build_with_a_wrong_url_is_one_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "wheelmill", "plan", "3.11-x86_64", "--remote", "nonsense://host"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: the remote store nonsense://host cannot be used: ")
    assert "Traceback" not in done.stderr
