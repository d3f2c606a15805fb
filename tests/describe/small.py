"""A described project in git whose wheels are made in a moment: its build backend lies in it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "soc-demo"
version = "{version}"
"""
_BACKEND = '''\
"""Writes a wheel of one module, for the Python that runs it."""

import base64, hashlib, os, re, sys, zipfile


def digest(text):
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def build_wheel(folder, config_settings=None, metadata_directory=None):
    version = re.search('version = "(.*)"', open("pyproject.toml").read())[1]
    tag = "cp%d%d" % sys.version_info[:2]
    info = f"soc_demo-{version}.dist-info"
    files = {
        "soc_demo.py": f"soc = {os.environ['WHEELMILL_SOC']!r}\\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: soc-demo\\nVersion: {version}\\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: {tag}-none-any\\n",
    }
    record = "".join(f"{name},sha256={digest(text)},{len(text)}\\n" for name, text in files.items())
    name = f"soc_demo-{version}-{tag}-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\\n")
    return name
'''
_FILE = """\
schema = 1
package = "soc-demo"
axes = ["soc", "python", "arch"]

[build]
how = "pep517"

[wheel]
local = "{{soc}}"

[smoke]
program = "smoke.py"

[[lines]]
name = "main"
cells = {{ soc = ["a3"], python = ["{python}"], arch = ["{arch}"] }}
out = []
"""


def git(folder: Path, *words: str, **environment: str) -> str:
    """Git with an author of its own."""
    author = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    done = subprocess.run(
        ["git", *author, "-C", str(folder), *words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return done.stdout.strip()


@dataclass
class SmallProject:
    """The project in a folder of a repository, for the Python that runs this."""

    repository: Path

    @property
    def folder(self) -> Path:
        return self.repository / "python"

    @property
    def python(self) -> str:
        return f"{sys.version_info.major}.{sys.version_info.minor}"

    @property
    def arch(self) -> str:
        return os.uname().machine

    def write(self, version: str = "1.0") -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "pyproject.toml").write_text(_PYPROJECT.format(version=version))
        (self.folder / "backend.py").write_text(_BACKEND)
        (self.folder / "smoke.py").write_text("import soc_demo\n\nprint('made for', soc_demo.soc)\n")
        (self.folder / "wheelmill.toml").write_text(_FILE.format(python=self.python, arch=self.arch))
        (self.repository / ".gitignore").write_text(".wheelmill/\n")

    def commit(self, when: str | None = None) -> str:
        """Commit everything, at this time."""
        dates = {} if when is None else {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        git(self.repository, "add", "--all")
        git(self.repository, "commit", "--quiet", "--message", "A change", **dates)
        return git(self.repository, "rev-parse", "HEAD")

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`wheelmill WORDS` in the project's folder."""
        kept = {name: text for name, text in os.environ.items() if name != "WHEELMILL_HOME"}
        return subprocess.run(
            [sys.executable, "-m", "wheelmill", *words],
            cwd=self.folder,
            env={**kept, "PYTHONPATH": str(ROOT / "release"), **environment},
            capture_output=True,
            text=True,
            timeout=1500,
            check=False,
        )


def make_project(repository: Path) -> SmallProject:
    repository.mkdir(parents=True)
    git(repository, "init", "--quiet", "--initial-branch=trunk")
    project = SmallProject(repository)
    project.write()
    project.commit()
    return project
