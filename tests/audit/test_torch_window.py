"""What a wheel asks of torch is held against the torches in which its native files run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from wheelmill.prove.audit import Expectation, audit
from wheelmill.wheel.name import parse_name

from tests.abi.conftest import BUILT_FOR, Records, extension_wheel

WIDE = "allows 2.14.0, in which the native files do not run"


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Records:
    """2.13.0, and a torch that lacks a function of it."""
    found = Records(tmp_path_factory.mktemp("records"))
    for torch in (BUILT_FOR, replace(BUILT_FOR, version="2.14.0", functions="long other(const Tensor&);")):
        found.add(torch)
    return found


@pytest.mark.parametrize(
    ("requires", "house", "severity"),
    [
        ("torch>=2.13", False, "note"),
        ("torch>=2.13", True, "error"),
        ("torch>=2.13,<2.14", True, None),
        ("torch==2.14.0", True, None),
        ("numpy", True, None),
    ],
)
def test_torch_window_tells_of_a_torch_in_which_the_wheel_does_not_run(
    requires: str,
    house: bool,
    severity: str | None,
    records: Records,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WHEELMILL_MATRIX", str(records.folder.with_name("compat.yaml")))
    wheel = extension_wheel(tmp_path, BUILT_FOR, "-s", requires=requires)
    expected = replace(Expectation.from_name(parse_name(wheel.name)), house=house)
    found = [one for one in audit(wheel, expected).findings if one.rule == "torch-window"]
    assert [one.severity for one in found] == ([severity] if severity else [])
    assert all(WIDE in one.message and "Write torch>=2.13,<2.14" in one.hint for one in found)
