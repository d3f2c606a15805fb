"""Records are made anew without loss, and a torch wheel that cannot be recorded is named with the reason."""

from __future__ import annotations

import json
import lzma
import os
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from wheelmill.cli import cli
from wheelmill.errors import WheelmillError
from wheelmill.prove.abi.kept import Shelf

from tests.abi.conftest import BUILT_FOR, torch_wheel, write_wheel
from tests.places import places, put


@pytest.fixture(scope="module")
def torch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return torch_wheel(tmp_path_factory.mktemp("torch"), BUILT_FOR)


def record(wheel: Path, into: Path) -> tuple[int, str]:
    """Exit code and text of `wheelmill abi record WHEEL`."""
    result = CliRunner().invoke(cli, ["abi", "record", str(wheel), "--into", str(into)])
    if isinstance(result.exception, WheelmillError):
        return result.exception.exit_code, str(result.exception)
    assert result.exception is None, result.exception
    return result.exit_code, " ".join(result.output.split())


def with_version(torch: Path, folder: Path, text: str) -> Path:
    """The wheel as another build of the same version, which its `version.py` tells."""
    with zipfile.ZipFile(torch) as archive:
        files: dict[str, bytes | str] = {name: archive.read(name) for name in archive.namelist()}
    return write_wheel(folder / torch.name, {**files, "torch/version.py": text})


def test_the_same_wheel_gives_the_same_bytes(torch: Path, tmp_path: Path) -> None:
    assert record(torch, tmp_path / "one")[0] == 0
    assert record(torch, tmp_path / "two")[0] == 0
    (one,), (two,) = (tmp_path / "one").iterdir(), (tmp_path / "two").iterdir()
    assert one.read_bytes() == two.read_bytes()


@pytest.fixture
def based(tmp_path: Path) -> Path:
    """Records where 2.12.0 is based on the newer 2.13.0, as where the newest was recorded first."""
    folder = tmp_path / "abi"
    for version in ("2.13.0", "2.12.0"):
        work = tmp_path / version
        work.mkdir()
        assert record(torch_wheel(work, replace(BUILT_FOR, version=version)), folder)[0] == 0
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_recording_again_changes_no_byte(based: Path, tmp_path: Path) -> None:
    before = contents(based)
    for version in ("2.13.0", "2.12.0"):
        (wheel,) = (tmp_path / version).glob("*.whl")
        assert record(wheel, based)[0] == 0
    assert contents(based) == before


def test_what_is_based_on_a_record_outlives_its_change(based: Path, tmp_path: Path) -> None:
    before = Shelf(based).record("torch-2.12.0-x86_64")
    changed = replace(BUILT_FOR, functions="long counted(const Tensor&);", signature="at::Tensor ()")
    (tmp_path / "changed").mkdir()
    assert record(torch_wheel(tmp_path / "changed", changed), based)[0] == 0
    after = Shelf(based)
    assert after.record("torch-2.12.0-x86_64") == before
    assert after.record("torch-2.13.0-x86_64").interface.symbols != before.interface.symbols


def test_a_wheel_that_is_cut_off(torch: Path, tmp_path: Path) -> None:
    wheel = tmp_path / torch.name
    wheel.write_bytes(torch.read_bytes()[:-4000])
    code, text = record(wheel, tmp_path / "abi")
    assert code == 1
    assert f"{wheel.name} cannot be read as a wheel" in text
    assert not (tmp_path / "abi").exists()


def test_a_wheel_with_a_damaged_library(torch: Path, tmp_path: Path) -> None:
    content = bytearray(torch.read_bytes())
    with zipfile.ZipFile(torch) as archive:
        start = archive.getinfo("torch/lib/libc10.so").header_offset + 200
    content[start : start + 400] = b"\xff" * 400
    wheel = tmp_path / torch.name
    wheel.write_bytes(content)
    code, text = record(wheel, tmp_path / "abi")
    assert code == 1
    assert f"{wheel.name} cannot be read as a wheel" in text


