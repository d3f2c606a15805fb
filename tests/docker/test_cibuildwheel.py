"""cibuildwheel runs the same recipe in the same images, as closed as the docker engine; same bytes."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from wheelmill.make import containers
from wheelmill.make.engines import EngineError
from wheelmill.make.engines.builder import Options
from wheelmill.make.engines.cibuildwheel import CibuildwheelEngine
from wheelmill.make.images import Image, ImageShop
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.progress import silent

from tests.docker.test_engine import FILES, LOOK_AROUND, SLEEP, MakeEngine, MakeJob, gone
from tests.docker.test_images import OTHER

if TYPE_CHECKING:
    import docker

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left")]


@pytest.fixture
def field_engine(builder: Image, shop: ImageShop) -> CibuildwheelEngine:
    """cibuildwheel on the session's builder image."""
    if sys.version_info < (3, 11):
        pytest.skip("cibuildwheel runs on Python 3.11 or newer")
    return CibuildwheelEngine(shop, Options(base="debian"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("arch", [host_arch(), pytest.param(OTHER, marks=pytest.mark.on_demand)])
def test_both_container_engines_give_the_same_bytes(
    engine: MakeEngine, field_engine: CibuildwheelEngine, job: MakeJob, arch: str
) -> None:
    """For the other architecture: cross-compiled, and natively under emulation."""
    ours = engine().build(job(arch=arch, folder="ours"), silent)
    theirs = field_engine.build(job(arch=arch, folder="theirs", fresh=True), silent)
    assert [(ours.prefix / name).read_bytes() for name in FILES] == [
        (theirs.prefix / name).read_bytes() for name in FILES
    ]
    assert set(theirs.seconds) == set(ours.seconds) == {"configure", "compile", "install"}
    assert field_engine.identity(arch, "manylinux_2_17") == engine().identity(arch, "manylinux_2_17")


def test_its_container_is_as_closed_as_the_docker_engine_s(
    field_engine: CibuildwheelEngine, job: MakeJob
) -> None:
    one = job(LOOK_AROUND)
    field_engine.build(one, silent)
    told = one.log.read_text()
    assert f"user={os.getuid() or 1000} links=1 mask=0022 powers=0000000000000000" in told  # lo alone
    assert "written: 1 1 1" in told
    assert "folders: /wheelmill/sources/adapter /wheelmill/work/build /wheelmill/sdk" in told
    assert "/host" not in told  # where cibuildwheel mounts the whole machine unless told otherwise


def test_a_compiler_error_comes_through(field_engine: CibuildwheelEngine, job: MakeJob) -> None:
    one = job()
    (one.sources / "adapter" / "core" / "opapi.cpp").write_text("int broken() { return missing; }\n")
    with pytest.raises(EngineError, match=r"missing. was not declared") as caught:
        field_engine.build(one, silent)
    assert str(one.log) in str(caught.value.hint)


def test_a_build_that_takes_too_long_leaves_no_container(
    field_engine: CibuildwheelEngine, job: MakeJob
) -> None:
    with pytest.raises(EngineError, match="within 10 s"):
        field_engine.build(job(SLEEP, timeout=10.0), silent)


KILLED = """
import pickle, sys
from wheelmill.make.engines.cibuildwheel import CibuildwheelEngine
from wheelmill.make.engines.builder import Options
from wheelmill.progress import silent
shop, job = pickle.load(sys.stdin.buffer)
CibuildwheelEngine(shop, Options(base="debian")).build(job, silent)
"""


def test_killing_the_build_ends_its_container(
    field_engine: CibuildwheelEngine, job: MakeJob, shop: ImageShop, client: docker.DockerClient
) -> None:
    one = job('message(STATUS "sleeping")\n' + SLEEP)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", KILLED], stdin=subprocess.PIPE, env=environment)
    assert process.stdin is not None
    with process.stdin:
        pickle.dump((shop, one), process.stdin)
    owner = f"wheelmill={containers.owner(process.pid)}"
    while "sleeping" not in (one.log.read_text() if one.log.exists() else ""):
        assert process.poll() is None
        time.sleep(0.2)
    (running,) = client.containers.list(filters={"label": owner})
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert gone(client, running.name)
