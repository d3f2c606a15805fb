"""Saving, loading, copying and sending tensors."""

import copy
import io
import pickle

import pytest
import torch
from npu_testing import TORCH, environment_without_cann, run

has_storages = pytest.mark.skipif(TORCH < (2, 1), reason="before 2.1 torch has no storages for npu")


def save(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    buffer.seek(0)
    return buffer


@pytest.mark.parametrize("device", ["npu:0", "npu:1"])
def test_a_tensor_comes_back_to_its_device(device):
    x = torch.arange(6.0, device=device).reshape(2, 3)
    loaded = torch.load(save(x))
    assert loaded.device == torch.device(device)
    assert torch.equal(loaded.cpu(), x.cpu())


@pytest.mark.parametrize("location", ["cpu", "npu:1", torch.device("npu", 1)])
def test_map_location_moves(location):
    loaded = torch.load(save(torch.ones(3, device="npu:0")), map_location=location)
    assert loaded.device == torch.device(location)
    assert loaded.tolist() == [1, 1, 1]


@has_storages
def test_a_cpu_file_is_mapped_to_the_device():
    assert torch.load(save(torch.ones(2)), map_location="npu").device == torch.device("npu:0")


def test_a_file_from_a_machine_with_more_devices_says_what_to_do():
    x = torch.ones(1, device="npu:0")
    file = save(x).getvalue().replace(b"npu:0", b"npu:9")
    with pytest.raises(RuntimeError, match=r"(?s)(9|npu).*map_location"):
        torch.load(io.BytesIO(file))


@has_storages
def test_views_of_one_storage_stay_views_of_one_storage():
    x = torch.zeros(4, device="npu")
    first, second = torch.load(save((x[:2], x[1:])))
    first.fill_(5)
    assert second.tolist() == [5, 0, 0]


@pytest.mark.skipif(TORCH < (2, 0), reason="torch 1 keeps no strides in a conversion")
def test_strides_and_requires_grad_are_kept():
    x = torch.ones(2, 3, device="npu").t().requires_grad_()
    loaded = torch.load(save(x))
    assert loaded.stride() == (1, 3)
    assert loaded.requires_grad


def test_a_module_and_its_optimizer():
    module = torch.nn.Linear(3, 2).npu()
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 3, device="npu")).sum().backward()
    optimizer.step()
    file = save({"module": module.state_dict(), "optimizer": optimizer.state_dict()})
    state = torch.load(file)
    again = torch.nn.Linear(3, 2).npu()
    again.load_state_dict(state["module"])
    torch.testing.assert_close(again.state_dict(), module.state_dict(), rtol=0, atol=0)
    torch.optim.Adam(again.parameters()).load_state_dict(state["optimizer"])
    assert state["optimizer"]["state"][0]["exp_avg"].device == torch.device("npu:0")


def test_a_file_loads_on_a_machine_without_cann_when_mapped_to_the_cpu(tmp_path):
    path = tmp_path / "x.pt"
    torch.save(torch.arange(3, device="npu"), path)
    env = environment_without_cann()
    mapped = run(
        f"import torch, torch_npu; print(torch.load({str(path)!r}, map_location='cpu').tolist())", env=env
    )
    assert mapped.stdout.strip() == "[0, 1, 2]", mapped.stderr
    unmapped = run(f"import torch, torch_npu; torch.load({str(path)!r})", env=env)
    assert unmapped.returncode == 1
    assert "RuntimeError" in unmapped.stderr


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x)), torch.clone])
def test_duplicates_are_equal_and_apart(duplicate):
    x = torch.arange(4.0, device="npu:1")
    y = duplicate(x)
    x.zero_()
    assert y.device == torch.device("npu:1")
    assert y.tolist() == [0, 1, 2, 3]


def test_a_deep_copied_module_trains_apart():
    module = torch.nn.Linear(2, 2).npu()
    other = copy.deepcopy(module)
    with torch.no_grad():
        other.weight.zero_()
    assert module.weight.abs().sum().item() > 0


def test_a_parameter_stays_a_parameter():
    parameter = torch.nn.Parameter(torch.ones(2, device="npu"))
    whole = {"weights_only": False} if TORCH >= (2, 0) else {}
    assert isinstance(copy.deepcopy(parameter), torch.nn.Parameter)
    assert isinstance(torch.load(save(parameter), **whole), torch.nn.Parameter)


@has_storages
def test_storages_move():
    storage = torch.arange(4.0).untyped_storage()
    moved = storage.npu(1)
    assert (moved.device, moved.nbytes()) == (torch.device("npu:1"), 16)
    assert moved.npu(1) is moved
    assert moved.cpu().tolist() == storage.tolist()


@has_storages
def test_resizing_a_storage_keeps_its_contents():
    x = torch.arange(4.0, device="npu")
    x.untyped_storage().resize_(64)
    assert x.tolist() == [0, 1, 2, 3]
    x.resize_(8)
    assert x[:4].tolist() == [0, 1, 2, 3]
