"""From cells of a described project to wheels in the store: one build per cell, or one for all that share it.

A build happens in a folder of its own: a snapshot of the sources, an environment with the build requirements,
stand-ins for SDKs, and the compilers as two programs. The backend or command may write there only.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from wheelmill.describe.rules import distribution
from wheelmill.describe.text import loads
from wheelmill.errors import WheelmillError
from wheelmill.limits import MAX_TEXT, read_regular
from wheelmill.make.engines.cmake import error_lines, of_machine
from wheelmill.make.packages import confine, sources, standin
from wheelmill.make.packages.compilers import Bench, variables
from wheelmill.make.packages.sdks import installed, other_sdks, stand_ins, torch_of
from wheelmill.make.packages.shop import BrokenBuildError, Job, Made, PackageError, Shop, Tools, policy_of
from wheelmill.make.packages.sources import PackageSources
from wheelmill.make.packages.stamp import stamped
from wheelmill.make.plan import canonical_json
from wheelmill.make.process import TimedOutError, run_logged
from wheelmill.make.tasks import Share
from wheelmill.make.toolchain import sdk as sdks
from wheelmill.make.toolchain.interpreters import find_python
from wheelmill.matrix.versions import python_key
from wheelmill.store import Digest, Store
from wheelmill.wheel.name import WheelName, parse_name, tag_arch

if TYPE_CHECKING:
    from wheelmill.describe import Cell

FORMAT = 4  # part of every key: raise it when the same inputs give other bytes
_SECONDS = 3 * 3600.0
_TAIL = 12
_INSTALL = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
# PEP 517's hook, in the environment of the build: backend, backend-path as JSON, file for the answer.
_ASK_BACKEND = """
import functools, importlib, json, sys
name, paths, out = sys.argv[1:]
sys.path[:1] = json.loads(paths)
module, _, attributes = name.partition(":")
backend = functools.reduce(getattr, filter(None, attributes.split(".")), importlib.import_module(module))
wanted = getattr(backend, "get_requires_for_build_wheel", list)()
open(out, "w", encoding="utf-8").write("\\n".join(wanted))
"""


# --------------------------------------------------------------------------------------------------- planning
def jobs(cells: Iterable[Cell], shop: Shop) -> Iterator[Job | tuple[Cell, WheelmillError]]:
    """The builds that these cells need, or why a cell has none. Reads sources and asks compilers.

    A build that several cells share is the same whichever of them are asked for.
    """
    read = sources.read(shop.described.source, shop.described.unread)
    if shop.epoch is not None:
        read = replace(read, epoch=shop.epoch)
    shared = shop.described.project.build.shared
    every, asked = (_groups(given, shared) for given in (shop.described.cells, cells))
    for group, wanted in asked.items():
        ordered = tuple(sorted(every.get(group, wanted), key=lambda cell: python_key(cell.python)))
        try:
            tools = tools_for(ordered[0], shop)
            yield Job(ordered, tools.path, _recipe(ordered[0], tools, read, shop), read)
        except WheelmillError as error:
            yield from ((cell, error) for cell in wanted)


def _groups(cells: Iterable[Cell], shared: Sequence[str]) -> dict[tuple[str, ...], list[Cell]]:
    """Cells by the build that they share."""
    groups: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.line, *cell.without(shared)), []).append(cell)
    return groups


def tools_for(cell: Cell, shop: Shop) -> Tools:
    """What builds a cell, here or elsewhere. Raises PackageError, and what places raise."""
    policy = policy_of(cell, shop)
    if shop.elsewhere is not None:
        return shop.elsewhere.tools(cell, policy)
    python = find_python(cell.python)
    if python is None:
        raise PackageError(
            f"{cell.key}: no Python {cell.python} on this machine to build with",
            hint=f"install it with venv, for example by pyenv or uv: uv python install {cell.python}",
        )
    return Tools(shop.place.identity(cell.arch, policy), full_version(python), python)


def _recipe(cell: Cell, tools: Tools, read: PackageSources, shop: Shop) -> dict[str, Any]:
    """All that decides a wheel, as far as it is known before the build, and its SHA-256 as `key`."""
    torch = torch_of(cell, shop)
    compiled = [] if torch is None else [("torch", sdks.expected_sha256(torch, cell.arch, shop.sdk_store))]
    compiled += [(name, digest) for name, (digest, _) in other_sdks(cell, shop).items()]
    project = shop.described.project
    said = {
        "schema": 1,
        "kind": "package",
        "format": [FORMAT, standin.FORMAT],
        "package": project.package,
        "project": shop.described.digest(),
        "line": cell.line,
        "cell": dict(cell.values),
        "sources": read.digest,
        "epoch": read.epoch,
        "python": tools.python,
        "sdks": [
            {
                "name": distribution(name, project),
                "version": cell.values[project.sdks[name].axis or name],
                "sha256": sha256,
            }
            for name, sha256 in compiled
        ],
        "compiler": tools.compiler,
    }
    return {**said, "key": hashlib.sha256(canonical_json(said).encode()).hexdigest()}


@cache
def full_version(python: Path) -> str:
    """`cpython 3 11 7`: an interpreter by its name and whole version."""
    question = "import sys; print(sys.implementation.name, *sys.version_info[:3])"
    done = subprocess.run([str(python), "-I", "-c", question], capture_output=True, text=True, check=True)
    return done.stdout.strip()


# --------------------------------------------------------------------------------------------------- building
def ensure(job: Job, shop: Shop, share: Share | None = None) -> Made:
    """The job's wheel, built where the store lacks it.

    Raises PackageError, what places raise, and StoppedError soon after the share's `stop` is set.
    """
    store, share = shop.store, share or Share(shop.jobs, 1.0, threading.Event())
    log = store.root / "logs" / f"{shop.described.project.package}-{job.key[:16]}.log"
    seconds: dict[str, float] = {}
    with store.lock(f"package-{job.key[:16]}", waiting=shop.progress, stop=share.stop):
        record = store.obtain("wheel", job.key)
        if record is None:
            started = time.monotonic()
            with _work_folder(store, job.key) as work:
                if shop.elsewhere is None:
                    wheel = _build(job, _Run(job, shop, work, log, share.stop))
                else:
                    wheel = shop.elsewhere.make(job, shop, work / "out", log, share)
                digest = store.put(wheel)
                record = store.record(
                    "wheel", job.key, digest=digest, file=wheel.name, cell=job.cell.key, package=True
                )
            store.share(record)
            seconds["build"] = round(time.monotonic() - started, 3)
    digest, file = Digest(record.data["digest"]), str(record.data["file"])
    path = store.export(digest, store.root / "assembled" / job.cell.line, file)
    return Made(job, file, digest, path, not seconds, log, seconds)


def known(job: Job, shop: Shop) -> bool:
    """Whether the job's wheel is there, here or in the remote."""
    return shop.store.obtain("wheel", job.key) is not None


