"""The compilers that a package's build is given: `cc` and `c++`, on this machine or in a builder's container.

A build backend starts compilers as programs. Both are small programs of ours in a folder of the build: they
add what makes bytes the same everywhere, and run the real compiler here or inside the container, which sees
the build's folder, the SDKs and the interpreter's headers under their own paths. So a container's compiler
and its old C library serve any Python of this machine, and the other architecture.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from wheelmill.make.toolchain.compiler import find_compiler, host_arch
from wheelmill.make.toolchain.tools import remote_cache

if TYPE_CHECKING:
    from wheelmill.make.images import ImageShop

_IN_CONTAINER = """\
#!{python}
# Runs a compiler inside the build's container, in the folder that it was called in.
import os, sys
import docker
api = docker.from_env(timeout=600).api
words = {words!r} + sys.argv[1:] + {more!r}
made = api.exec_create({container!r}, words, workdir=os.getcwd(), environment={environment!r})
for out, err in api.exec_start(made["Id"], stream=True, demux=True):
    for stream, chunk in ((sys.stdout, out), (sys.stderr, err)):
        if chunk:
            stream.buffer.write(chunk)
            stream.flush()
sys.exit(api.exec_inspect(made["Id"])["ExitCode"])
"""


@dataclass(frozen=True)
class Bench:
    """The two programs."""

    cc: Path
    cxx: Path


class Place(Protocol):
    """Somewhere to compile a package."""

    @property
    def name(self) -> str:
        """What the user calls it: `host`."""

    def identity(self, arch: str, policy: str) -> str:
        """The compiler, by what decides its output; part of a wheel's key."""

    def open(
        self, arch: str, policy: str, work: Path, readable: tuple[Path, ...], flags: tuple[str, ...]
    ) -> AbstractContextManager[Bench]:
        """A context: compilers for a build in `work` that reads `readable`; `flags` go to each call."""


class OnHost:
    """This machine's compilers; without a folder for a cache, each file is compiled anew."""

    name = "host"

    def __init__(self, cache: Path | None) -> None:
        self._cache = cache

    def identity(self, arch: str, policy: str) -> str:
        """See Place. Raises CompilerError."""
        return find_compiler(arch).identity

    @contextmanager
    def open(
        self, arch: str, policy: str, work: Path, readable: tuple[Path, ...], flags: tuple[str, ...]
    ) -> Iterator[Bench]:
        """See Place."""
        compiler = find_compiler(arch)
        ccache = None if self._cache is None else shutil.which("ccache")
        before = [] if ccache is None else [ccache]
        shared = remote_cache(None if ccache is None else Path(ccache), os.environ)
        where = {"CCACHE_DISABLE": "1"} if self._cache is None else {"CCACHE_DIR": str(self._cache)}
        settings = shlex.join(f"{name}={value}" for name, value in {**where, **shared}.items())
        made = []
        for name, words in (("cc", c_compiler(compiler.cxx)), ("c++", compiler.cxx)):
            command = shlex.join([*before, *words])
            text = f'#!/bin/sh\nexec env {settings} {command} "$@" {shlex.join(flags)}\n'
            made.append(_program(work / "bin" / name, text))
        yield Bench(*made)


class InContainer:
    """The compilers of a builder image, in a container without network that lives as long as the build."""

    name = "docker"

    def __init__(self, shop: ImageShop, base: str | None) -> None:
        from wheelmill.make.engines.builder import Builders

        self._builders = Builders(shop, base)

    def identity(self, arch: str, policy: str) -> str:
        """See Place. Raises ContainerError, DebianError or EngineError."""
        return self._builders.workbench(arch, policy, machine=host_arch()).identity

    @contextmanager
    def open(
        self, arch: str, policy: str, work: Path, readable: tuple[Path, ...], flags: tuple[str, ...]
    ) -> Iterator[Bench]:
        """See Place. Its processes are this user, so that compilers and backend share files; without any
        privilege."""
        from wheelmill.make import containers
        from wheelmill.make.containers import Container, Mount, Spec

        bench = self._builders.workbench(arch, policy, machine=host_arch())
        mounts = (Mount(work, str(work), writable=True), *(Mount(path, str(path)) for path in readable))
        user = f"{os.getuid()}:{os.getgid()}"
        with Container(containers.connect(), Spec(bench.image.id, mounts=mounts, user=user)) as container:
            made = []
            for name, words in (("cc", c_compiler(bench.cxx)), ("c++", bench.cxx)):
                text = _IN_CONTAINER.format(
                    python=sys.executable,
                    words=list(words),
                    more=list(flags),
                    container=container.id,
                    environment={**bench.environment, "LC_ALL": "C.UTF-8", "TMPDIR": str(work / "tmp")},
                )
                made.append(_program(work / "bin" / name, text))
            yield Bench(*made)


def c_compiler(cxx: tuple[str, ...]) -> tuple[str, ...]:
    """The C compiler that belongs to a C++ compiler: gcc to g++, clang to clang++, by their names."""
    path = Path(cxx[0])
    name = path.name
    for ending, other in (("clang++", "clang"), ("g++", "gcc"), ("c++", "cc")):
        if ending in name:
            name = name.replace(ending, other)
            break
    return (str(path.with_name(name)), *cxx[1:])


def _program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def variables(bench: Bench, arch: str, python: str) -> Mapping[str, str]:
    """What build systems read to find the compilers, and for the other architecture its names."""
    cc, cxx = str(bench.cc), str(bench.cxx)
    found = {"CC": cc, "CXX": cxx, "LDSHARED": f"{cc} -shared", "LDCXXSHARED": f"{cxx} -shared"}
    if arch != host_arch():
        tag = python.replace(".", "")
        found["_PYTHON_HOST_PLATFORM"] = f"linux-{arch}"
        found["SETUPTOOLS_EXT_SUFFIX"] = f".cpython-{tag}-{arch}-linux-gnu.so"
    return found
