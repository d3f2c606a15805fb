"""`wheelmill worker` and `workers`: the machines that compile for others."""

from __future__ import annotations

import dataclasses

import click

from wheelmill.cli import output_options, project
from wheelmill.cli.options import EngineOptions, engine_options, scheduler
from wheelmill.console import Console

__all__ = ["worker", "workers"]


@click.command()
@click.argument("address", metavar="dask://HOST:PORT")
@engine_options
@output_options
def worker(address: str, engine: EngineOptions, console: Console) -> int:
    """Build for whoever asks the Dask scheduler at this address, until it ends.

    Run it on each machine, in a checkout of the very wheelmill that asks. It compiles one bundle, or builds
    one package of a project with a file of its own, at a time, with all compilers that --jobs, --cpus and
    --memory allow, and keeps what it made in `.wheelmill/worker`.
    """
    from wheelmill.make.cluster.process import run_worker
    from wheelmill.store import Store

    if engine.on is not None:
        raise click.UsageError("--on is for who builds; a worker gets its scheduler as an argument.")
    shared = engine.workshop(console, anywhere=True)
    own = Store(shared.store.root / "worker", notice=console.warn, remote=engine.remote)
    workshop = dataclasses.replace(shared, store=own, sdks=shared.store)
    place = engine.place(own, project().quick_matrix(), console)
    run_worker(scheduler(address), workshop, place, console.note)
    return 0


@click.command()
@click.argument("address", metavar="dask://HOST:PORT")
@output_options
def workers(address: str, console: Console) -> int:
    """Show the workers of the scheduler at this address, and what each is compiling."""
    from wheelmill.make.cluster.engine import ClusterEngine

    cluster = ClusterEngine(scheduler(address), console.note)
    busy = cluster.busy()
    rows = [
        {"address": where, "compiles": busy.get(where, ""), **dataclasses.asdict(found)}
        for where, found in cluster.profiles().items()
    ]
    cluster.close()
    console.result({"workers": rows})
    for row in rows:
        memory = f"{row['memory'] / (1 << 30):.0f} GiB"
        size = f"{row['cpus']:g} CPUs, {memory}"
        what = row["compiles"] or "idle"
        console.say(f"{row['host']}  {row['arch']}  {row['engine']}  {size}  {what}  ({row['address']})")
    return 0
