"""What some tests need beyond the README's list. `bash ci/machine.sh` installs all of it.

A skip for one of these names the package. With CI=true it is a failure as any other (ci/no_skips.py), except
for packages that the run is told to do without; those tests then run by themselves, with the tools.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

import pytest
from wheelmill.make.containers import ContainerError, connect
from wheelmill.make.toolchain.compiler import CompilerError, find_compiler, host_arch

CROSS = {"x86_64": "g++-aarch64-linux-gnu", "aarch64": "g++-x86-64-linux-gnu"}


def lacks(package: str, said: object = "") -> None:
    """Skip the test: the package is not here. `said` is who missed it."""
    because = f" ({said})" if said else ""
    pytest.skip(f"needs {package}, which is not here; as root: bash ci/machine.sh{because}")


def need_program(name: str, package: str | None = None) -> str:
    """The path of a program; `package` where it is called otherwise."""
    found = shutil.which(name)
    if found is None:
        lacks(package or name)
    return str(found)


def need_compiler(arch: str) -> None:
    """A compiler for `arch`. One for this machine is on the README's list, and missing it is no skip."""
    try:
        find_compiler(arch)
    except CompilerError as error:
        if arch == host_arch():
            raise
        lacks(CROSS[host_arch()], error.message)


def need_headers() -> None:
    """The headers of this Python, which extensions that use its C interface are compiled with."""
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        lacks("python3-dev")


def need_root(what: str) -> None:
    """To be root, the only one who can do `what`."""
    if os.getuid() != 0:
        pytest.skip(f"needs root, which is not here (nobody else can {what})")


def need_engine() -> None:
    """A container engine that answers."""
    try:
        connect()
    except ContainerError as error:
        lacks("docker.io", error.message)


def need_browser() -> str:
    """The path of chromium."""
    return need_program("chromium")
