"""The picker: what it installs, what it explains, and that every cell of the matrix is one or the other."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from wheelmill.catalogue.model import Catalogue, Record, Wheel
from wheelmill.matrix.versions import cann_key
from wheelmill.pick import (
    NoFit,
    Pick,
    PickError,
    Request,
    Shelf,
    answer,
    parse_request,
    render_text,
    resolve,
    to_json,
)
from wheelmill.pick.model import AXES, COSTS
from wheelmill.pick.site import record

from tests.pick.asking import CATALOGUE, MATRIX, SHELF, TODAY, ask, commands, picked, refused


def test_the_readme_cell_has_the_readme_commands() -> None:
    """AArch64, Python 3.8, torch 2.0.1: the example of the README, command by command."""
    pick = picked(torch="2.0.1", cann="7.0.RC1", python="3.8", arch="aarch64")
    wheel = "torch_npu-2.0.1-cp38-cp38-linux_aarch64.whl"
    assert commands(pick) == [
        "pip3 install torch==2.0.1",
        "pip3 install pyyaml",
        "pip3 install setuptools",
        "pip3 install 'numpy<2'",
        "pip3 install attrs pyyaml pathlib2 scipy requests psutil absl-py 'numpy>=1.19.2' 'decorator>=4.4.0' "
        "'sympy>=1.5.1' 'cffi>=1.12.3' 'protobuf>=3.13.0'",
        f"wget https://gitee.com/ascend/pytorch/releases/download/v5.0.rc3-pytorch2.0.1/{wheel}",
        f"pip3 install {wheel}",
        "source /usr/local/Ascend/ascend-toolkit/set_env.sh",
    ]


def test_what_the_toolkit_itself_needs_is_named_where_it_is_not_loaded() -> None:
    """Its Python packages import what nothing declares; operators of the chip are a package of their own."""
    words = {"cann": "9.2.0", "python": "3.12", "arch": "aarch64"}
    pick = picked(**words)
    assert "'sympy>=1.5.1' 'cffi>=1.12.3' protobuf" in pick.steps[1].commands[-1]
    assert pick.steps[-1].fallback == (
        "bash Ascend-cann-toolkit_9.2.0_linux-aarch64.run --install",
        "bash Ascend-cann-CHIP-ops_9.2.0_linux-aarch64.run --install",
    )
    old = picked(cann="8.2.RC1", python="3.11", arch="x86_64")
    assert "'numpy>=1.19.2,<=1.24'" in old.steps[1].commands[-1]
    assert old.steps[-1].fallback[1] == "bash Ascend-cann-kernels-CHIP_8.2.RC1_linux-x86_64.run --install"
    loaded = answer(SHELF, parse_request(**words), {"cann": "9.2.0"}, script="/opt/cann/set_env.sh")
    assert isinstance(loaded, Pick)
    assert loaded.steps[-1].fallback == ()
    assert loaded.steps[1] == pick.steps[1], "the Python packages are of an environment, not of a toolkit"


def test_x86_takes_torch_without_cuda() -> None:
    pick = picked(torch="2.0.1", cann="7.0.RC1", python="3.8", arch="x64")
    first = pick.steps[0]
    assert first.commands == (
        "pip3 install torch==2.0.1+cpu --index-url https://download.pytorch.org/whl/cpu",
    )
    (fallback,) = first.fallback
    assert "torch-2.0.1%2Bcpu-cp38-cp38-linux_x86_64.whl#sha256=8046f49d" in fallback
    assert fallback.startswith("pip3 install ")
    told = [line for line in render_text(pick, "uv").splitlines() if "8046f49d" in line]
    assert [line.split()[1:4] for line in told] == [["uv", "pip", "install"]], "uv's environments have no pip"


def test_newest_fitting_row_is_taken() -> None:
    pick = picked(cann="7.0.rc1", python="cp38", arch="arm64")
    assert pick.offer.key == "v2.1.0-5.0.rc3/3.8/aarch64"
    assert commands(pick)[-3].startswith("printf %s 'torch_npu==2.1.0rc1 --hash=sha256:")
    assert commands(pick)[-2] == "pip3 install --no-deps -r torch_npu.txt"


def test_published_rows_come_before_development() -> None:
    pick = picked()
    assert (pick.offer.how, pick.offer.branch) == ("index", "v2.10.0-26.2.0")
    pick = picked(branch="v2.13.0", python="3.11", arch="x86_64")
    assert "nox -s build-3.11-x86_64 -- --line v2.13.0" in commands(pick)
    assert any("is in development" in warning["en"] for warning in pick.warnings)


def test_a_row_with_no_published_wheel_is_built() -> None:
    pick = picked(branch="v2.0.1-5.0.0", python="3.9", arch="aarch64")
    assert "nox -s build-3.9-aarch64 -- --line v2.0.1-5.0.0" in commands(pick)


def test_end_of_life_is_said_with_day_and_successor() -> None:
    pick = picked(cann="7.0.RC1", python="3.10", arch="aarch64")
    assert pick.phase is not None
    assert pick.phase.stage == "eol"
    assert any(
        "end of life on 2025-01-15" in one["en"] and "torch_npu 2.10.0.post7" in one["en"]
        for one in pick.warnings
    )
    early = resolve(MATRIX, parse_request(cann="7.0.RC1", python="3.10", arch="aarch64"), date(2023, 12, 1))
    assert isinstance(early, Pick)
    assert not any("end of life" in one["en"] for one in early.warnings)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            {"cann": "7.0.RC1", "python": "3.10", "arch": "aarch64"},
            "2.10.0, CANN 9.2.0, for glibc 2.28 or newer.",
        ),
        ({"cann": "7.0.RC1", "python": "3.10", "arch": "aarch64", "glibc": "2.35"}, "2.10.0, CANN 9.2.0."),
        (
            {"cann": "8.0.0", "python": "3.11", "arch": "x86_64", "glibc": "2.17"},
            "2.6.0.post5 with torch 2.6.0, CANN 8.5.0.",
        ),
        (
            {"cann": "8.5.0", "adapter": "2.8.0.post2", "python": "3.12"},
            "torch_npu 2.9.0 with torch 2.9.0, CANN 8.5.0.",
        ),
    ],
)
def test_advice_at_the_end_of_life_sends_nobody_up_without_need(words: dict[str, str], said: str) -> None:
    """To the same CANN where that has a line with fixes; and it does not hide what a newer wheel needs."""
    pick = picked(**words)
    assert any(one["en"].endswith(said) for one in pick.warnings), pick.warnings


def test_no_advice_sends_up_to_a_cann_before_the_same_and_the_lower() -> None:
    seen = 0
    for offer in SHELF.offers:
        if offer.phase is None or offer.phase.stage not in ("unmaintained", "eol") or offer.cann is None:
            continue
        request = Request(adapter=offer.adapter, python=offer.python, arch=offer.arch, cann=offer.cann)
        pick = answer(SHELF, request, {})
        assert isinstance(pick, Pick)
        told = " ".join(one["en"] for one in pick.warnings)
        advised = re.search(r"Maintained for .*? CANN (\S+?)[.,]? ", f"{told} ")
        key = cann_key(offer.cann)
        there = {
            one.cann
            for one in SHELF.offers
            if (one.python, one.arch) == (offer.python, offer.arch) and one.cann is not None
            and one.phase is not None and one.phase.stage in ("development", "maintained")
            and "rc" not in one.adapter
        }  # fmt: skip
        near = {one for one in there if cann_key(one)[:2] == key[:2] or cann_key(one) < key}
        assert (advised is not None) == bool(there), told
        assert advised is None or not near or advised[1] in near, told
        seen += bool(near)
        assert "rc" not in told.partition("Maintained for")[2].partition("torch_npu ")[2].partition(" ")[0]
    assert seen > 10


TWO = {"adapter": "2.1.0", "python": "3.9", "arch": "x86_64"}


def test_of_two_wheels_for_one_cell_that_of_the_day_is_picked() -> None:
    """The index has two of 2.1.0 for this cell: the later one was not there before."""
    early, late = picked(**TWO, date="2023-06-01"), picked(**TWO)
    old, new = early.offer.wheel, late.offer.wheel
    assert old is not None
    assert new is not None
    assert (old.day, new.day) == ("2023-05-10", "2023-12-26")
    for pick, wheel in ((early, old), (late, new)):
        assert f"--hash=sha256:{wheel.sha256}" in commands(pick)[-3]
        assert to_json(pick)["cell"]["wheel"]["sha256"] == wheel.sha256
        assert pick.pins[-1].endswith(str(wheel.sha256))


def test_of_two_wheels_for_one_cell_one_fits_the_c_library() -> None:
    assert picked(**TWO, glibc="2.17").offer.glibc == "2.17"
    assert picked(**TWO, glibc="2.27", date="2023-06-01").offer.glibc == "2.27"
    assert isinstance(ask(**TWO, glibc="2.17", date="2023-06-01"), NoFit)


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [(">=3.10", False), (">=3.9.2", True), ("<3.9", False), ("", True), (">= snake", True)],
)
def test_a_wheel_is_offered_to_the_pythons_that_it_requires(asked: str, allowed: bool) -> None:
    """pip and uv refuse it for others, whatever its tags say; what they cannot read they pass over."""
    wheels = tuple(
        replace(one, requires_python=asked) if one.version == "2.8.0" else one for one in CATALOGUE.wheels
    )
    shelf = Shelf(MATRIX, Catalogue((Record("torch_npu", "index", "2026-11-28", wheels),)), TODAY)
    found = answer(shelf, parse_request(adapter="2.8.0", python="3.9", arch="aarch64"), {})
    assert isinstance(found, Pick) == allowed
    if isinstance(found, NoFit):
        assert f"says Requires-Python {asked}, so that pip and uv refuse it for Python 3.9" in render_text(
            found
        )


def test_chosen_axes_are_said() -> None:
    pick = picked(cann="8.0.0")
    assert set(AXES) - set(pick.free) == {"cann"}
    assert "# Not asked for, so chosen: Python 3.11, architecture aarch64" in render_text(pick)


@pytest.mark.parametrize(
    "words",
    [
        {"adapter": "2.1.0.rc1"}, {"adapter": "2.1.0RC1"}, {"torch": "2.1.0+cpu", "cann": "CANN 7.0.rc1"},
        {"branch": "v2.1.0-5.0.rc3"}, {"torch": "2.1", "cann": "7.0.RC1"},
    ],
)  # fmt: skip
def test_spellings_find_the_same_row(words: dict[str, str]) -> None:
    assert picked(**words).offer.branch == "v2.1.0-5.0.rc3"


def kinds(nofit: NoFit) -> list[dict[str, str]]:
    return [{one.axis: one.kind for one in conflict.blockers} for conflict in nofit.conflicts]


def test_only_the_axes_that_block_are_named() -> None:
    """The architecture is asked for too, but is not to blame."""
    nofit = refused(cann="7.0.RC1", python="3.11", arch="aarch64")
    assert kinds(nofit) == [{"python": "never built", "cann": "elsewhere"}]
    text = render_text(nofit)
    assert "with CANN 7.0.RC1 there is Python 3.7, 3.8, 3.9, 3.10" in text
    assert "Python 3.11 began with torch_npu 2.1.0.post8" in text


def test_dropped_python_says_where_it_ended() -> None:
    nofit = refused(python="3.8", torch="2.9.0")
    assert kinds(nofit) == [{"python": "dropped", "torch": "elsewhere"}]
    assert "Python 3.8 ended with torch_npu 2.4.0.post4" in render_text(nofit)


def test_record_says_why_it_cannot_be_had() -> None:
    nofit = refused(torch="1.8.1", cann="5.1.RC2")
    assert kinds(nofit) == [{"torch": "record only"}, {"cann": "record only"}]
    assert "PyTorch 1.8.1 is from the beginning of the plug-in interface" in render_text(nofit)


def test_misprinted_version_is_recognised() -> None:
    text = render_text(refused(adapter="2.1.0.post4"))
    assert "it was published for v2.1.0-6.0.rc1, which has torch_npu 2.1.0.post3" in text


def test_each_unknown_value_is_a_conflict_of_its_own() -> None:
    nofit = refused(python="3.6", cann="4.0.0", arch="arm64")
    assert kinds(nofit) == [{"python": "never built"}, {"cann": "no document"}]


def test_nearest_alternatives_come_first() -> None:
    """A cheap axis before a dear one, a near value before a far one."""
    nofit = refused(cann="7.0.RC1", python="3.11", arch="aarch64")
    costs = [one.cost for one in nofit.alternatives]
    assert costs == sorted(costs)
    assert nofit.alternatives[0].changes == {"python": "3.10"}
    assert {"cann": "8.0.RC3"} in [dict(one.changes) for one in nofit.alternatives]
    assert COSTS["adapter"] < COSTS["python"] < COSTS["cann"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"python": "snake"}, "Python: 'snake' is not a Python version"),
        *(
            ({"python": one}, f"Python: no wheel is for '{one}'; the wheels are for CPython with its")
            for one in ("3.13t", "cp313t", "3.13.1t", "PyPy 3.10", "pypy3.10", "pp310", "GraalVM 3.11")
        ),
        ({"arch": "riscv64"}, "architecture: no wheel is for 'riscv64'; there are wheels for aarch64"),
        (
            {"arch": "armv7l"},
            "architecture: 'armv7l' has 32 bits; there are wheels for 64 bits only: aarch64",
        ),
        ({"arch": "x86"}, "architecture: 'x86' has 32 bits; there are wheels for 64 bits only: aarch64"),
        ({"cann": "seven"}, "CANN: 'seven' is not a CANN version; one looks like 7.0.RC1"),
        ({"adapter": "1.11.0.rc2（beta)"}, "torch_npu: '1.11.0.rc2（beta)' is not a PEP 440 version"),
        ({"torch": ""}, "torch: '' is not a PEP 440 version"),
    ],
)
def test_unreadable_words_name_their_axis(words: dict[str, str], says: str) -> None:
    with pytest.raises(PickError) as caught:
        parse_request(**words)
    assert caught.value.message.startswith(says)


@pytest.mark.parametrize(
    "words",
    [{"cann": "7.0.RC1", "python": "3.8", "arch": "aarch64"}, {"torch": "2.0.1", "arch": "x64"},
     {"cann": "7.0.RC1", "python": "3.11"}, {"torch": "1.8.1"}, {"torch": "2.13.0"},
     {"python": "3.6", "cann": "4.0.0"}],
)  # fmt: skip
def test_text_says_what_json_says(words: dict[str, str]) -> None:
    answer = ask(**words)
    data, text = to_json(answer), render_text(answer)
    assert json.loads(json.dumps(data)) == data
    for leaf in _sayable(data):
        assert leaf in text


def _sayable(data: dict[str, Any]) -> list[str]:
    if data["outcome"] == "pick":
        steps = data["steps"]
        said = [data["cell"][name] for name in ("branch", "cann", "torch", "adapter", "python", "arch")]
        said += [data["phase"]["stage"], *data["warnings"], *data["notes"]]
        return said + [
            part for step in steps for part in (step["title"], *step["commands"], *step["fallback"])
        ]
    said = [one["reason"] for conflict in data["conflicts"] for one in conflict]
    return said + [value for one in data["alternatives"] for value in one["changes"].values()]


def test_a_pick_can_be_pasted_into_a_shell() -> None:
    text = render_text(picked(cann="7.0.RC1", torch="2.0.1", python="3.8", arch="x64"))
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    starts = ("#", "pip3 ", "printf ", "wget ", "source ")
    assert all(line.startswith(starts) for line in text.splitlines() if line)


def test_picking_imports_nothing_that_makes_wheels() -> None:
    code = (
        "import sys, wheelmill.pick;"
        "rooms = ('make', 'prove', 'publish', 'store', 'wheel', 'cli');"
        "print([m for m in sys.modules if m.startswith(tuple(f'wheelmill.{room}' for room in rooms))])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "[]"


# --------------------------------------------------------------------------------- one build, several torches
def shelf_with(*proven: str, wheels: tuple[Wheel, ...] = ()) -> Shelf:
    """The project's own matrix, in which the build for torch 2.13.0 is proven with these."""
    torch = replace(MATRIX.torches["2.13.0"], serves=("2.14.0", "2.14.1"), proven=proven)
    lines = tuple(
        replace(line, torch=torch) if line.torch.version == "2.13.0" else line for line in MATRIX.lines
    )
    own = Record("torch_npu", "releases", "2026-11-28", wheels)
    catalogue = replace(CATALOGUE, records=(*CATALOGUE.records, own))
    return Shelf(replace(MATRIX, lines=lines, torches={**MATRIX.torches, "2.13.0": torch}), catalogue, TODAY)