def smoke_key(cell: Cell, digest: str, shop: Shop) -> str:
    """What decides a smoke run: the wheel, its cell, and what the project file and program say."""
    smoke = shop.described.project.smoke
    assert smoke is not None
    program = (shop.described.root / smoke.program).read_bytes()
    said = (digest, cell.key, repr(smoke), hashlib.sha256(program).hexdigest())
    return hashlib.sha256("\0".join(said).encode()).hexdigest()


@contextmanager
def _work_folder(store: Store, key: str) -> Iterator[Path]:
    """An empty folder by the key: in the same place for the same build, and gone after a good one."""
    work = store.root / "work" / f"package-{key[:16]}"
    shutil.rmtree(work, ignore_errors=True)
    for name in ("out", "tmp", "home", "bin", "site"):
        (work / name).mkdir(parents=True)
    (store.root / "ccache").mkdir(exist_ok=True)
    yield work
    shutil.rmtree(work, ignore_errors=True)


@dataclass(frozen=True)
class _Run:
    """Runs the commands of one build: where, with which variables, and into which log."""

    job: Job
    shop: Shop
    work: Path
    log: Path
    stop: threading.Event

    def __call__(
        self, phase: str, command: Sequence[str], variables: Mapping[str, str], *, confined: bool = False
    ) -> None:
        """Run to the end. Raises PackageError with the last errors.

        What is the project's own may take long, and is watched in its log.
        """
        told = f"{phase} (log: {self.log})" if confined else phase
        self.shop.progress(told)
        lines: list[str] = []
        words = list(command)
        if confined:
            self._check_confined(phase)
            allowed = (self.work, self.shop.store.root / "ccache", Path("/dev"))
            words = [sys.executable, confine.__file__, *map(str, allowed), "--", *words]
        try:
            code = run_logged(
                ["env", "-C", str(self.work / "src"), *words],
                log=self.log, environment=variables, timeout=_SECONDS, on_line=lines.append, stop=self.stop,
                on_wait=lambda seconds: self.shop.progress(f"{told}, {seconds:.0f} s"),
            )  # fmt: skip
        except TimedOutError:
            how = f"did not end within {_SECONDS:.0f} s"
            raise self._failed(phase, how, lines, own=False) from None
        if code:
            raise self._failed(phase, f"failed (exit {code})", lines, own=confined)

    def _check_confined(self, phase: str) -> None:
        if not confine.available():
            raise PackageError(
                f"{phase} of {self.job.cell.key} is not run: this kernel cannot keep a build in its folder",
                hint="It needs Landlock, of Linux 5.13 and later; `cat /sys/kernel/security/lsm` lists it.",
            )

    def _failed(self, phase: str, how: str, lines: list[str], *, own: bool) -> PackageError:
        """`own`: it was a command of the project's."""
        shown = "\n  ".join(error_lines(lines) or lines[-_TAIL:])
        cause = of_machine(lines, self.work)
        hints = [*([cause] if cause else []), f"full log: {self.log}"]
        if any("Permission denied" in line for line in lines):
            hints.insert(0, f"a build may write below its own folder only, here {self.work}")
        hints = [*_unread(self.job.sources.unread, lines), *hints]
        kind = BrokenBuildError if own and cause is None else PackageError
        return kind(f"{phase} of {self.job.cell.key} {how}:\n  {shown}", hint="\n".join(hints))


