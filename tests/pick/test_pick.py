"""The picker: what it installs, what it explains, and that every cell of the matrix is one or the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from itertools import product
from typing import Any

import pytest
from wheelmill.matrix import Matrix, load
from wheelmill.pick import NoFit, Pick, PickError, Request, parse_request, render_text, resolve, to_json
from wheelmill.pick.cells import all_cells, installable, values
from wheelmill.pick.model import COSTS

from tests.matrix.small import COMPAT

TODAY = date(2026, 11, 22)


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return load(COMPAT)


def ask(matrix: Matrix, **words: str) -> Pick | NoFit:
    return resolve(matrix, parse_request(**words), TODAY)


def picked(matrix: Matrix, **words: str) -> Pick:
    answer = ask(matrix, **words)
    assert isinstance(answer, Pick), render_text(answer)
    return answer


def refused(matrix: Matrix, **words: str) -> NoFit:
    answer = ask(matrix, **words)
    assert isinstance(answer, NoFit), render_text(answer)
    return answer


def commands(pick: Pick) -> list[str]:
    return [command for step in pick.steps for command in step.commands]


def test_the_readme_cell_has_the_readme_commands(matrix: Matrix) -> None:
    """AArch64, Python 3.8, torch 2.0.1: the example of the README, command by command."""
    pick = picked(matrix, torch="2.0.1", cann="7.0.RC1", python="3.8", arch="aarch64")
    wheel = "torch_npu-2.0.1-cp38-cp38-linux_aarch64.whl"
    assert commands(pick) == [
        "pip3 install torch==2.0.1",
        "pip3 install pyyaml",
        "pip3 install setuptools",
        "pip3 install 'numpy<2'",
        f"wget https://gitee.com/ascend/pytorch/releases/download/v5.0.rc3-pytorch2.0.1/{wheel}",
        f"pip3 install {wheel}",
        "source /usr/local/Ascend/ascend-toolkit/set_env.sh",
    ]


def test_x86_takes_torch_without_cuda(matrix: Matrix) -> None:
    pick = picked(matrix, torch="2.0.1", cann="7.0.RC1", python="3.8", arch="x86")
    first = pick.steps[0]
    assert first.commands == (
        "pip3 install torch==2.0.1+cpu --index-url https://download.pytorch.org/whl/cpu",
    )
    (fallback,) = first.fallback
    assert "torch-2.0.1%2Bcpu-cp38-cp38-linux_x86_64.whl#sha256=8046f49d" in fallback


def test_newest_fitting_row_is_taken(matrix: Matrix) -> None:
    pick = picked(matrix, cann="7.0.rc1", python="cp38", arch="arm64")
    assert (pick.cell.line.branch, pick.cell.name) == ("v2.1.0-5.0.rc3", "3.8-aarch64")
    assert "pip3 install torch_npu==2.1.0rc1" in commands(pick)


def test_published_rows_come_before_development(matrix: Matrix) -> None:
    assert picked(matrix).cell.line.kind == "published"
    pick = picked(matrix, torch="2.13.0", python="3.11", arch="x86_64")
    assert "nox -s build-3.11-x86_64 -- --line v2.13.0" in commands(pick)
    assert any("is in development" in warning for warning in pick.warnings)


def test_a_row_with_no_published_wheel_is_built(matrix: Matrix) -> None:
    pick = picked(matrix, branch="v2.0.1-5.0.0", python="3.9", arch="aarch64")
    assert "nox -s build-3.9-aarch64 -- --line v2.0.1-5.0.0" in commands(pick)


def test_end_of_life_is_said_with_day_and_successor(matrix: Matrix) -> None:
    pick = picked(matrix, cann="7.0.RC1", python="3.10", arch="aarch64")
    assert pick.phase is not None
    assert pick.phase.stage == "eol"
    assert any("end of life on 2025-01-15" in one and "torch_npu 2.12.0" in one for one in pick.warnings)
    early = resolve(matrix, parse_request(cann="7.0.RC1", python="3.10", arch="aarch64"), date(2023, 12, 1))
    assert isinstance(early, Pick)
    assert not any("end of life" in one for one in early.warnings)


def test_chosen_axes_are_said(matrix: Matrix) -> None:
    pick = picked(matrix, cann="8.0.0")
    assert set(pick.free) == {"adapter", "branch", "python", "torch", "arch"}
    assert "# Not asked for, so chosen: Python 3.11, architecture aarch64" in render_text(pick)


@pytest.mark.parametrize(
    "words",
    [
        {"adapter": "2.1.0.rc1"}, {"adapter": "2.1.0RC1"}, {"torch": "2.1.0+cpu", "cann": "CANN 7.0.rc1"},
        {"branch": "v2.1.0-5.0.rc3"}, {"torch": "2.1", "cann": "7.0.RC1"},
    ],
)  # fmt: skip
def test_spellings_find_the_same_row(matrix: Matrix, words: dict[str, str]) -> None:
    assert picked(matrix, **words).cell.line.branch == "v2.1.0-5.0.rc3"


def kinds(nofit: NoFit) -> list[dict[str, str]]:
    return [{one.axis: one.kind for one in conflict.blockers} for conflict in nofit.conflicts]


def test_only_the_axes_that_block_are_named(matrix: Matrix) -> None:
    """The architecture is asked for too, but is not to blame."""
    nofit = refused(matrix, cann="7.0.RC1", python="3.11", arch="aarch64")
    assert kinds(nofit) == [{"python": "never built", "cann": "elsewhere"}]
    text = render_text(nofit)
    assert "with CANN 7.0.RC1 there is Python 3.7, 3.8, 3.9, 3.10" in text
    assert "Python 3.11 began with torch_npu 2.1.0.post8" in text


def test_dropped_python_says_where_it_ended(matrix: Matrix) -> None:
    nofit = refused(matrix, python="3.8", torch="2.9.0")
    assert kinds(nofit) == [{"python": "dropped", "torch": "elsewhere"}]
    assert "Python 3.8 ended with torch_npu 2.4.0.post4" in render_text(nofit)


def test_record_says_why_it_cannot_be_had(matrix: Matrix) -> None:
    nofit = refused(matrix, torch="1.8.1", cann="5.1.RC2")
    assert kinds(nofit) == [{"torch": "record only"}, {"cann": "record only"}]
    assert "PyTorch 1.8.1 is from the beginning of the plug-in interface" in render_text(nofit)


def test_misprinted_version_is_recognised(matrix: Matrix) -> None:
    text = render_text(refused(matrix, adapter="2.1.0.post4"))
    assert "it was published for v2.1.0-6.0.rc1, which has torch_npu 2.1.0.post3" in text


def test_each_unknown_value_is_a_conflict_of_its_own(matrix: Matrix) -> None:
    nofit = refused(matrix, python="3.6", cann="4.0.0", arch="arm64")
    assert kinds(nofit) == [{"python": "never built"}, {"cann": "never built"}]


def test_nearest_alternatives_come_first(matrix: Matrix) -> None:
    """One changed axis before two, a cheap axis before a dear one, a near value before a far one."""
    nofit = refused(matrix, cann="7.0.RC1", python="3.11", arch="aarch64")
    costs = [(len(one.changes), one.cost) for one in nofit.alternatives]
    assert costs == sorted(costs)
    assert nofit.alternatives[0].changes == {"python": "3.10"}
    assert {"cann": "8.0.RC3"} in [dict(one.changes) for one in nofit.alternatives]
    assert COSTS["adapter"] < COSTS["python"] < COSTS["cann"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"python": "snake"}, "Python: 'snake' is not a Python version"),
        ({"arch": "riscv64"}, "architecture: 'riscv64' is not an architecture; use aarch64"),
        ({"cann": "seven"}, "CANN: 'seven' is not a CANN version; one looks like 7.0.RC1"),
        ({"adapter": "1.11.0.rc2（beta)"}, "torch_npu: '1.11.0.rc2（beta)' is not a PEP 440 version"),
        ({"torch": ""}, "torch: '' is not a PEP 440 version"),
    ],
)
def test_unreadable_words_name_their_axis(words: dict[str, str], says: str) -> None:
    with pytest.raises(PickError) as caught:
        parse_request(**words)
    assert caught.value.message.startswith(says)


def test_every_cell_is_installable_or_explained(matrix: Matrix) -> None:
    cells = all_cells(matrix)
    assert len(cells) > 400
    for cell in cells:
        line = cell.line
        request = Request(
            adapter=line.adapter, branch=line.branch, python=cell.python, torch=line.torch.version,
            cann=line.cann, arch=cell.arch,
        )  # fmt: skip
        answer = resolve(matrix, request, TODAY)
        if installable(cell):
            assert isinstance(answer, Pick)
            assert answer.cell == cell
        else:
            assert isinstance(answer, NoFit)
            assert line.reason is not None
            assert line.reason.split(":")[0] in render_text(answer)


def test_every_combination_of_axes_is_answered_well(matrix: Matrix) -> None:
    """CANN x torch x Python: a pick where the cell exists, else true conflicts and a way out that works."""
    cells = all_cells(matrix)
    offered = [cell for cell in cells if installable(cell)]
    known = {(c.line.cann, c.line.torch.version, c.python, c.arch) for c in offered}
    axes = [
        values(cells, "cann")[::2],
        values(cells, "torch")[::2],
        values(cells, "python")[::3],
        ["aarch64"],
    ]
    for cann, torch, python, arch in product(*axes):
        answer = resolve(matrix, Request(cann=cann, torch=torch, python=python, arch=arch), TODAY)
        assert isinstance(answer, Pick) == ((cann, torch, python, arch) in known)
        if isinstance(answer, NoFit):
            assert answer.conflicts
            sizes = {len(conflict.blockers) for conflict in answer.conflicts}
            assert len(sizes) == 1
            for conflict in answer.conflicts:
                alone = Request(**{one.axis: one.value for one in conflict.blockers})
                assert isinstance(resolve(matrix, alone, TODAY), NoFit)
            best = answer.alternatives[0]
            assert best.changes
            changed = {"cann": cann, "torch": torch, "python": python, "arch": arch, **best.changes}
            assert isinstance(resolve(matrix, Request(**changed), TODAY), Pick)


@pytest.mark.parametrize(
    "words",
    [{"cann": "7.0.RC1", "python": "3.8", "arch": "aarch64"}, {"torch": "2.0.1", "arch": "x86"},
     {"cann": "7.0.RC1", "python": "3.11"}, {"torch": "1.8.1"}, {"torch": "2.13.0"},
     {"python": "3.6", "cann": "4.0.0"}],
)  # fmt: skip
def test_text_says_what_json_says(matrix: Matrix, words: dict[str, str]) -> None:
    answer = ask(matrix, **words)
    data, text = to_json(answer), render_text(answer)
    assert json.loads(json.dumps(data)) == data
    for leaf in _sayable(data):
        assert leaf in text


def _sayable(data: dict[str, Any]) -> list[str]:
    if data["outcome"] == "pick":
        steps = data["steps"]
        said = [data["cell"][name] for name in ("branch", "cann", "torch", "adapter", "python", "arch")]
        said += [data["phase"]["stage"], *data["warnings"]]
        return said + [
            part for step in steps for part in (step["title"], *step["commands"], *step["fallback"])
        ]
    said = [one["reason"] for conflict in data["conflicts"] for one in conflict]
    return said + [value for one in data["alternatives"] for value in one["changes"].values()]


def test_a_pick_can_be_pasted_into_a_shell(matrix: Matrix) -> None:
    text = render_text(picked(matrix, cann="7.0.RC1", torch="2.0.1", python="3.8", arch="x86"))
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    assert all(line.startswith(("#", "pip3 ", "wget ", "source ")) for line in text.splitlines() if line)


def test_picking_imports_nothing_that_makes_wheels() -> None:
    code = (
        "import sys, wheelmill.pick;"
        "rooms = ('plan', 'build', 'audit', 'engines', 'toolchain', 'smoke', 'store', 'cli');"
        "print([m for m in sys.modules if m.startswith(tuple(f'wheelmill.{room}' for room in rooms))])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "[]"
