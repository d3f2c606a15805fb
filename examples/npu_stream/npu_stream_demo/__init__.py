"""Work of its own on the current stream of an NPU."""

import torch_npu  # noqa: F401 - it loads the libraries that the native code needs

from npu_stream_demo._C import filled, stream

__all__ = ["filled", "stream"]
