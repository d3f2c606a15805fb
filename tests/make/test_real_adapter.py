"""The project's own adapter, compiled by the host engine against the real torch of two lines."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from wheelmill.make.build import Workshop, build
from wheelmill.make.engines.host import HostEngine
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.make.toolchain.sdk import running_python
from wheelmill.matrix import Cell, load
from wheelmill.store import Store

from tests.needs import need_compiler

PROJECT = Path(__file__).parents[2]
MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}
# Where a build of this checkout left its state, the newest line is known: it is not compiled twice.
HOME = Path(os.environ.get("WHEELMILL_HOME", PROJECT / ".wheelmill"))
# Functions of libm that glibc 2.27 and 2.29 gave new versions: a compiler on a newer base takes those.
NEW_VERSIONS = {"exp", "exp2", "log", "log2", "pow", "expf", "exp2f", "logf", "log2f", "powf"}


def cells() -> list[object]:
    """The newest line natively, and on demand the old line of the first README for the other arch."""
    matrix = load(PROJECT / "matrix/compat.yaml")
    other = {"x86_64": "aarch64", "aarch64": "x86_64"}[host_arch()]
    return [
        pytest.param(matrix.cell(running_python(), host_arch()), HOME, id="native-newest"),
        pytest.param(
            matrix.cell("3.8", other, line="v2.1.0-5.0.rc3"),
            None,
            id="cross-2.1.0",
            marks=pytest.mark.on_demand,
        ),
    ]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("cell", "home"), cells())
def test_a_cell_is_compiled_for_its_arch_and_a_second_build_is_known(
    cell: Cell, home: Path | None, tmp_path: Path
) -> None:
    need_compiler(cell.arch)
    store = Store(home or tmp_path / "mill")
    matrix = load(PROJECT / "matrix/compat.yaml")
    workshop = Workshop(store, HostEngine(store.root / "tools"), PROJECT, matrix.lines)
    (built,) = build([cell], workshop)
    for artifact, least in ((built.wheel, 2), (built.simulator, 4)):
        with zipfile.ZipFile(artifact.path) as wheel:
            natives = [name for name in wheel.namelist() if name.endswith(".so")]
            assert len(natives) >= least
            for name in natives:
                with wheel.open(name) as stream:
                    elf = ELFFile(stream)
                    assert elf["e_machine"] == MACHINES[cell.arch], name
                    needed = [
                        tag.needed for tag in elf.get_section_by_name(".dynamic").iter_tags("DT_NEEDED")
                    ]
                    wanted = {symbol.name for symbol in elf.get_section_by_name(".dynsym").iter_symbols()}
                assert not [soname for soname in needed if "python" in soname], name
                assert wanted & NEW_VERSIONS == set(), f"{name} is above manylinux_2_28 wherever it is built"
                folders = [str(folder).encode() for folder in (store.root, PROJECT)]
                content = wheel.read(name)
                assert not [folder for folder in folders if folder in content], f"{name} names a folder"
    (again,) = build([cell], workshop)
    assert again.cached
    assert again.wheel.digest == built.wheel.digest


@pytest.mark.on_demand
@pytest.mark.timeout(4 * 3600)
def test_no_byte_comes_from_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest line for this Python: with an empty cache, from that in another folder, without one."""
    monkeypatch.setenv("CCACHE_DIR", str(tmp_path / "ccache"))
    matrix = load(PROJECT / "matrix/compat.yaml")
    torches = Store(Path(os.environ.get("WHEELMILL_HOME", PROJECT / ".wheelmill")))
    digests = {}
    for name, fresh in (("cold", False), ("a warm one", False), ("none", True)):
        store = Store(tmp_path / name / "mill")
        engine = HostEngine(store.root / "tools")
        workshop = Workshop(store, engine, PROJECT, matrix.lines, sdks=torches, fresh=fresh)
        (built,) = build([matrix.cell(running_python(), host_arch())], workshop)
        digests[name] = (built.wheel.digest, built.simulator.digest)
        print(name, dict(built.seconds), *digests[name])
    assert digests["cold"] == digests["a warm one"] == digests["none"]
