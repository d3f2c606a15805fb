"""The docker engine compiles for both architectures behind closed doors, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import pickle
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elftools.elf.elffile import ELFFile
from wheelmill.limits import Limits
from wheelmill.make import containers
from wheelmill.make.containers import Container, ContainerError, Spec, sweep
from wheelmill.make.engines import EngineError, Job
from wheelmill.make.engines.docker import DockerEngine
from wheelmill.make.engines.host import HostEngine
from wheelmill.make.images import Image, ImageShop
from wheelmill.progress import silent

from tests.docker.conftest import containers_of_this_machine

if TYPE_CHECKING:
    import docker

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left")]

MakeJob = Callable[..., Job]
MakeEngine = Callable[..., DockerEngine]

FILES = (
    "torch_npu/lib/libnpu_core.so",
    "torch_npu/lib/libtorch_npu.so",
    "cann_simulator/lib/libascendcl.so",
    "cann_simulator/lib/libopapi.so",
)

# What the build itself sees, told in its log.
LOOK_AROUND = """
execute_process(COMMAND id -u OUTPUT_VARIABLE user OUTPUT_STRIP_TRAILING_WHITESPACE)
execute_process(COMMAND touch ${CMAKE_CURRENT_SOURCE_DIR}/new RESULT_VARIABLE source_written ERROR_QUIET)
execute_process(COMMAND touch ${TORCH_SDK}/new RESULT_VARIABLE sdk_written ERROR_QUIET)
execute_process(COMMAND touch /usr/new RESULT_VARIABLE system_written ERROR_QUIET)
execute_process(COMMAND grep -c : /proc/net/dev OUTPUT_VARIABLE links OUTPUT_STRIP_TRAILING_WHITESPACE)
execute_process(COMMAND sh -c umask OUTPUT_VARIABLE mask OUTPUT_STRIP_TRAILING_WHITESPACE)
execute_process(COMMAND grep CapEff /proc/self/status OUTPUT_VARIABLE powers)
string(REGEX REPLACE "CapEff:|[^0-9a-f]" "" powers "${powers}")
message(STATUS "user=${user} links=${links} mask=${mask} powers=${powers}")
message(STATUS "written: ${source_written} ${sdk_written} ${system_written}")
message(STATUS "folders: ${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_BINARY_DIR} ${TORCH_SDK}")
"""
SLEEP = "execute_process(COMMAND sleep 600)\n"


@pytest.mark.parametrize(("arch", "machine"), [("x86_64", "EM_X86_64"), ("aarch64", "EM_AARCH64")])
def test_both_architectures_are_compiled_in_one_image(
    engine: MakeEngine, job: MakeJob, arch: str, machine: str
) -> None:
    made = engine()
    result = made.build(job(arch=arch), silent)
    assert {elf_machine(result.prefix / name) for name in FILES} == {machine}
    assert set(result.seconds) == {"configure", "compile", "install"}
    assert made.identity(arch, "manylinux_2_17").split("; ")[1].startswith(arch)


def test_the_same_sources_give_the_same_bytes_elsewhere_and_without_a_cache(
    engine: MakeEngine, job: MakeJob
) -> None:
    first, second = (
        engine().build(job(arch="aarch64", folder=folder, fresh=fresh), silent).prefix
        for folder, fresh in (("one", False), ("two", True))
    )
    assert [(first / name).read_bytes() for name in FILES] == [(second / name).read_bytes() for name in FILES]


def test_sources_have_the_names_that_the_host_engine_gives_them(
    engine: MakeEngine, job: MakeJob, tmp_path: Path
) -> None:
    """The compilers are not the same, so the bytes are not; what they are told of folders is."""
    ours = engine().build(job(), silent).prefix
    one = job(folder="host")
    sources = shutil.copytree(one.sources, one.workdir / "sources")
    host = HostEngine(tmp_path / "tools").build(replace(one, sources=sources), silent).prefix
    assert [source_names(host / name) for name in FILES] == [source_names(ours / name) for name in FILES]
    assert source_names(host / FILES[1]) == {
        "adapter/core/torch_npu.cpp",
        "../../sdk/include/torch/marker.h",
        "../../work/build/generated/part.h",
        "../../work/build/generated/register.cpp",
    }


def source_names(library: Path) -> set[str]:
    """The names of source files that a library holds."""
    return {name.decode() for name in re.findall(rb"[\w./+-]+/\w+\.(?:cpp|h)\b", library.read_bytes())}


def test_a_build_has_no_network_no_root_and_only_its_folder(engine: MakeEngine, job: MakeJob) -> None:
    one = job(LOOK_AROUND)
    engine().build(one, silent)
    told = one.log.read_text()
    assert f"user={os.getuid() or 1000} links=1 mask=0022 powers=0000000000000000" in told  # lo alone
    assert "written: 1 1 1" in told
    assert "folders: /wheelmill/sources/adapter /wheelmill/work/build /wheelmill/sdk" in told


def test_a_failed_compilation_names_the_error_and_the_log(engine: MakeEngine, job: MakeJob) -> None:
    one = job()
    (one.sources / "adapter" / "core" / "opapi.cpp").write_text("int broken() { return missing; }\n")
    with pytest.raises(EngineError, match=r"missing. was not declared") as caught:
        engine().build(one, silent)
    assert str(one.log) in str(caught.value.hint)
    assert "opapi.cpp" in one.log.read_text()


def test_a_kept_container_can_be_entered(
    engine: MakeEngine, job: MakeJob, client: docker.DockerClient
) -> None:
    with pytest.raises(EngineError, match="compiler said no") as caught:
        engine(keep=True).build(job('message(FATAL_ERROR "compiler said no")'), silent)
    (name,) = containers_of_this_machine(client)
    try:
        assert sweep(client) == []
        _, output = client.containers.get(name).exec_run(["ls", "/wheelmill/work"])
        assert b"build" in output
        assert f"docker exec -it {client.containers.get(name).id[:12]} bash" in str(caught.value.hint)
    finally:
        containers.remove(client, name)


def test_a_build_that_takes_too_long_is_stopped(engine: MakeEngine, job: MakeJob) -> None:
    with pytest.raises(EngineError, match="did not end within 2 s"):
        engine().build(job(SLEEP, timeout=2.0), silent)


def test_a_build_beyond_its_memory_says_so(engine: MakeEngine, job: MakeJob) -> None:
    eat = (
        'execute_process(COMMAND ${Python3_EXECUTABLE} -c "str(1) * (1 << 30)" COMMAND_ERROR_IS_FATAL ANY)\n'
    )
    limits = Limits(cpus=1, memory=256 << 20)
    with pytest.raises(EngineError, match=r"configure of torch-9\.1\.0-x86_64 failed") as caught:
        engine(limits=limits).build(job(eat), silent)
    assert "want of memory" in str(caught.value.hint)


def test_a_full_disk_is_named(engine: MakeEngine, job: MakeJob, small_disk: Path) -> None:
    with pytest.raises(EngineError, match="failed") as caught:
        engine().build(job(), silent)
    assert f"the disk of {small_disk} is full" in str(caught.value.hint)


def test_a_second_build_of_a_bundle_is_told_of_the_first(
    engine: MakeEngine, job: MakeJob, client: docker.DockerClient, builder: Image
) -> None:
    one = job()
    with (
        Container(client, Spec(builder.id, name=containers.name_for(one.recipe.key, one.workdir))),
        pytest.raises(ContainerError, match="of this name is there already") as caught,
    ):
        engine().build(one, silent)
    assert "another build in the same folder" in str(caught.value.hint)


def test_the_same_bundle_is_built_in_two_folders_at_once(
    engine: MakeEngine, job: MakeJob, client: docker.DockerClient, builder: Image
) -> None:
    """Two checkouts of a machine share its engine; so do two rebuilds of one checkout."""
    one, other = job(), job(folder="elsewhere")
    with Container(client, Spec(builder.id, name=containers.name_for(one.recipe.key, one.workdir))):
        result = engine().build(other, silent)
    assert all((result.prefix / name).is_file() for name in FILES)


KILLED = """
import os, sys
from wheelmill.make.containers import Container, Spec, connect
with Container(connect(), Spec(sys.argv[1], name=sys.argv[2])) as container:
    print("running", flush=True)
    container.run(["sleep", "600"])