def test_a_wheel_named_for_another_architecture(torch: Path, tmp_path: Path) -> None:
    wheel = tmp_path / torch.name.replace("x86_64", "aarch64")
    wheel.write_bytes(torch.read_bytes())
    code, text = record(wheel, tmp_path / "abi")
    assert code == 1
    assert "is named for aarch64 and has libraries for x86_64" in text


def test_a_cuda_build_is_recorded_as_one(torch: Path, tmp_path: Path) -> None:
    wheel = with_version(torch, tmp_path, "cuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n")
    code, text = record(wheel, tmp_path / "abi")
    assert code == 0
    assert "(cu130 build)" in text


@pytest.mark.parametrize(
    ("text", "build"),
    [
        ("hip: Optional[str] = '6.4.43482'\n", "rocm6.4.43482"),
        ("xpu: Optional[str] = '20250302'\n", "xpu20250302"),
    ],
)
def test_a_build_of_another_accelerator_is_refused(
    torch: Path, tmp_path: Path, text: str, build: str
) -> None:
    wheel = with_version(torch, tmp_path, f"cuda: Optional[str] = None\n{text}")
    code, said = record(wheel, tmp_path / "abi")
    assert code == 1
    assert f"is a {build} build" in said
    assert not (tmp_path / "abi").exists()


@pytest.mark.parametrize(
    ("header", "keys"),
    [
        ("", ()),
        ("class CUDAAllocatorConfig { static int other() { return 1; } };", ()),
        (
            "const std::unordered_set<std::string>& getKeys() { static std::unordered_set<std::string> keys{ "
            '"one", // a "comment"\n "tw" "o_and_more"}; return keys; }',
            ("one", "two_and_more"),
        ),
    ],
)
def test_the_keys_that_builds_with_cuda_register_are_recorded(
    header: str, keys: tuple[str, ...], tmp_path: Path
) -> None:
    code, text = record(torch_wheel(tmp_path, replace(BUILT_FOR, keys=header)), tmp_path / "abi")
    assert code == 0, text
    assert Shelf(tmp_path / "abi").record("torch-2.13.0-x86_64").interface.allocator_keys == keys


STRANGE = (None, True, 7, -1.5, "", "x" * 5000, "\x1b[2J", [], [None], [["x"]], {}, {"": {}}, {"x": ["y"]})


def test_a_record_of_other_values_is_one_clear_error(based: Path) -> None:
    """Read whole, in part, by symbol, and based on: what somebody may have written beside the matrix."""
    name = "torch-2.12.0-x86_64"
    file = based / f"{name}.json.xz"
    document = json.loads(lzma.decompress(file.read_bytes()))
    for number, place in enumerate(places(document)):
        for step in (0, 5):
            changed = put(document, place, STRANGE[(number + step) % len(STRANGE)])
            file.write_bytes(lzma.compress(changed.encode(), preset=0))
            shelf = Shelf(based)
            with suppress(WheelmillError):
                shelf.having("_ZN2at1fEv")
                for origin in shelf.origins:
                    shelf.record(origin.name)
                    shelf.restricted((origin,), frozenset())
                    shelf.like(origin, "_ZN2at1fEv")


@pytest.mark.parametrize("kind", ["pipe", "deep", "folder", "empty", "bomb", "binary"])
def test_a_record_that_is_no_record_is_one_clear_error(based: Path, kind: str) -> None:
    file = based / "torch-2.12.0-x86_64.json.xz"
    file.unlink()
    contents = {
        "deep": lzma.compress(b"[" * 100_000),
        "empty": b"",
        "bomb": lzma.compress(bytes(1 << 28), preset=0),
        "binary": bytes(range(256)),
    }
    if kind in contents:
        file.write_bytes(contents[kind])
    else:
        {"pipe": os.mkfifo, "folder": Path.mkdir}[kind](file)
    with pytest.raises(WheelmillError, match="cannot be read"):
        Shelf(based).record("torch-2.12.0-x86_64")
