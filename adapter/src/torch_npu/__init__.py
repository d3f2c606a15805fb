"""PyTorch backend `npu` for Ascend NPUs: `import torch_npu` makes `torch.npu` and `device="npu"` available.

Importing needs neither CANN nor a device; `torch.npu.is_available()` tells whether both are there, and the
first use of a device that is not there says what to do.
"""

import importlib
import re
import sys
import warnings
from typing import Any

_importing = True

#: Operators of torch.ops.npu have the names by which programs for NPUs import them from here.
_OPERATOR = re.compile(r"_?npu_\w+")
#: Modules and functions that are imported when they are first asked for.
_MODULES = ("amp", "contrib", "optim", "profiler", "testing", "tools", "utils")
_FORMATS = (
    "Format",
    "empty_with_format",
    "get_npu_format",
    "npu_dtype_cast",
    "npu_format_cast",
    "npu_format_cast_",
)
#: Dtypes that programs for NPUs import from here; torch has them since 2.7 and 2.8.
_DTYPES = ("float4_e2m1fn_x2", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu")
#: What other builds of torch_npu have: custom operators, and these modules and classes.
_ELSEWHERE = re.compile(r"_?npu_\w+|dynamo|asd|multiprocessing|op_plugin|HiFloat8Tensor")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _FORMATS:
        from torch_npu import _formats

        return getattr(_formats, name)
    if name in _DTYPES:
        import torch

        if not hasattr(torch, name):
            raise AttributeError(f"torch_npu.{name}: torch {torch.__version__} does not have this dtype")
        return getattr(torch, name)
    if _OPERATOR.fullmatch(name):
        from torch_npu import _custom

        operator = _custom.operator(name)
        if operator is not None:
            globals()[name] = operator
            return operator
    if _ELSEWHERE.fullmatch(name):
        raise AttributeError(
            f'torch_npu.{name}: this adapter does not have it yet (see "What is not there yet" in its README)'
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _autoload() -> None:
    """Entry point of the group `torch.backends`: torch 2.5 and later call it at the end of `import torch`.

    Never lets `import torch` fail. What is wrong becomes a warning, and this module is forgotten, so that an
    explicit `import torch_npu` raises the same text as ImportError.
    """
    if _importing:  # torch is being imported by the lines below, which will do the rest
        return
    try:
        _startup.start()
    except ImportError as error:
        for name in [name for name in sys.modules if name == __name__ or name.startswith(__name__ + ".")]:
            del sys.modules[name]
        warnings.warn(f"torch_npu was not loaded: {error}", RuntimeWarning, stacklevel=2)


# While torch itself is being imported it is not complete enough to start on; _autoload follows. The flag is
# importlib's own: nothing public tells a module that is being imported from one that is done.
_torch_is_loading = getattr(getattr(sys.modules.get("torch"), "__spec__", None), "_initializing", False)

from torch_npu import _startup  # noqa: E402

__version__ = _startup.VERSION

if not _torch_is_loading:
    _startup.start()
_importing = False
