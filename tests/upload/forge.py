"""A server that speaks the release APIs of GitHub, Gitee and GitCode, and misbehaves on demand.

It keeps to what the forges do: drafts that have no address by tag, assets of state `starter` after an upload
that broke off, names that are taken (422) or overwritten without a word, an address that is signed for each
file and refuses a token, `null` for a tag without a release, and tokens that are asked for.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.upload.folders import sha256

TOKEN = "s3cr/t+token"


@dataclass
class Fault:
    """What goes wrong: for requests that match, `times` times, after letting `after` pass."""

    method: str
    path: str
    kind: str
    times: int = 1
    after: int = 0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Page:
    """A release with its files: name -> (number, bytes, whole)."""

    id: int
    tag: str
    fields: dict[str, Any]
    draft: bool = False
    files: dict[str, tuple[int, bytes, bool]] = field(default_factory=dict)


@dataclass
class Forge:
    """The state of the server, for tests to look at."""

    url: str = ""
    pages: list[Page] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    digests: bool = True
    numbers: int = 0

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def files(self, tag: str) -> dict[str, bytes]:
        """The whole files of a release."""
        (page,) = (one for one in self.pages if one.tag == tag)
        return {name: data for name, (_, data, whole) in page.files.items() if whole}

    def asked(self, method: str, path: str) -> int:
        """How many requests of this kind came."""
        return sum(1 for line in self.log if re.fullmatch(f"{method} {path}", line))

    def fault(self, method: str, path: str) -> Fault | None:
        for one in self.faults:
            if one.times > 0 and one.method == method and re.search(one.path, path):
                if one.after:
                    one.after -= 1
                    return None
                one.times -= 1
                return one
        return None


@contextmanager
def forge() -> Iterator[Forge]:
    """A running server; its API is at `url`."""
    state = Forge()

    class Handler(_Handler):
        forge = state

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


Answer = tuple[int, Any]


class _Handler(BaseHTTPRequestHandler):
    forge: Forge
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args: object) -> None:
        pass

    def handle_any(self) -> None:
        split = urlsplit(self.path)
        self.query = dict(parse_qsl(split.query))
        path = split.path
        self.forge.log.append(f"{self.command} {unquote(path)}")
        fault = self.forge.fault(self.command, unquote(path))
        kind = fault.kind if fault else ""
        if kind == "drop":
            self.close_connection = True
            return
        body = self.body()
        if kind.isdigit():
            said = f"trouble with {self.headers.get('Authorization')}"
            self.answer(int(kind), {"message": said}, fault)
            return
        for pattern, act in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match:
                code, data = act(self, body, *map(unquote, match.groups()), kind)
                break
        else:
            code, data = 404, {"message": "Not Found"}
        if kind == "lost":
            self.close_connection = True
            return
        self.answer(code, data, None, half=kind == "half")

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any  # noqa: N815

    def body(self) -> bytes:
        length = self.headers.get("Content-Length")
        if self.headers.get("Transfer-Encoding"):
            return b"chunked"
        return self.rfile.read(int(length)) if length else b""

    def answer(self, code: int, data: Any, fault: Fault | None, half: bool = False) -> None:
        raw = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(code)
        for name, value in (fault.headers if fault else {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw[: len(raw) // 2] if half else raw)
        self.close_connection = self.close_connection or half

    # ------------------------------------------------------------------------------------------------ shared
    def page(self, number: str) -> Page | None:
        return next((one for one in self.forge.pages if one.id == int(number)), None)

    def tagged(self, tag: str) -> Page | None:
        return next((one for one in self.forge.pages if one.tag == tag and not one.draft), None)

    def create(self, fields: dict[str, Any]) -> Page:
        page = Page(self.forge.number(), fields["tag_name"], fields, bool(fields.get("draft")))
        self.forge.pages.append(page)
        return page

    def paged(self, rows: list[Any]) -> list[Any]:
        size, number = int(self.query.get("per_page", 30)), int(self.query.get("page", 1))
        return rows[(number - 1) * size : number * size]


def _github(act: Callable[..., Answer]) -> Callable[..., Answer]:
    def checked(self: _Handler, body: bytes, *rest: str) -> Answer:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {"message": "Bad credentials"}
        return act(self, body, *rest)

    return checked


def _gh_page(self: _Handler, page: Page) -> dict[str, Any]:
    return {
        **page.fields, "id": page.id, "tag_name": page.tag, "draft": page.draft,
        "html_url": f"{self.forge.url}/page/{page.id}",
        "upload_url": f"{self.forge.url}/uploads/releases/{page.id}/assets{{?name,label}}",
    }  # fmt: skip


@_github
def gh_releases(self: _Handler, body: bytes, kind: str) -> Answer:
    if self.command == "GET":
        return 200, self.paged([_gh_page(self, page) for page in reversed(self.forge.pages)])
    return 201, _gh_page(self, self.create(json.loads(body)))


@_github
def gh_release(self: _Handler, body: bytes, number: str, kind: str) -> Answer:
    page = self.page(number)
    if page is None:
        return 404, {}
    fields = json.loads(body)
    page.draft = fields.get("draft", page.draft)
    page.fields.update(fields)
    return 200, _gh_page(self, page)


@_github
def gh_assets(self: _Handler, body: bytes, number: str, kind: str) -> Answer:
    page = self.page(number)
    assert page is not None
    rows = [
        {
            "id": at, "name": name, "size": len(data) if whole else 0,
            "state": "uploaded" if whole else "starter",
            "url": f"{self.forge.url}/repos/o/r/releases/assets/{at}",
            "digest": f"sha256:{sha256(data)}" if whole and self.forge.digests else None,
        }
        for name, (at, data, whole) in page.files.items()
    ]  # fmt: skip
    return 200, self.paged(rows)


@_github
def gh_upload(self: _Handler, body: bytes, number: str, kind: str) -> Answer:
    page, name = self.page(number), self.query["name"]
    assert page is not None
    if name in page.files:
        return 422, {"message": "Validation Failed", "errors": [{"code": "already_exists"}]}
    whole = kind != "starter"
    page.files[name] = (self.forge.number(), body, whole)
    return (201, {}) if whole else (502, {"message": "upstream"})


@_github
def gh_asset(self: _Handler, body: bytes, number: str, kind: str) -> Answer:
    for page in self.forge.pages:
        for name, (at, data, _) in list(page.files.items()):
            if at == int(number) and self.command == "DELETE":
                del page.files[name]
                return 204, b""
            if at == int(number):
                return 200, data
    return 404, {}


# ----------------------------------------------------------------------------------------------------- Gitee
def _gitee(act: Callable[..., Answer]) -> Callable[..., Answer]:
    def checked(self: _Handler, body: bytes, *rest: str) -> Answer:
        self.form = _form(self, body)
        if {**self.query, **self.form}.get("access_token") != TOKEN:
            return 401, {"message": "401 Unauthorized: Access token does not exist"}
        return act(self, body, *rest)

    return checked


def _form(self: _Handler, body: bytes) -> dict[str, Any]:
    kind = self.headers.get("Content-Type", "")
    if not kind.startswith("multipart/"):
        return dict(parse_qsl(body.decode())) if body else {}
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    found: dict[str, Any] = {}
    for part in message.iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        data = part.get_payload(decode=True)
        found[name] = (part.get_filename(), data) if part.get_filename() else data.decode()
    return found


def _ge_page(page: Page) -> dict[str, Any]:
    return {**page.fields, "id": page.id, "tag_name": page.tag}


@_gitee
def ge_tag(self: _Handler, body: bytes, tag: str, kind: str) -> Answer:
    page = self.tagged(tag)
    return 200, _ge_page(page) if page else None


@_gitee
def ge_releases(self: _Handler, body: bytes, kind: str) -> Answer:
    fields = {name: value for name, value in self.form.items() if name != "access_token"}
    if not all(fields.get(name) for name in ("tag_name", "name", "body", "target_commitish")):
        return 400, {"message": "a field is missing"}
    return 201, _ge_page(self.create(fields))


@_gitee
def ge_release(self: _Handler, body: bytes, number: str, kind: str) -> Answer:
    page = self.page(number)
    assert page is not None
    page.fields.update({name: value for name, value in self.form.items() if name != "access_token"})
    return 200, _ge_page(page)


@_gitee
def ge_files(self: _Handler, body: bytes, number: str, kind: str) -> Answer:
    page = self.page(number)
    assert page is not None
    if self.command == "GET":
        rows = [{"id": at, "name": name, "size": len(data)} for name, (at, data, _) in page.files.items()]
        return 200, self.paged(rows)
    name, data = self.form["file"]
    cut = kind == "cut"
    page.files[name] = (self.forge.number(), data[: len(data) // 2] if cut else data, True)
    return (500, {"message": "oops"}) if cut else (201, {"name": name})


@_gitee
def ge_file(self: _Handler, body: bytes, number: str, at: str, kind: str) -> Answer:
    page = self.page(number)
    assert page is not None
    name = next((name for name, (this, _, _) in page.files.items() if this == int(at)), None)
    if name is None:
        return 404, {}
    if self.command == "DELETE":
        del page.files[name]
        return 204, b""
    return 200, page.files[name][1]


# --------------------------------------------------------------------------------------------------- GitCode
def _gitcode(act: Callable[..., Answer]) -> Callable[..., Answer]:
    def checked(self: _Handler, body: bytes, *rest: str) -> Answer:
        if self.headers.get("PRIVATE-TOKEN") != TOKEN:
            return 401, {"error_message": "401 Unauthorized"}
        return act(self, body, *rest)

    return checked


def _gc_page(self: _Handler, page: Page) -> dict[str, Any]:
    source = {"name": "source.zip", "type": "source", "browser_download_url": f"{self.forge.url}/none"}
    files = [
        {
            "name": name,
            "type": "attach",
            "browser_download_url": f"{self.forge.url}/download/{page.id}/{name}",
        }
        for name in page.files
    ]
    return {**page.fields, "tag_name": page.tag, "assets": [source, *files]}


@_gitcode
def gc_tag(self: _Handler, body: bytes, tag: str, kind: str) -> Answer:
    page = self.tagged(tag)
    return (200, _gc_page(self, page)) if page else (404, {"error_message": "404 Release Not Found"})


@_gitcode
def gc_releases(self: _Handler, body: bytes, kind: str) -> Answer:
    fields = json.loads(body)
    if self.tagged(fields["tag_name"]):
        return 409, {"error_message": "Release already exists"}
    return 201, _gc_page(self, self.create(fields))


@_gitcode
def gc_one(self: _Handler, body: bytes, tag: str, kind: str) -> Answer:
    page = self.tagged(tag)
    assert page is not None
    page.fields.update(json.loads(body))
    return 200, _gc_page(self, page)


@_gitcode
def gc_upload_url(self: _Handler, body: bytes, tag: str, kind: str) -> Answer:
    page = self.tagged(tag)
    assert page is not None
    url = f"{self.forge.url}/storage/{page.id}?name={self.query['file_name']}&signature=abc"
    return 200, {
        "url": url,
        "headers": {"x-obs-callback": "attach", "Content-Type": "application/octet-stream"},
    }


def gc_storage(self: _Handler, body: bytes, number: str, kind: str) -> Answer:
    """The signed address: no token, every signed header, a length."""
    if self.headers.get("PRIVATE-TOKEN") or self.query.get("signature") != "abc":
        return 403, {"message": "SignatureDoesNotMatch"}
    if self.headers.get("x-obs-callback") != "attach":
        return 200, {}  # stored, and attached to nothing
    if self.headers.get("Transfer-Encoding"):
        return 411, {"message": "Length Required"}
    page = self.page(number)
    assert page is not None
    page.files[self.query["name"]] = (self.forge.number(), body, True)
    return 200, {}


def gc_download(self: _Handler, body: bytes, number: str, name: str, kind: str) -> Answer:
    page = self.page(number)
    assert page is not None
    return (200, page.files[name][1]) if name in page.files else (404, {})


_ROUTES: list[tuple[str, Callable[..., Answer]]] = [
    (r"/repos/o/r/releases", gh_releases),
    (r"/repos/o/r/releases/(\d+)", gh_release),
    (r"/repos/o/r/releases/(\d+)/assets", gh_assets),
    (r"/uploads/releases/(\d+)/assets", gh_upload),
    (r"/repos/o/r/releases/assets/(\d+)", gh_asset),
    (r"/gitee/repos/o/r/releases/tags/([^/]+)", ge_tag),
    (r"/gitee/repos/o/r/releases", ge_releases),
    (r"/gitee/repos/o/r/releases/(\d+)", ge_release),
    (r"/gitee/repos/o/r/releases/(\d+)/attach_files", ge_files),
    (r"/gitee/repos/o/r/releases/(\d+)/attach_files/(\d+)(?:/download)?", ge_file),
    (r"/gitcode/repos/o/r/releases/tags/([^/]+)", gc_tag),
    (r"/gitcode/repos/o/r/releases", gc_releases),
    (r"/gitcode/repos/o/r/releases/([^/]+)/upload_url", gc_upload_url),
    (r"/gitcode/repos/o/r/releases/([^/]+)", gc_one),
    (r"/storage/(\d+)", gc_storage),
    (r"/download/(\d+)/([^/]+)", gc_download),
]
