"""Questions that users asked in public, with the right answer, and one question for each axis."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import get_args

import pytest
from wheelmill.catalogue import Catalogue, Record, Wheel
from wheelmill.cli import cli
from wheelmill.console import Expanded, shell_line
from wheelmill.pick import (
    NoFit,
    Pick,
    PickError,
    Request,
    Shelf,
    answer,
    index_address,
    index_base,
    parse_request,
    render_dockerfile,
    render_text,
    to_json,
)
from wheelmill.pick import with_system as with_system_
from wheelmill.pick.commands import loaded_script
from wheelmill.pick.doctor import machine
from wheelmill.pick.model import AXES, BlockKind
from wheelmill.pick.words import SENTENCES, kind, label, same

from tests.matrix import printed
from tests.pick.asking import CATALOGUE, MATRIX, SHELF, TODAY, ask, picked, refused


# ------------------------------------------------------------------------------------ asked in public threads
def test_a_patch_of_cann_takes_the_wheels_of_its_row() -> None:
    pick = picked(cann="8.5.1", python="3.11", arch="aarch64")
    assert (pick.offer.adapter, pick.offer.branch) == ("2.9.0", "v2.9.0-7.3.0")
    assert "CANN 8.5.1 is taken with the wheels of CANN 8.5.0" in render_text(pick)
    assert pick.steps[-1].title["en"] == "Load CANN 8.5.1 (its default place)"
    pick = picked(cann="9.0.1", torch="2.10.0", python="3.12", arch="aarch64")
    assert (pick.offer.adapter, pick.offer.branch) == ("2.10.0.post2", "v2.10.0-26.0.0")
    assert picked(cann="8.3.RC2", torch="2.8.0").offer.adapter == "2.8.0"


@pytest.mark.parametrize(
    ("cann", "adapter"), [("8.0.RC3.beta1", "2.4.0"), ("8.0.0.beta1", "2.4.0.post2"), ("8.0.rc3", "2.4.0")]
)
def test_the_community_editions_names_are_known(cann: str, adapter: str) -> None:
    assert picked(cann=cann, torch="2.4.0").offer.adapter == adapter


def test_a_version_beside_the_table_is_found_and_its_successor_named() -> None:
    pick = picked(adapter="2.10.0", cann="9.0.0")
    assert pick.offer.adapter == "2.10.0"
    text = render_text(pick)
    assert "torch_npu 2.10.0 with CANN 9.0.0: by Versioning policy of vLLM Ascend." in text
    assert "Its branch v2.10.0-26.0.0 has torch_npu 2.10.0.post2 now." in text


def test_the_c_library_that_a_wheel_needs_is_said_and_asked_for() -> None:
    words = {"torch": "2.7.1", "cann": "9.0.0", "python": "3.11", "arch": "aarch64"}
    assert "Needs: glibc 2.28 or newer, as manylinux_2_28 says" in render_text(picked(**words))
    nofit = refused(**words, glibc="2.27")
    assert "2.27 is older than manylinux_2_28" in render_text(nofit)
    assert {one.axis for conflict in nofit.conflicts for one in conflict.blockers} == {
        "torch",
        "cann",
        "glibc",
    }
    assert picked(**words, glibc="2.28").offer.adapter == "2.7.1.post4"


@pytest.mark.parametrize(
    ("cann", "near"),
    [
        ("8.0.RC2.2", "8.0.RC2"),
        ("7.0.1", "7.0.0"),
        ("8.5.9", "8.5.0"),
        ("9.1.7", "9.1.0"),
        ("9.9.0", "9.2.0"),
    ],
)
def test_nobody_is_sent_to_a_newer_cann_first(cann: str, near: str) -> None:
    assert refused(cann=cann).alternatives[0].changes == {"cann": near}


def test_a_stranger_with_cann_7_0_rc1_and_python_3_11_gets_reason_and_nearest() -> None:
    text = render_text(refused(cann="7.0.RC1", python="3.11"))
    assert "Python 3.11 began with torch_npu 2.1.0.post8" in text
    assert (
        "change Python 3.10: torch_npu 2.1.0rc1 for torch 2.1.0, CANN 7.0.RC1, Python 3.10, aarch64" in text
    )


@pytest.mark.parametrize("row", sorted(printed.rows(printed.README_ROWS)), ids=lambda row: row[3])
def test_every_row_of_the_first_readme_leads_to_its_wheel(row: tuple[str, ...]) -> None:
    """CANN, torch and version as printed, or a sentence that says what was printed and why it is not held."""
    cann, torch, adapter, branch, image = row
    found = ask(branch=branch)
    if isinstance(found, NoFit):
        assert kinds(found) == [{"branch": "record only"}]
        return
    offer = found.offer
    assert offer.line is not None
    assert (offer.cann, offer.line.image or "-") == (cann, image)
    if (offer.torch, offer.adapter) != (torch, adapter):
        assert any("This row was published as" in warning["en"] for warning in found.warnings)


@pytest.mark.parametrize(
    ("words", "adapter"),
    [
        # RLinf#1577: the image of CANN 9.1.1, and the chip as the driver names it
        ({"chip": "Ascend950PR_9579", "cann": "9.1.1", "python": "3.12", "torch": "2.11.0"}, "2.11.0"),
        # vllm-ascend#914 and its installation guide: what was bought, not the chip in it
        ({"chip": "Atlas 300I Duo", "cann": "8.1.RC1", "python": "3.11"}, "2.5.1"),
        ({"chip": "Atlas 800I A2", "cann": "8.1.RC1", "python": "3.11"}, "2.5.1"),
        ({"chip": "910B4-1", "cann": "8.1.RC1", "python": "3.11"}, "2.5.1"),
        # flash-attention-npu#43: CANN by its first two numbers
        ({"cann": "9.1", "torch": "2.11.0"}, "2.11.0"),
        ({"cann": "CANN 8.3", "torch": "2.7.1"}, "2.7.1"),
        # Ascend/pytorch#37: three versions later than the one that the table misprints
        ({"torch": "2.1.0", "cann": "8.0.RC1", "python": "3.10", "chip": "910B3"}, "2.1.0.post3"),
    ],
)  # fmt: skip
def test_what_people_call_their_machine_is_understood(words: dict[str, str], adapter: str) -> None:
    assert picked(**words).offer.adapter == adapter


def test_a_release_of_cann_is_its_first_final_one_and_the_others_are_named() -> None:
    text = render_text(picked(cann="8.0"))
    assert "CANN 8.0 is read as CANN 8.0.0; there are also 8.0.RC1," in text
    assert "CANN 8.3 is read as CANN 8.3.RC1." in render_text(picked(cann="8.3"))
    assert refused(cann="9.9").alternatives[0].changes == {"cann": "9.2.0"}


@pytest.mark.parametrize("chip", ["910_9599", "910X", "9100", "A23", "710"])
def test_a_chip_that_is_only_alike_is_not_guessed(chip: str) -> None:
    assert kinds(refused(chip=chip)) == [{"chip": "unknown chip"}]


@pytest.mark.parametrize(
    ("words", "near", "says"),
    [
        # vllm-ascend#1188: vLLM wants a torch that torch_npu skipped
        (
            {"torch": "2.7.0", "cann": "8.1.RC1"},
            {"torch": "2.5.1"},
            "there is torch ... 2.3.1, 2.4.0, 2.5.1, 2.6.0, 2.7.1, 2.8.0, 2.9.0, 2.9.1 ...",
        ),
        # vllm-ascend#1901, #1413: a development build that others pin and no index has
        (
            {"adapter": "2.5.1.post1.dev20250619"},
            {"adapter": "2.5.1.post1"},
            "no index and no row has torch_npu 2.5.1.post1.dev20250619; there is torch_npu ... 2.4.0.post2,",
        ),
        # Ascend/pytorch#7, triton-ascend#326: pre-releases of CANN
        ({"cann": "7.0.RC1.alpha003", "torch": "2.1.0"}, {"cann": "7.0.RC1"}, "no document pairs"),
        ({"cann": "9.0.0-beta.2", "torch": "2.7.1"}, {"cann": "9.0.0"}, "no document pairs a wheel"),
    ],
)  # fmt: skip
def test_a_no_says_what_there_is_next_to_what_was_asked(
    words: dict[str, str], near: dict[str, str], says: str
) -> None:
    nofit = refused(**words)
    assert nofit.alternatives[0].changes == near
    assert says in render_text(nofit)


def test_one_reason_is_told_once() -> None:
    text = render_text(refused(torch="1.8.1", cann="5.1.RC2"))
    assert text.count("PyTorch 1.8.1 is from the beginning of the plug-in interface") == 1
    assert "Blocking: torch 1.8.1, and CANN 5.1.RC2" in text


# ------------------------------------------------------------------------------------------------- languages
def test_every_sentence_is_there_in_both_languages() -> None:
    for name, (en, zh) in SENTENCES.items():
        assert not re.search(r"[\u4e00-\u9fff]", en), name
        assert set(re.findall(r"\{\w+\}", en)) == set(re.findall(r"\{\w+\}", zh)), name
    for axis in AXES:
        assert label(axis)["zh"]
    for one in get_args(BlockKind):
        assert re.search(r"[\u4e00-\u9fff]", kind(one)["zh"])


def test_reasons_of_misprints_and_overrides_are_there_in_chinese() -> None:
    document = MATRIX.document
    told = [one.published for one in document.lines if one.published is not None]
    assert len(told) > 10
    for one in (*told, *(series.override for series in document.series if series.override is not None)):
        assert re.search(r"[\u4e00-\u9fff]", one.zh or ""), one.reason
    said = render_text(picked(cann="7.0.RC1", python="3.8"), lang="zh")
    assert "# 警告：这一行公布时写作 torch_npu 2.1.0.rc1。不是规范的版本号；pip 读写的是 2.1.0rc1。" in said
    assert "# 阶段：开发；没有公布发布日期，但包索引已提供 2.14.0。" in render_text(
        picked(torch="2.14.0"), lang="zh"
    )


@pytest.mark.parametrize(
    ("words", "zh"),
    [
        (
            {"cann": "7.0.RC1", "python": "3.11"},
            "  Python：从未构建：CANN 7.0.RC1 的 Python 有 3.7、3.8、3.9、3.10；"
            "Python 3.11 始于 torch_npu 2.1.0.post8（torch 2.1.0）",
        ),
        (
            {"cann": "8.5.1", "python": "3.11"},
            "# CANN 8.5.1 使用 CANN 8.5.0 的 wheel（vLLM Ascend 的版本策略）。",
        ),
        (
            {"torch": "2.7.1", "glibc": "2.27"},
            "  glibc：平台策略：torch 2.7.1 的 wheel 需要 glibc 2.28 或更新；2.27 低于 manylinux_2_28",
        ),
        ({"adapter": "2.9.1"}, "# 警告：torch_npu 2.9.1 在索引中，CANN 未知：没有文档说明它与什么配套。"),
        (
            {"cann": "8.0.0", "supported": True},
            "  不限阶段：torch_npu 2.4.0.post2，适配 torch 2.4.0、CANN 8.0.0、Python 3.11、aarch64",
        ),
    ],
)  # fmt: skip
def test_the_answer_is_in_the_users_language(words: dict[str, str], zh: str) -> None:
    found = ask(**words)
    assert zh in render_text(found, lang="zh").splitlines()
    commands = [line for line in render_text(found).splitlines() if not line.startswith("#")]
    if isinstance(found, Pick):  # and what is run is the same
        assert commands == [line for line in render_text(found, lang="zh").splitlines() if line[:1] != "#"]


# ------------------------------------------------------------------------------------------------- each axis
def kinds(nofit: NoFit) -> list[dict[str, str]]:
    return [{one.axis: one.kind for one in conflict.blockers} for conflict in nofit.conflicts]


def test_a_wheel_without_a_document_is_offered_last_and_called_so() -> None:
    pick = picked(adapter="2.9.1")
    assert (pick.offer.cann, pick.offer.torch, pick.offer.branch) == (None, "2.9.1", None)
    assert "torch_npu 2.9.1 is on the index, CANN unknown" in render_text(pick)
    nofit = refused(adapter="2.9.1", cann="9.0.0")
    assert kinds(nofit) == [{"adapter": "elsewhere", "cann": "CANN unknown"}]
    assert nofit.alternatives[0].changes == {"adapter": "2.9.0.post4"}
    assert {"cann": "unknown"} in [dict(one.changes) for one in nofit.alternatives]


def test_what_no_index_has_is_not_published() -> None:
    nofit = refused(adapter="2.8.0.post1")
    assert kinds(nofit) == [{"adapter": "not published"}]
    assert nofit.alternatives[0].changes == {"adapter": "2.8.0.post2"}


def test_chips_by_any_name_and_since_when() -> None:
    assert picked(chip="Ascend910B3", cann="8.0.0").offer.adapter == "2.4.0.post2"
    nofit = refused(chip="950PR", torch="2.6.0")
    assert kinds(nofit) == [{"torch": "elsewhere", "chip": "never built"}]
    assert "the adapter does not know Ascend 950; releases since 26.0.0 do" in render_text(nofit)
    assert nofit.alternatives[0].changes == {"torch": "2.7.1"}
    assert kinds(refused(chip="710")) == [{"chip": "unknown chip"}]


def with_system(text: str) -> Request:
    return with_system_(parse_request(cann="8.5.0"), text, MATRIX)


@pytest.mark.parametrize("text", ["Alpine 3.19", "alpine3.20", "postmarketOS v24.06"])
def test_no_wheel_runs_on_musl(text: str) -> None:
    """Nor is its user asked for a glibc that `ldd --version` does not print there."""
    for ask_ in (lambda: with_system(text), lambda: parse_request(glibc="musl libc (x86_64) 1.2.4")):
        with pytest.raises(PickError, match="has musl; every wheel of torch_npu needs glibc") as caught:
            ask_()
        assert "container with glibc" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "text",
    [
        "ldd (Debian GLIBC 2.36-9+deb12u10) 2.36",
        "ldd (Ubuntu GLIBC 2.36-0ubuntu4) 2.36\nCopyright (C) 2022\n" + "x" * 400,
        "ldd (GNU libc) 2.36",
    ],
)
def test_what_ldd_prints_is_a_glibc(text: str) -> None:
    assert parse_request(glibc=text).glibc == "2.36"


def test_a_torch_for_another_accelerator_is_refused() -> None:
    """An answer for 2.1.0 would replace that torch without a word; the CPU build is what wheels need."""
    for text in ("2.1.0+cu121", "2.1.0+rocm5.6", "2.9.0+xpu"):
        with pytest.raises(PickError, match="for another accelerator") as caught:
            parse_request(torch=text)
        assert f"--torch {text[:5]}`" in (caught.value.hint or "")
    assert parse_request(torch="2.1.0+cpu").torch == parse_request(torch="2.1.0+gitb2bbead").torch == "2.1.0"


def test_another_build_than_the_one_that_was_asked_for_is_told() -> None:
    for text, arch, installed in (
        ("2.1.0+cpu.cxx11.abi", "aarch64", "torch==2.1.0"),
        ("2.1.0+gitb2bbead", "x86_64", "torch==2.1.0+cpu"),
        ("2.1.0+cpu", "aarch64", "torch==2.1.0"),
    ):
        note = picked(torch=text, arch=arch).notes[0]
        assert note["en"] == (
            f"torch {text} is read as torch 2.1.0: the commands install {installed}, which is another build."
        )
        assert text in note["zh"]
        assert installed in note["zh"]
    assert picked(torch="2.1.0+CPU", arch="x86_64").notes == picked(torch="2.1.0").notes == ()
    told = "torch_npu 2.1.0.post3+git1 is read as torch_npu 2.1.0.post3: its builds are not told apart."
    assert [one["en"] for one in picked(adapter="2.1.0.post3+git1").notes] == [told]
    told = "torch 2.1.0+git1 is read as torch 2.1.0: its builds are not told apart."
    assert [one["en"] for one in refused(torch="2.1.0+git1", python="3.14").notes] == [told]


@pytest.mark.parametrize("words", [[], ["--arch", "arm64"], ["--anywhere"]])
def test_a_machine_that_no_wheel_is_for_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.setattr(machine.platform, "machine", lambda: "armv7l")
    cli.main(["pick", *words], standalone_mode=False)
    assert ("this machine is armv7l, for which there is no wheel" in capsys.readouterr().err) == (not words)


@pytest.mark.parametrize(
    ("implementation", "flags", "name"),
    [("CPython", "t", "t"), ("PyPy", "", "PyPy "), ("GraalVM", "", "GraalVM "), ("IronPython", "", "Iron")],
)
@pytest.mark.parametrize("words", [[], ["--python", "3.11"]])
def test_a_python_that_no_wheel_is_for_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    implementation: str, flags: str, name: str, words: list[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(machine.platform, "python_implementation", lambda: implementation)
    monkeypatch.setattr(machine.sys, "abiflags", flags)
    cli.main(["pick", *words], standalone_mode=False)
    told = capsys.readouterr()
    assert ("for which there is no wheel: the answer is for another Python" in told.err) == (not words)
    assert (name in told.err) == (not words) or name == "t"
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"For this machine: Python {own}" not in told.out


def test_a_python_of_32_bits_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its kernel has 64, and platform.machine tells that alone."""
    for kernel, own in (("x86_64", "i686"), ("aarch64", "armv8l")):
        monkeypatch.setattr(machine.platform, "machine", lambda kernel=kernel: kernel)
        monkeypatch.setattr(machine.sys, "maxsize", (1 << 31) - 1)
        assert machine.examine({}).arch == own
        monkeypatch.undo()
        assert machine.arch_word(kernel, bits=64) == kernel
    monkeypatch.setattr(machine.sys, "maxsize", (1 << 31) - 1)
    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    cli.main(["pick"], standalone_mode=False)
    assert "this machine is i686, for which there is no wheel" in capsys.readouterr().err


