"""`wheelmill plan --github`: what a workflow reads, for the whole matrix."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from wheelmill.make.sessions import MATRIX_FILE
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.matrix import load

from tests.cli.test_command_line import ROOT, wheelmill


def planned(home: Path, *words: str) -> Any:
    """The one line of JSON that the command prints, on a machine that can compile nothing."""
    nothing = {f"WHEELMILL_CXX_{arch}": "no-such-compiler" for arch in ("X86_64", "AARCH64")}
    done = wheelmill("plan", "--all", "--github", *words, WHEELMILL_HOME=str(home), **nothing)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1, "one line, as a job's output must be"
    return json.loads(done.stdout)


def test_every_cell_is_in_one_job_and_a_bundle_is_one_job(tmp_path: Path) -> None:
    cells = {cell.key: cell for cell in load(MATRIX_FILE).cells()}
    assert len(cells) >= 300
    (key,) = planned(tmp_path)
    assert key == "include"
    jobs = planned(tmp_path)["include"]
    assert len(jobs) <= 256
    named = [key for job in jobs for key in job["cells"].split()]
    assert sorted(named) == sorted(cells)
    assert (
        len({job["name"] for job in jobs}) == len(jobs) == len({(job["torch"], job["arch"]) for job in jobs})
    )
    for job in jobs:
        mine = [cells[key] for key in job["cells"].split()]
        assert {(cell.line.torch.version, cell.arch) for cell in mine} == {(job["torch"], job["arch"])}
        assert {cell.python for cell in mine} == set(job["pythons"].split())
        assert job["runner"] == {"x86_64": "ubuntu-24.04", "aarch64": "ubuntu-24.04-arm"}[job["arch"]]


def test_chunks_are_small_enough_and_make_up_the_whole(tmp_path: Path) -> None:
    whole = planned(tmp_path)["include"]
    numbers = planned(tmp_path, "--chunk-size", "10", "--chunks")
    assert numbers == {"chunk": list(range(1, -(-len(whole) // 10) + 1))}
    parts = [planned(tmp_path, "--chunk-size", "10", "--chunk", str(n))["include"] for n in numbers["chunk"]]
    assert max(len(part) for part in parts) == 10
    assert [job for part in parts for job in part] == whole
    undivided = wheelmill("plan", "--all", "--github", "--chunk-size", "10", WHEELMILL_HOME=str(tmp_path))
    assert undivided.returncode == 1
    assert f"--chunk 1 to --chunk {len(parts)}" in undivided.stderr


def test_the_words_of_a_job_name_its_cells_and_its_runner(tmp_path: Path) -> None:
    arch = host_arch()  # its cells can be planned wherever these tests run
    jobs = planned(tmp_path, "--runner", f"{arch}=my-runner")["include"]
    job = next(job for job in jobs if job["arch"] == arch)
    assert {(one["runner"] == "my-runner", one["arch"] == arch) for one in jobs} == {
        (True, True),
        (False, False),
    }
    told = json.loads(wheelmill("plan", *job["cells"].split(), "--json", WHEELMILL_HOME=str(tmp_path)).stdout)
    (bundle,) = told["bundles"]
    assert [cell["cell"] for cell in bundle["cells"]] == job["cells"].split()


def exported(home: Path, *words: str) -> list[Any]:
    nothing = {f"WHEELMILL_CXX_{arch}": "no-such-compiler" for arch in ("X86_64", "AARCH64")}
    done = wheelmill("plan", "--all", *words, WHEELMILL_HOME=str(home), **nothing)
    assert (done.returncode, done.stderr) == (0, "")
    return list(yaml.safe_load_all(done.stdout))


def test_gitlab_takes_the_pipeline(tmp_path: Path) -> None:
    """By GitLab's own schema, as check-jsonschema carries it."""
    (pipeline,) = exported(tmp_path, "--gitlab", "--runner", "aarch64=my-arm")
    (tmp_path / "pipeline.yml").write_text(yaml.safe_dump(pipeline))
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci"]
    done = subprocess.run([*check, tmp_path / "pipeline.yml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    pipeline["broken"] = {"script": 5}
    (tmp_path / "pipeline.yml").write_text(yaml.safe_dump(pipeline))
    assert subprocess.run([*check, tmp_path / "pipeline.yml"], capture_output=True, check=False).returncode
    jobs = [job for job in pipeline.values() if isinstance(job, dict) and "image" in job]
    named = [word for job in jobs for word in job["script"][-1].split() if word.count("/") == 2]
    assert sorted(word for word in named if not word.startswith(".venv")) == everything()
    assert {tuple(job["tags"]) for job in jobs} == {("my-arm",), ("saas-linux-medium-amd64",)}


def test_kubernetes_takes_the_jobs(tmp_path: Path) -> None:
    """By the schemas of Kubernetes itself, as kubernetes-validate carries them."""
    import kubernetes_validate

    words = ("--kubernetes", "https://forge.example/mill.git", "--remote", str(tmp_path / "remote"))
    manifests = exported(tmp_path, *words)
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.33", strict=True)
    jobs = [manifest["spec"] for manifest in manifests if manifest["kind"] == "Job"]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            {**manifests[1], "spec": {**jobs[0], "completion": 1}}, "1.33", strict=True
        )
    maps = [manifest["data"] for manifest in manifests if manifest["kind"] == "ConfigMap"]
    assert sorted(word for data in maps for words in data.values() for word in words.split()) == everything()
    for job, data in zip(jobs, maps, strict=True):
        assert (job["completionMode"], job["completions"]) == ("Indexed", len(data))
        (container,) = job["template"]["spec"]["containers"]
        assert re.search(r"@sha256:[0-9a-f]{64}$", container["image"])
        checked = subprocess.run(["bash", "-n", "-c", container["command"][-1]], check=False)
        assert checked.returncode == 0


def everything() -> list[str]:
    return sorted(cell.key for cell in load(MATRIX_FILE).cells())


def test_pods_need_a_place_for_what_they_make(tmp_path: Path) -> None:
    done = wheelmill("plan", "--all", "--kubernetes", "https://forge.example/x", WHEELMILL_HOME=str(tmp_path))
    assert (done.returncode, "--kubernetes needs --remote" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--runner", "riscv64=x"], "does not name a runner"),
        (["--chunk", "99"], "There is no chunk 99"),
    ],
)
def test_wrong_words_are_told(words: list[str], said: str, tmp_path: Path) -> None:
    done = wheelmill("plan", "--all", "--github", *words, WHEELMILL_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr


def test_the_documented_workflows_name_fields_that_there_are(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    whole, chunked, gitlab, scheduled = (yaml.safe_load(block) for block in blocks)
    assert gitlab["wheels"]["trigger"]["include"] == [{"artifact": "wheels.yml", "job": "plan"}]
    assert set(whole["jobs"]) == {"plan", "build"}
    assert set(chunked["jobs"]) == {"chunks", "wheels"}
    steps = [step.get("run", "") for step in scheduled["jobs"]["catalogue"]["steps"]]
    for command in re.findall(r"wheelmill (catalogue|matrix) (\w+)(?: (--[a-z-]+))?", "\n".join(steps)):
        helped = wheelmill(*command[:2], "--help")
        assert (helped.returncode, command[2] in helped.stdout) == (0, True), command
    fields = set(planned(tmp_path)["include"][0]) | set(planned(tmp_path, "--chunks"))
    assert set(re.findall(r"matrix\.([a-z]+)", re.sub(r"outputs\.matrix\S*", "", text))) <= fields
    for words in re.findall(r"wheelmill ((?:plan|build|reproduce)[^`\n]*?(--[a-z-]+)[^`\n]*)", text):
        helped = wheelmill(words[0].split()[0], "--help").stdout
        for option in re.findall(r"--[a-z-]+", words[0]):
            assert option in helped, (words, option)
