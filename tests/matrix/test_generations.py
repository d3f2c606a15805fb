"""Which torches a wheel asks for follows from what is proven with the torch that it is compiled for."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from wheelmill.make.metadata import adapter_metadata, simulator_metadata
from wheelmill.matrix import Matrix, Torch, load
from wheelmill.matrix.proven import patch

from tests.matrix.small import SMALL

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return load(ROOT / "matrix" / "compat.yaml")


@pytest.mark.parametrize(
    ("serves", "proven", "allowed", "requirement"),
    [
        ((), (), (), "==2.13.0"),
        (("2.14.0", "2.14.1"), (), (), "==2.13.0"),
        (("2.14.0", "2.14.1"), ("2.14.1",), ("2.14.1",), ">=2.13.0,<=2.14.1,!=2.14.0"),
        (("2.14.0", "2.14.1"), ("2.14.0",), ("2.14.0",), ">=2.13.0,<=2.14.0"),
        (("2.14.0", "2.14.1"), ("2.14.0", "2.14.1"), ("2.14.0", "2.14.1"), ">=2.13.0,<=2.14.1"),
    ],
)
def test_metadata_ask_for_what_is_proven_and_nothing_else(
    matrix: Matrix,
    serves: tuple[str, ...],
    proven: tuple[str, ...],
    allowed: tuple[str, ...],
    requirement: str,
) -> None:
    torch = replace(matrix.torches["2.13.0"], serves=serves, proven=proven)
    line = replace(matrix.line("v2.13.0"), torch=torch)
    assert torch.requirement == requirement
    for text in (adapter_metadata(line, "3.11"), simulator_metadata(torch)):
        assert f"Requires-Dist: torch{requirement}\n" in text
    asked = SpecifierSet(requirement)
    known = ("2.12.0", "2.13.0", "2.14.0", "2.14.1", "2.14.2", "2.15.0")
    assert tuple(one for one in known if one in asked) == ("2.13.0", *allowed)
    assert "2.13.0+cpu" in asked
    assert all(f"{one}+cpu" in asked for one in allowed)


def test_a_wheel_on_which_a_torch_is_to_be_proven_is_the_one_that_will_be_released(matrix: Matrix) -> None:
    before: Torch = replace(matrix.torches["2.13.0"], serves=("2.14.0",), proven=())
    after = before.proving("2.14.1")
    assert (after.serves, after.proven) == (("2.14.0", "2.14.1"), ("2.14.1",))
    assert after.proving("2.14.1") == after


@pytest.mark.parametrize(
    ("known", "changed"),
    [
        ("", "+    serves: [2.14.0]\n+    proven: [2.14.0]\n"),
        ("    serves: [2.14.0]\n", "+    proven: [2.14.0]\n"),
        ("    serves: [2.14.1]\n    proven: [2.14.1]\n",
         "-    serves: [2.14.1]\n-    proven: [2.14.1]\n"
         "+    serves: [2.14.0, 2.14.1]\n+    proven: [2.14.0, 2.14.1]\n"),
        ("    serves: [2.14.0]\n    proven: [2.14.0]\n", ""),
    ],
)  # fmt: skip
def test_the_patch_writes_what_is_proven_where_it_belongs(tmp_path: Path, known: str, changed: str) -> None:
    text = SMALL.replace("    dependencies: [pyyaml]\n", f"    dependencies: [pyyaml]\n{known}")
    file = tmp_path / "compat.yaml"
    file.write_text(text, encoding="utf-8")
    diff = patch(text, load(file).torches["2.1.0"], "2.14.0", "compat.yaml")
    lines = diff.splitlines(keepends=True)[2:]
    assert "".join(line for line in lines if line[0] in "+-") == changed
    if diff:
        subprocess.run(["git", "apply"], cwd=tmp_path, input=diff, text=True, check=True)
        assert load(file).torches["2.1.0"].proven[0] == "2.14.0"
