"""Published wheels against the recorded torches: what was seen to run or fail is what is predicted."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from wheelmill.catalogue import load
from wheelmill.prove.abi.kept import Shelf, stem
from wheelmill.prove.abi.model import Judgement
from wheelmill.prove.abi.obstacles import has_text, names_operator
from wheelmill.prove.abi.window import judge

from tests.abi.published import ROOT, SHELF, kept


def judged(name: str, version: str) -> Judgement:
    (window, *_) = judge(kept(name), SHELF)
    return next(one for one in window.judgements if one.origin.version == version)


@pytest.mark.parametrize(
    ("wheel", "version"),
    [
        ("torch_npu-2.13.0", "2.13.0"),
        ("fbgemm_gpu_cpu-1.8.0", "2.13.0"),
        ("fbgemm_gpu_cpu-1.9.0", "2.14.1"),
        ("torchvision-0.29.1", "2.14.1"),
        ("torchvision-0.29.1", "2.13.0"),
        ("torch_npu-2.13.0.dev0", "2.13.0"),
        ("torch_npu-2.13.0.dev0", "2.14.0"),
        ("torch_npu-2.13.0.dev0", "2.14.1"),
        ("torch_npu-2.13.0.dev0", "2.15.0"),
    ],
)
def test_pairs_that_run(wheel: str, version: str) -> None:
    assert judged(wheel, version).runs


@pytest.mark.parametrize(
    ("wheel", "version", "kind", "text"),
    [
        ("torch_npu-2.13.0", "2.14.1", "operator", "aten::_scaled_grouped_mm_v2"),
        ("torch_npu-2.13.0", "2.14.1", "vtable", "c10d::Work"),
        ("torch_npu-2.12.0.post2", "2.13.0", "symbol", "at::NamesMode::is_enabled()"),
        ("fbgemm_gpu_cpu-1.6.0", "2.13.0", "symbol", "torch::autograd::deleteNode"),
        ("fbgemm_gpu_cpu-1.8.0", "2.14.1", "symbol", "torch::autograd::_wrap_outputs"),
        ("fbgemm_gpu_cpu-1.9.0", "2.13.0", "symbol", "fire_node_creation_hooks"),
        ("torchvision-0.25.0", "2.14.1", "symbol", "torch::autograd::deleteNode"),
        ("torchvision-0.28.0", "2.14.1", "symbol", "c10::cuda::c10_cuda_check_implementation"),
    ],
)
def test_pairs_that_fail_and_why(wheel: str, version: str, kind: str, text: str) -> None:
    texts = [one.text for one in judged(wheel, version).obstacles if one.kind == kind]
    assert any(text in one for one in texts), judged(wheel, version).obstacles


@pytest.mark.parametrize("version", ["2.14.1", "2.15.0"])
def test_our_build_needs_a_library_of_process_groups_for_each_later_torch(version: str) -> None:
    """Without lib/torch-X.Y there is no class for its backends: adapter/glue/distributed/later_torch."""
    ours = kept("torch_npu-2.13.0.dev0")
    assert set(ours.parts) == {"2.14", "2.15"}
    (window, *_) = judge(replace(ours, parts={}), SHELF)
    (found,) = (one for one in window.judgements if one.origin.version == version)
    assert ("vtable", "npu::hccl::Backend") in [(one.kind, one.subject) for one in found.obstacles]


def test_the_class_of_process_groups_for_one_later_torch_does_not_fit_the_next() -> None:
    """2.15 has eight virtual functions in the midst of those of 2.14."""
    ours = kept("torch_npu-2.13.0.dev0")
    (window, *_) = judge(replace(ours, parts={"2.15": ours.parts["2.14"]}), SHELF)
    (found,) = (one for one in window.judgements if one.origin.version == "2.15.0")
    assert [(one.kind, one.subject) for one in found.obstacles] == [("vtable", "npu::hccl::Backend")]


def test_the_class_that_generators_and_works_derive_from() -> None:
    ours = kept("torch_npu-2.13.0.dev0")
    assert {one.base for one in ours.derived} >= {"c10::GeneratorImpl", "c10::DeviceAllocator", "c10d::Work"}


@pytest.mark.parametrize(
    ("wheel", "version", "keys"),
    [
        ("torch_npu-2.14.0", "2.14.1", ["per_process_memory_fraction"]),  # seen: it ends the process there
        ("torch_npu-2.13.0", "2.13.0", ["per_process_memory_fraction"]),
        ("torch_npu-2.13.0.dev0", "2.14.1", []),
        ("torchvision-0.29.1", "2.14.1", []),
    ],
)
def test_what_ends_the_process_in_builds_with_cuda_alone(wheel: str, version: str, keys: list[str]) -> None:
    judgement = judged(wheel, version)
    assert judgement.runs
    assert [one.subject for one in judgement.with_cuda] == keys


def test_an_extension_of_torch_npu_has_a_window_of_both() -> None:
    torch, npu = judge(kept("vllm_ascend-0.23.0"), SHELF)
    assert (torch.package, torch.runs) == ("torch", ("2.10.0", "2.11.0"))
    assert npu.package == "torch-npu"
    assert npu.requires == "==2.10.0.post4"
    assert set(npu.runs) >= {"2.10.0.post4", "2.14.0"}
    gone = SHELF.record("torch-npu-2.14.0-x86_64").interface.symbols
    used = next(one for one in kept("vllm_ascend-0.23.0").symbols if one in gone)
    lacking = replace(kept("vllm_ascend-0.23.0"), symbols=frozenset({used + "x"}))
    (*_, without) = judge(lacking, SHELF)
    assert without.runs == ()


@pytest.mark.parametrize(
    ("wheel", "missing"),
    [
        ("torch_npu-2.13.0.dev0", {"2.10.0": 13, "2.11.0": 13, "2.12.0": 11, "2.13.0": 0, "2.14.1": 0}),
        ("torch_npu-2.12.0.post2", {"2.12.0": 0, "2.13.0": 39, "2.14.1": 39}),
        ("torch_npu-2.14.0", {"2.13.0": 8, "2.14.1": 0}),
    ],
)
def test_missing_symbols_are_those_that_nm_counts(wheel: str, missing: dict[str, int]) -> None:
    needs = kept(wheel).symbols
    counted = {v: len(needs - SHELF.record(f"torch-{v}-x86_64").interface.symbols) for v in missing}
    assert counted == missing


def test_every_record_is_whole_and_small() -> None:
    """Every record can be put together from its bases, and is small."""
    for origin in SHELF.origins:
        file = SHELF.folder / f"{origin.name}.json.xz"
        assert file.stat().st_size < 250_000
        fewest = {"torch": 20_000, "torch-npu": 500}[origin.package]
        assert len(SHELF.record(origin.name).interface.symbols) > fewest


@pytest.mark.parametrize(
    "symbol",
    [
        "_ZNK3c1010TensorImpl20is_contiguous_customENS_12MemoryFormatE",  # added, then dropped
        "_ZNK3c105Error4whatEv",  # added by a later version than the first
        "THPVariableClass",
        "_ZN2at15no_such_thing_Ev",
    ],
)
def test_who_has_a_symbol_is_what_the_whole_records_say(symbol: str) -> None:
    some = [one for one in SHELF.origins if one.version in ("1.11.0", "2.1.0", "2.8.0", "2.9.0", "2.15.0")]
    whole = [one for one in some if symbol in SHELF.record(one.name).interface.symbols]
    assert [one for one in SHELF.having(symbol) if one in some] == whole


def test_what_a_wheel_asks_for_is_what_the_whole_records_say() -> None:
    """Also what there is in the place of a symbol: the same name, whatever its arguments."""
    some = [one for one in SHELF.of("torch", "x86_64") if one.version in ("1.11.0", "2.9.0", "2.15.0")]
    needs = kept("torch_npu-2.13.0").symbols
    for of, found in zip(some, SHELF.restricted(some, needs), strict=True):
        whole = SHELF.record(of.name).interface
        assert found.interface == replace(whole, symbols=whole.symbols & needs)
        for symbol in (
            "_ZN2at9NamesMode10is_enabledEv",
            "_ZN3c105ErrorC1Ev",
            "THPVariableClass",
            "_ZN2ateqEv",
        ):
            assert SHELF.like(of, symbol) == {one for one in whole.symbols if stem(one) == stem(symbol)}


def test_an_operator_is_named_by_a_string_or_by_what_stands_behind_its_namespace() -> None:
    texts = b"first\0add\0x aten::mul\0aten::aten::div\0sub.out \0neg.aten::x\0aten::abs.out\0aten::last"
    found = replace(kept("torch_npu-2.13.0"), texts=texts)
    names = ["first", "add", "mul", "div", "sub", "sub.out", "neg", "x", "abs", "abs.out", "last"]
    as_written = [
        name for name in names if any(mark + name.encode() + b"\0" in texts for mark in (b"\0", b"aten::"))
    ]
    assert as_written == ["add", "mul", "div", "x", "abs.out"]
    assert [name for name in names if names_operator(found, name)] == as_written
    assert [name for name in names if has_text(found, name)] == ["add"]


def test_a_wheel_is_judged_by_the_records_of_its_own_architecture(tmp_path: Path) -> None:
    """What is wrong with another one's is no matter of it; only what a record is based on is read."""
    for file in SHELF.folder.glob("*-x86_64.json.xz"):
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "torch-2.13.0-aarch64.json.xz").write_bytes(b"nothing")
    (found,) = judge(kept("torch_npu-2.13.0"), Shelf(tmp_path))
    assert found.runs == ("2.13.0",)


def test_the_page_has_the_windows_of_the_catalogue() -> None:
    """Of each published version in its table: the torches, whether without CUDA alone, the obstacle."""
    record = load(SHELF.folder.with_name("catalogue")).record("index")
    assert record is not None
    known = {one.version: one for one in record.windows}
    page = (ROOT / "docs" / "abi.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| torch_npu (\S+) \| \S+ \| (.*?) \| ([\d.]+): ", page, re.MULTILINE)
    assert len(rows) >= 3
    for version, runs, stopped in rows:
        found = known[version]
        series = list(dict.fromkeys(torch.rpartition(".")[0] for torch in found.runs))
        bare = ", in builds without CUDA" if found.without_cuda == found.runs else ""
        assert runs == ", ".join(series) + bare, version
        assert any(one.startswith(f"{stopped}.") for one in found.stops), version
