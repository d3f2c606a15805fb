"""Every command, with whatever output and files: an answer or one clear error, never a traceback or a wait.

The commands, and which of their words are files, are read from the command line itself. They run with a
matrix that is part of no checkout, so that none of them builds, or writes to this one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from wheelmill.cli import cli

from tests.matrix.small import COMPAT

ROOT = Path(__file__).parents[2]
PATIENCE = 120  # seconds, on a machine that does much else


@dataclass(frozen=True)
class Leaf:
    """A command that has none below it."""

    path: tuple[str, ...]
    command: click.Command

    def words(self, value: str) -> list[str]:
        """The command with one value for each word that it cannot do without."""
        required = [one for one in self.command.params if isinstance(one, click.Argument) and one.required]
        return [*self.path, *(value for _ in required)]


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """All commands below one."""
    if not isinstance(command, click.Group):
        yield Leaf(path, command)
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        yield from leaves(below, (*path, name))


LEAVES = tuple(leaves(cli))


@dataclass(frozen=True)
class Run:
    """What one call of the command came to; None as its code where it did not end."""

    words: tuple[str, ...]
    code: int | None
    output: str
    errors: str


class Runner:
    """Calls the command in a folder of its own, without a checkout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.matrix = folder / "compat.yaml"
        self.matrix.write_bytes(COMPAT.read_bytes())
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WHEELMILL_")}
        home = {"HOME": str(folder / "home"), "WHEELMILL_HOME": str(folder / "state")}
        # Nothing listens there: who would download something says so at once.
        index = {
            "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
            "PIP_RETRIES": "0",
            "PIP_CONFIG_FILE": os.devnull,
        }
        self.environment = {**kept, **home, **index, "PYTHONPATH": str(ROOT / "release")}

    def run(
        self,
        words: Sequence[str],
        redirect: str = "",
        program: Sequence[str] = ("-m", "wheelmill"),
        **environment: str,
    ) -> Run:
        script = f'exec "$@" {redirect}'
        matrix = () if "WHEELMILL_MATRIX" in environment else ("--matrix", str(self.matrix))
        command = [sys.executable, *program, *matrix, *words]
        process = subprocess.Popen(
            ["sh", "-c", script, "sh", *command], cwd=self.folder, env={**self.environment, **environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, errors="replace",
        )  # fmt: skip
        try:
            output, errors = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
            return Run(tuple(words), None, output, errors)
        return Run(tuple(words), process.returncode, output, errors)

    def all(
        self,
        calls: Sequence[tuple[Sequence[str], str]],
        program: Sequence[str] = ("-m", "wheelmill"),
        **environment: str,
    ) -> list[Run]:
        """As many at once as there are processors."""
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            return list(pool.map(lambda one: self.run(*one, program=program, **environment), calls))


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def bad(run: Run) -> bool:
    return run.code is None or run.code < 0 or "Traceback" in run.errors + run.output


# What waits for clients on purpose.
WAITING = {("serve",), ("worker",)}


def test_what_the_output_cannot_take_is_no_traceback(runner: Runner) -> None:
    """Each command with nothing but names: to a terminal of ASCII, to a full disk or to a closed end."""
    chosen = [leaf.words("demo") for leaf in LEAVES if leaf.path not in WAITING]
    plain = runner.all([(words, "") for words in chosen], LC_ALL="C", PYTHONIOENCODING="ascii")
    assert [run for run in plain if bad(run) or not (run.output + run.errors).isascii()] == []
    ends = (">/dev/full", ">&-")
    lost = runner.all([(words, ends[place % 2]) for place, words in enumerate(chosen)])
    assert [run for run in lost if bad(run)] == []
    told = [run for before, run in zip(plain, lost, strict=True) if before.output and run.code == 0]
    assert told == []


def files() -> Iterator[tuple[Leaf, click.Parameter]]:
    """Every word of every command that is a file to be read, or may be one."""
    for leaf in LEAVES:
        for one in leaf.command.params:
            if isinstance(one.type, click.Path):
                yield leaf, one


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_file_that_never_ends_is_refused(runner: Runner, kind: str) -> None:
    """A pipe without a writer, and an endless device, in the place of each file and folder."""
    place = runner.folder / "endless-1.0-py3-none-any.whl"
    os.mkfifo(place) if kind == "pipe" else place.symlink_to("/dev/zero")
    calls = []
    for leaf, one in files():
        if isinstance(one, click.Argument):
            calls.append(
                (
                    [*leaf.path, *(str(place) for p in leaf.command.params if isinstance(p, click.Argument))],
                    "",
                )
            )
        else:
            calls.append(([*leaf.words("demo"), one.opts[0], str(place)], ""))
    assert len(calls) > 25
    assert [run for run in runner.all(calls) if bad(run)] == []


NOBODY = """\
import pathlib, sys
def expanduser(self):
    if str(self).startswith("~"):
        raise RuntimeError("Could not determine home directory.")
    return self
pathlib.Path.expanduser = expanduser
pathlib.Path.home = classmethod(lambda cls: cls("~").expanduser())
from wheelmill.cli import main
main()
"""


def test_a_user_without_a_home_gets_an_answer_or_one_clear_error(runner: Runner) -> None:
    """As in a container that runs as a number nobody has a name for."""
    chosen = [leaf.words("demo") for leaf in LEAVES if leaf.path not in WAITING]
    runs = runner.all([(words, "") for words in chosen], program=("-c", NOBODY))
    assert [run for run in runs if bad(run)] == []


SETTINGS: Mapping[str, Sequence[str]] = {
    "WHEELMILL_HOME": ("~nobody-has-this-name/x", "/dev/null", "new\nline"),
    "WHEELMILL_MATRIX": ("PIPE", "/dev/zero", "."),
    "WHEELMILL_KEYRING": ("PIPE", "/dev/zero", "."),
    "WHEELMILL_KEYS": ("~nobody-has-this-name/x", "PIPE"),
    "WHEELMILL_REMOTE": ("no-such-scheme://x", "PIPE"),
    "WHEELMILL_ON": ("dask://", "x"),
    "XDG_CACHE_HOME": ("PIPE", "~nobody-has-this-name/x", "relative"),
    "XDG_STATE_HOME": ("PIPE", "~nobody-has-this-name/x"),
    "PYENV_ROOT": ("PIPE", "~nobody-has-this-name/x"),
    "SOURCE_DATE_EPOCH": ("9" * 30, "-1", "soon"),
    "COLUMNS": ("1", "-1", "wide"),
    "LC_ALL": ("xx_YY.NO-SUCH",),
    "TMPDIR": ("/nonexistent",),
    "DOCKER_HOST": ("unix:///nonexistent", "nonsense"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_no_variable_of_the_environment_ends_in_a_traceback(runner: Runner, name: str) -> None:
    """Each with the commands that look at most of them."""
    pipe = runner.folder / "pipe"
    os.mkfifo(pipe)
    words = (
        ["pick", "--cann", "7.0.RC1"],
        ["doctor", "--no-import"],
        ["plan"],
        ["audit"],
        ["keys", "list"],
        ["policy"],
    )
    for value in SETTINGS[name]:
        runs = runner.all([(one, "") for one in words], **{name: value.replace("PIPE", str(pipe))})
        assert [run for run in runs if bad(run)] == []