def test_a_machine_with_musl_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine.platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(machine, "Path", lambda place: _Folder(place))
    assert machine.examine({}).libc == "musl"
    cli.main(["pick", "-q"], prog_name="wheelmill", standalone_mode=False)
    assert "This machine has musl" in capsys.readouterr().err


class _Folder:
    """/lib of a system with musl."""

    def __init__(self, place: str) -> None:
        self.place = place

    def glob(self, pattern: str) -> list[str]:
        return [f"{self.place}/{pattern}"]


@pytest.mark.parametrize(
    ("text", "glibc"),
    [("Ubuntu 20.04", "2.31"), ("ubuntu-22.04.3", "2.35"), ("openEuler 22.03 LTS-SP4", "2.34"),
     ("Kylin v10", "2.28"), ("CentOS 7.6", "2.17"), ("BC-Linux 7.6", "2.17"), ("Euler 2.10", "2.28"),
     ("UOS 20 1020e", "2.28"), ("OpenEuler 20.03 LTS", "2.28"), ("Debian 9.9", "2.24")],
)  # fmt: skip
def test_a_system_is_its_c_library(text: str, glibc: str) -> None:
    assert with_system(text).glibc == glibc


def test_which_document_says_so_or_that_none_does() -> None:
    """Nobody has to believe a C library that no document names; the answer is of use all the same."""
    notes = {
        text: answer(SHELF, with_system_(Request(), text, MATRIX), {}).notes[0]
        for text in ("BC-Linux 7.6", "EulerOS 2.10")
    }
    assert notes["EulerOS 2.10"]["en"].startswith("EulerOS 2.10 has glibc 2.28 (Issue 3024 of vLLM Ascend")
    assert notes["BC-Linux 7.6"]["en"].startswith(
        "No document says which glibc BC-Linux 7 has; 2.17 is taken. Its packages are those of CentOS 7 (el7)"
    )
    assert "没有文档说明 BC-Linux 7 的 glibc 版本，此处按 2.17 处理。" in notes["BC-Linux 7.6"]["zh"]
    assumed = [system.title for system in MATRIX.document.systems if system.source is None]
    assert assumed == ["BC-Linux 7"]


