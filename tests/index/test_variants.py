"""Wheel variants beside the views: what uv's preview takes, and what everybody else does."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner
from variantlib.api import VariantDistInfo, VariantsJson
from wheelmill.cli import cli
from wheelmill.matrix import Matrix, load
from wheelmill.publish.index import IndexFaultError, IndexServer, Layout, WheelRecord, build_index
from wheelmill.publish.index.intact import tree_faults
from wheelmill.publish.index.variants import write_variants
from wheelmill.publish.index.views import layout_of

from tests.index.conftest import MOMENT, Served, demo, record_of
from tests.index.test_clients import client, old_pip, pip, run, uv
from tests.index.test_views import old, poetry
from tests.matrix.small import COMPAT
from tests.wheels import Draft

PREVIEW = ("--preview-features", "wheel-variants")
TORCH = "2.9.0"


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return load(COMPAT)


@pytest.fixture(scope="module")
def layout(matrix: Matrix) -> Layout:
    return layout_of(matrix, date(2026, 11, 28))


@pytest.fixture(scope="module")
def index(matrix: Matrix, layout: Layout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels of every line of one torch, and a simulator."""
    folder = tmp_path_factory.mktemp("variants")
    lines = [line for line in matrix.lines if line.torch.version == TORCH]
    records = []
    for line in lines:
        draft = Draft("torch_npu", line.adapter, files={"torch_npu.py": f"line = {line.branch!r}\n".encode()})
        wheel = draft.write(folder / "w")
        records.append(WheelRecord.from_wheel(wheel, MOMENT, lines=[line.branch], canns=[line.cann]))
    simulator = Draft("cann_simulator", TORCH).write(folder / "w")
    all_canns = list(dict.fromkeys(line.cann for line in lines))
    records.append(
        WheelRecord.from_wheel(simulator, MOMENT, lines=[line.branch for line in lines], canns=all_canns)
    )
    build_index(records, folder / "index", layout)
    return folder / "index"


@pytest.fixture(scope="module")
def variants(index: Path, layout: Layout) -> Path:
    out = index.with_name("variants")
    write_variants(index, out, layout, out.with_name("work"))
    return out


