"""`wheelmill init`, `project`: write, check and show the project file of any package."""

from __future__ import annotations

import dataclasses
import json
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheelmill.cli import Group, described, output_options, project
from wheelmill.console import Console
from wheelmill.errors import WheelmillError
from wheelmill.project import absolute

if TYPE_CHECKING:
    from wheelmill.describe.guess import Answers, Guess, KnownSdk
    from wheelmill.matrix import Torch

_GPU = Path("/proc/driver/nvidia")
_SMOKE = "import {module}\n\nprint({module}.__name__, 'imports')\n"


@click.group("project", cls=Group)
def group() -> None:
    """Check and show the project file: wheelmill.toml, or [tool.wheelmill] of a pyproject.toml."""


@group.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--rules", is_flag=True, help="List the rules and their titles.")
@output_options
def lint(file: Path | None, rules: bool, console: Console) -> int:
    """Check FILE (default: the nearest project file) by rule. Exit code 1 if something is wrong."""
    from wheelmill.describe.load import check, titles

    if rules:
        console.say("\n".join(f"{name}: {title}" for name, title in titles().items()))
        console.result(titles())
        return 0
    chosen = file or _nearest()
    known = project().quick_matrix().torches
    _, findings = check(chosen, known)
    for finding in findings:
        console.say(str(finding))
    console.say(f"{chosen}: {'not in order' if findings else 'in order'}")
    listed = [
        {"rule": one.rule, "file": one.file, "line": one.line, "message": one.message, "hint": one.hint}
        for one in findings
    ]
    console.result({"schema": 1, "file": str(chosen), "findings": listed})
    return 1 if findings else 0


def _nearest() -> Path:
    from wheelmill.describe import find

    here = absolute(Path())
    found = find(here)
    if found is None:
        raise WheelmillError(
            f"There is no wheelmill.toml here or above {here}.",
            hint="Write one: wheelmill init",
        )
    return found


@group.command()
@output_options
def cells(console: Console) -> int:
    """List every cell: a combination of the axes' values, for which a wheel is made."""
    from wheelmill.describe import load

    found = described() or load(_nearest(), project().quick_matrix().torches)
    for cell in found.cells:
        console.say(cell.key)
    listed = [{"key": cell.key, "line": cell.line, **cell.values} for cell in found.cells]
    console.result({"schema": 1, "file": str(found.file), "cells": listed})
    return 0


@group.command()
def schema() -> int:
    """Print the JSON Schema of a project file, for editors."""
    from wheelmill.describe.model import ProjectFile
    from wheelmill.matrix.schema import schema as generate

    Console().text(json.dumps(generate(ProjectFile, "wheelmill.toml"), indent=2, ensure_ascii=False) + "\n")
    return 0


# ------------------------------------------------------------------------------------------------------- init
@click.command()
@click.option("--python", "pythons", multiple=True, metavar="3.X", help="A Python to build for; repeat it.")
@click.option("--arch", "arches", multiple=True, metavar="ARCH", help="An architecture; repeat it.")
@click.option("--sdk", "sdks", multiple=True, metavar="NAME=VERSION", help="An SDK's version; repeat it.")
@click.option("--yes", is_flag=True, help="Ask nothing: take what the files say, else the defaults.")
@output_options
def init(
    pythons: tuple[str, ...], arches: tuple[str, ...], sdks: tuple[str, ...], yes: bool, console: Console
) -> int:
    """Write wheelmill.toml for the project in this folder.

    Its setup.py, setup.cfg and pyproject.toml are read and not run. What they leave open is asked, unless an
    option gives it. A smoke program that imports the package is written where there is none. An existing
    project file is not touched.
    """
    from wheelmill.describe.guess import guess, render
    from wheelmill.describe.load import NAME, PYPROJECT, find

    root = absolute(Path())
    if find(root) in (root / NAME, root / PYPROJECT):
        raise WheelmillError(f"{find(root)} is a project file already.", hint="Change it by hand.")
    if not any((root / name).is_file() for name in (PYPROJECT, "setup.py", "setup.cfg")):
        raise WheelmillError(
            f"{root} has no pyproject.toml, setup.py or setup.cfg.",
            hint="Run this in the folder that `pip wheel .` builds from.",
        )
    ask = _asker(quiet=yes or console.json)
    answers = _answers(guess(root), ask, pythons, arches, sdks, root)
    module = guess(root).module or answers.package.replace("-", "_")
    texts = {NAME: ""}
    if answers.program is not None and not (root / answers.program).exists():
        texts[answers.program] = _SMOKE.format(module=module)
        answers = dataclasses.replace(answers, without=(answers.program,))  # the package has not had it
    texts[NAME] = render(answers)
    found = _written(root, texts)
    if answers.program in texts:
        console.say(f"{answers.program} written: it imports {module}; have it try what your package is for")
    console.say(
        f"{NAME} written: {len(found)} cell{'s' * (len(found) != 1)}; next: wheelmill build {found[0]}"
    )
    console.result({"schema": 1, "file": str(root / NAME), "cells": list(found)})
    return 0


