"""The command line and set_env.sh: a program finds the simulator as it finds CANN, or is told why not."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "cann_simulator"
SHELLS = [name for name in ("bash", "dash", "zsh") if shutil.which(name)]


def environment(**more: str) -> dict[str, str]:
    names = ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME", "LD_LIBRARY_PATH", "ASCEND_RT_VISIBLE_DEVICES")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    return {**{name: value for name, value in kept.items() if not name.startswith("CANN_SIMULATOR_")}, **more}


def command(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cann_simulator", *arguments],
        env=environment(PYTHONPATH=str(home.parent), **more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def source(shell: str, home: Path, then: str, **more: str) -> subprocess.CompletedProcess[str]:
    script = f'. "{home}/set_env.sh"; {then}'
    return subprocess.run(
        [shell, "-c", script],
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


COUNT = (
    "import ctypes; l = ctypes.CDLL('libascendcl.so'); n = ctypes.c_uint32(); "
    "l.aclrtGetDeviceCount(ctypes.byref(n)); "
    "l.aclrtGetSocName.restype = l.cann_simulator_version.restype = ctypes.c_char_p; "
    "print(n.value, l.aclrtGetSocName().decode(), l.cann_simulator_version().decode())"
)


def test_run_starts_a_program_that_finds_the_simulator(home):
    done = command(home, "run", "--", sys.executable, "-c", COUNT)
    assert done.stdout == "2 Ascend910B1 9.1.0\n"


def test_run_simulates_what_is_asked_for(home):
    options = ("--devices", "5", "--soc", "310p3", "--cann", "7.0.RC1", "--memory", "64m")
    done = command(home, "run", *options, "--", sys.executable, "-c", COUNT)
    assert done.stdout == "5 Ascend310P3 7.0.RC1\n"


def test_run_passes_faults_and_checks_on(home):
    show = "import os; print(os.environ['CANN_SIMULATOR_FAULT'], os.environ['CANN_SIMULATOR_CHECK'])"
    faults = ("--fault", "oom@3", "--fault", "copy=100M")
    done = command(home, "run", *faults, "--check", "--", sys.executable, "-c", show)
    assert done.stdout == "oom@3,copy=100M report\n"
    done = command(home, "env", *faults, "--check", "error", "--devices", "4")
    assert "export CANN_SIMULATOR_FAULT=oom@3,copy=100M\n" in done.stdout
    assert "export CANN_SIMULATOR_CHECK=error\n" in done.stdout
    assert "export CANN_SIMULATOR_DEVICES=4\n" in done.stdout


PASSED_OVER = """
import ctypes, os, sys
acl, by_name = ctypes.CDLL("libascendcl.so"), ctypes.CDLL("libacl_op_compiler.so")
assert acl.aclInit(None) == 0
assert by_name.aclopCompile(b"DynamicRNN") != 0
sys.exit(int(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("options", "own", "code"),
    [((), 0, 67), (("--refusals", "report"), 0, 67), (("--refusals", "ignore"), 0, 0), ((), 37, 37)],
)
def test_a_program_that_passed_over_a_refusal_does_not_end_well(home, options, own, code):
    done = command(home, "run", *options, "--", sys.executable, "-c", PASSED_OVER, str(own))
    assert done.returncode == code
    told = "refused, with how often: operator DynamicRNN (1)" in done.stderr
    assert told == ("ignore" not in options)
    printed = command(home, "env", *options).stdout
    assert ("export CANN_SIMULATOR_REFUSALS=ignore\n" in printed) == ("ignore" in options)


def test_what_a_child_passed_over_is_its_own_exit_code(home):
    start = "import subprocess, sys; print(subprocess.run([sys.executable, '-c', *sys.argv[1:]]).returncode)"
    done = command(home, "run", "--", sys.executable, "-c", start, PASSED_OVER, "0")
    assert done.stdout == "67\n"
    assert done.returncode == 0


@contextlib.contextmanager
def installed(home, torch, requires):
    """The simulator's package with this requirement, beside this torch."""
    for name, version, more in (
        ("cann_simulator", "9.9.9", f"Requires-Dist: {requires}\n"),
        ("torch", torch, ""),
    ):
        facts = home.parent / f"{name}-{version}.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}")
    try:
        yield
    finally:
        for name, version in (("cann_simulator", "9.9.9"), ("torch", torch)):
            shutil.rmtree(home.parent / f"{name}-{version}.dist-info")


RANGE = "torch>=9.9.9,<=9.11.1,!=9.10.0"


@pytest.mark.parametrize(
    ("torch", "fits"),
    [("9.9.9", True), ("9.11.1+cpu", True), ("9.9.8", False), ("9.10.0", False), ("9.12.0", False)],
)
def test_a_torch_that_the_wheel_asks_for_is_served(home, torch, fits):
    with installed(home, torch, RANGE):
        done = command(home, "env")
    assert (done.returncode == 0) == fits, done.stderr
    assert fits or "built for torch 9.9.9, installed is torch " in done.stderr


