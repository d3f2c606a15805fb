"""Where torch comes from: without CUDA first, with it only after a warning, and held to the matrix's hash."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from wheelmill.catalogue import Catalogue, Record, Wheel
from wheelmill.make.packages.sdks import _downloaded
from wheelmill.make.packages.shop import PackageError
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.matrix import Cell, Torch, load
from wheelmill.matrix.model import TorchWheel
from wheelmill.progress import silent
from wheelmill.project import Project
from wheelmill.prove.smoke.environment import Environment, Limits
from wheelmill.prove.smoke.package import own_alone
from wheelmill.prove.smoke.places import ThisMachine
from wheelmill.prove.smoke.result import SmokeError
from wheelmill.prove.smoke.steps import StepFailedError, Steps
from wheelmill.prove.smoke.torch_sources import TorchSource, has_cuda, torch_sources
from wheelmill.store import Store

from tests.matrix.small import COMPAT
from tests.smoke.conftest import PYTHON
from tests.wheels import Draft


@dataclass(frozen=True)
class Wanted:
    """A target for the Python that runs the tests."""

    arch: str = "x86_64"
    python: str = PYTHON
    name: str = "a target"


MATRIX = load(COMPAT)
TAG = "cp" + PYTHON.replace(".", "")


def torch_file(folder: Path, version: str = "7.7.7", *requires: str, arch: str = "x86_64") -> Path:
    draft = Draft("torch", version, f"{TAG}-{TAG}-linux_{arch}", {"torch.py": b"version = 7\n"})
    draft.headers += [f"Requires-Dist: {one}" for one in requires]
    return draft.write(folder)


def listed(*wheels: TorchWheel) -> Torch:
    return Torch("7.7.7", (PYTHON,), 17, {}, {}, wheels=wheels)


def row(sha256: str, build: str = "default", url: str | None = None) -> TorchWheel:
    return TorchWheel(PYTHON, "x86_64", sha256, url, build)  # type: ignore[arg-type]


def sources(**changes: object) -> list[TorchSource]:
    words: dict[str, object] = {
        "known": None,
        "wheel": None,
        "cpu_index": None,
        "target": Wanted(),
        **changes,
    }
    return list(torch_sources(version="7.7.7", **words))  # type: ignore[arg-type]


def test_a_file_without_cuda_is_the_only_source(tmp_path: Path) -> None:
    file = torch_file(tmp_path)
    assert [source.requirement for source in sources(wheel=file)] == [str(file)]


@pytest.mark.parametrize("name", ["nvidia-cublas-cu12==1; platform_system == 'Linux'", "cuda-toolkit[x]==13"])
def test_a_file_with_cuda_comes_last_and_after_a_warning(tmp_path: Path, name: str) -> None:
    file = torch_file(tmp_path, "7.7.7", "sympy", name)
    assert has_cuda(file)
    found = sources(wheel=file, cpu_index="https://cpu.invalid/whl")
    assert [source.requirement for source in found] == ["torch==7.7.7+cpu", "torch==7.7.7+cpu", str(file)]
    assert [source.warning is not None for source in found] == [False, False, True]


def test_the_package_index_is_warned_of_with_how_to_avoid_it() -> None:
    *before, last = sources(cpu_index="https://cpu.invalid/whl")
    assert [source.warning for source in before] == [None, None]
    assert last.requirement == "torch==7.7.7"
    assert last.warning is not None
    for told in ("the build with CUDA", "3 GB", "PIP_FIND_LINKS", f"torch-7.7.7+cpu-{TAG}", "cpu.invalid"):
        assert told in last.warning


def test_no_cuda_is_expected_on_aarch64() -> None:
    found = sources(target=Wanted("aarch64"))
    assert [(source.requirement, source.warning) for source in found] == [("torch==7.7.7", None)]


def test_every_build_is_held_to_its_own_hash() -> None:
    known = listed(row("a" * 64), row("c" * 64, "cpu", "https://cpu.invalid/t.whl"))
    found = sources(known=known, cpu_index="https://cpu.invalid/whl")
    assert all(source.verified for source in found)
    assert found[0].requirement.endswith("t.whl#sha256=" + "c" * 64)
    hashes = [(source.requirement, source.hashes) for source in found[1:]]
    cpu, default = (f"--hash=sha256:{letter * 64}" for letter in "ca")
    assert hashes == [
        ("torch==7.7.7+cpu", (cpu,)),
        ("torch==7.7.7+cpu", (cpu,)),
        ("torch==7.7.7", (default,)),
    ]
    assert [source.verified for source in sources()] == [False, False]


@pytest.fixture
def environment(tmp_path: Path, cell: Cell, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """One made, whose pip finds the wheels in `links` and nothing else."""
    for name, value in (("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", str(tmp_path / "links"))):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    home = tmp_path / "home"
    (home / "logs").mkdir(parents=True)
    with ThisMachine().open(cell, home, ()) as session:
        made = Environment(home, Steps(home / "logs", silent), Limits(), session)
        made.make()
        return made


def test_pip_installs_the_file_of_that_hash_and_what_it_needs(
    tmp_path: Path, cell: Cell, environment: Environment
) -> None:
    file = torch_file(tmp_path / "links", "7.7.7", "needed", arch=cell.arch)
    Draft("needed", "1.0", files={"needed.py": b""}).write(tmp_path / "links")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    known = listed(replace(row(digest), arch=cell.arch))  # type: ignore[arg-type]
    warnings: list[str] = []
    target = Wanted(cell.arch)
    taken = environment.install_torch(sources(known=known, target=target), warnings.append)
    assert (taken.requirement, taken.verified) == ("torch==7.7.7", True)
    environment.steps.run("import", [environment.python, "-c", "import torch, needed"], {}, 60)
    assert len(warnings) == (cell.arch == "x86_64")


def test_another_file_than_the_matrix_lists_is_not_installed(
    tmp_path: Path, cell: Cell, environment: Environment
) -> None:
    torch_file(tmp_path / "links", arch=cell.arch)
    known = listed(replace(row("d" * 64), arch=cell.arch))  # type: ignore[arg-type]
    with pytest.raises(StepFailedError) as caught:
        environment.install_torch(sources(known=known, target=Wanted(cell.arch)))
    assert "d" * 64 in "\n".join(caught.value.failure.tail)
    assert not list(environment.folder.glob("lib/python*/site-packages/torch.py"))


def test_of_every_cell_each_torch_that_the_matrix_knows_is_held_to_its_hash() -> None:
    """Wherever it comes from: an address, PyTorch's index, whichever index pip is configured with."""
    held, unknown = 0, set()
    for cell in MATRIX.cells():
        torch = cell.line.torch
        for source in torch_sources(cell, torch.version, torch, None, MATRIX.document.torch_cpu_index):
            build = "cpu" if "+cpu" in source.requirement or "/cpu/" in source.requirement else "default"
            if torch.wheel(cell.python, cell.arch, build) is None:  # type: ignore[arg-type]
                unknown.add((torch.version, cell.python, cell.arch, build))
                continue
            assert source.hashes or "#sha256=" in source.requirement, (cell.key, source)
            held += 1
    assert held > 300
    assert {build for *_, build in unknown} <= {
        "cpu"
    }  # PyTorch's own index has more of these than the matrix


