"""Bounds: what a wheel claims costs nothing beyond its bytes, and the finding names the bound."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from wheelmill.prove.audit import Verdict, judge

from tests.audit.conftest import Compile
from tests.audit.test_placed import BARE, HEADERS, LIBRARY, native, pure
from tests.wheels import Draft

# Far above what any of these needs and far below what following one claim would take.
pytestmark = pytest.mark.timeout(30)


def told(verdict: Verdict) -> str:
    assert verdict.exit_code == 1
    return "\n".join(f"{f.rule} {f.file}: {f.message}" for f in verdict.errors)


def judged_in_little_memory(wheel: Path, megabytes: int) -> dict[str, object]:
    """The verdict's JSON by a process that may not take more than that."""
    code = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({megabytes << 20}, {megabytes << 20}))\n"
        "from wheelmill.cli import main\n"
        "sys.argv = ['wheelmill', 'audit', '--json', sys.argv[1]]\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(wheel)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    (verdict,) = json.loads(done.stdout)["wheels"]
    assert isinstance(verdict, dict)
    return verdict


# ----------------------------------------------------------------------------------------------- the archive
@pytest.mark.parametrize("start", [b"", b"\x7fELF"], ids=["text", "elf"])
def test_a_bomb_is_not_unpacked(tmp_path: Path, start: bytes) -> None:
    wheel = pure(**{"demo/zeros.bin": start + bytes(128 << 20)}).write(tmp_path)
    assert wheel.stat().st_size < 1 << 20
    verdict = judged_in_little_memory(wheel, 300)
    assert "is the most that is read of one of" in str(verdict["findings"])


def test_a_file_that_unpacks_to_more_than_it_claims_is_cut_short(tmp_path: Path) -> None:
    data = zlib.compress(bytes(64 << 20), 9, wbits=-15)
    wheel = pure(**{"demo/zeros.bin": b"x" * 1000}).write(tmp_path)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("demo/more.bin", b"")
    raw = bytearray(wheel.read_bytes())
    # Its header and its row claim 1000 bytes, and the packed bytes become the bomb's.
    local, row = raw.rindex(b"PK\3\4"), raw.rindex(b"PK\1\2")
    at = local + 30 + len("demo/more.bin")
    for place, offset in ((local, 0), (row, 2)):
        struct.pack_into("<H", raw, place + 8 + offset, 8)
        struct.pack_into("<3I", raw, place + 14 + offset, 1, len(data), 1000)
    raw[at:at] = data
    end = raw.rindex(b"PK\5\6")
    struct.pack_into("<I", raw, end + 16, struct.unpack_from("<I", raw, end + 16)[0] + len(data))
    wheel.write_bytes(raw)
    assert "demo/more.bin: cannot be unpacked: it unpacks to more than 1000 bytes" in told(judge(wheel))


def archive_of(names: Sequence[bytes], *, same_header: bool = False) -> bytes:
    """Empty stored files, without the time that zipfile takes for many."""
    body, rows = [], []
    at = 0
    for name in names:
        rows.append(
            struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, len(name), *[0] * 5, at)
            + name
        )
        if not same_header or not body:
            body.append(struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 33, 0, 0, 0, len(name), 0) + name)
        at += 0 if same_header else len(body[-1])
    start, directory = sum(map(len, body)), b"".join(rows)
    count = min(len(names), 0xFFFF)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(directory), start, 0)
    return b"".join(body) + directory + end


def test_more_members_than_any_wheel_has_are_not_looked_at(tmp_path: Path) -> None:
    wheel = tmp_path / "demo-1.0-py3-none-any.whl"
    wheel.write_bytes(archive_of([b"%x" % number for number in range(100_001)]))
    assert "it has more than 100000 members" in told(judge(wheel))


def test_many_rows_of_one_header_are_read_once(tmp_path: Path) -> None:
    wheel = tmp_path / "demo-1.0-py3-none-any.whl"
    wheel.write_bytes(archive_of([b"x" * 60_000] * 50, same_header=True))
    text = told(judge(wheel))
    assert "entries overlap" in text
    assert "it overlaps the file before it" in text


