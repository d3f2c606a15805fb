from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

extension = CppExtension("mini_backend._C", ["mini_backend/backend.cpp"], extra_compile_args=["-O1"])
setup(
    packages=["mini_backend"],
    ext_modules=[extension],
    cmdclass={"build_ext": BuildExtension.with_options(use_ninja=False)},
)
