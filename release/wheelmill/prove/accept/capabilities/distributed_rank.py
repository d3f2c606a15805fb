"""The ranks of distributed.py: `distributed_rank.py RANKS FOLDER PART...` lets each do the parts.

The ranks are forks of one process that has imported torch and has not touched a device: the import is what
takes long. Rank r says in FOLDER/r.log, as JSON, what was wrong with each part; all exit codes are printed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from typing import Any, Callable

import torch
import torch.distributed as dist
import torch_npu  # noqa: F401  (before torch 2.5 nothing else loads it)
from torch import nn

RANK, RANKS = 0, int(sys.argv[1])
DEVICE = "npu"
DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.int8, torch.int32, torch.int64)
NEXT = BEFORE = 0


def of(rank: int, count: int = 6, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A rank's numbers: small and whole, so that every sum of them is exact in every dtype."""
    return (torch.arange(count) % 5 + rank + 1).to(dtype)


def mine(count: int = 6, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return of(RANK, count, dtype).to(DEVICE)


def total(count: int = 6, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return sum((of(rank, count, torch.float64) for rank in range(RANKS)), torch.zeros(())).to(dtype)


def equal(actual: torch.Tensor, expected: torch.Tensor) -> None:
    assert actual.device.type == "npu", f"the result is on {actual.device}"
    torch.testing.assert_close(actual.cpu(), expected, rtol=0, atol=0)


def all_reduce() -> None:
    for dtype in DTYPES:
        for count in (1, 6, 30011):  # messages of every kind of way
            tensor = mine(count, dtype)
            dist.all_reduce(tensor)
            equal(tensor, total(count, dtype))
    for operation, function in ((dist.ReduceOp.MAX, torch.maximum), (dist.ReduceOp.MIN, torch.minimum)):
        tensor = mine()
        dist.all_reduce(tensor, operation)
        equal(tensor, function(of(0), of(RANKS - 1)))
    tensor = mine()
    dist.all_reduce(tensor, dist.ReduceOp.PRODUCT)
    equal(tensor, torch.stack([of(rank) for rank in range(RANKS)]).prod(0))


def graph_of_collectives() -> None:
    """Every replay takes part in an operation of its own, between operations outside of graphs."""
    tensor, stream = mine(), torch.npu.Stream()
    dist.all_reduce(tensor)  # sets the communicator up
    torch.npu.synchronize()
    graph = torch.npu.NPUGraph()
    with torch.npu.graph(graph, stream=stream, capture_error_mode="thread_local"):
        doubled = tensor * 2
        dist.all_reduce(doubled)
        result = doubled + 1
    for factor in (1, 2, 3):
        tensor.copy_(of(RANK) * factor)
        graph.replay()
        torch.npu.synchronize()
        equal(result, total() * 2 * factor + 1)
        outside = mine()
        dist.all_reduce(outside)
        equal(outside, total())


def all_reduce_in_turn() -> None:
    """Asynchronous ones, ordered with what the caller computes before and behind them."""
    works, tensors = [], []
    for step in range(8):
        tensors.append(mine(5000) * step)
        works.append(dist.all_reduce(tensors[-1], async_op=True))
    for step, work in enumerate(works):
        work.wait()
        equal(tensors[step] + 1, total(5000) * step + 1)


def broadcast() -> None:
    tensor = mine()
    dist.broadcast(tensor, src=RANKS - 1)
    equal(tensor, of(RANKS - 1))


def reduce() -> None:
    tensor = mine()
    dist.reduce(tensor, dst=0)
    if RANK == 0:
        equal(tensor, total())


def all_gather() -> None:
    parts = [torch.empty(6, device=DEVICE) for _ in range(RANKS)]
    dist.all_gather(parts, mine())
    for rank, part in enumerate(parts):
        equal(part, of(rank))


def all_gather_into_tensor() -> None:
    whole = torch.empty(6 * RANKS, device=DEVICE)
    dist.all_gather_into_tensor(whole, mine())
    equal(whole, torch.cat([of(rank) for rank in range(RANKS)]))


def reduce_scatter_tensor() -> None:
    part = torch.empty(6, device=DEVICE)
    dist.reduce_scatter_tensor(part, mine(6 * RANKS))
    equal(part, total(6 * RANKS)[RANK * 6 :][:6])


def reduce_scatter() -> None:
    part = torch.empty(6, device=DEVICE)
    dist.reduce_scatter(part, list(mine(6 * RANKS).chunk(RANKS)))
    equal(part, total(6 * RANKS)[RANK * 6 :][:6])


def scatter() -> None:
    part = torch.empty(6, device=DEVICE)
    parts = list(mine(6 * RANKS).chunk(RANKS)) if RANK == 0 else None
    dist.scatter(part, parts, src=0)
    equal(part, of(0, 6 * RANKS)[RANK * 6 :][:6])


def all_to_all_single() -> None:
    whole = torch.empty(6 * RANKS, device=DEVICE)
    dist.all_to_all_single(whole, mine(6 * RANKS))
    equal(whole, torch.cat([of(rank, 6 * RANKS)[RANK * 6 :][:6] for rank in range(RANKS)]))
    sent = [1 + rank for rank in range(RANKS)]  # elements for each rank
    whole = torch.empty(RANKS * (1 + RANK), device=DEVICE)
    dist.all_to_all_single(whole, mine(sum(sent)), [1 + RANK] * RANKS, sent)
    parts = [of(rank, sum(sent))[sum(sent[:RANK]) :][: 1 + RANK] for rank in range(RANKS)]
    equal(whole, torch.cat(parts))


def all_to_all() -> None:
    parts = [torch.empty(6, device=DEVICE) for _ in range(RANKS)]
    dist.all_to_all(parts, list(mine(6 * RANKS).chunk(RANKS)))
    for rank, part in enumerate(parts):
        equal(part, of(rank, 6 * RANKS)[RANK * 6 :][:6])


def send_recv() -> None:
    tensor = torch.empty(6, device=DEVICE)
    if RANK % 2 == 0:
        dist.send(mine(), NEXT)
        dist.recv(tensor, BEFORE)
    else:
        dist.recv(tensor, BEFORE)
        dist.send(mine(), NEXT)
    equal(tensor, of(BEFORE))


def batch_isend_irecv() -> None:
    tensor = torch.empty(30011, device=DEVICE)
    operations = [dist.P2POp(dist.isend, mine(30011), NEXT), dist.P2POp(dist.irecv, tensor, BEFORE)]
    for work in dist.batch_isend_irecv(operations):
        work.wait()
    equal(tensor, of(BEFORE, 30011))


def barrier() -> None:
    dist.barrier()


def all_gather_object() -> None:
    found: list[object] = [None] * RANKS
    dist.all_gather_object(found, {"rank": RANK})
    assert found == [{"rank": rank} for rank in range(RANKS)], str(found)


def new_group() -> None:
    """The even ranks alone."""
    even = list(range(0, RANKS, 2))
    members = dist.new_group(even)
    if RANK in even:
        tensor = mine()
        dist.all_reduce(tensor, group=members)
        equal(tensor, sum((of(rank) for rank in even), torch.zeros(6)))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.LayerNorm(64), nn.Linear(64, 5))


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    inputs = torch.randn(16, 20, generator=generator)
    return inputs, torch.randint(0, 5, (16,), generator=generator)


def train(model: nn.Module, device: str, part: slice) -> list[torch.Tensor]:
    """A few steps on a part of every batch; the parameters after them."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for step in range(5):
        inputs, labels = (each[part].to(device) for each in batch(step))
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    return [parameter.detach().cpu() for parameter in model.parameters()]


def data_parallel() -> None:
    """Every rank trains on its share of the batch: as one process on the CPU does on all of it."""
    share = 16 // RANKS
    model = network()
    if RANK != 0:  # rank 0's parameters are sent to all
        nn.init.zeros_(model[0].weight)
    parallel = nn.parallel.DistributedDataParallel(model.to(DEVICE), bucket_cap_mb=0.002)
    found = train(parallel, DEVICE, slice(RANK * share, (RANK + 1) * share))
    expected = train(network(), "cpu", slice(0, 16))
    for number, wanted in enumerate(expected):
        text = f"parameter {number}: "
        torch.testing.assert_close(found[number], wanted, rtol=1e-4, atol=1e-5, msg=lambda m, t=text: t + m)


def group_before_device() -> None:
    """do() has made the process group before anything used the device, as launchers do."""
    tensor = mine()
    dist.all_reduce(tensor)
    equal(tensor, total())


def mesh() -> Any:
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh("npu", (RANKS,))


def compare_whole(found: nn.Module, expected: nn.Module) -> None:
    """Parameters that lie in parts on the ranks, put together, with those of one process."""
    wanted = dict(expected.named_parameters())
    for name, parameter in found.named_parameters():
        whole = getattr(parameter, "full_tensor", lambda: parameter)()  # noqa: B023 (called at once)
        text = f"{name}: "
        torch.testing.assert_close(
            whole.detach().cpu(), wanted[name].detach(), rtol=1e-4, atol=1e-5, msg=lambda m, t=text: t + m
        )


def fully_sharded() -> None:
    """FSDP2: parameters and gradients lie in parts; the result is one process's on the whole batch."""
    from torch.distributed.fsdp import fully_shard

    share, model, expected = 16 // RANKS, network().to(DEVICE), network()
    for layer in (model[0], model[3], model):
        fully_shard(layer, mesh=mesh())
    train(model, DEVICE, slice(RANK * share, (RANK + 1) * share))
    train(expected, "cpu", slice(0, 16))
    compare_whole(model, expected)


def tensor_parallel() -> None:
    """Every rank computes a part of each layer, on the whole batch."""
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    def layers() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 5))

    model, expected = layers().to(DEVICE), layers()
    parallelize_module(model, mesh(), {"0": ColwiseParallel(), "2": RowwiseParallel()})
    train(model, DEVICE, slice(0, 16))
    train(expected, "cpu", slice(0, 16))
    compare_whole(model, expected)


