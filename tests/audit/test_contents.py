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


# --------------------------------------------------------------------- end record, extra fields, descriptors
def changed(wheel: Path, signature: bytes, offset: int, fmt: str, value: int) -> Path:
    """One field of the last record with that signature."""
    data = bytearray(wheel.read_bytes())
    struct.pack_into(fmt, data, data.rindex(signature) + offset, value)
    wheel.write_bytes(data)
    return wheel


FIRST = "torch_npu-2.13.0.dist-info/METADATA"
LOCAL, ROW, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


@pytest.mark.parametrize(
    ("signature", "offset", "fmt", "value", "told"),
    [
        (END, 4, "<H", 1, "speaks of disks 1 and 0"),
        (END, 6, "<H", 3, "speaks of disks 0 and 3"),
        (END, 8, "<H", 1, "counts 1 entries on this disk"),
        (END, 10, "<H", 0, "the end record counts 0"),
        (END, 10, "<H", 60000, "the end record counts 60000"),
        (END, 20, "<H", 5, "whose comment is 5 bytes long"),
        (ROW, 34, "<H", 2, "is on disk 2"),
        (ROW, 12, "<H", 77, "its time in its header is not the one"),
        (LOCAL, 6, "<H", 8, "flags 0x8 in its header"),
    ],
)
def test_records_that_lie_are_found(
    draft: Draft, tmp_path: Path, signature: bytes, offset: int, fmt: str, value: int, told: str
) -> None:
    wheel = changed(draft.write(tmp_path), signature, offset, fmt, value)
    messages = [f.message for f in findings(wheel, "zip-framing")]
    assert any(told in message for message in messages), messages


def test_bytes_after_the_end_record_are_found(draft: Draft, tmp_path: Path) -> None:
    wheel = draft.write(tmp_path)
    wheel.write_bytes(wheel.read_bytes() + b"\nnot a zip any more\n")
    assert "20 bytes follow the end record" in findings(wheel, "zip-framing")[0].message


def with_extra(draft: Draft, folder: Path, extra: bytes, *, row: bool) -> Path:
    """The first file with an extra field, in its row of the directory or in its header."""
    wheel = draft.write(folder)
    data = bytearray(wheel.read_bytes())
    start = data.index(ROW)
    at, length = (start, 46) if row else (0, 30)
    name = struct.unpack_from("<H", data, at + length - 4 - (14 if row else 0))[0]
    struct.pack_into("<H", data, at + length - 2 - (14 if row else 0), len(extra))
    data[at + length + name : at + length + name] = extra
    end = data.rindex(END)
    size, offset = struct.unpack_from("<2I", data, end + 12)
    if row:
        struct.pack_into("<I", data, end + 12, size + len(extra))
    else:
        struct.pack_into("<I", data, end + 16, offset + len(extra))
        place = data.index(ROW)
        while (place := data.find(ROW, place + 4)) >= 0:
            struct.pack_into(
                "<I", data, place + 42, struct.unpack_from("<I", data, place + 42)[0] + len(extra)
            )
    wheel.write_bytes(data)
    return wheel


@pytest.mark.parametrize("row", [True, False], ids=["directory", "header"])
@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (struct.pack("<2HBI", 0x7075, 5 + 10, 1, 0) + b"../evil.py", "its extra field 0x7075"),
        (struct.pack("<2HBI", 0x7075, 5 + len(FIRST), 1, 0) + FIRST.encode(), None),
        (struct.pack("<2HQ", 1, 8, 7), "a Zip64 field of 8 bytes"),
        (struct.pack("<2H", 0x5455, 9), "is longer than its place"),
        (b"abc", "3 bytes that are no extra field"),
        (struct.pack("<2H", 0xCAFE, 0) * 2, "is there twice"),
        (struct.pack("<2HBI", 0x5455, 5, 1, 0), None),
    ],
)
def test_extra_fields_say_what_the_rest_says(
    draft: Draft, tmp_path: Path, extra: bytes, told: str | None, row: bool
) -> None:
    messages = [f.message for f in findings(with_extra(draft, tmp_path, extra, row=row), "zip-framing")]
    assert [told is not None and told in message for message in messages] == [True] * (told is not None), (
        messages
    )