def pages(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Root -> file name -> SHA-256 of what each page of torch-npu lists."""
    for page in sorted(folder.rglob("simple/torch-npu/index.v1+json")):
        listed = json.loads(page.read_bytes())["files"]
        root = page.parents[2].relative_to(folder).as_posix()
        yield root, {file["filename"]: file["hashes"]["sha256"] for file in listed}


def test_each_view_lists_its_wheels_their_variants_and_what_the_machine_takes(
    matrix: Matrix, index: Path, variants: Path
) -> None:
    plain, seen = dict(pages(index)), 0
    for root, files in pages(variants):
        made = [name for name in files if "-cann" in name]
        described = [name for name in files if name.endswith("-variants.json")]
        assert set(files) - {*made, *described} == set(plain[root]), "the plain wheels are those of the view"
        if root == ".":
            assert not made
            continue
        assert len(made) == len(plain[root])
        for name in described:
            found = VariantsJson(json.loads((variants / root / "simple/torch-npu" / name).read_bytes()))
            best = found.providers["ascend"].static_properties["cann_version"]
            assert {f"cann{cann}" for cann in best} >= set(found.variants)
            assert all(f"-{label}.whl" in "".join(made) for label in found.variants)
            seen += 1
    assert seen > 20
    assert tree_faults(variants.resolve()) == []


def test_wheels_are_stored_once_and_a_variant_is_a_whole_wheel(index: Path, variants: Path) -> None:
    wheels = list(variants.glob("files/*/*.whl"))
    assert len({path.name for path in wheels}) == len(wheels)
    for path in wheels:
        twin = next(index.glob(f"files/*/{path.name}"), None)
        if twin is not None:
            assert twin.samefile(path)
            continue
        label = path.stem.rpartition("-")[2]
        with zipfile.ZipFile(path) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/variant.json")]
            VariantDistInfo(archive.read(name), expected_label=label)
            assert name in archive.read(name.replace("variant.json", "RECORD")).decode()


def test_the_same_index_gives_the_same_bytes(index: Path, variants: Path, layout: Layout) -> None:
    other = variants.with_name("again")
    built = write_variants(index, other, layout, other.with_name("work again"))
    assert built.tree.name == variants.resolve().name
    assert not write_variants(index, other, layout, other.with_name("work third")).changed


@pytest.mark.parametrize("chip", ["910b", "a3"])
def test_uv_takes_the_variant_and_others_the_plain_wheel(
    matrix: Matrix, variants: Path, tmp_path: Path, chip: str
) -> None:
    root = next(root for root, _ in reversed(list(pages(variants))) if root.endswith(f"/{chip}"))
    with IndexServer(variants) as server:
        served = Served(server, [], variants)
        served.url = f"{server.url}/{root}/simple/"
        said = {}
        for who, install, words in (("preview", uv, PREVIEW), ("uv", uv, ()), ("pip", pip, ("--no-deps",))):
            code, told = install(served, tmp_path / who, *words, "torch-npu")
            assert code == 0, told
            said[who] = (tmp_path / who / "torch_npu.py").read_text()
            taken = list((tmp_path / who).glob("*.dist-info/variant.json"))
            assert len(taken) == (who == "preview"), told
    assert len(set(said.values())) == 1


def test_a_machine_without_wheels_of_its_own_cann_takes_the_variant_of_an_older_one(
    matrix: Matrix, layout: Layout, tmp_path: Path
) -> None:
    line = next(line for line in matrix.lines if (line.torch.version, line.cann) == (TORCH, "8.5.0"))
    wheel = Draft("torch_npu", line.adapter).write(tmp_path)
    record = WheelRecord.from_wheel(wheel, MOMENT, lines=[line.branch], canns=[line.cann])
    build_index([record], tmp_path / "index", layout)
    write_variants(tmp_path / "index", tmp_path / "variants", layout, tmp_path / "work")
    with IndexServer(tmp_path / "variants") as server:
        served = Served(server, [], tmp_path / "variants")
        for cann in ("8.5.1", "9.1"):
            served.url = f"{server.url}/cann-{cann}/910b/simple/"
            code, told = uv(served, tmp_path / cann, *PREVIEW, "torch-npu")
            assert code == 0, told
            (taken,) = (tmp_path / cann).glob("*.dist-info/variant.json")
            assert '"cann8.5.0"' in taken.read_text()


PROJECT = """\
[project]
name = "user"
version = "1"
requires-python = ">=3.10"
dependencies = ["torch-npu"]
"""


def test_a_lock_of_uv_has_the_plain_wheel(variants: Path, tmp_path: Path) -> None:
    """With the preview, too: a lock is for many machines."""
    program = Path(sys.executable).parent / "uv"
    with IndexServer(variants) as server:
        (tmp_path / "pyproject.toml").write_text(PROJECT)
        index = ("--default-index", f"{server.url}/cann-9.0/910b/simple/")
        for command in ("lock", "sync"):
            words = (command, "--no-cache", "--python", sys.executable, "--project", tmp_path)
            done = run(program, *words, *index, *PREVIEW)
            assert done.returncode == 0, done.stderr
    assert "/torch_npu-2.9.0.post2-py3-none-any.whl" in (tmp_path / "uv.lock").read_text()
    (installed,) = tmp_path.glob(".venv/lib/python3*/site-packages/torch_npu-*.dist-info")
    assert not (installed / "variant.json").exists()


@pytest.mark.on_demand
@pytest.mark.parametrize("name", ["pip from 2020", "pip 22.2", "poetry"])
def test_other_clients_pass_over_variants(variants: Path, tmp_path: Path, name: str) -> None:
    with IndexServer(variants) as server:
        url = f"{server.url}/cann-9.0/910b/simple/"
        if name == "poetry":
            taken = poetry(client(tmp_path / "env", "poetry") / "poetry", url)
        elif name == "pip 22.2":
            taken = old(client(tmp_path / "env", "pip==22.2") / "python", url)
        else:
            taken = old(old_pip(tmp_path / "env")[0], url)
    assert taken == "2.9.0.post2"


def test_the_command_makes_it_beside_the_index(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHEELMILL_HOME", str(tmp_path / "home"))
    into = tmp_path / "out"
    words = ["--matrix", str(COMPAT), "index", "variants", "--index", str(index), "--into", str(into)]
    done = CliRunner().invoke(cli, [*words, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["index"] == str(into)
    assert (into / "simple").is_dir()


def test_an_index_without_canns_has_no_variants(tmp_path: Path, layout: Layout) -> None:
    build_index([record_of(demo(), tmp_path)], tmp_path / "index")
    with pytest.raises(IndexFaultError, match="has no wheel for a CANN"):
        write_variants(tmp_path / "index", tmp_path / "out", layout, tmp_path / "work")
    assert not (tmp_path / "out").exists()
