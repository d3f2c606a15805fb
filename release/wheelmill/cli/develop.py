"""`wheelmill test-adapter`, `image`, `cibuildwheel`: for people who work on the adapter."""

from __future__ import annotations

import click

from wheelmill.cli import output_options, project
from wheelmill.cli.options import EngineOptions, engine_options, own_cell
from wheelmill.console import Console


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
    from wheelmill.prove.suites import AdapterTestError, install_torch, proving, run_native, run_python
    from wheelmill.publish.pipeline import run, run_smoke

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
    run((cell,), workshop, console, smoke="never")
    with console.step("environment with the built wheels"):
        result = run_smoke(cell, workshop, keep=True)
    if result.environment is None:
        raise AdapterTestError(f"the tests need the cell to run here: {result.reason}")
    if torch is not None and torch != cell.line.torch.version:
        install_torch(torch, result.environment, console)
    return run_python(cell, torch, result.environment, console, project().checkout, pytest_args)
