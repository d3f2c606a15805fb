"""The native files know no Python: one library serves every interpreter and needs torch's C++ side only."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch_npu

LIBRARIES = sorted(Path(torch_npu.__file__).parent.rglob("*.so*"))
ALLOWED = re.compile(
    r"lib(c10|torch|torch_cpu|npu_core|stdc\+\+|gcc_s|m|c|dl|pthread|rt)\.so(\.\d+)*|ld-linux-(x86-64|aarch64)\.so\.\d+"
)


def binutils(tool, *arguments):
    assert shutil.which(tool), f"{tool} is missing; install binutils"
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def dynamic_section(library):
    return re.findall(r"\((\w+)\).*\[(.*)\]", binutils("readelf", "--dynamic", "--wide", str(library)))


def test_there_are_two_libraries_and_what_another_torch_gets():
    always = [library.name for library in LIBRARIES if library.parent.name == "lib"]
    assert always == ["libnpu_core.so", "libtorch_npu.so"]
    others = [library for library in LIBRARIES if library.parent.name != "lib"]
    assert all(re.fullmatch(r"torch-2\.\d+", library.parent.name) for library in others)


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda path: path.name)
def test_no_python_library_is_needed(library):
    needed = [name for tag, name in dynamic_section(library) if tag == "NEEDED"]
    assert needed
    assert [name for name in needed if not ALLOWED.fullmatch(name)] == []


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda path: path.name)
def test_no_symbol_of_python_or_of_libtorch_python_is_used(library):
    symbols = re.findall(r" U (\S+)", binutils("nm", "--dynamic", "--undefined-only", str(library)))
    assert len(symbols) > 10
    assert [symbol for symbol in symbols if re.match(r"_?Py[A-Z_]|_?THP|.*pybind11", symbol)] == []


def test_cann_is_linked_by_neither():
    needed = {name for library in LIBRARIES for tag, name in dynamic_section(library) if tag == "NEEDED"}
    assert not {name for name in needed if "acl" in name or "opapi" in name or "hccl" in name}


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda path: path.name)
def test_libraries_are_looked_for_beside_the_file_only(library):
    paths = [path for tag, path in dynamic_section(library) if tag in ("RPATH", "RUNPATH")]
    assert set(paths) <= {"$ORIGIN" if library.parent.name == "lib" else "$ORIGIN/.."}
