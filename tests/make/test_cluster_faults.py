"""Machines of a cluster that fail, as real processes, file systems and networks: no cell is lost, and each
wheel has the bytes that one machine gives it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from wheelmill.make.toolchain.compiler import host_arch

from tests.make.cluster import CELL, Cluster, ended, read_line, scheduler, until, wheels
from tests.make.conftest import Checkout, alive
from tests.needs import lacks, need_program

pytestmark = pytest.mark.on_demand

SLOW_LINES = {"2.2.0": "v2.2.0-6.0.rc2", "2.3.1": "v2.3.1-6.0.rc2", "2.4.0": "v2.4.0-6.0.rc3"}
# The fault shows itself by a file, and waits for its end.
_WAIT = """
def wait(name):
    import os, time
    open(os.path.join({root!r}, name), "w").close()
    time.sleep(3600)
"""
UPLOADING = """
import wheelmill.store.remote as remote
def put(self, content, target):
    if isinstance(content, bytes):
        return self._fs.pipe_file(target, content)
    with open(target, "wb") as half, open(content, "rb") as whole:
        half.write(whole.read()[:1000])
        half.flush()
        wait("uploading")
remote.Remote._put = put
"""
SENDING = """
import distributed, asyncio
async def get_data(self, comm, **words):
    import os
    open(os.path.join({root!r}, "sending"), "w").close()
    await asyncio.sleep(3600)
distributed.Worker.get_data = get_data
"""
ENDING = """
import os
import wheelmill.make.cluster.worker as worker
worker.compile_bundle = lambda *given: os._exit(1)
"""
SILENT = """
import wheelmill.make.cluster.worker as worker
worker.profile = lambda: wait("asked")
"""


@pytest.fixture
def cluster(checkout: Checkout) -> Iterator[Cluster]:
    with scheduler(checkout) as made:
        yield made


@pytest.fixture
def alone(checkout: Checkout) -> dict[str, str]:
    """The wheels of the cell, built by one machine."""
    home = checkout.root / "alone"
    done = checkout.run("build", CELL, "--no-smoke", WHEELMILL_HOME=str(home))
    assert done.returncode == 0, done.stderr
    return wheels(home)


def fault(cluster: Cluster, program: str) -> str:
    root = str(cluster.checkout.root)
    return (_WAIT + program).replace("{root!r}", repr(root))


def first_lost_second_builds(cluster: Cluster, build: subprocess.Popen[str]) -> str:
    """Kill the first worker; a second one brings the build to its end. What was said."""
    cluster.workers[0].send_signal(signal.SIGKILL)
    cluster.worker()
    code, _, err = ended(build)
    assert code == 0, err
    assert "was lost with its worker" in err
    return err


def test_a_worker_that_is_killed_while_it_sends_its_result_costs_time_alone(
    cluster: Cluster, alone: dict[str, str]
) -> None:
    cluster.patched_worker(program=fault(cluster, SENDING))
    build = cluster.build(CELL)
    until(cluster.checkout.root / "sending")
    first_lost_second_builds(cluster, build)
    assert wheels(cluster.checkout.home) == alone


def test_a_worker_that_is_killed_while_it_uploads_leaves_nothing_that_others_take(
    cluster: Cluster, alone: dict[str, str], tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    cluster.patched_worker("--remote", str(shared), program=fault(cluster, UPLOADING))
    build = cluster.build(CELL, "--remote", str(shared))
    until(cluster.checkout.root / "uploading")
    (half,) = [path for path in (shared / "objects").rglob("*") if path.is_file()]
    assert half.stat().st_size == 1000
    first_lost_second_builds(cluster, build)
    assert wheels(cluster.checkout.home) == alone
    third = cluster.checkout.run(
        "build", CELL, "--no-smoke", "--remote", str(shared), WHEELMILL_HOME=str(tmp_path / "third")
    )
    assert (third.returncode, "compile" in third.stdout) == (0, False), third.stderr
    assert wheels(tmp_path / "third") == alone


def test_a_worker_that_answers_nothing_is_not_waited_for(cluster: Cluster, alone: dict[str, str]) -> None:
    silent = cluster.patched_worker(program=fault(cluster, SILENT))
    cluster.worker()
    code, _, err = ended(cluster.build(CELL))
    silent.kill()
    assert code == 0, err
    assert "does not answer" in err
    assert wheels(cluster.checkout.home) == alone


def test_a_bundle_that_ends_three_workers_fails_and_says_what_became_of_each(cluster: Cluster) -> None:
    build = None
    for _ in range(3):
        cluster.patched_worker(program=ENDING)
        build = build or cluster.build(CELL)
        cluster.workers[-1].wait()
    assert build is not None
    code, _, err = ended(build)
    assert code == 1
    assert "was lost with 3 workers, one after another: tcp://" in err
    assert err.count("(it is gone)") + err.count("(it ended while compiling)") >= 3
    assert "what each printed last says why" in err


def test_a_worker_that_was_dropped_while_it_lived_joins_again(
    checkout: Checkout, alone: dict[str, str]
) -> None:
    with scheduler(checkout, DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL="5s") as cluster:
        worker = cluster.worker()
        worker.send_signal(signal.SIGSTOP)
        while "no worker" not in checkout.run("build", CELL, "--no-smoke", "--on", cluster.address).stderr:
            time.sleep(1)
        worker.send_signal(signal.SIGCONT)
        said = [read_line(worker)]
        while "compiling for" not in said[-1]:
            assert worker.poll() is None, said
            said.append(read_line(worker))
        assert any("has dropped this worker" in line for line in said)
        code, _, err = ended(cluster.build(CELL))
        assert code == 0, err
        assert wheels(checkout.home) == alone
        worker.terminate()
        assert ended(worker)[0] == 0


# ------------------------------------------------------------------------------------------------------- disk
@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of this size in a folder."""
    if os.geteuid() != 0:
        lacks("root, to mount a small file system")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "small", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_bundle_that_finds_the_disk_full_goes_to_another_machine(cluster: Cluster) -> None:
    checkout = cluster.checkout
    checkout.make_slow()
    with small_disk(cluster.home(0), "64M"):
        first = cluster.worker(CCACHE_DISABLE="1")
        build = cluster.build(CELL)
        checkout.steps(host_arch())
        cluster.worker()
        fill(cluster.home(0))
        checkout.let_go()
        code, _, err = ended(build)
        first.kill()
        first.wait()
        assert code == 0, err
        assert "goes to another worker" in err
        assert re.search(r"the disk of .* is full|No space left", err), err
    alone = checkout.run("build", CELL, "--no-smoke", WHEELMILL_HOME=str(checkout.root / "alone"))
    assert alone.returncode == 0, alone.stderr
    assert wheels(checkout.home) == wheels(checkout.root / "alone")


