"""Archive rules: names, framing and RECORD, each broken by hand."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
from wheelmill.prove.audit import Finding, audit
from wheelmill.wheel.errors import WheelError
from wheelmill.wheel.name import parse_name

from tests.audit.conftest import promised
from tests.wheels import Draft

INIT = "torch_npu/__init__.py"


def findings(wheel: Path, rule: str) -> list[Finding]:
    verdict = audit(wheel, promised(wheel))
    found = [f for f in verdict.findings if f.rule == rule]
    assert not found or not verdict.ok
    return found


class Pipe:
    """A stream that cannot go back, so that sizes are written behind the data."""

    def __init__(self, target: BinaryIO) -> None:
        self.write, self.flush = target.write, target.flush


@pytest.fixture
def draft() -> Draft:
    return Draft(
        project="torch_npu", version="2.13.0", files={INIT: b"one = 1\n", "torch_npu/two.py": b"2\n"}
    )


def test_a_good_archive_has_no_finding(draft: Draft, tmp_path: Path) -> None:
    wheel = draft.write(tmp_path)
    assert [rule for rule in ("record", "zip-names", "zip-framing") if findings(wheel, rule)] == []


@pytest.mark.parametrize(
    ("change", "file", "told"),
    [
        (
            lambda text: text.replace("torch_npu/two.py", "torch_npu/three.py"),
            "torch_npu/three.py",
            "not in the archive",
        ),
        (
            lambda text: text.replace("torch_npu/two.py", "torch_npu/three.py"),
            "torch_npu/two.py",
            "not in RECORD",
        ),
        (
            lambda text: text.replace("two.py,sha256=", "two.py,sha256=A"),
            "torch_npu/two.py",
            "is not what RECORD",
        ),
        (lambda text: text.replace("two.py,sha256=", "two.py,md5="), "torch_npu/two.py", "md5"),
        (lambda text: text.replace(",2\n", ",3\n"), "torch_npu/two.py", "is 2 bytes, RECORD says 3"),
        (lambda text: text + "torch_npu/two.py,sha256=x,2\n", "torch_npu/two.py", "twice"),
        (lambda text: "\n".join(r.partition(",")[0] + ",," for r in text.split()), INIT, "no hash"),
        (lambda text: text + "only,two\n", "torch_npu-2.13.0.dist-info/RECORD", "2 fields"),
    ],
)
def test_record_is_held_against_the_archive(
    draft: Draft, tmp_path: Path, change: Callable[[str], str], file: str, told: str
) -> None:
    draft.record = change
    messages = [f.message for f in findings(draft.write(tmp_path), "record") if f.file == file]
    assert any(told in message for message in messages), messages


def test_a_wheel_without_record_is_found(draft: Draft, tmp_path: Path) -> None:
    source = draft.write(tmp_path / "whole")
    target = tmp_path / source.name
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            if not info.filename.endswith("/RECORD"):
                new.writestr(info, old.read(info))
    assert findings(target, "record")[0].message == "is missing"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("../evil.py", "leads out"),
        ("torch_npu/../../evil.py", "leads out"),
        ("/etc/evil.py", "absolute"),
        ("C:/evil.py", "absolute"),
        ("torch_npu\\evil.py", "backslash"),
        ("torch_npu//evil.py", "not a normal path"),
        ("torch_npu/ev\nil.py", "control"),
        ("torch_npu/TWO.py", "case only"),
    ],
)
def test_a_name_that_leads_astray_is_found(draft: Draft, tmp_path: Path, name: str, told: str) -> None:
    draft.extra = [(name, b"")]
    assert any(told in f.message for f in findings(draft.write(tmp_path), "zip-names"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_duplicate_name_is_found(draft: Draft, tmp_path: Path) -> None:
    draft.extra = [(INIT, b"import evil\n")]
    found = findings(draft.write(tmp_path), "zip-names")
    assert [(f.file, "2 times" in f.message) for f in found] == [(INIT, True)]


def test_a_symbolic_link_is_found(draft: Draft, tmp_path: Path) -> None:
    wheel = draft.write(tmp_path)
    with zipfile.ZipFile(wheel, "a") as archive:
        info = zipfile.ZipInfo("torch_npu/link.py")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    assert "symbolic link" in findings(wheel, "zip-names")[0].message


def _patch_header(wheel: Path, name: str, offset: int, fmt: str, value: object) -> None:
    """Change one field of the header before a file, and not its row in the directory."""
    with zipfile.ZipFile(wheel) as archive:
        at = archive.getinfo(name).header_offset
    data = bytearray(wheel.read_bytes())
    struct.pack_into(fmt, data, at + offset, value)
    wheel.write_bytes(data)


@pytest.mark.parametrize(
    ("offset", "fmt", "value", "told"),
    [
        (30, "9s", b"evil_name", "own header calls it 'evil_name/"),
        (14, "<I", 7, "checksum 7 in its header"),
        (22, "<I", 9, "size 9 in its header"),
        (8, "<H", 0, "method 0 in its header"),
        (0, "4s", b"XXXX", "no file header"),
    ],
)
def test_headers_that_differ_from_the_directory_are_found(
    draft: Draft, tmp_path: Path, offset: int, fmt: str, value: object, told: str
) -> None:
    wheel = draft.write(tmp_path)
    _patch_header(wheel, INIT, offset, fmt, value)
    assert any(told in f.message for f in findings(wheel, "zip-framing"))


def test_bytes_in_front_of_the_first_file_are_found(draft: Draft, tmp_path: Path) -> None:
    wheel = draft.write(tmp_path)
    wheel.write_bytes(b"#!/bin/sh\n" + wheel.read_bytes())
    assert "10 bytes that belong to no file" in findings(wheel, "zip-framing")[0].message


def test_a_file_left_out_of_the_directory_is_found(draft: Draft, tmp_path: Path) -> None:
    wheel = draft.write(tmp_path)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("torch_npu/hidden.py", b"hidden")
        start = archive.infolist()[-1].header_offset
    data = wheel.read_bytes()
    whole = draft.write(tmp_path / "whole").read_bytes()
    directory = whole[whole.index(b"PK\x01\x02") :]
    hidden = data[start : data.index(b"PK\x01\x02")]
    end = bytearray(directory)
    struct.pack_into("<I", end, len(end) - 6, start + len(hidden))
    wheel.write_bytes(data[:start] + hidden + bytes(end))
    assert "belong to no file before the directory" in findings(wheel, "zip-framing")[0].message


def test_a_comment_after_the_directory_is_found(draft: Draft, tmp_path: Path) -> None:
    wheel = draft.write(tmp_path)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.comment = b"a note"
    assert "comment" in findings(wheel, "zip-framing")[0].message


def test_sizes_written_after_the_data_are_no_fault(draft: Draft, tmp_path: Path) -> None:
    source = draft.write(tmp_path / "whole")
    target = tmp_path / source.name
    with zipfile.ZipFile(source) as old, target.open("wb") as raw, zipfile.ZipFile(Pipe(raw), "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info), zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(target) as archive:
        assert archive.infolist()[0].flag_bits & 8
    assert findings(target, "zip-framing") == []


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_zip_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    wheel = tmp_path / "torch_npu-2.13.0-py3-none-any.whl"
    wheel.write_bytes(content)
    with pytest.raises(WheelError, match="not a readable zip archive"):
        audit(wheel, promised(wheel))


def test_a_wheel_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    wheel = tmp_path / "torch_npu-2.13.0-py3-none-any.whl"
    with pytest.raises(WheelError, match="there is no file"):
        audit(wheel, promised(wheel))


def test_a_name_that_is_no_wheel_name_is_one_clear_error() -> None:
    with pytest.raises(WheelError, match=r"torch_npu\.tar\.gz is not the name of a wheel"):
        parse_name("torch_npu.tar.gz")
