"""The acceptance of a wheel of any make: what is refused before an install; no check is lost to another."""

from __future__ import annotations

import json
import platform
import shutil
import signal
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from wheelmill.matrix import Cell, load
from wheelmill.prove.accept.acceptance import Acceptance, Supplies, accept
from wheelmill.prove.accept.groups import PROGRAMS, CheckResult, group_names
from wheelmill.prove.accept.known_faults import KnownFault, known_faults
from wheelmill.prove.accept.subject import read_subject
from wheelmill.prove.accept.table import render
from wheelmill.prove.smoke import SmokeError
from wheelmill.prove.smoke.environment import Limits

from tests.smoke.conftest import PYTHON, TORCH, Small
from tests.wheels import Draft

HEAD = "from checks import Checks, offered\ngroup = Checks('g')\n"
TAIL = "\ngroup.main()\n"
# What the real programs do on a real torch is tested by running them; here, what becomes of their ends.
GROUPS = {
    "fine": "group.add('one', lambda: None)\ngroup.add('two', lambda: None)",
    "failing": """
@group.check
def the_sum_is_three():
    assert 1 + 1 == 3, "1 + 1 is 2"
group.add("after it", lambda: None)
""",
    "crashing": """
import ctypes
group.add("before", lambda: None)
group.add("null is read", lambda: ctypes.string_at(0))
group.add("between", lambda: None)
group.add("null is read again", lambda: ctypes.string_at(0))
group.add("after", lambda: None)
""",
    "hanging": """
import time
group.add("sleeps", lambda: time.sleep(600))
group.add("wakes", lambda: None)
""",
    "losing": """
lost = []
group.settle = lambda: 1 / 0 if lost else None
group.add("before", lambda: None)
group.add("a kernel fails", lambda: lost.append(1))
group.add("after", lambda: None)
""",
    "lacking": """
@group.check
def an_operator():
    raise RuntimeError("aclnnFoo or aclnnFooGetWorkspaceSize not in libopapi.so, or libopapi.so not found.")
@group.check
def a_function():
    raise RuntimeError("Failed to find function aclrtBar")
""",
    "partly_offered": """
group.add("there", lambda: offered(True, "never told"))
group.add("absent", lambda: offered(False, "the module torch.bar is absent"))
""",
    "broken": "raise ImportError('no module named foo')",
    "chained": """
@group.check
def wrapped():
    try:
        import not_there
    except ImportError as error:
        raise RuntimeError("it failed") from error
""",
}


def wheels(folder: Path, **changes: object) -> tuple[Path, Path, Path]:
    cell = Cell(
        line=load(Path(__file__).parents[2] / "matrix/compat.yaml").lines[-1], python=PYTHON, arch=ARCH
    )
    return Small(folder, cell, **changes).wheels()  # type: ignore[arg-type]


ARCH = platform.machine()


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Acceptance:
    """One run over all of the small groups."""
    folder = tmp_path_factory.mktemp("acceptance")
    programs = folder / "programs"
    programs.mkdir()
    shutil.copy(PROGRAMS / "checks.py", programs)
    for name, text in GROUPS.items():
        (programs / f"{name}.py").write_text(HEAD + text + TAIL)
    torch, adapter, simulator = wheels(folder)
    supplies = Supplies(simulator, torch_wheel=torch)
    return accept(read_subject(adapter), supplies, folder / "work", programs=programs, limits=Limits(check=2))


def states(result: Acceptance, name: str) -> dict[str, str]:
    return {check.name: check.state for check in group(result, name)}


def group(result: Acceptance, name: str) -> tuple[CheckResult, ...]:
    return next(one.checks for one in result.groups if one.name == name)


def test_every_group_has_its_counts_in_order(result: Acceptance) -> None:
    assert result.failure is None
    assert [one.name for one in result.groups] == sorted(GROUPS)
    counts = {
        one.name: (one.count("passed"), one.count("failed"), one.count("not offered"))
        for one in result.groups
    }
    assert counts == {
        "fine": (2, 0, 0),
        "failing": (1, 1, 0),
        "crashing": (3, 2, 0),
        "hanging": (1, 1, 0),
        "losing": (2, 1, 0),
        "lacking": (0, 2, 0),
        "partly_offered": (1, 0, 1),
        "broken": (0, 1, 0),
        "chained": (0, 1, 0),
    }
    assert not result.ok


def test_a_check_that_takes_the_process_down_is_named_and_the_others_run(result: Acceptance) -> None:
    assert states(result, "crashing") == {
        "before": "passed",
        "null is read": "failed",
        "between": "passed",
        "null is read again": "failed",
        "after": "passed",
    }
    told = group(result, "crashing")[1].message
    assert signal.SIGSEGV.name in told
    assert "crashing.py" in told, "where it was"


def test_a_check_that_hangs_is_stopped_and_the_next_runs(result: Acceptance) -> None:
    assert states(result, "hanging") == {"sleeps": "failed", "wakes": "passed"}
    told = group(result, "hanging")[0].message
    assert told.startswith("took longer than 2 s and was stopped")
    assert "hanging.py" in told, "where it was"


