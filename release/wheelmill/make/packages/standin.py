"""A stand-in for an SDK: what a build reads of a package, for any Python and architecture, never run.

The target torch cannot be imported where it is for another machine, another Python, or built with CUDA. A
build reads its headers and libraries, and `torch.utils.cpp_extension`, which needs a handful of values. So
the stand-in has torch's own files for these, and names of its own for the values.
"""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from wheelmill.errors import WheelmillError
from wheelmill.wheel.name import parse_name

if TYPE_CHECKING:
    from wheelmill.make.toolchain.sdk import Sdk

FORMAT = 3  # raise it when a stand-in becomes another one for the same wheel

# Torch's own files: the build helpers and what they import, and CMake's package.
_KEPT = re.compile(
    r"torch/(version|torch_version|_appdirs)\.py|torch/_vendor/(__init__\.py|packaging/.*\.py)"
    r"|torch/utils/(cpp_extension|file_baton|_cpp_extension_versioner)\.py|torch/utils/hipify/.*\.py"
    r"|torch/share/cmake/.*|torch/lib/libtorch_python\.so"
)
_INIT = '''\
"""A stand-in for torch {version}: to compile against, never to run."""
import os, sys, types
from torch import version
try:
    from torch.torch_version import __version__
except ImportError:
    __version__ = version.__version__

def _module(name, **values):
    module = types.ModuleType("torch." + name)
    vars(module).update(values)
    sys.modules["torch." + name] = module
    globals()[name] = module

def _no(*_):
    return False

for _name in ("cuda", "xpu"):
    _module(_name, is_available=_no, _is_compiled=_no, device_count=lambda: 0)
_module("backends", mps=types.SimpleNamespace(is_built=_no, is_available=_no))
_module("_C", _GLIBCXX_USE_CXX11_ABI={abi}, _PYBIND11_COMPILER_TYPE=None, _PYBIND11_STDLIB=None,
        _PYBIND11_BUILD_ABI=None, _cuda_getCompiledVersion=lambda: 0)

_module("__config__", parallel_info=lambda: "ATen parallel backend: {parallel}\\n", show=lambda: "")

_WANTS_TORCH = (
    "this torch is a stand-in to compile against, without torch.%s; where the build must run torch, "
    'write use = "install" under [sdks.torch]'
)

class _Missing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.startswith("torch."):
            raise ModuleNotFoundError(_WANTS_TORCH % name[len("torch."):], name=name)

sys.meta_path.append(_Missing)  # the last one that is asked

def compiled_with_cxx11_abi():
    return {abi}

def __getattr__(name):
    if name == "utils":
        import importlib
        return importlib.import_module("torch.utils")
    raise AttributeError(_WANTS_TORCH % name)
'''
_UTILS = (
    "import os\n"
    "cmake_prefix_path = os.path.join(os.path.dirname(os.path.dirname(__file__)), 'share', 'cmake')\n"
)
# Modules of torch.utils.cpp_extension's that import, in newer torches, half of torch.
_PLAIN = {
    "utils/_filelock.py": """\
class FileLock:
    \"\"\"Of extensions that are compiled at run time, which no build of a wheel does.\"\"\"
""",
    "_utils_internal.py": """\
import os

def get_file_path(*parts):
    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), *parts)
""",
}
_OTHER_INIT = (
    '"""A stand-in for {name} {version}: to compile against, never to run."""\n__version__ = "{version}"\n'
)


class StandInError(WheelmillError):
    """No stand-in can be made of this wheel."""


def torch(sdk: Sdk, wheel: Path, site: Path, *, cxx11_abi: bool) -> None:
    """Make torch's stand-in below `site`, a folder for sys.path; headers and libraries are links to the SDK.

    `wheel` is the SDK's wheel. Its libtorch_python is of one Python and serves to link for any: a linker
    reads names alone, and a linker that leaves out libraries without use has to see that it has them.
    """
    version = parse_name(sdk.wheel_name).version
    package = site / "torch"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        for name in names:
            if _KEPT.fullmatch(name) and not name.endswith("/") and ".." not in PurePosixPath(name).parts:
                (site / name).parent.mkdir(parents=True, exist_ok=True)
                (site / name).write_bytes(archive.read(name))
    (package / "utils").mkdir(parents=True, exist_ok=True)
    # What torch's own CPU loops run on: a build that asks compiles with the same.
    with_openmp = any("/libgomp" in name for name in names)
    parallel = "OpenMP" if with_openmp else "native thread pool"
    (package / "__init__.py").write_text(_INIT.format(version=version, abi=cxx11_abi, parallel=parallel))
    (package / "utils" / "__init__.py").write_text(_UTILS)
    for name, text in _PLAIN.items():
        (package / name).write_text(text)
    (package / "include").symlink_to(sdk.root / "include")
    (package / "lib").mkdir(exist_ok=True)
    for library in (sdk.root / "lib").iterdir():
        (package / "lib" / library.name).symlink_to(library)
    _dist_info(site, "torch", version)


def other(wheel: Path, site: Path) -> None:
    """Make the stand-in of any other package: its files, and packages that import as a version."""
    name = parse_name(wheel.name)
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                path = PurePosixPath(member)
                if path.is_absolute() or ".." in path.parts:
                    raise StandInError(f"{wheel}: the name {member!r} leads out of the folder")
            archive.extractall(site)
    except zipfile.BadZipFile as error:
        raise StandInError(f"{wheel} is not a whole zip file: {error}") from error
    shutil.rmtree(site / name.dist_info, ignore_errors=True)
    for init in site.glob("*/__init__.py"):
        if init.parent.name != "torch":
            init.write_text(_OTHER_INIT.format(name=name.project, version=name.version))
    _dist_info(site, name.project, name.version)


def _dist_info(site: Path, name: str, version: str) -> None:
    """What says that the requirement is there; it needs nothing itself."""
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (folder / "INSTALLER").write_text("wheelmill\n")
    (folder / "RECORD").write_text("")
