"""C++ compilers for a target arch, and the identity by which two of them count as the same."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wheelmill.errors import WheelmillError

_DEBIAN_NAMES = {"x86_64": "x86-64", "aarch64": "aarch64"}
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}

# What compilers, and the interpreter that generates code, may take from the caller's shell: where programs
# and their libraries are found, and where scratch files go. Any other variable may change what is compiled
# without changing a content key: GCC, ld, CMake, Ninja, ccache, Python and the dynamic loader read dozens.
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")


class CompilerError(WheelmillError):
    """No usable C++ compiler for an arch."""


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler for `arch`.

    `identity` names what decides its output and nothing of where it lies: version, target triple, the
    target's glibc, the assembler, the linker. The cross and the native build of one compiler release
    therefore have the same identity.
    """

    arch: str
    cxx: tuple[str, ...]
    triple: str
    identity: str

    @property
    def cross(self) -> bool:
        """Whether it compiles for another arch than this machine's."""
        return self.arch != host_arch()

    @property
    def glibc(self) -> str | None:
        """The target's glibc, such as 2.28; None where its C library is another."""
        found = re.search(r"; glibc(\d+\.\d+);", self.identity)
        return found and found[1]


def compiler_environment(base: Mapping[str, str]) -> dict[str, str]:
    """The variables that a compiler runs with: of the caller's only what decides no byte."""
    kept = {name: base[name] for name in _PASSED_ON if name in base}
    return {**kept, "LC_ALL": "C.UTF-8"}


def host_arch() -> str:
    """This machine's arch, as the matrix writes it."""
    machine = platform.machine().lower()
    return _MACHINES.get(machine, machine)


def find_compiler(arch: str, environment: Mapping[str, str] | None = None) -> Compiler:
    """The compiler for `arch`: `$WHEELMILL_CXX_<ARCH>`, natively `$CXX`, else g++ or clang++ as Debian names
    them.

    Raises CompilerError when there is none, when it compiles for another arch, or lacks the target's C
    library.
    """
    environment = os.environ if environment is None else environment
    words, origin = _command(arch, environment)
    path = shutil.which(words[0], path=environment.get("PATH"))
    if path is None:
        raise CompilerError(f"{origin} names {words[0]!r}, which is not there", hint=_install_hint(arch))
    cxx = (path, *words[1:])
    triple = _ask(cxx, "-dumpmachine", arch=arch).strip()
    if _MACHINES.get(triple.split("-")[0], triple.split("-")[0]) != arch:
        raise CompilerError(
            f"{shlex.join(words)} ({origin}) compiles for {triple}, not for {arch}", hint=_install_hint(arch)
        )
    return Compiler(arch, cxx, triple, _identity(cxx, triple, arch))


def _command(arch: str, environment: Mapping[str, str]) -> tuple[list[str], str]:
    """The words of the compiler command and who chose it."""
    variables = [f"WHEELMILL_CXX_{arch.upper()}", *(["CXX"] if arch == host_arch() else [])]
    for variable in variables:
        if environment.get(variable):
            return shlex.split(environment[variable]), f"${variable}"
    prefix = "" if arch == host_arch() else f"{arch}-linux-gnu-"
    names = [f"{prefix}g++", *(["clang++", "c++"] if not prefix else [])]
    for name in names:
        if shutil.which(name, path=environment.get("PATH")):
            return [name], "PATH"
    raise CompilerError(
        f"no C++ compiler for {arch} on this {host_arch()} machine (looked for {', '.join(names)})",
        hint=_install_hint(arch),
    )


def _install_hint(arch: str) -> str:
    package = "g++" if arch == host_arch() else f"g++-{_DEBIAN_NAMES.get(arch, arch)}-linux-gnu"
    variable = f"WHEELMILL_CXX_{arch.upper()}"
    return f"on Debian or Ubuntu: apt-get install {package}\nor set {variable} to a compiler for {arch}"


def _ask(cxx: tuple[str, ...], *words: str, arch: str, source: str = "") -> str:
    command = [*cxx, *words]
    environment = {**compiler_environment(os.environ), "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, input=source, capture_output=True, text=True, env=environment, check=False
        )
    except OSError as error:
        raise CompilerError(f"{cxx[0]} does not run: {error.strerror}", hint=_install_hint(arch)) from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CompilerError(f"{shlex.join(command)} fails: {reason}", hint=_install_hint(arch))
    return done.stdout


def _identity(cxx: tuple[str, ...], triple: str, arch: str) -> str:
    version = _ask(cxx, "--version", arch=arch).splitlines()[0]
    first, _, rest = version.partition(" ")
    if first == Path(cxx[0]).name or first.endswith(
        ("g++", "gcc", "c++")
    ):  # GCC begins with its own command's name
        version = f"GCC {rest}"
    libc = "#include <cstdlib>\nglibc __GLIBC__.__GLIBC_MINOR__\n"
    found = _ask(cxx, "-E", "-P", "-x", "c++", "-", arch=arch, source=libc).splitlines()[-1].replace(" ", "")
    return "; ".join([version, triple, found, *(_program(cxx, name, arch) for name in ("as", "ld"))])


def _program(cxx: tuple[str, ...], name: str, arch: str) -> str:
    """What the compiler's own assembler or linker says it is: where it is taken from is for PATH to say."""
    path = _ask(cxx, f"-print-prog-name={name}", arch=arch).strip()
    return _ask((path,), "--version", arch=arch).splitlines()[0]
