"""The names of torch.npu: those of torch.cuda, and those that programs for the published package use."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch_npu

#: What `torch.npu` has in the published package, in its 2.1 line and its newest: names alone, one a line.
PUBLISHED = (Path(__file__).parent / "published_names.txt").read_text(encoding="utf-8").split()


def has_or_says_why(name):
    try:
        getattr(torch.npu, name)
    except AttributeError as error:
        return "has no attribute" not in str(error)
    return True


@pytest.mark.parametrize("source", ["torch.cuda", "published"])
def test_every_name_is_there_or_says_why_not(source):
    if source == "torch.cuda" and not hasattr(torch.cuda, "__all__"):
        pytest.skip("torch 1 lists no names of torch.cuda")
    names = torch.cuda.__all__ if source == "torch.cuda" else PUBLISHED
    assert len(names) > 100
    assert [name for name in names if not has_or_says_why(name)] == []


def test_a_name_that_nobody_has_is_an_ordinary_error():
    with pytest.raises(AttributeError, match=r"module 'torch.npu' has no attribute 'nothing'"):
        _ = torch.npu.nothing
    with pytest.raises(AttributeError, match="has no attribute 'NothingTensor'"):
        _ = torch.npu.NothingTensor


def test_what_is_listed_is_there():
    assert [name for name in torch.npu.__all__ if not hasattr(torch.npu, name)] == []
    assert set(torch.npu.__all__) <= set(dir(torch.npu))


def test_seldom_used_modules_are_imported_when_they_are_asked_for():
    program = (
        "import sys, torch_npu\n"
        "seldom = ['npu.options', 'npu.graphs', 'npu.tensor_types', 'testing', 'contrib', '_formats']\n"
        "print([name for name in seldom if f'torch_npu.{name}' in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_of_a_module_and_of_what_it_holds_is_the_latter():
    assert inspect.isclass(torch.npu.mstx)
    assert inspect.ismodule(sys.modules["torch_npu.npu.mstx"])


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.npu.MemPool(),
        lambda: torch.npu.stress_detect(),
        lambda: torch.npu.NPUPluggableAllocator("a.so", "allocate", "free"),
        lambda: torch.npu.ExternalStream(1),
        lambda: torch.npu.current_blas_handle(),
    ],
)
def test_what_has_no_meaning_here_says_so(call):
    with pytest.raises(NotImplementedError, match=r"adapter|CANN"):
        call()


def test_the_backend_can_be_started_again():
    torch_npu._autoload()
    torch_npu._startup.start()
    assert torch.npu is sys.modules["torch_npu.npu"]


def test_dtypes_that_programs_import_from_here():
    for name in ("float8_e4m3fn", "float8_e8m0fnu", "float4_e2m1fn_x2"):
        assert getattr(torch_npu, name, None) is getattr(torch, name, None)
