"""Settings that programs for NPUs make: they are checked, kept, and given back."""

import pytest
import torch
from torch_npu.npu import options


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(options, "_options", {})


def test_options_are_kept_as_text():
    torch.npu.set_option({"ACL_OP_DEBUG_LEVEL": 1, "SOMETHING_ELSE": "x"})
    assert torch.npu.get_options() == {"ACL_OP_DEBUG_LEVEL": "1", "SOMETHING_ELSE": "x"}


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("ACL_OP_DEBUG_LEVEL", 9, "0, 1, 2"),
        ("ACL_AICORE_NUM", 33, "1 to 32"),
        ("ACL_PRECISION_MODE", "", "must_keep"),
    ],
)
def test_a_value_that_cann_does_not_know_is_refused_and_nothing_is_kept(name, value, allowed):
    with pytest.raises(ValueError, match=f"{name} must be .*{allowed}"):
        torch.npu.set_option({"A": "b", name: value})
    assert torch.npu.get_options() == {}


def test_options_are_a_dict():
    with pytest.raises(TypeError, match="takes a dict"):
        torch.npu.set_option("ACL_OP_DEBUG_LEVEL")


def test_compile_mode():
    assert torch.npu.is_jit_compile_false()
    torch.npu.set_compile_mode(jit_compile=True)
    assert not torch.npu.is_jit_compile_false()


def test_tuning_makes_its_folder(tmp_path):
    torch.npu.set_aoe(tmp_path / "graphs")
    assert (tmp_path / "graphs").is_dir()
    assert torch.npu.get_options()["autotunegraphdumppath"] == str(tmp_path / "graphs")


def test_switches_give_back_what_they_were_told():
    assert torch.npu.config.allow_internal_format is False
    assert torch.npu.conv.allow_hf32 is True
    torch.npu.config.allow_internal_format = True
    torch.npu.matmul.allow_hf32 = True
    assert torch.npu.config.allow_internal_format is True
    assert torch.npu.matmul.allow_hf32 is True
    with pytest.raises(TypeError, match="allow_hf32 must be True or False"):
        torch.npu.conv.allow_hf32 = 1
    torch.npu.matmul.cube_math_type = torch.npu.CubeMathType.USE_HF32
    assert torch.npu.matmul.cube_math_type is torch.npu.CubeMathType.USE_HF32


def test_plain_formats_of_products():
    assert torch.npu.get_mm_bmm_format_nd()
    torch.npu.set_option({"MM_BMM_ND_ENABLE": "disable"})
    assert not torch.npu.get_mm_bmm_format_nd()


def test_limits_of_cores_are_canns():
    before = torch.npu.get_device_limit(0)
    assert before["cube_core_num"] > 0
    stream = torch.npu.Stream()
    torch.npu.set_stream_limit(stream, cube_num=2)
    assert torch.npu.get_stream_limit(stream)["cube_core_num"] == 2
    assert torch.npu.get_device_limit(0) == before
    with pytest.raises(ValueError, match=r"no device npu:99"):
        torch.npu.get_device_limit(99)


def test_peers():
    assert torch.npu.can_device_access_peer(0, 1)
    assert not torch.npu.can_device_access_peer(0, 0)
    with pytest.raises(ValueError, match="no device npu:7"):
        torch.npu.can_device_access_peer(0, 7)


def test_a_dump_needs_its_configuration(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.json"):
        torch.npu.set_dump(tmp_path / "absent.json")


def test_overflow_of_a_tensor():
    assert torch.npu.utils.npu_check_overflow(torch.tensor([1.0, float("inf")], device="npu"))
    assert not torch.npu.utils.npu_check_overflow(torch.ones(3, device="npu"))
    with pytest.raises(RuntimeError, match=r"computes inf and nan and has no overflow flag"):
        torch.npu.get_npu_overflow_flag()


def test_an_external_event_orders_streams_again_and_again():
    event, side = torch.npu.ExternalEvent(), torch.npu.Stream()
    with pytest.raises(RuntimeError, match="was not recorded"):
        event.wait(side)
    x = torch.zeros(1, device="npu")
    for _ in range(3):
        x += 1
        event.record()
        event.wait(side)
        with torch.npu.stream(side):
            assert x.clone().item() > 0
        event.reset(side)
        side.synchronize()  # or the next mark could be set first, and be forgotten
    assert x.item() == 3