def _unread(left_out: Iterable[Path], lines: Iterable[str]) -> list[str]:
    """A hint for each file of the sources that a build is not shown and complains of."""
    told = "\n".join(line for line in lines if "No such file" in line)
    return [
        f"{path} is a file that no build is shown (docs/projects.md)"
        for path in left_out
        if path.name in told
    ]


def _build(job: Job, run: _Run) -> Path:
    """The stamped wheel, in the work folder."""
    shop, work = run.shop, run.work
    cell, build = job.cell, shop.described.project.build
    assert job.python is not None
    job.sources.copy(work / "src")
    run.log.parent.mkdir(parents=True, exist_ok=True)
    run.log.write_bytes(f"{cell.key}\nkey {job.key}\n".encode())
    site_readable = stand_ins(job, shop, work)
    python = _environment(job, shop, run)
    policy = policy_of(cell, shop)
    flags = (f"-ffile-prefix-map={work}=.", "-Wno-builtin-macro-redefined")
    readable = (*site_readable, *_headers(job.python))
    with shop.place.open(cell.arch, policy, work, readable, flags) as bench:
        given = _variables(job, shop, work, bench)
        if build.how == "command":
            run("command", [cell.fill(word) for word in build.command], given, confined=True)
            found = list((work / "src" / build.output).glob("*.whl"))
        else:
            _backend_requirements(run, python, given)
            pip = [str(python), "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-cache-dir"]
            # A command may not write outside; a requirement that is missing is told before it is missed.
            more = ["--check-build-dependencies", "--disable-pip-version-check", "--no-index"]
            more += ["--verbose"]  # or pip keeps what compilers say until they end
            run("compile", [*pip, *more, "-w", str(work / "out"), "."], given, confined=True)
            found = list((work / "out").glob("*.whl"))
    return stamped(_the_wheel(found, job, shop), cell, shop.described.project.wheel, job.recipe, work)


def _headers(python: Path) -> tuple[Path, ...]:
    """What compilers read of an interpreter: its installation, wherever it lies."""
    question = "import sys, sysconfig; print(sysconfig.get_path('include')); print(sys.base_prefix)"
    done = subprocess.run([str(python), "-I", "-c", question], capture_output=True, text=True, check=True)
    include, prefix = (Path(line) for line in done.stdout.splitlines()[:2])
    # /usr/include of this machine is not that of the container: there only Python's own folder is shown.
    return (include,) if prefix == Path("/usr") else (prefix,)


def _variables(job: Job, shop: Shop, work: Path, bench: Bench) -> dict[str, str]:
    """All variables of the build: the caller's own only as far as they decide nothing."""
    cell, build = job.cell, shop.described.project.build
    kept = {name: os.environ[name] for name in ("LANG", "LD_LIBRARY_PATH", "TERM") if name in os.environ}
    path = os.pathsep.join([str(work / "env" / "bin"), str(work / "bin"), os.environ.get("PATH", os.defpath)])
    found = {
        **kept,
        "PATH": path,
        "HOME": str(work / "home"),
        "TMPDIR": str(work / "tmp"),
        "VIRTUAL_ENV": str(work / "env"),
        "SOURCE_DATE_EPOCH": str(job.sources.epoch),
        "MAX_JOBS": str(shop.jobs),
        "CMAKE_BUILD_PARALLEL_LEVEL": str(shop.jobs),
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        **variables(bench, cell.arch, cell.python),
    }
    found |= {f"WHEELMILL_{axis.upper()}": value for axis, value in cell.values.items()}
    return found | {name: cell.fill(value) for name, value in build.environment.items()}


