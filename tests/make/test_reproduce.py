"""A wheel is made again from its own stamp, elsewhere: the same bytes, or what differs, or why it cannot."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.make.conftest import LINE, Checkout
from tests.needs import need_compiler

ARCHES = ("x86_64", "aarch64")

STAMPED = {"_row.json", "recipe.json", "torch_npu.cdx.json"}  # say what the wheel was made from


def build(checkout: Checkout, arch: str) -> Path:
    """Build the Python 3.8 cell; the path of a copy of its wheel."""
    done = checkout.run("build", f"{LINE}/3.8/{arch}", "--no-smoke", "--json")
    assert done.returncode == 0, done.stderr
    (cell,) = json.loads(done.stdout)["cells"]
    for wheel in (cell["wheel"], cell["simulator"]):
        shutil.copy2(wheel, checkout.root)
    return checkout.root / Path(cell["wheel"]).name


def simulator_of(wheel: Path) -> Path:
    (found,) = wheel.parent.glob("cann_simulator-*.whl")
    return found


@pytest.mark.parametrize("arch", ARCHES)
def test_both_wheels_of_a_cell_come_out_with_the_same_bytes(checkout: Checkout, arch: str) -> None:
    need_compiler(arch)
    wheel = build(checkout, arch)
    for given in (wheel, simulator_of(wheel)):
        done = checkout.run("reproduce", str(given))
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.startswith("the same bytes (")
    told = json.loads(checkout.run("reproduce", str(wheel), "--json").stdout)
    assert (told["same"], told["cell"], told["engine"]) == (True, f"{LINE}/3.8/{arch}", "host")
    assert "compile" in told["seconds"], "it was compiled, not taken from the store"
    assert list((checkout.home / "reproduce").iterdir()) == []


def test_another_source_is_told_first_and_its_effect_is_shown_section_by_section(checkout: Checkout) -> None:
    subprocess.run(["git", "init", "-q", checkout.root], check=True)
    commit_all(checkout, "first")
    wheel = build(checkout, "x86_64")
    first = git(checkout, "rev-parse", "--short", "HEAD")
    with zipfile.ZipFile(wheel) as archive:
        assert {member.date_time for member in archive.infolist()} == {(2024, 1, 1, 0, 0, 0)}
    source = checkout.adapter / "core" / "torch_npu.cpp"
    source.write_text(source.read_text().replace("TORCH_MARKER; }", "TORCH_MARKER + 1; }"))
    commit_all(checkout, "second", date="2030-01-01T00:00:00Z")
    refused = checkout.run("reproduce", str(wheel))
    assert refused.returncode == 4
    assert "native sources: asked " in refused.stderr
    assert f"git worktree add ../{first} {first}" in refused.stderr
    assert f"--matrix ../{first}/matrix/compat.yaml" in refused.stderr
    done = checkout.run("reproduce", str(wheel), "--anyway", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    differing = {entry["name"]: entry for entry in told["differences"]}
    library = differing.pop("torch_npu/lib/libtorch_npu.so")
    assert any(detail.startswith("section .text: ") for detail in library["details"])
    assert library["given"]["sha256"] != library["rebuilt"]["sha256"]
    assert {Path(name).name for name in differing} == {*STAMPED, "RECORD"}, "and nothing more"
    assert Path(told["rebuilt"]).is_file()
    again = checkout.run("reproduce", str(wheel), "--anyway")
    assert "  torch_npu/lib/libtorch_npu.so\n    given    " in again.stdout


def test_a_wheel_that_was_changed_after_it_was_made(checkout: Checkout) -> None:
    wheel = build(checkout, "x86_64")
    changed = checkout.root / "changed" / wheel.name
    changed.parent.mkdir()
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_STORED) as new:
        for member in old.infolist():
            data = old.read(member)
            if member.filename == "torch_npu/__init__.py":
                data = data.replace(b"pass", b"import os")
            if member.filename != "torch_npu/npu/__init__.py":
                new.writestr(zipfile.ZipInfo(member.filename), data)
    done = checkout.run("reproduce", str(changed))
    assert done.returncode == 1
    assert "line 2: '    import os', rebuilt '    pass'" in done.stdout
    assert "  torch_npu/npu/__init__.py\n    given    not there\n    rebuilt  0 bytes" in done.stdout
    assert "archive: the compressed size of " in done.stdout


def test_what_cannot_be_made_again_says_why(checkout: Checkout, tmp_path: Path) -> None:
    wheel = build(checkout, "x86_64")
    other = checkout.run(
        "reproduce", str(wheel), WHEELMILL_CXX_X86_64="no-such-compiler", DOCKER_HOST="unix:///no"
    )
    assert other.returncode == 4
    assert "compiled with another compiler than there is here\n  asked: GCC " in other.stderr.replace(
        "  a", "  a"
    )
    assert "found: host: $WHEELMILL_CXX_X86_64 names 'no-such-compiler'" in other.stderr
    assert "docker: cannot reach the docker engine" in other.stderr
    matrix = checkout.root / "matrix" / "compat.yaml"
    whole = matrix.read_text()
    before, after = whole.split(f"  - branch: {LINE}\n")
    matrix.write_text(f"{before}  - branch: {LINE}\n" + after.replace('["3.8", ', "[", 1))
    gone = checkout.run("reproduce", str(wheel))
    assert (gone.returncode, f"was made for {LINE}/3.8/x86_64, which" in gone.stderr) == (4, True)
    matrix.write_text(whole)
    cut = tmp_path / "cut" / wheel.name
    cut.parent.mkdir()
    cut.write_bytes(wheel.read_bytes()[:1000])
    foreign = tmp_path / "foreign-1.0-py3-none-any.whl"
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("foreign/__init__.py", "")
    for given, said in (
        (cut, "not a readable zip archive"),
        (foreign, "has no recipe"),
        (tmp_path / "no.whl", "there is no file"),
    ):
        done = checkout.run("reproduce", str(given))
        assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (4, True, False), (
            done.stderr
        )


@pytest.mark.parametrize(
    "change", [{"key": "../../../elsewhere"}, {"schema": 99}, {"epoch": "soon"}, {"bundle": {}}], ids=str
)
def test_a_senseless_recipe_is_refused_before_anything_is_touched(
    change: dict[str, object], checkout: Checkout, tmp_path: Path
) -> None:
    wheel = tmp_path / "torch_npu-1.0-cp38-cp38-linux_x86_64.whl"
    bundle = dict.fromkeys(("torch", "arch", "sdk", "native", "compiler", "cxx11_abi", "settings"), "")
    stamp = dict.fromkeys(("python", "license", "metadata", "format"), "")
    whole = {**stamp, "schema": 1, "key": "0" * 64, "epoch": 1, "bundle": bundle, **change}
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("torch_npu-1.0.dist-info/recipe.json", json.dumps(whole))
    done = checkout.run("reproduce", str(wheel))
    assert (done.returncode, "is not a recipe of schema 1" in done.stderr) == (4, True), done.stderr
    assert not checkout.home.exists()


def git(checkout: Checkout, *words: str) -> str:
    command = ["git", "-C", str(checkout.root), "-c", "user.name=t", "-c", "user.email=t@t", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit_all(checkout: Checkout, message: str, date: str = "2024-01-01T00:00:00Z") -> None:
    git(checkout, "add", "adapter", "matrix")
    command = ["git", "-C", str(checkout.root), "-c", "user.name=t", "-c", "user.email=t@t"]
    environment = {"GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date, "PATH": "/usr/bin:/bin", "HOME": "/"}
    subprocess.run([*command, "commit", "-qm", message], check=True, env=environment)
