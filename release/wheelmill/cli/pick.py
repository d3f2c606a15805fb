"""`wheelmill pick` and `completion`."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheelmill.cli import described, output_options, project
from wheelmill.cli.language import language_option
from wheelmill.cli.matrix import today
from wheelmill.console import Console
from wheelmill.limits import write_named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wheelmill.catalogue.model import Wheel
    from wheelmill.describe import Described
    from wheelmill.matrix import Matrix
    from wheelmill.pick import Offer, Pick
    from wheelmill.pick.model import Axis, Lang, Words
    from wheelmill.project import Project


@click.command()
@click.option("--cann", metavar="VERSION", help="The CANN version, such as 7.0.RC1.")
@click.option("--torch", metavar="VERSION", help="The PyTorch version, such as 2.1.0.")
@click.option("--python", metavar="VERSION", help="The Python version, such as 3.8.")
@click.option("--arch", metavar="NAME", help="aarch64 (arm64) or x86_64 (amd64).")
@click.option("--adapter", metavar="VERSION", help="The torch_npu version.")
@click.option("--branch", metavar="NAME", help="The release line, such as v2.1.0-5.0.rc3.")
@click.option("--glibc", metavar="VERSION", help="The C library of the machine, such as 2.28.")
@click.option("--os", "system", metavar="NAME", help="Its operating system instead, such as 'Ubuntu 20.04'.")
@click.option("--chip", metavar="NAME", help="The NPU, such as 910B, A3 or 310P3.")
@click.option("--date", metavar="DAY", help="Answer as of this day, such as 2026-07-27. [default: today]")
@click.option("--supported", is_flag=True, help="Only lines that still get fixes on that day.")
@click.option("--installer", type=click.Choice(["pip", "uv"]), default="pip", help="Whose commands to print.")
@click.option("--dockerfile", is_flag=True, help="Print lines for a Dockerfile instead.")
@click.option(
    "--pylock", type=click.Path(path_type=Path), metavar="FILE", help="Also write a lock file (PEP 751)."
)
@click.option(
    "--index-url",
    "index",
    metavar="URL",
    envvar="WHEELMILL_INDEX_URL",
    show_envvar=True,
    help="The index that has this project's releases and views, as https://HOST/PATH.",
)
@click.option(
    "--torch-index",
    metavar="URL",
    envvar="WHEELMILL_TORCH_INDEX",
    show_envvar=True,
    help="A mirror of PyTorch's own index of builds without CUDA, for all commands and the lock.",
)
@click.option(
    "-a",
    "--axis",
    "axes",
    multiple=True,
    metavar="NAME=VALUE",
    help="In a project with a file of its own: a value of any of its axes, `version` or `line`.",
)
@click.option("--anywhere", is_flag=True, help="Do not prefer what fits this machine.")
@language_option
@output_options
def pick(
    cann: str | None,
    torch: str | None,
    python: str | None,
    arch: str | None,
    adapter: str | None,
    branch: str | None,
    glibc: str | None,
    system: str | None,
    chip: str | None,
    date: str | None,
    supported: bool,
    installer: str,
    dockerfile: bool,
    pylock: Path | None,
    index: str | None,
    torch_index: str | None,
    axes: tuple[str, ...],
    anywhere: bool,
    language: Lang,
    console: Console,
) -> int:
    """Print the commands that install the wheel that fits, or say what blocks it and what is nearest.

    An option that you leave out is free. Of the wheels that fit, one for this machine's Python, architecture
    and C library comes first, then one of a maintained line, then the newest. Exit code 1 if nothing fits.

    In a project with a file of its own, the wheels are those in the record of its releases, and the cells
    that can be built; --axis names the axes that have no option.
    """
    from datetime import date as day

    from wheelmill import pick as picking
    from wheelmill.pick.commands import loaded_script
    from wheelmill.pick.words import say

    if system is not None and glibc is not None:
        raise click.UsageError(say("os or glibc")[language])
    if (file := described()) is not None:
        words = {"cann": cann, "torch": torch, "python": python, "arch": arch, "line": branch, "glibc": glibc}
        words |= {"chip": chip, "version": adapter, **_axes(axes, language)}
        unknown = {"--date": date, "--supported": supported, "--dockerfile": dockerfile, "--pylock": pylock}
        unknown["--torch-index"] = torch_index if _given("torch_index") else None
        for option, value in unknown.items():
            if value:
                raise click.UsageError(say("not of a file", option=option, file=str(file.file))[language])
        if system is not None:
            matrix = project().quick_matrix()
            words["glibc"] = picking.with_system(picking.parse_request(), system, matrix).glibc
        base = picking.index_base(index) if index else None
        prefer: dict[Axis, str] = {} if anywhere else _this_machine(console, language, arch, python)
        return _of_file(file, words, dict(prefer.items()), base, installer, language, console)
    if axes:
        raise click.UsageError(say("only of a file")[language])
    request = picking.parse_request(
        cann=cann, torch=torch, python=python, arch=arch, adapter=adapter, branch=branch, glibc=glibc,
        chip=chip, date=date, supported=supported,
    )  # fmt: skip
    here = project()
    matrix = here.quick_matrix()
    if torch_index:
        mirror = picking.index_address(torch_index, "torch index")
        document = dataclasses.replace(matrix.document, torch_cpu_index=mirror)
        matrix = dataclasses.replace(matrix, document=document)
    if system is not None:
        request = picking.with_system(request, system, matrix)
    on = day.fromisoformat(request.date) if request.date else today()
    shelf = picking.Shelf(matrix, here.catalogue(), on)
    base = picking.index_base(index) if index else None
    mine: Mapping[Axis, str] = {} if anywhere else _this_machine(console, language, arch, python)
    if request.arch not in (None, mine.get("arch")):
        mine = {}  # it is for another machine, which has other things
    answer = picking.answer(shelf, request, mine, base, loaded_script(os.environ) if mine else None)
    if isinstance(answer, picking.Pick):
        answer = dataclasses.replace(answer, issues=_issues(here, matrix, answer.offer))
    if dockerfile and isinstance(answer, picking.Pick):
        console.say(picking.render_dockerfile(answer, installer, language))
    else:
        console.say(picking.render_text(answer, installer, language))
    if pylock is not None and isinstance(answer, picking.Pick):
        _lock(pylock, answer, matrix, console, language)
    console.result(picking.to_json(answer))
    return 1 if isinstance(answer, picking.NoFit) else 0


def _given(parameter: str) -> bool:
    """Whether an option stands on the command line, and does not come from a variable."""
    source = click.get_current_context().get_parameter_source(parameter)
    return source is click.core.ParameterSource.COMMANDLINE


def _axes(words: tuple[str, ...], language: Lang) -> dict[str, str | None]:
    from wheelmill.pick.words import say

    found: dict[str, str | None] = {}
    for word in words:
        axis, equals, value = word.partition("=")
        if not equals:
            raise click.UsageError(say("no equals", word=repr(word))[language])
        found[axis.strip()] = value
    return found


def _of_file(
    file: Described,
    words: dict[str, str | None],
    prefer: Mapping[str, str],
    index: str | None,
    installer: str,
    language: Lang,
    console: Console,
) -> int:
    """The answer for a described project; 1 where nothing fits."""
    from wheelmill.catalogue import load
    from wheelmill.describe.model import RELEASED
    from wheelmill.pick import package_text, packages

    asked = packages.parse(file, words)
    published = load((file.root / RELEASED).parent, file.project.package)
    shelf = packages.rack(file, published, _built(file))
    found = packages.answer(file, shelf, asked, prefer, index)
    console.say(package_text.render_text(found, installer, language))
    console.result(package_text.to_json(found))
    return 1 if found.offer is None else 0


def _built(file: Described) -> list[Wheel]:
    """The wheels in the local index of the project."""
    from wheelmill.catalogue.model import Wheel
    from wheelmill.store import default_root

    found = default_root(file.beside).glob("index/files/*/*.whl")
    return [Wheel(path.name, path.parent.name) for path in sorted(found)]


def _issues(here: Project, matrix: Matrix, offer: Offer) -> tuple[Words, ...]:
    """What the release notes know to be wrong with a version; they are read where one can be about it."""
    from wheelmill.pick.issues import has_note, known

    if not has_note((path.stem for path in here.notes_folder.glob("*.yaml")), offer):
        return ()
    from wheelmill.notes import load

    return known(load(here.notes_folder, matrix), offer)


def _lock(path: Path, answer: Pick, matrix: Matrix, console: Console, language: Lang) -> None:
    """Write the lock file of an answer; named as installers want it: pylock.toml or pylock.NAME.toml."""
    from wheelmill.make.toolchain.pip_index import certificates, index_url
    from wheelmill.pick.model import SaidError
    from wheelmill.pick.pylock import lock
    from wheelmill.pick.words import say

    if not re.fullmatch(r"pylock(\.[^.]+)?\.toml", path.name):
        raise click.UsageError(say("lock name")[language])
    glibc = answer.request.glibc or answer.met.get("glibc")
    with console.step("Resolving what torch and torch_npu need"):
        text = lock(matrix, answer.offer, glibc, index_url(), certificates(), own=answer.index)
    try:
        write_named(path, text.encode())
    except OSError as error:
        raise SaidError(say("unwritable", path=str(path), error=error.strerror or str(error))) from None
    console.say(f"\n# {say('locked', path=str(path))[language]}")
    if "file://" in text:
        console.warn(say("locked here")[language])


def _this_machine(console: Console, language: Lang, arch: str | None, python: str | None) -> dict[Axis, str]:
    """What this machine prefers; only Linux, architectures and Pythons with wheels have a say.

    `arch` and `python` are those of the request, if it has them.
    """
    from wheelmill.matrix.versions import ARCHES, readable_python
    from wheelmill.pick.doctor import examine
    from wheelmill.pick.words import say

    machine = examine()
    if machine.libc == "musl":
        console.warn(say("musl", name=say("this machine"))[language])
        console.warn(say("hint musl")[language])
    mine = machine.arch if machine.arch in ARCHES else None
    if mine is None and arch is None:
        console.warn(say("other machine", arch=machine.arch)[language])
    own = machine.python if readable_python(machine.python) else None
    if own is None and python is None:
        console.warn(say("other python", python=machine.python)[language])
    values: dict[Axis, str | None] = {"python": own, "arch": mine, "cann": machine.cann}
    name, _, libc = machine.libc.partition(" ")
    if name == "glibc" and libc:
        values["glibc"] = libc
    return {axis: value for axis, value in values.items() if value is not None}


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a shell. In bash: `eval "$(wheelmill completion bash)"`."""
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root().command
    kind = get_completion_class(shell)
    assert kind is not None
    Console().say(kind(root, {}, "wheelmill", "_WHEELMILL_COMPLETE").source())