def distributed_tensors() -> None:
    """DTensor: what one rank has is sent in parts, computed on and put together."""
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    rows = distribute_tensor(mine(8 * RANKS).reshape(2 * RANKS, 4), mesh(), [Shard(0)])
    expected = of(0, 8 * RANKS).reshape(2 * RANKS, 4)  # rank 0's are sent to all
    equal((rows + 1).full_tensor(), expected + 1)
    equal(rows.redistribute(placements=[Shard(1)]).full_tensor(), expected)
    equal(rows.redistribute(placements=[Replicate()]).to_local().sum(0), expected.sum(0))


def communicator() -> str:
    """What operators of several ranks take as hcom or group_ep; the first call makes the communicator."""
    group = dist.distributed_c10d._get_default_group()
    return group._get_backend(torch.device(DEVICE)).get_hccl_comm_name(RANK)


def halves(*shape: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=generator) - 0.5).half()


def near(actual: torch.Tensor, expected: torch.Tensor) -> None:
    assert actual.device.type == "npu", f"the result is on {actual.device}"
    torch.testing.assert_close(actual.cpu().double(), expected.double(), rtol=1e-2, atol=1e-2)


def all_gather_product() -> None:
    rows, weight = [halves(8, 256, seed=rank) for rank in range(RANKS)], halves(16, 256, seed=50)
    y, gathered = torch.ops.npu.npu_all_gather_base_mm(
        rows[RANK].to(DEVICE), weight.to(DEVICE).t(), communicator(), RANKS, gather_output=True
    )
    near(y, torch.cat(rows).double() @ weight.double().t())
    equal(gathered, torch.cat(rows))


