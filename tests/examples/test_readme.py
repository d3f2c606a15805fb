"""The examples, each by the commands of its own page: what the page shows is what comes out."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from wheelmill.describe.text import loads
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.make.toolchain.interpreters import find_python
from wheelmill.store import default_root

from tests.needs import lacks, need_engine

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
_WRITTEN = ("wheelmill.toml", "smoke.py")  # by `wheelmill init`, where they are not there


@dataclass(frozen=True)
class Block:
    """Commands of one console block, each with the lines that the page shows of it."""

    init: bool
    commands: tuple[tuple[str, tuple[str, ...]], ...]


def blocks(page: str) -> list[Block]:
    """The console blocks of a page in their order."""
    found = []
    for mark, text in re.findall(r"(<!-- init -->\n)?```console\n(.*?)```", page, re.DOTALL):
        commands: list[tuple[str, tuple[str, ...]]] = []
        for line in text.splitlines():
            if line.startswith("$ "):
                commands.append((line[2:], ()))
            else:
                command, shown = commands.pop()
                commands.append((command, (*shown, line)))
        found.append(Block(bool(mark), tuple(commands)))
    return found


def fits(shown: tuple[str, ...], printed: str) -> bool:
    """Whether a command printed what is shown; `...` stands for any text and lines."""
    pattern = "\n".join(shown)
    return re.fullmatch(re.escape(pattern).replace(re.escape("..."), r"(?s:.*?)"), printed) is not None


def run_page(name: str, folder: Path) -> None:
    """Run all commands of an example's page in a copy of it."""
    shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns(".wheelmill", "env", "build"))
    kept = {file: (folder / file).read_text() for file in _WRITTEN}
    # What lies in the checkout's index is named relative to the example.
    (folder.parents[1] / ".wheelmill").symlink_to(default_root(ROOT))
    bin_folder = folder.parents[1] / "bin"
    bin_folder.mkdir()
    program = bin_folder / "wheelmill"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m wheelmill "$@"\n')
    program.chmod(0o755)
    environment = {
        **{name: text for name, text in os.environ.items() if name != "WHEELMILL_HOME"},
        "PYTHONPATH": str(ROOT / "release"),
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
    }
    make_clone(folder.parents[1])
    for block in blocks((folder / "README.md").read_text(encoding="utf-8")):
        if block.init:
            for file in kept:
                (folder / file).unlink()
        for command, shown in block.commands:
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            assert not shown or fits(shown, done.stdout.rstrip("\n")), f"{command} printed\n{done.stdout}"
        if block.init:
            written = loads((folder / "wheelmill.toml").read_text())
            assert written["axes"] == loads(kept["wheelmill.toml"])["axes"]
            for file, text in kept.items():
                (folder / file).write_text(text)


def make_clone(root: Path) -> None:
    """A repository with everything committed, as the examples lie in one."""
    (root / ".gitignore").write_text(".wheelmill\n__pycache__/\n/bin/\nenv/\n")
    author = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    for words in (("init", "--quiet"), ("add", "--all"), (*author, "commit", "--quiet", "--message", "All")):
        subprocess.run(["git", "-C", str(root), *words], check=True)


def need(name: str) -> None:
    """The Pythons and the architecture of an example, and what its release is built in."""
    if "--engine host" not in (EXAMPLES / name / "README.md").read_text(encoding="utf-8"):
        need_engine()
    for line in loads((EXAMPLES / name / "wheelmill.toml").read_text())["lines"]:
        for python in line["cells"]["python"]:
            if find_python(python) is None:
                lacks(f"Python {python}")
        if host_arch() not in line["cells"]["arch"]:
            lacks(f"a machine of {line['cells']['arch']}")


@pytest.mark.on_demand  # they need more Pythons than the README asks for
@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", ["crc", "torch_op", "backend", "npu_stream"])
def test_a_page_does_what_it_shows(name: str, tmp_path: Path) -> None:
    need(name)
    run_page(name, tmp_path / "examples" / name)


def test_every_example_has_a_page_that_is_run() -> None:
    folders = sorted(path.parent.name for path in EXAMPLES.glob("*/wheelmill.toml"))
    assert folders == ["backend", "crc", "npu_stream", "torch_op"]
    for folder in folders:
        page = (EXAMPLES / folder / "README.md").read_text(encoding="utf-8")
        assert [block.init for block in blocks(page)].count(True) == 1
        assert len(page.splitlines()) <= 80, "a page"
        commands = {command.split()[1] for block in blocks(page) for command, _ in block.commands
                    if command.startswith("wheelmill ")}  # fmt: skip
        assert commands >= {"init", "plan", "build", "audit", "release", "pick"}, "the whole way"


def test_what_a_page_shows_is_compared() -> None:
    assert fits(("a...c", "..."), "abc\nd\ne")
    assert not fits(("a...c", "..."), "abd\nd\ne")
    (block,) = blocks("<!-- init -->\n```console\n$ one\n$ two\nthree\n```\n")
    assert block == Block(True, (("one", ()), ("two", ("three",))))
