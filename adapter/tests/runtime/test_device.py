"""Devices: counting, choosing, naming, and what happens with one that is not there."""

import contextlib

import pytest
import torch
from npu_testing import TORCH, environment, output

MISSING = torch.npu.device_count()


def test_torch_npu_is_there():
    assert torch.npu.is_available()
    assert torch.npu.is_initialized()
    assert torch.npu.device_count() >= 2
    assert not torch.npu._is_in_bad_fork()


@pytest.mark.parametrize("name", [1, "npu:1", torch.device("npu:1")])
def test_every_way_to_name_a_device(name):
    torch.npu.set_device(name)
    assert torch.npu.current_device() == 1
    assert torch.ones(1, device="npu").device == torch.device("npu:1")
    assert torch.ones(1).npu(name).device == torch.device("npu:1")


def test_the_context_manager_restores_also_after_an_error():
    with torch.npu.device(1), pytest.raises(RuntimeError):
        torch.npu.device(MISSING).__enter__()
    assert torch.npu.current_device() == 0
    with contextlib.suppress(KeyError), torch.npu.device(1):
        assert torch.npu.current_device() == 1
        raise KeyError
    assert torch.npu.current_device() == 0


def test_contexts_nest():
    with torch.npu.device(1):
        with torch.npu.device("npu:0"):
            assert torch.npu.current_device() == 0
        assert torch.npu.current_device() == 1


@pytest.mark.parametrize(("device", "inside"), [("npu:1", 1), ("cpu", 0)])
def test_device_of_follows_a_tensor_and_ignores_the_cpu(device, inside):
    with torch.npu.device_of(torch.ones(1, device=device)):
        assert torch.npu.current_device() == inside


def test_a_negative_index_changes_nothing():
    torch.npu.set_device(-1)
    with torch.npu.device(-1):
        assert torch.npu.current_device() == 0


@pytest.mark.parametrize(
    "use",
    [
        lambda: torch.npu.set_device(MISSING),
        lambda: torch.npu.get_device_name(MISSING),
        lambda: torch.ones(1, device=f"npu:{MISSING}"),
        lambda: torch.ones(1).npu(MISSING),
        lambda: torch.npu.Stream(MISSING),
        lambda: torch.npu.synchronize(MISSING),
        lambda: torch.npu.mem_get_info(MISSING),
        lambda: torch.npu.device(MISSING).__enter__(),
    ],
)
def test_an_index_out_of_range_says_which_and_how_many(use):
    with pytest.raises(RuntimeError, match=rf"(?s)\b{MISSING}\b.*\b{torch.npu.device_count()}\b"):
        use()
    assert torch.npu.current_device() == 0


@pytest.mark.parametrize("name", ["cpu", torch.device("meta")])
def test_a_device_of_another_kind_is_refused(name):
    with pytest.raises(ValueError, match="expected an npu device"):
        torch.npu.set_device(name)


def test_visible_devices_are_cann_s_choice():
    code = "import torch, torch_npu; print(torch.npu.device_count())"
    assert output(code, env=environment(ASCEND_RT_VISIBLE_DEVICES="1")) == "1"


def test_the_name_says_what_it_is():
    simulated = torch.npu.get_device_properties(0).simulated
    name = torch.npu.get_device_name(0)
    assert name.startswith("Ascend")
    assert ("simulated" in name) is simulated


def test_properties():
    properties = torch.npu.get_device_properties("npu:1")
    assert properties.name == torch.npu.get_device_name(1)
    assert properties.total_memory == torch.npu.mem_get_info(1)[1] > 0
    assert torch.npu.get_device_capability(0) is None
    with pytest.raises(AttributeError):
        properties.name = "other"


@pytest.mark.parametrize(("soc", "expected"), [("Ascend910B1", "True"), ("Ascend910A", "False")])
def test_bfloat16_depends_on_the_soc(soc, expected):
    code = "import torch, torch_npu; print(torch.npu.is_bf16_supported())"
    assert output(code, env=environment(CANN_SIMULATOR_SOC=soc)) == expected


def test_a_module_moves_whole_and_back():
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    assert module.npu(1) is module
    assert {tensor.device for tensor in module.state_dict().values()} == {torch.device("npu:1")}
    assert {tensor.device.type for tensor in module.cpu().state_dict().values()} == {"cpu"}


def test_is_npu_and_type():
    x = torch.ones(2).npu()
    assert x.is_npu
    assert not x.cpu().is_npu
    assert x.npu() is x
    assert TORCH < (2, 0) or x.untyped_storage().is_npu
    assert x.device.type == "npu"


def test_a_packed_sequence_moves():
    packed = torch.nn.utils.rnn.pack_sequence([torch.ones(3), torch.ones(2)])
    assert packed.to("npu").data.device.type == "npu"


@pytest.mark.skipif(TORCH < (2, 0), reason="torch 1 names the device that npu borrows")
def test_tensors_of_two_devices_do_not_mix():
    with pytest.raises(RuntimeError, match=r"npu:[01]"):
        torch.ones(2, device="npu:0") + torch.ones(2, device="npu:1")


@pytest.mark.skipif(TORCH < (2, 6), reason="torch.accelerator came with 2.6")
def test_it_is_torchs_accelerator():
    assert torch.accelerator.current_accelerator().type == "npu"
    assert torch._C._get_accelerator().type == "npu"  # as barrier and FSDP2 ask
    assert torch.accelerator.is_available()
    assert torch.accelerator.device_count() == torch.npu.device_count()


def test_every_public_name_is_there():
    assert [name for name in torch.npu.__all__ if not hasattr(torch.npu, name)] == []


def test_an_unknown_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"torch\.npu.*nonsense"):
        torch.npu.nonsense  # noqa: B018


@pytest.mark.skipif(not hasattr(torch, "accelerator"), reason="torch.accelerator came with torch 2.6")
def test_torch_accelerator_is_this_backend():
    assert torch.accelerator.is_available()
    assert torch.accelerator.current_accelerator() == torch.device("npu")
    assert torch.accelerator.device_count() == torch.npu.device_count()
    torch.accelerator.set_device_index(1)
    assert torch.npu.current_device() == torch.accelerator.current_device_index() == 1
    assert torch.accelerator.current_stream() == torch.npu.current_stream()
    torch.accelerator.synchronize()