def product_reduce_scatter() -> None:
    x1 = [halves(4 * RANKS, 256, seed=rank) for rank in range(RANKS)]
    x2 = [halves(256, 16, seed=60 + rank) for rank in range(RANKS)]
    name = communicator()
    y = torch.ops.npu.npu_mm_reduce_scatter_base(x1[RANK].to(DEVICE), x2[RANK].to(DEVICE), name, RANKS)
    total = torch.stack([x1[rank].double() @ x2[rank].double() for rank in range(RANKS)]).sum(0)
    near(y, total[RANK * 4 :][:4])


def product_all_reduce() -> None:
    x1 = [halves(3, 5, 64, seed=rank) for rank in range(RANKS)]
    x2 = [halves(64, 16, seed=60 + rank) for rank in range(RANKS)]
    x3, name = halves(3, 5, 16, seed=70), communicator()
    y = torch.ops.npu.npu_mm_all_reduce_base(
        x1[RANK].to(DEVICE), x2[RANK].to(DEVICE), name, reduce_op="sum", x3=x3.to(DEVICE)
    )
    parts = [x1[rank].double() @ x2[rank].double() + x3.double() for rank in range(RANKS)]
    near(y, torch.stack(parts).sum(0))


def experts_there_and_back() -> None:
    """Rows go to the experts of other ranks, are multiplied there, and come back multiplied once more."""
    counts = [[(rank + 2 * expert) % 3 + 1 for expert in range(2 * RANKS)] for rank in range(RANKS)]
    rows = [[halves(n, 8, seed=100 + 10 * r + e) for e, n in enumerate(row)] for r, row in enumerate(counts)]
    weights = [halves(8, 8, seed=300 + expert) for expert in range(2 * RANKS)]
    mine = torch.stack(weights[2 * RANK :][:2]).to(DEVICE)
    received, name = [n for row in counts for n in row[2 * RANK :][:2]], communicator()
    y, _, permuted = torch.ops.npu.npu_alltoallv_gmm(
        torch.cat(rows[RANK]).to(DEVICE), mine, name, RANKS, counts[RANK], received, permute_out_flag=True
    )
    came = [torch.cat([row[2 * RANK + expert] for row in rows]) for expert in range(2)]
    equal(permuted, torch.cat(came))
    near(y, torch.cat([x.double() @ weights[2 * RANK + e].double() for e, x in enumerate(came)]))
    back, _ = torch.ops.npu.npu_gmm_alltoallv(permuted, mine, name, RANKS, received, counts[RANK])
    near(back, torch.cat([x.double() @ weights[expert].double() for expert, x in enumerate(rows[RANK])]))


