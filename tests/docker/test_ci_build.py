"""The documented source build: `bash ci/build.sh --python=3.8` in a builder image, in a mounted checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from wheelmill.make.containers import Container, Mount, Spec
from wheelmill.make.images import Image
from wheelmill.make.pip_site import read_site
from wheelmill.make.toolchain.compiler import host_arch

from tests.make.conftest import (
    LINE,
    PROJECT,
    Checkout,
    adapter,
    checkout,
    linkable_torch,
    server,
    torch_wheel,
)

if TYPE_CHECKING:
    import docker

__all__ = ["adapter", "checkout", "linkable_torch", "server", "torch_wheel"]  # fixtures

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left")]

HOME = "/home/pytorch"


def tracked(folder: Path, *parts: str) -> None:
    """Copy what git tracks of this project's `parts` to `folder`."""
    listed = subprocess.run(
        ["git", "ls-files", "--", *parts], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.split():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, folder / name)


@pytest.mark.slow
def test_the_documented_command_builds_a_wheel_in_a_builder_image(
    client: docker.DockerClient, builder: Image, checkout: Checkout
) -> None:
    matrix = checkout.root / "matrix" / "compat.yaml"
    own = matrix.read_bytes()
    tracked(checkout.root, "ci", "docker", "matrix", "release", "LICENSE", "README.md", "pyproject.toml")
    matrix.write_bytes(own)
    site = read_site()
    environment = site.environment()
    links = f"{environment.get('PIP_FIND_LINKS', '')} {HOME}/links".strip()  # torch
    spec = Spec(
        builder.id,
        mounts=(Mount(checkout.root, HOME, writable=True), *site.mounts()),
        environment={**environment, "PIP_FIND_LINKS": links, "CI": ""},
        user=f"{os.getuid()}:{os.getgid()}",
        network="host",
    )
    command = f"cd {HOME} && bash ci/build.sh --python=3.8 --line={LINE}"
    with Container(client, spec) as container:
        code, output = container.run(["sh", "-c", command])
    assert code == 0, output
    wheels = [path.name for path in checkout.root.glob(f".wheelmill/wheels/{LINE}/torch_npu-*.whl")]
    fitting = [name for name in wheels if "-cp38-cp38-" in name and f"manylinux2014_{host_arch()}" in name]
    assert fitting != [], output
