"""`wheelmill index`, `serve`: the local package index, a server to look at it, and one for production."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheelmill.cli import described, home, output_options, project
from wheelmill.console import Console
from wheelmill.errors import WheelmillError

if TYPE_CHECKING:
    from wheelmill.store import Store

_ROOT = click.option(
    "--index", "root", type=click.Path(path_type=Path), help="Another index. [default: the local one]"
)


@click.group(invoke_without_command=True)
@output_options
@click.pass_context
def index(ctx: click.Context, console: Console) -> int | None:
    """Rebuild the local index from every admitted wheel and print its path.

    Every file is hashed; damaged ones are named and made again. Exit code 1 if an admitted wheel is damaged
    or gone, and so not in the index.
    """
    if ctx.invoked_subcommand is not None:
        return None
    from wheelmill.publish.pipeline import show_index

    shown = show_index(_store(console))
    console.say(str(shown.path))
    console.result(shown.to_json())
    return 1 if shown.absent else 0


@index.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8734,
    show_default=True,
    help="The port; 0 takes a free one.",
)
@_ROOT
def serve(port: int, root: Path | None) -> None:
    """Serve an index on loopback until interrupted, for `pip install --index-url`."""
    from wheelmill.matrix.own import own_packages
    from wheelmill.publish.index import IndexServer, Request
    from wheelmill.publish.index.serve import allow_many_files
    from wheelmill.publish.pipeline import show_index

    console = Console()

    def listener(request: Request) -> None:
        console.note(f"{request.method} {request.path} {request.status} {request.agent}")

    served = root or show_index(_store(console)).path
    allow_many_files()
    with IndexServer(served, port=port, listener=listener) as server:
        file = described()
        package = own_packages().adapter.name if file is None else file.project.package
        console.say(f"pip install --index-url {server.simple_url} {package}")
        threading.Event().wait()


@index.command()
@_ROOT
@click.option("--listen", metavar="[ADDRESS:]PORT", help="Where to listen. [default: 80, or 443 with --tls]")
@click.option("--server-name", default="_", metavar="NAME", help="The host's name. [default: any]")
@click.option(
    "--prefix", default="/", show_default=True, metavar="PATH", help="The index's path on the host."
)
@click.option("--tls", is_flag=True, help="Listen for HTTPS; the file says where certificates go.")
def nginx(root: Path | None, listen: str | None, server_name: str, prefix: str, tls: bool) -> None:
    """Print nginx's configuration for an index, for /etc/nginx/conf.d.

    HTML or JSON by what a client accepts, content types, caching; a publish needs no reload.
    """
    from wheelmill.publish.index.nginx import configuration
    from wheelmill.publish.pipeline import INDEX
    from wheelmill.store import default_root

    served = root or default_root(home()) / INDEX
    port = listen or ("443" if tls else "80")
    Console().text(configuration(served, listen=port, server_name=server_name, prefix=prefix, tls=tls))


@index.command()
@_ROOT
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where to. [default: beside the index, INDEX-variants]",
)
@output_options
def variants(root: Path | None, into: Path | None, console: Console) -> int:
    """Make the views of an index once more with wheel variants, for uv's preview (PEP 825).

    A view's page then also lists each wheel as a variant of its CANN, and variants.json. The wheels are those
    of the index, linked, and variants that are made of them. Run it again after each release.
    """
    from wheelmill.cli.matrix import today
    from wheelmill.publish.index.variants import write_variants
    from wheelmill.publish.index.views import layout_of
    from wheelmill.store import Store, default_root

    here = project()
    store = Store(default_root(here.checkout), notice=console.warn)
    served = root or store.root / "public"
    target = into or served.with_name(f"{served.name}-variants")
    with store.scratch("variants-") as work, console.step(f"variants of {served}"):
        built = write_variants(served, target, layout_of(here.matrix(), today()), work)
    console.say(f"{target}  ({built.wheels} wheels)")
    console.result({"schema": 1, "index": str(target), "wheels": built.wheels, "changed": built.changed})
    return 0


def _store(console: Console) -> Store:
    from wheelmill.store import Store, default_root

    root = default_root(home())
    if not (root / "journal.jsonl").is_file():
        raise WheelmillError(
            f"There is no wheel in {root} yet.", hint="Build one: wheelmill build 3.11-x86_64"
        )
    return Store(root, notice=console.warn)
