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
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from wheelmill.describe.rules import distribution
from wheelmill.describe.text import loads
from wheelmill.errors import WheelmillError
from wheelmill.limits import MAX_TEXT, read_regular
from wheelmill.make.engines.cmake import error_lines
from wheelmill.make.packages import confine, sources, standin
from wheelmill.make.packages.compilers import Bench, Place, variables
from wheelmill.make.packages.sources import PackageSources
from wheelmill.make.packages.stamp import stamped
from wheelmill.make.plan import canonical_json
from wheelmill.make.process import TimedOutError, run_logged
from wheelmill.make.toolchain import sdk as sdks
from wheelmill.make.toolchain.interpreters import find_python
from wheelmill.matrix.versions import python_key
from wheelmill.progress import Progress, silent
from wheelmill.project import find_project
from wheelmill.store import Digest, Store
from wheelmill.wheel.name import WheelName, parse_name, tag_arch

if TYPE_CHECKING:
    from wheelmill.describe import Cell, Described

FORMAT = 2  # part of every key: raise it when the same inputs give other bytes
_DEFAULT_POLICY = "manylinux_2_17"
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


class PackageError(WheelmillError):
    """A wheel of a described project could not be made; the message says where, and names the log."""


@dataclass(frozen=True)
class Shop:
    """What builds of a described project work with. `jobs` is the number of compilers of one build."""

    described: Described
    store: Store
    place: Place
    progress: Progress = silent
    note: Progress = silent
    jobs: int = 1


@dataclass(frozen=True)
class Job:
    """One build. `cells` are those that its wheel is for, the one that it is built for first.

    `recipe` is what decides the wheel's bytes, with its own key; it lies in the wheel.
    """

    cells: tuple[Cell, ...]
    python: Path
    recipe: Mapping[str, Any]
    sources: PackageSources = field(repr=False)

    @property
    def key(self) -> str:
        """The SHA-256 of the recipe."""
        return str(self.recipe["key"])

    @property
    def cell(self) -> Cell:
        """The cell that it is built for: of several Pythons the oldest."""
        return self.cells[0]


@dataclass(frozen=True)
class Made:
    """A wheel in the store, under its file name at `path`; `cached` says that nothing was built now."""

    job: Job
    file: str
    digest: Digest
    path: Path
    cached: bool
    log: Path
    seconds: Mapping[str, float] = field(default_factory=dict)


# --------------------------------------------------------------------------------------------------- planning
def jobs(cells: Iterable[Cell], shop: Shop) -> Iterator[Job | tuple[Cell, WheelmillError]]:
    """The builds that these cells need, or why a cell has none. Reads sources and asks compilers."""
    read = sources.read(shop.described.source)
    shared = shop.described.project.build.shared
    groups: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.without(shared), []).append(cell)
    for group in groups.values():
        ordered = tuple(sorted(group, key=lambda cell: python_key(cell.python)))
        python = find_python(ordered[0].python)
        try:
            if python is None:
                raise PackageError(
                    f"{ordered[0].key}: no Python {ordered[0].python} on this machine to build with",
                    hint="install it with venv, for example by pyenv or uv: uv python install "
                    + ordered[0].python,
                )
            yield Job(ordered, python, _recipe(ordered[0], python, read, shop), read)
        except WheelmillError as error:
            yield from ((cell, error) for cell in ordered)


def _recipe(cell: Cell, python: Path, read: PackageSources, shop: Shop) -> dict[str, Any]:
    """All that decides a wheel, as far as it is known before the build, and its SHA-256 as `key`."""
    torch = shop.described.torch(cell)
    policy = shop.described.policy(cell) or _DEFAULT_POLICY
    compiled = [] if torch is None else [("torch", sdks.expected_sha256(torch, cell.arch, shop.store))]
    compiled += [(name, _other_sdk(name, cell, shop)[0]) for name in _others(shop)]
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
        "python": _full_version(python),
        "sdks": [
            {
                "name": distribution(name, project),
                "version": cell.values[project.sdks[name].axis or name],
                "sha256": sha256,
            }
            for name, sha256 in compiled
        ],
        "compiler": shop.place.identity(cell.arch, policy),
    }
    return {**said, "key": hashlib.sha256(canonical_json(said).encode()).hexdigest()}


@cache
def _full_version(python: Path) -> str:
    question = "import sys; print(sys.implementation.name, *sys.version_info[:3])"
    done = subprocess.run([str(python), "-I", "-c", question], capture_output=True, text=True, check=True)
    return done.stdout.strip()


