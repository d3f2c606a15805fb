"""A described project goes through the same release as the adapter: checked, built, signed, published."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from wheelmill.make import sbom
from wheelmill.store import Store

from tests.describe.small import SmallProject, git, make_project


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    return make_project(tmp_path / "clone")


def problems(project: SmallProject, *words: str) -> dict[str, str]:
    """Check -> message of all that is in the way of a release."""
    done = project.run("release", "run", "main", "--engine", "host", "--dry-run", "--json", *words)
    assert done.returncode == 1, done.stderr
    return {one["check"]: one["message"] for one in json.loads(done.stdout)["problems"]}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_release_is_signed_published_and_read_back(project: SmallProject, tmp_path: Path) -> None:
    keys = {"WHEELMILL_KEYS": str(tmp_path / "keys")}
    assert project.run("keys", "new", "alice", **keys).returncode == 0
    commit = project.commit()
    done = project.run("release", "run", "main", "--engine", "host", "--json", **keys)
    assert done.returncode == 0, done.stderr
    session = json.loads(done.stdout)
    assert session["state"] == "announced"
    assert git(project.repository, "rev-parse", "main/1.0^{commit}") == commit
    assert git(project.repository, "branch", "--format=%(refname:short)") == "trunk", "a line is no branch"
    tag = f"cp{project.python.replace('.', '')}"
    wheel = f"soc_demo-1.0+a3-{tag}-none-any.whl"
    folder = Path(session["facts"]["sealed"]["folder"])
    assert [wheel] == [path.name for path in folder.glob("*.whl")]
    taken = session["facts"]["verified"]["taken"][f"main/a3/{project.python}/{project.arch}"]
    assert taken == {installer: [wheel] for installer in ("pip", "uv")}
    summed = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, check=False)
    assert summed.returncode == 0
    assert sbom.faults((folder / f"{wheel}.cdx.json").read_bytes()) is None
    for what in (folder, project.folder / ".wheelmill" / "public"):
        assert project.run("verify", str(what)).returncode == 0
    assert str(tmp_path) not in (folder / "release.json").read_text(), "no path of this machine"
    _what_is_picked_installs(project, tmp_path / "env")
    _changed_files_are_refused(project, folder)
    assert project.run("release", "yank", "main", "--reason", "wrong chip", **keys).returncode == 0
    record = json.loads((project.folder / "release/catalogue/releases.json").read_text())
    assert record["project"] == "soc-demo"
    assert [(one["file"], one["yanked"]) for one in record["wheels"]] == [(wheel, "wrong chip")]
    _the_version_is_taken(project)


def _what_is_picked_installs(project: SmallProject, env: Path) -> None:
    """The very commands that `pick` prints, by a user who has the record and the index."""
    index = (project.folder / ".wheelmill" / "public").as_uri()
    picked = project.run("pick", "-a", "soc=a3", "--index-url", index)
    assert picked.returncode == 0, picked.stderr
    subprocess.run([sys.executable, "-m", "venv", str(env)], check=True)
    path = {**os.environ, "PATH": f"{env / 'bin'}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-ec", picked.stdout], env=path, cwd=env, check=True)
    run = [str(env / "bin" / "python"), str(project.folder / "smoke.py")]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "made for a3\n"
    nothing = project.run("pick", "-a", "soc=a2", "--json")
    assert nothing.returncode == 1
    assert json.loads(nothing.stdout)["conflicts"] == [{"soc": "there is soc a3"}]


def _changed_files_are_refused(project: SmallProject, folder: Path) -> None:
    (wheel, *_) = sorted(folder.glob("*.whl"))
    content = wheel.read_bytes()
    wheel.chmod(0o644)
    wheel.write_bytes(content[:-1] + b"x")
    refused = project.run("verify", str(folder))
    assert (refused.returncode, "SHA-256" in refused.stderr) == (1, True)
    wheel.write_bytes(content)


def _the_version_is_taken(project: SmallProject) -> None:
    again = project.run("release", "run", "main", "--engine", "host", "--dry-run")
    assert (again.returncode, "main/1.0 is yanked already" in again.stderr) == (1, True)
    project.write("1.1")
    project.commit()
    planned = project.run("release", "run", "main", "--engine", "host", "--dry-run", "--unsigned", "--json")
    assert (planned.returncode, json.loads(planned.stdout)["tag"]) == (0, "main/1.1")


def test_what_is_in_the_way_is_told_together(project: SmallProject) -> None:
    (project.repository / "elsewhere").write_text("no part of the project\n")
    (project.folder / "more.py").touch()
    file = project.folder / "wheelmill.toml"
    file.write_text(file.read_text().replace('[smoke]\nprogram = "smoke.py"', ""))
    git(project.repository, "commit", "--quiet", "--all", "--message", "No program")
    found = problems(project)
    assert set(found) == {"clean-tree", "signers-ready", "smoke-program", "cells-are-run"}
    assert found["clean-tree"] == "changes that are in no commit: python/more.py"


def test_a_dry_run_says_what_a_build_on_this_machine_may_come_to(project: SmallProject) -> None:
    """Wheels that need a newer system than their platform policy has are not released: it is said before."""
    words = ("release", "run", "main", "--unsigned", "--dry-run", "--json", "--engine")
    file = project.folder / "wheelmill.toml"
    file.write_text(file.read_text().replace("[smoke]", '[audit]\npolicy = "manylinux_2_5"\n[smoke]'))
    project.commit()
    done = project.run(*words, "host")
    (doubt,) = json.loads(done.stdout)["doubts"]
    assert done.returncode == 0, "it may as well meet the policy"
    assert f"main/a3/{project.python}/{project.arch} is held to manylinux_2_5" in doubt
    assert "stage" not in project.run(*words[:-2], "--engine", "host").stdout.splitlines()[0]
    assert json.loads(project.run(*words, "docker").stdout)["doubts"] == []


def test_a_dry_run_refuses_what_was_built_and_is_local_only(project: SmallProject) -> None:
    words = ("release", "run", "main", "--engine", "host", "--unsigned", "--dry-run")
    assert project.run("build", "--all", "--no-smoke").returncode == 0
    assert project.run(*words).returncode == 0
    store = Store(project.folder / ".wheelmill")
    (record,) = store.records("audit")
    verdict = {**record.data["verdict"], "releasable": False, "platform_tag": "manylinux_2_99_x86_64"}
    store.record("audit", record.key, **{**record.data, "verdict": verdict})
    found = problems(project, "--unsigned")
    assert set(found) == {"wheels-releasable"}
    assert "is local only: it needs manylinux_2_99_x86_64" in found["wheels-releasable"]
    backend = project.folder / "backend.py"
    backend.write_text(backend.read_text() + "# another\n")
    project.commit()
    assert project.run(*words).returncode == 0


def test_a_file_that_git_ignores_is_told_before_anything_is_built(project: SmallProject) -> None:
    (project.repository / ".gitignore").write_text(".wheelmill/\nsmoke.py\n")
    git(project.repository, "rm", "--quiet", "--cached", "python/smoke.py")
    project.commit()
    assert project.run("project", "lint").returncode == 0
    told = refusal(project)
    assert "program is 'smoke.py', which is not there" in told
    assert "git add --force FILE" in told


def test_an_index_of_the_smoke_run_that_is_not_there_is_told_before_a_build(project: SmallProject) -> None:
    file = project.folder / "wheelmill.toml"
    file.write_text(file.read_text().replace("[smoke]", '[smoke]\nindex = "../wheels"'))
    planned, built = (project.run(command, "--all") for command in ("plan", "build"))
    assert (planned.returncode, built.returncode) == (1, 1)
    for told in (planned.stdout, built.stderr):
        assert "`index` under [smoke]" in told
    assert project.run("build", "--all", "--no-smoke").returncode == 0
    (project.repository / "wheels").mkdir()
    assert "1 cached" in project.run("plan", "--all").stdout


def test_what_was_built_and_not_released_is_picked_from_here(project: SmallProject) -> None:
    assert "has to be built" in project.run("pick").stdout
    assert project.run("build", "--all", "--no-smoke").returncode == 0
    picked = project.run("pick").stdout
    assert "it was built here" in picked
    assert "wheelmill build" not in picked


def refusal(project: SmallProject, line: str = "main") -> str:
    done = project.run("release", "run", line, "--dry-run")
    assert done.returncode == 1, done.stdout
    return done.stderr


def test_a_release_needs_a_line_a_version_and_a_commit(project: SmallProject) -> None:
    assert "wheelmill.toml has no line 'other'" in refusal(project, "other")
    pyproject = project.folder / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('version = "1.0"', 'dynamic = ["version"]'))
    project.commit()
    assert "neither pyproject.toml, setup.cfg nor setup.py says its version" in refusal(project)
    file = project.folder / "wheelmill.toml"
    file.write_text(file.read_text().replace("schema = 1\n", 'schema = 1\nversion = "2.0+local"\n'))
    assert "'2.0+local' is no version to release" in refusal(project)
    git(project.repository, "checkout", "--quiet", "--", "python/wheelmill.toml")
    git(project.repository, "rm", "--quiet", "--cached", "python/wheelmill.toml")
    git(project.repository, "commit", "--quiet", "--message", "Without")
    assert "is in no commit that is to be released" in refusal(project)
    (project.repository / ".git").rename(project.repository / "not-git")
    assert "is in no git repository" in refusal(project)
