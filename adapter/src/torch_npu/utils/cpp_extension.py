"""Building C++ extensions for NPUs: torch.utils.cpp_extension with this package's headers and library."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Sequence

_PACKAGE = Path(__file__).resolve().parents[1]


def include_paths() -> List[str]:
    """Folders of headers that torch's own paths lack: `torch_npu/csrc/core/npu/NPUStream.h` and others."""
    return [str(_PACKAGE / "include")]


def library_paths() -> List[str]:
    """The folder of libtorch_npu.so, to link with `-ltorch_npu`."""
    return [str(_PACKAGE / "lib")]


def NpuExtension(name: str, sources: Sequence[str], *arguments: Any, **options: Any) -> Any:  # noqa: N802
    """A setuptools.Extension for a C++ extension that uses NPUs; arguments as of torch's CppExtension.

    Build it with torch.utils.cpp_extension.BuildExtension, and import torch_npu before it.
    """
    from torch.utils.cpp_extension import CppExtension

    options["include_dirs"] = [*options.get("include_dirs", ()), *include_paths()]
    options["library_dirs"] = [*options.get("library_dirs", ()), *library_paths()]
    options["libraries"] = [*options.get("libraries", ()), "torch_npu"]
    return CppExtension(name, list(sources), *arguments, **options)
