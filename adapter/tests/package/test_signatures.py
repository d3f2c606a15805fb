"""A torch in which an operator has another C++ signature: its kernel is left out, and the process goes on.

Such a torch is made here the other way round: in a copy of the library, a registration names another
operator, whose signature is not that of the kernel.
"""

import shutil
from pathlib import Path

import torch_npu
from npu_testing import environment, run, stamped_copy

LIBRARIES = Path(torch_npu.__file__).parent / "lib"


def renamed(folder, operator, other):
    """The PYTHONPATH of a copy of the package that registers the kernel of `operator` for `other`."""
    path = stamped_copy(folder)
    (folder / "torch_npu/lib").unlink()
    shutil.copytree(LIBRARIES, folder / "torch_npu/lib")
    library = folder / "torch_npu/lib/libtorch_npu.so"
    name = f"\0{operator}\0".encode()
    content = library.read_bytes()
    assert content.count(name) == 1
    library.write_bytes(content.replace(name, f"\0{other}\0".encode().ljust(len(name), b"\0")))
    return path


def test_a_kernel_with_another_signature_is_left_out_and_named_in_one_warning(tmp_path):
    code = """
import torch, torch_npu
assert torch_npu._native.left_out(False) == ["aten::gcd.out"]
assert torch_npu._native.left_out(True) == []
x = torch.tensor([0.5, 1.0]).npu()
assert torch.equal(torch.sinc(x).cpu(), torch.sinc(x.cpu())) and x.device.type == "npu"
assert torch.equal((x + 1).cpu(), x.cpu() + 1)
"""
    done = run(code, env=environment(PYTHONPATH=renamed(tmp_path, "sinc.out", "gcd.out")))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("other C++ signatures") == 1
    assert "mostly on the CPU: aten::gcd.out" in done.stderr


def test_without_a_kernel_that_every_tensor_needs_the_import_says_which_torch_is_wrong(tmp_path):
    path = renamed(tmp_path, "is_set_to", "logdet")
    env = environment(PYTHONPATH=path, TORCH_DEVICE_BACKEND_AUTOLOAD="0")
    done = run("import torch_npu", env=env)
    assert done.returncode == 1
    assert "ImportError: torch_npu" in done.stderr
    assert "which has another C++ signature for aten::logdet" in done.stderr
