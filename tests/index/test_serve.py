"""The static server: content negotiation, and that nothing outside of the index is served."""

from __future__ import annotations

import contextlib
import http.client
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from wheelmill.errors import WheelmillError
from wheelmill.publish.index import IndexServer, build_index, serve
from wheelmill.publish.index.serve import HTML_TYPE, JSON_TYPE, negotiate

from tests.index.conftest import Served, demo, record_of

PIP = f"{JSON_TYPE}, {HTML_TYPE}; q=0.1, text/html; q=0.01"


@pytest.mark.parametrize(
    ("accept", "file"),
    [
        (None, "index.html"),
        ("*/*", "index.html"),
        ("text/html", "index.html"),
        ("text/*", "index.html"),
        (PIP, "index.v1+json"),
        (JSON_TYPE, "index.v1+json"),
        ("application/vnd.pypi.simple.latest+json", "index.v1+json"),
        (f"{JSON_TYPE};q=0.2, {HTML_TYPE};q=0.4", "index.html"),
        (f"text/html;q=0, {JSON_TYPE};q=0.001", "index.v1+json"),
        (f"{JSON_TYPE};q=none, text/html;q=0.1", "index.html"),
    ],
)
def test_the_best_liked_form_is_given(accept: str | None, file: str) -> None:
    offer = negotiate(accept)
    assert offer is not None
    assert offer[0] == file


@pytest.mark.parametrize("accept", ["image/png", f"{JSON_TYPE};q=0", "application/vnd.pypi.simple.v2+json"])
def test_what_there_is_not_is_not_acceptable(accept: str) -> None:
    assert negotiate(accept) is None


def ask(
    served: Served, path: str, method: str = "GET", accept: str = "*/*"
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(served.base.removeprefix("http://"), timeout=30)
    connection.request(method, path, headers={"Accept": accept})
    answer = connection.getresponse()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()


@pytest.fixture
def running(tmp_path: Path, served: Callable[..., Served]) -> Served:
    (tmp_path / "secret").write_text("outside")
    return served(record_of(demo(), tmp_path / "wheels"))


def test_content_types_are_those_of_the_specification(running: Served) -> None:
    assert ask(running, "/simple/demo/", accept=PIP)[1]["content-type"] == JSON_TYPE
    assert ask(running, "/simple/demo/")[1]["content-type"].startswith("text/html")
    assert ask(running, "/simple/demo/")[1]["vary"] == "Accept"


def test_an_unacceptable_form_is_406(running: Served) -> None:
    assert ask(running, "/simple/", accept="image/png")[0] == 406


def test_a_directory_without_its_slash_is_redirected(running: Served) -> None:
    status, headers, _ = ask(running, "/simple/demo")
    assert (status, headers["location"]) == (301, "/simple/demo/")


def test_head_has_the_length_and_no_body(running: Served) -> None:
    wheel = next(running.out.glob("files/*/*.whl"))
    path = "/" + wheel.relative_to(running.out).as_posix()
    status, headers, body = ask(running, path, method="HEAD")
    assert (status, int(headers["content-length"]), body) == (200, wheel.stat().st_size, b"")
    assert ask(running, path)[2] == wheel.read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "/../secret",
        "/%2e%2e/secret",
        "/simple/..%2f..%2f..%2fsecret",
        "/simple/../../../secret",
        "/%00",
        "/files/",
        "/",
        "/simple/absent/",
    ],
)
def test_nothing_but_the_index_is_served(running: Served, path: str) -> None:
    status, _, body = ask(running, path)
    assert (status, b"outside" in body) == (404, False)


