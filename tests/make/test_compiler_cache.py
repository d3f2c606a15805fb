"""A compiler cache that machines share: what one has compiled, another takes from there."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from wheelmill.make.engines import cmake
from wheelmill.make.toolchain.compiler import find_compiler, host_arch
from wheelmill.make.toolchain.tools import cache_settings, remote_cache

from tests.needs import need_program


class Storage(BaseHTTPRequestHandler):
    """What ccache asks of an HTTP server."""

    kept: dict[str, bytes]

    def do_GET(self) -> None:
        content = self.kept.get(self.path)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def do_PUT(self) -> None:
        self.kept[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Nothing."""


@pytest.fixture
def storage() -> Iterator[str]:
    """The address of an empty one."""
    Storage.kept = {}
    with ThreadingHTTPServer(("127.0.0.1", 0), Storage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/cache"
        server.shutdown()


def test_a_second_machine_takes_what_the_first_has_compiled(tmp_path: Path, storage: str) -> None:
    ccache = Path(need_program("ccache"))
    (tmp_path / "one.cpp").write_text("int one() { return 1; }\n")
    compiler = find_compiler(host_arch()).cxx

    def hits(machine: str) -> bool:
        """Compile on a machine that has compiled nothing yet; whether the shared cache helped."""
        variables = {"CCACHE_DIR": str(tmp_path / machine), "CCACHE_REMOTE_STORAGE": storage, "PATH": "/bin"}
        given = cmake.environment({"PATH": "/usr/bin:/bin"}, cache_settings(ccache, variables), home=tmp_path)
        command = [ccache, *compiler, "-c", "one.cpp", "-o", f"{machine}.o"]
        subprocess.run(command, cwd=tmp_path, env=given, check=True)
        count = [ccache, "--print-stats"]
        stats = subprocess.run(count, env=given, capture_output=True, text=True, check=True).stdout
        return dict(line.split("\t") for line in stats.splitlines()).get("remote_storage_hit") == "1"

    assert (hits("first"), hits("second")) == (False, True)
    assert (tmp_path / "first.o").read_bytes() == (tmp_path / "second.o").read_bytes()


def test_without_one_nothing_is_said(tmp_path: Path) -> None:
    ccache = Path(need_program("ccache"))
    assert remote_cache(ccache, {"CCACHE_DIR": str(tmp_path), "CCACHE_CONFIGPATH": "/dev/null"}) == {}
    assert remote_cache(None, {}) == {}
