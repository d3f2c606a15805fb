"""The bytes of a wheel depend on what its content key holds, and on nothing else.

The small adapter has a generated source, and its sources and torch's header name themselves with __FILE__.
"""

from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from wheelmill.make.build import Workshop, build
from wheelmill.make.engines.cmake import COMPILE
from wheelmill.make.engines.host import HostEngine
from wheelmill.make.toolchain.compiler import host_arch
from wheelmill.matrix import Cell, Line
from wheelmill.store import Store

from tests.make.conftest import PROJECT, SOURCES
from tests.needs import need_program, need_root

EPOCH = "1700000000"

# Of a shell that compiles much: each changes what GCC, ld, CMake, ccache or Python does.
SHELL = {
    "CXXFLAGS": "-DNDEBUG=7 -g",
    "CPLUS_INCLUDE_PATH": "/nonexistent",
    "GCC_COMPARE_DEBUG": "-fno-inline",
    "DEPENDENCIES_OUTPUT": "/nonexistent/folder/file",
    "SUNPRO_DEPENDENCIES": "/nonexistent/folder/file",
    "LD_RUN_PATH": "/somewhere/lib",
    "GNUTARGET": "binary",
    "CMAKE_INSTALL_MODE": "SYMLINK",
    "CMAKE_CONFIG_TYPE": "Debug",
    "CMAKE_CXX_COMPILER_LAUNCHER": "/nonexistent/launcher",
    "CMAKE_COLOR_DIAGNOSTICS": "ON",
    "CCACHE_BASEDIR": "/",
    "CCACHE_PREFIX": "/nonexistent/prefix",
    "CCACHE_COMPILERCHECK": "none",
    "CCACHE_SLOPPINESS": "include_file_mtime,include_file_ctime,system_headers",
    "CCACHE_NOCPP2": "1",
    "NINJA_STATUS": "%",
    "PYTHONPATH": "/nonexistent",
    "PYTHONHASHSEED": "7",
    "LANGUAGE": "zh_CN",
    "LC_ALL": "C",
    "TZ": "Asia/Kathmandu",
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A compiler cache of the test's own, empty; its path."""
    monkeypatch.setenv("CCACHE_DIR", str(tmp_path / "ccache"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    return tmp_path / "ccache"


@dataclass(frozen=True)
class Builds:
    """Builds of the small adapter, each in a store of its own."""

    adapter: Path
    line: Line
    folder: Path

    def workshop(self, name: str, **fields: Any) -> Workshop:
        """With a new store in a folder of this name; `fields` are the workshop's."""
        return workshop_in(self.folder / name / "mill", self.adapter.parent, self.line, **fields)

    def digests(self, name: str, **fields: Any) -> tuple[str, str]:
        """SHA-256 of the adapter's and of the simulator's wheel."""
        return made(self.workshop(name, **fields))


@pytest.fixture
def builds(adapter: Path, make_line: Callable[..., Line], tmp_path: Path) -> Builds:
    """See Builds."""
    return Builds(adapter, make_line(), tmp_path / "builds")


def results(log: Path) -> list[str]:
    """What ccache's log says of each compilation: `cache_miss`, `direct_cache_hit`, ..."""
    return re.findall(r"Result: (cache_miss|direct_cache_hit|preprocessed_cache_hit)\n", log.read_text())


def without_maps(adapter: Path) -> None:
    """Make the small adapter a project that does nothing for equal bytes by itself."""
    lists = adapter / "CMakeLists.txt"
    text = lists.read_text()
    assert "-ffile-prefix-map" in text
    lists.write_text(re.sub(r"add_compile_options\(.*\)\n", "", text))


CHILD = """
import os, pickle, sys
from tests.make.test_same_bytes import made, workshop_in
os.umask(0o077)
root, sources, line = pickle.load(sys.stdin.buffer)
print(*made(workshop_in(root, sources, line)))
"""


def workshop_in(root: Path, sources: Path, line: Line, **fields: Any) -> Workshop:
    """With a new store and this machine's compilers."""
    store = Store(root)
    return Workshop(store, HostEngine(store.root / "tools"), sources, (line,), **fields)


def made(workshop: Workshop) -> tuple[str, str]:
    """SHA-256 of the two wheels of this machine's cell, built."""
    (built,) = build([Cell(workshop.lines[0], "3.8", host_arch())], workshop)
    assert "compile" in built.seconds
    return built.wheel.digest, built.simulator.digest


@pytest.mark.parametrize("mapped", [True, False], ids=["maps", "no maps"])
def test_a_cache_changes_no_byte_and_is_hit_in_any_folder(
    mapped: bool, builds: Builds, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_program("ccache")
    if not mapped:
        without_maps(adapter)
    log = tmp_path / "ccache.log"
    monkeypatch.setenv("CCACHE_LOGFILE", str(log))
    cold = builds.digests("cold")
    assert results(log) == ["cache_miss"] * len(SOURCES)
    log.unlink()
    assert builds.digests("none", fresh=True) == cold
    assert not log.exists()
    assert builds.digests("a warm one, in another folder") == cold
    # What is generated names its folder; all else is the same in every folder.
    assert results(log).count("cache_miss") == 1


def test_a_compiler_is_given_paths_below_the_root_from_where_it_runs(tmp_path: Path) -> None:
    root = tmp_path / "a root"
    (root / "work" / "build").mkdir(parents=True)
    says = tmp_path / "says"
    says.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    says.chmod(0o755)
    given = {
        f"{root}/adapter/a b.cpp": "../../adapter/a b.cpp",
        f"-I{root}/sdk/include": "-I../../sdk/include",
        f"-I/usr{root}/include": f"-I/usr{root}/include",  # another folder, that ends alike
        f"{root}-2/file": f"{root}-2/file",
        f'-DFOLDERS="{root}/one:{root}/two"': '-DFOLDERS="../../one:../../two"',
        f"-fdebug-prefix-map={root}/work/build=build": (
            f"-fdebug-prefix-map={root}/work/build=build\n-fdebug-prefix-map=../../work/build=build"
        ),
        "-DEMPTY=": "-DEMPTY=",
        "": "",
    }
    for kind, own in (("gcc", ["-fno-canonical-system-headers"]), ("-", [])):
        done = subprocess.run(
            ["/bin/sh", COMPILE, root, "-", kind, says, *given, "-o", "dir/a.o"],
            cwd=root / "work" / "build",
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "\n".join(
            [
                f"-ffile-prefix-map={root}/=../../",
                *own,
                "-frandom-seed=dir/a.o",
                "-Wno-builtin-macro-redefined",
                '-D__TIMESTAMP__="Tue Jan  1 00:00:00 1980"',
                *given.values(),
                "-o",
                "dir/a.o",
                "",
            ]
        )


def test_a_name_that_the_project_gives_to_a_folder_is_not_taken_from_a_cache(
    builds: Builds, adapter: Path
) -> None:
    """ccache looks at all words of a command except for the values of prefix maps."""
    need_program("ccache")
    lists = adapter / "CMakeLists.txt"
    builds.digests("first")
    lists.write_text(lists.read_text().replace("}=adapter", "}=renamed"))
    assert builds.digests("with the first one's cache") == builds.digests("none", fresh=True)


def test_the_time_of_a_source_file_is_not_compiled_in(builds: Builds, adapter: Path) -> None:
    source = adapter / "core" / "opapi.cpp"
    source.write_text(source.read_text() + 'extern "C" const char* when() { return __TIMESTAMP__; }\n')
    first = builds.digests("first", fresh=True)
    os.utime(source, (1_000_000_000, 1_000_000_000))
    assert builds.digests("later", fresh=True) == first


def test_the_caller_s_shell_home_and_settings_change_no_byte(
    builds: Builds, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = builds.digests("plain", jobs=2)
    home = tmp_path / "home"
    (home / ".config" / "ccache").mkdir(parents=True)
    (home / ".config" / "ccache" / "ccache.conf").write_text("base_dir = /\nrun_second_cpp = false\n")
    monkeypatch.setenv("HOME", str(home))
    for name, value in SHELL.items():
        monkeypatch.setenv(name, value)
    lists = adapter / "CMakeLists.txt"
    assert builds.digests("a warm cache", jobs=1) == plain
    monkeypatch.setenv("CCACHE_DIR", str(tmp_path / "another cache"))
    assert builds.digests("a cold one", jobs=1) == plain
    assert builds.digests("none", jobs=1, fresh=True) == plain
    lists.write_text(
        lists.read_text() + "execute_process(COMMAND env OUTPUT_VARIABLE all)\nmessage(${all})\n"
    )
    workshop = builds.workshop("seen")
    made(workshop)
    (log,) = (workshop.store.root / "logs").iterdir()
    names = set(re.findall(r"^(\w+)=", log.read_text(), re.MULTILINE))
    assert (
        names
        - {
            *("PATH", "LD_LIBRARY_PATH", "TMPDIR"),
            *("HOME", "LC_ALL", "NINJA_STATUS", "SOURCE_DATE_EPOCH"),
            *("PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED", "PYTHONUSERBASE"),
            *("CCACHE_COMPILERCHECK", "CCACHE_CONFIGPATH", "CCACHE_CONFIGPATH2", "CCACHE_SLOPPINESS"),
            *("CCACHE_DIR", "CCACHE_MAXSIZE"),
            *("CXX", "LANG", "LC_MESSAGES"),  # CMake's own, for its children
        }
        == set()
    )
    assert {"PATH", "HOME", "SOURCE_DATE_EPOCH"} <= names
    assert not [name for name in SHELL if f"{name}={SHELL[name]}" in log.read_text().splitlines()]
    assert str(home) not in log.read_text()


def test_user_host_name_and_umask_change_no_byte(builds: Builds) -> None:
    need_root("give a process another user and host name")
    plain = builds.digests("plain")
    # Another user, who may nevertheless read this test and its interpreter.
    other, powers = 1234, "+dac_override"
    command = [
        *("unshare", "--uts", "sh", "-c", 'hostname elsewhere; exec "$@"', "sh"),
        *("setpriv", f"--reuid={other}", f"--regid={other}", "--clear-groups"),
        *(f"--inh-caps={powers}", f"--ambient-caps={powers}", sys.executable, "-c", CHILD),
    ]
    with tempfile.TemporaryDirectory() as theirs:  # the test's own folder is closed to others
        os.chown(theirs, other, other)
        for part in ("adapter", "simulator"):
            shutil.copytree(builds.adapter.parent / part, Path(theirs, part))
        done = subprocess.run(
            command,
            input=pickle.dumps((Path(theirs, "mill"), Path(theirs), builds.line)),
            cwd=PROJECT,
            env={
                "PATH": os.environ["PATH"],
                "HOME": theirs,
                "SOURCE_DATE_EPOCH": EPOCH,
                "PYTHONPATH": "release:.",
            },
            capture_output=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode()
    assert tuple(done.stdout.decode().split()) == plain


@pytest.mark.usefixtures("cross_compiler")
def test_the_order_of_bundles_and_how_many_at_once_change_no_byte(builds: Builds) -> None:
    cells = [Cell(builds.line, "3.8", arch) for arch in ("x86_64", "aarch64")]
    found = [
        {each.cell.arch: (each.wheel.digest, each.simulator.digest) for each in build(wanted, workshop)}
        for wanted, workshop in (
            (cells, builds.workshop("at once", at_once=2, jobs=2)),
            (cells[::-1], builds.workshop("one by one", at_once=1, jobs=1)),
        )
    ]
    assert found[0] == found[1]