def test_a_torch_that_is_proven_with_a_build_has_its_wheel() -> None:
    pick = answer(shelf_with("2.14.1"), parse_request(torch="2.14.1", python="3.11", arch="x86_64"), {})
    assert isinstance(pick, Pick)
    assert pick.offer.key == "v2.13.0/3.11/x86_64"
    assert (pick.offer.torch, pick.offer.built_for) == ("2.14.1", "2.13.0")
    assert "for torch 2.14.1 (built for 2.13.0, proven with 2.14.1)" in render_text(pick)
    cell = to_json(pick)["cell"]
    assert (cell["torch"], cell["built_for"]) == ("2.14.1", "2.13.0")
    assert commands(pick)[0].startswith("pip3 install torch==2.14.1+cpu ")
    assert "nox -s build-3.11-x86_64 -- --line v2.13.0" in commands(pick)


def test_a_torch_that_is_served_and_not_proven_has_none() -> None:
    assert isinstance(answer(shelf_with(), parse_request(torch="2.14.1"), {}), NoFit)
    assert isinstance(answer(shelf_with("2.14.0"), parse_request(torch="2.14.1"), {}), NoFit)


def test_the_torch_that_a_wheel_was_built_for_comes_first() -> None:
    for shelf in (shelf_with(), shelf_with("2.14.0", "2.14.1")):
        pick = answer(shelf, parse_request(branch="v2.13.0"), {})
        assert isinstance(pick, Pick)
        assert (pick.offer.torch, pick.offer.built_for) == ("2.13.0", None)
    published = answer(shelf_with("2.14.0"), parse_request(torch="2.14.0"), {})
    assert isinstance(published, Pick)
    assert (published.offer.adapter, published.offer.built_for) == ("2.14.0", None)


