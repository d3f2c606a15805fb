"""Wheels of both architectures are installed and run in a container, from an index on this machine."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from wheelmill.make.images import ImageShop
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.matrix import Cell, load
from wheelmill.prove.smoke import smoke
from wheelmill.prove.smoke.container import InContainer
from wheelmill.publish.index import IndexServer

from tests.docker.test_images import OTHER
from tests.smoke.conftest import Small

pytestmark = pytest.mark.docker

LINE = load(Path(__file__).parents[2] / "matrix/compat.yaml").lines[-1]


@pytest.mark.slow
@pytest.mark.usefixtures("client", "nothing_left")
@pytest.mark.parametrize("arch", [host_arch(), pytest.param(OTHER, marks=pytest.mark.on_demand)])
def test_wheels_are_installed_and_run(arch: str, shop: ImageShop, tmp_path: Path) -> None:
    small = Small(tmp_path, Cell(LINE, python="3.9", arch=arch))
    wheel = small.build()
    place = InContainer(shop)
    result = smoke(small.cell, small.served, tmp_path / "work", torch_wheel=wheel, place=place).check()
    assert result.status == "passed"
    assert result.versions["python"].startswith("3.9.")
    assert [file for file in result.wheels if arch not in file] == []
    assert len(result.wheels) == 2
    assert "device='npu:0'" in result.printed


def test_a_python_that_no_run_image_has_is_not_run(shop: ImageShop, tmp_path: Path) -> None:
    one = Cell(LINE, python="3.8", arch="aarch64")
    result = smoke(one, partial(IndexServer, tmp_path / "index"), tmp_path / "work", place=InContainer(shop))
    expected = "no run image has Python 3.8 for aarch64 (there are: 3.9, 3.11)"
    assert (result.status, result.reason) == ("not run", expected)
