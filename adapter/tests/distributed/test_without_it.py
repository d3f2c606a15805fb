"""Where there can be no hccl, one error at init_process_group says why and what to do."""

import pytest
import torch.distributed as dist
import torch_npu.distributed
from npu_testing import TORCH, environment_without_cann, run


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ("2.1.0+cpu", r"backend hccl needs torch 2\.2 or later"),
        ("2.99.0", r"backend hccl is not in this torch_npu for torch 2\.99\.0"),
    ],
)
def test_a_torch_that_cannot_have_it_is_told_so(monkeypatch, version, text):
    why = torch_npu.distributed._why_not(version)
    monkeypatch.setattr(torch_npu.distributed, "_unsupported", lambda: why)
    assert not torch_npu.distributed.is_hccl_available()
    with pytest.raises(RuntimeError, match=text):
        dist.init_process_group("hccl", store=dist.HashStore(), rank=0, world_size=1)
    assert not dist.is_initialized()


def test_only_torches_before_2_2_do_without():
    """Their other tests are left out, so this one tells of a build that has lost it."""
    assert (torch_npu.distributed._unsupported() is None) == (TORCH >= (2, 2))


def test_a_torch_whose_backends_have_no_devices_gets_its_refusal(monkeypatch):
    """As torch 2.0.1: it is registered by the import, which failed there."""
    known = {}
    monkeypatch.setattr(
        dist.Backend, "register_backend", lambda name, func, extended_api=False: known.update({name: func})
    )
    torch_npu.distributed.register()
    assert known == {"hccl": torch_npu.distributed._refuse}


def test_without_cann_it_says_what_to_source():
    code = (
        "import torch, torch_npu, torch.distributed as dist\n"
        "print(torch.distributed.is_hccl_available())\n"
        "dist.init_process_group('hccl', store=dist.HashStore(), rank=0, world_size=1)\n"
    )
    done = run(code, env=environment_without_cann())
    assert done.stdout.startswith("False")
    assert "set_env.sh" in done.stderr or "backend hccl" in done.stderr
