"""The views of the project's own matrix: what a machine with a CANN and a chip gets from real pip and uv."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from packaging.version import Version
from wheelmill.catalogue import Catalogue
from wheelmill.matrix import Line, Matrix, load
from wheelmill.matrix.addresses import chip_names
from wheelmill.matrix.versions import branch_name, cann_key, release_key
from wheelmill.pick import Pick, Shelf, answer, parse_request, to_json
from wheelmill.publish.index import IndexServer, Layout, WheelRecord, build_index
from wheelmill.publish.index.views import layout_of

from tests.index.conftest import MOMENT
from tests.index.test_clients import clean_environment, client, old_pip
from tests.wheels import Draft

Installer = Callable[..., str]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return load(ROOT / "matrix" / "compat.yaml")


@pytest.fixture(scope="module")
def layout(matrix: Matrix) -> Layout:
    return layout_of(matrix, date(2026, 11, 28))


@pytest.fixture(scope="module")
def index(matrix: Matrix, layout: Layout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with one wheel of every line, which any Python installs, and a simulator of every torch."""
    folder = tmp_path_factory.mktemp("views")
    records = []
    for line in matrix.lines:
        files = {"torch_npu.py": f"line = {line.branch!r}\n".encode()}
        wheel = Draft(project="torch_npu", version=line.adapter, files=files, headers=[]).write(folder / "w")
        record = WheelRecord.from_wheel(wheel, MOMENT, lines=[line.branch], canns=[line.cann])
        records.append(record)
    for torch in {line.torch.version for line in matrix.lines}:
        of = [line for line in matrix.lines if line.torch.version == torch]
        wheel = Draft(project="cann_simulator", version=torch, headers=[]).write(folder / "w")
        lines, canns = [line.branch for line in of], list(dict.fromkeys(line.cann for line in of))
        records.append(WheelRecord.from_wheel(wheel, MOMENT, lines=lines, canns=canns))
    build_index(records, folder / "index", layout)
    return folder / "index"


def fitting(matrix: Matrix, cann: str, since: str | None) -> dict[str, Line]:
    """Torch -> the line that a machine should get, worked out the long way."""
    second = {one.name: one.of for one in matrix.document.cann_names}
    (family,) = matrix.document.cann_families
    found: dict[str, Line] = {}
    for line in sorted(matrix.lines, key=lambda line: cann_key(line.cann)):
        release = branch_name(line.branch).release
        if since and release and release_key(release) < release_key(since):
            continue
        relatives = [text.rpartition(".")[0] in family.versions for text in (line.cann, cann)]
        older = all(relatives) and cann_key(line.cann) < cann_key(cann)
        if line.cann == second.get(cann, cann) or (older and line.cann != cann):
            found[line.torch.version] = line
    return found


def machines(matrix: Matrix) -> Iterator[tuple[str, str, dict[str, Line]]]:
    """Every CANN by every name, every chip by its first name, and what fits."""
    canns = {line.cann for line in matrix.lines} | {one.name for one in matrix.document.cann_names}
    for cann in sorted(canns, key=cann_key):
        for chip in matrix.document.chips:
            name = chip_names(chip, matrix.document.chips)[0]
            yield cann, name, fitting(matrix, cann, chip.since)


def versions(index: Path, root: str, project: str = "torch-npu") -> set[str]:
    page = index / root / "simple" / project / "index.v1+json"
    return set(json.loads(page.read_bytes())["versions"]) if page.exists() else set()


def test_the_view_that_pick_names_is_there(matrix: Matrix, index: Path) -> None:
    """For every name of a chip, and in the spelling of every CANN."""
    named = 0
    for chip in matrix.document.chips:
        for name in (*chip.socs, *chip.also):
            request = parse_request(cann="8.5.1", chip=name)
            found = answer(Shelf(matrix, Catalogue(), date(2026, 11, 28)), request, {}, "https://a.example")
            if isinstance(found, Pick):
                data = to_json(found)
                assert versions(index, data["view"].removesuffix("/simple/")), data["view"]
                assert data["view_url"] == f"https://a.example/{data['view']}"
                named += 1
    assert named > 10


