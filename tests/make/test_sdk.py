"""The target torch comes whole and right, from wherever it is in reach, or not at all."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from wheelmill.make.toolchain import sdk
from wheelmill.make.toolchain.fetch import FetchError
from wheelmill.make.toolchain.sdk import SdkError
from wheelmill.matrix import Torch, TorchWheel
from wheelmill.store import Store, digest_file

from tests.make.conftest import MARKER, Server, write_torch_wheel

MakeTorch = Callable[..., Torch]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "mill")


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """pip without an index; the folder returned is its --find-links."""
    links = tmp_path / "links"
    links.mkdir()
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    return links


def leftovers(store: Store) -> list[str]:
    """Files that a failed attempt must not leave behind."""
    found = [path for part in ("downloads", "sdk", "objects") for path in (store.root / part).rglob("*")]
    return [str(path) for path in found if path.is_file()]


def test_only_what_compiling_needs_is_unzipped_and_nothing_is_fetched_twice(
    store: Store, server: Server, make_torch: MakeTorch
) -> None:
    made = sdk.ensure(make_torch(), "x86_64", store)
    assert (made.root / "include/torch/marker.h").read_text() == MARKER
    assert sorted(path.name for path in (made.root / "lib").iterdir()) == [
        "libc10.so",
        "libtorch.so",
        "libtorch_cpu.so",
    ]
    assert made.wheel_name == server.path.name
    assert digest_file(store.get(made.sha256)) == made.sha256
    assert sdk.ensure(make_torch(), "x86_64", Store(store.root)) == made
    assert len(server.requests) == 1


def test_a_connection_that_breaks_is_resumed_where_it_broke(
    store: Store, server: Server, make_torch: MakeTorch
) -> None:
    size = server.path.stat().st_size
    server.cut = size // 3 + 1
    sdk.ensure(make_torch(), "x86_64", store)
    assert server.requests == ["", f"bytes={server.cut}-", f"bytes={2 * server.cut}-"]


def test_a_part_that_a_killed_download_left_is_used(
    store: Store, server: Server, make_torch: MakeTorch, torch_wheel: Path
) -> None:
    part = store.root / "downloads/9.1.0-x86_64" / digest_file(torch_wheel) / torch_wheel.name
    part.parent.mkdir(parents=True)
    part.write_bytes(torch_wheel.read_bytes()[:1000])
    sdk.ensure(make_torch(), "x86_64", store)
    assert server.requests == ["bytes=1000-"]
    assert list((store.root / "downloads").iterdir()) == []


def test_a_server_without_ranges_starts_again_instead_of_appending(
    store: Store, server: Server, make_torch: MakeTorch, torch_wheel: Path
) -> None:
    server.ranges = False
    part = store.root / "downloads/9.1.0-x86_64" / digest_file(torch_wheel) / torch_wheel.name
    part.parent.mkdir(parents=True)
    part.write_bytes(b"garbage of an earlier attempt")
    assert sdk.ensure(make_torch(), "x86_64", store).sha256 == digest_file(torch_wheel)


def test_another_file_than_the_matrix_names_is_thrown_away(
    store: Store, server: Server, make_torch: MakeTorch, no_index: Path
) -> None:
    with pytest.raises(FetchError, match="the matrix says " + "0" * 64):
        sdk.ensure(make_torch(sha256="0" * 64), "x86_64", store)
    assert leftovers(store) == []


def test_a_file_that_never_arrives_whole_is_one_error_and_nothing_is_kept(
    store: Store, server: Server, make_torch: MakeTorch, no_index: Path
) -> None:
    server.cut, server.ranges = 500, False
    with pytest.raises(SdkError) as caught:
        sdk.ensure(make_torch(), "x86_64", store)
    assert "closed the connection before the end of the file" in caught.value.message
    assert "pip: " in caught.value.message
    assert "PIP_FIND_LINKS" in str(caught.value)
    assert leftovers(store) == []


@pytest.mark.parametrize("failure", ["404", "unreachable", "no url"])
def test_pip_s_own_configuration_is_the_way_out(
    failure: str, store: Store, server: Server, make_torch: MakeTorch, no_index: Path
) -> None:
    server.status = 404
    url = {"404": server.url, "unreachable": "http://127.0.0.1:9/torch.whl", "no url": None}[failure]
    # pip is asked for a Python and an arch that this machine may not have.
    write_torch_wheel(
        no_index / "torch-9.1.0+cpu-cp38-cp38-manylinux_2_28_aarch64.whl",
        **{"torch-9.1.0+cpu.dist-info/METADATA": b"Metadata-Version: 2.1\nName: torch\nVersion: 9.1.0+cpu\n"},
        **{"torch-9.1.0+cpu.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: cp38-cp38-manylinux_2_28_aarch64\n"},
    )
    (wheel,) = no_index.iterdir()
    made = sdk.ensure(make_torch(url=url, sha256=digest_file(wheel), python="3.8"), "aarch64", store)
    assert made.sha256 == digest_file(wheel)
    assert made.wheel_name == wheel.name


def test_the_cpu_build_is_taken_from_pip_even_where_only_the_other_has_a_published_hash(
    store: Store, make_torch: MakeTorch, no_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds = {}
    for build, version in (("default", "9.1.0"), ("cpu", "9.1.0+cpu")):
        folder = {"default": tmp_path, "cpu": no_index}[build]
        wheel = folder / f"torch-{version}-cp38-cp38-manylinux_2_28_x86_64.whl"
        described = {
            "METADATA": f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n",
            "WHEEL": "Wheel-Version: 1.0\nTag: cp38-cp38-manylinux_2_28_x86_64\n",
        }
        write_torch_wheel(
            wheel, **{f"torch-{version}.dist-info/{name}": text.encode() for name, text in described.items()}
        )
        builds[build] = TorchWheel("3.8", "x86_64", digest_file(wheel), None, build)
    index = tmp_path / "index.html"
    (other,) = tmp_path.glob("*.whl")
    index.write_text(f'<a href="{other.name}#sha256={builds["default"].sha256}">{other.name}</a>')
    monkeypatch.setenv("PIP_FIND_LINKS", f"{index.as_uri()} {no_index}")
    torch = replace(make_torch(), wheels=(builds["default"], builds["cpu"]))
    told: list[str] = []
    assert sdk.ensure(torch, "x86_64", store, note=told.append).sha256 == builds["cpu"].sha256
    assert told == []


def test_the_build_with_cuda_is_told_before_pip_fetches_it(
    store: Store, make_torch: MakeTorch, no_index: Path
) -> None:
    torch = replace(make_torch(), wheels=(TorchWheel("3.8", "x86_64", "0" * 64, None, "default"),))
    told: list[str] = []
    with pytest.raises(SdkError, match="no source has torch"):
        sdk.ensure(torch, "x86_64", store, note=told.append)
    (note,) = told
    assert "the build with CUDA" in note
    assert "to avoid it" in note


def test_pip_may_not_bring_another_file_either(
    store: Store, make_torch: MakeTorch, no_index: Path, torch_wheel: Path
) -> None:
    write_torch_wheel(no_index / "torch-9.1.0-cp38-cp38-manylinux_2_28_aarch64.whl")
    (wheel,) = no_index.iterdir()
    told = f"another file than the one held by hash: SHA-256 {digest_file(wheel)}"
    with pytest.raises(SdkError, match=told):
        sdk.ensure(make_torch(url=None, sha256="0" * 64, python="3.8"), "aarch64", store)
    assert leftovers(store) == []


@pytest.mark.parametrize("name", ["torch/include/../../../escaped", "/torch/include/absolute", "a\\..\\b"])
def test_a_wheel_whose_names_lead_outside_is_refused(name: str, tmp_path: Path) -> None:
    wheel = tmp_path / "torch.whl"
    write_torch_wheel(wheel, **{name: b"evil"})
    with pytest.raises(SdkError, match="leads out of the folder"):
        sdk.unpack(wheel, tmp_path / "deep/er/sdk")
    assert not (tmp_path / "escaped").exists()
    assert not (tmp_path / "deep/er/sdk").exists()


def test_a_header_that_unzips_to_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    wheel = tmp_path / "torch.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("torch/include/bomb.h", bytes(65 << 20))
    with pytest.raises(SdkError, match="which no torch has"):
        sdk.unpack(wheel, tmp_path / "sdk")


@pytest.mark.parametrize("damage", ["cut", "flipped", "no libraries"])
def test_a_damaged_wheel_leaves_no_sdk(damage: str, tmp_path: Path, torch_wheel: Path) -> None:
    wheel = tmp_path / "torch.whl"
    data = bytearray(torch_wheel.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    if damage == "flipped":
        data[data.index(b"TORCH_MARKER")] ^= 1
    wheel.write_bytes(data)
    if damage == "no libraries":
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("torch/include/x.h", b"")
    with pytest.raises(SdkError, match=r"not a whole zip file|not a torch wheel"):
        sdk.unpack(wheel, tmp_path / "sdk")
    assert [path.name for path in tmp_path.iterdir()] == ["torch.whl"]


def test_the_running_python_s_cpu_build_comes_first(make_torch: MakeTorch) -> None:
    wheels = tuple(
        TorchWheel(python, arch, f"{python}-{arch}-{build}", None, build)
        for python in ("3.10", "3.9", "3.12")
        for arch in ("aarch64", "x86_64")
        for build in ("default", "cpu")
    )
    torch = replace(make_torch(), wheels=wheels)
    found = [wheel.sha256 for wheel in sdk.candidates(torch, "x86_64", "3.10")]
    assert found == ["3.10-x86_64-cpu", "3.10-x86_64-default"]
    assert sdk.candidates(torch, "aarch64", "3.14")[0].sha256 == "3.9-aarch64-cpu"
    with pytest.raises(SdkError, match=r"no torch 9\.1\.0 wheel for x86_64"):
        sdk.candidates(replace(torch, wheels=()), "x86_64")