@pytest.mark.parametrize("wrong", [0, 1], ids=["the same", "another size"])
def test_a_zip64_field_in_a_header_may_say_the_sizes_again(draft: Draft, tmp_path: Path, wrong: int) -> None:
    """Protobuf's wheels have it, and pip and uv install them."""
    data = draft.write(tmp_path).read_bytes()
    packed, size = struct.unpack_from("<2I", data, 18)
    extra = struct.pack("<2H2Q", 1, 16, size + wrong, packed)
    messages = [f.message for f in findings(with_extra(draft, tmp_path, extra, row=False), "zip-framing")]
    assert ["a Zip64 field of 16 bytes in its header" in one for one in messages] == [True] * wrong


def streamed(draft: Draft, folder: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    source = draft.write(folder / "whole")
    target = folder / source.name
    with zipfile.ZipFile(source) as old, target.open("wb") as raw, zipfile.ZipFile(Pipe(raw), "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info), method)
    return target


@pytest.mark.parametrize("offset", [4, 8, 12], ids=["checksum", "packed size", "size"])
def test_a_descriptor_that_differs_is_found(draft: Draft, tmp_path: Path, offset: int) -> None:
    wheel = changed(streamed(draft, tmp_path), b"PK\x07\x08", offset, "<I", 12345)
    assert "descriptor behind its data" in findings(wheel, "zip-framing")[0].message


def test_a_stored_file_of_unknown_length_is_found(draft: Draft, tmp_path: Path) -> None:
    wheel = streamed(draft, tmp_path, zipfile.ZIP_STORED)
    assert "no reader finds the end" in findings(wheel, "zip-framing")[0].message


def test_zip64_where_it_is_needed_is_no_fault(draft: Draft, tmp_path: Path) -> None:
    """A stream of unknown length, as Python writes one that may become large."""
    source = draft.write(tmp_path / "whole")
    target = tmp_path / source.name
    with zipfile.ZipFile(source) as old, target.open("wb") as raw, zipfile.ZipFile(Pipe(raw), "w") as new:
        for info in old.infolist():
            entry = zipfile.ZipInfo(info.filename)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with new.open(entry, "w", force_zip64=True) as out:
                out.write(old.read(info))
    assert findings(target, "zip-framing") == []
    data = bytearray(target.read_bytes())
    at = data.index(END)
    data[at:at] = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 0, 0, 0, 0)
    data[at + 56 : at + 56] = struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1)
    target.write_bytes(data)
    messages = [f.message for f in findings(target, "zip-framing")]
    assert "a Zip64 end record is there that the end record does not refer to" in messages
    assert "the end record and the Zip64 end record differ" in messages


@pytest.mark.parametrize(("method", "told"), [(zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "LZMA")])
def test_a_compression_that_installers_dropped_is_found_once(
    draft: Draft, tmp_path: Path, method: int, told: str
) -> None:
    source = draft.write(tmp_path / "whole")
    target = tmp_path / source.name
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info), method)
    verdict = audit(target, promised(target))
    assert {f.rule for f in verdict.errors} == {"zip-framing"}
    assert all(told in f.message for f in verdict.errors)


def test_names_beyond_ascii_are_marked(draft: Draft, tmp_path: Path) -> None:
    draft.files["torch_npu/\u00e9.py"] = b""
    wheel = draft.write(tmp_path)
    assert findings(wheel, "zip-framing") == []
    data = wheel.read_bytes()
    at = data.index("\u00e9.py".encode()) - 10 - 30
    row = data.rindex("\u00e9.py".encode()) - 10 - 46
    data = bytearray(data)
    for place in (at + 6, row + 8):
        struct.pack_into("<H", data, place, 0)
    wheel.write_bytes(data)
    assert "beyond ASCII and not marked" in findings(wheel, "zip-framing")[0].message
