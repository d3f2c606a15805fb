"""Images are made once per content key, know nothing of their maker's site, and say what does not fit."""

from __future__ import annotations

import io
import json
import re
import shutil
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from wheelmill.make import images
from wheelmill.make.containers import Container, ContainerError, Spec
from wheelmill.make.debian import DebianError, Root
from wheelmill.make.images import (
    BASE_LABEL,
    DOCKER_FOLDER,
    Image,
    ImageShop,
    current_builder,
    default_builder,
    ensure_image,
    ensure_root_image,
    find_image,
    manylinux_image,
)
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.matrix import load
from wheelmill.store.errors import StoreError

if TYPE_CHECKING:
    import docker

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left")]

OTHER = {"x86_64": "aarch64", "aarch64": "x86_64"}[host_arch()]


def test_an_image_that_is_there_is_not_made_again(builder: Image, shop: ImageShop) -> None:
    again = ensure_image(host_arch(), shop, "debian")
    assert (again.id, again.made) == (builder.id, False)
    assert {"wheelmill.recipe", "wheelmill.base", "wheelmill.matrix"} <= set(again.labels)
    assert current_builder(host_arch(), shop) is not None


@pytest.mark.slow
@pytest.mark.usefixtures("builder")
def test_where_no_registry_answers_a_debian_base_is_taken_and_told(
    client: docker.DockerClient, tmp_path: Path
) -> None:
    folder, told = tmp_path / "docker", []
    shutil.copytree(DOCKER_FOLDER, folder)
    with (folder / {"x86_64": "X86", "aarch64": "ARM"}[host_arch()] / "Dockerfile").open("a") as dockerfile:
        dockerfile.write("LABEL wheelmill.of=a-test\n")  # so no builder of it is there
    nowhere = f"{{{host_arch()}: 127.0.0.1:9/none@sha256:{'0' * 64}}}"
    (folder / "base" / "manylinux.yaml").write_text(f"manylinux_2_17: {nowhere}\n")
    image = default_builder(host_arch(), ImageShop(tmp_path / "state", folder=folder, note=told.append))
    client.images.remove(image.name)
    assert image.made
    assert len(told) == 1
    assert "127.0.0.1:9/none" in told[0]
    assert "taking a Debian base instead" in told[0]


def test_the_builder_compiles_without_network(client: docker.DockerClient, builder: Image) -> None:
    tools = "cmake --version && ninja --version && ccache --version && python -c 'import yaml' && id builder"
    with Container(client, Spec(builder.id)) as container:
        code, output = container.run(["sh", "-c", tools])
        _, looked = container.run(["sh", "-c", "ls /site /etc/pip.conf; env"])
    assert code == 0, output
    assert "PIP_" not in looked
    assert looked.count("No such file") == 2


def test_the_history_of_the_builder_has_no_pip_configuration(
    client: docker.DockerClient, builder: Image
) -> None:
    history = client.api.history(builder.id)
    assert [step["CreatedBy"] for step in history if "/site" in step["CreatedBy"]] == []


def test_both_dockerfiles_are_one_recipe() -> None:
    bodies = set()
    for folder, arch in (("X86", "x86_64"), ("ARM", "aarch64")):
        head, _, body = (
            (DOCKER_FOLDER / folder / "Dockerfile").read_text().partition("FROM ${BASE} AS machine")
        )
        bodies.add(body)
        assert f"\nARG BASE={manylinux_image('manylinux_2_17', arch)}\n" in head
    assert len(bodies) == 1
    locks = {(DOCKER_FOLDER / folder / "tools.txt").read_bytes() for folder in ("X86", "ARM")}
    assert len(locks) == 1


def test_another_lock_of_the_tools_is_another_builder(
    client: docker.DockerClient, builder: Image, tmp_path: Path
) -> None:
    folder, arch = tmp_path / "docker", host_arch()
    shutil.copytree(DOCKER_FOLDER, folder)
    assert current_builder(arch, ImageShop(tmp_path / "state", folder=folder)) is not None
    lock = folder / {"x86_64": "X86", "aarch64": "ARM"}[arch] / "tools.txt"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", lock.read_text()))
    assert current_builder(arch, ImageShop(tmp_path / "state", folder=folder)) is None
    with pytest.raises(ContainerError, match=r"Expected +or 0{64}"):
        ensure_image(arch, ImageShop(tmp_path / "state", folder=folder), builder.labels[BASE_LABEL])


