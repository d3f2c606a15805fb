"""Operators that several ranks compute together, as the acceptance calls them; sizes, and what is refused."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch_npu

CAPABILITIES = Path(__file__).resolve().parents[3] / "release/wheelmill/prove/accept/capabilities"
PARTS = (
    "all_gather_product", "product_reduce_scatter", "product_all_reduce", "experts_there_and_back",
    "dispatch_and_combine", "dispatch_and_combine_v2",
)  # fmt: skip


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.on_demand)])
def logs(request, tmp_path_factory):
    """What each rank of the acceptance's rank program says."""
    count, folder = request.param, tmp_path_factory.mktemp("ranks")
    environment = {
        **os.environ, "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()),
        "CANN_SIMULATOR_DEVICES": str(count), "OMP_NUM_THREADS": "1", "TORCH_NPU_FALLBACK_CPU_DISABLE": "1",
    }  # fmt: skip
    command = [sys.executable, str(CAPABILITIES / "distributed_rank.py"), str(count), str(folder), *PARTS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [(folder / f"{rank}.log").read_text(encoding="utf-8") for rank in range(count)]


@pytest.mark.parametrize("part", PARTS)
def test_the_parts_of_the_acceptance(logs, part):
    for rank, text in enumerate(logs):
        said = [json.loads(line) for line in text.splitlines() if line.startswith('{"part"')]
        assert {"part": part, "problem": ""} in said, f"rank {rank}:\n{text}"


def empty(*shape, dtype=torch.float16):
    return torch.empty(shape, dtype=dtype, device="meta")


def sizes(results):
    return [None if one is None else (tuple(one.shape), one.dtype) for one in results]


def test_sizes_of_meta_tensors():
    """As FakeTensor and export ask for them; no rank is needed."""
    half = torch.float16
    x, weight = empty(8, 256), empty(256, 24)
    gathered = torch_npu.npu_all_gather_base_mm(x, weight, "name", 4)
    assert sizes(gathered) == [((32, 24), half), ((32, 256), half)]
    assert torch_npu.npu_mm_reduce_scatter_base(x, weight, "name", 4).shape == (2, 24)
    assert torch_npu.npu_mm_all_reduce_base(empty(2, 8, 256), weight, "name").shape == (2, 8, 24)
    routed = torch_npu.npu_alltoallv_gmm(empty(4, 8), empty(2, 8, 6), "name", 2, [1] * 4, [2, 1, 0, 3])
    assert sizes(routed) == [((6, 6), half), None, None]
    back = torch_npu.npu_gmm_alltoallv(
        empty(4, 8), empty(2, 6, 8), "name", 2, [1] * 4, [2, 1, 0, 3], trans_gmm_weight=True,
        mm_x=empty(3, 8), mm_weight=empty(8, 5),
    )  # fmt: skip
    assert sizes(back) == [((6, 6), half), ((3, 5), half)]
    tokens, ids = empty(4, 32), empty(4, 2, dtype=torch.int32)
    place = ("name", 4, 1, 8)
    dispatched = torch_npu.npu_moe_distribute_dispatch_v2(tokens, ids, *place, quant_mode=2)
    assert sizes(dispatched) == [
        ((32, 32), torch.int8), ((32,), torch.float32), ((32 * 128,), torch.int32), ((2,), torch.int64),
        ((8,), torch.int32), ((0,), torch.int32), ((32,), torch.float32),
    ]  # fmt: skip
    shared = torch_npu.npu_moe_distribute_dispatch(tokens, ids, "name", 4, 0, 6, shared_expert_rank_num=1)
    assert sizes(shared)[:3] == [((16, 32), half), ((16,), torch.float32), ((8,), torch.int32)]
    combined = torch_npu.npu_moe_distribute_combine_v2(
        empty(32, 32), ids, empty(32 * 128, dtype=torch.int32), empty(8, dtype=torch.int32),
        empty(4, 2, dtype=torch.float32), *place,
    )  # fmt: skip
    assert combined.shape == (4, 32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: torch_npu.npu_all_gather_base_mm(empty(8, 255), empty(256, 4), "name", 2),
            "shapes cannot be multiplied",
        ),
        (
            lambda: torch_npu.npu_mm_reduce_scatter_base(empty(7, 256), empty(256, 4), "name", 2),
            "expected world_size to divide the 7 rows",
        ),
        (
            lambda: torch_npu.npu_mm_reduce_scatter_base(
                empty(8, 256), empty(256, 4), "name", 2, x2_scale=empty(4, dtype=torch.float32)
            ),
            "scales need comm_mode='aiv'",
        ),
        (
            lambda: torch_npu.npu_mm_all_reduce_base(
                empty(8, 256), empty(256, 4), "name", comm_quant_scale_1=empty(4), comm_quant_scale_2=empty(4)
            ),
            "does not have quantized communication",
        ),
        (
            lambda: torch_npu.npu_moe_distribute_dispatch(
                empty(4, 32), empty(4, 2, dtype=torch.int32), "name", 2, 2, 4
            ),
            r"expected ep_rank_id to be in \[0, 2\), but got 2",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises((RuntimeError, ValueError, NotImplementedError), match=message):
        call()


def test_the_name_of_a_communicator(tmp_path):
    store = dist.FileStore(str(tmp_path / "store"), 1)
    dist.init_process_group("hccl", store=store, rank=0, world_size=1)
    try:
        backend = dist.distributed_c10d._get_default_group()._get_backend(torch.device("npu"))
        name = backend.get_hccl_comm_name(0)
        dist.all_reduce(torch.ones(2, device="npu"))
        assert name == backend.get_hccl_comm_name(0) != ""
        y = torch_npu.npu_mm_all_reduce_base(
            torch.ones(2, 8, device="npu").half(), torch.ones(8, 3, device="npu").half(), name
        )
        assert (y == 8).all()
        with pytest.raises(ValueError, match="expected a rank of the group, 0 to 0, but got 1"):
            backend.get_hccl_comm_name(1)
    finally:
        del backend  # early torch leaves the group to those who hold it
        dist.destroy_process_group()
    with pytest.raises(RuntimeError, match="this process has no communicator of that name"):
        torch_npu.npu_mm_all_reduce_base(
            torch.ones(2, 8, device="npu").half(), torch.ones(8, 3, device="npu").half(), name
        )
