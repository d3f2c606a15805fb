"""A worker's process."""

from __future__ import annotations

import asyncio
import os
import socket

from wheelmill.make.cluster import ClusterError
from wheelmill.make.cluster.dask import distributed
from wheelmill.make.cluster.worker import serve
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.make.workshop import Workshop
from wheelmill.progress import Progress

_CONNECT = 10.0  # seconds


def run_worker(address: str, workshop: Workshop, note: Progress) -> None:
    """Compile for the scheduler at `address` with this workshop until the scheduler ends.

    Raises ClusterError when there is none, or when it is lost.
    """
    serve(workshop)
    try:
        asyncio.run(_run(address, workshop, note))
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        raise ClusterError(
            f"there is no Dask scheduler at {address}: {error}", hint="start one: dask scheduler"
        ) from None


async def _run(address: str, workshop: Workshop, note: Progress) -> None:
    folder = workshop.store.root / "dask"
    folder.mkdir(parents=True, exist_ok=True)
    async with distributed().Worker(
        address,
        nthreads=1,
        name=f"{socket.gethostname()}-{os.getpid()}",
        resources={host_arch(): 1, workshop.engine.name: 1},
        memory_limit=0,  # compilers take the memory, not what Dask counts
        local_directory=str(folder),
        death_timeout=_CONNECT,
        dashboard=False,
    ) as worker:
        note(f"compiling for {address} as {worker.address}, with the engine {workshop.engine.name}")
        await worker.finished()
    note(f"the scheduler at {address} ended")
