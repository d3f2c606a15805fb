"""`wheelmill abi`: in which torches an extension wheel runs, and the records that say so."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from wheelmill.cli import Group, output_options, project
from wheelmill.console import Console
from wheelmill.errors import WheelmillError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wheelmill.prove.abi.kept import Shelf
    from wheelmill.prove.abi.model import Record
    from wheelmill.prove.abi.torch_wheel import Asked
    from wheelmill.prove.abi.window import Window

EXIT_NOWHERE, EXIT_OVERSTATED = 1, 3


class DefaultGroup(Group):
    """A group that takes what is no command of its own as the arguments of `check`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names, else `check` with all words."""
        if args and args[0] not in self.commands:
            args = ["check", *args]
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Let options before the first wheel be those of `check`."""
        if args and args[0].startswith("-") and args[0] not in ctx.help_option_names:
            args = ["check", *args]
        return super().parse_args(ctx, args)


@click.group(cls=DefaultGroup)
def abi() -> None:
    """Say in which versions of torch an extension wheel runs: wheelmill abi WHEEL..."""


@abi.command()
@click.argument("wheels", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="WHEEL...")
@click.option("--torch", "version", metavar="X.Y.Z", help="Judge for this torch alone.")
@output_options
def check(wheels: tuple[Path, ...], version: str | None, console: Console) -> int:
    """Judge extension WHEELs of any make against the recorded torches, without installing either.

    For each torch in which a wheel does not run, the first obstacle is named: a symbol that is missing, a
    virtual function that moved, a kernel whose operator has another C++ signature, a member that lies
    elsewhere, another std::string, another Python. Exit code: 0 it runs wherever its metadata allow; 3 its
    metadata allow a torch in which it does not run; 1 it runs in none, not in the torch of --torch, or cannot
    be judged.
    """
    from wheelmill.prove.abi import extension, render, window

    shelf, codes, results = _shelf(), [], []
    for wheel in wheels:
        found = extension.read_extension(wheel)
        windows = window.judge(found, shelf)
        if version is not None:
            windows = (_only(windows[0], version, shelf),)
        console.say(render.heading(found))
        for one in windows:
            shown = render.rows(one, partly=bool(found.unrecorded))
            console.table(render.COLUMNS, shown, whole=render.COLUMNS[:2])
            console.say(render.summary(one, partly=bool(found.unrecorded)))
        results.append(render.to_json(found, windows))
        codes.append(_code(windows))
    console.result({"schema": 1, "wheels": results})
    return EXIT_NOWHERE if EXIT_NOWHERE in codes else max(codes)


def _only(window: Window, version: str, shelf: Shelf) -> Window:
    """The window of one version. Raises WheelmillError where it is not recorded."""
    from dataclasses import replace

    kept = tuple(one for one in window.judgements if one.origin.version == version)
    if not kept:
        known = ", ".join(one.origin.version for one in window.judgements)
        raise WheelmillError(
            f"torch {version} is not recorded, so nothing is proven about it",
            hint=f"Record it: wheelmill abi record {version}\nRecorded in {shelf.folder}: {known}",
        )
    return replace(window, judgements=kept)


def _code(windows: tuple[Window, ...]) -> int:
    if any(not window.runs for window in windows if window.judgements):
        return EXIT_NOWHERE
    return EXIT_OVERSTATED if any(window.overstated for window in windows) else 0


@abi.command()
@click.argument("torches", nargs=-1, required=True, metavar="X.Y.Z|WHEEL...")
@click.option(
    "--arch",
    type=click.Choice(["x86_64", "aarch64"]),
    multiple=True,
    help="Of a version, record this architecture only. [default: both]",
)
@click.option("--package", type=click.Choice(["torch", "torch-npu"]), default="torch", show_default=True)
@click.option("--into", type=click.Path(path_type=Path), metavar="FOLDER", help="Write into this folder.")
@output_options
def record(
    torches: tuple[str, ...], arch: tuple[str, ...], package: str, into: Path | None, console: Console
) -> int:
    """Record the C++ interface of torches: versions on the package index, or wheel files.

    Of a wheel on the index only the libraries and headers are downloaded. It takes minutes, g++, and 1.5 GiB
    of memory. The result is a file in matrix/abi/ that says in what it differs from the version before it.
    """
    from wheelmill.prove.abi import kept

    folder = into or _shelf().folder
    known: dict[str, Asked] = {}
    written = []
    for made in _made(torches, arch or ("x86_64", "aarch64"), package, known, console):
        file = kept.keep(folder, made)
        written.append({"record": made.origin.name, "build": made.origin.build, "file": str(file)})
        console.say(f"{file}  {file.stat().st_size} bytes ({made.origin.build} build)")
    console.result({"schema": 1, "records": written})
    return 0


def _made(
    torches: Sequence[str],
    arches: Sequence[str],
    package: str,
    known: dict[str, Asked],
    console: Console,
) -> Iterator[Record]:
    """The records of what was named, one after the other."""
    from wheelmill.make.toolchain.pip_index import index_url
    from wheelmill.prove.abi import index
    from wheelmill.prove.abi.torch_wheel import record_wheel

    for named in torches:
        if named.endswith(".whl"):
            with console.step(f"record {Path(named).name}"), _file(Path(named)) as stream:
                yield record_wheel(stream, Path(named).name, known=known)
            continue
        for arch in arches:
            with console.step(f"record {package} {named} for {arch}"):
                found = index.find(package, named, arch, index_url())
                with index.opened(found) as stream:
                    yield record_wheel(stream, found.file, found.pythons, known)


def _file(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise WheelmillError(
            f"{path} cannot be read: {error.strerror}", hint="Give the path of a wheel."
        ) from None


@abi.command("list")
@output_options
def listed(console: Console) -> int:
    """List the torches that are recorded."""
    shelf = _shelf()
    rows = [
        {
            "package": one.package,
            "version": one.version,
            "arch": one.arch,
            "build": one.build,
            "pythons": list(one.pythons),
            "wheel": one.wheel,
        }
        for one in reversed(shelf.origins)
    ]
    console.result({"schema": 1, "records": rows})
    columns = ("package", "version", "arch", "build", "Pythons")
    console.table(
        columns,
        (
            (one.package, one.version, one.arch, one.build, ", ".join(one.pythons))
            for one in reversed(shelf.origins)
        ),
        whole=columns[:4],
    )
    return 0


def _shelf() -> Shelf:
    from wheelmill.prove.abi.kept import Shelf

    return Shelf(project().abi_folder)
