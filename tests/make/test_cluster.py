"""A build on the workers of a real Dask scheduler: where bundles go, and what a failing part costs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from wheelmill.make.cluster import ClusterError
from wheelmill.make.cluster.engine import ClusterEngine
from wheelmill.make.cluster.placement import Running, Start, Wanted, place
from wheelmill.make.toolchain.compiler import host_arch

from tests.make.cluster import CELL, Cluster, ended, read_line, scheduler, wheels
from tests.make.conftest import LINE, PROJECT, Checkout, alive


@pytest.fixture
def cluster(checkout: Checkout) -> Iterator[Cluster]:
    with scheduler(checkout) as made:
        yield made


# ---------------------------------------------------------------------------------------------------- placing
def wanted(name: str, cost: float = 1.0, **hows: str) -> Wanted:
    return Wanted(name, cost, hows)  # type: ignore[arg-type]


def test_a_bundle_goes_where_it_is_native_before_where_it_is_cross() -> None:
    arm, intel = wanted("arm", x="cross", a="native"), wanted("intel", x="native", a="cross")
    assert place([arm, intel], [], ["x", "a"], ratios=(), now=0) == (Start(arm, "a"), Start(intel, "x"))
    assert place([arm], [Running(intel, "a", 0)], ["x", "a"], ratios=(), now=0) == (Start(arm, "x"),)


def test_the_longest_goes_first_and_no_machine_idles_that_can_do_something() -> None:
    short, long = wanted("short", 1, m="native", n="emulated"), wanted("long", 9, m="native")
    assert place([short, long], [], ["m", "n"], ratios=(), now=0) == (Start(long, "m"), Start(short, "n"))


def test_a_slow_bundle_is_started_again_on_a_free_machine_and_only_once() -> None:
    slow = wanted("slow", 10, m="native", n="native", o="native")
    first = Running(slow, "m", since=0)
    usual = (1.0, 1.0, 1.1)
    assert place([], [first], ["m", "n"], ratios=usual, now=19) == ()
    assert place([], [first], ["m", "n"], ratios=usual, now=21) == (Start(slow, "n"),)
    assert place([], [first], ["m", "n"], ratios=usual[:2], now=21) == ()
    assert place([], [first, Running(slow, "n", 21)], ["m", "n", "o"], ratios=usual, now=99) == ()


# --------------------------------------------------------------------------------------------------- building
def test_two_machines_build_a_line_with_the_bytes_of_one(cluster: Cluster, cross_compiler: None) -> None:
    checkout = cluster.checkout
    alone = checkout.run("build", "--line", LINE, "--no-smoke")
    assert alone.returncode == 0, alone.stderr
    whole = wheels(checkout.home)
    checkout.home.rename(checkout.root / "alone")
    for _ in range(2):
        cluster.worker()
    code, _, err = ended(cluster.build("--line", LINE))
    assert code == 0, err
    assert len(whole) == 8  # of six cells, and of two simulators
    assert wheels(checkout.home) == whole
    made = [list(Path(checkout.root, f"machine{n}").glob("worker/logs/torch-*.log")) for n in range(2)]
    assert [len(logs) for logs in made] == [1, 1]
    assert list(checkout.home.glob("logs/torch-*.log")) != []


def test_two_clients_get_the_same_bytes_of_one_cell(cluster: Cluster) -> None:
    cluster.worker()
    cluster.worker()
    homes = [cluster.checkout.root / name for name in ("first", "second")]
    words = ("build", CELL, "--no-smoke", "--on", cluster.address)
    clients = [cluster.checkout.start(*words, WHEELMILL_HOME=str(home)) for home in homes]
    for client in clients:
        code, _, said = ended(client)
        assert code == 0, said
    found = [wheels(home) for home in homes]
    assert found[0] == found[1]
    assert len(found[0]) == 2, "the adapter's and the simulator's"


def test_a_worker_that_is_killed_while_compiling_costs_nothing(cluster: Cluster) -> None:
    cluster.checkout.make_slow()
    first = cluster.worker()
    build = cluster.build(CELL)
    step = cluster.checkout.steps(host_arch())[host_arch()]
    first.send_signal(signal.SIGKILL)
    os.kill(step, signal.SIGKILL)
    cluster.checkout.let_go()
    cluster.worker()
    code, _, err = ended(build)
    assert code == 0, err
    assert "was lost with its worker" in err


@pytest.mark.on_demand
def test_interrupting_ends_the_remote_compilers(cluster: Cluster) -> None:
    cluster.checkout.make_slow()
    cluster.worker()
    build = cluster.build(CELL)
    step = cluster.checkout.steps(host_arch())[host_arch()]
    build.send_signal(signal.SIGINT)
    assert ended(build)[0] == 130
    end = time.monotonic() + 60
    while alive(str(step)):
        assert time.monotonic() < end, "the remote compiler still runs"
        time.sleep(0.1)


@pytest.mark.on_demand
def test_a_scheduler_that_is_killed_is_one_error(cluster: Cluster) -> None:
    cluster.checkout.make_slow()
    cluster.worker()
    build = cluster.build(CELL)
    step = cluster.checkout.steps(host_arch())[host_arch()]
    cluster.scheduler.kill()
    code, _, err = ended(build)
    assert ended(cluster.workers[0])[0] == 0
    assert not alive(str(step))
    assert code == 1
    assert "was lost" in err
    assert "run the same command" in err
    assert "Traceback" not in err


@pytest.mark.on_demand
def test_a_worker_that_is_asked_to_end_ends_its_compilers_and_another_goes_on(cluster: Cluster) -> None:
    cluster.checkout.make_slow()
    first = cluster.worker()
    build = cluster.build(CELL)
    step = cluster.checkout.steps(host_arch())[host_arch()]
    first.terminate()
    assert ended(first)[0] == 0
    assert not alive(str(step))
    cluster.checkout.let_go()
    cluster.worker()
    code, _, err = ended(build)
    assert code == 0, err


@pytest.mark.on_demand
def test_what_does_not_compile_fails_once_and_names_the_worker(cluster: Cluster) -> None:
    source = cluster.checkout.adapter / "core" / "opapi.cpp"
    source.write_text(source.read_text() + "#error no\n")
    for _ in range(2):
        cluster.worker()
    code, _, err = ended(cluster.build(CELL))
    assert code == 1
    assert re.search(r"on worker \S+ \(tcp://[\d.:]+\): compile of torch-2\.1\.0", err), err
    assert "goes to another worker" not in err


@pytest.mark.on_demand
def test_what_one_machine_cannot_do_another_does(cluster: Cluster) -> None:
    cluster.worker()
    full = cluster.checkout.root / "machine0" / "worker" / "work"
    full.mkdir(parents=True, exist_ok=True)
    (full / f"torch-2.1.0-{host_arch()}").write_text("a file where a folder has to be")
    cluster.worker()
    code, _, err = ended(cluster.build(CELL))
    assert code == 0, err


@pytest.mark.on_demand
def test_a_worker_that_lies_about_a_hash_is_not_believed(cluster: Cluster) -> None:
    cluster.patched_worker(program=LIES)
    build = cluster.build(CELL)
    lines = []
    assert build.stderr is not None
    for line in build.stderr:
        lines.append(line)
        if "results are not used any more" in line:
            break
    cluster.worker()
    code, _, err = ended(build)
    assert code == 0, "".join(lines) + err


LIES = """
from dataclasses import replace
import wheelmill.make.cluster.worker as worker
honest = worker.compile_bundle
def lie(request, token):
    answer = honest(request, token)
    return replace(answer, content=answer.content + b"more")
