"""One smoke run: a clean environment, a user's installs, the README's example, and the CPU's answer to it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelmill.index import IndexServer, Request
from wheelmill.metadata import ADAPTER, SIMULATOR
from wheelmill.progress import Progress, silent
from wheelmill.smoke import probe
from wheelmill.smoke.places import Place, Session, ThisMachine
from wheelmill.smoke.result import SmokeResult
from wheelmill.smoke.steps import Command, StepFailedError, Steps

if TYPE_CHECKING:
    from wheelmill.matrix import Cell

# The README's example, word for word.
EXAMPLE = """\
import torch
import torch_npu

x = torch.randn(2, 2).npu()
y = torch.randn(2, 2).npu()
z = x.mm(y)
print(z)
"""

_PIP = ("-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--only-binary=:all:")

_HERE = ThisMachine()


@dataclass(frozen=True)
class Limits:
    """The longest that a step may take, in seconds."""

    environment: float = 180.0
    torch: float = 3600.0
    wheels: float = 300.0
    run: float = 300.0


def smoke(
    cell: Cell,
    index: Path,
    work: Path,
    *,
    torch_wheel: Path | None = None,
    torch_cpu_index: str | None = None,
    progress: Progress = silent,
    keep: bool = False,
    limits: Limits = Limits(),
    place: Place = _HERE,
) -> SmokeResult:
    """Install the cell's wheels from `index` into a clean environment under `work`; run the README's example.

    The adapter and the simulator come from `index` (a directory that `build_index` made, served on loopback)
    and from nowhere else; torch comes from `torch_wheel` where that very file fits the cell, else as a CPU
    build from the matrix's URL or `torch_cpu_index`, else from the index that pip is configured with.
    The environment is removed after a good run unless `keep`, and left, named in the result, after a bad one.
    Never raises for what the wheels do; a place that cannot run the cell gives a result that says so.
    """
    reason = place.cannot_run(cell)
    if reason is not None:
        return SmokeResult.not_run(cell.key, reason)
    work.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix=f"{cell.name}-", dir=work)).absolute()
    logs = home / "logs"
    logs.mkdir()
    steps = Steps(logs, progress)
    requests: list[Request] = []
    readable = (torch_wheel,) if torch_wheel is not None else ()
    try:
        with (
            IndexServer(index, listener=requests.append) as server,
            place.open(cell, home, readable) as session,
        ):
            steps = Steps(logs, progress, session.run, session.slowness)
            run = _Run(cell, home, steps, limits, session)
            run.make_environment()
            run.install_torch(_torch_sources(cell, torch_wheel, torch_cpu_index))
            run.install_wheels(server.simple_url)
            found = run.try_out()
    except StepFailedError as error:
        return SmokeResult.failed(cell.key, home, tuple(steps.done), error.failure)
    result = SmokeResult.passed(cell.key, home, tuple(steps.done), found, _served(requests))
    if keep:
        return result
    shutil.rmtree(home)
    return result.without_environment()


def cannot_run(cell: Cell) -> str | None:
    """Why this machine cannot run the cell, in one sentence; None when it can."""
    return _HERE.cannot_run(cell)


class _Run:
    """The steps of one run in their order; `home` is the run's own directory."""

    def __init__(self, cell: Cell, home: Path, steps: Steps, limits: Limits, session: Session) -> None:
        self._cell = cell
        self._home = home
        self._steps = steps
        self._limits = limits
        self._bin = home / "env" / "bin"
        self._python = self._bin / "python"
        given = session.environment
        path = f"{self._bin}{os.pathsep}{given.get('PATH', os.defpath)}"
        self._environment = {**given, "PATH": path, "PYTHONNOUSERSITE": "1", "PYTHONUNBUFFERED": "1"}
        self._interpreter = session.python

    def make_environment(self) -> None:
        command: Command = [self._interpreter, "-m", "venv", self._home / "env"]
        self._steps.run("environment", command, self._environment, self._limits.environment)

    def install_torch(self, sources: Iterator[tuple[str, ...]]) -> None:
        """Take the first source that gives torch; the last one's failure is the step's."""
        failure: StepFailedError | None = None
        for number, source in enumerate(sources, start=1):
            try:
                # Every attempt has a log of its own, so that none hides another's reason.
                name = "torch" if number == 1 else f"torch from source {number}"
                self._steps.run(name, [self._python, *_PIP, *source], self._environment, self._limits.torch)
                return
            except StepFailedError as error:
                failure = error
        assert failure is not None
        raise failure

    def install_wheels(self, index_url: str) -> None:
        """Adapter and simulator, from this index alone: no configuration, variable or cache of pip counts."""
        line = self._cell.line
        wanted = (f"{ADAPTER}=={line.adapter}", f"{SIMULATOR}=={line.torch.version}")
        alone = {key: value for key, value in self._environment.items() if not key.startswith("PIP_")}
        alone["PIP_CONFIG_FILE"] = os.devnull
        options = ("--no-deps", "--no-cache-dir", "--index-url", index_url)
        self._steps.run("wheels", [self._python, *_PIP, *options, *wanted], alone, self._limits.wheels)
        check: Command = [self._python, "-m", "pip", "check", "--disable-pip-version-check"]
        self._steps.run("pip check", check, self._environment, self._limits.wheels)

    def try_out(self) -> dict[str, Any]:
        """Import without CANN, then the example under the simulator; what the probe found in both."""
        script = self._home / "example.py"
        script.write_text(EXAMPLE, encoding="utf-8")
        tool = shutil.copyfile(probe.__file__, self._home / "probe.py")
        absent, ran = self._home / "absent.json", self._home / "ran.json"
        # -P and -I are too new for Python 3.8; the run's own directory holds nothing that could shadow.
        self._steps.run(
            "import without CANN", [self._python, tool, "absent", absent], self._environment, self._limits.run
        )
        simulated: Command = [self._bin / "cann-simulator", "run", "--", self._python]
        command = [*simulated, tool, "example", script, ran]
        self._steps.run("example on the simulated NPU", command, self._environment, self._limits.run)
        found: dict[str, Any] = {**json.loads(absent.read_text()), **json.loads(ran.read_text())}
        return found


def _torch_sources(cell: Cell, wheel: Path | None, cpu_index: str | None) -> Iterator[tuple[str, ...]]:
    """Words for pip install, best first; an address that does not answer is given up at once."""
    torch = cell.line.torch
    if wheel is not None and _fits(wheel, cell):
        yield (str(wheel),)
    quick = ("--retries", "0", "--timeout", "10")
    listed = torch.wheel(cell.python, cell.arch, "cpu")
    if listed is not None and listed.url is not None:
        yield (*quick, f"torch @ {listed.url}#sha256={listed.sha256}")
    if cpu_index is not None:
        yield (*quick, "--index-url", cpu_index, f"torch=={torch.version}+cpu")
    yield (f"torch=={torch.version}",)


def _fits(wheel: Path, cell: Cell) -> bool:
    """Whether a torch wheel is for the cell's Python and arch, by its name."""
    parts = wheel.name.removesuffix(".whl").split("-")
    return len(parts) >= 5 and parts[-2] == cell.python_tag and parts[-1].endswith(f"_{cell.arch}")


def _served(requests: list[Request]) -> dict[str, str]:
    """File name -> SHA-256 of the wheels that pip took from the index; the hash is in their address."""
    taken = {}
    for request in requests:
        if request.method == "GET" and request.path.endswith(".whl") and request.status == 200:
            _, _, digest, file = request.path.split("/")
            taken[file] = digest
    return taken