def _written(root: Path, texts: Mapping[str, str]) -> tuple[str, ...]:
    """Write files, the project file first; its cells. All of them, or none where an answer cannot be used."""
    from wheelmill.describe import load
    from wheelmill.describe.model import ProjectError

    made: list[Path] = []
    try:
        for name, text in texts.items():
            made.append(root / name)
            (root / name).write_text(text, encoding="utf-8")
        return tuple(cell.key for cell in load(made[0], project().quick_matrix().torches).cells)
    except (ProjectError, OSError) as error:
        for path in made:
            path.unlink(missing_ok=True)
        raise _unusable(error) from None


def _unusable(error: Exception) -> WheelmillError:
    """What is wrong with the answers: the file that it was found in is gone, and so are its lines."""
    from wheelmill.describe.model import ProjectError

    if not isinstance(error, ProjectError):
        return WheelmillError(f"nothing was written: {error}", hint="Make the folder one that you may write.")
    told = [f"{one.message}: {one.hint}" for one in error.findings]
    return WheelmillError("nothing was written:\n  " + "\n  ".join(told), hint="Give another answer.")


Ask = Callable[[str, str], str]


def _asker(*, quiet: bool) -> Ask:
    """How a question with its default is answered."""
    if quiet:
        return lambda question, default: default

    def ask(question: str, default: str) -> str:
        try:
            return str(click.prompt(question, default=default, err=True)).strip()
        except click.Abort:
            if sys.stdin.isatty():
                raise
            raise WheelmillError(
                f"nobody answers the question {question!r}", hint="--yes takes the defaults."
            ) from None

    return ask


def _answers(
    found: Guess,
    ask: Ask,
    pythons: Sequence[str],
    arches: Sequence[str],
    sdks: Sequence[str],
    root: Path,
) -> Answers:
    """What the options say, else the user, else the files."""
    from wheelmill.describe.guess import Answers

    package = found.package or ask("Name of the package", root.name)
    known = project().quick_matrix().torches
    given = _versions(sdks, found)
    axes: dict[str, tuple[str, ...]] = {}
    for sdk in found.sdks:
        default = " ".join(given.get(sdk.name, ())) or _newest(sdk, axes, known)
        axes[sdk.name] = tuple(given.get(sdk.name) or _words(ask(f"Versions of {sdk.name}", default)))
    torch = [known[version] for version in axes.get("torch", ()) if version in known]
    default = " ".join(_pythons(found, torch))
    axes["python"] = tuple(pythons) or _words(ask("Pythons", default))
    axes["arch"] = tuple(arches) or _words(ask("Architectures", platform.machine()))
    program = ask("Smoke program, or - for none", "smoke.py")
    return Answers(
        package,
        found.sdks,
        axes,
        None if program == "-" else program,
        found.stable_abi,
        None if _GPU.exists() else project().quick_matrix().document.torch_cpu_index,
    )


def _words(text: str) -> tuple[str, ...]:
    """`2.14.0 2.13.0` and `2.14.0, 2.13.0` are the same answer."""
    return tuple(text.replace(",", " ").split())


def _versions(words: Sequence[str], found: Guess) -> dict[str, list[str]]:
    versions: dict[str, list[str]] = {}
    for word in words:
        name, equals, version = word.partition("=")
        if not equals or name not in {sdk.name for sdk in found.sdks}:
            names = ", ".join(sdk.name for sdk in found.sdks) or "none"
            raise click.UsageError(f"--sdk {word!r}: write NAME=VERSION; the project's SDKs are: {names}.")
        versions.setdefault(name, []).append(version)
    return versions


def _newest(sdk: KnownSdk, axes: dict[str, tuple[str, ...]], known: Mapping[str, Torch]) -> str:
    """The newest torch that is known; an SDK on top of it bears its version, as a rule."""
    return " ".join(axes[sdk.needs[0]]) if sdk.needs else next(iter(known))


def _pythons(found: Guess, torches: Sequence[Torch]) -> list[str]:
    """Those of this machine that the project and its torches run on; else the one that runs this."""
    from wheelmill.make.toolchain.interpreters import find_python

    names = [f"3.{minor}" for minor in range(7, 15)]
    fits = [name for name in names if found.admits(name) and all(name in torch.pythons for torch in torches)]
    return [name for name in fits if find_python(name)] or fits[-1:]
