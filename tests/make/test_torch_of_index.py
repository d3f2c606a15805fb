"""A project that names an index for torch is built against the file of that index, and against no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from wheelmill.describe import load
from wheelmill.make.cluster.packages import _sent, _torches
from wheelmill.make.packages import build, sdks
from wheelmill.make.packages.compilers import OnHost
from wheelmill.make.packages.shop import Job, PackageError, Shop
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.make.toolchain.sdk import running_python
from wheelmill.matrix import Torch
from wheelmill.store import Store, digest_file

from tests.make.conftest import Server, write_torch_wheel

TAG = f"cp{running_python().replace('.', '')}"
FILE = f"""\
schema = 1
package = "demo"
source = "src"
axes = ["torch", "python", "arch"]
[build]
how = "pep517"
[sdks.torch]
index = "wheels"
[wheel]
local = "torch{{torch}}"
[[lines]]
name = "main"
cells = {{torch = ["9.1.0"], python = ["{running_python()}"], arch = ["{host_arch()}"]}}
"""


@pytest.fixture
def shop(tmp_path: Path, make_torch: Callable[..., Torch], monkeypatch: pytest.MonkeyPatch) -> Shop:
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONSTRAINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    (tmp_path / "wheelmill.toml").write_text(FILE)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "setup.py").write_text("")
    (tmp_path / "wheels").mkdir()
    described = load(tmp_path / "wheelmill.toml", {"9.1.0": make_torch()})
    return Shop(described, Store(tmp_path / "store"), OnHost(None))


def put_wheel(folder: Path) -> Path:
    """The torch without CUDA, whose hash nobody knows beforehand."""
    path = folder / "wheels" / f"torch-9.1.0+cpu-{TAG}-{TAG}-linux_{host_arch()}.whl"
    info = "torch-9.1.0+cpu.dist-info"
    about = {
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: torch\nVersion: 9.1.0+cpu\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nTag: {TAG}-{TAG}-linux_{host_arch()}\n".encode(),
        f"{info}/RECORD": b"",
    }
    write_torch_wheel(path, **about)
    return path


def test_the_named_index_decides_what_is_compiled_against_and_run(shop: Shop, server: Server) -> None:
    wheel = put_wheel(shop.described.root)
    (job,) = build.jobs(shop.described.cells, shop)
    assert isinstance(job, Job), job
    assert [one["sha256"] for one in job.recipe["sdks"]] == [digest_file(wheel)]
    sdk = sdks.torch_wheel(job.cell, shop)
    assert sdk is not None
    assert (sdk.name, sdk) == (wheel.name, sdks.torch_to_run(job.cell, shop))
    (sent,) = _torches(job, shop).values()
    assert [one.sha256 for one in sent.wheels] == [digest_file(wheel)]
    assert _sent(shop.described.project).sdks["torch"].index is None, "a worker has not this folder"
    wheel.unlink()
    assert list(build.jobs(shop.described.cells, shop)) == [job], "it is in the store"
    assert server.requests == []


def test_an_index_without_it_is_no_reason_to_take_another(shop: Shop, server: Server) -> None:
    (found,) = build.jobs(shop.described.cells, shop)
    assert isinstance(found, tuple)
    assert isinstance(found[1], PackageError)
    assert "no wheel of torch==9.1.0" in found[1].message
    assert server.requests == []