def test_an_unknown_system_is_answered_with_the_known_ones() -> None:
    with pytest.raises(PickError, match="is not one that the matrix knows") as caught:
        with_system("Windows 11")
    assert "--glibc" in (caught.value.hint or "")
    found = answer(SHELF, with_system("Ubuntu 18.04"), {})
    assert isinstance(found, Pick)
    assert found.offer.adapter == "2.6.0.post5"
    assert "Ubuntu 18.04 has glibc 2.27 (README.rst of mayeut/pep600_compliance)." in [
        note["en"] for note in found.notes
    ]


@pytest.mark.parametrize(
    "text", ["2026-1-31", "20260131", "2026-W05-6", "2026-02-30", "２０２６-01-31", "today"]
)
def test_a_day_is_written_in_one_way_on_every_python(text: str) -> None:
    with pytest.raises(PickError, match="is not a day; one looks like 2026-07-27"):
        parse_request(date=text)


def test_as_of_a_day_only_what_was_there() -> None:
    shelf = Shelf(MATRIX, CATALOGUE, date(2026, 1, 31))
    found = answer(shelf, parse_request(date="2026-01-31"), {})
    assert isinstance(found, Pick)
    assert (found.offer.adapter, found.phase and found.phase.stage) == ("2.6.0.post5", "maintained")
    nofit = answer(shelf, parse_request(date="2026-01-31", adapter="2.13.0"), {})
    assert isinstance(nofit, NoFit)
    assert kinds(nofit) == [{"adapter": "elsewhere", "date": "not yet"}]
    assert "the first wheel was published on 2026-10-15" in render_text(nofit)


