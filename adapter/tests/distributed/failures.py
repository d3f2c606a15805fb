"""Ranks that end, hang or never come: what the others say. Run by ranks.py; RANK 1 is the one that fails."""

import os
import signal
import time

import torch
import torch.distributed as dist


def _fails():
    return dist.get_rank() == 1


def dies_in_an_operation():
    tensor = torch.ones(1000, device="npu")
    dist.all_reduce(tensor)
    torch.npu.synchronize()
    if _fails():
        os.kill(os.getpid(), signal.SIGKILL)
    dist.all_reduce(tensor, async_op=True).wait()
    print(tensor.sum().item())  # must not be believed


def hangs():
    tensor = torch.ones(4, device="npu")
    dist.all_reduce(tensor)
    torch.npu.synchronize()
    if _fails():
        time.sleep(20)
        return
    dist.all_reduce(tensor)
    print(tensor.sum().item())


def does_not_come():
    if _fails():
        time.sleep(8)
        os._exit(5)
    dist.all_reduce(torch.ones(4, device="npu"))


def uses_another_ranks_device():
    torch.npu.set_device(0)
    dist.all_reduce(torch.ones(4, device="npu"))


def disagrees():
    dist.all_reduce(torch.ones(5 if _fails() else 4, device="npu"))
    torch.npu.synchronize()


def ends_without_destroying():
    tensor = torch.ones(4, device="npu")
    dist.all_reduce(tensor)
    if _fails():
        raise SystemExit(0)
    time.sleep(2)
    assert tensor.sum().item() == 4 * dist.get_world_size()
    raise SystemExit(0)
