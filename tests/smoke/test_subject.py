"""Which wheel is meant, which torch it is for, and what is refused before anything is installed."""

from __future__ import annotations

import dataclasses
import platform
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from wheelmill.catalogue import Catalogue, Record
from wheelmill.catalogue import Wheel as Published
from wheelmill.prove.accept.acceptance import Supplies, accept
from wheelmill.prove.accept.download import download, named_requirement, usable_pythons
from wheelmill.prove.accept.provision import check_published
from wheelmill.prove.accept.subject import check_torch, read_subject, served_torch
from wheelmill.prove.smoke import SmokeError
from wheelmill.store import digest_file

from tests.wheels import Draft

TAG = "cp311-cp311-manylinux_2_28_x86_64"


def wheel(folder: Path, version: str, *headers: str, project: str = "torch_npu", tag: str = TAG) -> Path:
    draft = Draft(project, version, tag)
    draft.headers += headers
    return draft.write(folder)


def catalogue(*wheels: Published) -> Catalogue:
    return Catalogue((Record("torch-npu", "index", "2026-01-01", wheels),))


def test_a_wheel_is_read_without_installing_it(tmp_path: Path) -> None:
    file = wheel(
        tmp_path,
        "2.13.0",
        "Requires-Dist: torch==2.13.0.*",
        "Requires-Dist: numpy",
        "Requires-Dist: tomli; python_version < '3.11'",
        "Requires-Dist: pytest; extra == 'test'",
    )
    subject = read_subject(file)
    assert (subject.title, subject.name) == ("torch_npu 2.13.0", "3.11-x86_64")
    assert (subject.torch, subject.pinned) == ("2.13.0", True)
    assert subject.requires == ("numpy",)


def test_a_download_is_held_to_the_hash_of_the_catalogue(tmp_path: Path) -> None:
    file = wheel(tmp_path, "2.13.0", "Requires-Dist: torch==2.13.0")
    held = Published(file.name, sha256=digest_file(file))
    others = (Published(file.name.replace("2.13.0", "2.12.0"), sha256="0" * 64), Published(file.name))
    for published in (None, catalogue(), catalogue(*others), catalogue(held, *others)):
        check_published(file, published)
    assert file.exists()
    with pytest.raises(SmokeError, match=rf"another file than the catalogue has.*recorded is {'f' * 64}"):
        check_published(file, catalogue(Published(file.name, sha256="f" * 64)))
    assert not file.exists()


@pytest.mark.parametrize(
    ("version", "header", "torch", "pinned"),
    [
        ("2.1.0rc1", "Requires-Dist: torch==2.1.0", "2.1.0", True),
        ("2.1.0.post3", "Requires-Dist: torch==2.1.0+cpu", "2.1.0", True),
        ("2.6.0", "Requires-Dist: torch>=2.6,<2.7", "2.6.0", True),
        ("9.0.0", "Requires-Dist: torch>=2.6,<2.8", "2.7.1", True),
        ("2.4.0.post2", "Requires-Dist: numpy", "2.4.0", False),
    ],
)
def test_the_torch_that_matches_is_read_from_the_metadata_or_the_version(
    tmp_path: Path, version: str, header: str, torch: str, pinned: bool
) -> None:
    subject = read_subject(wheel(tmp_path, version, header), ("2.1.0", "2.6.0", "2.7.1", "2.8.0"))
    assert (subject.torch, subject.pinned) == (torch, pinned)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("torch_npu.whl", "is not the name of a wheel"),
        ("torch_npu-2.13.0-py3-none-any.whl", "not for one CPython on one Linux machine"),
        ("torch_npu-2.13.0-cp311-cp311-win_amd64.whl", "not for one CPython on one Linux machine"),
        ("torch_npu-2.13.0-cp311-cp311-linux_x86_64.whl", "there is no file"),
    ],
)
def test_what_cannot_be_tested_is_refused_by_its_name(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(SmokeError, match=told):
        read_subject(tmp_path / name)


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    file = tmp_path / f"torch_npu-2.13.0-{TAG}.whl"
    file.write_bytes(b"an HTML page of a proxy")
    with pytest.raises(SmokeError, match="not a readable zip archive"):
        read_subject(file)


def test_a_simulator_for_another_torch_is_refused_before_anything_is_installed(tmp_path: Path) -> None:
    subject = read_subject(wheel(tmp_path, "2.13.0", "Requires-Dist: torch==2.13.0"))
    simulator = wheel(
        tmp_path,
        "2.1.0",
        "Requires-Dist: torch==2.1.0",
        project="cann_simulator",
        tag="py3-none-linux_x86_64",
    )
    assert served_torch(simulator) == "2.1.0"
    here = dataclasses.replace(subject, python="3.99", arch=platform.machine())
    with pytest.raises(SmokeError, match=r"no Python 3\.99 on this machine"):
        accept(here, Supplies(simulator), tmp_path / "work")
    with pytest.raises(SmokeError) as caught:
        check_torch(subject, served_torch(simulator), "the simulator is for")
    assert (
        "torch_npu 2.13.0 is for torch 2.13.0, but the simulator is for torch 2.1.0" in caught.value.message
    )
    assert not (tmp_path / "work").exists()


def test_a_simulator_that_is_proven_with_a_later_torch_is_for_its_own(tmp_path: Path) -> None:
    proven = "Requires-Dist: torch>=2.13.0,<=2.14.1,!=2.14.0"
    simulator = wheel(tmp_path, "2.13.0", proven, project="cann_simulator", tag="py3-none-linux_x86_64")
    assert served_torch(simulator) == "2.13.0"


@pytest.mark.parametrize("headers", [("Requires-Dist: torch>=2.14.0",), ("Requires-Dist: torch",)])
def test_a_simulator_whose_own_torch_is_not_asked_for_is_refused(
    headers: tuple[str, ...], tmp_path: Path
) -> None:
    simulator = wheel(tmp_path, "2.13.0", *headers, project="cann_simulator", tag="py3-none-linux_x86_64")
    with pytest.raises(SmokeError, match="is not a simulator's wheel"):
        served_torch(simulator)


def test_something_else_than_a_simulator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SmokeError, match="is not a simulator's wheel"):
        served_torch(wheel(tmp_path, "1.0", "Requires-Dist: numpy", project="other"))


def test_a_name_or_a_file() -> None:
    assert named_requirement("some/folder/torch_npu-2.13.0-cp311-cp311-linux_x86_64.whl") is None
    assert str(named_requirement("torch-npu==2.13.0")) == "torch-npu==2.13.0"
    with pytest.raises(SmokeError, match="neither a wheel file nor a name with a version"):
        named_requirement("torch npu 2.13")


def test_no_interpreter_is_one_clear_error() -> None:
    with pytest.raises(SmokeError, match=r"there is no Python 3\.99") as caught:
        usable_pythons("3.99")
    assert "venv" in str(caught.value.hint)


def test_a_version_that_was_never_published_is_told_with_pips_reason(tmp_path: Path) -> None:
    with pytest.raises(SmokeError) as caught:
        download(Requirement("torch-npu==99.0"), ("3.11", "3.10"), tmp_path)
    assert "no wheel of torch-npu==99.0 for this machine" in caught.value.message
    assert caught.value.message.count("No matching distribution found") == 2
    assert list(tmp_path.iterdir()) == []
