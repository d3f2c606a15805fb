"""A worker's process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from wheelmill.make.cluster import ClusterError
from wheelmill.make.cluster.dask import distributed
from wheelmill.make.cluster.worker import begin, end_compilers, serve
from wheelmill.make.packages.compilers import Place
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.make.workshop import Workshop
from wheelmill.progress import Progress

_CONNECT = 10.0  # seconds
_CLOSE = 30.0


def run_worker(address: str, workshop: Workshop, place: Place, note: Progress) -> None:
    """Build for the scheduler at `address` with this workshop and place until the scheduler ends.

    A scheduler drops a worker that it has not heard of for some time, as where the machine was overloaded or
    its network was away; then this one joins again. Raises ClusterError when there is none.
    """
    serve(workshop, place)
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(
            _run(address, workshop, note)
        )  # asyncio.run waits for tasks of Dask's that stay
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        raise ClusterError(
            f"there is no Dask scheduler at {address}: {error}", hint="start one: dask scheduler"
        ) from None


async def _run(address: str, workshop: Workshop, note: Progress) -> None:
    folder = workshop.store.root / "dask"
    folder.mkdir(parents=True, exist_ok=True)
    asked = asyncio.Event()
    worker = await _joined(address, workshop, folder)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    while True:
        begin()
        note(f"compiling for {address} as {worker.address}, with the engine {workshop.engine.name}")
        ends = {asyncio.ensure_future(worker.finished()), asyncio.ensure_future(asked.wait())}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.to_thread(end_compilers)  # Dask's loop goes on: the compilers' thread tells it things
        if asked.is_set():
            note("stopped")
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(worker.close(), _CLOSE)
        if asked.is_set():
            return
        if not await _answers(address):
            note(f"the scheduler at {address} ended")
            return
        note(f"the scheduler at {address} has dropped this worker, of which it heard nothing: joining again")
        worker = await _joined(address, workshop, folder)


async def _joined(address: str, workshop: Workshop, folder: Path) -> Any:
    """A worker of Dask's that the scheduler knows."""
    return await distributed().Worker(
        address,
        nthreads=1,
        name=f"{socket.gethostname()}-{os.getpid()}",
        resources={host_arch(): 1, workshop.engine.name: 1},
        memory_limit=0,  # compilers take the memory, not what Dask counts
        local_directory=str(folder),
        death_timeout=_CONNECT,
        dashboard=False,
    )


async def _answers(address: str) -> bool:
    """Whether there is a scheduler at the address."""
    try:
        comm = await distributed().comm.connect(address, timeout=_CONNECT)
    except OSError:
        return False
    await comm.close()
    return True
