"""The PyTorch backend `mini`: memory of the host under a name of its own."""

import torch

from mini_backend import _C

torch.utils.rename_privateuse1_backend("mini")


class _Module:
    """What torch looks for as torch.mini."""

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def device_count() -> int:
        return 1

    @staticmethod
    def current_device() -> int:
        return 0

    allocated = staticmethod(_C.allocated)
    address = staticmethod(_C.address)


torch._register_device_module("mini", _Module)
