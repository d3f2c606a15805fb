"""The engine that is the field's own tool: cibuildwheel runs the recipe's commands in our builder images.

It is for people whose builds run on cibuildwheel, on Arm machines or in a CI of their own: images, policy and
Python come from the matrix, and the same compiler gives the same bytes as in the docker engine. What it adds
is its way to build for another architecture: everything runs under emulation there, which takes many times as
long as cross-compiling.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from wheelmill.limits import Limits
from wheelmill.make import containers
from wheelmill.make.containers import Mount
from wheelmill.make.engines import BundleResult, EngineError, Job
from wheelmill.make.engines import cmake as steps
from wheelmill.make.engines.builder import WORK, ContainerEngine, Workbench, prepare
from wheelmill.make.process import TimedOutError, run_logged
from wheelmill.progress import Progress
from wheelmill.store.errors import disk_errors

_RUN_LABEL = "wheelmill.run"
PYTHON = "cp39-cp39"  # cibuildwheel's own scripts run on this one; native files depend on none

_PROJECT = """\
[build-system]
requires = []
build-backend = "bundle_backend"
backend-path = ["."]

[tool.cibuildwheel]
build = "cp39-manylinux_{arch}"
manylinux-{arch}-image = "{image}"
container-engine = {{ name = "docker", disable-host-mount = true, create-args = {arguments} }}
build-frontend = {{ name = "pip", args = ["--no-build-isolation", "--no-index"] }}
build-verbosity = 1
dependency-versions = "latest"
repair-wheel-command = ""
"""

_TOOK = re.compile(r"^\s*wheelmill: (\w+) took ([\d.]+) s$")

# Waits until its stdin is closed: when the process that holds the other end has ended, however that was.
_REMOVE = (
    'cat; docker ps --all --quiet --filter "label=$1" | xargs --no-run-if-empty docker rm --force --volumes'
)


class CibuildwheelEngine(ContainerEngine):
    """Compiles with cibuildwheel, natively in an image of the target's architecture."""

    name = "cibuildwheel"

    def machine(self, arch: str) -> str:
        """See ContainerEngine."""
        return arch

    def build(self, job: Job, progress: Progress) -> BundleResult:
        """See Engine. Raises ContainerError or EngineError; leaves no container."""
        _require_cibuildwheel()
        arch = job.recipe.arch
        bench = self.workbench(arch, job.policy)
        if PYTHON not in bench.pythons:
            raise EngineError(
                f"{bench.image.name} has no /opt/python/{PYTHON} with pip, which cibuildwheel runs on",
                hint="take a manylinux base, or `--base debian`",
            )
        limits = self.limits().part(job.part)
        work, mounts = prepare(job, bench.image, self.shop.state)
        project, inside, out = (job.workdir / name for name in ("project", "inside", "wheels"))
        run = f"{_RUN_LABEL}={uuid.uuid4()}"
        with disk_errors("prepare the work folder", job.workdir):
            for folder in (project, inside, out):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
            containers.hand_over(inside)
            arguments = container_arguments((*mounts, Mount(inside, "/output", writable=True)), limits, run)
            write_project(project, job, bench, bench.phases(job, limits.compilers), arguments)
        with _removed(run):
            seconds = self._run(project, out, job, progress)
        return BundleResult(_unpacked(out, work), seconds)

    def _run(self, project: Path, out: Path, job: Job, progress: Progress) -> dict[str, float]:
        """Run cibuildwheel; the seconds of each phase, as the backend told them."""
        progress("cibuildwheel")
        lines: list[str] = []
        # It dies with this process: killed, that could not end it any more.
        command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "cibuildwheel"]
        command += ["--platform", "linux", "--archs", job.recipe.arch, "--output-dir", str(out), str(project)]
        try:
            code = run_logged(
                ["env", f"--chdir={project}", *command],
                log=job.log,
                environment=_environment(),
                timeout=job.timeout,
                on_line=steps.follower("compile", lines, progress),
                keep_open=job.keep_open,
                stop=job.stop,
            )
        except TimedOutError:
            raise EngineError(
                f"cibuildwheel did not build {job.recipe.name} within {job.timeout:.0f} s and was stopped",
                hint=f"full log: {job.log}; run the same command again: what is compiled already is kept",
            ) from None
        if code:
            own = [line for line in lines if "wheelmill: " not in line]
            raise steps.failure(f"cibuildwheel could not build {job.recipe.name}", code, own, job)
        found = (_TOOK.match(line) for line in lines)
        return {match[1]: float(match[2]) for match in found if match is not None}