@pytest.mark.parametrize(
    ("pin", "torches"),
    [("torch==2.13.0", {"2.13.0"}), ("torch>=2.13.0,<=2.14.1,!=2.14.0", {"2.13.0", "2.14.1"})],
)
def test_a_released_wheel_has_the_torches_that_its_metadata_allow(pin: str, torches: set[str]) -> None:
    """And no wheel of the publisher has any: what is proven is this project's build."""
    file = "torch_npu-2.13.0.dev0-cp311-cp311-manylinux_2_28_x86_64.whl"
    wheel = Wheel(file, requires=(pin,), requires_python="", yanked=False, source="releases")
    shelf = shelf_with("2.14.1", wheels=(wheel,))
    assert {one.torch for one in shelf.offers if one.wheel is not None and one.wheel.file == file} == torches
    of_others = [one for one in shelf.offers if one.wheel is not None and one.wheel.source == "index"]
    assert len(of_others) > 400
    assert {one.built_for for one in of_others} == {None}


def test_the_site_has_a_version_once_and_tells_what_it_is_proven_with() -> None:
    found = [one for one in record.versions(shelf_with("2.14.1")) if one["branch"] == "v2.13.0"]
    assert [(one["torch"], one["proven"]) for one in found] == [("2.13.0", ["2.14.1"])]
    rows = record.picker(shelf_with("2.14.1"))
    at = {name: place for place, name in enumerate(rows["columns"])}
    named = rows["axes"]["torch"]
    proven = [row for row in rows["offers"] if row[at["built_for"]] == "2.13.0"]
    assert proven
    assert {named[row[at["torch"]]] for row in proven} == {"2.14.1"}
