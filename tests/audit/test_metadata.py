"""Metadata rules, each broken in a wheel that is good otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from wheelmill.prove.audit import Finding, audit

from tests.audit.conftest import expectation
from tests.wheels import Draft

Good = Callable[..., Draft]
ROW = "torch_npu/_row.json"


def findings(draft: Draft, directory: Path, rule: str) -> list[Finding]:
    verdict = audit(draft.write(directory), expectation())
    return [f for f in verdict.findings if f.rule == rule]


@pytest.mark.parametrize(
    ("old", "new", "rule", "told"),
    [
        ("Requires-Python: >=3.10", None, "requires-python", "is not set"),
        ("Requires-Python: >=3.10", "Requires-Python: >=3.12", "requires-python", "leaves out 3.11"),
        ("Requires-Python: >=3.10", "Requires-Python: >=3.11", "requires-python", "leaves out 3.10"),
        ("Requires-Python: >=3.10", "Requires-Python: three", "requires-python", "not a version specifier"),
        ("Requires-Dist: torch==2.13.0", None, "torch-pin", "0 Requires-Dist"),
        (
            "Requires-Dist: torch==2.13.0",
            "Requires-Dist: torch==2.12.0",
            "torch-pin",
            "the line has torch==2.13.0",
        ),
        ("Requires-Dist: torch==2.13.0", "Requires-Dist: torch==2.13.0+cpu", "torch-pin", "local version"),
        ("Requires-Dist: torch==2.13.0", "Requires-Dist: torch==2.13.*", "torch-pin", "does not pin"),
        ("Requires-Dist: torch==2.13.0", "Requires-Dist: torch>=2.13.0", "torch-pin", "does not pin"),
        (
            "Requires-Dist: torch==2.13.0",
            'Requires-Dist: torch==2.13.0; python_version < "3.11"',
            "torch-pin",
            "does not pin",
        ),
        ("License-Expression: BSD-3-Clause", None, "license-expression", "is not set"),
        (
            "License-Expression: BSD-3-Clause",
            "License-Expression: bsd-3-clause",
            "license-expression",
            "SPDX form",
        ),
        ("License-Expression: BSD-3-Clause", "License-Expression: My Own", "license-expression", "My Own"),
        ("License-File: LICENSE", None, "license-expression", "no License-File"),
        ("License-File: LICENSE", "License-File: COPYING", "license-expression", "missing"),
        ("Classifier: Programming Language :: Python :: 3.11", None, "classifiers", "leave out Python 3.11"),
        (
            "Classifier: Programming Language :: Python :: 3.11",
            "Classifier: Programming Language :: Python :: 3.9",
            "classifiers",
            "name Python 3.9, which it has no wheel for",
        ),
        (
            "License-File: LICENSE",
            "Classifier: License :: OSI Approved :: BSD License",
            "classifiers",
            "License classifier",
        ),
        ("License-File: LICENSE", "Requires-Dist: torch ==", "metadata-valid", "requires-dist"),
        ("License-File: LICENSE", "No-Such-Field: 1", "metadata-valid", "no-such-field"),
    ],
)
def test_a_false_header_is_found(
    good: Good, tmp_path: Path, old: str, new: str | None, rule: str, told: str
) -> None:
    draft = good()
    at = draft.headers.index(old)
    draft.headers[at : at + 1] = [] if new is None else [new]
    found = findings(draft, tmp_path, rule)
    assert any(told in f.message and f.severity == "error" for f in found), found


@pytest.mark.parametrize(
    ("name", "version", "told"),
    [
        ("torch_gpu", "2.13.0", "Name is torch_gpu"),
        ("torch_npu", "2.13.1", "Version is 2.13.1, the file name says 2.13.0"),
        ("torch_npu", "2.13.0.0rc.1", "canonical form 2.13.0.0rc1"),
        ("torch_npu", "v2", "canonical form 2"),
        ("torch_npu", "new", "not a PEP 440 version"),
    ],
)
def test_name_and_version_are_the_file_names(
    good: Good, tmp_path: Path, name: str, version: str, told: str
) -> None:
    draft = good()
    text = "\n".join(["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *draft.headers])
    draft.files[f"{draft.dist_info}/METADATA"] = text.encode()
    assert any(told in f.message for f in findings(draft, tmp_path, "name-and-version"))


def test_a_file_name_whose_version_is_not_canonical_is_found(good: Good, tmp_path: Path) -> None:
    draft = good()
    draft.files = {name.replace("2.13.0.dist", "2.13.0rc.1.dist"): d for name, d in draft.files.items()}
    draft.version = "2.13.0rc.1"
    assert "" in {f.file for f in findings(draft, tmp_path, "name-and-version")}


def test_another_version_than_the_rows_is_found(good: Good, tmp_path: Path) -> None:
    draft = good()
    draft.version = "2.13.0.post1"
    found = findings(draft, tmp_path, "name-and-version")
    assert [f.message for f in found] == ["the version is 2.13.0.post1, the matrix row says 2.13.0"]


def test_another_python_than_the_rows_is_found(good: Good, tmp_path: Path) -> None:
    (finding,) = findings(good(python="3.10"), tmp_path, "python-tag")
    assert "Python 3.11" in finding.message


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("Tag: cp311-cp311-linux_x86_64", "Tag: cp310-cp310-linux_x86_64", "no Tag line for cp311"),
        ("Tag: cp311-cp311-linux_x86_64", "Tag: cp310-cp310-linux_x86_64", "Tag line cp310"),
        ("Root-Is-Purelib: false", "Root-Is-Purelib: true", "Root-Is-Purelib"),
        ("Wheel-Version: 1.0", "Wheel-Version: 2.0", "Wheel-Version is 2.0"),
    ],
)
def test_the_wheel_file_agrees_with_the_file_name(
    good: Good, tmp_path: Path, old: str, new: str, told: str
) -> None:
    draft = good()
    text = "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-linux_x86_64"
    assert old in text
    draft.wheel = text.replace(old, new)
    assert any(told in f.message for f in findings(draft, tmp_path, "wheel-tags"))


def test_a_compressed_tag_set_needs_all_its_lines(good: Good, tmp_path: Path) -> None:
    draft = good()
    draft.tag = "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"
    assert findings(draft, tmp_path / "both", "wheel-tags") == []
    draft.wheel = "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-manylinux_2_17_x86_64"
    (finding,) = findings(draft, tmp_path / "one", "wheel-tags")
    assert "manylinux2014_x86_64" in finding.message


@pytest.mark.parametrize("missing", ["METADATA", "WHEEL"])
def test_a_missing_file_of_the_dist_info_is_found(good: Good, tmp_path: Path, missing: str) -> None:
    class Without(Draft):
        def members(self) -> dict[str, bytes]:
            return {n: d for n, d in super().members().items() if not n.endswith(f"/{missing}")}

    draft = Without(**vars(good()))
    (finding,) = findings(draft, tmp_path, "dist-info")
    assert finding.file.endswith(missing)


def test_a_second_dist_info_is_found(good: Good, tmp_path: Path) -> None:
    draft = good()
    draft.files["other-1.0.dist-info/METADATA"] = b""
    assert "other-1.0.dist-info" in findings(draft, tmp_path, "dist-info")[0].message


@pytest.mark.parametrize(
    ("stamp", "told"),
    [
        (lambda row: {**row, "cann": "8.0.0"}, "cann is '8.0.0', the matrix row says '9.2.0'"),
        (lambda row: {k: v for k, v in row.items() if k != "branch"}, "branch is None"),
        (lambda row: {**row, "recipe": ""}, "names no recipe"),
        (lambda row: [row], "is a list"),
    ],
)
def test_the_row_stamp_is_the_row(
    good: Good, tmp_path: Path, stamp: Callable[[dict[str, object]], object], told: str
) -> None:
    draft = good()
    draft.files[ROW] = json.dumps(stamp(json.loads(draft.files[ROW]))).encode()
    (finding,) = findings(draft, tmp_path, "row-stamp")
    assert told in finding.message


@pytest.mark.parametrize("content", [None, b"{"])
def test_a_row_stamp_that_cannot_be_read_is_found(good: Good, tmp_path: Path, content: bytes | None) -> None:
    draft = good()
    del draft.files[ROW]
    if content is not None:
        draft.files[ROW] = content
    (finding,) = findings(draft, tmp_path, "row-stamp")
    assert (finding.file, finding.severity) == (ROW, "error")


SBOM = "torch_npu-2.13.0.dist-info/sboms/torch_npu.cdx.json"
RECIPE = {"torch_npu-2.13.0.dist-info/recipe.json": b"{}"}
VALID = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1}


COMPONENT = {"type": "library", "name": "x"}


def nested(depth: int) -> bytes:
    start = json.dumps({**VALID, "components": []}).removesuffix("]}")
    one = json.dumps({**COMPONENT, "components": []}).removesuffix("]}")
    return (start + one * depth + "]}" * (depth + 1)).encode()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (RECIPE, "is missing"),
        ({**RECIPE, SBOM: json.dumps(VALID).encode()}, ""),
        ({**RECIPE, SBOM: json.dumps({**VALID, "specVersion": "1.4"}).encode()}, ""),
        ({SBOM: json.dumps({**VALID, "components": [{"type": "library"}]}).encode()}, "'name' is a required"),
        ({SBOM: json.dumps({**VALID, "specVersion": "9"}).encode()}, "specVersion '9' is unknown"),
        ({SBOM: b"{"}, "no JSON document"),
        ({SBOM: nested(400)}, "nested too deeply"),
        (
            {SBOM: json.dumps({**VALID, "components": [COMPONENT] * 5000}).encode()},
            "no more than 5000 objects",
        ),
        ({}, ""),
    ],
)
def test_an_sbom_is_there_and_valid(good: Good, tmp_path: Path, files: dict[str, bytes], told: str) -> None:
    draft = good()
    draft.files |= files
    found = findings(draft, tmp_path, "sbom")
    assert [(told in one.message, one.file) for one in found] == ([(True, SBOM)] if told else [])
