"""A cell becomes a wheel that pip installs; a second, interrupted or parallel build costs nothing extra."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from email.parser import Parser
from pathlib import Path

import pytest
import wheelmill
from wheelmill.make.build import BuildError, Workshop, build, make_plan
from wheelmill.make.engines import EngineError
from wheelmill.make.engines.host import HostEngine
from wheelmill.make.toolchain.sdk import running_python
from wheelmill.matrix import Cell, Line
from wheelmill.matrix.own import own_packages
from wheelmill.store import Store

from tests.make.conftest import SOURCES, alive
from tests.needs import need_program

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = Path(__file__).parents[2]


def cells_of(workshop: Workshop, arch: str, *pythons: str) -> list[Cell]:
    return [Cell(workshop.lines[0], python, arch) for python in pythons]


def interpreters() -> dict[str, str]:
    """Pythons that really run here, by minor version; always the running one."""
    found = {running_python(): sys.executable}
    for minor in range(8, 15):
        path = shutil.which(f"python3.{minor}")
        if path is None:
            continue
        done = subprocess.run([path, "-m", "venv", "--help"], capture_output=True, check=False)
        if done.returncode == 0:  # version managers leave names on PATH that answer only sometimes
            found.setdefault(f"3.{minor}", path)
    return found


def pip_install(python: str, wheel: Path, folder: Path) -> None:
    """Install without dependencies and let pip check that what is installed is what RECORD says."""
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    command = [folder / "bin/python", "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run(command, check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})


# Calls into the installed native file.
CALL = """
import ctypes, os, torch_npu
print(ctypes.CDLL(os.path.dirname(torch_npu.__file__) + "/lib/libtorch_npu.so").torch_npu())
"""


def output(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_two_pythons_from_one_bundle_install_with_pip(workshop: Workshop, arch: str, tmp_path: Path) -> None:
    pythons = interpreters()
    other = next((python for python in workshop.lines[0].pythons if python not in pythons), "3.8")
    wanted = [running_python(), other]
    built = build(cells_of(workshop, arch, *wanted), workshop)
    assert len(list(workshop.store.records("bundle"))) == 1
    for wheel in built:
        tag = wheel.cell.python_tag
        assert wheel.wheel.path.name == f"torch_npu-9.1.0rc1-{tag}-{tag}-linux_{arch}.whl"
        if wheel.cell.python in pythons:
            folder = tmp_path / wheel.cell.python
            pip_install(pythons[wheel.cell.python], wheel.wheel.path, folder)
            assert output(folder / "bin/python", "-c", CALL) == "9\n"
    simulator = built[0].simulator
    assert simulator.file == f"cann_simulator-9.1.0-py3-none-linux_{arch}.whl"
    pip_install(sys.executable, simulator.path, tmp_path / "simulator")
    assert output(tmp_path / "simulator/bin/cann-simulator") == "simulated\n"


def test_the_wheel_says_what_it_is_and_what_it_was_made_from(workshop: Workshop, arch: str) -> None:
    (built,) = build(cells_of(workshop, arch, "3.8"), workshop)
    info = "torch_npu-9.1.0rc1.dist-info"
    with zipfile.ZipFile(built.wheel.path) as wheel:
        text = {name: wheel.read(name).decode() for name in wheel.namelist() if not name.endswith(".so")}
    headers = Parser().parsestr(text[f"{info}/METADATA"])
    assert headers.get_all("Requires-Dist") == ["torch==9.1.0"]
    assert headers["Requires-Python"] == ">=3.8"
    assert headers["License-Expression"] == "BSD-3-Clause"
    assert "Programming Language :: Python :: 3.8" in headers.get_all("Classifier", [])
    assert headers.get_payload() == "# The adapter\n"
    assert text[f"{info}/entry_points.txt"] == "[torch.backends]\ntorch_npu = torch_npu:_autoload\n"
    assert text[f"{info}/licenses/LICENSE"] == "BSD-3-Clause, in full\n"
    assert json.loads(text["torch_npu/_row.json"]) == {
        "schema": 1,
        "branch": "v9.1.0",
        "cann": "9.9.0",
        "torch": "9.1.0",
        "serves": [],
        "proven": [],
        "adapter": "9.1.0rc1",
        "python": "3.8",
        "arch": arch,
        "recipe": built.wheel.key,
    }
    (row,) = json.loads(text["torch_npu/_rows.json"])
    assert (row["branch"], row["cann"], row["adapter"]) == ("v9.1.0", "9.9.0", "9.1.0rc1")
    assert json.loads(text[f"{info}/recipe.json"])["bundle"]["key"] == built.bundle


def test_a_second_build_does_nothing_and_a_python_change_only_assembles(
    workshop: Workshop, arch: str, adapter: Path
) -> None:
    cells = cells_of(workshop, arch, "3.8", "3.11")
    first = build(cells, workshop)
    assert [wheel.cached for wheel in first] == [False, False]
    lines = len((workshop.store.root / "journal.jsonl").read_text().splitlines())
    again = build(cells, replace(workshop, store=Store(workshop.store.root)))
    assert [wheel.cached for wheel in again] == [True, True]
    assert [wheel.wheel.digest for wheel in again] == [wheel.wheel.digest for wheel in first]
    assert len((workshop.store.root / "journal.jsonl").read_text().splitlines()) == lines
    (adapter / "src/torch_npu/__init__.py").write_text("def _autoload():\n    return 1\n")
    third = build(cells, workshop)
    assert [(w.wheel.cached, w.simulator.cached) for w in third] == [(False, True), (False, True)]
    assert "compile" not in third[0].seconds
    assert third[0].wheel.digest != first[0].wheel.digest


def test_a_changed_source_is_compiled_alone(
    workshop: Workshop, arch: str, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bundle's key is another one, so all of it is built anew: what did not change comes from ccache."""
    need_program("ccache")
    monkeypatch.setenv("CCACHE_DIR", str(tmp_path / "ccache"))
    build(cells_of(workshop, arch, "3.8"), workshop)
    (adapter / "core/opapi.cpp").write_text("int changed() { return 1; }\n")
    log = tmp_path / "ccache.log"
    monkeypatch.setenv("CCACHE_LOGFILE", str(log))
    build(cells_of(workshop, arch, "3.8"), workshop)
    results = re.findall(r"Result: (cache_miss|direct_cache_hit|preprocessed_cache_hit)\n", log.read_text())
    assert (len(results), results.count("cache_miss")) == (len(SOURCES), 1)


