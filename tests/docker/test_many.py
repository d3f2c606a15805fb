"""Many cells in containers by the command line: side by side within limits, interrupted, and made again."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from wheelmill.make.images import Image

from tests.make.conftest import LINE, Checkout, adapter, checkout, linkable_torch, server, torch_wheel

if TYPE_CHECKING:
    import docker

__all__ = ["adapter", "checkout", "linkable_torch", "server", "torch_wheel"]  # fixtures

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("builder")]

DOCKER = ("--engine", "docker", "--base", "debian")
CELLS = (f"{LINE}/3.8/x86_64", f"{LINE}/3.8/aarch64")


def containers_of(client: docker.DockerClient, process: int) -> list[dict[str, Any]]:
    """What the engine knows of the containers that a process started."""
    listed = client.api.containers(all=True, filters={"label": "wheelmill"})
    return [item for item in listed if f"/{process}/" in item["Labels"]["wheelmill"]]


def test_bundles_share_the_limits_and_end_with_the_build(
    client: docker.DockerClient, checkout: Checkout
) -> None:
    lists = checkout.adapter / "CMakeLists.txt"
    lists.write_text(lists.read_text() + "\nadd_custom_target(slow ALL COMMAND sleep 600)\n")
    words = ("--no-smoke", "-q", "--cpus", "2", "--memory", "4G")
    process = checkout.start("build", *CELLS, *DOCKER, *words)
    end = time.monotonic() + 180
    while _compiling(checkout) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "the bundles did not come to their compilers"
        time.sleep(0.1)
    found = [client.api.inspect_container(item["Id"]) for item in containers_of(client, process.pid)]
    limits = [(item["HostConfig"]["NanoCpus"], item["HostConfig"]["Memory"]) for item in found]
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert limits == [(10**9, 2 << 30)] * 2
    assert (process.returncode, err.strip().startswith("interrupted; ")) == (130, True), err
    assert containers_of(client, process.pid) == []


def _compiling(checkout: Checkout) -> int:
    """How many bundles have come to their compilers."""
    return sum("--parallel 1" in log.read_text() for log in checkout.home.glob("logs/torch-*.log"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "engine",
    ["docker", pytest.param("cibuildwheel", marks=pytest.mark.on_demand)],  # the other one emulates
)
def test_a_cell_of_each_architecture_is_made_again_with_the_same_bytes(
    checkout: Checkout, builder: Image, tmp_path: Path, engine: str
) -> None:
    """By each engine what the docker engine made: for the other architecture cibuildwheel emulates it."""
    done = checkout.run("build", *CELLS, *DOCKER, "--no-smoke", "--json")
    assert done.returncode == 0, done.stderr
    for cell in json.loads(done.stdout)["cells"]:
        wheel = Path(shutil.copy2(cell["wheel"], tmp_path))
        words = ("--engine", engine, "--base", "debian", "--json")
        again = checkout.run("reproduce", str(wheel), *words)
        assert again.returncode == 0, again.stdout + again.stderr
        told = json.loads(again.stdout)
        assert (told["same"], told["engine"], told["cell"]) == (True, engine, cell["cell"])
        assert "compile" in told["seconds"]
