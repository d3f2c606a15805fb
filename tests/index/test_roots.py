"""Which wheels each root shows, and that a change of a few wheels ends where a whole build does."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from wheelmill.publish.index import (
    IndexFaultError,
    Layout,
    SideFile,
    Status,
    View,
    WheelRecord,
    build_index,
    change_index,
    read_index,
    steps,
)
from wheelmill.publish.index.intact import tree_faults

from tests.index.conftest import MOMENT, demo, record_of
from tests.index.test_tree import snapshot

LAYOUT = Layout(
    statuses={"v1-1": Status("archived", "end of life")},
    views=(
        View("9.1.0", ("910b",), ("9.1.0", "9.0.0")),
        View("9.0.0", ("910b",), ("9.0.0",)),
        View("8.0.RC3", ("910b",), ("8.0.RC3",)),
    ),
)


def released(version: str, line: str, cann: str, folder: Path, **changes: object) -> WheelRecord:
    """A wheel of a release line, for one CANN; its bytes differ by line."""
    wheel = demo(version, files={"demo.py": f"cann = {cann!r}\n".encode()}, **changes).write(folder / line)
    return WheelRecord.from_wheel(wheel, MOMENT, lines=[line], canns=[cann])


@pytest.fixture
def records(tmp_path: Path) -> list[WheelRecord]:
    """Two torches (1.0 and 2.0) on three CANNs, and a wheel of no CANN in particular."""
    folder = tmp_path / "wheels"
    return [
        released("1.0rc1", "v1-1", "8.0.RC3", folder),
        released("1.0", "v1-2", "9.0.0", folder),
        released("1.0.post2", "v1-3", "9.1.0", folder),
        released("2.0", "v2-1", "9.0.0", folder),
        WheelRecord.from_wheel(demo("5.0", project="tool", files={}).write(folder), MOMENT),
    ]


def shown(out: Path, root: str, project: str = "demo") -> list[str]:
    page = out / root / "simple" / project / "index.v1+json"
    return json.loads(page.read_bytes())["versions"] if page.exists() else []


def test_each_root_shows_its_wheels(tmp_path: Path, records: list[WheelRecord]) -> None:
    out = tmp_path / "index"
    built = build_index(records, out, LAYOUT)
    expected = {
        "": ["1.0rc1", "1.0", "1.0.post2", "2.0"],
        "release": ["1.0", "1.0.post2", "2.0"],
        "pre-release": ["1.0rc1"],
        "line/v1-1": ["1.0rc1"],
        "line/v1-2": ["1.0"],
        "line/v1-3": ["1.0.post2"],
        "line/v2-1": ["2.0"],
        "cann-8.0.rc3": ["1.0rc1"],
        "cann-9.0.0": ["1.0", "2.0"],
        "cann-9.0": ["1.0", "2.0"],
        "cann-9.1.0": ["1.0.post2"],
        "cann-9.1": ["1.0.post2"],
        "cann-8.0.rc3/910b": ["1.0rc1"],
        "cann-9.0.0/910b": ["1.0", "2.0"],
        "cann-9.0/910b": ["1.0", "2.0"],
        "cann-9.1.0/910b": ["1.0.post2", "2.0"],  # no 2.0 was made for 9.1: that of 9.0 runs there
        "cann-9.1/910b": ["1.0.post2", "2.0"],
    }
    assert {root: shown(out, root) for root in built.roots} == expected
    assert [p.name for p in out.glob("*/*/simple/tool")] == []  # a view is of what was built for a CANN
    assert len(list(out.glob("files/*/*.whl"))) == len(records)  # stored once
    page = json.loads((out / "line/v1-1/simple/demo/index.v1+json").read_bytes())
    assert page["project-status"] == {"status": "archived", "reason": "end of life"}


def test_a_view_falls_back_by_python_and_past_what_is_yanked(tmp_path: Path) -> None:
    view = View("9.1.0", ("910b",), ("9.1.0", "9.0.0"))
    old = [released("1.0", "a", "9.0.0", tmp_path, tag=f"cp{p}-cp{p}-linux_x86_64") for p in (39, 310)]
    new = released("1.0.post1", "b", "9.1.0", tmp_path, tag="cp310-cp310-linux_x86_64")
    assert [r.filename for r in view.of([*old, new])] == [old[0].filename, new.filename]
    build_index([*old, new], tmp_path / "index", Layout(views=(view,)))
    change_index(tmp_path / "index", Layout(views=(view,)), yank={new.filename: "broken"})
    assert shown(tmp_path / "index", "cann-9.1/910b") == ["1.0"]


def test_a_wheel_of_two_lines_is_one_wheel_in_both(tmp_path: Path) -> None:
    one, two = (released("1.0", line, "9.0.0", tmp_path) for line in ("v1-1", "v1-2"))
    build_index([one, two], tmp_path / "index")
    assert shown(tmp_path / "index", "line/v1-1") == shown(tmp_path / "index", "line/v1-2") == ["1.0"]
    (record,) = read_index(tmp_path / "index")
    assert record.lines == ("v1-1", "v1-2")


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_changes_one_by_one_end_in_the_same_tree(
    tmp_path: Path, records: list[WheelRecord], at_once: int
) -> None:
    out = tmp_path / "index"
    for start in range(0, len(records), at_once):
        change_index(out, LAYOUT, add=records[start : start + at_once])
    whole = build_index(records, tmp_path / "whole", LAYOUT)
    assert snapshot(out) == snapshot(tmp_path / "whole")
    assert (out.resolve().name, read_index(out)) == (whole.tree.name, read_index(tmp_path / "whole"))


def test_pages_of_untouched_projects_are_links(tmp_path: Path, records: list[WheelRecord]) -> None:
    out = tmp_path / "index"
    build_index(records, out, LAYOUT)
    held = (out / "simple/tool/index.html").stat().st_ino
    built = change_index(out, LAYOUT, add=[released("3.0", "v3-1", "9.0.0", tmp_path)])
    assert (out / "simple/tool/index.html").stat().st_ino == held
    assert (built.wheels, built.projects) == (len(records) + 1, 2)
    assert shown(out, "")[-1] == "3.0"


def test_a_tree_before_is_used_again_and_what_is_not_of_the_new_one_goes(tmp_path: Path) -> None:
    """The third publish works in the folder of the first, which nobody is shown any more."""
    out, drafts = tmp_path / "index", [demo("1.0", project=name) for name in ("left", "right")]
    records = [record_of(draft, tmp_path / "w") for draft in drafts]
    first = build_index(records, out).tree
    change_index(out, add=[record_of(demo("2.0", project="more"), tmp_path / "w")])
    (first / "simple/left/stray.html").write_text("nobody's")
    (first / "simple/right/index.html").unlink()
    (first / "simple/right/index.html").mkdir()
    (first / "metadata").symlink_to("/etc")
    untouched = (first / "simple/left/index.html").stat().st_ino
    taken: list[str] = []
    with steps.observed(lambda step, path: taken.append(f"{step} {path}")):
        third = change_index(out, add=[record_of(demo("3.0", project="more"), tmp_path / "w")]).tree
    assert not [step for step in taken if "simple/right/index.v1" in step], "as it was, so left alone"
    assert tree_faults(third) == []
    assert (third / "simple/left/index.html").stat().st_ino == untouched
    assert not first.exists()
    again = build_index(read_index(out), tmp_path / "other").tree
    assert again.name == third.name


def test_a_yank_is_a_change_that_can_be_taken_back(tmp_path: Path, records: list[WheelRecord]) -> None:
    out = tmp_path / "index"
    first = build_index(records, out, LAYOUT)
    name = records[1].filename
    change_index(out, LAYOUT, yank={name: "wrong <numbers>"})
    assert 'data-yanked="wrong &lt;numbers&gt;"' in (out / "line/v1-2/simple/demo/index.html").read_text()
    assert change_index(out, LAYOUT, yank={name: None}).tree == first.tree


def test_what_is_removed_is_shown_by_no_root(tmp_path: Path, records: list[WheelRecord]) -> None:
    out = tmp_path / "index"
    build_index(records, out, LAYOUT)
    change_index(out, LAYOUT, remove=[records[3].filename])
    assert not (out / "line/v2-1").exists()
    assert not any(b"demo-2.0" in page for name, page in snapshot(out).items() if "index" in name)
    names = [record.filename for record in read_index(out)]
    with pytest.raises(IndexFaultError, match="no wheel to make an index of"):
        change_index(out, LAYOUT, remove=names)


def test_another_layout_writes_all_pages(tmp_path: Path, records: list[WheelRecord]) -> None:
    out = tmp_path / "index"
    build_index(records, out)
    change_index(out, LAYOUT, yank={records[0].filename: "late"})
    assert shown(out, "cann-9.1/910b") == ["1.0.post2", "2.0"]
    assert json.loads((out / "line/v1-1/simple/demo/index.v1+json").read_bytes())["project-status"][
        "reason"
    ] == ("end of life")


def test_a_published_name_never_carries_other_bytes(tmp_path: Path, records: list[WheelRecord]) -> None:
    out = tmp_path / "index"
    before = snapshot(build_index(records, out, LAYOUT).path)
    other = demo("2.0", files={"demo.py": b"other"}).write(tmp_path / "other")
    with pytest.raises(IndexFaultError, match=r"demo-2\.0.*is there already, with other bytes"):
        change_index(out, LAYOUT, add=[WheelRecord.from_wheel(other, MOMENT, lines=["v2-1"])])
    with pytest.raises(IndexFaultError, match=r"nothing-1\.0.*is not in the index"):
        change_index(out, LAYOUT, yank={"nothing-1.0-py3-none-any.whl": ""})
    assert snapshot(out) == before


def test_side_files_lie_beside_the_wheel_and_their_hash_in_the_page(tmp_path: Path) -> None:
    out = tmp_path / "index"
    wheel = demo().write(tmp_path)
    sbom, signature = tmp_path / "sbom", tmp_path / "signature"
    sbom.write_text("{}")
    signature.write_text("signed")
    build_index([WheelRecord.from_wheel(wheel, MOMENT, lines=["v1"], sides={".cdx.json": sbom})], out)
    later = WheelRecord.from_wheel(wheel, MOMENT, lines=["v1"], sides={".intoto.jsonl": signature})
    change_index(out, add=[later])
    (entry,) = json.loads((out / "line/v1/simple/demo/index.v1+json").read_bytes())["files"]
    for suffix, source in ((".cdx.json", sbom), (".intoto.jsonl", signature)):
        (side,) = out.glob(f"files/*/{wheel.name}{suffix}")
        assert side.read_bytes() == source.read_bytes()
        assert entry["_side-files"][suffix] == {"sha256": SideFile.of(suffix, side).sha256}
    signature.write_text("signed by another")
    changed = WheelRecord.from_wheel(wheel, MOMENT, lines=["v1"], sides={".intoto.jsonl": signature})
    with pytest.raises(IndexFaultError, match="with other bytes"):
        change_index(out, add=[changed])


def test_an_index_can_be_made_from_another_one(tmp_path: Path, records: list[WheelRecord]) -> None:
    """As a release does: from the staged index into the public one."""
    build_index(records[:2], tmp_path / "public", LAYOUT)
    build_index(records[2:], tmp_path / "staged", LAYOUT)
    change_index(tmp_path / "public", LAYOUT, add=read_index(tmp_path / "staged"))
    build_index(records, tmp_path / "whole", LAYOUT)
    assert snapshot(tmp_path / "public") == snapshot(tmp_path / "whole")


def test_a_seal_is_part_of_the_tree(tmp_path: Path, records: list[WheelRecord]) -> None:
    def seal(manifest: bytes) -> dict[str, bytes]:
        return {"metadata/root.json": b"signed %d" % len(manifest)}

    out = tmp_path / "index"
    plain = build_index(records, out, LAYOUT)
    sealed = build_index(records, out, LAYOUT, seal=seal)
    assert sealed.tree != plain.tree
    manifest = (out / "manifest").read_bytes()
    assert (out / "metadata/root.json").read_bytes() == b"signed %d" % len(manifest)
    assert not build_index(records, out, LAYOUT, seal=seal).changed
    (out / "metadata/root.json").write_bytes(b"forged")
    assert build_index(records, out, LAYOUT, seal=seal).damaged == (
        "metadata/root.json has SHA-256 " + SideFile.of(".x", _forged(tmp_path)).sha256,
    )


def _forged(folder: Path) -> Path:
    path = folder / "forged"
    path.write_bytes(b"forged")
    return path


def test_the_manifest_is_what_sha256sum_checks(tmp_path: Path, records: list[WheelRecord]) -> None:
    import subprocess

    out = tmp_path / "index"
    build_index(records, out, LAYOUT)
    command = ["sha256sum", "--check", "--quiet", "--strict", "manifest"]
    assert subprocess.run(command, cwd=out, check=False, env=os.environ).returncode == 0
    (out / "simple/index.html").write_text("changed")
    assert subprocess.run(command, cwd=out, check=False, capture_output=True).returncode == 1
