"""One builder image for all tests of containers, and a small adapter that reports what it sees inside."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from wheelmill.make.containers import connect, is_orphan, remove
from wheelmill.make.debian import DebianError
from wheelmill.make.engines import Job
from wheelmill.make.engines.builder import Options
from wheelmill.make.engines.docker import DockerEngine
from wheelmill.make.images import Image, ImageShop, ensure_image
from wheelmill.make.plan import BundleRecipe
from wheelmill.make.toolchain.compiler import host_arch

from tests.make.conftest import CMAKE, LIBRARIES, MARKER, SOURCE
from tests.needs import need_engine, need_program, need_root

if TYPE_CHECKING:
    import docker

# What a test leaves behind belongs to it alone: the names of its containers begin so.
KEY = "f" * 64


@pytest.fixture(scope="session")
def client() -> docker.DockerClient:
    """The engine of this machine."""
    need_engine()
    return connect()


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> ImageShop:
    """Where the session's images are made; the images themselves stay on the engine, by content key."""
    return ImageShop(tmp_path_factory.mktemp("images"), matrix_digest="of the tests")


@pytest.fixture(scope="session")
def builder(client: docker.DockerClient, shop: ImageShop) -> Image:
    """The builder image for this machine on a Debian base."""
    need_program("mmdebstrap")
    try:
        return ensure_image(host_arch(), shop, "debian")
    except DebianError as error:
        pytest.skip(str(error))


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """project(cmake) -> a source tree; `cmake` is added to its CMakeLists.txt."""

    def make(cmake: str = "") -> Path:
        root = tmp_path / "sources" / "adapter"
        (root / "core").mkdir(parents=True)
        (root / "CMakeLists.txt").write_text(CMAKE + cmake)
        for name in LIBRARIES:
            (root / "core" / f"{name}.cpp").write_text(SOURCE.format(name=name))
        return root

    return make


@pytest.fixture
def job(tmp_path: Path, project: Callable[..., Path]) -> Callable[..., Job]:
    """job(cmake, arch=..., **fields of Job) -> one bundle to compile."""

    def make(cmake: str = "", *, arch: str = "x86_64", folder: str = "work", **fields: object) -> Job:
        sdk = tmp_path / "sdk"
        (sdk / "include" / "torch").mkdir(parents=True, exist_ok=True)
        (sdk / "include" / "torch" / "marker.h").write_text(MARKER)
        sources = tmp_path / "sources"
        if not sources.exists():
            project(cmake)
        recipe = BundleRecipe("9.1.0", arch, True, "0" * 64, KEY, f"compiler of {tmp_path}")
        log = tmp_path / f"{folder}.log"
        return Job(recipe, sources, sdk, tmp_path / folder, log, **fields)  # type: ignore[arg-type]

    return make


@pytest.fixture
def engine(builder: Image, shop: ImageShop) -> Callable[..., DockerEngine]:
    """engine(**fields of Options) -> an engine on the session's builder image."""
    return lambda **options: DockerEngine(shop, Options(base="debian", **options))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The folder `work`, with room for nothing much."""
    need_root("mount a small disk")
    folder = tmp_path / "work"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def nothing_left(client: docker.DockerClient) -> Iterator[None]:
    """After every test, no container of this process or of an ended one is there."""
    yield
    left = containers_of_this_machine(client)
    for name in left:
        remove(client, name)
    assert left == []


def containers_of_this_machine(client: docker.DockerClient) -> list[str]:
    """Names of the containers that this test process started, or that an ended process left."""
    mine = f"/{os.getpid()}/"
    listed = client.api.containers(all=True, filters={"label": "wheelmill"})
    labels = [(item["Names"][0].lstrip("/"), item["Labels"]["wheelmill"]) for item in listed]
    return [name for name, label in labels if mine in label or is_orphan(label)]
