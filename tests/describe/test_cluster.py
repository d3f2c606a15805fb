"""Wheels of a described project, built by workers of a real Dask scheduler."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from wheelmill.store import digest_file

from tests.describe.small import ROOT, SmallProject, make_project

pytestmark = [pytest.mark.slow, pytest.mark.on_demand]
_STARTED = 600.0  # seconds that a process may take


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    """Three cells of this Python."""
    made = make_project(tmp_path / "clone")
    file = made.folder / "wheelmill.toml"
    file.write_text(file.read_text().replace('["a3"]', '["a2", "a3", "a5"]'))
    made.commit()
    return made


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """The address of a scheduler with two workers, each with a state of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "release")}
    words = ["-m", "distributed.cli.dask_scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard"]
    processes = [subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE, text=True)]
    address = f"dask://{said(processes[0], r'tcp://(127[^ ]+:[0-9]+)')}"
    for number in range(2):
        home = str(tmp_path / f"machine{number}")
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "wheelmill", "worker", address],
                env={**environment, "WHEELMILL_HOME": home},
                cwd=tmp_path,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        said(processes[-1], "(compiling for)")
    yield address
    for process in reversed(processes):
        process.terminate()
        process.communicate(timeout=_STARTED)


def said(process: subprocess.Popen[str], pattern: str) -> str:
    """What a process says that fits."""
    end = time.monotonic() + _STARTED
    assert process.stderr is not None
    while not (found := re.search(pattern, line := process.stderr.readline())):
        assert line, "it ended"
        assert time.monotonic() < end
    return found[1]


def wheels(project: SmallProject) -> dict[str, str]:
    found = (project.folder / ".wheelmill" / "wheels").rglob("*.whl")
    return {path.name: digest_file(path) for path in found}


def test_two_machines_build_the_bytes_of_one(project: SmallProject, scheduler: str, tmp_path: Path) -> None:
    alone = project.run("build", "--all", "--no-smoke")
    assert alone.returncode == 0, alone.stderr
    whole = wheels(project)
    shutil.rmtree(project.folder / ".wheelmill")
    done = project.run("build", "--all", "--no-smoke", "--on", scheduler)
    assert done.returncode == 0, done.stderr
    assert (len(whole), wheels(project)) == (3, whole)
    made = [len(list(Path(tmp_path, f"machine{n}", "worker").glob("logs/soc-demo-*.log"))) for n in range(2)]
    assert sum(made) == 3
    assert min(made) > 0, "each of them built"
    again = project.run("build", "--all", "--no-smoke", "--on", scheduler)
    assert "3 good" in again.stdout
    assert sum(len(list(Path(tmp_path, f"machine{n}").rglob("logs/*.log"))) for n in range(2)) == 3


def test_what_does_not_build_fails_once_and_names_the_worker(project: SmallProject, scheduler: str) -> None:
    (project.folder / "backend.py").write_text("raise SystemExit('no wheel today')\n")
    done = project.run("build", "--all", "--no-smoke", "--on", scheduler)
    assert done.returncode == 1
    assert re.search(r"on worker \S+ \(tcp://[\d.:]+\): requirements of the backend of main/", done.stderr), (
        done.stderr
    )
    assert "no wheel today" in done.stderr
    assert "goes to another worker" not in done.stderr


def test_a_python_that_no_worker_has_is_one_error(project: SmallProject, scheduler: str) -> None:
    file = project.folder / "wheelmill.toml"
    file.write_text(file.read_text().replace(f'"{project.python}"', '"3.99"'))
    done = project.run("build", "--all", "--on", scheduler)
    assert done.returncode == 1
    assert "compiles for" in done.stderr
    assert "Python 3.99" in done.stderr
    assert "Traceback" not in done.stderr