def test_every_view_lists_exactly_what_fits(matrix: Matrix, index: Path) -> None:
    seen = 0
    for cann, chip, lines in machines(matrix):
        expected = {line.adapter for line in lines.values()}
        assert versions(index, f"cann-{cann.lower()}/{chip}") == expected, (cann, chip)
        assert versions(index, f"cann-{cann.lower()}/{chip}", "cann-simulator") == set(lines), (cann, chip)
        seen += 1
    assert seen > 200


def test_a_chip_goes_by_each_of_its_names(index: Path) -> None:
    names = ("cann-9.1.0/910b", "cann-9.1.0/a2", "cann-9.1/910b", "cann-9.1/a2")
    assert len({frozenset(versions(index, name)) for name in names}) == 1
    assert versions(index, "cann-8.0.rc3/950") == set()  # no adapter for that CANN knows the chip
    assert versions(index, "cann-9.1/a3") == versions(index, "cann-9.1/910c")


def test_lines_at_their_end_are_archived(matrix: Matrix, layout: Layout, index: Path) -> None:
    ended = set(layout.statuses)
    assert "v2.1.0-5.0.rc3" in ended
    for line in matrix.lines:
        page = index / f"line/{line.branch}/simple/torch-npu/index.v1+json"
        status = json.loads(page.read_bytes())["project-status"]["status"]
        assert (status == "archived") == (line.branch in ended)


def unlike(matrix: Matrix) -> list[tuple[str, str, dict[str, Line]]]:
    """One machine for each set of fitting wheels: views of the same wheels are the same bytes."""
    found: dict[tuple[str, ...], tuple[str, str, dict[str, Line]]] = {}
    for cann, chip, lines in machines(matrix):
        if lines:
            key = tuple(sorted(line.branch for line in lines.values()))
            found.setdefault(key, (cann, chip, lines))
    return list(found.values())


def uv(url: str, words: str = "") -> str:
    """The version of torch-npu that uv would install, "" for none."""
    program = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert program is not None
    command = [program, "pip", "compile", "--no-cache", "-q", "--index-url", url, "-"]
    asked = f"torch-npu{words}"
    done = subprocess.run(
        command, input=asked, capture_output=True, text=True, check=False, env=clean_environment()
    )
    match = re.search(r"^torch-npu==(\S+)", done.stdout, re.MULTILINE)
    return match[1] if match else ""


