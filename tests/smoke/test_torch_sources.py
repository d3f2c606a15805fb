"""Where torch comes from: without CUDA first, with it only after a warning, and held to the matrix's hash."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from wheelmill.matrix import Cell, Torch, load
from wheelmill.matrix.model import TorchWheel
from wheelmill.progress import silent
from wheelmill.prove.smoke.environment import Environment, Limits
from wheelmill.prove.smoke.places import ThisMachine
from wheelmill.prove.smoke.steps import StepFailedError, Steps
from wheelmill.prove.smoke.torch_sources import TorchSource, has_cuda, torch_sources

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
