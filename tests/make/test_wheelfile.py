"""Wheels are the same bytes for the same content, and keep their content under another tag."""

from __future__ import annotations

import os
import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from wheelmill.wheel import wheelfile
from wheelmill.wheel.errors import WheelError
from wheelmill.wheel.wheelfile import WheelContent

METADATA = "Metadata-Version: 2.4\nName: small_thing\nVersion: 1.0rc1\nSummary: x\nRequires-Python: >=3.8\n"


@pytest.fixture
def content(tmp_path: Path) -> WheelContent:
    source = tmp_path / "mod.py"
    source.write_text("print('hi')\n")
    return WheelContent(
        name="small_thing",
        version="1.0rc1",
        tag="cp38-cp38-linux_aarch64",
        metadata=METADATA,
        license=b"BSD\n",
        epoch=1_700_000_000,
        files={
            "small_thing/mod.py": source,
            "small_thing/lib/libx.so": b"\x7fELF",
            "small_thing/a,b.txt": b"",
        },
        entry_points="[console_scripts]\nx = small_thing.mod:main\n",
        executables=frozenset({"small_thing/lib/libx.so"}),
    )


def test_the_same_content_is_the_same_bytes_whatever_the_umask_the_order_and_the_folder(
    content: WheelContent, tmp_path: Path
) -> None:
    reordered = replace(content, files=dict(reversed(list(content.files.items()))))
    (tmp_path / "mod.py").chmod(0o600)
    before = os.umask(0o077)
    try:
        first = wheelfile.write(content, tmp_path / "one")
    finally:
        os.umask(before)
    os.utime(tmp_path / "mod.py", (0, 0))
    (tmp_path / "mod.py").chmod(0o755)
    second = wheelfile.write(reordered, tmp_path / "elsewhere/two")
    assert first.read_bytes() == second.read_bytes()
    assert stat.S_IMODE(first.stat().st_mode) == stat.S_IMODE(second.stat().st_mode) == 0o644


def test_modes_times_and_order_are_fixed(content: WheelContent, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheelfile.write(content, tmp_path)) as archive:
        members = archive.infolist()
    names = [member.filename for member in members]
    assert names[:3] == ["small_thing/a,b.txt", "small_thing/lib/libx.so", "small_thing/mod.py"]
    assert all(name.startswith("small_thing-1.0rc1.dist-info/") for name in names[3:])
    assert names[-1].endswith("/RECORD")
    assert {member.date_time for member in members} == {(2023, 11, 14, 22, 13, 20)}
    modes = {member.filename: member.external_attr >> 16 for member in members}
    assert modes["small_thing/lib/libx.so"] == 0o100755
    assert modes["small_thing/mod.py"] == 0o100644


def test_retagging_keeps_all_but_the_tag_and_back_again_gives_the_first_bytes(
    content: WheelContent, tmp_path: Path
) -> None:
    wheel = wheelfile.write(content, tmp_path)
    many = "cp38-cp38-manylinux_2_17_aarch64.manylinux2014_aarch64"
    retagged = wheelfile.rewrite(wheel, tmp_path / "out", tag=many)
    assert retagged.name == f"small_thing-1.0rc1-{many}.whl"
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(retagged) as new:
        text = new.read("small_thing-1.0rc1.dist-info/WHEEL").decode()
        assert old.namelist() == new.namelist()
        differing = {name for name in old.namelist() if old.read(name) != new.read(name)}
    assert text.splitlines()[3:] == [
        "Tag: cp38-cp38-manylinux2014_aarch64",
        "Tag: cp38-cp38-manylinux_2_17_aarch64",
    ]
    assert {name.split("/")[-1] for name in differing} == {"WHEEL", "RECORD"}
    again = wheelfile.rewrite(retagged, tmp_path / "back", tag="cp38-cp38-linux_aarch64")
    assert again.read_bytes() == wheel.read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": METADATA + "Requires-Dist: torch==\n"}, "torch=="),
        ({"metadata": METADATA.replace("1.0rc1", "2.0")}, "metadata is of small.thing 2.0"),
        ({"metadata": METADATA + "License-Expression: My-Own\n"}, "(?i)licen[sc]e"),
        ({"version": "not a version"}, "Invalid"),
        ({"tag": "cp38-linux_x86_64"}, "(?i)wheel"),
    ],
)
def test_metadata_that_an_index_would_refuse_is_not_written(
    change: dict[str, str], message: str, content: WheelContent, tmp_path: Path
) -> None:
    with pytest.raises(WheelError, match=message):
        wheelfile.write(replace(content, **change), tmp_path / "out")  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_what_is_no_wheel_is_not_rewritten(tmp_path: Path) -> None:
    broken = tmp_path / "a-1-py3-none-any.whl"
    broken.write_bytes(b"PK nothing")
    with pytest.raises(WheelError, match="not a readable zip archive"):
        wheelfile.rewrite(broken, tmp_path, tag="py3-none-any")
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("../outside", b"")
    with pytest.raises(WheelError, match="leads out of the folder"):
        wheelfile.rewrite(broken, tmp_path, tag="py3-none-any")
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("a.py", b"")
    with pytest.raises(WheelError, match=r"no a-1\.dist-info/WHEEL"):
        wheelfile.rewrite(broken, tmp_path, tag="py3-none-any")
