"""A small static server for an index, on loopback: for smoke runs, tests and `wheelmill serve`.

It answers GET and HEAD, chooses between HTML and JSON by the Accept header, and never leaves the index. One
thread per connection, and none that a client can hold: a request has to be there within `PATIENCE` seconds,
and an answer has to be taken at `SLOWEST` bytes per second or faster.
"""

from __future__ import annotations

import http.server
import io
import os
import re
import resource
import socket
import stat
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import IO, Any

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
TYPES = {
    ".metadata": "text/plain; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".provenance": "application/json",
    ".jsonl": "application/jsonl",
}
PATIENCE = 20.0  # seconds
SLOWEST = 16 << 10  # bytes per second
_CONNECTIONS = 4000  # at once; more wait until one ends
_BACKLOG = 4096  # connections that the kernel holds until they are accepted; it may cut this to its own limit
_BLOCK = 1 << 18
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


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
        self,
        root: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        listener: Listener | None = None,
        patience: float = PATIENCE,
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
        self._server.patience = patience
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
            digest, file = request.path.split("/")[-2:]
            self._taken[urllib.parse.unquote(file)] = digest
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


def allow_many_files() -> None:
    """Let this process open all files that it may: a connection is one, and what it is sent another."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # an idle kept-alive connection must not delay the end
    request_queue_size = _BACKLOG
    root: Path
    listener: Listener | None
    patience: float

    def __init__(self, *arguments: Any) -> None:
        self._free = threading.BoundedSemaphore(_CONNECTIONS)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for the connection; while all are taken, the next ones wait in the kernel."""
        if not self._free.acquire(timeout=self.patience):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer until the client or its time ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no event."""


class _Timed(io.RawIOBase):
    """What a client sends, until a moment: each byte that drips in does not give it more time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.end = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(_left(self.end))
        return self._connection.recv_into(buffer)


def _left(end: float) -> float:
    """Seconds until then; raises TimeoutError when it is over."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("the client is too slow")
    return left


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "wheelmill"
    sys_version = ""
    wbufsize = -1  # status and headers in one packet

    def setup(self) -> None:
        super().setup()
        self._input = _Timed(self.connection)
        self.rfile = io.BufferedReader(self._input)

    def handle_one_request(self) -> None:
        """The next request of the connection, which has to come, and whole, within the server's patience."""
        self._input.end = time.monotonic() + self.server.patience
        try:
            super().handle_one_request()
        except TimeoutError:
            self.close_connection = True

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
            return self._file(found, TYPES.get(found.suffix, "application/octet-stream"), body=body)
        if not path.endswith("/"):
            # One slash in front: two would be the address of another host.
            self._text(HTTPStatus.MOVED_PERMANENTLY, "", body=body, location=f"/{path.strip('/')}/")
            return True
        offer = negotiate(self.headers.get("Accept"))
        if offer is None:
            self._text(HTTPStatus.NOT_ACCEPTABLE, f"offered: {', '.join(_OFFERS)}\n", body=body)
            return True
        return self._file(found / offer[0], offer[1], body=body)

    def _file(self, path: Path, content_type: str, *, body: bool) -> bool:
        stream = _open(path)
        if stream is None:
            return False
        with stream:
            size = os.fstat(stream.fileno()).st_size
            part = _part(self.headers.get("Range"), size)
            if part is None:
                self._head(HTTPStatus.OK, content_type, size)
            else:
                where = f"bytes {part.start}-{part.stop - 1}/{size}"
                self._head(HTTPStatus.PARTIAL_CONTENT, content_type, len(part), ("Content-Range", where))
            if body:
                stream.seek(part.start if part else 0)
                self._send(stream, len(part) if part else size)
        return True

    def _send(self, stream: IO[bytes], size: int) -> None:
        """So many bytes of a file, as fast as the client takes them and not slower than it may."""
        self.wfile.flush()
        end = time.monotonic() + self.server.patience + size / SLOWEST
        while size:
            block = memoryview(stream.read(min(size, _BLOCK)))
            if not block:  # it was cut while it was read; the client sees that bytes are missing
                self.close_connection = True
                return
            size -= len(block)
            while block:
                self.connection.settimeout(_left(end))
                block = block[self.connection.send(block) :]

    def _text(self, status: HTTPStatus, text: str, *, body: bool, location: str | None = None) -> None:
        data = text.encode()
        more = () if location is None else (("Location", location),)
        self._head(status, "text/plain; charset=utf-8", len(data), *more)
        if body:
            self.wfile.write(data)

    def _head(self, status: HTTPStatus, content_type: str, size: int, *more: tuple[str, str]) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": content_type,
            "Content-Length": str(size),
            "Accept-Ranges": "bytes",
            "Vary": "Accept",
            "X-Content-Type-Options": "nosniff",
        }
        for name, value in (*headers.items(), *more):
            self.send_header(name, value)
        self.end_headers()
        if self.server.listener is not None:
            agent = self.headers.get("User-Agent", "")
            self.server.listener(Request(self.command, self.path, int(status), content_type, agent))

    def log_message(self, *_: object) -> None:
        """Requests go to the listener and not to the terminal."""


def _open(path: Path) -> IO[bytes] | None:
    """A regular file; None for anything else, such as a pipe that would be waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")


def _part(header: str | None, size: int) -> range | None:
    """The bytes that a Range header asks for; None for all of them, also where it cannot be met."""
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or not (match[1] or match[2]):
        return None
    if match[1]:
        first, last = int(match[1]), min(int(match[2] or size - 1), size - 1)
    else:
        first, last = max(0, size - int(match[2])), size - 1
    return range(first, last + 1) if first <= last else None


def _resolve(root: Path, path: str) -> Path | None:
    """The file or directory a URL path names under `root`; None for what is not there or leads out of it."""
    parts = [urllib.parse.unquote(part) for part in path.split("/") if part]
    if any(part in (".", "..") or "/" in part or "\0" in part for part in parts):
        return None
    target = root.joinpath(*parts)
    pool = root.parent / FILES  # the tree's link `files` leads there
    try:
        real = target.resolve(strict=True)
        if not (real.is_relative_to(root) or real.is_relative_to(pool)):
            return None
        return None if real.is_dir() and not (real / HTML_NAME).is_file() else target
    except (OSError, RuntimeError):  # absent, too long, a loop of links
        return None


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