def pip(url: str, words: str = "") -> str:
    """The same from pip."""
    options = ["--dry-run", "--ignore-installed", "--no-cache-dir", "-q", "--report", "-", "--index-url", url]
    command = [sys.executable, "-m", "pip", "install", *options, f"torch-npu{words}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment())
    found = json.loads(done.stdout)["install"] if done.returncode == 0 else []
    return found[0]["metadata"]["version"] if found else ""


def check(install: Installer, url: str, lines: dict[str, Line], machine: str) -> None:
    """Without a word the newest torch's final release, if there is one; for a torch, that torch's."""
    final = {torch: line for torch, line in lines.items() if not Version(line.adapter).is_prerelease}
    asked = sorted(final or lines, key=Version)
    for words, torch in (("", asked[-1]), (f"=={asked[0]}.*", asked[0])):
        assert install(url, words) == lines[torch].adapter, (machine, words)


def test_uv_installs_the_right_wheel_without_a_flag(matrix: Matrix, index: Path) -> None:
    with IndexServer(index) as server:
        for cann, chip, lines in unlike(matrix)[-12:]:
            root = f"cann-{cann.lower()}/{chip}"
            check(uv, f"{server.url}/{root}/simple/", lines, root)


def test_pip_installs_the_right_wheel_without_a_flag(matrix: Matrix, index: Path) -> None:
    with IndexServer(index) as server:
        for cann, chip, lines in unlike(matrix)[-4:]:
            root = f"cann-{cann.lower()}/{chip}"
            check(pip, f"{server.url}/{root}/simple/", lines, root)


@pytest.mark.on_demand
@pytest.mark.timeout(3600)  # seconds: dozens of runs of each
@pytest.mark.parametrize("install", [pip, uv], ids=["pip", "uv"])
def test_the_whole_table(matrix: Matrix, index: Path, install: Installer) -> None:
    """Every machine; of those whose pages have the same bytes, the installer is asked on one."""
    seen: dict[tuple[bytes, ...], dict[str, Line]] = {}
    with IndexServer(index) as server:
        for cann, chip, lines in machines(matrix):
            root = f"cann-{cann.lower()}/{chip}"
            page = tuple(path.read_bytes() for path in sorted((index / root / "simple/torch-npu").glob("*")))
            if page in seen:
                assert seen[page] == lines, root
                continue
            seen[page] = lines
            if lines:
                check(install, f"{server.url}/{root}/simple/", lines, root)
            else:
                assert install(f"{server.url}/{root}/simple/") == "", root
    assert len(seen) == len(unlike(matrix)) + 1  # and one without a wheel


def download(python: Path, url: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A download by pip from a view; its `stdout` is the name of the wheel."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--no-cache-dir", "--no-deps", "-q", "-d", folder, "--index-url", url]
        command = [python, "-m", "pip", "download", *options, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment())
        done.stdout = "".join(path.name for path in Path(folder).iterdir())
        return done


def old(python: Path, url: str, words: str = "") -> str:
    """The same from a pip that has no --dry-run: it downloads the wheel.

    With --pre where a torch has candidates alone, as docs/indexes.md says.
    """
    done = download(python, url, f"torch-npu{words}")
    if done.returncode and words:
        done = download(python, url, "--pre", f"torch-npu{words}")
    assert done.returncode == 0, done.stderr
    return done.stdout.split("-")[1]


@pytest.mark.slow
def test_a_pip_older_than_26_takes_candidates_as_the_page_says(
    matrix: Matrix, index: Path, tmp_path: Path
) -> None:
    """For `==X.Y.Z.*` it finds none without --pre; newer pips and uv do."""
    cann, chip, torch, adapter = next(
        (cann, chip, torch, line.adapter)
        for cann, chip, lines in unlike(matrix)
        for torch, line in lines.items()
        if Version(line.adapter).is_prerelease
    )
    python = client(tmp_path / "env", "pip<26") / "python"
    with IndexServer(index) as server:
        url = f"{server.url}/cann-{cann.lower()}/{chip}/simple/"
        refused = download(python, url, f"torch-npu=={torch}.*")
        assert "No matching distribution" in refused.stderr
        for words in (["--pre", f"torch-npu=={torch}.*"], [f"torch-npu=={adapter}"]):
            assert download(python, url, *words).stdout.split("-")[1] == adapter
        assert pip(url, f"=={torch}.*") == uv(url, f"=={torch}.*") == adapter
    page = " ".join((ROOT / "docs" / "indexes.md").read_text().split())
    assert "a pip older than 26 finds none of them for `==2.9.0.*`: add `--pre`" in page


PROJECT = """\
[project]
name = "user"
version = "1"
requires-python = ">=3.10"
[tool.poetry]
package-mode = false
[[tool.poetry.source]]
name = "ascend"
url = "{url}"
priority = "explicit"
[tool.poetry.dependencies]
torch-npu = {{ version = "{words}", source = "ascend" }}
"""


def poetry(program: Path, url: str, words: str = "") -> str:
    """The same from poetry, as docs/indexes.md says: a source for this name only."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = words.removeprefix("==") or "*"
        Path(folder, "pyproject.toml").write_text(PROJECT.format(url=url, words=wanted))
        command = [program, "lock", "--no-interaction", "--no-cache"]
        settings = {**clean_environment(), "HOME": folder, "POETRY_VIRTUALENVS_CREATE": "false"}
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=settings)
        assert done.returncode == 0, done.stdout + done.stderr
        locked = re.search(r'name = "torch-npu"\nversion = "(.*)"', Path(folder, "poetry.lock").read_text())
        return locked[1] if locked else ""


@pytest.mark.on_demand
@pytest.mark.timeout(3600)  # seconds: dozens of runs of each
@pytest.mark.parametrize("name", ["pip from 2020", "pip 22.2", "poetry"])
def test_other_clients_take_the_same(matrix: Matrix, index: Path, tmp_path: Path, name: str) -> None:
    """On one machine for each set of fitting wheels."""
    if name == "poetry":
        install = partial(poetry, client(tmp_path / "env", "poetry") / "poetry")
    elif name == "pip 22.2":
        install = partial(old, client(tmp_path / "env", "pip==22.2") / "python")
    else:
        install = partial(old, old_pip(tmp_path / "env")[0])
    with IndexServer(index) as server:
        for cann, chip, lines in unlike(matrix):
            root = f"cann-{cann.lower()}/{chip}"
            check(install, f"{server.url}/{root}/simple/", lines, root)
