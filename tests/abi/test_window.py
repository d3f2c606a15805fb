"""A torch that differs in one thing from the one that an extension was compiled for stops it by that name."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from wheelmill.cli import cli
from wheelmill.prove.abi.extension import read_extension
from wheelmill.prove.abi.model import AbiError, Derived, Extension, Interface, Judgement, Origin, Record
from wheelmill.prove.abi.obstacles import Case, certain, obstacles
from wheelmill.prove.abi.render import rows
from wheelmill.prove.abi.window import Window, judge
from wheelmill.wheel.linking import read_image

from tests.abi.conftest import (
    BUILT_FOR,
    EXTENSION,
    Records,
    compile_library,
    extension_wheel,
    torch_wheel,
    write_wheel,
)


@pytest.fixture(scope="module")
def window(built: Path, records: Records) -> Window:
    (found,) = judge(read_extension(built), records.shelf)
    return found


def verdict(window: Window, version: str) -> Judgement:
    return next(one for one in window.judgements if one.origin.version == version)


def test_it_runs_in_what_it_was_built_for_and_in_what_is_the_same(window: Window) -> None:
    assert window.built == "2.13.0"
    assert window.runs == ("2.13.0", "2.13.1")
    assert window.specifier == ">=2.13,<2.14"


@pytest.mark.parametrize(
    ("version", "kind", "text"),
    [
        ("2.14.0", "vtable", "state() is new"),
        ("2.15.0", "operator", "aten::scaled"),
        ("2.16.0", "symbol", "no at::numel(at::Tensor const&); it has at::numel(at::Tensor const&, bool)"),
        ("2.17.0", "layout", "c10::TensorImpl::numel_ is 16 in torch 2.17.0 and 8 in torch 2.13.0"),
        ("2.18.0", "python", "torch 2.18.0 has no wheel for Python 3.11, only for 3.12"),
    ],
)
def test_each_change_is_the_only_obstacle_and_has_its_name(
    window: Window, version: str, kind: str, text: str
) -> None:
    (obstacle,) = verdict(window, version).obstacles
    assert obstacle.kind == kind
    assert text in obstacle.text


FOR_2_14 = """
#include "torch.h"
namespace mine {
struct Generator214 final : c10::GeneratorImpl {
  void seed() override {}
  int state() override { return 2; }
  int clone_impl() const override { return 1; }
};
c10::GeneratorImpl* make_2_14() { return new Generator214; }
}
"""


@pytest.mark.parametrize(("flags", "runs"), [((), True), (("-fvisibility=hidden",), False)])
def test_a_class_for_each_layout_runs_in_both_if_its_functions_can_be_seen(
    flags: tuple[str, ...], runs: bool, records: Records, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder, torch in ((old, BUILT_FOR), (new, records.torches["2.14.0"])):
        folder.mkdir()
        extension_wheel(folder, torch)
    second = compile_library(new, "_2_14.so", FOR_2_14, f"-L{new}", "-lc10", "-s", *flags)
    wheel = extension_wheel(old, BUILT_FOR, "-s", more={"mine/_2_14.so": second})
    (found,) = judge(read_extension(wheel), records.shelf)
    assert verdict(found, "2.13.0").runs
    assert verdict(found, "2.14.0").runs is runs
    assert ("mine::Generator" in str(verdict(found, "2.14.0").obstacles)) is not runs


@pytest.mark.parametrize(("folder", "runs"), [("mine/torch-2.14", True), ("mine", False)])
def test_a_file_in_a_folder_for_one_torch_is_asked_of_no_other(
    folder: str, runs: bool, records: Records, tmp_path: Path
) -> None:
    """It needs a function that only 2.14 has. Beside the other files, it is loaded into every torch."""
    old, new = tmp_path / "old", tmp_path / "new"
    for place, torch in ((old, BUILT_FOR), (new, records.torches["2.14.0"])):
        place.mkdir()
        extension_wheel(place, torch)
    source = FOR_2_14 + "int call(c10::GeneratorImpl& one) { return one.GeneratorImpl::state(); }"
    second = compile_library(new, "_2_14.so", source, f"-L{new}", "-lc10", "-s")
    wheel = extension_wheel(old, BUILT_FOR, "-s", more={f"{folder}/_2_14.so": second})
    (found,) = judge(read_extension(wheel), records.shelf)
    assert verdict(found, "2.14.0").runs
    assert verdict(found, "2.13.0").runs is runs
    assert ("c10::GeneratorImpl::state()" in str(verdict(found, "2.13.0").obstacles)) is not runs


ALLOCATOR = """
namespace c10::CachingAllocator {
struct AcceleratorAllocatorConfig { static int& getMutableKeys(); };
}
"""


@pytest.mark.parametrize(
    ("key", "call", "stops"),
    [
        ("memory_fraction", "c10::CachingAllocator::AcceleratorAllocatorConfig::getMutableKeys()", True),
        ("another_name_of_it", "c10::CachingAllocator::AcceleratorAllocatorConfig::getMutableKeys()", False),
        ("memory_fraction", "0", False),  # it names the key and registers nothing
    ],
)
def test_a_key_that_cuda_builds_register_too_stops_it_there_alone(
    key: str, call: str, stops: bool, tmp_path: Path
) -> None:
    records = Records(tmp_path)
    torch = replace(BUILT_FOR, keys='getKeys() { static keys keys{"memory_fraction", "backend"}; }')
    body = (
        "int& c10::CachingAllocator::AcceleratorAllocatorConfig::getMutableKeys() { static int n; return n; }"
    )
    records.add(torch, ALLOCATOR + body)
    own = f'int taken() {{ return {call}; }} const char* key() {{ return "{key}"; }}'
    wheel = extension_wheel(tmp_path, BUILT_FOR, "-s", source=EXTENSION + ALLOCATOR + own)
    (found,) = judge(read_extension(wheel), records.shelf)
    judgement = verdict(found, "2.13.0")
    assert judgement.runs
    assert [(one.kind, one.subject) for one in judgement.with_cuda] == (
        [("allocator", "memory_fraction")] if stops else []
    )
    ((_, word, _),) = rows(found)
    assert word == ("without CUDA" if stops else "yes")


def test_a_wheel_of_such_folders_alone_runs_in_their_torches(records: Records, tmp_path: Path) -> None:
    wheel = extension_wheel(tmp_path, BUILT_FOR, "-s", place="mine/torch-2.13/_C.so")
    (found,) = judge(read_extension(wheel), records.shelf)
    assert found.runs == ("2.13.0", "2.13.1")
    assert verdict(found, "2.14.0").obstacles[0].kind == "folder"
    assert "libraries are for torch 2.13" in verdict(found, "2.14.0").obstacles[0].text


def test_stripping_hides_nothing(built: Path, records: Records, tmp_path: Path) -> None:
    """Vtables are found by relocations, not by symbols: a whole binary says what a stripped one does."""
    whole = judge(read_extension(extension_wheel(tmp_path, BUILT_FOR)), records.shelf)
    assert whole == judge(read_extension(built), records.shelf)


def test_a_vtable_of_hidden_functions_is_judged_by_its_length(records: Records, tmp_path: Path) -> None:
    """In an anonymous namespace no function has a name, yet torch calls beyond the end."""
    source = EXTENSION.replace("struct Generator final", "namespace {\nstruct Generator final").replace(
        "c10::GeneratorImpl* make", "}\nc10::GeneratorImpl* make"
    )
    (found,) = judge(read_extension(extension_wheel(tmp_path, BUILT_FOR, "-s", source=source)), records.shelf)
    assert verdict(found, "2.13.1").runs
    assert verdict(found, "2.14.0").obstacles[0].kind == "vtable"


def run(records: Records, *words: str) -> tuple[int, str]:
    matrix = records.folder.with_name("compat.yaml")
    result = CliRunner().invoke(cli, ["--matrix", str(matrix), "abi", *words], standalone_mode=False)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return getattr(result.exception, "exit_code", 99), str(result.exception)
    return int(result.return_value), result.output


def test_exit_codes_tell_what_the_metadata_allow(records: Records, tmp_path: Path, built: Path) -> None:
    assert run(records, str(built))[0] == 0
    wide = extension_wheel(tmp_path, BUILT_FOR, requires="torch>=2.13")
    code, text = run(records, str(wide))
    assert code == 3
    assert "also allow 2.14.0, 2.15.0, 2.16.0, 2.17.0, 2.18.0" in text
    assert run(records, str(built), "--torch", "2.13.1")[0] == 0
    assert run(records, str(built), "--torch", "2.14.0")[0] == 1


def test_a_torch_that_is_not_recorded_is_named_with_the_command_that_records_it(
    records: Records, built: Path
) -> None:
    code, text = run(records, str(built), "--torch", "9.9.9")
    assert code == 1
    assert "torch 9.9.9 is not recorded" in text
    assert "wheelmill abi record 9.9.9" in text


def test_json_has_every_version_and_its_obstacles(records: Records, built: Path) -> None:
    code, text = run(records, "--json", str(built))
    (wheel,) = json.loads(text)["wheels"]
    (torch,) = wheel["windows"]
    assert code == 0
    assert torch["specifier"] == ">=2.13,<2.14"
    assert [row["runs"] for row in torch["versions"]] == [True, True, False, False, False, False, False]


def test_list_names_what_is_recorded(records: Records) -> None:
    code, text = run(records, "list")
    assert code == 0
    assert text.count("torch") == 7


# ----------------------------------------------------------------------------------------------- bad input
def test_a_wheel_without_native_files_is_no_extension(records: Records, tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / "plain-1.0-py3-none-any.whl", {"plain/__init__.py": ""})
    with pytest.raises(AbiError, match="has no native file"):
        read_extension(wheel)


def test_a_native_file_that_uses_no_torch_is_no_extension(tmp_path: Path) -> None:
    wheel = extension_wheel(tmp_path, BUILT_FOR, "-Wl,--as-needed", source="int lonely;")
    with pytest.raises(AbiError, match="uses torch"):
        read_extension(wheel)


def test_a_wheel_with_torch_linked_into_it_is_named(tmp_path: Path) -> None:
    many = "".join(f"int f{i}() {{ return {i}; }}\n" for i in range(250))
    source = f"namespace c10 {{ {many} }}"
    wheel = extension_wheel(tmp_path, BUILT_FOR, "-Wl,--as-needed", source=source)
    with pytest.raises(AbiError, match="torch linked into it"):
        read_extension(wheel)


def test_a_truncated_wheel_is_named_and_no_traceback(records: Records, built: Path, tmp_path: Path) -> None:
    cut = tmp_path / built.name
    cut.write_bytes(built.read_bytes()[:2000])
    code, text = run(records, str(cut))
    assert code == 1
    assert "not a readable zip archive" in text


def test_a_truncated_torch_is_no_record(records: Records, tmp_path: Path) -> None:
    wheel = torch_wheel(tmp_path, BUILT_FOR)
    wheel.write_bytes(wheel.read_bytes()[:3000])
    code, text = run(records, "record", str(wheel), "--into", str(tmp_path / "into"))
    assert code == 1
    assert "cannot be read as a wheel" in text
    assert not (tmp_path / "into").exists()


def test_a_torch_named_for_another_machine_is_no_record(records: Records, tmp_path: Path) -> None:
    wheel = torch_wheel(tmp_path, BUILT_FOR)
    other = wheel.rename(tmp_path / wheel.name.replace("x86_64", "aarch64"))
    code, text = run(records, "record", str(other), "--into", str(tmp_path / "into"))
    assert code == 1
    assert "named for aarch64 and has libraries for x86_64" in text


def test_what_is_not_torch_is_no_record(records: Records, built: Path) -> None:
    code, text = run(records, "record", str(built))
    assert code == 1
    assert "is a wheel of mine" in text


def test_a_damaged_record_is_named(records: Records, built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "abi"
    folder.mkdir()
    (folder / "torch-2.13.0-x86_64.json.xz").write_bytes(b"nothing")
    with pytest.raises(AbiError, match="cannot be read"):
        judge(read_extension(built), type(records.shelf)(folder))


def test_names_of_folded_functions_say_nothing_of_their_slots() -> None:
    """The same code under several names keeps one: seen in torch 2.9, whose profiler had one name twice."""
    folded = ("~", "~", "mark() const", "pop() const", "on() const", "pop() const")
    assert certain(folded) == ("~", "~", "mark() const", "", "on() const", "")
    whole = ("~", "~", "mark() const", "pop() const", "on() const", "sync() const")
    assert certain(whole) is whole
    stubs = Derived("mine::Stubs", "c10::Stubs", whole)
    none: frozenset[str] = frozenset()
    extension = Extension("mine", "x86_64", (), {}, none, (stubs,), none, b"", none, (), (), "", 1)
    origin = Origin("torch", "2.13.0", "x86_64", "cpu", "", ())
    for slots, fits in ((folded, True), ((*whole[:2], *whole[3:1:-1], *whole[4:]), False)):
        record = Record(origin, Interface(frozenset(), {"c10::Stubs": slots}))
        assert (obstacles(Case(extension, record, record, {})) == ()) is fits


def test_what_stands_behind_a_type_in_an_offset_table_is_no_vtable(tmp_path: Path) -> None:
    """Seen in torch_npu 2.2.0: the type of a class, and next to it the address of a Python object."""
    asks = EXTENSION + "namespace mine { const std::type_info* type() { return &typeid(Generator); } }"
    wheel = extension_wheel(tmp_path, BUILT_FOR, source=asks)
    image = read_image("_C.so", zipfile.ZipFile(wheel).read("mine/_C.so"))
    (at,) = (
        at
        for at, word in image.words.items()
        if word == "_ZTIN4mine9GeneratorE" and any(start <= at < end for start, end in image.offsets)
    )
    words = {**image.words, at + 8: "PyInstanceMethod_Type"}
    words.pop(at - 8, None)
    slots = [[one.slots for one in of.vtables if "Generator" in one.name] for of in (
        replace(image, words=words), replace(image, words=words, offsets=()),
    )]  # fmt: skip
    right, wrong = slots
    assert len(right) == 1
    assert ("PyInstanceMethod_Type",) not in right
    assert len(wrong) == 2