def fill(folder: Path) -> None:
    """Leave no byte of its file system."""
    with suppress(OSError), (folder / "full").open("wb", buffering=0) as file:
        while file.write(bytes(1 << 16)):
            pass


# ------------------------------------------------------------------------------------------------------- slow
def test_a_slow_bundle_is_compiled_elsewhere_and_the_first_result_wins(
    cluster: Cluster, linkable_torch: Path
) -> None:
    checkout = cluster.checkout
    for version in SLOW_LINES:
        checkout.make_small(version, linkable_torch)
    cells = [CELL, *(f"{line}/3.8/{host_arch()}" for line in SLOW_LINES.values())]
    alone = checkout.run("build", *cells, "--no-smoke", WHEELMILL_HOME=str(checkout.root / "alone"))
    assert alone.returncode == 0, alone.stderr
    frozen = psutil.Process(cluster.worker().pid)
    build = cluster.build(*cells)
    folder = cluster.home(0) / "worker" / "work"
    end = time.monotonic() + 600
    while not list(folder.glob("torch-*/sources")):
        assert time.monotonic() < end
        time.sleep(0.01)
    stopped = [frozen, *frozen.children(recursive=True)]
    for process in stopped:
        process.suspend()
    cluster.worker()
    code, _, err = ended(build)
    for process in stopped:
        process.resume()
    assert code == 0, err
    assert "is slow on" in err
    assert wheels(checkout.home) == wheels(checkout.root / "alone")
    assert len(wheels(checkout.home)) == 2 * len(cells)
    _, gone = psutil.wait_procs(stopped[1:], timeout=60)
    assert gone == [], "what nobody wants any more is compiled on"


# ---------------------------------------------------------------------------------------------------- network
@contextmanager
def other_network() -> Iterator[tuple[str, str, str]]:
    """A network of two: this machine's address, the namespace of the other, and its cable."""
    need_program("ip", "iproute2")
    if os.geteuid() != 0:
        lacks("root, to make a network namespace")
    name, cable, subnet = f"mill{os.getpid()}", f"mc{os.getpid()}", f"10.99.{os.getpid() % 250}"
    other = f"mo{os.getpid()}"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    ip("netns", "add", name)
    try:
        ip("link", "add", cable, "type", "veth", "peer", "name", other, "netns", name)
        ip("address", "add", f"{subnet}.1/24", "dev", cable)
        ip("link", "set", cable, "up")
        ip("-n", name, "address", "add", f"{subnet}.2/24", "dev", other)
        ip("-n", name, "link", "set", other, "up")
        ip("-n", name, "link", "set", "lo", "up")
        yield f"{subnet}.1", name, cable
    finally:
        ip("netns", "delete", name)


def test_a_worker_whose_network_is_cut_is_replaced(checkout: Checkout, alone: dict[str, str]) -> None:
    checkout.make_slow()
    fresh = checkout.root / "slow-alone"
    checkout.let_go()
    done = checkout.run("build", CELL, "--no-smoke", WHEELMILL_HOME=str(fresh))
    assert done.returncode == 0, done.stderr
    (checkout.root / "go").unlink()
    (checkout.root / "steps" / host_arch()).unlink()
    with other_network() as (address, name, cable), scheduler(checkout, address) as cluster:
        cluster.worker(before=("ip", "netns", "exec", name))
        build = cluster.build(CELL)
        step = checkout.steps(host_arch())[host_arch()]
        subprocess.run(["ip", "link", "set", cable, "down"], check=True)
        cluster.worker()
        checkout.let_go()
        code, _, err = ended(build)
        assert code == 0, err
        assert "was lost with its worker" in err
        assert wheels(checkout.home) == wheels(fresh)
        assert not alive(str(step))
        cluster.workers[0].terminate()
        assert ended(cluster.workers[0])[0] in (0, 1)
