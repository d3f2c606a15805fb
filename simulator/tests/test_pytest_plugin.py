"""`pytest --cann-simulator` in a project that knows nothing of the simulator.

The project's tests call CANN by ctypes, so that each run takes no longer than pytest does. What a published
torch_npu makes of it is tested in tests/smoke.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "cann_simulator"
PLUGIN = ("-p", "cann_simulator.pytest_plugin")

CONFTEST = """
import ctypes, pytest

class Acl:
    def __init__(self):
        self.library, self.by_name = ctypes.CDLL("libascendcl.so"), ctypes.CDLL("libacl_op_compiler.so")
        assert self.library.aclInit(None) in (0, 100002)  # 100002: again
        assert self.library.aclrtSetDevice(0) == 0
    def devices(self):
        count = ctypes.c_uint32()
        assert self.library.aclrtGetDeviceCount(ctypes.byref(count)) == 0
        return count.value
    def allocate(self):
        pointer = ctypes.c_void_p()
        return self.library.aclrtMalloc(ctypes.byref(pointer), ctypes.c_size_t(512), 0)
    def ask_for_what_is_lacking(self):
        return self.by_name.aclopCompile(b"DynamicRNN")
    def race(self):
        stream, pointer = ctypes.c_void_p(), ctypes.c_void_p()
        assert self.library.aclrtMalloc(ctypes.byref(pointer), ctypes.c_size_t(512), 0) == 0
        size = ctypes.c_size_t(512)
        for _ in range(2):
            assert self.library.aclrtCreateStream(ctypes.byref(stream)) == 0
            assert self.library.aclrtMemsetAsync(pointer, size, 0, size, stream) == 0

@pytest.fixture(scope="session")
def acl():
    return Acl()
"""


@pytest.fixture(scope="module")
def packages(libraries, tmp_path_factory) -> Path:
    """Where the package lies as an installed wheel has it."""
    packages = tmp_path_factory.mktemp("packages")
    shutil.copytree(PACKAGE, packages / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__", "lib"))
    (packages / PACKAGE.name / "lib").symlink_to(libraries)
    return packages


@pytest.fixture
def run(packages, tmp_path):
    """Write tests into a project and run pytest there."""

    def run(tests: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "conftest.py").write_text(CONFTEST)
        (tmp_path / "test_it.py").write_text("import pytest\n" + tests)
        (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
        mine = ("CANN_", "ASCEND_", "LD_LIBRARY", "TASK_QUEUE", "PYTEST_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
        return subprocess.run(
            [sys.executable, "-m", "pytest", *PLUGIN, *words],
            cwd=tmp_path,
            env={**kept, "PYTHONPATH": str(packages), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


def counts(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """`{"passed": 2, "failed": 1}` from the last line."""
    last = done.stdout.strip().rsplit("\n", 1)[-1]
    assert " in " in last, done.stdout + done.stderr
    return {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", last.rsplit(" in ", 1)[0])}


DEVICES = "def test_devices(acl):\n    assert acl.devices() == 8\n"


def test_tests_run_on_what_was_asked_for(run):
    done = run(DEVICES, "--cann-simulator=devices=8,soc=310p3,memory=64m")
    assert counts(done) == {"passed": 1}
    assert re.search(r"^cann-simulator: 8 x Ascend310P3, 64M each, CANN ", done.stdout, re.MULTILINE)
    assert done.returncode == 0


def test_a_path_after_the_bare_option_is_a_path(run, tmp_path):
    done = run(
        "def test_devices(acl):\n    assert acl.devices() == 2\n",
        "--cann-simulator",
        "test_it.py::test_devices",
    )
    assert counts(done) == {"passed": 1}


def test_started_by_run_the_option_still_says_what_to_simulate(run, packages, libraries):
    """pytest is not started again there: what it prints before its header would come twice."""
    done = run(
        DEVICES, "--cann-simulator=devices=8", LD_LIBRARY_PATH=str(packages / "cann_simulator" / "lib")
    )
    assert counts(done) == {"passed": 1}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("devices=65", "devices: '65' is not a number from 1 to 64"),
        ("gpus=2", "'gpus=2' is not a setting; known are devices=..., memory=..."),
        ("fault=melt@1", "fault: 'melt@1' is not a fault; write oom@N"),
        ("check", "'check' is not a setting"),
        ("refusals=never", "refusals: 'never' is not one of report, ignore"),
    ],
)
def test_settings_that_make_no_sense_are_refused(run, settings, said):
    done = run(DEVICES, f"--cann-simulator={settings}")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_another_cann_is_refused(run):
    done = run(DEVICES, "--cann-simulator", ASCEND_HOME_PATH="/usr/local/Ascend/latest")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "another CANN is in this environment: ASCEND_HOME_PATH=/usr/local/Ascend/latest" in done.stderr


def test_the_plugin_alone_changes_nothing(run):
    done = run("def test_it(): pass\ndef test_fault(npu_fault): pass\n", "-rs")
    assert counts(done) == {"passed": 1, "skipped": 1}
    assert "npu_fault needs the simulator: pytest --cann-simulator" in done.stdout
    assert "cann-simulator:" not in done.stdout


LACKING = """
def test_passes_over_it(acl):
    assert acl.ask_for_what_is_lacking() != 0