# --------------------------------------------------------------------------------------------------- building
def ensure(job: Job, shop: Shop) -> Made:
    """The job's wheel, built where the store lacks it. Raises PackageError, and what places raise."""
    store = shop.store
    log = store.root / "logs" / f"{shop.described.project.package}-{job.key[:16]}.log"
    seconds: dict[str, float] = {}
    with store.lock(f"package-{job.key[:16]}", waiting=shop.progress):
        record = store.obtain("wheel", job.key)
        if record is None:
            started = time.monotonic()
            with _work_folder(store, job.key) as work:
                wheel = _build(job, shop, work, log)
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


def torch_wheel(cell: Cell, shop: Shop) -> Path | None:
    """The file of the torch that a cell is built against; None for a project without torch."""
    torch = shop.described.torch(cell)
    if torch is None:
        return None
    have = sdks.ensure(torch, cell.arch, shop.store, shop.progress, shop.note)
    return shop.store.export(have.sha256, shop.store.root / "torch", have.wheel_name)


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

    def __call__(
        self, phase: str, command: Sequence[str], variables: Mapping[str, str], *, confined: bool = False
    ) -> None:
        """Run to the end. Raises PackageError with the last errors."""
        self.shop.progress(f"{self.job.cell.key}: {phase}")
        lines: list[str] = []
        words = list(command)
        if confined:
            self._check_confined(phase)
            allowed = (self.work, self.shop.store.root / "ccache", Path("/dev"))
            words = [sys.executable, confine.__file__, *map(str, allowed), "--", *words]
        try:
            code = run_logged(
                ["env", "-C", str(self.work / "src"), *words],
                log=self.log, environment=variables, timeout=_SECONDS, on_line=lines.append,
            )  # fmt: skip
        except TimedOutError:
            raise self._failed(phase, f"did not end within {_SECONDS:.0f} s", lines) from None
        if code:
            raise self._failed(phase, f"failed (exit {code})", lines)

    def _check_confined(self, phase: str) -> None:
        if not confine.available():
            raise PackageError(
                f"{phase} of {self.job.cell.key} is not run: this kernel cannot keep a build in its folder",
                hint="It needs Landlock, of Linux 5.13 and later; `cat /sys/kernel/security/lsm` lists it.",
            )

    def _failed(self, phase: str, how: str, lines: list[str]) -> PackageError:
        shown = "\n  ".join(error_lines(lines) or lines[-_TAIL:])
        hints = [f"full log: {self.log}"]
        if any("Permission denied" in line for line in lines):
            hints.insert(0, f"a build may write below its own folder only, here {self.work}")
        return PackageError(f"{phase} of {self.job.cell.key} {how}:\n  {shown}", hint="\n".join(hints))


def _build(job: Job, shop: Shop, work: Path, log: Path) -> Path:
    """The stamped wheel, in the work folder."""
    cell, build = job.cell, shop.described.project.build
    job.sources.copy(work / "src")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(f"{cell.key}\nkey {job.key}\n".encode())
    run = _Run(job, shop, work, log)
    site_readable = _stand_ins(job, shop, work)
    python = _environment(job, shop, run)
    policy = shop.described.policy(cell) or _DEFAULT_POLICY
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
            run("wheel", [*pip, *more, "-w", str(work / "out"), "."], given, confined=True)
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
    command = [str(python), *_INSTALL, "--upgrade", "pip>=23.1", *rest, *_installed_sdks(job, shop)]
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
    run("requirements", [str(python), "-c", _ASK_BACKEND, backend, paths, str(asked)], given, confined=True)
    wanted = asked.read_text(encoding="utf-8").splitlines()
    if wanted:
        run("requirements of the backend", [str(python), *_INSTALL, *wanted], dict(os.environ))


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


def _others(shop: Shop) -> list[str]:
    """The SDKs beside torch, each after those that it needs."""
    wanted = shop.described.project.sdks
    ordered: list[str] = []

    def add(name: str) -> None:
        for needed in wanted[name].needs:
            add(needed)
        if name not in ordered:
            ordered.append(name)

    for name in wanted:
        add(name)
    return [name for name in ordered if name != "torch"]


