"""Read a machine: files, variables, and three programs with a time limit. Nothing of it is changed.

Every path is taken below `root`, so that a test can show any machine.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wheelmill.console import without_password
from wheelmill.limits import parse_json, read_regular
from wheelmill.matrix.versions import cann_key
from wheelmill.pick.doctor.facts import Cann, Driver, Facts, Imported, Interpreter, Package
from wheelmill.pick.doctor.machine import arch_word, cann_version
from wheelmill.pick.model import SaidError
from wheelmill.pick.words import say

HERE = Path(__file__).parent
LOOK_SECONDS, SMI_SECONDS, IMPORT_SECONDS, DYING_SECONDS = 60, 15, 120, 2
# What libtorch_npu.so of the published wheels links, and its drivers' library.
CANN_LIBRARIES = ("libhccl.so", "libascendcl.so", "libacl_op_compiler.so", "libge_runner.so", "libgraph.so")
DRIVER_LIBRARY = "libascend_hal.so"
CANN_HOMES = ("ascend-toolkit/latest", "cann", "latest", "nnae/latest")
DRIVER_FOLDERS = ("driver/lib64", "driver/lib64/driver", "driver/lib64/common")
COMPANIONS = ("davinci_manager", "devmm_svm", "hisi_hdc")
VARIABLES = re.compile(
    r"^(ASCEND_\w+|CANN_SIMULATOR_\w+|LD_LIBRARY_PATH|LD_PRELOAD|PYTHONPATH|VIRTUAL_ENV|CONDA_PREFIX|"
    r"TORCH_DEVICE_BACKEND_AUTOLOAD|TORCH_NPU_\w+|PYTORCH_NPU_ALLOC_CONF|TASK_QUEUE_ENABLE|HCCL_\w+|"
    r"ATB_HOME_PATH|PIP_\w+|UV_\w+|VLLM_WORKER_MULTIPROC_METHOD)$"
)
_SETTING = re.compile(
    r"^\s*((?:extra[-_])?index[-_]url|default-index|index|index-strategy|find[-_]links|no[-_]index|"
    r"constraint|no-build-isolation|url)\s*=\s*(.+?)\s*$",
    re.MULTILINE,
)
# Number, chip and health of an NPU.
_CHIP = re.compile(r"^\|\s*(\d+)\s+((?:Ascend)?[0-9]{3}\w*(?:-\w+)?)\s*\|\s*([A-Za-z]+)\s*\|", re.MULTILINE)


@dataclass(frozen=True)
class Options:
    """How to look: with which Python (a path), and whether to import torch in a process of its own."""

    python: str | None = None
    imports: bool = True
    root: Path = Path("/")
    import_seconds: float = IMPORT_SECONDS


def look(options: Options, environment: Mapping[str, str]) -> Facts:
    """Everything about this machine. Raises SaidError only where no Python can be examined."""
    root = options.root
    interpreter = _interpreter(options.python, environment)
    return Facts(
        interpreter=interpreter,
        system=_system(root),
        container=_container(root),
        cann=toolkit(environment, root),
        driver=_driver(root, environment),
        variables={
            name: without_password(value)
            for name, value in sorted(environment.items())
            if VARIABLES.match(name)
        },
        installers=_installers(root, environment, interpreter.prefix),
        imported=_import(options, interpreter, environment),
    )


# ------------------------------------------------------------------------------------------------ interpreter
def _interpreter(python: str | None, environment: Mapping[str, str]) -> Interpreter:
    """The given Python, else the activated environment's, else the one that runs this."""
    uv = shutil.which("uv", path=environment.get("PATH", "")) is not None
    active = environment.get("VIRTUAL_ENV") or environment.get("CONDA_PREFIX")
    inner = Path(active, "bin", "python") if active else None
    chosen = python or (str(inner) if inner is not None and inner.is_file() else sys.executable)
    try:
        done = subprocess.run(
            [chosen, "-c", (HERE / "interpreter_probe.py").read_text(encoding="utf-8")],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LOOK_SECONDS,
            check=False,
        )
        found = _read(parse_json(done.stdout), uv=uv) if done.returncode == 0 else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, subprocess.TimeoutExpired):
        found, done = None, None  # or another program, which prints something else
    if found is None:
        told = done.stderr.strip().splitlines()[-1:] if done else []
        raise SaidError(
            say("unexamined", python=chosen, why=say("why", text=told[0]) if told else ""),
            hint=say("hint unexamined"),
        )
    return found