def test_every_policy_of_the_matrix_has_its_pinned_image() -> None:
    matrix = load(DOCKER_FOLDER.parent / "matrix" / "compat.yaml")
    wanted = {(cell.manylinux, cell.arch) for cell in matrix.cells()}
    pinned = {manylinux_image(policy, arch) for policy, arch in wanted}
    assert len(pinned) == len(wanted)
    assert [image for image in pinned if not re.search(r"@sha256:[0-9a-f]{64}$", image)] == []
    with pytest.raises(ContainerError, match="no image is pinned for manylinux_2_99 on aarch64"):
        manylinux_image("manylinux_2_99", "aarch64")


def test_wheelmill_s_python_runs_beside_an_older_one(client: docker.DockerClient, builder: Image) -> None:
    """Debian 11 has Python 3.9; a virtual environment of the newer one works, pip and TLS included."""
    look = "import pip, ssl, sqlite3, sys; print(*sys.version_info[:2], sys.prefix != sys.base_prefix)"
    make = "/opt/python/cp311-cp311/bin/python -m venv /tmp/v && /tmp/v/bin/python -c"
    with Container(client, Spec(builder.id)) as container:
        newer = container.run(["sh", "-c", f"{make} '{look}'"])
        older = container.run(["/opt/python/cp39-cp39/bin/python", "-c", look])
    assert (newer, older) == ((0, "3 11 True\n"), (0, "3 9 True\n"))


def test_an_image_of_the_wrong_architecture_is_refused(client: docker.DockerClient, builder: Image) -> None:
    with pytest.raises(ContainerError, match=f"is for {host_arch()}, what is needed is one for {OTHER}"):
        find_image(client, builder.name, OTHER)


def test_a_base_that_cannot_be_pulled_leads_to_the_debian_one(
    client: docker.DockerClient, shop: ImageShop
) -> None:
    with pytest.raises(ContainerError, match=r"cannot pull registry\.invalid/none:1") as caught:
        ensure_image(host_arch(), shop, "registry.invalid/none:1")
    assert "--base debian" in str(caught.value.hint)


def test_a_python_without_a_root_is_named_with_those_that_have_one(shop: ImageShop) -> None:
    with pytest.raises(ContainerError, match=r"no Debian root to run Python 3\.8 on aarch64") as caught:
        ensure_root_image("run", "aarch64", shop, python="3.8")
    assert "3.9, 3.11" in str(caught.value.hint)


