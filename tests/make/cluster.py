"""A real Dask scheduler and real workers on this machine, for tests of builds on several machines."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.store import digest_file

from tests.make.conftest import LINE, PROJECT, Checkout

ON_THE_WAY = 600.0  # seconds that a process may take to start
CELL = f"{LINE}/3.8/{host_arch()}"


@dataclass
class Cluster:
    """A scheduler, and workers in the checkout, each with a state of its own."""

    checkout: Checkout
    address: str
    scheduler: subprocess.Popen[str]
    workers: list[subprocess.Popen[str]] = field(default_factory=list)

    def home(self, number: int) -> Path:
        """The state of the worker with this number, from 0."""
        return self.checkout.root / f"machine{number}"

    def worker(self, *words: str, before: tuple[str, ...] = (), **environment: str) -> subprocess.Popen[str]:
        """A further worker, once it is there; `before` stands before its interpreter."""
        environment = {"WHEELMILL_HOME": str(self.home(len(self.workers))), **environment}
        process = self.checkout.start("worker", self.address, *words, before=before, **environment)
        self.workers.append(process)
        end = time.monotonic() + ON_THE_WAY
        while "compiling for" not in (line := read_line(process)):
            assert process.poll() is None, line
            assert time.monotonic() < end
        return process

    def patched_worker(self, *words: str, program: str, **environment: str) -> subprocess.Popen[str]:
        """A worker that runs this program before it begins: a machine with a fault."""
        folder = self.checkout.root / f"fault{len(self.workers)}"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(
            f"import sys\nif 'worker' in sys.argv:\n{_indented(program)}"
        )
        return self.worker(*words, PYTHONPATH=f"{folder}:{PROJECT / 'release'}", **environment)

    def build(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """`wheelmill build` on it."""
        return self.checkout.start("build", *words, "--no-smoke", "--on", self.address, **environment)


def _indented(program: str) -> str:
    return "".join(f"    {line}\n" for line in program.strip().splitlines())


@contextmanager
def scheduler(checkout: Checkout, host: str = "127.0.0.1", **environment: str) -> Iterator[Cluster]:
    """A scheduler at this address of the machine, without workers yet."""
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    command += ["--port", "0", "--host", host, "--no-dashboard"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})
    while not (found := re.search(rf"tcp://{re.escape(host)}:(\d+)", line := read_line(process))):
        assert line, "the scheduler ended"
    yield Cluster(checkout, f"dask://{host}:{found[1]}", process)
    process.kill()
    process.communicate()


def read_line(process: subprocess.Popen[str]) -> str:
    """The next line of its error output."""
    assert process.stderr is not None
    return process.stderr.readline()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, output and error output."""
    out, err = process.communicate(timeout=900)
    return process.returncode, out, err


def until(path: Path, seconds: float = ON_THE_WAY) -> None:
    """Wait for a file."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.02)


def wheels(home: Path) -> dict[str, str]:
    """The SHA-256 of each wheel in a state."""
    return {path.name: digest_file(path) for path in home.glob("wheels/*/*.whl")}