def test_fails_of_it(acl):
    assert acl.ask_for_what_is_lacking() == 0
@pytest.mark.npu_refusals("ignore")
def test_means_it(acl):
    assert acl.ask_for_what_is_lacking() != 0
def test_has_nothing_to_do_with_it(acl):
    assert acl.devices() == 2
"""


def test_what_is_lacking_belongs_to_the_test_that_met_it(run, tmp_path):
    done = run(LACKING, "--cann-simulator", "--junitxml=report.xml")
    assert counts(done) == {"passed": 2, "failed": 2}
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "The test passed over what the simulator lacks" in done.stdout
    assert re.search(r"^3 tests met operator DynamicRNN: ", done.stdout, re.MULTILINE)
    cases = ElementTree.parse(tmp_path / "report.xml").iter("testcase")
    told = {case.get("name"): [one.get("value", "") for one in case.iter("property")] for case in cases}
    assert [name for name, values in told.items() if values] == [
        "test_passes_over_it", "test_fails_of_it", "test_means_it",
    ]  # fmt: skip
    assert all(values[0].startswith("operator DynamicRNN: ") for values in told.values() if values)


def test_all_tests_may_pass_over_what_is_lacking(run):
    done = run(LACKING, "--cann-simulator=refusals=ignore")
    assert counts(done) == {"passed": 3, "failed": 1}
    only = run(LACKING, "--cann-simulator=refusals=ignore", "-k", "passes_over")
    assert only.returncode == 0  # and not 67: the tests answered for it


def test_a_child_of_a_test_answers_for_itself(run):
    program = "import ctypes; ctypes.CDLL('libascendcl.so').aclInit(None); "
    program += "ctypes.CDLL('libacl_op_compiler.so').aclopCompile(b'DynamicRNN')"
    tests = f"import subprocess, sys\ndef test_it():\n    command = [sys.executable, '-c', {program!r}]\n"
    done = run(tests + "    assert subprocess.run(command).returncode == 67\n", "--cann-simulator")
    assert counts(done) == {"passed": 1}


FAULTS = """
def test_before(acl):
    assert acl.allocate() == 0
def test_by_fixture(acl, npu_fault):
    assert acl.allocate() == 0
    npu_fault("oom@2")
    assert [acl.allocate() == 0 for _ in range(3)] == [True, False, True]
    npu_fault("oom@1+")
    assert [acl.allocate() == 0 for _ in range(2)] == [False, False]
def test_after(acl):
    assert acl.allocate() == 0
@pytest.fixture
def memory(acl):
    assert acl.allocate() == 0
    yield
    assert acl.allocate() == 0
@pytest.mark.npu_fault("oom@1+")
def test_by_mark_but_not_its_fixtures(acl, memory):
    assert acl.allocate() != 0
def test_wrong(npu_fault):
    npu_fault("melt@1")
"""


def test_faults_come_when_they_are_asked_for_and_end_with_the_test(run):
    done = run(FAULTS, "--cann-simulator")
    assert counts(done) == {"passed": 4, "failed": 1}
    assert "'melt@1' is not a fault" in done.stdout


def test_faults_of_the_whole_run_come_back(run):
    done = run(FAULTS + "def test_whole_run(acl):\n    assert acl.allocate() != 0\n",
               "--cann-simulator=fault=oom@1+", "-k", "by_fixture or whole_run")  # fmt: skip
    assert counts(done) == {"failed": 1, "passed": 1, "deselected": 4}  # its first allocation fails already
    assert "FAILED test_it.py::test_by_fixture" in done.stdout


RACES = """
@pytest.mark.npu_check
def test_by_mark(acl):
    acl.race()
def test_by_fixture(acl, npu_check):
    acl.race()
def test_taken(acl, npu_check):
    acl.race()
    assert "race on device memory" in npu_check.found()[0]
def test_unchecked(acl):
    acl.race()
@pytest.mark.npu_check
def test_no_race(acl):
    assert acl.allocate() == 0
"""


def test_races_fail_the_test_that_asked(run):
    done = run(RACES, "--cann-simulator")
    assert counts(done) == {"passed": 4, "failed": 1, "error": 1}  # a fixture speaks when the test is over
    assert "FAILED test_it.py::test_by_mark" in done.stdout
    assert "ERROR test_it.py::test_by_fixture" in done.stdout


def test_too_few_devices_skip(run):
    tests = "@pytest.mark.npu_devices(4)\ndef test_it(acl):\n    assert acl.devices() >= 4\n"
    done = run(tests, "--cann-simulator", "-rs")
    assert counts(done) == {"skipped": 1}
    assert "needs 4 devices, 2 are simulated: pytest --cann-simulator=devices=4" in done.stdout
    assert counts(run(tests, "--cann-simulator=devices=4")) == {"passed": 1}