def container_arguments(mounts: tuple[Mount, ...], limits: Limits, label: str) -> list[str]:
    """Words for `docker create` that close cibuildwheel's container as the docker engine's are closed."""
    memory, user = f"{limits.memory}b", containers.unprivileged_user()
    uid, gid = user.split(":")
    return [
        *(f"--volume={mount.bind}" for mount in mounts),
        *(f"--label={containers.LABEL}={containers.owner()}", f"--label={label}", "--rm"),
        *(f"--cpus={limits.cpus}", f"--memory={memory}", f"--memory-swap={memory}"),
        *("--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only"),
        *(f"--user={user}", "--env=HOME=/tmp", "--tmpfs=/tmp:exec,mode=1777"),
        f"--tmpfs=/project:exec,mode=755,uid={uid},gid={gid}",  # where cibuildwheel unpacks the project
    ]


def write_project(
    folder: Path,
    job: Job,
    bench: Workbench,
    phases: Mapping[str, list[list[str]]],
    arguments: list[str],
) -> None:
    """The project that cibuildwheel builds: its configuration, the backend, and what that runs."""
    arch = job.recipe.arch
    configuration = _PROJECT.format(arch=arch, image=bench.image.id, arguments=json.dumps(arguments))
    (folder / "pyproject.toml").write_text(configuration, encoding="utf-8")
    shutil.copyfile(Path(__file__).with_name("bundle_backend.py"), folder / "bundle_backend.py")
    bundle: dict[str, Any] = {
        "arch": arch,
        "version": job.recipe.torch,
        "prefix": str(WORK / "prefix"),
        "phases": phases,
    }
    (folder / "bundle.json").write_text(json.dumps(bundle, indent=1), encoding="utf-8")


def _require_cibuildwheel() -> None:
    if importlib.util.find_spec("cibuildwheel") is None:
        raise EngineError(
            f"cibuildwheel is not installed for {sys.executable}",
            hint="in the checkout: pip install -e '.[cibuildwheel]' (it runs on Python 3.11 or newer)",
        )
    if shutil.which("docker") is None:
        raise EngineError(
            "cibuildwheel runs the docker command, which is not there",
            hint="on a Debian-like machine, as root: bash ci/machine.sh",
        )


def _environment() -> dict[str, str]:
    """This process's variables, less those that would change what cibuildwheel does."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CIBW_")}


@contextmanager
def _removed(label: str) -> Iterator[None]:
    """Remove the containers of this label in the end, even when this process is killed."""
    watch = subprocess.Popen(
        ["sh", "-c", _REMOVE, "sh", label],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert watch.stdin is not None
    try:
        yield
    finally:
        watch.stdin.close()
        watch.wait()


def _unpacked(out: Path, work: Path) -> Path:
    """The files of the one wheel that cibuildwheel made, without its metadata."""
    wheels = list(out.glob("*.whl"))
    if len(wheels) != 1:
        raise EngineError(f"cibuildwheel left {len(wheels)} wheels in {out}, not one")
    prefix = work / "unpacked"
    shutil.rmtree(prefix, ignore_errors=True)
    with disk_errors("unpack", prefix), zipfile.ZipFile(wheels[0]) as archive:
        for name in archive.namelist():
            if not PurePosixPath(name).parts[0].endswith(".dist-info"):
                archive.extract(name, prefix)
    return prefix
