"""Where there can be no hccl, one error at init_process_group says why and what to do."""

import pytest
import torch.distributed as dist
import torch_npu.distributed
from npu_testing import environment_without_cann, run


def test_an_early_torch_is_told_so(monkeypatch):
    if torch_npu.distributed._unsupported() is None:
        monkeypatch.setattr(
            torch_npu.distributed, "_unsupported", lambda: "backend hccl needs torch 2.2 or later"
        )
    assert not torch_npu.distributed.is_hccl_available()
    with pytest.raises(RuntimeError, match=r"backend hccl needs torch 2\.2 or later"):
        dist.init_process_group("hccl", store=dist.HashStore(), rank=0, world_size=1)
    assert not dist.is_initialized()


def test_without_cann_it_says_what_to_source():
    code = (
        "import torch, torch_npu, torch.distributed as dist\n"
        "print(torch.distributed.is_hccl_available())\n"
        "dist.init_process_group('hccl', store=dist.HashStore(), rank=0, world_size=1)\n"
    )
    done = run(code, env=environment_without_cann())
    assert done.stdout.startswith("False")
    assert "set_env.sh" in done.stderr or "needs torch 2.2" in done.stderr
