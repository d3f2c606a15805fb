"""`wheelmill index`, `serve`: the local package index."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheelmill.cli import output_options, project
from wheelmill.console import Console
from wheelmill.errors import WheelmillError

if TYPE_CHECKING:
    from wheelmill.store import Store


@click.command()
@output_options
def index(console: Console) -> int:
    """Rebuild the local index from every admitted wheel and print its path.

    Every file is hashed; damaged ones are named and made again. Exit code 1 if an admitted wheel is damaged
    or gone, and so not in the index.
    """
    from wheelmill.publish.pipeline import show_index

    shown = show_index(_store(console))
    console.say(str(shown.path))
    console.result(shown.to_json())
    return 1 if shown.absent else 0


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8734,
    show_default=True,
    help="The port; 0 takes a free one.",
)
@click.option(
    "--index", "root", type=click.Path(path_type=Path), help="The index to serve. [default: the local one]"
)
def serve(port: int, root: Path | None) -> None:
    """Serve an index on loopback until interrupted, for `pip install --index-url`."""
    from wheelmill.publish.index import IndexServer, Request
    from wheelmill.publish.pipeline import show_index

    console = Console()

    def listener(request: Request) -> None:
        console.note(f"{request.method} {request.path} {request.status} {request.agent}")

    served = root or show_index(_store(console)).path
    with IndexServer(served, port=port, listener=listener) as server:
        console.say(f"pip install --index-url {server.simple_url} torch_npu")
        threading.Event().wait()


def _store(console: Console) -> Store:
    from wheelmill.store import Store, default_root

    root = default_root(project().checkout)
    if not (root / "journal.jsonl").is_file():
        raise WheelmillError(
            f"There is no wheel in {root} yet.", hint="Build one: wheelmill build 3.11-x86_64"
        )
    return Store(root, notice=console.warn)
