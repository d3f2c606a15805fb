"""A small static server for an index, on loopback: for smoke runs, tests and `wheelmill serve`.

It answers GET and HEAD, chooses between HTML and JSON by the Accept header, and never leaves its directory.
"""

from __future__ import annotations

import http.server
import os
import shutil
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any

from wheelmill.errors import WheelmillError
from wheelmill.publish.index.pages import FILES, HTML_NAME, JSON_NAME, SIMPLE

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
HTML_TYPE = "application/vnd.pypi.simple.v1+html"

# What can be asked for -> (file, content type). Where several are as welcome, the first one is given:
# plain HTML for a client that names nothing, such as a browser or an old pip.
_OFFERS = {
    "text/html": (HTML_NAME, "text/html; charset=utf-8"),
    JSON_TYPE: (JSON_NAME, JSON_TYPE),
    "application/vnd.pypi.simple.latest+json": (JSON_NAME, JSON_TYPE),
    HTML_TYPE: (HTML_NAME, f"{HTML_TYPE}; charset=utf-8"),
    "application/vnd.pypi.simple.latest+html": (HTML_NAME, f"{HTML_TYPE}; charset=utf-8"),
}
_TYPES = {".metadata": "text/plain; charset=utf-8", ".html": "text/html; charset=utf-8"}
_IDLE_SECONDS = 30.0


@dataclass(frozen=True)
class Request:
    """One answered request, for logs and tests."""

    method: str
    path: str
    status: int
    content_type: str
    agent: str


Listener = Callable[[Request], None]


class IndexServer:
    """`with IndexServer(index) as server: ... server.simple_url`. Stops, and frees its port, on leaving.

    `root` is the symbolic link that `build_index` made; an index switched while serving is served at once.
    `port` 0 takes a free one. Raises WheelmillError when there is no index or the port is taken.
    """

    def __init__(
        self, root: Path, *, host: str = "127.0.0.1", port: int = 0, listener: Listener | None = None
    ) -> None:
        if not (root / SIMPLE / HTML_NAME).is_file():
            raise WheelmillError(
                f"{root} holds no index", hint="Make one first; it is the directory that contains simple/."
            )
        try:
            self._server = _Server((host, port), _Handler)
        except OSError as error:
            raise WheelmillError(
                f"cannot listen on {host}:{port}: {error.strerror}",
                hint="Take another port, or 0 for a free one.",
            ) from None
        self._server.root = root
        self._server.listener = self._note
        self._listener = listener
        self._taken: dict[str, str] = {}
        polling = {"poll_interval": 0.05}  # seconds that leaving may wait
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs=polling, name="index-server", daemon=True
        )

    @property
    def url(self) -> str:
        """http://127.0.0.1:PORT, without a slash at the end."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def simple_url(self) -> str:
        """What pip's --index-url takes."""
        return f"{self.url}/{SIMPLE}/"

    def taken(self) -> dict[str, str]:
        """File name -> SHA-256 of the wheels that were downloaded whole; the hash is in their address."""
        return dict(self._taken)

    def _note(self, request: Request) -> None:
        if request.method == "GET" and request.path.endswith(".whl") and request.status == HTTPStatus.OK:
            _, _, digest, file = request.path.split("/")
            self._taken[file] = digest
        if self._listener is not None:
            self._listener(request)

    def __enter__(self) -> IndexServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # an idle kept-alive connection must not delay the end
    root: Path
    listener: Listener | None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no event."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "wheelmill"
    sys_version = ""
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        path = urllib.parse.urlsplit(self.path).path
        root = self.server.root.resolve()
        while not self._answer_from(root, path, body=body):
            # The index may have been switched, and the tree that was looked at taken away, in between.
            if (now := self.server.root.resolve()) == root:
                self._text(HTTPStatus.NOT_FOUND, "not in this index\n", body=body)
                return
            root = now

    def _answer_from(self, root: Path, path: str, *, body: bool) -> bool:
        """Answer from one tree; False, and nothing sent, when it has no such file."""
        found = _resolve(root, path)
        if found is None:
            return False
        if not found.is_dir():
            return self._file(found, _TYPES.get(found.suffix, "application/octet-stream"), body=body)
        if not path.endswith("/"):
            self._text(HTTPStatus.MOVED_PERMANENTLY, "", body=body, location=f"{path}/")
            return True
        offer = negotiate(self.headers.get("Accept"))
        if offer is None:
            self._text(HTTPStatus.NOT_ACCEPTABLE, f"offered: {', '.join(_OFFERS)}\n", body=body)
            return True
        return self._file(found / offer[0], offer[1], body=body)

    def _file(self, path: Path, content_type: str, *, body: bool) -> bool:
        try:
            stream = path.open("rb")
        except FileNotFoundError:
            return False
        with stream:
            self._head(HTTPStatus.OK, content_type, os.fstat(stream.fileno()).st_size)
            if body:
                shutil.copyfileobj(stream, self.wfile, 1 << 18)
        return True

    def _text(self, status: HTTPStatus, text: str, *, body: bool, location: str | None = None) -> None:
        data = text.encode()
        self._head(status, "text/plain; charset=utf-8", len(data), location)
        if body:
            self.wfile.write(data)

    def _head(self, status: HTTPStatus, content_type: str, size: int, location: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(size))
        self.send_header("Vary", "Accept")
        self.send_header("X-Content-Type-Options", "nosniff")
        if location is not None:
            self.send_header("Location", location)
        self.end_headers()
        if self.server.listener is not None:
            agent = self.headers.get("User-Agent", "")
            self.server.listener(Request(self.command, self.path, int(status), content_type, agent))

    def log_message(self, *_: object) -> None:
        """Requests go to the listener and not to the terminal."""


def _resolve(root: Path, path: str) -> Path | None:
    """The file or directory a URL path names under `root`; None for what is not there or leads out of it."""
    parts = [urllib.parse.unquote(part) for part in path.split("/") if part]
    if any(part in (".", "..") or "/" in part or "\0" in part for part in parts):
        return None
    target = root.joinpath(*parts)
    pool = root.parent / FILES  # the tree's link `files` leads there
    real = target.resolve()
    if not target.exists() or not (real.is_relative_to(root) or real.is_relative_to(pool)):
        return None
    if target.is_dir() and not (target / HTML_NAME).is_file():
        return None
    return target


def negotiate(accept: str | None) -> tuple[str, str] | None:
    """(file name, content type) of the page that an Accept header likes best; None when it likes none."""
    wanted = _parse_accept(accept or "*/*")
    best: tuple[float, str] | None = None
    for offer in _OFFERS:
        kind = offer.partition("/")[0]
        quality = next((wanted[key] for key in (offer, f"{kind}/*", "*/*") if key in wanted), 0.0)
        if quality > 0 and (best is None or quality > best[0]):
            best = (quality, offer)
    return None if best is None else _OFFERS[best[1]]


def _parse_accept(accept: str) -> dict[str, float]:
    """Media range -> quality; parameters other than q are ignored, an unreadable q counts as 0."""
    wanted: dict[str, float] = {}
    for part in accept.split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        quality = "1"
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            quality = value.strip() if key.strip() == "q" else quality
        try:
            wanted[media.lower()] = float(quality)
        except ValueError:
            wanted[media.lower()] = 0.0
    return wanted
