"""The commands of a project with a file of its own, as people type them in its folder."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
from wheelmill.describe.text import loads

ROOT = Path(__file__).parents[2]
SETUP = """\
import os

import torch_npu
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

NAME = "add-demo"
os.remove("kept")  # reading this file does not run it
setup(name=NAME, python_requires=">=3.10", ext_modules=[CppExtension("add_demo._C", ["add.cpp"])],
      cmdclass={"build_ext": BuildExtension})
"""


def wheelmill(
    folder: Path, *words: str, said: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wheelmill", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "release"), **environment},
        input=said,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def extension(tmp_path: Path) -> Path:
    """A project without a file for wheelmill, which a setup.py describes."""
    (tmp_path / "setup.py").write_text(SETUP)
    (tmp_path / "kept").touch()
    return tmp_path


def test_init_reads_a_setup_py_without_running_it(extension: Path) -> None:
    done = wheelmill(extension, "init", "--yes", "--sdk", "torch=2.13.0", "--python", "3.11")
    assert done.returncode == 0, done.stderr
    assert (extension / "kept").exists()
    values = loads((extension / "wheelmill.toml").read_text())
    assert values["package"] == "add-demo"
    assert values["axes"] == ["torch", "torch_npu", "python", "arch"]
    assert values["sdks"]["torch_npu"]["needs"] == ["torch"]
    assert "index" not in values["sdks"]["torch"]
    proposed = '# index = "https://' in (extension / "wheelmill.toml").read_text()
    assert proposed != Path("/proc/driver/nvidia").exists(), (
        "a build without CUDA, where no GPU asks for CUDA"
    )
    assert values["build"]["without"] == ["smoke.py"], "what init wrote is no part of the package"
    assert values["smoke"]["runner"] == ["cann-simulator", "run", "--"]
    assert (extension / "smoke.py").read_text().startswith("import add_demo\n")
    cells = wheelmill(extension, "project", "cells")
    assert cells.stdout == f"main/2.13.0/2.13.0/3.11/{platform.machine()}\n"
    schema = json.loads(wheelmill(extension, "project", "schema").stdout)
    jsonschema.Draft202012Validator(schema).validate(values)
    again = wheelmill(extension, "init", "--yes")
    assert (again.returncode, "is a project file already" in again.stderr) == (1, True)


def test_init_asks_what_the_files_leave_open(extension: Path) -> None:
    answers = "2.13.0\n2.13.0\n3.10, 3.11\naarch64\n-\n"
    done = wheelmill(extension, "init", said=answers)
    assert done.returncode == 0, done.stderr
    assert "Name of the package" not in done.stderr, "setup.py says it"
    values = loads((extension / "wheelmill.toml").read_text())
    assert values["package"] == "add-demo"
    assert "smoke" not in values
    assert values["lines"][0]["cells"]["python"] == ["3.10", "3.11"]
    (extension / "wheelmill.toml").unlink()
    (extension / "setup.py").write_text(SETUP.replace("name=NAME", "name=read()"))
    done = wheelmill(extension, "init", said=f"other-name\n{answers}")
    assert loads((extension / "wheelmill.toml").read_text())["package"] == "other-name", done.stderr
    (extension / "wheelmill.toml").unlink()
    silent = wheelmill(extension, "init", said="")
    assert (silent.returncode, "--yes takes the defaults" in silent.stderr) == (1, True)


def test_init_leaves_nothing_behind_of_an_answer_that_cannot_be(extension: Path) -> None:
    done = wheelmill(extension, "init", "--yes", "--sdk", "torch=0.1")
    assert done.returncode == 1
    assert "no wheel of torch 0.1 is known" in done.stderr
    assert "wheelmill.toml" not in done.stderr, "a file that is not there has no lines"
    assert {path.name for path in extension.iterdir()} == {"setup.py", "kept"}
    nowhere = wheelmill(extension, "init", said="2.13.0\n2.13.0\n3.11\nx86_64\nnone/smoke.py\n")
    assert "nothing was written" in nowhere.stderr
    assert {path.name for path in extension.iterdir()} == {"setup.py", "kept"}
    (extension / "setup.py").write_text("setup(")
    assert "is no Python" in wheelmill(extension, "init", "--yes").stderr


def test_the_state_is_no_part_of_the_sources(extension: Path) -> None:
    """Nobody has to write it into .gitignore: a store among the sources would be built in."""
    assert wheelmill(extension, "init", "--yes", "--sdk", "torch=2.13.0").returncode == 0
    subprocess.run(["git", "-C", str(extension), "init", "--quiet"], check=True)
    store = extension / ".wheelmill" / "objects"
    store.mkdir(parents=True)
    (store / "outside").symlink_to("/")
    planned = wheelmill(extension, "plan", "--all", "--json")
    assert "leads out of the sources" not in planned.stdout + planned.stderr
    listed = ["git", "-C", str(extension), "status", "--porcelain", "--untracked-files=all"]
    shown = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    assert ".wheelmill/" not in shown


_COMPLETE = """\
eval "$(wheelmill completion bash)"
COMP_WORDS=(wheelmill "$@")
COMP_CWORD=$#
_wheelmill_completion wheelmill
printf '%s\\n' "${COMPREPLY[@]}"
"""


def test_bash_completes_what_the_project_file_names(tmp_path: Path) -> None:
    (tmp_path / "wheelmill.toml").write_text(PROJECT)
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "wheelmill"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT / "release"} exec {sys.executable} -m wheelmill "$@"\n')
    program.chmod(0o755)

    def completed(*words: str) -> list[str]:
        path = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
        command = ["bash", "-c", _COMPLETE, "bash", *words]
        done = subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert completed("project", "") == ["cells", "lint", "schema"]
    assert "main/2.13.0/3.11/aarch64" in completed("build", "main")
    for words in (("build", "--line", ""), ("release", "run", "")):
        assert completed(*words) == ["main"]


PROJECT = """\
schema = 1
package = "add-demo"
axes = ["torch", "python", "arch"]
[build]
how = "pep517"
[sdks.torch]
[wheel]
local = "torch{torch}"
[[lines]]
name = "main"
cells = {torch = ["2.13.0"], python = ["3.11"], arch = ["x86_64", "aarch64"]}
"""


@pytest.mark.parametrize(
    ("old", "new", "words", "code", "said"),
    [
        ("", "", ["build"], 2, "Name a cell such as 3.11-x86_64"),
        ("", "", ["build", "3.12-x86_64"], 1, "'3.12-x86_64' is no cell of this project"),
        ("", "", ["plan", "--torch", "2.0.1"], 1, "No cell has torch '2.0.1'"),
        ("", "", ["build", "--all", "--on", "dask://127.0.0.1:9"], 1, "there is no Dask scheduler at"),
        ("", "", ["build", "--all", "--remote", "/proc/none"], 1, "/proc/none"),
        ("", "", ["release", "status", "main"], 1, "is in no git repository"),
        ("", "", ["quickstart"], 1, "does not work on"),
        ("", "", ["index"], 1, "There is no wheel in"),
        ("", "", ["audit"], 1, "There is no wheel in"),
        ('"torch", "python"', '"tourch", "python"', ["plan", "--all"], 1, "the axis 'torch'"),
        ('"pep517"', '"bundle"\nmatrix = "m.yaml"', ["plan", "--all"], 1, "has no field 'matrix'"),
        (
            "[sdks.torch]",
            '[sdks.torch]\nneeds = ["a"]\n[sdks.a]\naxis = "torch"\nneeds = ["torch"]',
            ["build", "--all"],
            1,
            "in a circle: torch -> a -> torch",
        ),
    ],
)
def test_wrong_words_end_in_one_clear_message(
    tmp_path: Path, old: str, new: str, words: list[str], code: int, said: str
) -> None:
    (tmp_path / "wheelmill.toml").write_text(PROJECT.replace(old, new, 1))
    done = wheelmill(tmp_path, *words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_a_million_cells_are_one_error_at_once(tmp_path: Path) -> None:
    thousand = ", ".join(f'"{number}"' for number in range(1000))
    text = PROJECT.replace('"torch",', '"torch", "soc", "kind",', 1)
    text = text.replace("cells = {", f"cells = {{soc = [{thousand}], kind = [{thousand}], ")
    (tmp_path / "wheelmill.toml").write_text(text)
    started = time.monotonic()
    done = wheelmill(tmp_path, "build", "--all")
    assert time.monotonic() - started < 10
    assert done.returncode == 1
    assert done.stderr.count("error:") == 2, "the command's, and one finding"
    assert "the matrix has 2,000,000 cells" in done.stderr


def test_the_nearest_file_decides(tmp_path: Path) -> None:
    (tmp_path / "wheelmill.toml").write_text(PROJECT)
    (tmp_path / "below").mkdir()
    assert wheelmill(tmp_path / "below", "project", "cells").stdout.startswith("main/2.13.0/3.11/x86_64\n")
    matrix = wheelmill(tmp_path, "--matrix", str(ROOT / "matrix" / "compat.yaml"), "build")
    assert "Name a cell such as 3.11-x86_64, or a --line" in matrix.stderr
    inside = wheelmill(ROOT / "adapter", "project", "cells")
    assert (inside.returncode, "wheelmill init" in inside.stderr) == (1, True)
    lint = wheelmill(tmp_path, "project", "lint", "--json")
    assert json.loads(lint.stdout)["findings"] == []