def test_lines_without_fixes_are_left_out_when_asked() -> None:
    nofit = refused(cann="8.0.0", supported=True)
    assert kinds(nofit) == [{"stage": "end of life", "cann": "elsewhere"}]
    assert "is eol since 2026-06-15" in render_text(nofit)


def test_maintained_lines_come_before_newer_ones_that_ended() -> None:
    """On CANN 8.3.RC1 torch 2.8.0 is the newest and has ended; 2.7.1 is still maintained."""
    assert picked(cann="8.3.RC1", python="3.11").offer.adapter == "2.7.1"


def test_a_yanked_wheel_is_not_offered_and_says_why() -> None:
    record = CATALOGUE.record("index")
    assert record is not None
    wheels = tuple(
        dataclasses.replace(one, yanked="breaks import") if one.version == "2.9.1" else one
        for one in record.wheels
    )
    shelf = Shelf(MATRIX, Catalogue((dataclasses.replace(record, wheels=wheels),)), TODAY)
    found = answer(shelf, parse_request(adapter="2.9.1"), {})
    assert isinstance(found, NoFit)
    assert kinds(found) == [{"adapter": "yanked"}]
    assert "was yanked from the index: breaks import" in render_text(found)


def test_preferences_count_where_they_can_be_met() -> None:
    prefer = {"python": "3.12", "arch": "x86_64", "glibc": "2.36", "cann": "8.5.1"}
    found = answer(SHELF, Request(), prefer)  # type: ignore[arg-type]
    assert isinstance(found, Pick)
    assert (found.offer.cann, found.offer.python, found.offer.arch) == ("8.5.0", "3.12", "x86_64")
    old = answer(SHELF, parse_request(cann="7.0.RC1"), prefer)  # type: ignore[arg-type]
    assert isinstance(old, Pick)
    assert (old.offer.arch, dict(old.unmet)) == ("x86_64", {"python": "3.12"})