def _stand_ins(job: Job, shop: Shop, work: Path) -> tuple[Path, ...]:
    """Make the stand-ins of the SDKs that are only read; what a container must see beside the work folder."""
    cell, store = job.cell, shop.store
    torch, readable = shop.described.torch(cell), []
    if torch is not None:
        sdk = sdks.ensure(torch, cell.arch, store, shop.progress, shop.note)
        if shop.described.project.sdks["torch"].use == "headers":
            abi = torch.cxx11_abi[cell.arch]  # type: ignore[index]
            standin.torch(sdk, store.get(sdk.sha256), work / "site", cxx11_abi=abi)
            readable.append(sdk.root)
    for name in _others(shop):
        if shop.described.project.sdks[name].use == "headers":
            digest, file = _other_sdk(name, cell, shop)
            standin.other(store.export(Digest(digest), work / "tmp", file), work / "site")
    return tuple(readable)


def _installed_sdks(job: Job, shop: Shop) -> list[str]:
    """What pip installs of the SDKs that the build runs."""
    cell, found = job.cell, []
    torch = shop.described.torch(cell)
    for name, sdk in shop.described.project.sdks.items():
        if sdk.use != "install":
            continue
        if name == "torch" and torch is not None:
            have = sdks.ensure(torch, cell.arch, shop.store, shop.progress, shop.note)
            if not _fits(parse_name(have.wheel_name), cell):
                raise PackageError(
                    f"{cell.key}: the torch that is here, {have.wheel_name}, cannot be run by its Python",
                    hint='write use = "headers" under [sdks.torch], or build for its Python',
                )
            found.append(str(torch_wheel(cell, shop)))
        else:
            digest, file = _other_sdk(name, cell, shop)
            found.append(str(shop.store.export(Digest(digest), shop.store.root / "sdks", file)))
    return found


def _other_sdk(name: str, cell: Cell, shop: Shop) -> tuple[str, str]:
    """SHA-256 and file name of an SDK's wheel for a cell, from its index or those of pip; in the store."""
    sdk = shop.described.project.sdks[name]
    wanted = f"{distribution(name, shop.described.project)}=={cell.values[sdk.axis or name]}"
    return _downloaded(
        wanted, cell.python, cell.arch, index_words(sdk.index, shop.described.beside), shop.store
    )


@cache
def _downloaded(wanted: str, python: str, arch: str, where: tuple[str, ...], store: Store) -> tuple[str, str]:
    from wheelmill.make.toolchain.pip_index import platforms, reason

    tag = python.replace(".", "")
    with store.scratch("sdk-") as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder), *where, wanted]
        command += ["--implementation", "cp", "--python-version", python]
        command += ["--abi", f"cp{tag}", "--abi", "abi3", "--abi", "none"]
        command += [word for name in platforms(arch) for word in ("--platform", name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        found = list(folder.glob("*.whl"))
        if done.returncode or len(found) != 1:
            raise PackageError(
                f"no wheel of {wanted} for Python {python} on {arch} to build against: {reason(done.stderr)}",
                hint="name the folder or address that has it under `index` of this SDK",
            )
        digest, name = store.put(found[0]), found[0].name
        known = frozenset() if where else find_project().catalogue().hashes(name)
        if known and digest not in known:
            raise PackageError(
                f"{name} is another file than the catalogue has recorded: its SHA-256 is {digest}, recorded "
                f"is {' or '.join(sorted(known))}",
                hint="an index never replaces a file: do not build against this one",
            )
        return digest, name


def index_words(index: str | None, root: Path) -> tuple[str, ...]:
    """pip's words for an index of the project file: an address, a folder of wheels, or an index's folder."""
    if index is None:
        return ()
    if "://" in index:
        return ("--extra-index-url", index)
    folder = (root / index).resolve()
    if (folder / "simple").is_dir():
        return ("--extra-index-url", f"{(folder / 'simple').as_uri()}/")
    return ("--find-links", str(folder))


# ------------------------------------------------------------------------------------------------- the wheel
def _the_wheel(found: list[Path], job: Job, shop: Shop) -> Path:
    """The one wheel of a build, if it is of this package and for all cells that it was built for."""
    build, package = shop.described.project.build, shop.described.project.package
    if len(found) != 1:
        where = build.output if build.how == "command" else "the backend's folder"
        names = ", ".join(path.name for path in found) or "none"
        raise PackageError(
            f"{job.cell.key}: the build left {len(found)} wheels in {where}, it is to leave one: {names}",
            hint="`output` under [build] names the folder, from that of the sources",
        )
    name = parse_name(found[0].name)
    if name.project != canonicalize_name(package):
        raise PackageError(f"{job.cell.key}: {found[0].name} is no wheel of {package}")
    for cell in job.cells:
        if not _fits(name, cell):
            raise PackageError(
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
