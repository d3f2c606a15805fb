"""The clean virtual environment of a smoke run: what is installed into it and run in it, step by step."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelmill.limits import parse_json
from wheelmill.progress import Progress, silent
from wheelmill.prove.smoke import probe
from wheelmill.prove.smoke.steps import Command, StepFailedError, Steps
from wheelmill.prove.smoke.torch_sources import TorchSource

if TYPE_CHECKING:
    from wheelmill.prove.smoke.places import Session

# The README's example, word for word.
EXAMPLE = """\
import torch
import torch_npu

x = torch.randn(2, 2).npu()
y = torch.randn(2, 2).npu()
z = x.mm(y)
print(z)
"""

PIP = ("-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--only-binary=:all:")


def home_for(name: str, work: Path) -> Path:
    """A new folder under `work` for one run of `name`, with a folder for its logs."""
    work.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=work)).absolute()
    (home / "logs").mkdir()
    return home


@dataclass(frozen=True)
class Limits:
    """The longest that a step may take, in seconds; `check` is for one check of a capability group."""

    environment: float = 180.0
    torch: float = 3600.0
    wheels: float = 300.0
    run: float = 300.0
    group: float = 900.0
    check: float = 60.0


class Environment:
    """One environment; `home` is the run's own directory, and the paths in it are the same in the place.

    The environment is made at `folder`, by default in the run's directory. `soc` is the chip that is
    simulated, the simulator's own default when None.
    """

    soc: str | None = None

    def __init__(
        self, home: Path, steps: Steps, limits: Limits, session: Session, folder: Path | None = None
    ) -> None:
        self.home = home
        self.steps = steps
        self.limits = limits
        self.session = session
        self.folder = home / "env" if folder is None else folder
        self.bin = self.folder / "bin"
        self.python = self.bin / "python"
        given = session.environment
        path = f"{self.bin}{os.pathsep}{given.get('PATH', os.defpath)}"
        self.variables = {**given, "PATH": path, "PYTHONNOUSERSITE": "1", "PYTHONUNBUFFERED": "1"}

    def make(self) -> None:
        """Create it with the place's Python."""
        command: Command = [self.session.python, "-m", "venv", self.folder]
        self.steps.run("environment", command, self.variables, self.limits.environment)

    def install_torch(self, sources: Iterable[TorchSource], note: Progress = silent) -> TorchSource:
        """The first source that gives torch; the last one's failure is the step's. `note` gets warnings."""
        failure: StepFailedError | None = None
        for number, source in enumerate(sources, start=1):
            if source.warning is not None:
                note(source.warning)
            try:
                # Every attempt has a log of its own, so that none hides another's reason.
                name = "torch" if number == 1 else f"torch from source {number}"
                self._install_torch(name, source)
                return source
            except StepFailedError as error:
                failure = error
        assert failure is not None
        raise failure

    def _install_torch(self, name: str, source: TorchSource) -> None:
        """Torch alone, then what it needs: pip holds all of a command to hashes, or nothing."""
        if source.hashes:
            self.install_held(name, source.requirement, source.hashes, source.options)
            name = f"what {name} needs"
        pip: Command = [self.python, *PIP, *source.options, source.requirement]
        self.steps.run(name, pip, self.variables, self.limits.torch)

    def install_held(
        self, name: str, requirement: str, hashes: Iterable[str], options: Sequence[str] = ()
    ) -> None:
        """Install one project without what it needs, held to these hashes (`--hash=sha256:...`)."""
        wanted = self.home / f"{name.replace(' ', '-')}.txt"
        wanted.write_text(f"{requirement} {' '.join(hashes)}\n", encoding="utf-8")
        held: Command = [self.python, *PIP, *options, "--no-deps", "--require-hashes", "--requirement"]
        self.steps.run(name, [*held, wanted], self.variables, self.limits.torch)

    def install_from_index(self, index_url: str, wanted: Sequence[str]) -> None:
        """Install from this index alone: no configuration, variable or cache of pip counts."""
        self.install_alone("wheels", ("--index-url", index_url), wanted)

    def install_alone(self, name: str, where: Sequence[str], wanted: Sequence[str]) -> None:
        """The same from where these words of pip say."""
        alone = {key: value for key, value in self.variables.items() if not key.startswith("PIP_")}
        alone["PIP_CONFIG_FILE"] = os.devnull
        options = ("--no-deps", "--no-cache-dir", *where)
        self.steps.run(name, [self.python, *PIP, *options, *wanted], alone, self.limits.wheels)

    def install_files(self, wheels: Sequence[Path], requirements: Sequence[str]) -> None:
        """Install these files as they are, and then what they need beside torch."""
        command: Command = [self.python, *PIP, "--no-deps", *wheels]
        self.steps.run("wheels", command, self.variables, self.limits.wheels)
        if requirements:
            command = [self.python, *PIP, *requirements]
            self.steps.run("requirements", command, self.variables, self.limits.wheels)

    def check(self) -> None:
        """Have pip compare what is installed with what it asks for."""
        command: Command = [self.python, "-m", "pip", "check", "--disable-pip-version-check"]
        self.steps.run("pip check", command, self.variables, self.limits.wheels)

    def simulated(self, *words: str | Path) -> Command:
        """The command that runs this environment's Python under the simulator."""
        chip = () if self.soc is None else ("--soc", self.soc)
        return [self.bin / "cann-simulator", "run", *chip, "--", self.python, *words]

    def probe_absence(self) -> dict[str, Any]:
        """Import without CANN; what the probe found."""
        out = self.home / "absent.json"
        command: Command = [self.python, self._probe(), "absent", out]
        self.steps.run("import without CANN", command, self.variables, self.limits.run)
        return _read(out)

    def probe_formats(self) -> bool:
        """Whether the adapter takes private formats for granted on the simulated chip.

        Where it does not get far enough to say, the example will tell why.
        """
        out = self.home / "formats.json"
        command = self.simulated(self._probe(), "formats", out)
        try:
            self.steps.run("chip", command, self.variables, self.limits.run)
        except StepFailedError:
            return False
        return bool(_read(out)["private"])

    def probe_example(self, *options: str) -> dict[str, Any]:
        """The README's example under the simulator; what the probe found."""
        script, out = self.home / "example.py", self.home / "ran.json"
        script.write_text(EXAMPLE, encoding="utf-8")
        command = self.simulated(self._probe(), "example", script, out, *options)
        self.steps.run("example on the simulated NPU", command, self.variables, self.limits.run)
        return _read(out)

    def _probe(self) -> Path:
        # -P and -I are too new for Python 3.8; the run's own directory holds nothing that could shadow.
        return Path(shutil.copyfile(probe.__file__, self.home / "probe.py"))


def _read(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = parse_json(out.read_text(encoding="utf-8"))
    return found
