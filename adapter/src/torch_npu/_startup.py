"""What `import torch_npu` does, in order: check, name the backend, load the library, register torch.npu."""

import atexit
import json
import os
import warnings
from pathlib import Path

import torch

from torch_npu import _native, _row

if not _native.OWN_DEVICE_TYPE:
    from torch_npu import _torch1

ROW = _row.stamped_row()
VERSION = _row.package_version(ROW)
_started = False
LIBRARY = Path(__file__).parent / "lib" / "libtorch_npu.so"


def start() -> None:
    """Make the backend `npu` usable; nothing when it is, as torch may ask for it again.

    Raises ImportError, saying what to install, and changes nothing then.
    """
    global _started
    if _started:
        return
    _check_torch()
    _name_backend()
    _load_library()
    _check_kernels()
    from torch_npu import _sharing, _tensor_methods, distributed, npu

    if _native.OWN_DEVICE_TYPE:
        torch._register_device_module("npu", npu)
    else:
        _torch1.register_module(npu)
    _tensor_methods.register()
    _sharing.register()
    distributed.register()
    _name_checkpoint_device()
    atexit.register(_native.shutdown)
    _started = True
    _warn_of_other_cann()


def _check_torch() -> None:
    problem = _row.torch_mismatch(ROW, _row.known_rows(), torch.__version__)
    if problem is not None:
        raise ImportError(problem)
    doubt = _row.torch_unproven(ROW, _row.known_rows(), torch.__version__)
    if doubt is not None:
        warnings.warn(doubt, RuntimeWarning, stacklevel=2)


def _name_backend() -> None:
    if not _native.OWN_DEVICE_TYPE:
        _torch1.install()
        return
    try:
        torch.utils.rename_privateuse1_backend("npu")
    except RuntimeError as error:
        raise ImportError(
            f"torch_npu cannot be used beside another accelerator of its kind in one process ({error}).\n"
            "Uninstall the other backend, or set TORCH_DEVICE_BACKEND_AUTOLOAD=0 and import the one you need."
        ) from error


def _load_library() -> None:
    if not LIBRARY.is_file():
        raise ImportError(
            f"torch_npu was imported from {LIBRARY.parent.parent}, which has no compiled library in lib/.\n"
            "This is a source tree, not an installed package: leave its folder, or pip install ./adapter"
        )
    # What a build has for one torch alone lies in a folder that is named for it: torch-2.14.
    series = ".".join(torch.__version__.split(".")[:2])
    library = LIBRARY
    try:
        for library in (LIBRARY, *sorted(LIBRARY.parent.glob(f"torch-{series}/*.so"))):
            torch.ops.load_library(str(library))
    except OSError as error:
        raise ImportError(
            f"{library} cannot be loaded into torch {torch.__version__}: {error}\n"
            "An undefined symbol means that it was compiled for another torch: "
            "install the torch_npu made for this torch, or the torch that this torch_npu is made for."
        ) from error


def _check_kernels() -> None:
    """One warning for the operators that another torch has with other arguments than its kernels here take.

    Raises ImportError where no device works without one of them.
    """
    needed = _native.left_out(True)
    if needed:
        raise ImportError(
            f"torch_npu {VERSION} cannot run on torch {torch.__version__}, which has another C++ signature "
            f"for {', '.join(needed)}.\n"
            "Install the torch_npu made for this torch, or the torch that this torch_npu is made for."
        )
    left_out = sorted(set(_native.left_out(False)))
    if left_out:
        warnings.warn(
            f"torch {torch.__version__} has other C++ signatures than torch_npu {VERSION} was compiled for, "
            f"so these operators run without its kernels, mostly on the CPU: {', '.join(left_out)}",
            RuntimeWarning,
            stacklevel=2,
        )


def _name_checkpoint_device() -> None:
    """From 2.1 to 2.5 checkpoints restore random numbers on one kind of device: CUDA, unless one is named."""
    from torch_npu.npu._events import DEVICE_GENERIC

    if not DEVICE_GENERIC:
        from torch.utils import checkpoint

        if hasattr(checkpoint, "DefaultDeviceType"):
            checkpoint.DefaultDeviceType.set_device_type("npu")


def _warn_of_other_cann() -> None:
    """One warning when the CANN in this environment is not the one the wheel was built for.

    Only a released wheel has a row to compare with, so a source build does not open CANN here. The simulator
    serves every line, so its version counts only where the user chose the one that it plays.
    """
    if ROW is None:
        return
    cann = json.loads(_native.cann_info())
    if not cann["loaded"] or (cann["simulated"] and "CANN_SIMULATOR_CANN" not in os.environ):
        return
    problem = _row.cann_mismatch(ROW, _row.known_rows(), cann["version"], cann["home"] or cann["library"])
    if problem is not None:
        warnings.warn(problem, RuntimeWarning, stacklevel=2)
