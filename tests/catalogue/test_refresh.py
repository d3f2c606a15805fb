"""From an index to a record: what is told is kept, what is not told stays unknown."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from wheelmill.catalogue import CatalogueError, Record, Wheel, read_record, write_record
from wheelmill.catalogue.model import preferred
from wheelmill.catalogue.refresh import refresh
from wheelmill.catalogue.remote import served
from wheelmill.cli import cli
from wheelmill.project import find_project

from tests.catalogue.conftest import Add, Mirror
from tests.matrix.small import COMPAT

TODAY = date(2026, 11, 28)
CP = "cp311-cp311"
TAG = f"{CP}-manylinux_2_28_x86_64"
AUDITED = {"day": "2026-11-28", "platform": "manylinux_2_17", "verdict": "right"}
ROOT = Path(__file__).parents[2]


def read(mirror: Mirror, before: Record | None = None) -> Record:
    return refresh(mirror.url, before, TODAY).record


def test_a_record_has_what_index_and_wheels_tell(mirror: Mirror, add: Add) -> None:
    name = add(
        "9.1.0", TAG, "Requires-Dist: torch==9.1.0+cpu", "Requires-Dist: numpy", "Requires-Python: >=3.10"
    )
    mirror.yanked[name] = "breaks import"
    (wheel,) = read(mirror).wheels
    assert wheel.requires == ("torch==9.1.0+cpu", "numpy")
    assert (wheel.requires_python, wheel.yanked) == (">=3.10", "breaks import")
    assert (wheel.size, wheel.uploaded) == (len(mirror.files[name]), "2026-10-15T03:25:01Z")
    assert (wheel.version, wheel.pythons, wheel.arch) == ("9.1.0", ("3.11",), "x86_64")
    assert (wheel.glibc, wheel.torch_pin()) == ((2, 28), "==9.1.0+cpu")


def test_metadata_comes_by_the_part_and_only_once(mirror: Mirror, add: Add) -> None:
    add("9.1.0", TAG, "Requires-Dist: torch==9.1.0")
    before = read(mirror)
    wheels = [(path, span) for path, span in mirror.asked if path.startswith("/files/")]
    assert wheels
    assert all(span for _, span in wheels)
    mirror.asked.clear()
    assert read(mirror, before).wheels == before.wheels
    assert [path for path, _ in mirror.asked if path.startswith("/files/")] == []


def test_the_file_beside_the_wheel_is_enough(mirror: Mirror, add: Add) -> None:
    mirror.side_files = True
    add("9.1.0", TAG, "Requires-Dist: torch==9.1.0")
    assert read(mirror).wheels[0].requires == ("torch==9.1.0",)
    asked = [path for path, _ in mirror.asked if path.startswith("/files/")]
    assert [path.endswith(".metadata") for path in asked] == [True]


@pytest.mark.parametrize("html", [True, False])
def test_what_a_mirror_strips_is_unknown_and_said_so(mirror: Mirror, add: Add, html: bool) -> None:
    mirror.html, mirror.ranges, mirror.strips = html, False, {"size", "upload-time"}
    add("9.1.0", TAG, "Requires-Dist: torch==9.1.0")
    found = refresh(mirror.url, None, TODAY)
    assert set(found.record.unknown) == {"size", "uploaded", "requires", "requires_python", "yanked"}
    assert found.record.wheels[0].yanked is None
    ((_, why),) = found.unread
    assert "the server gives no part of the file" in why


def test_the_older_api_tells_what_is_yanked(mirror: Mirror, add: Add) -> None:
    mirror.html = mirror.older_api = True
    name = add("9.1.0", TAG)
    assert read(mirror).wheels[0].yanked is False
    mirror.yanked[name] = "broken"
    assert read(mirror).wheels[0].yanked == "broken"


def refreshing(matrix: Path, mirror: Mirror, *words: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command itself, on the mirror; called with further words."""
    command = [sys.executable, "-m", "wheelmill", "--matrix", str(matrix), "catalogue", "refresh"]
    command += ["--index", mirror.url, *words]
    return lambda *more: subprocess.run(
        [*command, *more], capture_output=True, text=True, timeout=60, check=False,
        env={"PYTHONPATH": str(ROOT / "release"), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip


def test_changed_bytes_are_told_and_not_written(mirror: Mirror, add: Add, tmp_path: Path) -> None:
    matrix = tmp_path / "matrix" / "compat.yaml"
    matrix.parent.mkdir()
    matrix.write_bytes((ROOT / "matrix" / "compat.yaml").read_bytes())
    name = add("9.1.0", TAG)
    run = refreshing(matrix, mirror, "--json")
    first = run()
    assert json.loads(first.stdout)["new"] == [name]
    record = matrix.with_name("catalogue") / "index.json"
    kept = record.read_bytes()
    assert mirror.url.encode() not in kept
    add("9.1.0", TAG, "Requires-Dist: evil")
    second = run()
    assert (second.returncode, record.read_bytes()) == (1, kept)
    assert "has other bytes than before" in second.stderr
    assert run("--accept-changed").returncode == 0
    assert b"evil" in record.read_bytes()


def test_what_is_gone_is_told_and_not_dropped(mirror: Mirror, add: Add, tmp_path: Path) -> None:
    """A mirror of a part may not take the record with it."""
    (tmp_path / "compat.yaml").write_bytes((ROOT / "matrix" / "compat.yaml").read_bytes())
    kept, gone = add("9.1.0", TAG), add("9.2.0", TAG)
    run = refreshing(tmp_path / "compat.yaml", mirror)
    assert run().returncode == 0
    record = tmp_path / "catalogue" / "index.json"
    before = record.read_bytes()
    del mirror.files[gone]
    refused = run()
    assert (refused.returncode, record.read_bytes()) == (1, before)
    assert f"lists 1 wheels and lacks 1 that are recorded: {gone}" in refused.stderr
    assert "--source NAME" in refused.stderr
    assert run("--source", "team").returncode == 0
    assert run("--accept-gone").returncode == 0
    assert [wheel.file for wheel in read_record(record).wheels] == [kept]


def test_what_was_known_of_the_same_file_is_kept_where_a_mirror_strips_it(mirror: Mirror, add: Add) -> None:
    name = add("9.1.0", TAG, "Requires-Dist: torch==9.1.0")
    before = refresh(mirror.url, None, TODAY).record
    assert before.wheels[0].size
    mirror.html, mirror.ranges = True, False
    (after,) = refresh(mirror.url, before, TODAY).record.wheels
    (old,) = before.wheels
    assert (after.sha256, after.size, after.uploaded, after.requires) == (
        old.sha256, old.size, old.uploaded, old.requires
    )  # fmt: skip
    assert after.yanked is None, "that it was not yanked then says nothing of today"
    mirror.files[name] += b"other"
    (changed,) = refresh(mirror.url, before, TODAY).record.wheels
    assert (changed.size, changed.sha256 == old.sha256) == (None, False)


def test_a_record_that_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    good = Record("torch_npu", "index", "2026-11-30", (Wheel(f"torch_npu-9.1.0-{TAG}.whl", sha256="0" * 64),))
    write_record(path, good)
    before = path.read_bytes()
    for changes in ({"size": -5}, {"sha256": "zz"}, {"yanked": "a\nb"}):
        bad = dataclasses.replace(good, wheels=(dataclasses.replace(good.wheels[0], **changes),))
        with pytest.raises(CatalogueError):
            write_record(path, bad)
    assert path.read_bytes() == before


def test_a_password_in_an_address_is_not_told(mirror: Mirror) -> None:
    address = mirror.url.replace("//", "//user:secret@") + "nowhere/"
    with pytest.raises(CatalogueError, match="cannot be read") as caught:
        refresh(address, None, TODAY)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("", "has an empty address"), (" \n", "has an empty address"), ("nonsense", "is no https or http"),
        ("ftp://index.example/simple/", "is no https or http address"), ("https://", "has no host"),
        ("https://[", "is no address: "), ("https://a b/simple/", "has characters that do not belong"),
        ("https://index.example/../simple/", "relative parts"), ("https://index.example:0/", "has no host"),
        ("https://me:secret@", "has no host"),
        ("file:///srv/index/simple/", "is a folder, and an index is read by"),
    ],
)  # fmt: skip
def test_what_is_no_index_is_one_clear_error(address: str, says: str) -> None:
    with pytest.raises(CatalogueError, match=says) as caught:
        refresh(address, None, TODAY)
    assert caught.value.hint
    assert "secret" not in caught.value.message


