"""A C++ extension for NPUs, built with this package's headers by torch's own tools, and run."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import torch
import torch_npu
from elftools.elf.elffile import ELFFile
from torch_npu.utils import cpp_extension

pytestmark = pytest.mark.skipif(
    not hasattr(torch.utils, "rename_privateuse1_backend"), reason="extensions need torch 2.0"
)

HERE = Path(__file__).parent
SETUP = """
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension
from torch_npu.utils.cpp_extension import NpuExtension

extension = NpuExtension("npu_extension_under_test", [{source!r}], extra_compile_args=["-O0"])
build = BuildExtension.with_options(use_ninja=False)
setup(name="npu-extension", ext_modules=[extension], cmdclass={{"build_ext": build}})
"""


@pytest.fixture(scope="module")
def extension(tmp_path_factory):
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        pytest.skip("needs python3-dev, which is not here; as root: bash ci/machine.sh")
    folder = tmp_path_factory.mktemp("extension")
    (folder / "setup.py").write_text(SETUP.format(source=str(HERE / "extension.cpp")))
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    try:
        import npu_extension_under_test

        yield npu_extension_under_test
    finally:
        sys.path.remove(str(folder))


def test_work_of_the_extension_runs_on_the_current_stream(extension):
    x = torch.empty(5, dtype=torch.int8, device="npu")
    assert extension.filled(x, 7).cpu().tolist() == [7] * 5
    with torch.npu.stream(torch.npu.Stream()):
        assert (extension.filled(x, 3) + 1).cpu().tolist() == [4] * 5


def test_a_code_of_cann_becomes_an_error_with_the_name(extension):
    extension.run_command(0)
    with pytest.raises(RuntimeError, match="MyCommand failed with 161002"):
        extension.run_command(161002)


def test_a_command_without_a_function_is_refused(extension):
    with pytest.raises(NotImplementedError, match="OpCommand MyCommand: this adapter runs functions"):
        extension.run_nothing()


def test_streams_are_those_of_python(extension):
    before, pooled, inside, after = extension.streams()
    assert before == after == torch.npu.current_stream().npu_stream
    assert inside == pooled != before
    stream = torch.npu.Stream()
    with torch.npu.stream(stream):
        assert extension.streams()[0] == stream.npu_stream


def test_a_guard_changes_the_device_for_its_scope(extension):
    last = torch.npu.device_count() - 1
    assert extension.devices(last) == [0, last, 0, last + 1]
    assert torch.npu.current_device() == 0
    with pytest.raises(RuntimeError, match="99"):
        extension.devices(99)


def test_an_event_orders_two_streams(extension):
    x = torch.arange(6.0)
    assert torch.equal(extension.across(x.npu()).cpu(), (x + 1) * 2)
    assert extension.elapsed(x.npu()) >= 0


def test_formats_are_the_plain_ones(extension):
    assert extension.formats(torch.ones(2, 3).npu()) == [int(torch_npu.Format.ND), 2]
    assert extension.formats(torch.ones(1, 2, 3, 4).npu()) == [int(torch_npu.Format.NCHW), 4]
    with pytest.raises(RuntimeError, match="expected a tensor on an npu, but got one on cpu"):
        extension.formats(torch.ones(2))


#: What the published package's headers make an extension ask libtorch_npu.so for, when it uses the names
#: above; strings differ between the two ABIs of libstdc++.
PUBLISHED = (
    "_ZN6at_npu6native14get_npu_formatERKN2at6TensorE",
    "_ZN6at_npu6native15npu_format_castERKN2at6TensorEl",
    "_ZN6at_npu6native17empty_with_formatEN3c108ArrayRefIlEERKNS1_13TensorOptionsElb",
    "_ZN6at_npu6native9OpCommand16SetCustomHandlerESt8functionIFivEE",
    "_ZN6at_npu6native9OpCommand3RunEv",
    "_ZN6at_npu6native9OpCommand4NameERK",
    "_ZN6at_npu6native9OpCommand8RunOpApiERK",
    "_ZN6at_npu6native9OpCommandC1Ev",
    "_ZN7c10_npu10set_deviceEa",
    "_ZN7c10_npu14current_deviceEv",
    "_ZN7c10_npu19getCurrentNPUStreamEa",
    "_ZN7c10_npu4impl12NPUGuardImplC1EN3c1010DeviceTypeE",
    "_ZN7c10_npu8NPUEvent6recordEv",
    "_ZN7c10_npu8NPUEventC1Ev",
    "_ZN7c10_npu8NPUEventD1Ev",
    "_ZNK7c10_npu4impl12NPUGuardImpl14exchangeDeviceEN3c106DeviceE",
    "_ZNK7c10_npu4impl12NPUGuardImpl18uncheckedSetDeviceEN3c106DeviceE",
    "_ZNK7c10_npu4impl12NPUGuardImpl9getDeviceEv",
    "_ZNK7c10_npu8NPUEvent11synchronizeEv",
    "_ZNK7c10_npu8NPUEvent5queryEv",
    "_ZNK7c10_npu9NPUStream6streamEb",
)


def test_the_library_has_what_extensions_of_the_published_package_ask_for():
    with (Path(cpp_extension.library_paths()[0]) / "libtorch_npu.so").open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".dynsym").iter_symbols()
        names = [symbol.name for symbol in symbols if symbol["st_shndx"] != "SHN_UNDEF"]
    assert [wanted for wanted in PUBLISHED if not any(name.startswith(wanted) for name in names)] == []


def test_the_headers_are_in_the_package():
    (folder,) = map(Path, cpp_extension.include_paths())
    assert (folder / "torch_npu/csrc/core/npu/NPUStream.h").is_file()
    assert (Path(cpp_extension.library_paths()[0]) / "libtorch_npu.so").is_file()
