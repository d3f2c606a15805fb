"""A small project in git, its store, and a builder that makes tiny wheels at once."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from wheelmill.make.assemble import adapter_wheel, simulator_wheel
from wheelmill.matrix import Cell, Line, Matrix
from wheelmill.publish.release.adapter import AdapterProduct
from wheelmill.publish.release.builder import MadeCell, MadeWheel
from wheelmill.publish.release.conductor import Conductor, Request
from wheelmill.publish.release.installers import Installer
from wheelmill.publish.release.repository import Repository
from wheelmill.publish.release.session import Session, Waiver
from wheelmill.publish.release.sessions import Sessions
from wheelmill.publish.release.steps import Tools
from wheelmill.publish.sign import Signers, load_signers
from wheelmill.publish.sign.identity import Attestor, ambient_attestor
from wheelmill.publish.sign.signers import variable
from wheelmill.store import Store
from wheelmill.wheel.wheelfile import rewrite

from tests.matrix.small import SMALL
from tests.sign.small import NATIVE, Ring, recipe_of, source_tree

PROJECT = Path(__file__).parents[2]
BRANCH = "v2.1.0-5.0.rc3"
NOTE = """\
version: {version}
product: torch_npu
line: {branch}
notice: []
features:
  - zh: 新特性
    en: News
    entries:
      - {{zh: 支持`mm`。, en: "`mm` is supported."}}