def test_two_folders_and_two_umasks_give_the_same_wheel(
    workshop: Workshop, arch: str, adapter: Path, tmp_path: Path
) -> None:
    first = build(cells_of(workshop, arch, "3.8"), workshop)[0]
    moved = tmp_path / "a quite different folder"
    for part in ("adapter", "simulator"):
        shutil.copytree(adapter.parent / part, moved / part)
    store = Store(tmp_path / "another/mill")
    other = replace(workshop, store=store, sources=moved, engine=HostEngine(store.root / "tools"))
    before = os.umask(0o077)
    try:
        second = build(cells_of(workshop, arch, "3.8"), other)[0]
    finally:
        os.umask(before)
    assert "compile" in second.seconds
    assert first.wheel.digest == second.wheel.digest
    assert first.simulator.digest == second.simulator.digest


def test_flags_of_the_caller_s_shell_do_not_reach_the_compiler(
    workshop: Workshop, arch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXXFLAGS", "-include /no/such/header.h")
    monkeypatch.setenv("LDFLAGS", "-L/no/such/folder -lnothing")
    assert build(cells_of(workshop, arch, "3.8"), workshop)[0].wheel.path.is_file()


def test_a_compiler_error_is_shown_with_its_log_and_leaves_no_bundle(
    workshop: Workshop, arch: str, adapter: Path
) -> None:
    (adapter / "core/opapi.cpp").write_text("int broken( {\n")
    with pytest.raises(EngineError) as caught:
        build(cells_of(workshop, arch, "3.8"), workshop)
    assert "compile of torch-9.1.0-" in caught.value.message
    assert "core/opapi.cpp:1" in caught.value.message
    assert "error: " in caught.value.message
    log = Path((caught.value.hint or "").removeprefix("full log: "))
    assert "broken(" in log.read_text()
    assert list(workshop.store.records("bundle")) == []
    assert list((workshop.store.root).glob("assembled/*/*")) == []


def test_a_cmake_error_brings_its_reason(workshop: Workshop, arch: str, adapter: Path) -> None:
    lists = adapter / "CMakeLists.txt"
    lists.write_text(lists.read_text() + 'message(FATAL_ERROR "the SDK lacks the moon")\n')
    with pytest.raises(EngineError, match=r"(?s)configure of torch-9\.1\.0.*the SDK lacks the moon"):
        build(cells_of(workshop, arch, "3.8"), workshop)


def test_a_build_that_installs_too_little_is_refused(workshop: Workshop, arch: str, adapter: Path) -> None:
    lists = adapter / "CMakeLists.txt"
    lists.write_text(lists.read_text().replace("install(TARGETS ascendcl opapi", "install(TARGETS ascendcl"))
    with pytest.raises(Exception, match=r"installed no cann_simulator/lib/libopapi\.so"):
        build(cells_of(workshop, arch, "3.8"), workshop)


def test_refused_cells_are_told_before_anything_is_built(
    workshop: Workshop, arch: str, make_line: Callable[..., Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = make_line(branch="v1.5.0", buildable=False, reason="torch 1.5 has no plug-in device")
    other = {"x86_64": "aarch64", "aarch64": "x86_64"}[arch]
    monkeypatch.setenv(f"WHEELMILL_CXX_{other.upper()}", "no-such-compiler")
    cells = [*cells_of(workshop, arch, "3.8"), *cells_of(workshop, other, "3.8"), Cell(record, "3.8", arch)]
    with pytest.raises(BuildError) as caught:
        build(cells, workshop)
    assert "2 of 3 cells cannot be built" in caught.value.message
    assert "v1.5.0/3.8" in caught.value.message
    assert "torch 1.5 has no plug-in device" in caught.value.message
    assert "names 'no-such-compiler', which is not there" in caught.value.message
    assert "apt-get install g++-" in caught.value.message
    assert list(workshop.store.records()) == []
    assert make_plan(cells, workshop).counts()["refused"] == 2


SLOW = """
add_custom_target(slow ALL COMMAND ${Python3_EXECUTABLE} "${CMAKE_SOURCE_DIR}/core/slow.py")
"""


def make_slow(adapter: Path, tmp_path: Path) -> Path:
    """Add a build step that reports its process and then sleeps until the file `go` is there."""
    (adapter / "CMakeLists.txt").write_text((adapter / "CMakeLists.txt").read_text() + SLOW)
    (adapter / "core/slow.py").write_text(
        "import os, pathlib, time\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        f"while not pathlib.Path({str(tmp_path / 'go')!r}).exists():\n"
        "    time.sleep(0.05)\n"
    )
    return tmp_path / "pid"


CHILD = """
import pickle, sys
from pathlib import Path
from wheelmill.make.build import Workshop, build
from wheelmill.make.engines.host import HostEngine
from wheelmill.matrix import Cell
from wheelmill.store import Store
root, sources, lines, arch = sys.argv[1:]
line = pickle.loads(bytes.fromhex(lines))
store = Store(Path(root))
engine = HostEngine(store.root / "tools")
workshop = Workshop(store, engine, Path(sources), (line,), progress=lambda text: print(text, flush=True))
for wheel in build([Cell(line, "3.8", arch)], workshop):
    print("DONE", wheel.cached, wheel.wheel.digest, flush=True)
"""


def start_build(workshop: Workshop, arch: str) -> subprocess.Popen[str]:
    """The same build in a process of its own."""
    line = pickle.dumps(workshop.lines[0]).hex()
    command = [sys.executable, "-c", CHILD, str(workshop.store.root), str(workshop.sources), line, arch]
    environment = {**os.environ, "PYTHONPATH": str(Path(wheelmill.__file__).parents[1])}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def wait_for(path: Path, timeout: float = 60) -> str:
    end = time.monotonic() + timeout
    while not path.exists() or not path.read_text():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)
    return path.read_text()


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What the process says up to and with the line that has this text."""
    assert process.stdout is not None
    heard = ""
    while text not in heard:
        line = process.stdout.readline()
        assert line, f"the process ended without saying {text!r}:\n{heard}"
        heard += line
    return heard


def test_a_killed_build_goes_on_and_waits_for_its_own_orphans(
    workshop: Workshop, arch: str, adapter: Path, tmp_path: Path
) -> None:
    pid_file = make_slow(adapter, tmp_path)
    first = start_build(workshop, arch)
    orphan = wait_for(pid_file)
    first.kill()
    first.wait()
    assert alive(orphan), "the step must outlive its killed builder for this test to mean anything"
    assert list(workshop.store.records("bundle")) == []
    second = start_build(workshop, arch)
    read_until(second, f"waiting for process {first.pid}")
    (tmp_path / "go").touch()
    out, _ = second.communicate(timeout=120)
    assert "DONE False" in out


def test_two_builds_at_once_make_one_bundle(
    workshop: Workshop, arch: str, adapter: Path, tmp_path: Path
) -> None:
    pid_file = make_slow(adapter, tmp_path)
    first = start_build(workshop, arch)
    wait_for(pid_file)
    second = start_build(workshop, arch)
    heard = read_until(second, f"waiting for process {first.pid}")
    (tmp_path / "go").touch()
    outs = [first.communicate(timeout=120)[0], heard + second.communicate(timeout=120)[0]]
    digests = {line.split()[2] for out in outs for line in out.splitlines() if line.startswith("DONE")}
    assert len(digests) == 1
    assert len(list(workshop.store.records("bundle"))) == 1
    assert "compile" not in outs[1]


@pytest.mark.parametrize("how", ["interrupt", "timeout"])
def test_ctrl_c_and_the_deadline_end_every_process(
    how: str, workshop: Workshop, arch: str, adapter: Path, tmp_path: Path
) -> None:
    pid_file = make_slow(adapter, tmp_path)
    if how == "interrupt":
        process = start_build(workshop, arch)
        step = wait_for(pid_file)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    else:
        with pytest.raises(EngineError, match="did not end within 12 s and was stopped"):
            build(cells_of(workshop, arch, "3.8"), replace(workshop, timeout=12.0))
        step = wait_for(pid_file)
    assert not alive(step)
    (tmp_path / "go").touch()
    assert build(cells_of(workshop, arch, "3.8"), workshop)[0].wheel.path.is_file()


def test_builds_killed_at_random_moments_end_in_the_same_wheel(
    workshop: Workshop, arch: str, tmp_path: Path
) -> None:
    reference = build(cells_of(workshop, arch, "3.8"), replace(workshop, store=Store(tmp_path / "other")))[0]
    for delay in (0.3, 0.6, 0.9, 1.2, 1.5):
        process = start_build(workshop, arch)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()
        for path in workshop.store.root.glob("assembled/*/*.whl"):
            assert hashlib.sha256(path.read_bytes()).hexdigest() in (
                reference.wheel.digest,
                reference.simulator.digest,
            )
    out, _ = start_build(workshop, arch).communicate(timeout=120)
    assert out.splitlines()[-1].split()[2] == reference.wheel.digest


def test_the_release_s_metadata_and_the_source_build_s_agree() -> None:
    project = tomllib.loads((PROJECT / "adapter/pyproject.toml").read_text())["project"]
    assert project["name"] == own_packages().adapter.name
    assert project["description"] == own_packages().adapter.summary
    assert sorted(project["classifiers"]) == sorted(own_packages().classifiers)
    assert project["entry-points"] == {"torch.backends": {"torch_npu": "torch_npu:_autoload"}}
