"""The matrix against the catalogue: each rule finds what it is there for, and nothing is wrong today."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from wheelmill.catalogue import Audited, Catalogue, CatalogueError, Record, Wheel
from wheelmill.catalogue.check import check, titles
from wheelmill.catalogue.propose import propose
from wheelmill.catalogue.record import read_record, write_record
from wheelmill.catalogue.sample import audited, chosen
from wheelmill.cli import cli
from wheelmill.matrix import load
from wheelmill.matrix.lint import lint
from wheelmill.pick import Pick, Shelf, answer, parse_request, render_text

from tests.catalogue.conftest import Add, Mirror
from tests.matrix.small import COMPAT
from tests.pick.asking import CATALOGUE, MATRIX

TODAY = date(2026, 11, 28)
INDEX = CATALOGUE.record("index")
assert INDEX is not None
Change = Callable[[Wheel], "Wheel | None"]


def changed(change: Change, *more: Wheel) -> Catalogue:
    """The catalogue with every wheel changed, dropped or, at the end, added."""
    assert INDEX is not None
    wheels = [found for wheel in INDEX.wheels if (found := change(wheel)) is not None]
    return Catalogue((dataclasses.replace(INDEX, wheels=(*wheels, *more)),))


def found(catalogue: Catalogue, rule: str) -> list[tuple[str, str]]:
    found = [one for one in check(MATRIX, catalogue) if one.rule == rule]
    return [(one.data["about"], one.message.removeprefix(f"{one.data['about']}: ")) for one in found]


def without(file: str) -> Change:
    return lambda wheel: None if file in wheel.file else wheel


def news(before: Catalogue, after: Catalogue, rule: str) -> list[tuple[str, str]]:
    return [one for one in found(after, rule) if one not in found(before, rule)]


def test_the_matrix_declares_all_that_is_published() -> None:
    assert [str(one) for one in check(MATRIX, CATALOGUE) if one.severity == "error"] == []


def plus(name: str) -> Catalogue:
    """The catalogue with one wheel more."""
    return changed(lambda wheel: wheel, Wheel(f"torch_npu-{name}.whl"))


def with_field(part: str, **fields: object) -> Catalogue:
    """The catalogue with other facts of the wheels whose name has `part`."""
    return changed(
        lambda wheel: dataclasses.replace(wheel, **fields) if part in wheel.file else wheel  # type: ignore[arg-type]
    )


def elsewhere(version: str) -> Catalogue:
    """The catalogue with a wheel that is found to run in another torch than its own."""
    assert INDEX is not None
    windows = (
        dataclasses.replace(one, runs=("2.1.0",)) if one.version == version else one for one in INDEX.windows
    )
    return Catalogue((dataclasses.replace(INDEX, windows=tuple(windows)),))


LOW = Audited("2026-11-28", "manylinux_2_34", "tag too old")
X86 = "manylinux_2_28_x86_64"
FAULTS = [
    (
        "promised-but-missing",
        changed(without(f"2.12.0-cp313-cp313-{X86}")),
        "v2.12.0-26.1.0",
        "for 3.13-x86_64",
    ),
    ("promised-but-missing", changed(without("2.5.1.post1-")), "v2.5.1-7.1.0", "none of its wheels"),
    ("exists-but-undeclared", plus(f"2.12.0-cp314-cp314-{X86}"), "v2.12.0-26.1.0", "for Python 3.14 too"),
    ("exists-but-undeclared", plus(f"2.12.0.post9-cp314-cp314-{X86}"), "2.12.0.post9", "and no row has it"),
    ("yanked", with_field("-2.9.0-", yanked="broken"), "v2.9.0-7.3.0", "are yanked: broken"),
    (
        "half-uploaded",
        changed(without("2.14.0-cp314-cp314-manylinux_2_28_aarch64")),
        "2.14.0",
        "3.14-aarch64",
    ),
    (
        "two-wheels-for-one-cell",
        plus("2.14.0-cp314-cp314-manylinux_2_34_x86_64"),
        "2.14.0",
        "pip takes manylinux_2_34",
    ),
    (
        "requirement-pip-cannot-solve",
        with_field(f"-2.14.0-cp310-cp310-{X86}", requires=("torch==2.14.0+cpu",)),
        "2.14.0",
        "require torch==2.14.0+cpu",
    ),
    (
        "requires-its-torch",
        with_field("-2.14.0-", requires=("torch==2.13.0",)),
        "2.14.0",
        "requires torch==2.13.0",
    ),
    (
        "tag-below-symbols",
        with_field(f"-2.14.0-cp310-cp310-{X86}", audited=LOW),
        "2.14.0",
        "needs manylinux_2_34",
    ),
    (
        "window-of-each-version",
        changed(lambda wheel: wheel, Wheel(f"torch_npu-2.99.0-cp314-cp314-{X86}.whl", "00" * 32)),
        "2.99.0",
        "it is not known in which torches",
    ),
    ("window-has-its-torch", elsewhere("2.14.0"), "2.14.0", "does not run in torch 2.14.0 by its symbols"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault[0]}: {fault[3]}")
def test_each_rule_finds_its_fault(fault: tuple[str, Catalogue, str, str]) -> None:
    rule, catalogue, about, says = fault
    fresh = news(CATALOGUE, catalogue, rule)
    assert [(named, says in message) for named, message in fresh] == [(about, True)], fresh


def test_one_version_on_two_branches_is_found_as_printed_too() -> None:
    lines = list(MATRIX.lines)
    at = next(number for number, line in enumerate(lines) if line.branch == "v2.10.0-26.1.0")
    printed = dataclasses.replace(MATRIX.line("v2.1.0-6.0.rc1").published, adapter="2.10.0.post2")  # type: ignore[type-var]
    lines[at] = dataclasses.replace(lines[at], published=printed)
    matrix = dataclasses.replace(MATRIX, lines=tuple(lines))
    (one,) = [one for one in check(matrix, CATALOGUE) if one.rule == "one-version-two-branches"]
    assert (one.data["about"], one.severity) == ("2.10.0.post2", "error")
    assert one.message == "2.10.0.post2: stands for v2.10.0-26.0.0 and v2.10.0-26.1.0"


def test_an_error_says_which_line_of_the_matrix() -> None:
    catalogue = changed(without(f"2.12.0-cp313-cp313-{X86}"))
    (one,) = [one for one in check(MATRIX, catalogue) if one.rule == "promised-but-missing"]
    row = MATRIX.path.read_text(encoding="utf-8").splitlines()[one.line - 1]
    assert row.strip().startswith("pythons:")
    assert str(one).startswith(f"{COMPAT}:{one.line}: error: v2.12.0-26.1.0: the index has no wheel for")


def test_published_contradictions_are_noted() -> None:
    assert ("2.12.0", "the compatibility table names Python 3.14; 3.14 came with 2.12.0.post3") in found(
        CATALOGUE, "printed-python-has-a-wheel"
    )
    assert ("2.10.0.post6", "there is no wheel for 3.12-x86_64") in found(CATALOGUE, "half-uploaded")
    ((about, message),) = found(CATALOGUE, "two-wheels-for-one-cell")
    assert (about, "pip takes manylinux_2_27_x86_64" in message) == ("2.1.0", True)
    assert any(
        "torch==2.7.1+cpu" in message for _, message in found(CATALOGUE, "requirement-pip-cannot-solve")
    )
    assert found(CATALOGUE, "python-bound") == [("the index", "512 of 512 wheels have no Requires-Python")]


def test_every_rule_is_tried_here() -> None:
    tried = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in titles() if f'"{name}"' not in tried] == []


def test_a_proposal_applies_and_mends_what_check_finds(tmp_path: Path) -> None:
    """Two versions and a Python of a row are new; the patched matrix is in order and declares them."""
    tag = "cp314-cp314-manylinux_2_28_x86_64"
    catalogue = changed(
        lambda one: one, Wheel(f"torch_npu-2.12.0.post9-{tag}.whl"), Wheel(f"torch_npu-2.99.0-{tag}.whl"),
        Wheel(f"torch_npu-2.12.0.post3.post1-{tag}.whl".replace(".post3.post1", ".post4")),
        *(Wheel(f"torch_npu-2.12.0-cp314-cp314-manylinux_2_28_{arch}.whl") for arch in ("aarch64", "x86_64")),
    )  # fmt: skip
    errors = [one for one in check(MATRIX, catalogue) if one.severity == "error"]
    assert len(errors) == 4
    path = tmp_path / "matrix" / "compat.yaml"
    path.parent.mkdir()
    path.write_bytes(COMPAT.read_bytes())
    proposal = propose(MATRIX, catalogue, COMPAT.read_text(encoding="utf-8"))
    assert proposal.versions == ("2.99.0", "2.12.0.post9", "2.12.0.post4")
    assert all("which branch, and which CANN?" in question for question in proposal.questions)
    added = [line for line in proposal.patch.splitlines() if "{adapter:" in line and line.startswith("+")]
    assert [line.endswith("}  # of which branch?") for line in added] == [True] * 3, "no branch is guessed"
    subprocess.run(["git", "apply", "-"], input=proposal.patch, text=True, cwd=tmp_path, check=True)
    assert [str(one) for one in lint(path, TODAY).errors] == []
    assert [one for one in check(load(path), catalogue) if one.severity == "error"] == []
    assert propose(load(path), catalogue, path.read_text(encoding="utf-8")).patch == ""
    for adapter in proposal.versions:
        pick = answer(Shelf(load(path), catalogue, TODAY), parse_request(adapter=adapter), {})
        assert isinstance(pick, Pick)
        assert (pick.offer.branch, pick.offer.cann) == (None, None)
        assert f"torch_npu {adapter} is on the index, CANN unknown" in render_text(pick)


def test_an_audit_is_kept_and_its_download_held_to_the_hash(mirror: Mirror, add: Add, tmp_path: Path) -> None:
    name = add("9.1.0", "cp311-cp311-manylinux_2_28_x86_64")
    right = Wheel(name, hashlib.sha256(mirror.files[name]).hexdigest())
    record = Record("torch_npu", "index", "2026-11-28", (right,))
    assert chosen(record, (), 5) == (right,)
    found = ("manylinux_2_34_x86_64", False, ">=2.13,<2.15")
    record, kept = audited(record, right, mirror.url, TODAY, lambda path: found)
    assert kept == Audited("2026-11-28", "manylinux_2_34", "tag too old", ">=2.13,<2.15")
    assert record.wheels[0].audited == kept
    assert chosen(record, (), 5) == ()
    before = dataclasses.replace(right, audited=dataclasses.replace(kept, torch=""))
    assert chosen(dataclasses.replace(record, wheels=(before,)), (), 5) == (
        before,
    )  # of before that was asked
    for one in (record.wheels[0], before):
        again = dataclasses.replace(record, wheels=(one,))
        assert write_record(tmp_path / "index.json", again)
        assert read_record(tmp_path / "index.json") == again
    wrong = dataclasses.replace(right, sha256="00" * 32)
    with pytest.raises(CatalogueError, match="the record says 0000"):
        audited(record, wrong, mirror.url, TODAY, lambda path: ("linux", True, ""))


def test_an_audit_says_what_it_downloads_before_it_does(
    mirror: Mirror, add: Add, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compat = tmp_path / "compat.yaml"
    compat.write_bytes(COMPAT.read_bytes())
    names = [add(version, "cp311-cp311-manylinux_2_28_x86_64") for version in ("9.1.0", "9.2.0")]
    wheels = tuple(
        Wheel(name, hashlib.sha256(mirror.files[name]).hexdigest(), size)
        for name, size in zip(names, (38 << 20, None), strict=True)
    )
    path = tmp_path / "catalogue" / "index.json"
    write_record(path, Record("torch_npu", "index", "2026-11-28", wheels))
    before = path.read_bytes()
    command = ["--matrix", str(compat), "catalogue", "audit", "--index", mirror.url, "--dry-run"]
    cli.main([*command, *names], standalone_mode=False)
    assert capsys.readouterr().out.splitlines() == [
        f"to download: {names[0]} (38.0 MiB)", f"to download: {names[1]} (size unknown)",
        "to download in all: at least 38.0 MiB",
    ]  # fmt: skip
    cli.main(command, standalone_mode=False)
    assert capsys.readouterr().out.splitlines() == [f"to download: {names[0]} (38.0 MiB)"]
    assert (mirror.asked, path.read_bytes()) == ([], before)
