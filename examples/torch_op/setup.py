from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

# The native code calls nothing of CPython beyond the stable ABI, so one wheel serves 3.10 and all newer ones.
extension = CppExtension(
    "torch_op_demo._C",
    ["torch_op_demo/muladd.cpp"],
    extra_compile_args=["-O2", "-DPy_LIMITED_API=0x030A0000"],
    py_limited_api=True,
)
setup(
    packages=["torch_op_demo"],
    ext_modules=[extension],
    cmdclass={"build_ext": BuildExtension.with_options(use_ninja=False)},
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