# ---------------------------------------------------------------------------------- environment and stand-ins
def _environment(job: Job, shop: Shop, run: _Run) -> Path:
    """The interpreter of a fresh environment with the build requirements and the stand-ins."""
    env, project = run.work / "env", shop.described.project
    given = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    run("environment", [str(job.python), "-m", "venv", str(env)], given)
    python = env / "bin" / "python"
    wanted = [*_build_requirements(run.work / "src"), *map(job.cell.fill, project.build.requires)]
    stood_in = {distribution(name, project) for name, sdk in project.sdks.items() if sdk.use == "headers"}
    rest = [text for text in wanted if _name(text) not in stood_in]
    if "torch" in stood_in:  # what torch's own build helpers import
        rest += [text for text in ("setuptools", "typing_extensions") if text not in map(_name, rest)]
    # Upgraded: what some Pythons bring of their own is older, and is not there in others.
    command = [str(python), *_INSTALL, "--upgrade", "pip>=23.1", *rest, *installed(job, shop)]
    run("build requirements", command, given)
    packages = next((env / "lib").glob("python3.*/site-packages"))
    (packages / "_wheelmill.pth").write_text(f"{run.work / 'site'}\n")
    return python


def _name(text: str) -> str:
    try:
        return canonicalize_name(Requirement(text).name)
    except InvalidRequirement:
        return text


def _backend_requirements(run: _Run, python: Path, given: Mapping[str, str]) -> None:
    """Install what the build backend itself asks for; for that it may run the project's setup.py."""
    system = _build_system(run.work / "src")
    backend = str(system.get("build-backend", "setuptools.build_meta:__legacy__"))
    asked, paths = run.work / "tmp" / "requires.txt", json.dumps(system.get("backend-path", []))
    command = [str(python), "-c", _ASK_BACKEND, backend, paths, str(asked)]
    run("requirements of the backend", command, given, confined=True)
    wanted = asked.read_text(encoding="utf-8").splitlines()
    if wanted:
        run("installation of those", [str(python), *_INSTALL, *wanted], dict(os.environ))


def _build_requirements(source: Path) -> list[str]:
    """`requires` of the build system, as PEP 518 has it; setuptools where a project names nothing."""
    found = _build_system(source).get("requires", ["setuptools", "wheel"])
    if not isinstance(found, list):
        raise PackageError("pyproject.toml of the sources: `requires` of the build system is not a list")
    return [str(text) for text in found]


def _build_system(source: Path) -> Mapping[str, Any]:
    try:
        system = loads(read_regular(source / "pyproject.toml", MAX_TEXT).decode()).get("build-system", {})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise PackageError(f"pyproject.toml of the sources cannot be read: {error}") from None
    return system if isinstance(system, dict) else {}


# ------------------------------------------------------------------------------------------------- the wheel
def _the_wheel(found: list[Path], job: Job, shop: Shop) -> Path:
    """The one wheel of a build, if it is of this package and for all cells that it was built for."""
    build, package = shop.described.project.build, shop.described.project.package
    if len(found) != 1:
        where = build.output if build.how == "command" else "the backend's folder"
        names = ", ".join(path.name for path in found) or "none"
        raise BrokenBuildError(
            f"{job.cell.key}: the build left {len(found)} wheels in {where}, it is to leave one: {names}",
            hint="`output` under [build] names the folder, from that of the sources",
        )
    name = parse_name(found[0].name)
    if name.project != canonicalize_name(package):
        raise BrokenBuildError(f"{job.cell.key}: {found[0].name} is no wheel of {package}")
    for cell in job.cells:
        if not _fits(name, cell):
            raise BrokenBuildError(
                f"{job.cell.key}: {found[0].name} is not for {cell.key}",
                hint="only wheels tagged abi3 or py3-none serve several Pythons; take it out of `shared`"
                if len(job.cells) > 1
                else "the build ignored the cell's Python or architecture",
            )
    return found[0]


def _fits(name: WheelName, cell: Cell) -> bool:
    """Whether the tags of a wheel let a cell's interpreter install it."""
    own, minor = "cp" + cell.python.replace(".", ""), python_key(cell.python)[1]
    for tag in name.tags:
        if tag.platform != "any" and tag_arch(tag.platform) != cell.arch:
            continue
        since = tag.interpreter.removeprefix("cp3")
        if tag.interpreter in ("py3", own) or (
            tag.abi == "abi3" and since.isdecimal() and int(since) <= minor
        ):
            return True
    return False
