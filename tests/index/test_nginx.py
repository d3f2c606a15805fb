"""Debian's nginx with the configuration that is made for it: the answers are those of our own server."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pypi_simple import ACCEPT_HTML_ONLY, ACCEPT_JSON_ONLY, PyPISimple
from wheelmill.errors import WheelmillError
from wheelmill.publish.index import IndexServer, WheelRecord, build_index, change_index
from wheelmill.publish.index.nginx import configuration
from wheelmill.publish.index.serve import HTML_TYPE, JSON_TYPE

from tests.index.conftest import MOMENT, demo
from tests.index.test_clients import clean_environment, client, old_pip, run
from tests.needs import need_program


class Site:
    """An index behind nginx, under `prefix`, and the same behind our server."""

    def __init__(self, folder: Path, port: int, own: IndexServer, prefix: str) -> None:
        self.out, self.port, self.own, self.prefix = folder / "index", port, own, prefix
        self.url = f"http://127.0.0.1:{port}{prefix}"

    def ask(
        self, path: str, method: str = "GET", *, ours: bool = False, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        port, before = (int(self.own.url.rpartition(":")[2]), "/") if ours else (self.port, self.prefix)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request(
            method, before + path, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()


def record(version: str, folder: Path) -> WheelRecord:
    side = folder / "sbom"
    side.write_text("{}\n")
    wheel = demo(version).write(folder)
    return WheelRecord.from_wheel(wheel, MOMENT, lines=["v1"], canns=["9.0.0"], sides={".cdx.json": side})


@pytest.fixture(scope="module", params=["/", "/ascend/"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    program = need_program("nginx", "nginx-light")
    folder = tmp_path_factory.mktemp("site")
    folder.chmod(0o755)
    build_index([record("1.0", folder), record("1.1+cpu.1", folder)], folder / "index")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = folder / "index.conf"
    made.write_text(configuration(folder / "index", listen=f"127.0.0.1:{port}", prefix=request.param))
    main = folder / "nginx.conf"
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main.write_text(
        f"{'user root;' if os.geteuid() == 0 else ''}\n"  # whom the test's folder is closed to otherwise
        f"daemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nworker_processes 1;\n"
        f"events {{ worker_connections 1024; }}\n"
        f"http {{\naccess_log off;\n{temporary}include /etc/nginx/mime.types;\ninclude {made};\n}}\n"
    )
    command = [program, "-e", f"{folder}/error.log", "-c", str(main)]
    tested = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr
    assert "warn" not in tested.stderr
    process = subprocess.Popen(command)
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
            assert process.poll() is None
            time.sleep(0.05)
        with IndexServer(folder / "index") as own:
            yield Site(folder, port, own, request.param)
    finally:
        process.terminate()
        process.wait(timeout=30)


PIP = f"{JSON_TYPE}, {HTML_TYPE}; q=0.1, text/html; q=0.01"
UV = f"{JSON_TYPE}, {HTML_TYPE};q=0.2, text/html;q=0.01"


@pytest.mark.parametrize(
    "accept",
    [
        PIP,
        UV,
        JSON_TYPE,
        HTML_TYPE,
        "text/html",
        "*/*",
        "text/*",
        "",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        f"{HTML_TYPE}, {JSON_TYPE};q=0.5",
        f"{JSON_TYPE};q=0, text/html;q=0.2",
        f"text/html;q=0, {JSON_TYPE};q=0.001",
        "application/vnd.pypi.simple.latest+json",
        "image/png",
        f"{JSON_TYPE};q=0",
        "application/vnd.pypi.simple.v2+json",
    ],
)
@pytest.mark.parametrize("page", ["simple/", "simple/demo/", "line/v1/simple/demo/"])
def test_pages_are_those_of_our_server_in_the_same_form(site: Site, page: str, accept: str) -> None:
    status, headers, body = site.ask(page, Accept=accept)
    expected = site.ask(page, ours=True, Accept=accept)
    assert status == expected[0]
    if status == 200:
        assert body == expected[2]
        assert headers["content-type"] == expected[1]["content-type"]
        assert (headers["vary"], headers["cache-control"]) == ("Accept", "no-cache")


def test_files_are_served_as_they_are_and_for_ever(site: Site) -> None:
    for path in sorted(site.out.glob("files/*/*")):
        name = path.relative_to(site.out).as_posix().replace("+", "%2B")
        status, headers, body = site.ask(name)
        assert (status, body) == (200, path.read_bytes())
        assert "immutable" in headers["cache-control"]
        expected = site.ask(name, ours=True)[1]["content-type"].partition(";")[0]
        assert headers["content-type"] == expected, name
    wheel = next(site.out.glob("files/*/*.whl"))
    part = site.ask(wheel.relative_to(site.out).as_posix().replace("+", "%2B"), Range="bytes=2-5")
    assert (part[0], part[2]) == (206, wheel.read_bytes()[2:6])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("", 404),
        ("files/", 404),
        ("simple/absent/", 404),
        ("simple/../../secret", 404),
        ("%2e%2e/pid", 404),
        ("=json/simple/", 404),
        ("simple/" + "x" * 300 + "/", 404),
        ("manifest", 200),
        ("../=json/simple/", 404),
    ],
)
def test_nothing_but_the_index_is_served(site: Site, path: str, status: int) -> None:
    above = site.prefix == "/" and (".." in path or "%2e" in path)  # of the root itself: nginx refuses those
    assert site.ask(path)[0] == (400 if above else status)


def test_it_only_reads_and_redirects_to_itself(site: Site) -> None:
    assert site.ask("simple/", method="POST")[0] == 405
    status, headers, _ = site.ask("simple/demo")
    assert (status, headers["location"]) == (301, f"{site.prefix}simple/demo/")


def test_a_switched_index_is_served_at_once_and_caches_ask_again(site: Site, tmp_path: Path) -> None:
    _, headers, _ = site.ask("simple/demo/", Accept=JSON_TYPE)
    assert site.ask("simple/demo/", Accept=JSON_TYPE, If_None_Match=headers["etag"])[0] == 304
    change_index(site.out, add=[record("2.0", tmp_path)])
    status, _, body = site.ask("simple/demo/", Accept=JSON_TYPE, If_None_Match=headers["etag"])
    assert status == 200
    assert b"demo-2.0-" in body
    change_index(site.out, remove=["demo-2.0-py3-none-any.whl"])


def test_pip_and_uv_install_through_it(site: Site, tmp_path: Path) -> None:
    index = ("--index-url", f"{site.url}line/v1/simple/", "demo==1.1+cpu.1")
    options = ("--no-cache-dir", "--disable-pip-version-check", "--target", tmp_path / "pip")
    done = run(sys.executable, "-m", "pip", "install", *options, *index)
    assert done.returncode == 0, done.stdout + done.stderr
    uv = Path(sys.executable).parent / "uv"
    options = ("--no-cache", "--python", sys.executable, "--target", tmp_path / "uv")
    done = run(uv, "pip", "install", *options, *index)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "uv/demo.py").read_bytes() == (tmp_path / "pip/demo.py").read_bytes()


@pytest.mark.parametrize("accept", [ACCEPT_JSON_ONLY, ACCEPT_HTML_ONLY], ids=["json", "html"])
def test_pypi_simple_reads_it(site: Site, accept: str) -> None:
    with PyPISimple(f"{site.url}simple/", accept=accept) as client:
        assert list(client.get_index_page().projects) == ["demo"]
        page = client.get_project_page("demo")
        assert page.repository_version == "1.4"
        assert client.get_package_metadata(page.packages[0]).startswith("Metadata-Version")


@pytest.mark.slow
def test_an_old_pip_installs_through_it(site: Site, tmp_path: Path) -> None:
    python, _ = old_pip(tmp_path / "env")
    options = ("--no-cache-dir", "--disable-pip-version-check", "--target", tmp_path / "target")
    done = run(
        python, "-m", "pip", "install", "-v", *options, "--index-url", f"{site.url}simple/", "demo==1.0"
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.on_demand
@pytest.mark.parametrize("requirement", ["pip==22.2", "pip", "poetry"])
def test_more_clients_install_through_it(site: Site, tmp_path: Path, requirement: str) -> None:
    programs = client(tmp_path / "env", requirement)
    url = f"{site.url}simple/"
    if requirement != "poetry":
        options = ("--no-cache-dir", "--target", tmp_path / "target", "--index-url", url)
        done = run(programs / "python", "-m", "pip", "install", *options, "demo==1.0")
        assert done.returncode == 0, done.stdout + done.stderr
        assert (tmp_path / "target/demo.py").exists()
        return
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[project]\nname = "user"\nversion = "1"\nrequires-python = ">=3.10"\ndependencies = ["demo==1.0"]\n'
        f'[tool.poetry]\npackage-mode = false\n[[tool.poetry.source]]\nname = "ours"\nurl = "{url}"\n'
    )
    settings = {**clean_environment(), "POETRY_VIRTUALENVS_IN_PROJECT": "true", "HOME": str(tmp_path)}
    done = subprocess.run(
        [programs / "poetry", "install", "--no-interaction", "--no-cache"],
        cwd=project,
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(project.glob(".venv/lib/python3*/site-packages/demo.py"))
    assert "sha256:" in (project / "poetry.lock").read_text()


@pytest.mark.parametrize(
    "words",
    [
        {"listen": "80; include /etc/passwd"},
        {"listen": "99999"},
        {"server_name": "a b"},
        {"server_name": "x;"},
        {"prefix": "/a b/"},
        {"prefix": "/$host/"},
        {"root": Path("/srv/{index}")},
    ],
)
def test_words_that_nginx_would_misread_are_refused(words: dict[str, object]) -> None:
    given = {"root": Path("/srv/index"), **words}
    with pytest.raises(WheelmillError):
        configuration(**given)  # type: ignore[arg-type]