def test_an_index_of_pips_may_have_any_password() -> None:
    for url in ("https://me:p@ss!$w&rd@index.example/simple/", "http://token@[::1]:3141/simple/"):
        assert served(f" {url}\n") == url


def test_indexes_that_pip_reads_besides_are_named_and_not_mixed_in(
    mirror: Mirror, add: Add, tmp_path: Path
) -> None:
    (tmp_path / "compat.yaml").write_bytes((ROOT / "matrix" / "compat.yaml").read_bytes())
    name = add("9.1.0", TAG)
    extra = "https://user:secret@127.0.0.1:1/a/simple https://127.0.0.1:1/b/simple"
    command = [sys.executable, "-m", "wheelmill", "--matrix", str(tmp_path / "compat.yaml")]
    done = subprocess.run(
        [*command, "catalogue", "refresh", "--json"], capture_output=True, text=True, timeout=60, check=False,
        env={"PYTHONPATH": str(ROOT / "release"), "PATH": "/usr/bin:/bin", "PIP_INDEX_URL": mirror.url,
             "PIP_EXTRA_INDEX_URL": extra},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["new"] == [name]
    assert found["not_read"] == ["https://***@127.0.0.1:1/a/simple", "https://127.0.0.1:1/b/simple"]
    assert "pip reads further indexes, whose wheels are not in this record: https://***@" in done.stderr


def test_an_index_without_the_project_is_an_error(mirror: Mirror) -> None:
    with pytest.raises(CatalogueError, match="lists no wheel of it"):
        read(mirror)
    with pytest.raises(CatalogueError, match="cannot be read for torch_npu"):
        refresh(mirror.url + "nowhere/", None, TODAY)
    with pytest.raises(CatalogueError, match="cannot name a record"):
        refresh(mirror.url, None, TODAY, source="../index")


def test_a_record_is_written_whole_and_read_back(tmp_path: Path) -> None:
    wheels = (
        Wheel(f"torch_npu-9.1.0-{TAG}.whl", "ab" * 32, 5, "2026-10-15T03:25:01Z", ("torch",), "", "why"),
        Wheel("torch_npu-9.0.0-cp311-cp311-linux_aarch64.whl"),
    )
    record = Record("torch_npu", "index", "2026-11-28", wheels, ("yanked",))
    path = tmp_path / "catalogue" / "index.json"
    assert write_record(path, record)
    assert not write_record(path, record)
    assert read_record(path) == record
    assert len(path.read_text().splitlines()) == 1 + len(wheels) + 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"file": "../../evil.whl"}, "is not a wheel's file name"),
        ({"file": 3}, "is not a wheel's file name"),
        ({"file": "torch_npu-2.1.0pc1-py3-none-any.whl"}, "is not a PEP 440 version"),
        ({"file": "foo-2.1.0-py3-none-any.whl"}, "of the project 'foo'; right is one of torch_npu"),
        ({"file": f"torch_npu-9.1.0-{CP}-manylinux_3_28_x86_64.whl"}, "names no glibc; right is such as"),
        ({"file": f"torch_npu-9.1.0-{CP}-manylinux_2_9999_x86_64.whl"}, "names no glibc"),
        ({"file": f"torch_npu-9.1.0-{CP}-linux_x86_64.manylinux1_aarch64.whl"}, "of aarch64 and of x86_64"),
        (
            {"file": f"torch_npu-9.1.0-{CP}-manylinux_2_28_x86_64.manylinux2014_x86_64.whl"},
            "manylinux2014_x86_64 means glibc 2.17, and its other platforms another; right beside it is",
        ),
        ({"sha256": "AB" * 32}, "sha256 is 'AB.*; right is 64 digits"),
        ({"size": -1}, "size is -1; right is"),
        ({"size": True}, "size is True"),
        ({"uploaded": "yesterday"}, "uploaded is 'yesterday'; right is a time in UTC"),
        ({"uploaded": "2026-13-99T00:00:00Z"}, "uploaded is '2026-13-99"),
        ({"uploaded": "2026-02-29T00:00:00Z"}, "uploaded is '2026-02-29"),
        ({"uploaded": "2026-02-28T24:61:00Z"}, "uploaded is"),
        ({"requires": ["torch\x1b[2J"]}, "requires is"),
        ({"yanked": ""}, "yanked is ''; right is false, true or the reason"),
        ({"yanked": " "}, "yanked is ' '"),
        ({"yanked": 0}, "yanked is 0"),
        ({"yankd": True}, "there is no field 'yankd'; there are file, sha256"),
        ({"audited": {"day": "2026-11-28"}}, "audited is"),
        ({"audited": AUDITED | {"day": "2026-13-01"}}, "audited is"),
        ({"audited": AUDITED | {"platform": "manylinux_3_1"}}, "audited is"),
        ({"audited": AUDITED | {"verdict": "good"}}, "audited is"),
        ({"audited": AUDITED | {"torch": "new"}}, "audited is"),
        (
            {"audited": AUDITED | {"platform": "manylinux_2_35"}},
            "finds manylinux_2_28 right and",
        ),
    ],
)
def test_a_damaged_record_is_one_clear_error(tmp_path: Path, change: dict[str, object], says: str) -> None:
    path = tmp_path / "index.json"
    write_record(path, Record("torch_npu", "index", "2026-11-28", (Wheel(f"torch_npu-9.1.0-{TAG}.whl"),)))
    data = json.loads(path.read_text())
    data["wheels"][0].update(change)
    path.write_text(json.dumps(data))
    with pytest.raises(CatalogueError, match=says) as caught:
        read_record(path)
    assert f"{path} is not a record of the catalogue: wheel 1" in caught.value.message
    assert "file" in change or f"torch_npu-9.1.0-{TAG}.whl of version 9.1.0: " in caught.value.message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"project": "foo"}, "project is 'foo'; right is torch_npu"),
        ({"source": "releases"}, "source is 'releases'; right in index.json is index"),
        ({"read": "2026-13-99"}, "read is '2026-13-99'; right is a day"),
        ({"unknown": ["wheels"]}, "unknown is"),
        ({"wheels": {}}, "wheels is {}; right is a list"),
        ({"wheel": []}, "there is no field 'wheel'; there are schema, project"),
    ],
)
def test_a_damaged_head_is_refused_by_every_command(
    tmp_path: Path, change: dict[str, object], says: str
) -> None:
    folder = tmp_path / "catalogue"
    write_record(folder / "index.json", Record("torch_npu", "index", "2026-11-28", ()))
    data = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(data | change))
    (tmp_path / "compat.yaml").write_bytes(COMPAT.read_bytes())
    with pytest.raises(CatalogueError, match=says) as caught:
        find_project(tmp_path / "compat.yaml").catalogue()
    for words in (["pick", "--anywhere"], ["catalogue", "check"], ["doctor", "--no-import"]):
        with pytest.raises(CatalogueError) as told:
            cli.main(["--matrix", str(tmp_path / "compat.yaml"), *words], standalone_mode=False)
        assert told.value.message == caught.value.message