@pytest.mark.parametrize(
    ("torch", "arch", "requirement"),
    [
        ("2.10.0", "aarch64", "torch==2.10.0"),
        ("2.11.0", "aarch64", "torch==2.11.0+cpu --index-url https://download.pytorch.org/whl/cpu"),
        ("2.14.0", "aarch64", "torch==2.14.0+cpu --index-url https://download.pytorch.org/whl/cpu"),
        ("2.10.0", "x86_64", "torch==2.10.0+cpu --index-url https://download.pytorch.org/whl/cpu"),
    ],
)
def test_torch_never_brings_cuda(torch: str, arch: str, requirement: str) -> None:
    """vllm-ascend#6134: gigabytes of NVIDIA's libraries on a machine with NPUs."""
    pick = picked(torch=torch, arch=arch)
    assert pick.steps[0].commands == (f"pip3 install {requirement}",)
    assert not [
        pin for pin in pick.pins if pin.startswith("torch==") and ("+cpu" in pin) != ("+cpu" in requirement)
    ]


def test_commands_for_uv_and_docker_and_the_view() -> None:
    pick = picked(cann="9.2.0", torch="2.14.0", python="3.12", arch="aarch64", chip="910B")
    text = render_text(pick, "uv")
    assert "uv pip install --no-deps -r torch_npu.txt" in text
    assert "pip3" not in text
    data = to_json(pick)
    assert data["view"] == "cann-9.2.0/910b/simple/"
    docker = "\n".join(data["dockerfile"])
    assert docker.count("RUN ") == 3
    assert "pip3 install --no-cache-dir --no-deps -r torch_npu.txt" in docker
    script = docker.replace("RUN ", "")
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_a_dockerfile_says_what_it_installs_and_what_to_know_of_it() -> None:
    pick = picked(cann="7.0.RC1", python="3.8", arch="aarch64")
    assert isinstance(pick, Pick)
    text = render_dockerfile(pick, "uv", "zh")
    assert text.startswith("# torch_npu 2.1.0")
    assert all(warning["zh"] in text for warning in pick.warnings)
    assert pick.warnings
    assert "RUN uv pip install --system --no-cache torch==2.1.0" in text
    assert "pip3" not in text


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("v2.1.0-5.0.rc", "v2.1.0-5.0.rc3"), ("V2.1.0-5.0.RC4", "v2.1.0-5.0.rc3"), ("v2.7", "v2.7.1"),
        ("2.7.l", "v2.7.1"), ("v2.l.0-5.0.rc3", "v2.1.0-5.0.rc3"), ("v21.0-5.0.rc3", "v2.1.0-5.0.rc3"),
        ("v2.1.0-5.O.rc3", "v2.1.0-5.0.rc3"), ("v2.1.0_5.0", "v2.1.0-5.0."),
    ],
)  # fmt: skip
def test_a_branch_that_is_cut_or_misspelt_gets_those_that_are_spelled_so(written: str, meant: str) -> None:
    nofit = refused(branch=written)
    assert nofit.alternatives[0].changes["branch"].startswith(meant)
    assert meant in nofit.conflicts[0].blockers[0].reason["en"].partition("there is branch ")[2]


