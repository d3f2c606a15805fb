"""A key changes with whatever decides the bytes, and with nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from wheelmill.make.plan import BuildImage, Facts, Recipe, plan, recipe, rows
from wheelmill.make.toolchain.sources import SourcesError, read_sources
from wheelmill.matrix import Cell, Line


@pytest.fixture
def facts(adapter: Path, make_line: Callable[..., Line]) -> Facts:
    return Facts(
        sources=read_sources(adapter.parent, environment={"SOURCE_DATE_EPOCH": "1700000000"}),
        sdks={("9.1.0", "x86_64"): "1" * 64},
        compilers={("9.1.0", "x86_64"): "GCC 12.2.0; x86_64-linux-gnu"},
        rows=rows([make_line()]),
        missing={("9.1.0", "aarch64"): "no C++ compiler for aarch64"},
    )


@pytest.fixture
def cell(make_line: Callable[..., Line]) -> Cell:
    return Cell(make_line(), "3.11", "x86_64")


def keys(made: Recipe) -> tuple[str, str, str]:
    return made.bundle.key, made.simulator.key, made.key


def changed(before: Recipe, after: Recipe) -> list[bool]:
    """Whether the key of (bundle, simulator wheel, adapter wheel) is another one."""
    return [one != other for one, other in zip(keys(before), keys(after), strict=True)]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("core/npu_core.cpp", [True, True, True]),
        ("CMakeLists.txt", [True, True, True]),
        ("src/torch_npu/npu/__init__.py", [False, False, True]),
        ("../simulator/src/cann_simulator/__main__.py", [False, True, False]),
        ("LICENSE", [False, True, True]),
        ("../simulator/runtime/heap.cpp", [True, True, True]),
        ("../cann/operators/math.yaml", [True, True, True]),
        ("tests/test_something.py", [False, False, False]),
        ("src/torch_npu/__pycache__/x.pyc", [False, False, False]),
        ("build/cache.txt", [False, False, False]),
    ],
)
def test_one_changed_byte_reaches_the_keys_it_decides(
    file: str, expected: list[bool], cell: Cell, facts: Facts, adapter: Path
) -> None:
    before = recipe(cell, facts)
    path = adapter / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(path.read_bytes() + b" " if path.exists() else b" ")
    sources = read_sources(adapter.parent, environment={"SOURCE_DATE_EPOCH": "1700000000"})
    assert changed(before, recipe(cell, replace(facts, sources=sources))) == expected


def test_a_known_bundle_names_the_image_that_it_was_made_in(cell: Cell, facts: Facts) -> None:
    first, now = BuildImage("first", "sha256:1"), BuildImage("now", "sha256:2")
    here = replace(facts, images={("9.1.0", "x86_64"): now})
    assert recipe(cell, here).image == now
    assert recipe(cell, replace(here, made_in=lambda key: first)).image == first
    by_this_machine = replace(here, made_in=lambda key: BuildImage())
    assert not recipe(cell, by_this_machine).image


def test_a_renamed_source_file_is_another_source(cell: Cell, facts: Facts, adapter: Path) -> None:
    (adapter / "core/opapi.cpp").rename(adapter / "core/other.cpp")
    sources = read_sources(adapter.parent, environment={})
    assert changed(recipe(cell, facts), recipe(cell, replace(facts, sources=sources)))[0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"sdks": {("9.1.0", "x86_64"): "2" * 64}}, [True, True, True]),
        ({"compilers": {("9.1.0", "x86_64"): "GCC 13.1.0; x86_64-linux-gnu"}}, [True, True, True]),
        ({"rows": "[]"}, [False, False, True]),
        ({"images": {("9.1.0", "x86_64"): BuildImage("builder", "sha256:1")}}, [False, True, True]),
        ({"description": "# Another README\n"}, [False, False, True]),
    ],
)
def test_a_changed_fact_reaches_the_keys_it_decides(
    change: dict[str, object], expected: list[bool], cell: Cell, facts: Facts
) -> None:
    assert changed(recipe(cell, facts), recipe(cell, replace(facts, **change))) == expected  # type: ignore[arg-type]


def test_pythons_share_the_bundle_and_the_simulator_but_not_the_wheel(cell: Cell, facts: Facts) -> None:
    other = replace(cell, python="3.8")
    assert changed(recipe(cell, facts), recipe(other, facts)) == [False, False, True]


def test_lines_on_one_torch_share_the_bundle(
    cell: Cell, facts: Facts, make_line: Callable[..., Line]
) -> None:
    other = replace(cell, line=make_line(branch="v9.1.0-2", cann="9.9.1", adapter="9.1.0.post1"))
    assert changed(recipe(cell, facts), recipe(other, facts)) == [False, False, True]


def test_a_plan_groups_by_bundle_and_says_why_it_refuses(
    facts: Facts, make_line: Callable[..., Line]
) -> None:
    line = make_line(pythons=("3.8", "3.11"))
    record = make_line(branch="v1.5.0", buildable=False, reason="torch 1.5 has no plug-in device")
    cells = [*line.cells(), *line.cells(), Cell(record, "3.8", "x86_64")]
    done = recipe(Cell(line, "3.8", "x86_64"), facts)
    known = {("bundle", done.bundle.key), ("wheel", done.key), ("wheel", done.simulator.key)}
    made = plan(cells, facts, lambda kind, key: (kind, key) in known)
    assert made.counts() == {"wanted": 5, "cached": 1, "to build": 1, "refused": 3}
    assert [(group.bundle.name, group.cached) for group in made.groups] == [("torch-9.1.0-x86_64", True)]
    told = made.to_json()
    assert [cell["state"] for cell in told["bundles"][0]["cells"]] == ["cached", "to build"]
    assert {entry["cell"]: entry["reason"] for entry in told["refused"]} == {
        "v9.1.0/3.8/aarch64": "no C++ compiler for aarch64",
        "v9.1.0/3.11/aarch64": "no C++ compiler for aarch64",
        "v1.5.0/3.8/x86_64": "torch 1.5 has no plug-in device",
    }


def test_sources_do_not_depend_on_umask_or_the_order_of_files(adapter: Path) -> None:
    before = read_sources(adapter.parent, environment={})
    names = sorted((adapter / "core").iterdir())
    for path in reversed(names):
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)
        path.chmod(0o600)
        os.utime(path, (0, 0))
    assert read_sources(adapter.parent, environment={}) == before


def test_missing_sources_and_a_senseless_epoch_are_clear_errors(adapter: Path) -> None:
    with pytest.raises(SourcesError, match="SOURCE_DATE_EPOCH is 'yesterday'"):
        read_sources(adapter.parent, environment={"SOURCE_DATE_EPOCH": "yesterday"})
    (adapter / "CMakeLists.txt").unlink()
    with pytest.raises(SourcesError, match=r"CMakeLists\.txt is missing"):
        read_sources(adapter.parent, environment={})