changes: []
fixed: []
known: []
"""
TODAY = datetime(2024, 1, 15, 12, 0, tzinfo=timezone.utc)
ARM = Waiver("*-aarch64", "farm@example.org", "runs on Arm there")


def git(root: Path, *words: str) -> str:
    """Git with a fixed author, and nothing of this machine's settings."""
    author = {f"GIT_{who}_{what}": "t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = {"GIT_AUTHOR_DATE": "2024-01-02T00:00:00Z", "GIT_COMMITTER_DATE": "2024-01-02T00:00:00Z"}
    environment = {**os.environ, **author, **dates, "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(
        ["git", "-C", str(root), *words], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout.strip()


@dataclass
class Rig:
    """The project in `root`. `now` is what the clock says; `salt` changes what the builder makes."""

    root: Path
    now: datetime = TODAY
    owner: str = "alice@build"
    salt: str = ""
    releasable: bool = True
    smoked: tuple[str, ...] = ("x86_64",)
    installers: tuple[Installer, ...] = ()
    not_run: dict[str, str] = field(default_factory=dict)  # as the builder says before it builds
    attestor: Callable[[], Attestor] = lambda: ambient_attestor({})
    built: list[str] = field(default_factory=list)
    read_url: str | None = None
    ring: Ring | None = field(default_factory=lambda: Ring(Path("release/keys.yaml")))

    @property
    def home(self) -> Path:
        return self.root / ".wheelmill"

    @property
    def into(self) -> Path:
        return self.root / ".wheelmill" / "public"

    @property
    def matrix(self) -> Path:
        return self.root / "matrix" / "compat.yaml"

    def conductor(self, **changes: Any) -> Conductor:
        """A new one each time, as each command makes one."""
        sessions = Sessions(Store(self.home), clock=lambda: self.now, owner=self.owner)
        product = AdapterProduct(
            Repository(self.root), sessions.store, self.build, lambda session, line: self.not_run
        )
        tools = Tools(
            sessions,
            product,
            installers=self.installers,
            read_url=self.read_url,
            attestor=self.attestor,
            signers=load_signers if self.ring is None else partial(Signers, held=self.ring.held),
        )
        return replace(Conductor(tools), **changes)

    def request(self, branch: str = BRANCH, **changes: Any) -> Request:
        return replace(Request(branch, self.into, "docker", waivers=(ARM,)), **changes)

    def release(self, branch: str = BRANCH, **changes: Any) -> Session:
        """All the way."""
        conductor = self.conductor()
        return conductor.advance(conductor.start(self.request(branch, **changes)), "announced")

    def session(self, version: str = "2.1.0rc1", branch: str = BRANCH) -> Session:
        return self.conductor().tools.sessions.current(branch, version)

    def build(self, session: Session, matrix: Matrix, line: Line, tree: Path) -> list[MadeCell]:
        """Tiny wheels of every cell, assembled from the tree as real ones are."""
        made = []
        self.built.append(session.name)
        native = {name: data + self.salt.encode() for name, data in NATIVE.items()}
        for cell in line.cells():
            recipe = recipe_of(cell, tree)
            python = f"{cell.python_tag}-{cell.abi_tag}"
            adapter = self._wheel(partial(adapter_wheel, recipe, native, tree), python, cell)
            simulator = self._wheel(
                partial(simulator_wheel, recipe.simulator, native, tree), "py3-none", cell
            )
            ran = cell.arch in self.smoked and session.waiver(cell.key) is None
            wheels = {wheel.file: wheel.sha256 for wheel in (adapter, simulator)}
            smoke = {"cell": cell.key, "status": "passed", "printed": "", "wheels": wheels} if ran else None
            adapter = replace(adapter, kind="adapter")
            simulator = replace(simulator, kind="simulator", companion=True)
            made.append(MadeCell(cell.key, (adapter, simulator), smoke, None if ran else "another machine"))
        return made

    def _wheel(self, make: Callable[[Path], Path], python: str, cell: Cell) -> MadeWheel:
        """Assembled, and under the tag that an audit would give it."""
        scratch = self.home / "made"
        scratch.mkdir(parents=True, exist_ok=True)
        old = {"manylinux_2_17": f".manylinux2014_{cell.arch}"}.get(cell.manylinux, "")
        path = rewrite(make(scratch), scratch / "tagged", tag=f"{python}-{cell.manylinux}_{cell.arch}{old}")
        verdict = {
            "releasable": self.releasable,
            "local_only": not self.releasable,
            "platform_tag": "manylinux_2_36_x86_64",
            "policy": "manylinux_2_17_x86_64",
        }
        return MadeWheel(path.name, Store(self.home).put(path), verdict)

    # ------------------------------------------------------------------------------------------- the project
    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def commit(self, message: str = "A change") -> str:
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--message", message)
        return git(self.root, "rev-parse", "HEAD")

    def note(self, version: str) -> None:
        """A release note of a version, in both languages."""
        self.write(f"release/notes/{version}.yaml", NOTE.format(version=version, branch=BRANCH))

    def add_key(self, name: str, **fields: Any) -> None:
        """A key of the project, which lasts three years unless told otherwise."""
        assert self.ring is not None
        self.ring.add(name)
        self.ring.change(name, **{"since": date(2024, 1, 1), "until": date(2026, 12, 31), **fields})
        self.write("release/keys.yaml", self.ring.keyring.render())

    def private_keys(self) -> dict[str, str]:
        """The keys as the environment of another process has them, where it is made with `ring=None`."""
        assert self.ring is not None
        form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        held = ((key.name, self.ring.held[key.id]._private_key) for key in self.ring.keys)
        return {variable(name): private.private_bytes(*form).decode() for name, private in held}

    def raise_version(self, version: str, branch: str | None = None) -> str:
        """The line's next version, on its branch, which is checked out."""
        if branch is not None:
            git(self.root, "switch", "--quiet", branch)
        text = self.matrix.read_text()
        start = text.index("    adapter: ")
        end = text.index("\n", start)
        self.matrix.write_text(f"{text[:start]}    adapter: {version}{text[end:]}")
        self.matrix.write_text(
            self.matrix.read_text().replace(
                "\n    published: {adapter: 2.1.0.rc1, reason: Not canonical.}", ""
            )
        )
        self.note(version)
        return self.commit(f"Version {version}")

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)


def make_rig(root: Path) -> Rig:
    rig = Rig(root)
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "--quiet", "--initial-branch=main", "--template=")
    rig.write("matrix/compat.yaml", SMALL)
    rig.write(".gitignore", ".wheelmill/\n")
    rig.note("2.1.0rc1")
    source_tree(root)
    rig.add_key("alice")
    rig.write("adapter/CMakeLists.txt", "project(small)\n")
    rig.write("simulator/runtime.cpp", "int main() {}\n")
    rig.write("cann/include/acl.h", "\n")
    rig.commit("Everything")
    return rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """See Rig."""
    return make_rig(tmp_path / "project")


@pytest.fixture
def snapshot() -> Callable[[Path], dict[str, bytes]]:
    """snapshot(index) -> path -> content of all that readers can come to."""
    return read_index


def read_index(into: Path) -> dict[str, bytes]:
    """Path -> content of every page, and of every file that a page leads to."""
    found = {path: data for path, data in read_tree(into).items() if not path.startswith("files/")}
    for page in into.glob("simple/*/index.v1+json"):
        for file in json.loads(page.read_bytes())["files"]:
            wheel = Path(os.path.normpath(page.parent / file["url"]))
            found |= {path.name: path.read_bytes() for path in wheel.parent.glob(f"{wheel.name}*")}
    return found


def read_tree(folder: Path) -> dict[str, bytes]:
    """Path -> content of every file below, links followed; nothing for a folder that is not there."""
    found = {}
    for path, _, names in os.walk(folder, followlinks=True):
        for name in names:
            file = Path(path, name)
            found[file.relative_to(folder).as_posix()] = file.read_bytes()
    return found
