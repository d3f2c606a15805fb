"""What needs no engine: reaching one, pip's configuration, the Debian mirror, and readying a machine."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
from wheelmill.make import containers, debian
from wheelmill.make.containers import ContainerError
from wheelmill.make.pip_site import CA_IN_CONTAINER, read_site

from tests.needs import lacks, need_engine

ROOT = Path(__file__).parents[2]


def test_no_engine_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("docker")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(ContainerError, match="no docker engine answers at unix://") as caught:
        containers.connect()
    assert "ci/machine.sh" in str(caught.value.hint)


def _connect_as_nobody(answers: multiprocessing.Queue[str]) -> None:
    os.setgroups([])
    os.setuid(65534)
    try:
        containers.connect()
    except ContainerError as error:
        answers.put(str(error))


def test_a_user_without_permission_is_told_the_group() -> None:
    pytest.importorskip("docker").from_env  # noqa: B018  loaded before the user changes
    need_engine()
    socket = Path("/var/run/docker.sock")
    if os.getuid() != 0 or not socket.is_socket() or socket.stat().st_mode & 0o006:
        pytest.skip("needs root, and a docker socket that is closed to others")
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=_connect_as_nobody, args=(answers,))
    process.start()
    told = answers.get(timeout=30)
    process.join()
    assert "user 65534 may not use" in told
    assert "usermod -aG docker" in told


def test_importing_the_engine_imports_no_docker_sdk() -> None:
    modules = "wheelmill.make.engines.docker, wheelmill.make.images"
    source = f"import sys, {modules}; print('docker' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "release")}
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "False"


# ------------------------------------------------------------------------------------------- pip at this site
def test_the_site_s_pip_is_handed_over_with_what_it_names(tmp_path: Path) -> None:
    wheels, bundle, settings = tmp_path / "wheels", tmp_path / "ca.pem", tmp_path / "pip.conf"
    wheels.mkdir()
    bundle.write_text("-- certificates --\n")
    settings.write_text(
        f"[global]\nindex-url = https://mirror.example/simple\nfind-links = {wheels}\ncert = {bundle}\n"
    )
    site = read_site(
        {
            "PATH": os.environ["PATH"],
            "PIP_CONFIG_FILE": str(settings),
            "XDG_CONFIG_DIRS": str(tmp_path),  # this machine's own settings are not looked at
            "https_proxy": "http://p.example:1",
        }
    )
    environment = site.environment()
    assert environment["PIP_INDEX_URL"] == "https://mirror.example/simple"
    assert environment["https_proxy"] == "http://p.example:1"
    assert environment["PIP_CERT"] == environment["SSL_CERT_FILE"] == CA_IN_CONTAINER
    assert {(mount.source, mount.target, mount.writable) for mount in site.mounts()} == {
        (bundle, CA_IN_CONTAINER, False),
        (wheels, str(wheels), False),
    }
    files = site.files()
    assert files["ca.crt"] == bundle.read_bytes()
    assert files["pip.conf"] == b"[global]\nindex-url = https://mirror.example/simple\n"


def test_an_index_of_files_is_handed_over_with_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "mirror" / "simple").mkdir(parents=True)
    site = read_site(
        {"PIP_CONFIG_FILE": os.devnull, "PIP_EXTRA_INDEX_URL": f"file://{tmp_path}/mirror/simple"}
    )
    assert tmp_path / "mirror" in [mount.source for mount in site.mounts()]


def test_a_variable_wins_over_pip_s_file(tmp_path: Path) -> None:
    settings = tmp_path / "pip.conf"
    settings.write_text("[global]\nindex-url = https://file.example/simple\n")
    site = read_site({"PIP_CONFIG_FILE": str(settings), "PIP_INDEX_URL": "https://variable.example/simple"})
    assert site.settings["index-url"] == "https://variable.example/simple"


# ----------------------------------------------------------------------------------------------- Debian roots
def test_the_mirror_is_the_variable_s_or_apt_s() -> None:
    assert (
        debian.mirror({debian.MIRROR_VARIABLE: "http://mirror.example/debian"})
        == "http://mirror.example/debian"
    )
    if "ID=debian\n" not in Path("/etc/os-release").read_text():
        pytest.skip("apt of another system than Debian names no Debian mirror")
    listed = subprocess.run(
        ["apt-get", "indextargets", "--no-release-info", "--format", "$(REPO_URI)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert debian.mirror({}) in listed.stdout.splitlines()


def test_a_root_s_key_follows_what_is_in_it() -> None:
    roots = debian.read_roots(ROOT / "docker" / "base" / "roots.yaml")
    assert len({root.key for root in roots}) == len({root.image for root in roots}) == len(roots)
    assert {(root.arch, root.python) for root in roots if root.purpose == "run"} >= {
        ("aarch64", "3.9"),
        ("aarch64", "3.11"),
    }


def test_a_root_that_cannot_be_made_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(debian.MIRROR_VARIABLE, f"file://{tmp_path}/nothing")
    root = debian.read_roots(ROOT / "docker" / "base" / "roots.yaml")[0]
    with pytest.raises(debian.DebianError, match=f"could not make {root.image}|mmdebstrap is not installed"):
        debian.make_root(root, tmp_path / "root.tar", tmp_path / "log", lambda text: None)
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".tar") == []


# ---------------------------------------------------------------------------------------------- ci/machine.sh
def test_a_ready_machine_is_left_alone() -> None:
    script = ["bash", str(ROOT / "ci" / "machine.sh")]
    checked = subprocess.run([*script, "--check"], capture_output=True, text=True, check=False)
    if checked.returncode:
        lacks("docker.io", checked.stderr.strip())
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, checked.stdout)


def test_machine_sh_refuses_unknown_words() -> None:
    done = subprocess.run(
        ["bash", str(ROOT / "ci" / "machine.sh"), "--fast"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "unknown option: --fast" in done.stderr) == (1, True)