"""


def test_killing_the_process_ends_its_container(client: docker.DockerClient, builder: Image) -> None:
    name = f"wheelmill-killed-{os.getpid()}"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, builder.id, name],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"running\n"
        assert client.containers.get(name).status == "running"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert gone(client, name)


def test_only_containers_of_ended_processes_are_swept(client: docker.DockerClient, builder: Image) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    mine = containers.owner()
    other = "/".join([*mine.split("/")[:3], ended.stdout.decode().strip(), "1"])
    for suffix, label in (("mine", mine), ("ended", other), ("foreign", f"elsewhere/{other}")):
        client.containers.create(builder.id, name=f"wheelmill-{suffix}", labels={containers.LABEL: label})
    try:
        assert sweep(client) == ["wheelmill-ended"]
    finally:
        for suffix in ("mine", "foreign"):
            containers.remove(client, f"wheelmill-{suffix}")


def elf_machine(path: Path) -> str:
    with path.open("rb") as stream:
        return str(ELFFile(stream)["e_machine"])


def gone(client: docker.DockerClient, name: str) -> bool:
    """Whether the container disappears within some seconds."""
    for _ in range(100):
        if not client.api.containers(all=True, filters={"name": name}):
            return True
        time.sleep(0.1)
    return False


SHELL = """
import pickle, sys
from wheelmill.make.engines.builder import Options
from wheelmill.make.engines.docker import DockerEngine
from wheelmill.make.engines.host import HostEngine
from wheelmill.progress import silent
with open(sys.argv[1], "rb") as given:
    shop, job = pickle.load(given)
DockerEngine(shop, Options(base="debian", shell=True)).build(job, silent)
"""


def test_a_shell_is_opened_in_the_failed_container(
    engine: MakeEngine, job: MakeJob, shop: ImageShop, tmp_path: Path
) -> None:
    """At a terminal: what is typed there runs beside the half-built files, and the container goes with it."""
    one = job('message(FATAL_ERROR "compiler said no")')
    given = tmp_path / "given"
    given.write_bytes(pickle.dumps((shop, one)))
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SHELL, str(given)]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    os.write(ours, b"ls -d /wheelmill/work/build > /wheelmill/work/told; exit\n")
    said = b""
    with contextlib.suppress(OSError):  # how the end of a terminal shows
        while chunk := os.read(ours, 65536):
            said += chunk
    os.close(ours)
    assert process.wait() == 1
    assert b"Type exit to leave" in said
    assert (one.workdir / "container" / "told").read_text() == "/wheelmill/work/build\n"