@pytest.mark.parametrize("written", ["V2.1.0-5.0.RC3", "2.1.0-5.0.rc3"])
def test_a_branch_is_known_in_any_letter_case_and_without_its_v(written: str) -> None:
    assert picked(branch=written).offer.branch == "v2.1.0-5.0.rc3"


def test_no_dockerfile_for_a_wheel_that_has_to_be_built(capsys: pytest.CaptureFixture[str]) -> None:
    """Its lines would start nox in an image that has neither nox nor a clone."""
    offer = next(one for one in SHELF.offers if one.how == "build" and one.built_for is None)
    pick = picked(branch=offer.branch or "", python=offer.python, arch=offer.arch)
    assert pick.offer.how == "build"
    said = {"en": "is on no index, so no line of a Dockerfile", "zh": "Dockerfile 无法直接安装它"}
    for lang, words in said.items():
        with pytest.raises(PickError) as caught:
            render_dockerfile(pick, "pip", lang)  # type: ignore[arg-type]
        caught.value.turn(lang)  # type: ignore[arg-type]
        assert words in caught.value.message
        assert f"nox -s build-{offer.python}-{offer.arch} -- --line {offer.branch}" in caught.value.hint
    assert to_json(pick)["dockerfile"] == []
    line = ["--branch", offer.branch or "", "--anywhere", "--dockerfile"]
    with pytest.raises(PickError):
        cli.main(["pick", *line], standalone_mode=False)
    assert "RUN" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("cann", "folder"),
    [("7.0.RC1", "ascend-toolkit"), ("8.3.RC1", "ascend-toolkit"), ("8.5.1", "cann"), ("9.2.0", "cann")],
)
def test_cann_is_loaded_from_where_that_version_is(cann: str, folder: str) -> None:
    pick = picked(cann=cann)
    assert isinstance(pick, Pick)
    assert pick.steps[-1].commands == (f"source /usr/local/Ascend/{folder}/set_env.sh",)


