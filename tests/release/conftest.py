"""A small project in git, its store, and a builder that makes tiny wheels at once."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from wheelmill.matrix import Line, Matrix
from wheelmill.publish.release.builder import MadeCell, MadeWheel
from wheelmill.publish.release.conductor import Conductor, Request
from wheelmill.publish.release.installers import Installer
from wheelmill.publish.release.repository import Repository
from wheelmill.publish.release.session import Session, Waiver
from wheelmill.publish.release.sessions import Sessions
from wheelmill.publish.release.steps import Tools
from wheelmill.store import Store

from tests.matrix.small import SMALL
from tests.wheels import Draft

BRANCH = "v2.1.0-5.0.rc3"
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
    built: list[str] = field(default_factory=list)
    read_url: str | None = None

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
        tools = Tools(
            sessions, Repository(self.root), self.build, installers=self.installers, read_url=self.read_url
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
        """Tiny wheels of every cell; they say from which commit they are."""
        store, made = Store(self.home), []
        self.built.append(session.name)
        commit = git(tree, "rev-parse", "HEAD")
        for cell in line.cells():
            old = {"manylinux_2_17": f".manylinux2014_{cell.arch}"}.get(cell.manylinux, "")
            platform = f"{cell.manylinux}_{cell.arch}{old}"
            adapter = Draft(
                "torch_npu",
                line.adapter,
                f"{cell.python_tag}-{cell.abi_tag}-{platform}",
                files={"torch_npu.py": f"{commit} {self.salt}".encode()},
                headers=[f"Requires-Dist: torch=={line.torch.version}"],
                purelib=False,
            )
            simulator = Draft(
                "cann_simulator",
                line.torch.version,
                f"py3-none-{platform}",
                files={"cann_simulator.py": self.salt.encode()},
                purelib=False,
            )
            wheels = [self._wheel(draft, store) for draft in (adapter, simulator)]
            ran = cell.arch in self.smoked and session.waiver(cell.key) is None
            smoke = {"cell": cell.key, "status": "passed"} if ran else None
            made.append(MadeCell(cell.key, wheels[0], wheels[1], smoke, None if ran else "another machine"))
        return made

    def _wheel(self, draft: Draft, store: Store) -> MadeWheel:
        path = draft.write(self.root / ".wheelmill" / "made")
        verdict = {
            "releasable": self.releasable,
            "platform_tag": "manylinux_2_36_x86_64",
            "policy": "manylinux_2_17_x86_64",
        }
        return MadeWheel(path.name, store.put(path), verdict)

    # ------------------------------------------------------------------------------------------- the project
    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def commit(self, message: str = "A change") -> str:
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--message", message)
        return git(self.root, "rev-parse", "HEAD")

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
        return self.commit(f"Version {version}")

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)


def make_rig(root: Path) -> Rig:
    rig = Rig(root)
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "--quiet", "--initial-branch=main", "--template=")
    rig.write("matrix/compat.yaml", SMALL)
    rig.write(".gitignore", ".wheelmill/\n")
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
    """snapshot(folder) -> path -> content of all files that are reachable in it."""
    return read_tree


def read_tree(folder: Path) -> dict[str, bytes]:
    """Path -> content of every file below, links followed; nothing for a folder that is not there."""
    found = {}
    for path, _, names in os.walk(folder, followlinks=True):
        for name in names:
            file = Path(path, name)
            found[file.relative_to(folder).as_posix()] = file.read_bytes()
    return found