def test_findings_are_counted_where_there_are_too_many(tmp_path: Path) -> None:
    wheel = tmp_path / "demo-1.0-py3-none-any.whl"
    wheel.write_bytes(archive_of([b"demo/%d" % number for number in range(5000)]))
    verdict = judge(wheel)
    assert "record" in told(verdict)
    assert len(verdict.findings) < 2000
    wheel = pure(**{f"torch/{number}": b"" for number in range(300)}).write(tmp_path / "more")
    assert len(judge(wheel).findings) < 500


# ------------------------------------------------------------------------------------------------- the texts
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("METADATA", b"x" * (5 << 20), "no more than 4194304 are read"),
        (
            "METADATA",
            b"".join(b"X-%d: y\n" % n for n in range(300_000)),
            "lines of headers; no more than 5000",
        ),
        (
            "METADATA",
            b"Metadata-Version: 2.4\nName: demo\nVersion: " + b"1" * 5000 + b"\n",
            "it has 1000 at most",
        ),
        ("METADATA", b"Requires-Dist: torch>=" + b"1." * 30_000 + b"1\n", "no more than 8192 are read"),
        (
            "WHEEL",
            b"Tag: " + b"-".join(b".".join([b"a"] * n) for n in (300, 300, 100)) + b"\n",
            "9000000 tags",
        ),
        ("WHEEL", b"x" * (70 << 10), "no more than 65536 are read"),
        ("entry_points.txt", b"[x]\n" + b"a" * (2 << 20), "no more than 1048576 are read"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_text_beyond_its_bound_is_named(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    draft = pure()
    draft.files[f"{draft.dist_info}/{name}"] = content
    assert said in told(judge(draft.write(tmp_path)))


def test_a_record_of_more_rows_than_any_wheel_has_files(tmp_path: Path) -> None:
    draft = pure()
    draft.record = lambda text: text + "".join(f"{number:x},,\n" for number in range(150_000))
    assert "has more than 100100 rows" in told(judge(draft.write(tmp_path)))


def test_a_name_of_too_many_tags_is_no_wheel_s(tmp_path: Path) -> None:
    parts = (".".join(f"py{n}" for n in range(20)), ".".join("abcdefghij"), ".".join("abcdefghij"))
    wheel = tmp_path / f"demo-1.0-{'-'.join(parts)}.whl"
    wheel.write_bytes(b"")
    assert "2000 tags, and no wheel needs more than 1000" in told(judge(wheel))


# ---------------------------------------------------------------------------------------------- native files
def hostile(library: bytes, offset: int, layout: str, *values: int) -> bytes:
    data = bytearray(library)
    struct.pack_into(layout, data, offset, *values)
    return bytes(data)


def section(library: bytes, kind: int) -> int:
    """Where the header of the first section of a kind is."""
    at, (size, count) = struct.unpack_from("<Q", library, 40)[0], struct.unpack_from("<2H", library, 58)
    return next(
        a for a in range(at, at + size * count, size) if struct.unpack_from("<I", library, a + 4)[0] == kind
    )


VERNEED, DYNSYM, DYNAMIC = 0x6FFFFFFE, 11, 6


@pytest.fixture
def library(compile_library: Compile) -> bytes:
    return compile_library("int atoi(char *); int f(char *a) { return atoi(a); }", name="k.so")


def read(library: bytes, folder: Path) -> str:
    draft = native({"demo/k.so": library})
    return told(judge(draft.write(folder)))


def test_version_records_that_claim_more_than_their_bytes(library: bytes, tmp_path: Path) -> None:
    at = section(library, VERNEED)
    offset = struct.unpack_from("<Q", library, at + 24)[0]
    claims = [hostile(library, at + 44, "<I", 0xFFFFFFFF), hostile(library, offset + 2, "<H", 0xFFFF)]
    claims.append(hostile(hostile(library, at + 44, "<I", 0xFFFF), offset + 12, "<I", 0))
    for number, data in enumerate(claims):
        text = read(data, tmp_path / str(number))
        assert "begins like an ELF file and is none" in text


def test_more_sections_and_segments_than_any_library_has(library: bytes, tmp_path: Path) -> None:
    padded = library + bytes(64 * 0xFFFF)
    assert "no more than 4096 are read" in read(hostile(padded, 60, "<H", 0xFFFE), tmp_path / "sections")
    assert "no more than 256 are read" in read(hostile(padded, 56, "<H", 0xFFFE), tmp_path / "segments")


def test_tables_that_reach_beyond_the_file(library: bytes, tmp_path: Path) -> None:
    for number, kind in enumerate((VERNEED, DYNSYM)):
        data = hostile(library, section(library, kind) + 32, "<Q", 1 << 62)
        assert "reaches beyond the file" in read(data, tmp_path / str(number))


def dynamic_library(entries: Sequence[tuple[int, int]], strings: bytes) -> bytes:
    """A library of one segment: header, program headers, dynamic entries, strings."""
    table = b"".join(struct.pack("<2Q", *entry) for entry in entries)
    at = 64 + 2 * 56
    names = at + len(table)
    total = names + len(strings)
    table = table.replace(struct.pack("<Q", 0xABCDEF), struct.pack("<Q", names))
    ident = b"\x7fELF\2\1\1" + bytes(9)
    header = ident + struct.pack("<2HI3QI6H", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    load = struct.pack("<2I6Q", 1, 4, 0, 0, 0, total, total, 4096)
    dynamic = struct.pack("<2I6Q", 2, 4, at, at, at, len(table), len(table), 8)
    return header + load + dynamic + table + strings


def test_more_needed_libraries_than_any_file_has(tmp_path: Path) -> None:
    strings = b"\0libx.so\0"
    tables = [(5, 0xABCDEF), (10, len(strings))]
    many = dynamic_library([*tables, *[(1, 1)] * 1000, (0, 0)], strings)
    assert "it needs 1000 libraries; no more than 512 are read" in read(many, tmp_path / "needed")
    more = dynamic_library([*tables, *[(1, 1)] * 100_000, (0, 0)], strings)
    assert "more than 4096 entries" in read(more, tmp_path / "entries")
    endless = dynamic_library([*tables, (1, 1)], strings)
    assert "its dynamic segment has no end" in read(endless, tmp_path / "endless")


def test_names_without_an_end(tmp_path: Path) -> None:
    strings = b"\0" + b"x" * 300_000
    data = dynamic_library([(5, 0xABCDEF), (10, len(strings)), *[(1, 1)] * 400, (0, 0)], strings)
    assert "does not end within 65536 bytes" in read(data, tmp_path)


def test_names_that_share_their_bytes_without_end(compile_library: Compile, tmp_path: Path) -> None:
    """Thousands of symbols that each name the same long text: no more is read than the table can say."""
    long = "f" + "x" * 30_000
    source = f"int {long}(void) {{ return 1; }}" + "".join(
        f"int g{n}(void) {{ return 1; }}" for n in range(100)
    )
    data = bytearray(compile_library(source, *BARE, name="k.so"))
    at = section(bytes(data), DYNSYM)
    start, size = struct.unpack_from("<2Q", data, at + 24)
    names = data.index(long.encode())
    strings = struct.unpack_from("<Q", data, section(bytes(data), 3) + 24)[0]
    for row in range(start + 24, start + size, 24):
        struct.pack_into("<I", data, row, names - strings)
    assert "are longer than" in read(bytes(data), tmp_path)


@pytest.mark.parametrize("path", ["pipe", "device"])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path, path: str) -> None:
    wheel = tmp_path / "demo-1.0-py3-none-any.whl"
    if path == "pipe":
        import os

        os.mkfifo(wheel)
    else:
        wheel.symlink_to("/dev/zero")
    assert "it is not a regular file" in told(judge(wheel))


def test_a_damaged_library_is_told_beside_one_that_is_read(library: bytes, tmp_path: Path) -> None:
    draft = native({"demo/k.so": library[:200], "demo/l.so": library})
    text = told(judge(draft.write(tmp_path)))
    assert "elf-readable demo/k.so" in text
    assert "demo/l.so" not in text


def test_the_wheel_that_these_are_made_of_is_good(compile_library: Compile, tmp_path: Path) -> None:
    assert HEADERS
    draft: Draft = native({"demo/k.so": compile_library(LIBRARY, *BARE, name="k.so")})
    assert judge(draft.write(tmp_path)).findings == ()
