"""Run a command where only what the README names can be found, as on a machine that has nothing else.

    python3 ci/bare.py bash -c 'command -v g++; command -v ccache'

PATH has the programs of Debian's base packages and of those that the README names, with all that they depend
on. Python is Debian's own where it is new enough, else the one that runs this. No container engine answers,
and no other Python is found. Nothing is removed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

# The README's list, and what every Debian machine has.
NAMED = ("python3", "python3-venv", "g++", "git", "ca-certificates", "apt")
_BASE = ("required", "important")
_FOLDERS = ("/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin", "/bin", "/sbin")
# A user's choice of tools and of places where tools look for more.
_CHOICES = re.compile(
    r"(CC|CXX|CFLAGS|CXXFLAGS|LDFLAGS|PYENV_.*|CCACHE_.*|CMAKE_.*|WHEELMILL_(CXX|CC)_.*|DOCKER_.*)"
)


def installed() -> dict[str, tuple[str, frozenset[str]]]:
    """Package -> (priority, the installed packages that it depends on)."""
    fields = "${Package}\t${db:Status-Status}\t${Priority}\t${Pre-Depends}, ${Depends}\t${Provides}\n"
    done = subprocess.run(
        ["dpkg-query", "--show", f"--showformat={fields}"], check=True, capture_output=True, text=True
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    rows = [row for row in rows if row[1] == "installed"]
    providers: dict[str, set[str]] = {}
    for name, _, _, _, provided in rows:
        for one in (name, *_names(provided)):
            providers.setdefault(one, set()).add(name)
    return {
        name: (priority, frozenset(p for one in _names(needs) for p in providers.get(one, ())))
        for name, _, priority, needs, _ in rows
    }


def _names(relation: str) -> list[str]:
    """`a (>= 1), b:any | c` -> a, b, c"""
    return [re.split(r"[\s(:]", part.strip())[0] for part in re.split(r"[,|]", relation) if part.strip()]


def closure(packages: Mapping[str, tuple[str, frozenset[str]]], named: Iterable[str]) -> set[str]:
    """The base packages, the named ones, and what they depend on."""
    found: set[str] = set()
    todo = [name for name, (priority, _) in packages.items() if priority in _BASE]
    todo += [name for name in named if name in packages]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += packages[name][1]
    return found


def programs(packages: Iterable[str]) -> dict[str, Path]:
    """Name -> path of the programs of these packages, those of Debian's alternatives among them."""
    done = subprocess.run(
        ["dpkg-query", "--listfiles", *sorted(packages)], check=True, capture_output=True, text=True
    )
    files = {Path(line).resolve() for line in done.stdout.splitlines() if line.startswith("/")}
    found: dict[str, Path] = {}
    for folder in map(Path, _FOLDERS):
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.resolve() in files:
                found.setdefault(path.name, path)
    return found


def python() -> tuple[Path, str]:
    """The interpreter of whoever follows the README, and its X.Y."""
    own = Path("/usr/bin/python3")
    if own.exists():
        ask = [own, "-c", "import sys; print(*sys.version_info[:2])"]
        major, minor = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.split()
        if (int(major), int(minor)) >= (3, 10):
            return own, f"{major}.{minor}"
    this = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    return this, f"{sys.version_info.major}.{sys.version_info.minor}"


def main(command: list[str]) -> int:
    """Run the command there; its exit code."""
    if not command:
        sys.exit(str(__doc__))
    with tempfile.TemporaryDirectory(prefix="bare-") as folder:
        Path(folder).chmod(0o755)  # programs are there for every user of the machine
        bin_folder = Path(folder, "bin")
        bin_folder.mkdir()
        for name, path in programs(closure(installed(), NAMED)).items():
            (bin_folder / name).symlink_to(path)
        interpreter, version = python()
        for name in ("python3", f"python{version}"):
            (bin_folder / name).unlink(missing_ok=True)
            # No link: an environment made through one would keep this folder's name.
            (bin_folder / name).write_text(f'#!/bin/sh\nexec {interpreter} "$@"\n')
            (bin_folder / name).chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not _CHOICES.fullmatch(name)}
        nowhere = dict.fromkeys(("PYENV_ROOT", "UV_PYTHON_INSTALL_DIR"), f"{folder}/none")
        hidden = {"PATH": str(bin_folder), "DOCKER_HOST": f"unix://{folder}/no-engine.sock", **nowhere}
        return subprocess.run(command, env={**kept, **hidden}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
