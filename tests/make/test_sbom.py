"""The SBOM in a wheel: valid CycloneDX, a function of the recipe and the files, and true."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from wheelmill.make import assemble, sbom
from wheelmill.make.plan import BuildImage, Recipe
from wheelmill.matrix import Cell
from wheelmill.wheel import wheelfile

from tests.sign import small


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return small.recipe_of(Cell(small.line(), "3.11", "x86_64"), small.source_tree(tmp_path / "tree"))


def document(wheel: Path) -> dict[str, Any]:
    """The only SBOM in it."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if ".dist-info/sboms/" in name]
        data = archive.read(name)
    assert sbom.faults(data) is None
    found: dict[str, Any] = json.loads(data)
    return found


def test_it_names_adapter_torch_cann_and_the_build_image(recipe: Recipe, tmp_path: Path) -> None:
    wheel = assemble.adapter_wheel(recipe, small.NATIVE, tmp_path / "tree", tmp_path)
    retagged = wheelfile.rewrite(wheel, tmp_path / "tagged", tag="cp311-cp311-manylinux_2_28_x86_64")
    found = document(retagged)
    assert found == document(wheel)
    assert found["metadata"]["component"]["purl"] == "pkg:pypi/torch-npu@9.1.0.post1"
    named = {item["name"]: item for item in found["components"]}
    assert named["torch"]["hashes"] == [{"alg": "SHA-256", "content": "1" * 64}]
    assert (named["CANN"]["version"], named["torch"]["version"]) == ("9.9.0", "9.1.0")
    image, compiler = found["formulation"][0]["components"]
    assert image["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert compiler["version"] == recipe.bundle.compiler
    properties = {item["name"]: item["value"] for item in found["metadata"]["properties"]}
    assert properties["wheelmill:cell"] == recipe.cell.key
    assert properties["wheelmill:recipe"] == recipe.key


def test_its_hashes_are_those_of_the_native_files(recipe: Recipe, tmp_path: Path) -> None:
    for wheel in (
        assemble.adapter_wheel(recipe, small.NATIVE, tmp_path / "tree", tmp_path),
        assemble.simulator_wheel(recipe.simulator, small.NATIVE, tmp_path / "tree", tmp_path),
    ):
        told = {item["name"]: item for item in document(wheel)["components"] if item["type"] == "file"}
        with zipfile.ZipFile(wheel) as archive:
            native = {name: archive.read(name) for name in archive.namelist() if ".so" in name}
        assert native
        assert {name: item["hashes"][0]["content"] for name, item in told.items()} == {
            name: hashlib.sha256(data).hexdigest() for name, data in native.items()
        }


def test_the_same_recipe_gives_the_same_bytes_and_another_one_another_serial_number(recipe: Recipe) -> None:
    first, again = (sbom.adapter_sbom(recipe, small.NATIVE) for _ in range(2))
    assert first == again
    other = json.loads(sbom.adapter_sbom(replace(recipe, rows="[]"), small.NATIVE))
    assert other["serialNumber"] != json.loads(first)["serialNumber"]
    assert json.loads(first)["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"  # the recipe's own time


def test_a_build_by_this_machines_compiler_names_no_image(recipe: Recipe) -> None:
    found = json.loads(sbom.adapter_sbom(replace(recipe, image=BuildImage()), small.NATIVE))
    assert [item["type"] for item in found["formulation"][0]["components"]] == ["application"]
    assert recipe.stamp()["image"]["id"] == small.IMAGE.id
    assert replace(recipe, image=BuildImage()).stamp()["image"] is None


def test_the_schema_is_asked(recipe: Recipe) -> None:
    found = json.loads(sbom.adapter_sbom(recipe, small.NATIVE))
    del found["components"][0]["name"]
    said = str(sbom.faults(json.dumps(found).encode()))
    assert said == "$.components[0]: 'name' is a required property", "with the place"
