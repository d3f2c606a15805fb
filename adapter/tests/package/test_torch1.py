"""What torch 1 gets from the package: the name npu on a borrowed device, and files. It works on any torch."""

import io

import pytest
import torch
import torch_npu.distributed
from torch_npu import _early_files, _native, _sharing, _torch1

NAMED = [
    _torch1.device("npu:1"),
    _torch1.device("npu", 1),
    _torch1.device(type="npu", index=1),
    _torch1.device(_torch1.NpuDevice(1)),
]


@pytest.mark.parametrize("device", NAMED)
def test_a_device_is_named_and_compared_as_npu(device):
    assert (device.type, device.index) == ("npu", 1)
    assert (str(device), f"{device:>6}", repr(device)) == ("npu:1", " npu:1", "device(type='npu', index=1)")
    assert device == NAMED[0]
    assert len({device, NAMED[0]}) == 1
    assert device != _torch1.device("npu:0")
    assert device != _torch1.device("npu")
    assert device != torch.device("cpu")


def test_cpp_takes_it_for_the_borrowed_device():
    taken = torch._C._nn._parse_to(_torch1.NpuDevice(1))[0]
    assert (taken.type, taken.index) == (_torch1.BORROWED, 1)
    assert taken == NAMED[0]


def test_a_backward_pass_in_a_capture_is_refused(monkeypatch):
    variable = torch.autograd.Variable
    monkeypatch.setattr(variable, "_execution_engine", _torch1.OrderedEngine(variable._execution_engine))
    x = torch.ones(2, device="npu", requires_grad=True)
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2, 2]
    loss = (x * 2).sum()
    refused = pytest.raises(RuntimeError, match="a backward pass cannot be captured on torch")
    with torch.npu.graph(torch.npu.NPUGraph()), refused:
        loss.backward()


def test_torch_treats_its_type_as_the_borrowed_one():
    assert _torch1.device("npu").type in ["xla", "mlc"]
    assert _torch1.device("npu").type not in ["cuda", "cpu"]


def test_other_devices_are_torchs_own():
    assert _torch1.device("cpu") == torch.device("cpu")
    assert isinstance(torch.device("cpu"), _torch1.device)
    assert isinstance(NAMED[0], _torch1.device)
    assert not isinstance("npu:1", _torch1.device)
    with pytest.raises(RuntimeError, match="nonsense"):
        _torch1.device("nonsense:0")


def test_an_index_is_given_once():
    with pytest.raises(RuntimeError, match="must not include an index"):
        _torch1.device("npu:0", 1)


def test_a_function_that_takes_devices_takes_the_name():
    call = _torch1._knowing_npu(lambda *arguments, **keywords: (arguments, keywords))
    arguments, keywords = call("npu:1", 2, "cpu", device="npu", dtype="npux")
    assert arguments == (NAMED[0], 2, "cpu")
    assert isinstance(arguments[0], _torch1.NpuDevice)
    assert keywords == {"device": _torch1.device("npu"), "dtype": "npux"}


@pytest.mark.parametrize(
    "taker",
    [
        (torch, "empty"),
        (torch, "randn_like"),
        (torch, "tensor"),
        (torch.Tensor, "to"),
        (torch.Tensor, "new_zeros"),
    ],
)
def test_what_takes_a_device_is_found(taker):
    assert taker in _torch1._takers_of_devices()


@pytest.fixture
def file(monkeypatch):
    """A file of a npu tensor and a CPU one, as torch 1 writes it."""
    monkeypatch.setattr(torch.Tensor, "_reduce_ex_internal", _early_files._reduced)
    written = io.BytesIO()
    torch.save([torch.arange(3.0, device="npu:0").bfloat16().requires_grad_(), torch.ones(2)], written)
    written.seek(0)
    return written


@pytest.mark.skipif(torch.__version__.startswith("2.4."), reason="torch 2.4 loads no file while it loads one")
@pytest.mark.parametrize(
    ("map_location", "device"),
    [
        (None, "npu:0"),
        ("cpu", "cpu"),
        (torch.device("cpu"), "cpu"),
        ({"npu:0": "npu:1"}, "npu:1"),
        ({"npu:1": "cpu"}, "npu:0"),
        (lambda storage, location: storage, "cpu"),
        (lambda storage, location: None, "npu:0"),
    ],
)
def test_a_file_gives_the_tensor_back_where_it_is_mapped(map_location, device, file):
    options = {"weights_only": False} if _torch1._native.OWN_DEVICE_TYPE else {}
    loaded, other = _early_files._load_mapped(file, map_location, **options)
    assert str(loaded.device) == device
    assert loaded.requires_grad
    assert loaded.dtype is torch.bfloat16
    assert loaded.tolist() == [0, 1, 2]
    assert other.tolist() == [1, 1]


@pytest.mark.parametrize("leaf", [torch.arange(3.0), torch.ones(2, requires_grad=True)])
def test_a_copy_is_apart_with_its_gradient_and_what_hangs_on_it(leaf):
    x = leaf.detach().npu().requires_grad_(leaf.requires_grad)
    x.note = ["kept"]
    if x.requires_grad:
        x.sum().backward()
    memo = {}
    copy = _early_files.copied(x, memo)
    assert _early_files.copied(x, memo) is copy
    assert torch.equal(copy, x)
    assert (copy.device, copy.requires_grad, copy.note) == (x.device, x.requires_grad, ["kept"])
    assert copy.note is not x.note
    assert copy.data_ptr() != x.data_ptr()
    if x.requires_grad:
        assert torch.equal(copy.grad, x.grad)
        assert copy.grad is not x.grad


class Operators:
    """torch.ops.torch_npu of torch 1, of a library without functions."""

    def __getattr__(self, name):
        raise RuntimeError(f"No such operator torch_npu::{name}")


def test_what_the_library_of_torch_1_lacks_is_told_in_words(monkeypatch):
    """torch 1 raises RuntimeError where later ones raise AttributeError."""
    _native.in_bad_fork()  # looked up before the library is gone
    for name in ("hccl_attach", "ipc_lend"):
        monkeypatch.delitem(vars(_native), name, raising=False)
    monkeypatch.setattr(torch.ops, "torch_npu", Operators())
    assert not hasattr(_native, "hccl_attach")
    assert not torch_npu.distributed.is_hccl_available()
    assert "backend hccl" in torch_npu.distributed._unsupported()
    with pytest.raises(_sharing.NotSharedError, match=r"tensor\.cpu\(\)"):
        _sharing._refuse_where_nothing_is_shared(torch.ones(1))
