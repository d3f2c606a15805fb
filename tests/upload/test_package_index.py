"""twine to real servers: pypiserver for every change, devpi on demand; pip installs what was uploaded."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from wheelmill.publish.upload import Options, Report, UploadError, read, target_for, upload

from tests.cli.test_command_line import wheelmill
from tests.upload import folders
from tests.upload.folders import contents

LOGIN = {"TWINE_USERNAME": "me", "TWINE_PASSWORD": "pass/wo+rd"}


class Server:
    """A package index that a test talks to."""

    def __init__(self, upload: str, simple: str, files: Path) -> None:
        self.upload, self.simple, self.files = upload, simple, files

    def bring(self, folder: Path) -> Report:
        options = Options(upload_url=self.upload, simple_url=self.simple)
        return upload(read(folder), target_for("twine", options), wait=lambda seconds: None)


def free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def answers(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return once the server answers."""
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            assert process.poll() is None, "the server ended"
            time.sleep(0.05)
    raise AssertionError("the server does not answer")


@pytest.fixture
def fallback() -> str | None:
    """Where the server sends those who ask for what it does not have."""
    return None


@pytest.fixture
def pypiserver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fallback: str | None) -> Iterator[Server]:
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    files, port = tmp_path / "served", free_port()
    files.mkdir()
    words = ["run", "-p", str(port), "-i", "127.0.0.1", "-P", ".", "-a", ".", str(files)]
    words += ["--disable-fallback"] if fallback is None else ["--fallback-url", fallback]
    process = subprocess.Popen(
        [sys.executable, "-m", "pypiserver", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        answers(f"http://127.0.0.1:{port}/", process)
        yield Server(f"http://127.0.0.1:{port}/", f"http://127.0.0.1:{port}/simple/", files)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.make(tmp_path_factory.mktemp("release") / "release")


def wheels(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(folder).items() if name.endswith(".whl")}


def check_every_step(server: Server, folder: Path, tmp_path: Path) -> None:
    """The same for every server: upload, again, with a part there, other bytes, and pip takes a wheel."""
    first = next(iter(wheels(folder)))
    report = server.bring(folder)
    assert sorted(report.sent) == sorted(wheels(folder))
    assert server.bring(folder).sent == ()
    other = folders.make(tmp_path / "other", b"y" * 5000)
    with pytest.raises(UploadError, match="other bytes under the same names") as caught:
        server.bring(other)
    assert str(caught.value).count("is there with SHA-256") == 4
    target = tmp_path / "pip"
    words = ["download", "--no-deps", "--only-binary", ":all:", "--index-url", server.simple, "-d", target]
    cell = [
        "--platform",
        "manylinux_2_17_x86_64",
        "--python-version",
        "3.8",
        "--implementation",
        "cp",
        "--abi",
        "cp38",
    ]
    subprocess.run(
        [sys.executable, "-m", "pip", *words, *cell, "torch-npu==2.1.0rc1"], check=True, capture_output=True
    )
    (wheel,) = target.iterdir()
    assert wheel.read_bytes() == wheels(folder)[wheel.name]
    assert first in report.sent


def test_pypiserver_takes_a_release_once(pypiserver: Server, folder: Path, tmp_path: Path) -> None:
    check_every_step(pypiserver, folder, tmp_path)
    assert contents(pypiserver.files) == wheels(folder)


def test_what_is_there_already_is_not_sent_again(pypiserver: Server, folder: Path) -> None:
    name = next(iter(wheels(folder)))
    (pypiserver.files / name).write_bytes(wheels(folder)[name])
    report = pypiserver.bring(folder)
    assert report.kept == (name,)
    assert contents(pypiserver.files) == wheels(folder)


def test_nothing_is_sent_where_one_name_has_other_bytes(pypiserver: Server, folder: Path) -> None:
    name = list(wheels(folder))[-1]
    (pypiserver.files / name).write_bytes(b"somebody else's")
    with pytest.raises(UploadError, match="other bytes"):
        pypiserver.bring(folder)
    assert contents(pypiserver.files) == {name: b"somebody else's"}


def test_the_command_says_who_could_not_be_reached_and_no_password(folder: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    target = target_for("twine", Options(upload_url=url))
    waits: list[float] = []
    with pytest.raises(UploadError, match="does not answer, after 6 attempts"):
        upload(read(folder), target, wait=waits.append)
    assert len(waits) == 5


def test_a_refusal_of_twine_is_told_without_the_password(pypiserver: Server, folder: Path) -> None:
    """The address is one that takes no uploads."""
    words = (
        "--to",
        "twine",
        "--upload-url",
        pypiserver.upload + "packages/",
        "--simple-url",
        pypiserver.simple,
    )
    done = wheelmill("upload", str(folder), *words, **LOGIN)
    assert done.returncode == 1
    assert "twine could not upload" in done.stderr
    assert "TWINE_USERNAME" in done.stderr
    assert LOGIN["TWINE_PASSWORD"] not in done.stdout + done.stderr
    assert contents(pypiserver.files) == {}


class TestFallback:
    """A server that sends on to the public index, which has the same names with other bytes."""

    @pytest.fixture
    def fallback(self, tmp_path: Path) -> Iterator[str]:
        page = tmp_path / "public" / "torch-npu"
        page.mkdir(parents=True)
        name = "torch_npu-2.1.0rc1-cp38-cp38-manylinux_2_17_x86_64.whl"
        (page / "index.html").write_text(f'<a href="{name}#sha256={"0" * 64}">{name}</a>')
        port = free_port()
        words = ["http.server", str(port), "--bind", "127.0.0.1", "-d", str(tmp_path / "public")]
        process = subprocess.Popen([sys.executable, "-m", *words], stderr=subprocess.DEVNULL)
        try:
            answers(f"http://127.0.0.1:{port}/torch-npu/", process)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.kill()
            process.wait()

    def test_what_the_public_index_has_is_not_there(self, pypiserver: Server, folder: Path) -> None:
        pypiserver.bring(folder)
        assert contents(pypiserver.files) == wheels(folder)


@pytest.mark.on_demand
def test_devpi_takes_a_release_once(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with users, indexes and pages of its own making, in an environment of its own."""
    env = tmp_path / "devpi"
    subprocess.run([sys.executable, "-m", "venv", env], check=True)
    install = [env / "bin/python", "-m", "pip", "install", "-q", "devpi-server", "devpi-client"]
    subprocess.run(install, check=True, timeout=600)
    data, port = tmp_path / "data", free_port()
    subprocess.run(
        [env / "bin/devpi-init", "--serverdir", data, "--no-root-pypi"], check=True, capture_output=True
    )
    process = subprocess.Popen(
        [env / "bin/devpi-server", "--serverdir", data, "--port", str(port), "--host", "127.0.0.1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        answers(url, process)
        home = {**os.environ, "DEVPI_CLIENTDIR": str(tmp_path / "client")}
        for words in (
            ["use", url], ["login", "root", "--password="], ["user", "-c", "me", "password=pass/wo+rd"],
            ["login", "me", "--password=pass/wo+rd"], ["index", "-c", "dev", "bases=", "volatile=False"],
        ):  # fmt: skip
            subprocess.run([env / "bin/devpi", *words], check=True, env=home, capture_output=True, timeout=60)
        for name, value in LOGIN.items():
            monkeypatch.setenv(name, value)
        check_every_step(Server(f"{url}/me/dev/", f"{url}/me/dev/+simple/", data), folder, tmp_path)
    finally:
        process.kill()
        process.wait()