def test_another_torch_is_refused_before_anything_loads(home):
    with installed(home, "9.9.8", "torch==9.9.9"):
        for words in (("run", "--", sys.executable, "-c", "print('started')"), ("env",)):
            done = command(home, *words)
            assert done.returncode == 1
            assert done.stdout == ""
            assert "built for torch 9.9.9, installed is torch 9.9.8" in done.stderr
            assert "take the simulator for torch 9.9.8, or install torch==9.9.9" in done.stderr


SLOW_COPY = """
import ctypes
acl = ctypes.CDLL("libascendcl.so")
assert acl.aclInit(None) == 0 and acl.aclrtSetDevice(0) == 0
memory = ctypes.c_void_p()
assert acl.aclrtMalloc(ctypes.byref(memory), ctypes.c_size_t(200), 0) == 0
host = ctypes.create_string_buffer(200)
print("copying", flush=True)
assert acl.aclrtMemcpyAsync(memory, ctypes.c_size_t(200), host, ctypes.c_size_t(200), 1, None) == 0
assert acl.aclrtSynchronizeStream(None) == 0
for _ in range(10**9):  # Python sees a signal between two of its steps
    pass
"""


def test_an_interrupt_in_a_task_ends_the_program_cleanly(home):
    words = ("run", "--fault", "copy=100", "--", sys.executable, "-c", SLOW_COPY)
    program = subprocess.Popen(
        [sys.executable, "-m", "cann_simulator", *words],
        env=environment(PYTHONPATH=str(home.parent)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "copying\n"
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=60)
    assert program.returncode == -signal.SIGINT
    assert errors.rstrip().endswith("KeyboardInterrupt")


def test_run_gives_the_programs_own_exit_code(home):
    assert command(home, "run", "--", sys.executable, "-c", "raise SystemExit(37)").returncode == 37
    missing = command(home, "run", "--", "no-such-program")
    assert missing.returncode == 127
    assert "no-such-program" in missing.stderr


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--devices", "0", "from 1 to 64"),
        ("--devices", "²", "from 1 to 64"),
        ("--memory", "lots", "from 1M to 1T"),
        ("--memory", "2T", "from 1M to 1T"),
        ("--soc", "H100", "310P3"),
        ("--cann", "latest", "7.0.RC1"),
        ("--fault", "oom@0", "oom@N"),
        ("--fault", "copy=fast", "copy=100M"),
        ("--check", "yes", "report"),
        ("--refusals", "forgive", "ignore"),
    ],
)
def test_options_that_make_no_sense_are_refused(home, option, value, named):
    done = command(home, "run", option, value, "--", "true")
    assert done.returncode == 2
    assert repr(value) in done.stderr
    assert named in done.stderr


def test_env_prints_what_set_env_sets(home):
    printed = command(home, "env", LD_LIBRARY_PATH="/first:/second").stdout
    names = ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME", "ASCEND_OPP_PATH", "LD_LIBRARY_PATH", "PATH")
    shown = "".join(f"echo ${name}; " for name in names)
    evaluated = subprocess.run(
        ["bash", "-c", f"{printed}{shown}"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    sourced = source("bash", home, shown, LD_LIBRARY_PATH="/first:/second")
    folders = f"{home}\n{home}\n{home}/opp\n{home}/lib:/first:/second\n"
    assert evaluated.stdout == sourced.stdout == f"{folders}{home}/tools/profiler/bin:{os.environ['PATH']}\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_set_env_works_in_every_shell_and_twice(home, shell):
    again = f'. "{home}/set_env.sh"; echo "$LD_LIBRARY_PATH"; echo "$PATH"; set | grep -c "^_cann_simulator"'
    done = source(shell, home, again, LD_LIBRARY_PATH="/first", PATH=os.environ["PATH"])
    commands = f"{home}/tools/profiler/bin:{os.environ['PATH']}"
    assert done.stdout == f"{home}/lib:/first\n{commands}\n0\n"  # no second entry, and nothing left behind
    assert done.stderr == ""


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("where", ["ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME", "LD_LIBRARY_PATH"])
def test_another_cann_is_refused_and_both_are_named(home, tmp_path, shell, where):
    (tmp_path / "libascendcl.so").touch()
    other = {where: str(tmp_path)}
    sourced = source(shell, home, 'echo "$? $LD_LIBRARY_PATH"', **other)
    assert sourced.stdout == f"1 {other.get('LD_LIBRARY_PATH', '')}\n"
    for done in (sourced, command(home, "env", **other), command(home, "run", "--", "true", **other)):
        assert str(tmp_path) in done.stderr
        assert str(home) in done.stderr
    assert command(home, "env", **other).stdout == ""
    assert command(home, "run", "--", "true", **other).returncode == 1


def test_a_source_tree_without_libraries_says_so():
    done = command(SOURCE, "env", PYTHONSAFEPATH="1")
    assert done.returncode == 1
    assert "no libascendcl.so" in done.stderr


def test_info_lists_the_operators(home):
    facts = json.loads(command(home, "info", "--json", CANN_SIMULATOR_SOC="Ascend910A").stdout)
    assert {"aclnnMm", "aclnnConvolution"} <= set(facts["operators"])
    assert facts["simulates"] == {"devices": "2", "memory": "2G", "soc": "Ascend910A", "cann": "9.1.0"}
    assert facts["active"] is False
    assert command(home, "info").stdout.startswith(f"home          {home}\n")
