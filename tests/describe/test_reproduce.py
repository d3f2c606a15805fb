"""A described project's wheel is made again from the recipe in it, or it is said why it cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.describe.small import SmallProject, git, make_project

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    return make_project(tmp_path / "clone")


def build(project: SmallProject) -> Path:
    done = project.run("build", "--all", "--no-smoke", "--json")
    assert done.returncode == 0, done.stderr
    (cell,) = json.loads(done.stdout)["cells"]
    return Path(shutil.copy(cell["wheel"], project.repository))


def test_the_same_bytes_come_out_in_another_folder(project: SmallProject) -> None:
    wheel = build(project)
    done = project.run("reproduce", str(wheel), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert (told["same"], told["engine"]) == (True, "host")
    assert "build" in told["seconds"], "it was built, not taken from the store"
    assert list((project.folder / ".wheelmill" / "reproduce").iterdir()) == []


def test_what_is_another_now_is_told_and_where_its_sources_are(project: SmallProject) -> None:
    wheel = build(project)
    commit = git(project.repository, "rev-parse", "--short", "HEAD")
    backend = project.folder / "backend.py"
    backend.write_text(backend.read_text().replace("soc = ", "chip = "))
    project.commit(when="2030-01-01T00:00:00Z")
    refused = project.run("reproduce", str(wheel))
    assert refused.returncode == 4
    assert "sources: asked" in refused.stderr
    assert f"its sources are of commit {commit}" in refused.stderr
    anyway = project.run("reproduce", str(wheel), "--anyway", "--json")
    assert anyway.returncode == 1, anyway.stderr
    told = json.loads(anyway.stdout)
    assert next(one["name"] for one in told["differences"]) == "soc_demo.py"
    assert Path(told["rebuilt"]).is_file()


def test_a_wheel_of_another_project_is_one_error(project: SmallProject) -> None:
    wheel = build(project)
    file = project.folder / "wheelmill.toml"
    file.write_text(file.read_text().replace('"a3"', '"a5"'))
    done = project.run("reproduce", str(wheel))
    assert (done.returncode, "which" in done.stderr) == (4, True)
    assert "was made for main/a3/" in done.stderr
    stranger = project.repository / "other-1.0-py3-none-any.whl"
    stranger.write_bytes(b"no wheel")
    done = project.run("reproduce", str(stranger))
    assert (done.returncode, "Traceback" in done.stderr) == (4, False)
