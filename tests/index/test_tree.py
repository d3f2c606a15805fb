"""Writing and switching the index."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from wheelmill.errors import WheelmillError
from wheelmill.publish.index import IndexFaultError, WheelRecord, build_index, read_index
from wheelmill.publish.index.intact import tree_faults

from tests.index.conftest import Served, demo, record_of


def snapshot(out: Path) -> dict[str, bytes]:
    walk = sorted(os.walk(out, followlinks=True))
    paths = [Path(folder, name) for folder, _, names in walk for name in sorted(names)]
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


def test_running_again_changes_nothing(tmp_path: Path) -> None:
    records = [record_of(demo("1.0"), tmp_path), record_of(demo("1.1"), tmp_path)]
    first = build_index(records, tmp_path / "index")
    held = {p: p.stat().st_ino for p in first.tree.rglob("*")}
    second = build_index(reversed(records), tmp_path / "index")
    assert (first.changed, second.changed) == (True, False)
    assert {p: p.stat().st_ino for p in second.tree.rglob("*")} == held


def test_the_same_records_give_the_same_bytes_elsewhere(tmp_path: Path) -> None:
    records = [record_of(demo("1.0"), tmp_path), record_of(demo("1.1"), tmp_path)]
    one, two = build_index(records, tmp_path / "a/index"), build_index(records[::-1], tmp_path / "b/index")
    assert snapshot(one.path) == snapshot(two.path)
    assert one.tree.name == two.tree.name


def test_a_wheel_that_left_is_gone(tmp_path: Path) -> None:
    old, new = record_of(demo("1.0"), tmp_path), record_of(demo("1.1"), tmp_path)
    out = tmp_path / "index"
    build_index([old, new], out)
    build_index([new], out)
    assert not any(b"demo-1.0" in page for name, page in snapshot(out).items() if "index" in name)
    build_index([new, record_of(demo("1.2"), tmp_path)], out)  # nor the one that is one rename away has it
    assert not any("demo-1.0" in name for name in snapshot(out))


def test_one_earlier_index_is_kept_and_no_more(tmp_path: Path) -> None:
    out = tmp_path / "index"
    trees = [build_index([record_of(demo(v), tmp_path)], out).tree for v in ("1.0", "1.1", "1.2")]
    assert [tree.exists() for tree in trees] == [False, True, True]


def test_wheels_are_hard_links_not_copies(tmp_path: Path) -> None:
    record = record_of(demo(), tmp_path)
    built = build_index([record], tmp_path / "index")
    (shown,) = built.path.glob("files/*/*.whl")
    assert shown.samefile(record.path)


def test_a_damaged_tree_is_written_again(tmp_path: Path) -> None:
    record, out = record_of(demo(), tmp_path), tmp_path / "index"
    before = snapshot(build_index([record], out).path)
    (out / "simple/index.html").write_text("damaged")
    assert build_index([record], out).changed
    assert snapshot(out) == before


def test_what_a_killed_run_left_is_taken_away(tmp_path: Path) -> None:
    out = tmp_path / "index"
    build_index([record_of(demo("1.0"), tmp_path)], out)
    left = tmp_path / ".index.trees/partial-killed"
    (left / "simple").mkdir(parents=True)
    build_index([record_of(demo("1.1"), tmp_path)], out)
    assert not left.exists()


def test_a_folder_where_a_page_belongs_does_not_stop_the_next_run(tmp_path: Path) -> None:
    """The tree of before last becomes the next one, whatever lies in it by now."""
    out, wheels = tmp_path / "index", [record_of(demo(f"{n}.0"), tmp_path) for n in range(3)]
    first = build_index(wheels[:1], out).tree
    build_index(wheels[:2], out)
    page = first / "simple/demo/index.html"
    page.unlink()
    (page / "more").mkdir(parents=True)
    (page / "more/file").write_bytes(b"")
    assert tree_faults(build_index(wheels, out).tree) == []


def test_nothing_changes_when_a_record_is_bad(tmp_path: Path) -> None:
    good, out = record_of(demo("1.0"), tmp_path), tmp_path / "index"
    bad = dataclasses.replace(good, filename="demo-1.1-py3-none-any.whl", path=Path("gone"))
    build_index([good], out)
    before = snapshot(out)
    with pytest.raises(IndexFaultError, match=r"demo-1\.1-py3-none-any\.whl: .* is missing"):
        build_index([good, bad], out)
    assert snapshot(out) == before


def test_no_wheels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IndexFaultError, match="no wheel to make an index of"):
        build_index([], tmp_path / "index")


def test_the_same_name_with_other_bytes_is_refused(tmp_path: Path) -> None:
    one = record_of(demo("1.0"), tmp_path / "one")
    two = record_of(demo("1.0", files={"demo.py": b"other"}), tmp_path / "two")
    with pytest.raises(IndexFaultError, match="twice, with other bytes"):
        build_index([one, two], tmp_path / "index")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"filename": "demo.whl"}, "demo.whl"),
        ({"filename": "demo-1.0.0.0rc.1-py3-none-any.whl"}, "canonical form"),
        ({"filename": "demo-2.0-py3-none-any.whl"}, "its metadata are those of demo 1.0"),
        ({"filename": "other-1.0-py3-none-any.whl"}, "its metadata are those of demo 1.0"),
        ({"sha256": "abc"}, "not a SHA-256"),
        ({"size": 3}, "instead of 3"),
        ({"requires_python": None}, "Requires-Python is >=3.8 in its metadata"),
        ({"uploaded": "2024-01-01T00:00:00.000000"}, "no moment of UTC"),
        ({"uploaded": "2024-13-01T00:00:00.000000Z"}, "no moment of UTC"),
    ],
)
def test_a_bad_record_is_refused_with_its_name(tmp_path: Path, change: dict[str, object], told: str) -> None:
    record = dataclasses.replace(record_of(demo(), tmp_path), **change)  # type: ignore[arg-type]
    with pytest.raises(IndexFaultError) as caught:
        build_index([record], tmp_path / "index")
    assert told in caught.value.message
    assert record.filename in caught.value.message


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    record = record_of(demo(), tmp_path)
    with pytest.raises(IndexFaultError, match="2 fault"):
        build_index([dataclasses.replace(record, sha256="x", size=1)], tmp_path / "index")


def test_a_directory_that_is_no_index_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "index/precious").write_text("kept")
    with pytest.raises(IndexFaultError, match="no index of ours"):
        build_index([record_of(demo(), tmp_path)], tmp_path / "index")
    assert (tmp_path / "index/precious").read_text() == "kept"


@pytest.mark.parametrize("content", [b"no zip", None])
def test_a_file_that_is_no_wheel_is_one_clear_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(IndexFaultError, match=r"demo-1\.0-py3-none-any\.whl cannot be read as a wheel"):
        WheelRecord.from_wheel(path, datetime.now().astimezone())


def test_a_content_addressed_file_is_shown_under_its_name(tmp_path: Path) -> None:
    wheel = demo().write(tmp_path)
    stored = wheel.rename(tmp_path / ("ab" * 32))
    record = WheelRecord.from_wheel(stored, datetime.now().astimezone(), filename=wheel.name)
    built = build_index([record], tmp_path / "index")
    assert [p.name for p in built.path.glob("files/*/*.whl")] == ["demo-1.0-py3-none-any.whl"]


def test_readers_see_one_index_or_the_other_while_it_is_switched(
    tmp_path: Path, served: Callable[..., Served]
) -> None:
    """Each answer is whole, and what a page links to is there as long as the page is."""
    sets = [[record_of(demo(f"{n}.{i}"), tmp_path / str(n)) for i in range(20)] for n in range(3)]
    running = served(*sets[0])
    stop, wrong, seen = threading.Event(), [], set()

    def read() -> None:
        connection = http.client.HTTPConnection(running.base.removeprefix("http://"), timeout=30)
        while not stop.is_set():
            connection.request(
                "GET", "/simple/demo/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
            )
            answer = connection.getresponse()
            body = answer.read()
            versions = json.loads(body)["versions"] if answer.status == 200 else []
            seen.add(tuple(versions))
            if versions not in [[f"{n}.{i}" for i in range(20)] for n in range(3)]:
                wrong.append((answer.status, versions))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for turn in range(24):
        build_index(sets[turn % 3], running.out)
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert len(seen) > 1


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    record = record_of(demo(), tmp_path / "wheels")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WheelmillError, match="file"):
        build_index([record], tmp_path / "file/index")


def test_what_is_damaged_is_named_and_mended(tmp_path: Path) -> None:
    """A byte of a wheel, its metadata, a list: all are hashed when an index is asked for again."""
    records, out = [record_of(demo(), tmp_path / "wheels")], tmp_path / "index"
    before = snapshot(build_index(records, out).path)
    wheel = next(out.glob("files/*/*.whl"))
    data = bytearray(wheel.read_bytes())
    data[-1] ^= 1
    for path, content in (
        (wheel, bytes(data)),
        (Path(f"{wheel}.metadata"), b"changed"),
        (out / "manifest", b""),
    ):
        path.unlink()
        path.write_bytes(content)
    built = build_index(records, out)
    assert snapshot(out) == before
    assert built.changed
    assert [text.split(" ")[0].rpartition("/")[2] for text in built.damaged] == [
        wheel.name,
        f"{wheel.name}.metadata",
        "manifest",
    ]
    assert built.kept is not None
    assert sorted(p.name for p in built.kept.rglob("*.whl")) == [wheel.name]
    assert not build_index(records, out).changed


def test_a_damaged_wheel_that_is_nowhere_else_is_an_error(tmp_path: Path) -> None:
    out = tmp_path / "index"
    build_index([record_of(demo(), tmp_path / "wheels")], out)
    wheel = next(out.glob("files/*/*.whl"))
    damaged = bytes(wheel.stat().st_size)
    wheel.unlink()
    wheel.write_bytes(damaged)
    with pytest.raises(IndexFaultError, match=r"demo-1\.0.*is nowhere else"):
        build_index(read_index(out), out)
    assert wheel.read_bytes() == damaged