@pytest.mark.parametrize(
    ("loaded", "cann"),
    [("8.5.2", "8.5.0"), ("8.0.RC3.20", "8.0.RC3"), ("9.9.9", "9.2.0"), ("9.0.0-beta.1", "9.0.0")],
)
def test_a_loaded_cann_that_no_row_has_sends_nobody_up(loaded: str, cann: str) -> None:
    found = answer(SHELF, parse_request(arch="aarch64"), {"cann": loaded})
    assert isinstance(found, Pick)
    assert (found.offer.cann, found.unmet) == (cann, {"cann": loaded})


def test_a_loaded_patch_is_said_to_be_read_as_its_release() -> None:
    found = answer(SHELF, parse_request(python="3.11", arch="aarch64"), {"cann": "8.5.1"})
    assert isinstance(found, Pick)
    assert "CANN 8.5.1 is taken with the wheels of CANN 8.5.0" in render_text(found)
    assert found.steps[-1].title["en"] == "Load CANN 8.5.1 (its default place)"


def test_a_loaded_toolkit_is_loaded_from_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not from the default place, where there may be none; another one that was asked for is there."""
    home = tmp_path / "my ascend" / "cann-8.5.0"
    home.mkdir(parents=True)
    (home / "version.cfg").write_text("version=8.5.0\n")
    monkeypatch.setenv("ASCEND_HOME_PATH", str(home))
    words = ["pick", "-q", "--python", "3.11"]
    for place in (home.parent, home):  # that of the folder itself is the better one
        (place / "set_env.sh").touch()
        cli.main([*words, "--lang", "en"], standalone_mode=False)
        out = capsys.readouterr().out
        assert "Load CANN 8.5.0 (where this machine has it)" in out
        assert out.splitlines()[-1] == f"source '{place}/set_env.sh'"
    cli.main([*words, "--cann", "8.5"], standalone_mode=False)
    assert capsys.readouterr().out.splitlines()[-1] == f"source '{home}/set_env.sh'"
    for more in (["--cann", "8.5.1"], ["--anywhere", "--cann", "8.5.0"], ["--cann", "9.2.0"]):
        cli.main([*words, *more], standalone_mode=False)
        assert "source /usr/local/Ascend/cann/set_env.sh" in capsys.readouterr().out.splitlines()
    (home / "set_env.sh").unlink()
    (home.parent / "set_env.sh").unlink()
    assert loaded_script({"ASCEND_TOOLKIT_HOME": str(home)}) is None


@pytest.mark.parametrize("form", ["option", "variable"])
def test_a_mirror_of_torchs_own_index_is_in_all_commands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    mirror = "https://mirror.example/pytorch/whl/cpu"
    words = ["pick", "-q", "--torch", "2.13.0", "--python", "3.11", "--arch", "x86_64"]
    if form == "variable":
        monkeypatch.setenv("WHEELMILL_TORCH_INDEX", mirror)
    else:
        words += ["--torch-index", mirror]
    cli.main([*words, "--json"], standalone_mode=False)
    data = json.loads(capsys.readouterr().out)
    assert data["steps"][0]["commands"] == [f"pip3 install torch==2.13.0+cpu --index-url {mirror}"]
    assert data["pins"][0] == f"--extra-index-url {mirror}"
    assert "download.pytorch.org/whl/cpu " not in json.dumps(data["steps"][0]["uv"] + data["dockerfile"])


def test_a_password_in_an_index_is_refused_and_not_told() -> None:
    for read in (index_base, index_address):
        with pytest.raises(PickError, match=r"index: .* names a user") as caught:
            read("https://me:secret@mirror.example/simple")
        assert "secret" not in caught.value.message
        caught.value.turn("zh")
        assert "secret" not in caught.value.message


def test_a_wheel_that_no_catalogue_has_is_said_to_be_unknown() -> None:
    found = answer(Shelf(MATRIX, Catalogue(), TODAY), parse_request(cann="8.5.0", arch="aarch64"), {})
    assert isinstance(found, Pick)
    assert any("catalogue has no hash of this wheel" in one["en"] for one in found.warnings)


def test_maintained_comes_before_a_series_that_is_not_yet() -> None:
    """2.14.0 is on the index, newer, and in development by the policy."""
    pick = picked(cann="9.2.0", python="3.12", arch="aarch64")
    assert isinstance(pick, Pick)
    assert pick.phase is not None
    assert pick.phase.stage == "maintained"
    assert "2.14.0" in [offer.adapter for offer in pick.others]


def test_a_row_without_a_wheel_is_not_there_before_its_release() -> None:
    """torch 1.11.0 had its series in 2023; its branch for CANN 8.0.RC2 came with the others of 2024."""
    shelf = Shelf(MATRIX, CATALOGUE, date(2023, 4, 19))
    found = answer(shelf, parse_request(date="2023-04-19"), {})
    assert isinstance(found, Pick)
    assert found.offer.cann == "6.3.RC1"
    assert isinstance(answer(shelf, parse_request(date="2023-04-19", cann="8.0.RC2"), {}), NoFit)


@pytest.mark.parametrize("end", ["", "/", "/simple", "/simple/"])
def test_the_view_is_one_of_the_configured_index(end: str) -> None:
    request = parse_request(cann="9.2.0", python="3.12", arch="aarch64", chip="910B")
    pick = answer(SHELF, request, {}, index_base(f"https://index.example:8443/npu{end}"))
    assert isinstance(pick, Pick)
    view = "https://index.example:8443/npu/cann-9.2.0/910b/simple/"
    assert to_json(pick)["view_url"] == view
    assert f"# View: {view}" in render_text(pick).splitlines()


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "https://", "https://a b", "https://user@a.example", "https://a.example/?b", "https://a.example/#b",
        "https://a.example/';id", "https://a.example/$(id)", "https://a.example/\nb", "https://a.example:99999",
        "https://[", "file://host/x", "ftp://a.example", f"https://a.example/{' ' * 99_999}x",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_no_index(text: str) -> None:
    with pytest.raises(PickError, match="index: "):
        index_base(text)
    assert index_base("file:///srv/index") == "file:///srv/index"


@pytest.mark.parametrize(
    "axis", ["cann", "torch", "python", "arch", "adapter", "branch", "glibc", "chip", "date"]
)
def test_no_value_is_so_long_that_reading_it_takes_long(axis: str) -> None:
    with pytest.raises(PickError, match="is too long"):
        parse_request(**{axis: "9" * 100_000})
    with pytest.raises(PickError, match="more than 200"):
        with_system_(Request(), f"{'a' * 100_000}!", MATRIX)


def test_what_is_pasted_is_quoted_once_and_for_all() -> None:
    hostile = ["pip3", "install", "torch; rm -rf ~", "$(id)", "a\x1b[2Jb", "new\nline", "'"]
    line = shell_line(*hostile)
    assert "\x1b" not in line
    assert "\n" not in line
    script = f"set -- {line}; printf '%s|' \"$@\""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("|")[:4] == hostile[:4]
    assert shell_line("echo", Expanded("file://$PWD/x")) == "echo file://$PWD/x"


def test_what_others_wrote_stays_a_comment_and_a_word() -> None:
    """A hostile record, a hostile note: nothing of either becomes a command, an option or a second line."""
    asked = ("torch==2.99.0", "--index-url=https://a.example", "x @ https://a.example", "numpy<2; rm -rf ~")
    name = "torch_npu-2.99.0.post99-cp311-cp311-manylinux_2_28_aarch64.whl"
    wheel = Wheel(name, "ab" * 32, requires=(*asked, "pyyaml>=6"))
    other = dataclasses.replace(
        wheel, file=wheel.file.replace("post99", "post98"), yanked="bad\nrm -rf ~\x1b[2J"
    )
    shelf = Shelf(MATRIX, Catalogue((Record("torch_npu", "index", "2026-11-28", (wheel, other)),)), TODAY)
    pick = answer(shelf, parse_request(adapter="2.99.0.post99"), {})
    assert isinstance(pick, Pick)
    pick = dataclasses.replace(pick, issues=(same("one\ntouch /tmp/evil"),))
    told = [line for line in render_text(pick).splitlines() if line and not line.startswith("#")]
    assert [line for line in told if re.search(r"evil|a\.example|rm", line)] == []
    assert sum("which is no requirement by name" in one["en"] for one in pick.warnings) == 3
    assert "pip3 install 'pyyaml>=6'" in told
    gone = answer(shelf, parse_request(adapter="2.99.0.post98"), {})
    assert "yanked from the index: bad\\nrm -rf ~\\x1b[2J" in render_text(gone)
