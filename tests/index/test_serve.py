"""The static server: content negotiation, and that nothing outside of the index is served."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from pathlib import Path

import pytest
from wheelmill.errors import WheelmillError
from wheelmill.publish.index import IndexServer, build_index
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
