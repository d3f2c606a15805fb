"""A package index that tells as much or as little as a test wants, over HTTP on loopback."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.wheels import Draft


def adapter(version: str, tag: str, *headers: str) -> Draft:
    """A wheel of torch_npu with these lines in its METADATA."""
    ballast = {f"torch_npu/part{number}.py": b"x = 1\n" * 50 for number in range(20)}
    return Draft(project="torch_npu", version=version, tag=tag, headers=list(headers), files=ballast)


@dataclass
class Mirror:
    """What the index serves. `strips` are fields of the JSON page that it leaves out."""

    files: dict[str, bytes] = field(default_factory=dict)
    html: bool = False
    strips: set[str] = field(default_factory=set)
    yanked: dict[str, str] = field(default_factory=dict)
    side_files: bool = False
    ranges: bool = True
    older_api: bool = False
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""

    def add(self, draft: Draft, folder: Path) -> str:
        path = draft.write(folder)
        self.files[path.name] = path.read_bytes()
        return path.name

    def page(self) -> tuple[str, bytes]:
        if self.html:
            rows = [
                f'<a href="/files/{name}#sha256={_sha256(data)}">{name}</a>'
                for name, data in self.files.items()
            ]
            return "text/html", "<!DOCTYPE html>".join(["", *rows]).encode()
        files = [self._entry(name, data) for name, data in self.files.items()]
        page = {"meta": {"api-version": "1.1"}, "name": "torch-npu", "files": files, "versions": []}
        return "application/vnd.pypi.simple.v1+json", json.dumps(page).encode()

    def _entry(self, name: str, data: bytes) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "filename": name, "url": f"/files/{name}", "hashes": {"sha256": _sha256(data)},
            "size": len(data), "upload-time": "2026-10-15T03:25:01.435844Z",
        }  # fmt: skip
        if name in self.yanked:
            entry["yanked"] = self.yanked[name]
        if self.side_files:
            entry["core-metadata"] = {"sha256": _sha256(_metadata(data))}
        return {key: value for key, value in entry.items() if key not in self.strips}

    def older(self) -> bytes:
        files = [
            {"filename": name, "size": len(data), "yanked": name in self.yanked,
             "yanked_reason": self.yanked.get(name)}
            for name, data in self.files.items()
        ]  # fmt: skip
        return json.dumps({"releases": {"1": files}}).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _metadata(data: bytes) -> bytes:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("METADATA")))


def _handler(mirror: Mirror) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            span = self.headers.get("Range")
            mirror.asked.append((self.path, span))
            name = self.path.rpartition("/")[2]
            if self.path == "/simple/torch-npu/":
                kind, body = mirror.page()
                self.answer(200, body, kind)
            elif self.path == "/pypi/torch-npu/json" and mirror.older_api:
                self.answer(200, mirror.older(), "application/json")
            elif name.endswith(".metadata") and mirror.side_files:
                self.answer(200, _metadata(mirror.files[name.removesuffix(".metadata")]), "text/plain")
            elif name in mirror.files:
                self.file(mirror.files[name], span)
            else:
                self.answer(404, b"", "text/plain")

        def file(self, data: bytes, span: str | None) -> None:
            if span is None or not mirror.ranges:
                self.answer(200, data, "application/octet-stream")
                return
            first, _, last = span.removeprefix("bytes=").partition("-")
            start = int(first) if first else max(0, len(data) - int(last))
            end = min(int(last) + 1 if first and last else len(data), len(data))
            self.answer(
                206, data[start:end], "application/octet-stream", f"bytes {start}-{end - 1}/{len(data)}"
            )

        def answer(self, code: int, body: bytes, kind: str, span: str | None = None) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if span:
                self.send_header("Content-Range", span)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    """A running index; change its fields to change what it tells."""
    found = Mirror()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(found)) as server:
        found.url = f"http://127.0.0.1:{server.server_port}/simple/"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield found
        server.shutdown()


Add = Callable[..., str]


@pytest.fixture
def add(mirror: Mirror, tmp_path: Path) -> Add:
    """add(version, tag, *METADATA lines) puts a wheel on the index and gives its name."""

    def adding(version: str, tag: str, *headers: str) -> str:
        return mirror.add(adapter(version, tag, *headers), tmp_path / "wheels")

    return adding
