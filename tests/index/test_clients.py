"""Real installers against the index over HTTP: pip of today, a pip from 2020, and uv."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from wheelmill.make.toolchain.interpreters import find_python
from wheelmill.publish.index.serve import JSON_TYPE

from tests.index.conftest import Served, demo, record_of
from tests.needs import lacks

# By the Python that it runs on, an old pip that neither reads JSON nor asks for metadata files.
OLD_PIPS = {"3.8": "20.2.4", "3.9": "20.2.4", "3.10": "21.2.4", "3.11": "21.2.4"}


def clean_environment() -> dict[str, str]:
    """Without the user's indexes, so that only the one under test can be used."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_", "PYTHON"))}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INPUT": "1", "UV_NO_CONFIG": "1"}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(
        words, capture_output=True, text=True, check=False, timeout=300, env=clean_environment()
    )


def pip(served: Served, target: Path, *words: str, python: Path | str = sys.executable) -> tuple[int, str]:
    """pip install into a directory; (exit code, all it said)."""
    common = ["--no-cache-dir", "--disable-pip-version-check", "--target", str(target)]
    done = run(python, "-m", "pip", "install", *common, "--index-url", served.url, *words)
    return done.returncode, done.stdout + done.stderr


def uv(served: Served, target: Path, *words: str) -> tuple[int, str]:
    program = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert program is not None, "uv is a development dependency of this project"
    common = ["--no-cache", "--python", sys.executable, "--target", str(target)]
    done = run(program, "pip", "install", *common, "--index-url", served.url, *words)
    return done.returncode, done.stdout + done.stderr


Installer = Callable[..., tuple[int, str]]
BOTH = pytest.mark.parametrize("install", [pip, uv], ids=["pip", "uv"])


@BOTH
def test_the_newest_fitting_version_is_installed(
    tmp_path: Path, served: Callable[..., Served], install: Installer
) -> None:
    headers = ["Requires-Python: >=4"]
    drafts = [demo("1.0"), demo("1.9"), demo("1.10"), demo("2.0", headers=headers), demo("2.1rc1")]
    running = served(*(record_of(draft, tmp_path / "wheels") for draft in drafts))
    code, told = install(running, tmp_path / "target", "demo")
    assert code == 0, told
    assert (tmp_path / "target/demo.py").read_text() == "version = '1.10'\n"


@BOTH
def test_installers_ask_for_json_and_for_the_metadata_file(
    tmp_path: Path, served: Callable[..., Served], install: Installer
) -> None:
    dependant = demo("1.0", headers=["Requires-Dist: helper"])
    helper = demo("3.0", project="helper", files={"helper.py": b""})
    running = served(*(record_of(draft, tmp_path / "wheels") for draft in (dependant, helper)))
    code, told = install(running, tmp_path / "target", "demo")
    assert code == 0, told
    assert (tmp_path / "target/helper.py").exists()
    assert JSON_TYPE in {r.content_type for r in running.requests if r.path == "/simple/demo/"}
    answered = [(r.path.rpartition("/")[2], r.status) for r in running.requests]
    assert ("demo-1.0-py3-none-any.whl.metadata", 200) in answered


@BOTH
def test_changed_bytes_are_refused(tmp_path: Path, served: Callable[..., Served], install: Installer) -> None:
    running = served(record_of(demo(), tmp_path / "wheels"))
    other = demo(files={"demo.py": b"import evil\n"}).write(tmp_path / "evil")
    (wheel,) = running.out.glob("files/*/*.whl")
    wheel.unlink()
    shutil.copyfile(other, wheel)
    code, told = install(running, tmp_path / "target", "demo")
    assert code != 0
    assert "hash" in told.lower()
    assert not (tmp_path / "target/demo.py").exists()


@BOTH
def test_a_wheel_for_no_python_here_is_not_taken(
    tmp_path: Path, served: Callable[..., Served], install: Installer
) -> None:
    running = served(record_of(demo(headers=["Requires-Python: >=4"]), tmp_path / "wheels"))
    code, told = install(running, tmp_path / "target", "demo")
    assert code != 0
    assert ">=4" in told


@BOTH
def test_a_yanked_wheel_is_taken_only_by_its_exact_version(
    tmp_path: Path, served: Callable[..., Served], install: Installer
) -> None:
    records = [record_of(demo("1.0"), tmp_path), record_of(demo("1.1"), tmp_path, yanked="broken <mm>")]
    running = served(*records)
    assert install(running, tmp_path / "any", "demo")[0] == 0
    assert "1.0" in (tmp_path / "any/demo.py").read_text()
    code, told = install(running, tmp_path / "exact", "demo==1.1")
    assert code == 0, told
    assert "broken <mm>" in told


@BOTH
def test_a_local_version_is_found_behind_its_quoted_url(
    tmp_path: Path, served: Callable[..., Served], install: Installer
) -> None:
    running = served(record_of(demo("1.0+cpu.1"), tmp_path))
    code, told = install(running, tmp_path / "target", "demo==1.0+cpu.1")
    assert code == 0, told
    assert (tmp_path / "target/demo.py").exists()


def old_pip(directory: Path) -> tuple[Path, str]:
    """An environment with an old pip, and its version; needs an old interpreter and the configured index."""
    found = [(python, version) for name, version in OLD_PIPS.items() if (python := find_python(name))]
    if not found:
        lacks("python3.11", "or an older one: newer ones cannot run a pip that reads HTML only")
    interpreter, version = found[0]
    subprocess.run([interpreter, "-m", "venv", directory], check=True, timeout=120)
    python = directory / "bin/python"
    command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", f"pip=={version}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        pytest.skip(f"the configured index does not give pip {version}: {done.stderr.splitlines()[-1:]}")
    return python, version


def client(directory: Path, requirement: str) -> Path:
    """The bin folder of an environment with this installer, from the configured index."""
    program = Path(sys.executable).parent / "uv"
    assert run(program, "venv", "--seed", "--python", sys.executable, directory).returncode == 0
    # With the caller's own settings. An older pip needs setuptools.
    command = [str(directory / "bin/python"), "-m", "pip", "install", "-q", requirement, "setuptools"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory / "bin"


@pytest.mark.slow
def test_a_pip_that_reads_no_json_installs_from_the_html(
    tmp_path: Path, served: Callable[..., Served]
) -> None:
    python, version = old_pip(tmp_path / "env")
    drafts = [demo("1.0"), demo("2.0", headers=["Requires-Python: >=3.12"])]
    running = served(*(record_of(draft, tmp_path / "wheels") for draft in drafts))
    code, told = pip(running, tmp_path / "target", "demo", python=python)
    assert code == 0, told
    assert "1.0" in (tmp_path / "target/demo.py").read_text()
    agents = {r.agent.split(" ")[0] for r in running.requests}
    types = {r.content_type for r in running.requests if r.path == "/simple/demo/"}
    assert agents == {f"pip/{version}"}
    assert types == {"text/html; charset=utf-8"}
