from setuptools import setup
from torch.utils.cpp_extension import BuildExtension
from torch_npu.utils.cpp_extension import NpuExtension

extension = NpuExtension(
    "npu_stream_demo._C", ["npu_stream_demo/stream.cpp"], extra_compile_args=["-O1"], libraries=["dl"]
)
setup(
    packages=["npu_stream_demo"],
    ext_modules=[extension],
    cmdclass={"build_ext": BuildExtension.with_options(use_ninja=False)},
)
