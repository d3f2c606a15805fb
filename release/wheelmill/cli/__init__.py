"""The command line: parse options and call. No logic, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wheelmill import __version__
from wheelmill.console import (
    Console,
    drop_output,
    fail,
    finish_output,
    interrupted,
    ready_streams,
    tell,
    unusable,
    visible,
)
from wheelmill.errors import WheelmillError
from wheelmill.frozen import dataclass
from wheelmill.project import MATRIX, Project, absolute, find_project

if TYPE_CHECKING:
    from wheelmill.describe import Described

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry:
    """A command: its module in wheelmill.cli, its name there, and one line for the list of all commands."""

    module: str
    name: str
    summary: str


# Heading -> its commands, in the order of the help. A command's module is imported when it is called.
SECTIONS: dict[str, dict[str, Entry]] = {
    "Pick a wheel": {
        "pick": Entry("pick", "pick", "Find the wheel that fits, or what blocks it"),
        "catalogue": Entry("catalogue", "catalogue", "Record what the package index really has"),
        "doctor": Entry("doctor", "doctor", "Say what is wrong on this machine, and what fits it"),
        "explain": Entry("explain", "explain", "Say what an error message means and what to do"),
    },
    "Make wheels": {
        "quickstart": Entry("build", "quickstart", "Build and run one wheel, end to end"),
        "init": Entry("project_file", "init", "Write the project file of a package of yours"),
        "project": Entry("project_file", "group", "Check and show a project file"),
        "plan": Entry("build", "plan", "Show what a build would do"),
        "build": Entry("build", "build", "Build, audit, index and run wheels"),
        "reproduce": Entry("audit", "reproduce", "Build a wheel again and compare the bytes"),
        "worker": Entry("cluster", "worker", "Compile for other machines"),
        "workers": Entry("cluster", "workers", "Show the workers of a cluster and what they compile"),
        "image": Entry("develop", "image", "Make a builder image"),
        "cibuildwheel": Entry("develop", "cibuildwheel", "Print a cibuildwheel configuration for a line"),
    },
    "Prove wheels": {
        "audit": Entry("audit", "audit", "Audit wheels, whoever built them"),
        "abi": Entry("abi", "abi", "Say in which torches an extension wheel runs"),
        "accept": Entry("accept", "accept", "Test any torch_npu wheel on the simulator"),
        "smoke": Entry("build", "smoke", "Install wheels from the index and run them"),
    },
    "Publish": {
        "release": Entry("release", "release", "Cut and publish a release of a line, yank it, take it back"),
        "index": Entry("index", "index", "Rebuild the local package index"),
        "serve": Entry("index", "serve", "Serve an index on loopback for pip"),
        "upload": Entry("upload", "upload", "Bring a release to an index, forge or storage"),
        "site": Entry("site", "site", "Write the static site for users"),
        "readme-tables": Entry("site", "readme_tables", "Write the table of versions in both READMEs"),
        "notes": Entry("notes", "notes", "Show, check and draft release notes"),
        "verify": Entry("verify", "verify", "Check a wheel, a release or an index against its signers"),
        "keys": Entry("verify", "keys", "Make, list and replace the keys that sign"),
        "policy": Entry("policy", "policy", "Show the stage of every series, and what changes"),
    },
    "Develop": {
        "matrix": Entry("matrix", "matrix", "Check and show the compatibility matrix"),
        "test-adapter": Entry("develop", "test_adapter", "Run the tests of adapter and simulator"),
        "newtorch": Entry("develop", "newtorch", "Take a torch that was just released to the build there is"),
        "completion": Entry("pick", "completion", "Print a shell completion script"),
    },
}
# Modules that `pip install .` leaves out, and the package of each, by the extra that has them.
PUBLISHING = {
    "fsspec": "fsspec",
    "icalendar": "icalendar",
    "jinja2": "jinja2",
    "requests_toolbelt": "requests-toolbelt",
    "s3fs": "s3fs",
    "twine": "twine",
    "variantlib": "variantlib",
}
MAKING = {
    "auditwheel": "auditwheel",
    "cyclonedx": "cyclonedx-python-lib",
    "docker": "docker",
    "elftools": "pyelftools",
    "pypi_simple": "pypi-simple",
    "requests": "requests",
}
VERIFYING = {
    "cryptography": "cryptography",
    "securesystemslib": "securesystemslib",
    "tuf": "tuf",
}
EXTRAS = {"publish": PUBLISHING, "make": MAKING, "verify": VERIFYING}
_PROJECT_FILES = ("wheelmill.toml", "pyproject.toml")
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class Group(click.Group):
    """A group of commands whose help has every summary whole, at any width."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands; click's own list cuts a summary that is longer than the line."""
        commands = [self.get_command(ctx, name) for name in self.list_commands(ctx)]
        rows = [(one.name or "", one.get_short_help_str(limit=1000)) for one in commands if one is not None]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class _NobodyReadsError(Exception):
    """Who read standard output ended. As an OSError, click would make it exit code 1, which is an answer."""


