"""A thousand clients at once on `wheelmill serve`, real pip and uv among them: nothing may be lost.

All connections are opened before the first one asks. Each client reads a project's page, the metadata of a
wheel and the wheel, and compares hashes; a hundred more drip their request and never finish it.

`python bench/load.py [CLIENTS]` prints what was lost and how long it took; exit code 1 if anything was.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "release")]

from wheelmill.publish.index import WheelRecord, build_index  # noqa: E402

from bench.static_index import generate, name_of  # noqa: E402

DRIPPING = 100
INSTALLERS = 8  # of pip and uv each
JSON = "application/vnd.pypi.simple.v1+json"


def make_index(folder: Path) -> Path:
    """An index of a hundred wheels, with one that any Python installs."""
    generate(folder / "wheels", range(100))
    paths = [folder / "wheels" / name_of(number) for number in range(100)]
    any_wheel = paths[0].with_name("anywhere-1.0-py3-none-any.whl")
    generate_any(any_wheel)
    moment = datetime(2026, 1, 1, tzinfo=timezone.utc)
    build_index([WheelRecord.from_wheel(path, moment) for path in (*paths, any_wheel)], folder / "index")
    return folder / "index"


def generate_any(path: Path) -> None:
    """A wheel of 4 MB."""
    import zipfile

    info = "anywhere-1.0.dist-info"
    files = {
        "anywhere.bin": os.urandom(4 << 20),
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: anywhere\nVersion: 1.0\n\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (*files.items(), (f"{info}/RECORD", record.encode())):
            archive.writestr(name, data)


class Client:
    """One connection of an installer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def get(self, path: str) -> bytes:
        """The body of an answer; raises ValueError for another status than 200."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {JSON}\r\n\r\n".encode())
        await self._writer.drain()
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        if " 200 " not in head.splitlines()[0]:
            raise ValueError(head)
        found = re.search(r"(?i)content-length: (\d+)", head)
        assert found is not None
        return await self._reader.readexactly(int(found[1]))

    async def install(self, project: str) -> None:
        """As pip does: the page, the metadata, the wheel. Raises ValueError for other bytes than told."""
        page = json.loads(await self.get(f"/simple/{project}/"))
        entry = page["files"][-1]
        path = f"/simple/{project}/{entry['url']}".replace(f"/simple/{project}/../../", "/")
        for suffix, digest in (
            (".metadata", entry["core-metadata"]["sha256"]),
            ("", entry["hashes"]["sha256"]),
        ):
            if hashlib.sha256(await self.get(path + suffix)).hexdigest() != digest:
                raise ValueError(f"{path}{suffix} has other bytes")


async def drip(port: int) -> None:
    """A request that never ends; the server has to end it."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while True:
            writer.write(b"G")
            await writer.drain()
            await asyncio.sleep(0.5)
    except OSError:
        return


async def installer(command: list[str], target: Path, url: str) -> int:
    """A real installer's exit code."""
    words = [*command, "--target", str(target), "--index-url", url, "anywhere"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    quiet = subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*words, stdout=quiet, stderr=quiet, env=kept)
    return await process.wait()


async def load(port: int, clients: int, folder: Path) -> tuple[int, list[BaseException | int]]:
    """Everything at once: how many were served, and what was lost."""
    url = f"http://127.0.0.1:{port}/simple/"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-cache-dir", "--disable-pip-version-check"]
    uv = [
        str(Path(sys.executable).parent / "uv"),
        "pip",
        "install",
        "-q",
        "--no-cache",
        "--python",
        sys.executable,
    ]
    dripping = [asyncio.create_task(drip(port)) for _ in range(DRIPPING)]
    opened = await asyncio.gather(
        *(asyncio.open_connection("127.0.0.1", port) for _ in range(clients)), return_exceptions=True
    )
    jobs = [Client(*one).install("project-00001") for one in opened if not isinstance(one, BaseException)]
    real = [
        installer(command, folder / f"{name}{number}", url)
        for number in range(INSTALLERS)
        for name, command in (("pip", pip), ("uv", uv))
    ]
    done = await asyncio.gather(*jobs, *real, return_exceptions=True)
    for task in dripping:
        task.cancel()
    lost: list[BaseException | int] = [one for one in opened if isinstance(one, BaseException)]
    lost += [one for one in done if isinstance(one, BaseException) or (one is not None and one != 0)]
    return len(done), lost


def main(clients: int = 1000) -> int:
    """Serve, load, report."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = ["-m", "wheelmill", "serve", "--port", "0", "--index", str(make_index(folder))]
        server = subprocess.Popen(
            [sys.executable, "-u", *words],
            env={**os.environ, "PYTHONPATH": str(ROOT / "release")},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert server.stdout is not None
            found = re.search(r":(\d+)/", server.stdout.readline())
            assert found is not None
            started = time.perf_counter()
            served, lost = asyncio.run(load(int(found[1]), clients, folder))
            took = time.perf_counter() - started
        finally:
            server.terminate()
            server.wait()
    print(f"{served} clients served, {2 * INSTALLERS} of them pip and uv; {len(lost)} lost; {took:.1f} s")
    for one in lost[:5]:
        print(repr(one))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
