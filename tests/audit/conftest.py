"""Real ELF files for the audit's tests, compiled here for both machines."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.prove.audit import Allowed, Expectation
from wheelmill.wheel.name import parse_name

from tests.needs import CROSS, need_program
from tests.wheels import Draft

COMPILERS = {"x86_64": "x86_64-linux-gnu-gcc", "aarch64": "aarch64-linux-gnu-gcc"}

Compile = Callable[..., bytes]


def compiler(arch: str) -> str:
    """The machine's compiler for `arch`."""
    if arch == host_arch():
        found = shutil.which(COMPILERS[arch])
        assert found is not None, f"{COMPILERS[arch]} belongs to g++, which the README names"
        return found
    return need_program(COMPILERS[arch], CROSS[host_arch()])


@pytest.fixture(scope="session")
def compile_library(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """compile_library(source, *flags, name=, arch=, needs={file name: bytes}) -> the library's bytes."""
    made: dict[tuple[object, ...], bytes] = {}

    def build(
        source: str, *flags: str, name: str, arch: str = "x86_64", needs: dict[str, bytes] | None = None
    ) -> bytes:
        key = (source, flags, name, arch, *(needs or {}).items())
        if key not in made:
            work = tmp_path_factory.mktemp("elf")
            (work / "in.c").write_text(source)
            for library, data in (needs or {}).items():
                (work / library).write_bytes(data)
            command = [compiler(arch), "-shared", "-fPIC", "-O1", "-o", name, "in.c", f"-Wl,-soname,{name}"]
            command += ["-Wl,--no-as-needed", *(needs or {}), *flags, "-Wl,--allow-shlib-undefined"]
            done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            made[key] = (work / name).read_bytes()
        return made[key]

    return build


@pytest.fixture(scope="session")
def torch_libraries(compile_library: Compile) -> Callable[[str], dict[str, bytes]]:
    """A torch as small as it gets: libtorch_cpu needs libc10, each defines one function."""

    def build(arch: str) -> dict[str, bytes]:
        c10 = compile_library("int c10_function(void) { return 1; }", name="libc10.so", arch=arch)
        cpu = compile_library(
            "int c10_function(void); int torch_function(void) { return c10_function(); }",
            name="libtorch_cpu.so",
            arch=arch,
            needs={"libc10.so": c10},
        )
        return {"libc10.so": c10, "libtorch_cpu.so": cpu}

    return build


@pytest.fixture(scope="session")
def sdk(torch_libraries: Callable[[str], dict[str, bytes]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small x86_64 torch as an SDK's library directory."""
    lib = tmp_path_factory.mktemp("sdk") / "lib"
    lib.mkdir()
    for name, data in torch_libraries("x86_64").items():
        (lib / name).write_bytes(data)
    return lib


CORE = 'char *strcpy(char *, const char *); int npu_core(char *a) { return *strcpy(a, "x"); }'
GLUE = """
int torch_function(void);
int npu_core(char *);
int glue(void) { return torch_function() + npu_core(0); }
"""
# pthread_create moved from libpthread into libc with glibc 2.34.
NEEDS_2_34 = """
int pthread_create(void *, void *, void *, void *);
int npu_core(char *a) { return pthread_create(a, a, a, a); }
"""


@pytest.fixture
def good(
    compile_library: Compile, torch_libraries: Callable[[str], dict[str, bytes]]
) -> Callable[..., Draft]:
    """good(arch=..., python=...) -> a draft of an adapter wheel that nothing is wrong with."""

    def draft(arch: str = "x86_64", python: str = "3.11") -> Draft:
        torch = torch_libraries(arch)
        core = compile_library(CORE, name="libnpu_core.so", arch=arch)
        needs = {**torch, "libnpu_core.so": core}
        glue = compile_library(
            GLUE,
            "-Wl,-rpath,$ORIGIN",
            "-Wl,--enable-new-dtags",
            name="libtorch_npu.so",
            arch=arch,
            needs=needs,
        )
        tag = "cp" + python.replace(".", "")
        row = {"schema": 1, "branch": "v2.13.0", "cann": "9.2.0", "torch": "2.13.0", "adapter": "2.13.0"}
        stamp = {**row, "python": python, "arch": arch, "recipe": "0" * 64}
        return Draft(
            project="torch_npu",
            version="2.13.0",
            tag=f"{tag}-{tag}-linux_{arch}",
            purelib=False,
            headers=[
                "License-Expression: BSD-3-Clause",
                "License-File: LICENSE",
                "Classifier: Programming Language :: Python :: 3.10",
                "Classifier: Programming Language :: Python :: 3.11",
                "Requires-Python: >=3.10",
                "Requires-Dist: torch==2.13.0",
            ],
            files={
                "torch_npu/__init__.py": b"",
                "torch_npu/_row.json": json.dumps(stamp).encode(),
                "torch_npu/lib/libnpu_core.so": core,
                "torch_npu/lib/libtorch_npu.so": glue,
                "torch_npu-2.13.0.dist-info/licenses/LICENSE": b"BSD",
            },
        )

    return draft


def expectation(arch: str = "x86_64", python: str = "3.11", policy: str = "manylinux_2_28") -> Expectation:
    """What the matrix would ask of `good`."""
    row = {"schema": 1, "branch": "v2.13.0", "cann": "9.2.0", "torch": "2.13.0", "adapter": "2.13.0"}
    return Expectation(
        arch=arch,
        policy=policy,
        project="torch-npu",
        version="2.13.0",
        python=python,
        pythons=("3.10", "3.11"),
        torch="==2.13.0",
        row={**row, "python": python, "arch": arch},
        allowed=(Allowed("libc10.so*"), Allowed("libtorch_cpu.so*")),
        house=True,
    )


def promised(wheel: Path) -> Expectation:
    """What the wheel's file name promises."""
    return Expectation.from_name(parse_name(wheel.name))