class LazyGroup(Group):
    """A group whose commands are imported on use: a cached build answers in well under a second."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a pipe that was closed is told apart from a refusal."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _NobodyReadsError from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module that has the command."""
        if cmd_name not in COMMANDS:
            return None
        from importlib import import_module

        entry = COMMANDS[cmd_name]
        command = getattr(import_module(f"wheelmill.cli.{entry.module}"), entry.name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by section; nothing is imported for it."""
        width = max(map(len, COMMANDS))
        for heading, entries in SECTIONS.items():
            with formatter.section(heading):
                rows = [(name.ljust(width), entry.summary) for name, entry in entries.items()]
                formatter.write_dl(rows)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done; 1 refused or failed, with the reason; 2 usage error; 3 a wheel is local "
    "only; 4 a wheel cannot be reproduced here; 130 interrupted. State is kept in .wheelmill "
    "or in $WHEELMILL_HOME.",
)
@click.version_option(__version__, prog_name="wheelmill")
@click.option(
    "--matrix",
    "matrix_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The matrix to use. [default: $WHEELMILL_MATRIX, else matrix/compat.yaml of the checkout]",
)
@click.pass_context
def cli(ctx: click.Context, matrix_file: Path | None) -> None:
    """Build, audit, run, index and explain wheels: the adapter's by one matrix, yours by a project file."""
    ctx.obj = matrix_file


def project() -> Project:
    """The project that the running command works on."""
    return find_project(click.get_current_context().find_root().obj)


def described() -> Described | None:
    """The project file that the running command works on: the nearest one here or above.

    None where a matrix is named, or where one of a checkout is nearer. Raises ProjectError.
    """
    if click.get_current_context().find_root().obj or os.environ.get("WHEELMILL_MATRIX"):
        return None
    here = absolute(Path())
    # Folders below that of a matrix. Where none has a file that may be one, nothing is imported to read it.
    below = [*takewhile(lambda folder: not (folder / MATRIX).is_file(), (here, *here.parents))]
    if not any((folder / name).is_file() for folder in below for name in _PROJECT_FILES):
        return None
    from wheelmill import describe

    file = describe.find(here)
    if file is None or file.parent not in below:
        return None
    return describe.load(file, project().quick_matrix().torches)


def home() -> Path:
    """The folder that has the state: that of the project file, else the checkout."""
    found = described()
    return project().checkout if found is None else found.root


def adapter_only(command: str) -> None:
    """Refuse a command that knows the adapter of a checkout alone. Raises WheelmillError."""
    found = described()
    if found is not None:
        raise WheelmillError(
            f"`wheelmill {command}` does not work on {found.file} yet.",
            hint="Run it in a checkout of the adapter, or name its matrix: wheelmill --matrix FILE.",
        )


def output_options(function: F) -> F:
    """--quiet and --json; the command gets them as one Console named `console`."""

    @click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
    @click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, and no progress.")
    @wraps(function)
    def wrapped(*args: Any, quiet: bool, as_json: bool, **kwargs: Any) -> Any:
        return function(*args, console=Console(quiet=quiet or as_json, json=as_json), **kwargs)

    return wrapped  # type: ignore[return-value]


def _end(*_: object) -> None:
    """End as on Ctrl-C; asked again, go on ending: a second one would cut short what ends the compilers."""
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: None)  # not SIG_IGN, which processes would inherit
    raise KeyboardInterrupt


def _missing(error: ModuleNotFoundError) -> WheelmillError:
    """How to install the package whose import failed; anything else that is missing is a bug."""
    module = (error.name or "").partition(".")[0]
    extra = next((name for name, packages in EXTRAS.items() if module in packages), None)
    if extra is None:
        raise error
    package = EXTRAS[extra][module]
    return WheelmillError(
        f"this command needs the Python package {package}, which is not installed",
        hint=f"in the checkout: pip install -e '.[{extra}]'",
    )


def _misused(error: click.ClickException) -> int:
    """Print what click found wrong with the command line; return the exit code."""
    from wheelmill.cli.language import said_by_click

    words = sys.argv[1:]
    named = next((word for word in words if word in COMMANDS), "")  # not every error of click knows it
    chinese = said_by_click(error, cli.get_command(click.Context(cli), named), words)
    if chinese is not None:
        return fail(chinese)
    said = io.StringIO()
    error.show(said)
    tell(visible(said.getvalue().rstrip()))
    return error.exit_code


def main() -> None:
    """Run the command line; every WheelmillError becomes its message, hint and exit code."""
    ready_streams()
    # Asked to end, a build ends as on Ctrl-C: with its compilers, and what is finished kept.
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, _end)
    try:
        code = cli.main(prog_name="wheelmill", standalone_mode=False)
        finish_output()
    except WheelmillError as error:
        code = fail(error)
    except ModuleNotFoundError as error:
        code = fail(_missing(error))
    except click.ClickException as error:
        code = _misused(error)
    except (KeyboardInterrupt, click.Abort):
        interrupted()
        code = 130
    except (BrokenPipeError, _NobodyReadsError):
        code = 141
        drop_output()
    except OSError as error:
        if (told := unusable(error)) is None:
            raise
        code = fail(told)
    sys.exit(code if isinstance(code, int) else 0)