# --------------------------------------------------------- what else is downloaded, and the catalogue knows
def adapter_file(folder: Path, text: bytes = b"") -> Path:
    files = {"torch_npu/__init__.py": text}
    return Draft("torch_npu", "7.7.7", f"{TAG}-{TAG}-linux_{host_arch()}", files).write(folder)


def recorded(wheel: Path) -> Catalogue:
    """A catalogue that has this file of the package index."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return Catalogue((Record("torch-npu", "index", "2026-01-01", (Wheel(wheel.name, digest),)),))


def test_an_sdk_that_the_catalogue_knows_is_held_to_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: Environment
) -> None:
    """That another project is built against, from the index that pip is configured with."""
    right, other = adapter_file(tmp_path / "right"), adapter_file(tmp_path / "links", b"evil = 1\n")
    monkeypatch.setattr(Project, "catalogue", lambda _: recorded(right))
    asked = ("torch_npu==7.7.7", PYTHON, host_arch(), ())
    with pytest.raises(PackageError, match="another file than the catalogue has recorded"):
        _downloaded(*asked, Store(tmp_path / "first"))
    other.write_bytes(right.read_bytes())
    assert _downloaded(*asked, Store(tmp_path / "second"))[1] == right.name


@pytest.mark.parametrize("same", [True, False])
def test_what_a_smoke_run_asks_for_and_the_catalogue_knows_is_held_to_its_hash(
    tmp_path: Path, environment: Environment, same: bool
) -> None:
    right, other = adapter_file(tmp_path / "right"), adapter_file(tmp_path / "links", b"evil = 1\n")
    if same:
        other.write_bytes(right.read_bytes())
    hashes = [f"--hash=sha256:{one}" for one in recorded(right).pinned("torch_npu==7.7.7")]
    assert len(hashes) == 1
    if same:
        environment.install_held("requirement 1", "torch_npu==7.7.7", hashes)
    else:
        with pytest.raises(StepFailedError):
            environment.install_held("requirement 1", "torch_npu==7.7.7", hashes)
    assert len(list(environment.folder.glob("lib/python*/site-packages/torch_npu"))) == same


def test_the_catalogue_answers_for_one_version_of_its_own_project(tmp_path: Path) -> None:
    known = recorded(adapter_file(tmp_path))
    asked = ["torch-npu==7.7.7", "torch_npu ==7.7.7", "torch_npu>=7", "torch_npu==7.7.8", "torch==7.7.7", "?"]
    assert [len(known.pinned(one)) for one in asked] == [1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("options", "alone"),
    [
        (("--find-links", "F"), ("--no-index", "--find-links", "F")),
        (("--extra-index-url", "https://h/simple/"), ("--index-url", "https://h/simple/")),
    ],
)
def test_a_name_of_this_project_comes_from_the_named_place_alone(
    options: tuple[str, ...], alone: tuple[str, ...]
) -> None:
    """Beside the public index, whoever registers it there could have his own file taken."""
    wanted = ["torch_npu==7.7.7", "Cann_Simulator==7.7.7"]
    assert own_alone(wanted, options) == (wanted[1:], alone)
    with pytest.raises(SmokeError, match="is in no public package index"):
        own_alone(wanted, ())
    assert own_alone(wanted[:1], ())[0] == []


def test_pip_takes_the_simulator_from_that_place_and_not_from_its_own_indexes(
    tmp_path: Path, environment: Environment
) -> None:
    """The newer build of the same version lies where pip is configured to look."""
    for folder, build in (("links", "-99"), ("own", "")):
        made = Draft("cann_simulator", "7.7.7", "py3-none-any", {"cann_simulator.py": build.encode()})
        file = made.write(tmp_path / folder)
        if build:
            made.wheel = "Wheel-Version: 1.0\nBuild: 99\nRoot-Is-Purelib: true\nTag: py3-none-any"
            file.unlink()
            written = made.write(tmp_path / folder)
            written.rename(written.with_name("cann_simulator-7.7.7-99-py3-none-any.whl"))
    own, alone = own_alone(["cann-simulator==7.7.7"], ("--find-links", str(tmp_path / "own")))
    environment.install_alone("the simulator", alone, own)
    (module,) = environment.folder.glob("lib/python*/site-packages/cann_simulator.py")
    assert module.read_text() == ""
