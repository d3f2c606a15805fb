from setuptools import Extension, setup

setup(packages=["crc_demo"], ext_modules=[Extension("crc_demo._crc", ["crc_demo/_crc.c"])])