def test_a_link_out_of_the_index_is_not_followed(running: Served, tmp_path: Path) -> None:
    (running.out / "simple/leak").symlink_to(tmp_path / "secret")
    assert ask(running, "/simple/leak")[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_it_only_reads(running: Served, method: str) -> None:
    assert ask(running, "/simple/", method=method)[0] == 501


def test_a_place_without_an_index_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(WheelmillError, match="holds no index"):
        IndexServer(tmp_path)


def test_a_taken_port_is_one_clear_error(tmp_path: Path) -> None:
    build_index([record_of(demo(), tmp_path)], tmp_path / "index")
    with IndexServer(tmp_path / "index") as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(WheelmillError, match=f"cannot listen on 127.0.0.1:{port}"):
            IndexServer(tmp_path / "index", port=port)


def test_a_name_of_any_length_gets_an_answer(running: Served) -> None:
    for length in (300, 5000, 70_000):
        assert ask(running, "/simple/" + "x" * length + "/")[0] in (404, 414)


def test_a_redirect_stays_on_this_host(running: Served) -> None:
    assert ask(running, "//simple")[1]["location"] == "/simple/"


def test_a_pipe_in_the_index_holds_nobody(running: Served) -> None:
    wheel = next(running.out.glob("files/*/*.whl"))
    os.mkfifo(wheel.with_name("pipe.whl"))
    assert ask(running, f"/files/{wheel.parent.name}/pipe.whl")[0] == 404


@pytest.mark.parametrize(
    ("asked", "status"), [("bytes=2-5", 206), ("bytes=-4", 206), ("bytes=9999999-", 200)]
)
def test_a_part_of_a_file(running: Served, asked: str, status: int) -> None:
    wheel = next(running.out.glob("files/*/*.whl"))
    whole = wheel.read_bytes()
    connection = http.client.HTTPConnection(running.base.removeprefix("http://"), timeout=30)
    connection.request("GET", f"/files/{wheel.parent.name}/{wheel.name}", headers={"Range": asked})
    answer = connection.getresponse()
    parts = {"bytes=2-5": whole[2:6], "bytes=-4": whole[-4:]}
    assert (answer.status, answer.read()) == (status, parts.get(asked, whole))


@contextmanager
def impatient(tmp_path: Path, size: int = 0) -> Iterator[IndexServer]:
    """A server that gives a client half a second."""
    record = record_of(demo(files={"demo.py": os.urandom(size)}), tmp_path / "wheels")
    build_index([record], tmp_path / "index")
    with IndexServer(tmp_path / "index", patience=0.5) as server:
        yield server


def connected(server: IndexServer) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def test_a_client_that_drips_its_request_is_cut_off(tmp_path: Path) -> None:
    """Each byte comes well within the time; the request does not."""
    with impatient(tmp_path) as server, connected(server) as client:
        client.sendall(b"GET /simple/ HTTP/1.1\r\n")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 600 and not select.select([client], [], [], 0.02)[0]:
                client.sendall(b"x")
                sent += 1
        assert client.recv(100) == b""
        assert sent < 600


def test_a_client_that_takes_nothing_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "SLOWEST", 1 << 30)
    with impatient(tmp_path, 24 << 20) as server, connected(server) as client:
        wheel = next((tmp_path / "index").glob("files/*/*.whl"))
        client.sendall(f"GET /files/{wheel.parent.name}/{wheel.name} HTTP/1.1\r\n\r\n".encode())
        got = len(client.recv(64))
        while any(thread.name.startswith("Thread-") for thread in threading.enumerate()):
            threading.Event().wait(0.05)  # until the connection's thread has given up
        with contextlib.suppress(ConnectionError):
            while block := client.recv(1 << 20):
                got += len(block)
        assert got < wheel.stat().st_size


def test_hundreds_of_clients_at_once_all_get_their_answer(running: Served) -> None:
    """All connect before the first one asks, as CI jobs that start together do."""
    clients = [
        socket.create_connection(("127.0.0.1", int(running.base.rpartition(":")[2]))) for _ in range(300)
    ]
    for client in clients:
        client.sendall(b"GET /simple/demo/ HTTP/1.1\r\nConnection: close\r\n\r\n")
    for client in clients:
        with client, client.makefile("rb") as answer:
            assert answer.read().endswith(b"</html>\n")
