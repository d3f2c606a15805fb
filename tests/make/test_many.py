"""Many cells by the command line: planned first, bundles side by side, nothing good lost, nothing left."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import pytest
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.make.toolchain.sdk import running_python

from tests.make.conftest import LINE, Checkout
from tests.make.test_build import alive

# The line has cells of both architectures.
pytestmark = pytest.mark.usefixtures("cross_compiler")

BUILD = ("build", "--line", LINE, "--no-smoke")
BOTH = ("aarch64", "x86_64")
KEYS = [f"{LINE}/{python}/{arch}" for python in ("3.8", "3.9", "3.10") for arch in BOTH]


def break_for(checkout: Checkout, arch: str) -> None:
    """The adapter does not compile for this arch."""
    source = checkout.adapter / "core" / "opapi.cpp"
    source.write_text(source.read_text() + f"#ifdef __{arch}__\n#error no {arch} here\n#endif\n")


def test_a_line_is_planned_told_and_built_and_then_known(checkout: Checkout) -> None:
    done = checkout.run(*BUILD)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(
        "6 wanted, 0 cached, 6 to build, 0 refused\n"
        f"  compile torch-2.1.0-aarch64 for {LINE} (3.8 3.9 3.10)\n"
        f"  compile torch-2.1.0-x86_64 for {LINE} (3.8 3.9 3.10)\n"
    )
    assert "6 good" in done.stdout
    again = json.loads(checkout.run(*BUILD, "--json").stdout)
    assert [(cell["cell"], cell["cached"]) for cell in again["cells"]] == [(key, True) for key in KEYS]
    audited = {cell[kind] for cell in again["cells"] for kind in ("wheel", "simulator")}
    assert {str(path) for path in checkout.home.glob(f"wheels/{LINE}/*.whl")} == audited
    assert again["counts"] == {"wanted": 6, "cached": 6, "to build": 0, "refused": 0}
    assert len(list(checkout.home.glob("logs/torch-2.1.0-*.log"))) == 2


def test_two_bundles_share_the_compilers(checkout: Checkout) -> None:
    checkout.make_slow()
    process = checkout.start(*BUILD, "--jobs", "6")
    checkout.steps(*BOTH)  # both are there at once, or this does not end
    checkout.let_go()
    process.communicate(timeout=300)
    assert process.returncode == 0
    for log in checkout.home.glob("logs/*.log"):
        assert "--parallel 3\n" in log.read_text()


def test_one_compiler_s_memory_makes_it_one_bundle_after_the_other(checkout: Checkout) -> None:
    done = checkout.run(*BUILD, "--memory", "2G", "--cpus", "8")
    assert done.returncode == 0, done.stderr
    for log in checkout.home.glob("logs/*.log"):
        assert "--parallel 1\n" in log.read_text()


def test_the_first_failure_ends_the_other_bundles_too(checkout: Checkout) -> None:
    checkout.make_slow(failing="x86_64")
    process = checkout.start(*BUILD, "--jobs", "2")
    step = checkout.steps("aarch64")["aarch64"]
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "no x86_64 here" in err
    assert f"full log: {checkout.home}/logs/torch-2.1.0-x86_64-" in err
    assert not alive(str(step))
    assert list(checkout.home.glob("*/*/*.whl")) == []


def test_keep_going_makes_what_can_be_made_and_tells_all_failures(checkout: Checkout) -> None:
    break_for(checkout, "x86_64")
    done = checkout.run(*BUILD, "--keep-going")
    assert done.returncode == 1
    assert "3 good, 3 failed" in done.stdout
    assert done.stderr.count("no x86_64 here") == 1, "the reason that three cells share is told once"
    assert f"failed: {', '.join(key for key in KEYS if 'x86_64' in key)}" in done.stderr
    assert "full log: " in done.stderr
    told = json.loads(checkout.run(*BUILD, "--keep-going", "--json").stdout)
    assert [cell["cell"] for cell in told["cells"]] == [key for key in KEYS if "aarch64" in key]
    assert [(cell["cell"], cell["phase"]) for cell in told["failed"]] == [
        (key, "compile") for key in KEYS if "x86_64" in key
    ]
    index = checkout.home / "index" / "simple" / "torch-npu" / "index.html"
    assert index.read_text().count("aarch64.whl</a>") == 3


def test_a_torch_that_no_source_has_is_the_failure_of_its_own_cells(checkout: Checkout) -> None:
    for wheel in checkout.links.glob("*_aarch64.whl"):
        wheel.unlink()
    done = checkout.run(*BUILD, "--keep-going", "--json")
    told = json.loads(done.stdout)
    assert [(cell["cell"], cell["phase"]) for cell in told["failed"]] == [
        (key, "sdk") for key in KEYS if "aarch64" in key
    ]
    assert "no source has torch 2.1.0" in told["failed"][0]["message"]
    assert [cell["cell"] for cell in told["cells"]] == [key for key in KEYS if "x86_64" in key]


def test_keep_going_tells_refused_cells_among_the_failures(checkout: Checkout) -> None:
    words = (*BUILD, "--engine", "host", "--keep-going", "--json")
    done = checkout.run(*words, WHEELMILL_CXX_AARCH64="no-such-compiler")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert {cell["phase"] for cell in told["failed"]} == {"plan"}
    assert {cell["cell"].split("/")[2] for cell in told["failed"]} == {"aarch64"}
    assert {cell["cell"].split("/")[2] for cell in told["cells"]} == {"x86_64"}


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_all_compilers_end_and_one_line_is_said(checkout: Checkout, sign: signal.Signals) -> None:
    checkout.make_slow()
    process = checkout.start(*BUILD, "-q", "--jobs", "2")
    steps = checkout.steps(*BOTH)
    process.send_signal(sign)
    process.send_signal(sign)  # who is impatient does not get less
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip() == "interrupted; finished work is kept; run the same command again to continue"
    assert not [arch for arch, step in steps.items() if alive(str(step))]


def test_who_waits_for_another_build_can_be_interrupted_and_the_other_goes_on(checkout: Checkout) -> None:
    checkout.make_slow()
    first = checkout.start(*BUILD, "--jobs", "2")
    checkout.steps(*BOTH)
    second = checkout.start(*BUILD, "--jobs", "2")
    time.sleep(5)  # until it waits for the locks of the bundles
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=15)
    assert second.returncode == 130
    checkout.let_go()
    first.communicate(timeout=300)
    assert first.returncode == 0


def test_killed_it_goes_on_and_what_was_finished_stays(checkout: Checkout) -> None:
    checkout.make_slow()
    process = checkout.start(*BUILD, "--jobs", "1")  # one bundle after the other
    checkout.steps("aarch64")
    checkout.let_go()
    _until_recorded(checkout, "bundle")
    process.kill()
    process.communicate()
    done = checkout.run(*BUILD)
    assert done.returncode == 0, done.stderr
    assert "torch-2.1.0-aarch64" not in "".join(
        line for line in done.stderr.splitlines() if line.startswith("  compile")
    )
    assert "6 good" in done.stdout


def _until_recorded(checkout: Checkout, kind: str) -> None:
    journal: Path = checkout.home / "journal.jsonl"
    end = time.monotonic() + 120
    while not journal.is_file() or f'"kind":"{kind}"' not in journal.read_text():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_killed_at_any_moment_it_ends_in_whole_wheels(checkout: Checkout) -> None:
    for delay in (1.0, 2.0, 3.0, 4.0):
        process = checkout.start(*BUILD)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(delay)
        process.kill()
        process.communicate()
        for wheel in (*checkout.home.glob("assembled/*/*.whl"), *checkout.home.glob("wheels/*/*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                assert archive.testzip() is None
    done = checkout.run(*BUILD)
    assert (done.returncode, "6 good" in done.stdout) == (0, True), done.stderr


def test_a_wheel_that_does_not_run_is_one_cell_s_failure(checkout: Checkout) -> None:
    mine = f"v2.1.0-7.2.0/{running_python()}/{host_arch()}"
    other = f"{LINE}/3.8/{'aarch64' if host_arch() == 'x86_64' else 'x86_64'}"
    # There is no torch to install: no index may be asked.
    done = checkout.run("build", mine, other, "--keep-going", "--json", PIP_NO_INDEX="1")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert [(cell["cell"], cell["not_run"] is not None) for cell in told["cells"]] == [(other, True)]
    (failed,) = told["failed"]
    assert (failed["cell"], failed["phase"]) == (mine, "smoke")
    log = re.search(r"All of its output: (.*)", failed["hint"])
    assert log is not None
    assert "torch" in Path(log[1]).read_text()
    assert list(checkout.home.glob(f"wheels/v2.1.0-7.2.0/torch_npu-*{host_arch()}.whl")), "the wheel stays"


def test_cells_are_named_with_their_line_too(checkout: Checkout) -> None:
    told = json.loads(checkout.run("plan", f"{LINE}/3.9/aarch64", "3.8-x86_64", "--json").stdout)
    named = [cell["cell"] for bundle in told["bundles"] for cell in bundle["cells"]]
    assert named[0] == f"{LINE}/3.9/aarch64"
    assert named[1].endswith("/3.8/x86_64")