worker.compile_bundle = lie
"""


@pytest.mark.on_demand
def test_workers_are_listed(cluster: Cluster) -> None:
    cluster.worker()
    done = cluster.checkout.run("workers", cluster.address, "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["workers"]
    assert (found["arch"], found["engine"], found["compiles"]) == (host_arch(), "auto", "")


# -------------------------------------------------------------------------------------------------- bad input
@pytest.mark.parametrize("command", [("build", CELL, "--on"), ("worker",)])
def test_an_address_without_a_scheduler_is_one_error(checkout: Checkout, command: tuple[str, ...]) -> None:
    done = checkout.run(*command, "dask://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no Dask scheduler at tcp://127.0.0.1:9"), done.stderr
    assert "Traceback" not in done.stderr


def test_no_address_is_a_usage_error(checkout: Checkout) -> None:
    done = checkout.run("build", CELL, "--on", "localhost")
    assert done.returncode == 2
    assert "dask://HOST:PORT" in done.stderr


@pytest.mark.on_demand
def test_a_worker_of_another_wheelmill_is_told_and_not_used(cluster: Cluster) -> None:
    older = cluster.checkout.root / "older"
    shutil.copytree(PROJECT / "release" / "wheelmill", older / "wheelmill")
    with (older / "wheelmill" / "errors.py").open("a") as file:
        file.write("# as it was\n")
    cluster.worker(PYTHONPATH=str(older))
    code, _, said = ended(cluster.build(CELL))
    assert code == 1
    assert "has another wheelmill than this machine: not used" in said
    assert "no worker that can compile" in said


@pytest.mark.on_demand
def test_a_cluster_without_a_worker_that_fits_says_what_to_start(cluster: Cluster) -> None:
    plain = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "distributed.cli.dask_worker",
            cluster.address.replace("dask", "tcp"),
            "--no-nanny",
        ],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ""},
    )
    try:
        while "Starting established connection" not in (line := read_line(plain)):
            assert line
        told: list[str] = []
        with pytest.raises(ClusterError, match="no worker that can compile") as raised:
            ClusterEngine(cluster.address.replace("dask", "tcp"), told.append)
        assert "wheelmill worker tcp://" in str(raised.value.hint)
        assert "cannot compile and is not used" in told[0]
    finally:
        plain.kill()
        plain.communicate()
