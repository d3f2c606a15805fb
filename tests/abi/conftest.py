"""Torches of a few classes, compiled here, each with one change: that change is what a test is about."""

from __future__ import annotations

import subprocess
import textwrap
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from wheelmill.prove.abi import kept
from wheelmill.prove.abi.torch_wheel import record_wheel

GENERATOR = "virtual void seed(); virtual int clone_impl() const = 0;"
LAYOUT = "long refcount_; long numel_;"
SIGNATURE = "at::Tensor (const at::Tensor &, long)"


@dataclass(frozen=True)
class Torch:
    """One torch: the C++ of its parts."""

    version: str
    virtuals: str = GENERATOR
    members: str = LAYOUT
    functions: str = "long numel(const Tensor&);"
    signature: str = SIGNATURE
    python: str = "311"
    keys: str = ""  # the allocator's header of builds with CUDA

    @property
    def header(self) -> str:
        return textwrap.dedent(
            f"""
            #pragma once
            namespace c10 {{
            struct TensorImpl {{ {self.members} TensorImpl(); }};
            struct GeneratorImpl {{ virtual ~GeneratorImpl(); {self.virtuals} }};
            }}
            namespace at {{
            struct Tensor {{ c10::TensorImpl* impl; }};
            {self.functions}
            }}
            """
        )

    @property
    def operators(self) -> str:
        return (
            f"struct scaled {{ using schema = {self.signature}; "
            'static constexpr const char* name = "aten::scaled"; '
            'static constexpr const char* overload_name = ""; };'
        )


def compile_library(folder: Path, name: str, source: str, *flags: str) -> bytes:
    """A shared library of this C++."""
    file = folder / f"{name}.cpp"
    file.write_text(source)
    out = folder / name
    command = [
        "g++",
        "-std=c++17",
        "-shared",
        "-fPIC",
        "-O1",
        f"-I{folder}",
        str(file),
        "-o",
        str(out),
        *flags,
    ]
    subprocess.run(command, check=True)
    return out.read_bytes()


def write_wheel(path: Path, files: Mapping[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


BODY = """
#include "torch.h"
namespace c10 { TensorImpl::TensorImpl() {} GeneratorImpl::~GeneratorImpl() {} void GeneratorImpl::seed() {} }
"""


def torch_wheel(folder: Path, torch: Torch, more: str = "") -> Path:
    """A wheel of this torch as the package index has one."""
    (folder / "torch.h").write_text(torch.header)
    library = compile_library(folder, "libc10.so", BODY + more)
    functions = compile_library(
        folder,
        "libtorch_cpu.so",
        f'#include "torch.h"\nnamespace at {{ {torch.functions.replace(";", " { return 0; }")} }}',
    )
    empty = compile_library(folder, "libtorch_python.so", "int torch_nothing;")
    return write_wheel(
        folder / f"torch-{torch.version}-cp{torch.python}-cp{torch.python}-manylinux_2_28_x86_64.whl",
        {
            "torch/lib/libc10.so": library,
            "torch/lib/libtorch_cpu.so": functions,
            "torch/lib/libtorch_python.so": empty,
            "torch/include/ATen/core/Tensor.h": torch.header,
            "torch/include/ATen/ops/scaled_ops.h": torch.operators,
            **({"torch/include/c10/cuda/CUDAAllocatorConfig.h": torch.keys} if torch.keys else {}),
            "torch/version.py": "cuda: Optional[str] = None\nhip: Optional[str] = None\n",
        },
    )


EXTENSION = """
#include "torch.h"
#include <typeinfo>
namespace mine {
struct Generator final : c10::GeneratorImpl {
  void seed() override {}
  int clone_impl() const override { return 1; }
};
c10::GeneratorImpl* make() { return new Generator; }
c10::TensorImpl* implementation() { return new c10::TensorImpl; }
long size(const at::Tensor& tensor) { return at::numel(tensor); }
at::Tensor scaled(const at::Tensor& self, long) { return self; }
const std::type_info* registered = &typeid(decltype(scaled));
const char* operator_name() { return "scaled"; }
}
"""


def extension_wheel(
    folder: Path,
    torch: Torch,
    *flags: str,
    source: str = EXTENSION,
    requires: str = "torch==2.13.0",
    more: Mapping[str, bytes] | None = None,
    place: str = "mine/_C.so",
) -> Path:
    """An extension compiled for this torch, stripped unless the flags say otherwise."""
    (folder / "torch.h").write_text(torch.header)
    for name in ("libc10.so", "libtorch_cpu.so"):
        if not (folder / name).exists():
            torch_wheel(folder, torch)
    library = compile_library(folder, "_C.so", source, f"-L{folder}", "-lc10", "-ltorch_cpu", *flags)
    info = "mine-1.0.dist-info"
    return write_wheel(
        folder / f"mine-1.0-cp{torch.python}-cp{torch.python}-linux_x86_64.whl",
        {
            place: library,
            **(more or {}),
            f"{info}/METADATA": "Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n"
            f"Requires-Dist: {requires}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\n",
        },
    )


BUILT_FOR = Torch("2.13.0")


class Records:
    """A folder of records of such torches."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "abi"
        self._work = folder
        self.torches: dict[str, Torch] = {}

    def add(self, torch: Torch, more: str = "") -> None:
        self.torches[torch.version] = torch
        work = self._work / torch.version
        work.mkdir()
        wheel = torch_wheel(work, torch, more)
        with wheel.open("rb") as stream:
            made = record_wheel(stream, wheel.name)
        kept.keep(self.folder, made)

    @property
    def shelf(self) -> kept.Shelf:
        return kept.Shelf(self.folder)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension, compiled for 2.13.0."""
    return extension_wheel(tmp_path_factory.mktemp("extension"), BUILT_FOR, "-s")


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> Records:
    """2.13.0, and torches that differ from it in one thing each."""
    found = Records(tmp_path_factory.mktemp("records"))
    same = replace(BUILT_FOR, version="2.13.1")
    for torch in (
        BUILT_FOR,
        same,
        replace(
            BUILT_FOR,
            version="2.14.0",
            virtuals=GENERATOR.replace(" virtual int", " virtual int state(); virtual int"),
        ),
        replace(BUILT_FOR, version="2.15.0", signature="at::Tensor (const at::Tensor &, int)"),
        replace(BUILT_FOR, version="2.16.0", functions="long numel(const Tensor&, bool);"),
        replace(BUILT_FOR, version="2.17.0", members="long refcount_; long tag; long numel_;"),
        replace(BUILT_FOR, version="2.18.0", python="312"),
    ):
        found.add(torch, "int c10::GeneratorImpl::state() { return 0; }" if torch.version == "2.14.0" else "")
    return found