def _read(data: Mapping[str, Any], *, uv: bool) -> Interpreter:
    packages: dict[str, Package] = {}
    twice: dict[str, tuple[str, ...]] = {}
    for entry in data["packages"]:
        one = Package(
            entry["name"], entry["version"], entry["folder"], tuple(entry["requires"]),
            tuple(entry.get("tags", ())), entry.get("own_version"),
        )  # fmt: skip
        first = packages.setdefault(one.name, one)
        if first is not one and first.folder == one.folder and first.version != one.version:
            twice[one.name] = (*twice.get(one.name, (first.version,)), one.version)
    libc = (data["libc"][0], data["libc"][1])
    return Interpreter(
        data["executable"],
        data["version"],
        arch_word(data["arch"], bits=data["bits"]),
        libc,
        packages,
        twice,
        data["origins"],
        tuple(data["libgomps"]),
        data["prefix"],
        uv,
        data["implementation"],
        data["free_threaded"],
    )


def _ran(
    command: Sequence[str], environment: Mapping[str, str], seconds: float
) -> subprocess.CompletedProcess[str]:
    """A command that has ended by itself, both of its outputs in stdout; else subprocess's own error.

    One that does not end is killed with all that it started, and not waited for: what a driver holds in the
    kernel does not even die.
    """
    running = subprocess.Popen(
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        said, _ = running.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(running.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            running.wait(timeout=DYING_SECONDS)
        if running.stdout is not None:
            running.stdout.close()
        raise
    return subprocess.CompletedProcess(command, running.returncode, said)


def _import(options: Options, interpreter: Interpreter, environment: Mapping[str, str]) -> Imported:
    """Import torch, and torch_npu where it is installed, in a process that may crash or hang."""
    if not options.imports or "torch" not in interpreter.origins:
        return Imported("skipped")
    wanted = ["torch_npu"] if "torch_npu" in interpreter.origins else []
    command = [interpreter.executable, "-c", (HERE / "import_probe.py").read_text(encoding="utf-8"), *wanted]
    started = time.monotonic()
    try:
        done = _ran(command, environment, options.import_seconds)
    except subprocess.TimeoutExpired:
        return Imported("hung", time.monotonic() - started)
    except OSError as error:
        return Imported("failed", 0.0, str(error))
    seconds = time.monotonic() - started
    found = re.search(r"^wheelmill (\{.*\})$", done.stdout, re.MULTILINE)
    with suppress(ValueError, LookupError, TypeError):  # a program may print such a line itself
        if found is not None and not done.returncode:
            return Imported("ok", seconds, "", parse_json(found[1])["devices"])
    return Imported("failed", seconds, done.stdout[-20_000:])


# ----------------------------------------------------------------------------------------------------- system
def _system(root: Path) -> str:
    found = re.search(r'^PRETTY_NAME="?([^"\n]*)', _text(root / "etc/os-release"), re.MULTILINE)
    return found[1] if found else "unknown"


def _container(root: Path) -> str | None:
    """What kind of container this is; None on a host."""
    if (root / "run/.containerenv").exists():
        return "podman"
    if (root / "var/run/secrets/kubernetes.io").exists():
        return "kubernetes"
    if (root / ".dockerenv").exists():
        return "docker"
    found = re.search(r"docker|kubepods|containerd|lxc", _text(root / "proc/1/cgroup"))
    return found[0] if found else None


def _text(file: Path, most: int = 65536) -> str:
    try:
        return read_regular(file, most, cut=True).decode("utf-8", "replace")
    except OSError:
        return ""


# ------------------------------------------------------------------------------------------------------- CANN
def toolkit(environment: Mapping[str, str], root: Path = Path("/")) -> Cann | None:
    """The CANN whose environment is loaded, else the first that lies in a usual place."""
    named = environment.get("ASCEND_HOME_PATH") or environment.get("ASCEND_TOOLKIT_HOME")
    if named:
        home = Path(named) if _there(Path(named), Path.is_dir) else _below(root, named)
        found = _described(home, named, environment, root, sourced=True)
        if found.exists:
            return found
        lying = _lying(root, environment)
        return replace(found, set_env=None if lying is None else lying.set_env)
    return _lying(root, environment)


def _lying(root: Path, environment: Mapping[str, str]) -> Cann | None:
    """The first that lies in a usual place, whether it is loaded or not."""
    ascend = root / "usr/local/Ascend"
    newest_first = sorted(ascend.glob("cann-*"), key=_version_in_name, reverse=True)
    for place in (*(ascend / one for one in CANN_HOMES), *newest_first):
        if cann_version(place, {}) is not None:
            shown = "/" + str(place.relative_to(root))
            return _described(place, shown, environment, root, sourced=False)
    return None


def _version_in_name(folder: Path) -> tuple[object, ...]:
    """By which `cann-9.1.0` comes before `cann-10.0.0`; a name without a version comes before all."""
    try:
        return (1, cann_key(folder.name.removeprefix("cann-")))
    except ValueError:
        return (0, ())


def _described(home: Path, shown: str, environment: Mapping[str, str], root: Path, *, sourced: bool) -> Cann:
    folders = [Path(one) for one in environment.get("LD_LIBRARY_PATH", "").split(":") if one]
    scripts = (home / "set_env.sh", home.parent / "set_env.sh")
    script = next((one for one in scripts if _there(one, Path.is_file)), None)
    set_env = f"{Path(shown) if script == scripts[0] else Path(shown).parent}/set_env.sh" if script else None
    missing = [one for one in CANN_LIBRARIES if sourced and not _found(one, folders, root)]
    nnal = environment.get("ATB_HOME_PATH")
    installed = root / "usr/local/Ascend/nnal/atb"
    return Cann(
        home=shown,
        version=cann_version(home, environment),
        sourced=sourced,
        exists=_there(home, Path.is_dir),
        set_env=set_env,
        kernels=_kernels(home),
        missing=tuple(missing),
        others=_others(folders, home),
        nnal=nnal or ("/usr/local/Ascend/nnal/atb" if installed.is_dir() else None),
    )


def _kernels(home: Path) -> tuple[str, ...]:
    """The chips whose kernels are installed, as `ascend910b`."""
    try:
        found = list(home.glob("opp/built-in/op_impl/ai_core/tbe/kernel/ascend*"))
    except OSError:
        found = []
    return tuple(sorted(one.name for one in found if _there(one, Path.is_dir)))


def _others(folders: Iterable[Path], home: Path) -> tuple[str, ...]:
    """Folders with CANN's main library that belong to another CANN than the one that is loaded."""
    here = home.resolve()
    files = [(folder, folder / CANN_LIBRARIES[1]) for folder in folders]
    there = [(folder, file) for folder, file in files if _there(file)]
    found = [str(folder) for folder, file in there if here not in file.resolve().parents]
    return tuple(dict.fromkeys(found))


def _there(path: Path, test: Callable[[Path], bool] = Path.exists) -> bool:
    """Whether it is; not, where it may not be looked at or no path is so long."""
    try:
        return test(path)
    except OSError:
        return False


def _found(library: str, folders: Iterable[Path], root: Path) -> bool:
    places = (place / library for folder in folders for place in (folder, _below(root, str(folder))))
    return any(map(_there, places))


def _below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


# ----------------------------------------------------------------------------------------------------- driver
def _driver(root: Path, environment: Mapping[str, str]) -> Driver:
    version = re.search(
        r"^\s*Version\s*=\s*(\S+)", _text(root / "usr/local/Ascend/driver/version.info"), re.I | re.M
    )
    devices = sorted(one for one in (root / "dev").glob("davinci*") if one.name[7:].isdigit())
    absent = [f"/dev/{one}" for one in COMPANIONS if devices and not (root / "dev" / one).exists()]
    forbidden = [f"/dev/{one.name}" for one in devices if not os.access(one, os.R_OK | os.W_OK)]
    ascend = root / "usr/local/Ascend"
    folders = [Path(one) for one in environment.get("LD_LIBRARY_PATH", "").split(":") if one]
    places = [*folders, *(ascend / one for one in DRIVER_FOLDERS)]
    library = next((one for one in places if _there(one / DRIVER_LIBRARY)), None)
    driver = Driver(
        version=version[1] if version else None,
        devices=tuple(f"/dev/{one.name}" for one in devices),
        absent=tuple(absent),
        forbidden=tuple(forbidden),
        library=str(library) if library else None,
    )
    return _asked(driver, root, environment)


def _asked(driver: Driver, root: Path, environment: Mapping[str, str]) -> Driver:
    """What npu-smi says, where it is and ends in time."""
    usual = (root / "usr/local/bin/npu-smi", root / "usr/local/sbin/npu-smi")
    tool = shutil.which("npu-smi", path=environment.get("PATH", "")) or next(
        (str(one) for one in usual if os.access(one, os.X_OK)), None
    )
    if tool is None:
        return driver
    try:
        done = _ran([tool, "info"], environment, SMI_SECONDS)
    except subprocess.TimeoutExpired:
        return replace(driver, npu_smi=tool, hung=SMI_SECONDS)
    except OSError as error:
        return replace(driver, npu_smi=tool, said=str(error))
    rows = _CHIP.findall(done.stdout)
    said = None if rows else done.stdout.strip()[-2000:]
    health = {number: word for number, _, word in rows if word.upper() != "OK"}
    return replace(driver, npu_smi=tool, chips=tuple(chip for _, chip, _ in rows), said=said, health=health)


# ------------------------------------------------------------------------------------------------- installers
def _installers(root: Path, environment: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Which indexes pip and uv are told to use, by where that is set; what is read later counts."""
    files = {"pip": _pip_files(environment, prefix), "uv": _uv_files(environment)}
    found: dict[str, str] = {}
    for tool, places in files.items():
        for place in dict.fromkeys(filter(None, places)):
            path = _below(root, place) if _of_system(place, environment) else Path(place)
            for name, value in _SETTING.findall(_text(path)):
                found[f"{tool} {place} {name}"] = without_password(value)
    for name in sorted(environment):
        if re.match(r"(PIP|UV)_\w*(INDEX|FIND_LINKS|CONSTRAINT|NO_BUILD_ISOLATION)", name):
            found[f"{name.partition('_')[0].lower()} ${name}"] = without_password(environment[name])
    return found


def _pip_files(environment: Mapping[str, str], prefix: str) -> list[str]:
    """The files that pip reads, in its order: the system's, the environment's or user's, and a named one."""
    named = environment.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:  # by which pip is told to read none
        return []
    home = environment.get("HOME", "")
    config = environment.get("XDG_CONFIG_HOME") or f"{home}/.config"
    users = [f"{home}/.pip/pip.conf", f"{config}/pip/pip.conf"]
    return [
        *(f"{folder}/pip/pip.conf" for folder in _system_folders(environment)),
        "/etc/pip.conf",
        *([] if named and _there(Path(named)) else users),
        f"{prefix or environment.get('VIRTUAL_ENV', '')}/pip.conf",
        named,
    ]


def _uv_files(environment: Mapping[str, str]) -> list[str]:
    """Those of uv: a named one alone, else the system's, the user's, and the nearest of the folders above."""
    if named := environment.get("UV_CONFIG_FILE", ""):
        return [named]
    config = environment.get("XDG_CONFIG_HOME") or f"{environment.get('HOME', '')}/.config"
    here = Path.cwd()
    projects = [folder / "uv.toml" for folder in (here, *here.parents) if _there(folder / "uv.toml")]
    return [
        *(f"{folder}/uv/uv.toml" for folder in _system_folders(environment)),
        "/etc/uv/uv.toml",
        f"{config}/uv/uv.toml",
        *map(str, projects[:1]),
    ]


def _system_folders(environment: Mapping[str, str]) -> list[str]:
    given = environment.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    return [folder for folder in given.split(":") if folder]


def _of_system(place: str, environment: Mapping[str, str]) -> bool:
    return place.startswith(("/etc/", *(f"{folder}/" for folder in _system_folders(environment))))