def test_a_failure_that_loses_the_device_does_not_fail_the_checks_behind_it(result: Acceptance) -> None:
    assert states(result, "losing") == {"before": "passed", "a kernel fails": "failed", "after": "passed"}


def test_a_program_that_does_not_start_is_a_failure_with_its_reason(result: Acceptance) -> None:
    (check,) = group(result, "broken")
    assert "no module named foo" in check.message


def test_the_first_error_of_a_chain_is_told_too(result: Acceptance) -> None:
    (check,) = group(result, "chained")
    assert check.message.splitlines() == [
        "RuntimeError: it failed",
        "caused by ModuleNotFoundError: No module named 'not_there'",
    ]


def test_what_the_simulator_lacks_is_named_with_how_to_report_it(result: Acceptance) -> None:
    found = {(lack.kind, lack.name): lack.asked_by for lack in result.lacks}
    assert found == {("function", "aclrtBar"): ("lacking",), ("operator", "aclnnFoo"): ("lacking",)}
    told = render(result)
    assert "operator aclnnFoo" in told
    assert "Please report these names to the simulator's project, with: torch " in told
    assert result.subject.version in told.partition("Please report")[2]


def test_the_table_and_the_json_say_the_same(result: Acceptance) -> None:
    document = json.loads(json.dumps(result.to_json()))
    assert (document["status"], document["schema"]) == ("failed", 1)
    table = [line.split() for line in render(result).splitlines() if "│" in line]
    for one in document["groups"]:
        keys = ("passed", "failed", "known_faults", "not_offered", "checks")
        counts = [str(one[key] or "-") for key in keys]
        words = next(
            row for row in table if row[1 : 1 + one["group"].count("_") + 1] == one["group"].split("_")
        )
        assert [word for word in words if word != "│"][-6:-1] == counts
    (absent,) = next(one for one in document["groups"] if one["group"] == "partly_offered")["others"]
    assert absent["message"] == "the module torch.bar is absent"
    assert Path(document["environment"]).is_dir(), "kept for a look"


def test_a_known_fault_of_the_wheel_is_named_with_its_reason_and_never_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    shutil.copy(PROGRAMS / "checks.py", programs)
    for name in ("fine", "failing"):
        (programs / f"{name}.py").write_text(HEAD + GROUPS[name] + TAIL)
    torch, adapter, simulator = wheels(tmp_path)
    subject = read_subject(adapter)
    project, mine = subject.project.replace("_", "-"), f"=={subject.version}"
    monkeypatch.setattr(
        "wheelmill.prove.accept.acceptance.known_faults",
        lambda: (
            KnownFault(project, mine, "failing", ("the sum is three", "after it"), "it cannot add"),
            KnownFault(project, "==0.1", "fine", ("one",), "another version"),
            KnownFault("another", mine, "fine", ("two",), "another project"),
            KnownFault(project, mine, "not run", ("it",), "its group was not asked for"),
        ),
    )
    done = accept(subject, Supplies(simulator, torch_wheel=torch), tmp_path / "work", programs=programs)
    assert states(done, "failing") == {"the sum is three": "known fault", "after it": "passed"}
    (check, _) = group(done, "failing")
    assert check.message.splitlines()[0] == "it cannot add"
    assert "1 + 1 is 2" in check.message, "what was seen is told too"
    assert (done.ok, done.to_json()["status"]) == (False, "failed")
    text = render(done, width=200)
    assert "known fault of the wheel: it cannot add (the sum is three)" in text
    assert "FAILED: 3 checks passed, 0 failed, 1 known fault of the wheel" in text
    (note,) = [note for note in done.notes if "recorded as a known fault" in note]
    assert note.startswith(
        f"'after it' of failing is recorded as a known fault of {subject.title}, and is passed"
    )


def test_a_recorded_fault_names_a_group_a_version_and_a_reason() -> None:
    assert known_faults()
    for fault in known_faults():
        assert fault.group in group_names()
        assert list(SpecifierSet(fault.versions)), "versions that were looked at"
        assert fault.checks
        assert fault.reason


def test_the_real_programs_are_found() -> None:
    assert {"elementwise", "training", "streams"} <= set(group_names())
    assert not {"checks", "harness"} & set(group_names())


