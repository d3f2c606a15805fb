"""wheelmill as its users install it: picking works outside a checkout, without anything that makes wheels."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_every_command import LEAVES, WAITING

ROOT = Path(__file__).parents[2]
# Everything that only making needs, as import names.
MAKING = ("nox", "auditwheel", "docker", "cmake", "ninja", "elftools")


@pytest.fixture(scope="module")
def picker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment with nothing but `pip install` of this project; its bin folder."""
    home = tmp_path_factory.mktemp("picker")
    subprocess.run([sys.executable, "-m", "venv", home / "env"], check=True)
    pip = [home / "env/bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", ROOT]
    subprocess.run(pip, check=True, cwd=home, timeout=300)
    return home / "env/bin"


def test_an_installed_picker_needs_no_checkout(picker: Path, tmp_path: Path) -> None:
    words = ["pick", "--cann", "7.0.RC1", "--python", "3.8", "--arch", "aarch64", "--json"]
    done = subprocess.run(
        [picker / "wheelmill", *words], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "2.1.0rc1" in json.dumps(json.loads(done.stdout))


def test_picking_installs_and_imports_nothing_that_makes_wheels(picker: Path, tmp_path: Path) -> None:
    code = (
        "import importlib.util, sys, wheelmill.pick, wheelmill.publish.index, wheelmill.cli.pick\n"
        f"print([n for n in {MAKING!r} if importlib.util.find_spec(n)])\n"
        "making = ('plan', 'toolchain', 'engines', 'build', 'audit', 'smoke', 'pipeline', 'assemble')\n"
        "print([n for n in making if f'wheelmill.{n}' in sys.modules])\n"
    )
    done = subprocess.run(
        [picker / "python", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split("\n")[:2] == ["[]", "[]"], done.stdout + done.stderr


def test_an_installed_picker_has_the_notes_and_the_policy(picker: Path, tmp_path: Path) -> None:
    for words, said in (
        (["notes", "show", "3.0.RC3", "--language", "zh"], "NPU不支持float16类型的inf/nan数据输入输出。"),
        (["notes", "issues", "1.8.1rc3"], "float16-inf-nan"),
        (["policy", "--on", "2023-10-16", "v3.0.rc3"], "2023-10-20"),
    ):
        done = subprocess.run(
            [picker / "wheelmill", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
    code = (
        "import wheelmill.publish.notes as n; print(*(p.name for p in __import__('pathlib').Path(n.__file__)"
    )
    code += ".parent.glob('templates/*')))"
    done = subprocess.run([picker / "python", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "notes.html.j2\n"


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["audit", "x-1-py3-none-any.whl"], "make"),
        (["matrix", "torch", "9.9.9"], "make"),
        (["image", "x86_64"], "make"),
        (["policy", "--ics", "-"], "publish"),
        (["notes", "show", "3.0.RC3", "--format", "html"], "publish"),
    ],
)
def test_what_needs_the_extra_says_how_to_install_it(picker: Path, command: list[str], extra: str) -> None:
    done = subprocess.run(
        [picker / "wheelmill", *command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.endswith(f"  in the checkout: pip install -e '.[{extra}]'\n")


def test_every_command_answers_or_names_the_extra_that_it_lacks(picker: Path, tmp_path: Path) -> None:
    """With nothing but names, outside of a checkout."""
    (tmp_path / "demo").mkdir()
    environment = {**os.environ, "WHEELMILL_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}
    lacking = set()
    for leaf in LEAVES:
        if leaf.path in WAITING:
            continue
        words = leaf.words("demo")
        done = subprocess.run(
            [picker / "wheelmill", *words], cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, (words, done.stderr)
        assert done.returncode in (0, 1, 2, 3, 4), (words, done.stderr)
        if "needs the Python package" in done.stderr:
            assert re.search(r"pip install -e '\.\[[a-z]+\]'\n$", done.stderr), (words, done.stderr)
            lacking.add(leaf.path[0])
    assert lacking >= {"abi", "catalogue", "site"}
    assert "pick" not in lacking