def test_a_record_with_one_wheel_twice_is_refused(tmp_path: Path) -> None:
    wheel = Wheel(f"torch_npu-9.1.0-{TAG}.whl")
    with pytest.raises(CatalogueError, match=f"it has {wheel.file} twice"):
        write_record(tmp_path / "index.json", Record("torch_npu", "index", "2026-11-28", (wheel, wheel)))


def test_an_index_does_not_decide_what_a_record_can_hold(mirror: Mirror, add: Add) -> None:
    """Files that no record may have are left out, as they would keep every other from being recorded."""
    good = add("9.1.0", TAG)
    bad = {f"torch_npu-9.1.0-{CP}-manylinux_3_28_x86_64.whl", f"foo-9.1.0-{TAG}.whl"}
    mirror.files |= dict.fromkeys(bad, mirror.files[good])
    mirror.yanked[good] = " "
    found = refresh(mirror.url, None, TODAY)
    assert [(one.file, one.yanked) for one in found.record.wheels] == [(good, True)]
    assert set(found.ignored) == bad


@pytest.mark.parametrize("text", ["", "[", "[]", '{"schema": 9}', "[" * 100_000, "\x00" * 50])
def test_what_is_no_record_is_one_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "index.json"
    path.write_text(text)
    with pytest.raises(CatalogueError, match="is not a record of the catalogue"):
        read_record(path)


def test_of_two_wheels_installers_take_the_newer_platform() -> None:
    old = Wheel("torch_npu-2.1.0-cp39-cp39-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
    new = Wheel("torch_npu-2.1.0-cp39-cp39-manylinux_2_27_x86_64.whl")
    assert preferred([old, new]) == new
    assert preferred([old, dataclasses.replace(new, yanked="why")]) == old
