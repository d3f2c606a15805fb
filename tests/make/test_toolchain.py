"""Compilers and CMake are found, or named by what to install; one compiler has one identity anywhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from wheelmill.limits import BYTES_PER_COMPILER, Limits
from wheelmill.make.engines import cmake
from wheelmill.make.toolchain import tools
from wheelmill.make.toolchain.compiler import CompilerError, find_compiler, host_arch

OTHER = {"x86_64": "aarch64", "aarch64": "x86_64"}[host_arch()]


def test_identity_names_what_decides_the_output_and_not_the_place(tmp_path: Path) -> None:
    plain = find_compiler(host_arch(), {"PATH": os.environ["PATH"]})
    assert host_arch() in plain.identity
    assert "glibc2." in plain.identity
    assert str(Path(plain.cxx[0]).parent) not in plain.identity
    link = tmp_path / "my-own-g++"
    link.symlink_to(Path(plain.cxx[0]).resolve())
    named = find_compiler(host_arch(), {"CXX": str(link), "PATH": os.environ["PATH"]})
    assert named.cxx == (str(link),)
    assert named.identity == plain.identity
    assert not named.cross


def test_another_libc_is_another_identity(tmp_path: Path) -> None:
    plain = find_compiler(host_arch(), {"PATH": os.environ["PATH"]})
    (tmp_path / "features.h").write_text(
        "#include_next <features.h>\n#undef __GLIBC_MINOR__\n#define __GLIBC_MINOR__ 5\n"
    )
    older = f"{plain.cxx[0]} -isystem {tmp_path}"
    other = find_compiler(host_arch(), {"CXX": older, "PATH": os.environ["PATH"]})
    assert other.identity != plain.identity
    assert "glibc2.5;" in other.identity


@pytest.mark.parametrize("name", ["as", "ld"])
def test_another_assembler_or_linker_on_path_is_another_identity(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GCC takes them from PATH, and what they write is in the wheel."""
    plain = find_compiler(host_arch())
    other = tmp_path / name
    other.write_text("#!/bin/sh\necho GNU something 99.0\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert find_compiler(host_arch()).identity != plain.identity
    assert "GNU something 99.0" in find_compiler(host_arch()).identity


def test_variables_that_no_build_gets_do_not_decide_an_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = find_compiler(host_arch())
    monkeypatch.setenv("GCC_EXEC_PREFIX", "/nonexistent/")
    monkeypatch.setenv("COMPILER_PATH", "/nonexistent")
    assert find_compiler(host_arch()).identity == plain.identity


def test_no_compiler_says_what_to_install() -> None:
    with pytest.raises(
        CompilerError, match=f"no C\\+\\+ compiler for {OTHER} on this {host_arch()}"
    ) as caught:
        find_compiler(OTHER, {"PATH": "/nonexistent"})
    package = {"aarch64": "g++-aarch64-linux-gnu", "x86_64": "g++-x86-64-linux-gnu"}[OTHER]
    assert f"apt-get install {package}" in (caught.value.hint or "")


def test_a_compiler_of_the_wrong_arch_is_refused() -> None:
    native = find_compiler(host_arch()).cxx[0]
    with pytest.raises(CompilerError, match=f"compiles for .*, not for {OTHER}"):
        find_compiler(OTHER, {f"WHEELMILL_CXX_{OTHER.upper()}": native, "PATH": os.environ["PATH"]})


def test_a_compiler_that_cannot_compile_says_its_own_reason() -> None:
    native = find_compiler(host_arch()).cxx[0]
    with pytest.raises(CompilerError, match="fails: "):
        find_compiler(host_arch(), {"CXX": f"{native} --sysroot=/nonexistent", "PATH": os.environ["PATH"]})


def test_cmake_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = "99.0.0"  # than any that this machine may have, wherever it lies
    old, new = tmp_path / "old", tmp_path / "tools"
    for folder, version in ((old, "3.1.0"), (new / "cmake/data/bin", newer)):
        folder.mkdir(parents=True)
        (folder / "cmake").write_text(f"#!/bin/sh\necho cmake version {version}\n")
        (folder / "cmake").chmod(0o755)
    (old / "ninja").write_text("#!/bin/sh\necho 1.12.1\n")
    (old / "ninja").chmod(0o755)
    monkeypatch.setenv("PATH", f"{old}:/usr/bin:/bin")
    (tmp_path / "CMakeLists.txt").write_text(f"cmake_minimum_required(VERSION {newer})\n")
    found = tools.find_tools(tmp_path, new)
    assert found.cmake == new / "cmake/data/bin/cmake"
    assert found.ninja == old / "ninja"


@pytest.mark.slow
def test_missing_tools_come_from_the_package_index(tmp_path: Path) -> None:
    """In an interpreter without them, and with an empty PATH, both are installed once and really run."""
    (tmp_path / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.20)\n")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    code = f"""
import os, subprocess, sys
from pathlib import Path
from wheelmill.make.toolchain.tools import find_tools
os.environ["PATH"] = "/nonexistent"
heard = []
for _ in range(2):
    found = find_tools(Path({str(tmp_path)!r}), Path({str(tmp_path / "tools")!r}), heard.append)
for program in (found.cmake, found.ninja):
    subprocess.run([program, "--version"], check=True, stdout=subprocess.DEVNULL)
    print(program)
print(len(heard))
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(tools.__file__).parents[3])}
    done = subprocess.run(
        [tmp_path / "venv/bin/python", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count(str(tmp_path / "tools")) == 2
    assert done.stdout.splitlines()[-1] == "1"
    assert not list(tmp_path.glob(".tools*"))


def test_a_tool_that_is_another_file_than_the_lock_says_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.20)\n")
    lock = tmp_path / "tools.txt"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", tools.LOCK.read_text()))
    monkeypatch.setattr(tools, "LOCK", lock)
    monkeypatch.setattr(tools, "_found", lambda name, folder: iter(()))
    with pytest.raises(tools.ToolsError, match="another file than the one held by hash: SHA-256"):
        tools.find_tools(tmp_path, tmp_path / "tools")
    assert not (tmp_path / "tools").exists()


def test_error_lines_are_the_ones_that_say_why() -> None:
    log = [
        "[1/9] Building CXX object a.o",
        "a.cpp:3:1: error: expected ';'",
        "[2/9] Building CXX object b.o",
        "ld: x.o: undefined reference to `f'",
        "CMake Error at CMakeLists.txt:3 (message):",
        "  the SDK lacks the moon",
        "ninja: build stopped: subcommand failed.",
    ]
    assert cmake.error_lines(log) == [log[1], log[3], log[4], log[5], log[6]]
    assert cmake.error_lines(["nothing", "", "known"]) == ["nothing", "known"]


@pytest.mark.parametrize(
    ("cpus", "memory", "compilers"),
    [(8.0, 100 * BYTES_PER_COMPILER, 8), (8.0, 3 * BYTES_PER_COMPILER, 3), (0.5, 1, 1)],
)
def test_compilers_are_counted_by_cpus_and_by_memory(cpus: float, memory: int, compilers: int) -> None:
    assert Limits(cpus, memory).compilers == compilers


def test_this_machine_gives_no_more_cpus_than_this_process_may_use() -> None:
    assert 1 <= Limits.of_machine().compilers <= len(os.sched_getaffinity(0))
    assert Limits.of_machine(cpus=1.0, memory=1 << 40) == Limits(1.0, 1 << 40)