TOKENS, CHOICES = 4, 2


def chosen(rank: int) -> torch.Tensor:
    """The experts of a rank's tokens, two on each rank."""
    first = torch.arange(TOKENS * CHOICES).reshape(TOKENS, CHOICES)
    return ((5 * first + 3 * rank) % (2 * RANKS)).int()


def dispatch_and_combine(suffix: str = "") -> None:
    """Each expert gets its tokens by rank; multiplied with its number they come back, and are summed."""
    name, x, weights = communicator(), halves(TOKENS, 1024, seed=RANK), torch.rand(TOKENS, CHOICES)
    ids, place = chosen(RANK).to(DEVICE), (name, RANKS, RANK, 2 * RANKS)
    expanded, _, index, counts, received, _, _ = getattr(
        torch.ops.npu, "npu_moe_distribute_dispatch" + suffix
    )(x.to(DEVICE), ids, *place, quant_mode=0, global_bs=TOKENS * RANKS)
    order = [
        (expert, rank, slot // CHOICES)
        for expert in (2 * RANK, 2 * RANK + 1)
        for rank in range(RANKS)
        for slot, choice in enumerate(chosen(rank).flatten().tolist())
        if choice == expert
    ]
    assert counts.cpu().tolist() == [
        sum(e == expert for e, _, _ in order) for expert in (2 * RANK, 2 * RANK + 1)
    ]
    here = expanded.cpu()
    equal(expanded[: len(order)], torch.stack([halves(TOKENS, 1024, seed=rank)[t] for _, rank, t in order]))
    for row, (expert, _, _) in enumerate(order):
        here[row] *= (expert + 1) / 8
    y = getattr(torch.ops.npu, "npu_moe_distribute_combine" + suffix)(
        here.to(DEVICE), ids, index, received, weights.to(DEVICE), *place, global_bs=TOKENS * RANKS
    )
    factors = (weights.double() * (chosen(RANK).double() + 1) / 8).sum(1, keepdim=True)
    near(y, factors * x.double())


def dispatch_and_combine_v2() -> None:
    dispatch_and_combine("_v2")


def killed() -> None:
    """The last rank dies; for the others the part cannot end well."""
    if RANK == RANKS - 1:
        os.kill(os.getpid(), signal.SIGKILL)
    tensor = mine()
    dist.all_reduce(tensor)
    tensor.cpu()


def say(part: str, problem: str) -> None:
    print(json.dumps({"part": part, "problem": problem}), flush=True)


def become(rank: int) -> None:
    """What follows is this rank's."""
    global RANK, DEVICE, NEXT, BEFORE
    RANK, NEXT, BEFORE = rank, (rank + 1) % RANKS, (rank - 1) % RANKS
    DEVICE = f"npu:{rank}"
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
    log = os.open(f"{sys.argv[2]}/{rank}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)


def do(parts: list[str]) -> None:
    if "group_before_device" in parts:
        dist.init_process_group("hccl")
    torch.npu.set_device(DEVICE)
    if not dist.is_initialized():
        dist.init_process_group("hccl")
    for part in parts:
        run: Callable[[], None] = globals()[part]
        try:
            run()
            torch.npu.synchronize()
        except Exception:
            if part == "killed":  # ends with the error, as a program does
                raise
            say(part, traceback.format_exc(limit=-3))
        else:
            say(part, "")
    dist.destroy_process_group()


def main() -> None:
    """Start every rank and print how each ended, as subprocess counts it."""
    children = []
    for rank in range(RANKS):
        child = os.fork()
        if child == 0:
            become(rank)
            return do(sys.argv[3:])
        children.append(child)
    codes = [os.waitpid(child, 0)[1] for child in children]
    print(json.dumps([-code if code < 128 else code >> 8 for code in codes]), flush=True)
    return None


if __name__ == "__main__":
    main()