def test_roots_of_two_checkouts_that_differ_do_not_replace_each_other(
    client: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(root: Root, target: Path, *rest: object) -> None:
        with tarfile.open(target, "w") as archive:
            archive.addfile(tarfile.TarInfo("-".join(root.packages)))

    monkeypatch.setattr(images, "make_root", small)
    shops = []
    for name in ("ours", "theirs"):
        shutil.copytree(DOCKER_FOLDER / "base", tmp_path / name / "base")
        roots = tmp_path / name / "base" / "roots.yaml"
        text = roots.read_text().replace("image: wheelmill-run:", "image: wheelmill-test-two:")
        roots.write_text(text.replace("packages: &run", f"packages: &run\n    - {name}"))
        shops.append(ImageShop(tmp_path / name / "state", folder=tmp_path / name))
    made = [ensure_root_image("run", host_arch(), shop) for shop in shops]
    try:
        again = [ensure_root_image("run", host_arch(), shop) for shop in shops]
        assert [one.made for one in made] == [True, True]
        assert [(one.id, one.made) for one in again] == [(one.id, False) for one in made]
        newest = client.images.get(f"wheelmill-test-two:debian11-{host_arch()}")
        assert newest.id == made[1].id
    finally:
        for image in client.images.list("wheelmill-test-two"):
            client.images.remove(image.id, force=True)


def test_a_failed_image_build_shows_the_command_s_last_words(
    client: docker.DockerClient, builder: Image, shop: ImageShop, tmp_path: Path
) -> None:
    folder = tmp_path / "docker"
    for arch_folder in ("X86", "ARM"):
        (folder / arch_folder).mkdir(parents=True)
        text = "ARG BASE\nFROM ${BASE}\nRUN echo no such package; false\n"
        (folder / arch_folder / "Dockerfile").write_text(text)
        (folder / arch_folder / "tools.txt").touch()
    with pytest.raises(ContainerError, match="no such package") as caught:
        ensure_image(host_arch(), ImageShop(tmp_path / "state", folder=folder), builder.name)
    log = Path(str(caught.value.hint).removeprefix("full log: "))
    assert "no such package" in log.read_text()
    assert not list((tmp_path / "state" / "contexts").iterdir())


def test_an_image_that_was_made_for_one_policy_serves_no_other(
    client: docker.DockerClient, builder: Image, tmp_path: Path
) -> None:
    folder, arch = tmp_path / "docker", host_arch()
    shutil.copytree(DOCKER_FOLDER, folder)
    for dockerfile in folder.glob("*/Dockerfile"):
        dockerfile.write_text(f"ARG BASE\nFROM ${{BASE}}\nLABEL of={tmp_path.name}\n")
    pins = {policy: {arch: builder.name} for policy in ("manylinux_2_17", "manylinux_2_28")}
    (folder / "base" / "manylinux.yaml").write_text(json.dumps(pins))
    shop = ImageShop(tmp_path / "state", folder=folder)
    made = ensure_image(arch, shop, policy="manylinux_2_17")
    try:
        found = current_builder(arch, shop, "manylinux_2_17")
        assert found is not None
        assert found.id == made.id
        assert current_builder(arch, shop, "manylinux_2_28") is None
    finally:
        client.images.remove(made.name, force=True)


def test_a_full_disk_ends_the_making_of_a_root_and_leaves_nothing(
    client: docker.DockerClient, small_disk: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "docker"
    shutil.copytree(DOCKER_FOLDER / "base", folder / "base")
    roots = folder / "base" / "roots.yaml"
    roots.write_text(roots.read_text().replace("image: wheelmill-run:", "image: wheelmill-test-full:"))
    shop = ImageShop(small_disk / "state", folder=folder)
    with pytest.raises((DebianError, StoreError), match="No space left on device") as caught:
        ensure_root_image("run", host_arch(), shop)
    assert "the disk is full" in str(caught.value.hint)
    assert not list(small_disk.rglob("*.tar"))
    assert not client.images.list("wheelmill-test-full")


# --------------------------------------------------------------------------------------- another architecture
def test_the_run_image_runs_the_other_architecture_s_python(
    client: docker.DockerClient, shop: ImageShop
) -> None:
    image = ensure_root_image("run", OTHER, shop, python="3.9")
    assert image.arch == OTHER
    ask = "import platform, ensurepip, ctypes, ssl; print(platform.machine(), platform.python_version())"
    with Container(client, Spec(image.id)) as container:
        code, output = container.run(["python3", "-c", ask])
    assert (code, output.split()[0], output.split()[1][:4]) == (0, OTHER, "3.9.")


@pytest.fixture
def unregistered(client: docker.DockerClient) -> Iterator[str]:
    """An image of an architecture that nothing here can run: its programs are mere ELF headers."""
    s390 = 22
    header = (
        b"\x7fELF\x02\x02\x01"
        + bytes(9)
        + struct.pack(">HHIQQQIHHHHHH", 2, s390, 1, 0, 64, 0, 0, 64, 56, 0, 0, 0, 0)
    )
    files = {"Dockerfile": b"FROM scratch\nCOPY cat sh /bin/\n", "cat": header, "sh": header}
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    context.seek(0)
    name = "wheelmill-test:unregistered"
    for _ in client.api.build(
        fileobj=context, custom_context=True, tag=name, platform="linux/s390x", decode=True
    ):
        pass
    yield name
    client.images.remove(name, force=True)


def test_a_missing_emulator_is_named(client: docker.DockerClient, unregistered: str) -> None:
    with (
        pytest.raises(ContainerError, match="cannot run programs of the image's architecture") as caught,
        Container(client, Spec(unregistered)),
    ):
        pass
    assert "ci/machine.sh" in str(caught.value.hint)
