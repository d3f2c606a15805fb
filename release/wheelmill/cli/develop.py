"""`wheelmill test-adapter`, `image`, `cibuildwheel`: for people who work on the adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelmill.cli import output_options, project
from wheelmill.cli.options import EngineOptions, engine_options, own_cell
from wheelmill.console import Console

if TYPE_CHECKING:
    from wheelmill.make.workshop import Workshop
    from wheelmill.matrix import Cell
    from wheelmill.prove.abi.kept import Shelf


@click.command()
@click.argument("arch", type=click.Choice(["x86_64", "aarch64"]))
@click.option(
    "--base",
    metavar="IMAGE",
    help="Build on this image instead of the Dockerfile's manylinux one; `debian` makes a base from the "
    "machine's Debian mirror, for places without a registry.",
)
@output_options
def image(arch: str, base: str | None, console: Console) -> int:
    """Make the builder image for ARCH, unless one with the same content key exists."""
    from wheelmill.make.images import ImageShop, ensure_image
    from wheelmill.store import default_root

    here = project()
    shop = ImageShop(default_root(here.checkout), here.matrix().digest, progress=console.progress)
    with console.step(f"image {arch}"):
        made = ensure_image(arch, shop, base)
    console.say(f"{made.name}  {'made' if made.made else 'is there already'}")
    console.result(
        {"schema": 1, "name": made.name, "id": made.id, "arch": made.arch, "labels": dict(made.labels)}
    )
    return 0


@click.command()
@click.option("--line", metavar="BRANCH", required=True, help="The release line.")
def cibuildwheel(line: str) -> int:
    """Print a cibuildwheel 3.x configuration that builds the adapter for a line, for your own CI.

    Images, Pythons, and the torch to compile against (by its hash) come from the matrix.
    """
    from wheelmill.make.engines.cibuildwheel_config import configuration

    matrix = project().matrix()
    found = matrix.line(line)
    cells = found.cells() if found.buildable else ()
    Console().text(configuration(cells, matrix.document.torch_cpu_index))
    return 0


def _built_for(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """The torch of `built-for=2.13.0`."""
    kind, _, version = (value or "built-for=").partition("=")
    if kind != "built-for" or (value is not None and not version):
        raise click.BadParameter(f"{value!r} does not say which build: write built-for=2.13.0")
    return version or None


@click.command("test-adapter", context_settings={"ignore_unknown_options": True})
@click.option(
    "--torch", metavar="VERSION", help="Test the newest line with this torch. [default: the newest line]"
)
@click.option(
    "--wheel",
    "built",
    metavar="built-for=VERSION",
    callback=_built_for,
    help="Test the build for this torch with the torch of --torch, as if that were proven already.",
)
@click.option("--python", metavar="X.Y", help="Test on this Python. [default: the one that runs this]")
@click.option("--native-only", is_flag=True, help="Run only the C++ tests.")
@click.option("--python-only", is_flag=True, help="Run only the Python tests.")
@engine_options
@click.argument("pytest_args", nargs=-1, type=click.UNPROCESSED)
@output_options
def test_adapter(
    torch: str | None,
    built: str | None,
    python: str | None,
    native_only: bool,
    python_only: bool,
    engine: EngineOptions,
    pytest_args: tuple[str, ...],
    console: Console,
) -> int:
    """Build this machine's own cell; run the C++ and the Python tests of adapter and simulator on it.

    With --engine docker the wheels under test are those that would be released. With --wheel they are those
    that would be released once --torch is proven with that build. Arguments that are not options of this
    command go to pytest, such as -k softmax.
    """
    from wheelmill.prove.suites import proving, run_native

    if native_only and python_only:
        raise click.UsageError("--native-only and --python-only leave nothing to run.")
    if built is not None and torch is None:
        raise click.UsageError("--wheel needs --torch, the torch to test that build with.")
    workshop = engine.workshop(console)
    if not python_only:
        run_native(workshop, console)
    if native_only:
        return 0
    cell = own_cell(project().matrix(), built or torch, python)
    if built is not None and torch is not None:
        cell = proving(cell, torch)
    return _run_suites(cell, torch, workshop, console, pytest_args)


def _run_suites(
    cell: Cell, torch: str | None, workshop: Workshop, console: Console, words: tuple[str, ...]
) -> int:
    """Build the cell, install it, with another torch if one is named, and run the Python tests."""
    from wheelmill.prove.suites import AdapterTestError, install_torch, run_python
    from wheelmill.publish.pipeline import run, run_smoke

    run((cell,), workshop, console, smoke="never")
    with console.step("environment with the built wheels"):
        result = run_smoke(cell, workshop, keep=True)
    if result.environment is None:
        raise AdapterTestError(f"the tests need the cell to run here: {result.reason}")
    if torch is not None and torch != cell.line.torch.version:
        known = project().matrix().torches.get(torch)
        hashes = () if known is None else [wheel.sha256 for wheel in known.wheels]
        install_torch(torch, result.environment, console, hashes)
    return run_python(cell, torch, result.environment, console, project().checkout, words)


@click.command()
@click.argument("version", metavar="X.Y.Z")
@click.option("--python", metavar="X.Y", help="Test on this Python. [default: the one that runs this]")
@click.option("--judge-only", is_flag=True, help="Stop after the comparison; run no tests.")
@engine_options
@output_options
def newtorch(
    version: str, python: str | None, judge_only: bool, engine: EngineOptions, console: Console
) -> int:
    """Take torch X.Y.Z, which was just released, to the newest build that there is.

    Records its C++ interface, and says whether the build loads into it and what stops it. If nothing does,
    the whole test suite runs with it. If that passes, a patch of the matrix and an entry for a release note
    are printed. Exit code: 0 it is proven; 3 the interface fits, and no tests were run; 1 something stops it,
    or tests failed.
    """
    from wheelmill.matrix.proven import patch
    from wheelmill.prove import newtorch as proof
    from wheelmill.prove.abi.kept import Shelf
    from wheelmill.prove.suites import proving
    from wheelmill.publish.pipeline import run

    here, workshop = project(), engine.workshop(console)
    cell = own_cell(here.matrix(), None, python)
    built = cell.line.torch
    shelf = Shelf(here.abi_folder)
    if version not in {one.version for one in shelf.of("torch", cell.arch)}:
        _record_torch(version, cell.arch, shelf, console)
        shelf = Shelf(here.abi_folder)
    (outcome,) = run((proving(cell, version),), workshop, console, smoke="never")
    with console.step(f"compare the build for torch {built.version} with torch {version}"):
        found = proof.judged((outcome.wheel.path, outcome.simulator.path), shelf, version)
    if judge_only and not found[0]:
        console.say(
            f"nothing stops the build for torch {built.version} in torch {version}; no tests were run"
        )
        return 3
    text = here.matrix_file.read_text(encoding="utf-8")
    answer = proof.answer(
        version,
        built.version,
        found,
        lambda: _run_suites(proving(cell, version), version, workshop, console, ()),
        lambda: patch(text, built, version),
    )
    console.result(answer.to_json())
    for one in answer.obstacles:
        console.say(f"stops it: {one}")
    for one in answer.cautions:
        console.say(f"changed: {one}")
    if answer.proven:
        console.say(f"torch {version} is proven with the build for torch {built.version}.\n\n{answer.patch}")
        console.say(f"For the features in release/notes:\n{proof.note(version, built.version)}")
        return 0
    reason = "its tests failed, see above" if answer.tests else "see what stops it above"
    console.say(
        f"torch {version} needs more than the build for torch {built.version}: {reason}.\n"
        f"For a build of its own: wheelmill matrix torch {version}, and CONTRIBUTING.md"
    )
    return 1


def _record_torch(version: str, arch: str, shelf: Shelf, console: Console) -> None:
    from wheelmill.make.toolchain.pip_index import index_url
    from wheelmill.prove.abi import index, kept
    from wheelmill.prove.abi.torch_wheel import record_wheel

    with console.step(f"record torch {version} for {arch}"):
        found = index.find("torch", version, arch, index_url())
        with index.opened(found) as stream:
            kept.keep(shelf.folder, record_wheel(stream, found.file, found.pythons, {}))