def test_a_good_wheel_leaves_nothing_behind(tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    shutil.copy(PROGRAMS / "checks.py", programs)
    (programs / "fine.py").write_text(HEAD + GROUPS["fine"] + TAIL)
    torch, adapter, simulator = wheels(tmp_path)
    done = accept(
        read_subject(adapter), Supplies(simulator, torch_wheel=torch), tmp_path / "work", programs=programs
    )
    assert done.ok
    assert done.check() is done
    assert list((tmp_path / "work").iterdir()) == []


def test_a_function_missing_at_import_is_named_in_the_error(tmp_path: Path) -> None:
    broken = "raise ImportError('libtorch_npu.so: undefined symbol: aclrtBrandNew')"
    torch, adapter, simulator = wheels(tmp_path, adapter=broken)
    done = accept(
        read_subject(adapter), Supplies(simulator, torch_wheel=torch), tmp_path / "work", groups=("views",)
    )
    with pytest.raises(SmokeError) as caught:
        done.check()
    assert "step 'example on the simulated NPU'" in caught.value.message
    assert "function aclrtBrandNew" in caught.value.message
    assert "Please report" in caught.value.message
    assert "The environment is kept" in str(caught.value.hint)


def test_a_wrong_result_of_the_example_fails_before_the_groups(tmp_path: Path) -> None:
    wrong = TORCH.replace("sum(a * b", "(self.device.type == 'npu') + sum(a * b")
    torch, adapter, simulator = wheels(tmp_path, torch=wrong)
    done = accept(read_subject(adapter), Supplies(simulator, torch_wheel=torch), tmp_path / "work")
    assert done.failure is not None
    assert "differs from the CPU's" in "\n".join(done.failure.tail)
    assert (done.groups, done.ok) == ((), False)


def test_an_unknown_group_is_refused_before_anything_is_installed(tmp_path: Path) -> None:
    torch, adapter, simulator = wheels(tmp_path)
    supplies = Supplies(simulator, torch_wheel=torch)
    with pytest.raises(SmokeError, match="there is no capability group nonsense") as caught:
        accept(read_subject(adapter), supplies, tmp_path / "work", groups=("views", "nonsense"))
    assert "elementwise" in str(caught.value.hint)
    assert not (tmp_path / "work").exists()


@pytest.fixture
def fine(tmp_path: Path) -> Path:
    """Programs of one group whose checks pass."""
    programs = tmp_path / "programs"
    programs.mkdir()
    shutil.copy(PROGRAMS / "checks.py", programs)
    (programs / "fine.py").write_text(HEAD + GROUPS["fine"] + TAIL)
    return programs


@pytest.fixture
def only_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip finds `needed_beside` and nothing else."""
    Draft("needed_beside", "1.0", files={"needed_beside.py": b""}).write(tmp_path / "links")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")


WRAPPED = """
try:
    import needed_beside
except ImportError as error:
    raise RuntimeError("Failed to load the backend extension: torch_npu") from error
import torch
"""


@pytest.mark.usefixtures("only_needed")
@pytest.mark.parametrize("asked", [False, True])
def test_what_the_matrix_says_is_needed_is_installed_and_its_lack_in_the_metadata_told(
    tmp_path: Path, fine: Path, asked: bool
) -> None:
    requires = ["Requires-Dist: Needed-Beside>=1"] if asked else []
    torch, adapter, simulator = wheels(tmp_path, adapter=WRAPPED, adapter_requires=requires)
    supplies = Supplies(simulator, torch_wheel=torch, needed=("needed_beside",))
    told: list[str] = []
    done = accept(read_subject(adapter), supplies, tmp_path / "work", programs=fine, note=told.append).check()
    assert done.ok
    lacking = [note for note in done.notes if "does not ask for needed_beside" in note]
    assert len(lacking) == (not asked)
    assert told == lacking


def test_what_nobody_knew_of_is_the_innermost_cause_in_the_error(tmp_path: Path, fine: Path) -> None:
    torch, adapter, simulator = wheels(tmp_path, adapter=WRAPPED)
    done = accept(
        read_subject(adapter), Supplies(simulator, torch_wheel=torch), tmp_path / "work", programs=fine
    )
    with pytest.raises(SmokeError) as caught:
        done.check()
    first = caught.value.message.splitlines()[0]
    assert first.endswith("innermost cause: ModuleNotFoundError: No module named 'needed_beside'")


# An adapter whose option says whether it takes private formats for granted, by chip as published ones do.
FORMATS = """
import os, torch
class _C:
    def _npu_getOption(name):
        assert name == "ALLOW_INTERNAL_FORMAT"
        return b"disable" if os.environ.get("SMALL_SOC") in SPARED else b""
"""
WITH_CHIP = """
import os, sys
def main():
    at = sys.argv.index("--")
    os.environ["SMALL_SIMULATOR"] = "1"
    if sys.argv[2] == "--soc": os.environ["SMALL_SOC"] = sys.argv[3]
    os.execvp(sys.argv[at + 1], sys.argv[at + 1:])
"""


@pytest.mark.parametrize(
    ("spared", "soc"), [('["910_9391"]', "910_9391"), ('["910_9391", None]', None), ("[]", None)]
)
def test_a_chip_without_private_formats_is_chosen_where_it_helps_and_told(
    tmp_path: Path, fine: Path, spared: str, soc: str | None
) -> None:
    sources = {"adapter": FORMATS.replace("SPARED", spared), "simulator": WITH_CHIP}
    torch, adapter, simulator = wheels(tmp_path, **sources)
    told: list[str] = []
    done = accept(
        read_subject(adapter),
        Supplies(simulator, torch_wheel=torch),
        tmp_path / "work",
        programs=fine,
        note=told.append,
    ).check()
    assert (done.soc, done.to_json()["soc"]) == (soc, soc)
    assert (f"(--soc {soc})" in render(done)) == (soc is not None)
    assert [note for note in done.notes if "private formats" in note] == told
    assert all(f"cann-simulator run --soc {soc} -- PROGRAM" in note for note in told)
    assert len(told) == (soc is not None)
