"""Data parallel, sharded and tensor parallel training: each rank ends with what one process has."""

import copy
import operator
import os

import torch
import torch.distributed as dist
from torch import nn

STEPS = 4
LOCAL = 2  # samples of each rank


class Net(nn.Module):
    """`partly`: one layer is used every other time only. `tied`: two layers share a weight."""

    def __init__(self, partly=False, tied=False):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.third = nn.Linear(8, 8) if tied else nn.Identity()
        if tied:
            self.third.weight = self.second.weight
        self.partly = partly
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        x = self.first(x).relu()
        if not self.partly or self.calls % 2:
            x = self.second(x).tanh()
        return self.last(self.third(x))


def batches():
    generator = torch.Generator().manual_seed(3)
    size = dist.get_world_size()
    return [torch.randn(LOCAL * size, 6, generator=generator) for _ in range(STEPS)]


def part(batch):
    return batch.chunk(dist.get_world_size())[dist.get_rank()].npu()


def made(**options):
    torch.manual_seed(0)
    return Net(**options)


def train(module, optimizer, inputs, accumulate=1):
    losses = []
    for number, batch in enumerate(inputs):
        ends = (number + 1) % accumulate == 0
        context = module.no_sync() if not ends and hasattr(module, "no_sync") else torch.enable_grad()
        with context:
            loss = module(batch).square().mean()
            (loss / accumulate).backward()
        if ends:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.detach())
    return losses


def single(accumulate=1, **options):
    module = made(**options)
    losses = train(module, torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9), batches(), accumulate)
    return losses, module.state_dict()


def close(found, expected):
    for name, value in expected.items():
        torch.testing.assert_close(found[name].cpu(), value, rtol=1e-3, atol=1e-4)


def same_losses(found, expected):
    for one, wanted in zip(found, expected):  # noqa: B905
        mean = one.clone()
        dist.all_reduce(mean)
        torch.testing.assert_close(mean.cpu() / dist.get_world_size(), wanted, rtol=1e-3, atol=1e-4)


def _ddp(partly=False, tied=False, accumulate=1, **options):
    expected, weights = single(accumulate, partly=partly, tied=tied)
    module = made(partly=partly, tied=tied)
    before = list(module.parameters())
    optimizer = torch.optim.SGD(before, lr=0.1, momentum=0.9)
    wrapped = nn.parallel.DistributedDataParallel(module.to("npu"), **options)
    assert all(map(operator.is_, wrapped.parameters(), before)), "a parameter is another object than before"
    losses = train(wrapped, optimizer, [part(batch) for batch in batches()], accumulate)
    same_losses(losses, expected)
    close(module.state_dict(), weights)


def ddp():
    _ddp()


def ddp_tied_weights():
    _ddp(tied=True)


def ddp_gradient_as_bucket_view():
    _ddp(gradient_as_bucket_view=True)


def ddp_finds_unused_parameters():
    _ddp(partly=True, find_unused_parameters=True)


def ddp_no_sync():
    _ddp(accumulate=2)


def ddp_small_buckets_and_static_graph():
    _ddp(bucket_cap_mb=0.0001, static_graph=True)


def ddp_device_ids():
    _ddp(device_ids=[torch.npu.current_device()], output_device=torch.npu.current_device())


def ddp_compressed_gradients():
    from torch.distributed.algorithms.ddp_comm_hooks import default_hooks

    module = nn.parallel.DistributedDataParallel(made().npu())
    module.register_comm_hook(None, default_hooks.fp16_compress_hook)
    _expected, weights = single()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    train(module, optimizer, [part(batch) for batch in batches()])
    for name, value in weights.items():
        torch.testing.assert_close(module.module.state_dict()[name].cpu(), value, rtol=5e-2, atol=2e-2)


def sync_batch_norm_statistics_by_hand():
    total = torch.stack([torch.ones(3, device="npu") * dist.get_rank(), torch.ones(3, device="npu")])
    dist.all_reduce(total)
    size = dist.get_world_size()
    assert total.cpu().tolist() == [[size * (size - 1) / 2] * 3, [float(size)] * 3]


def device_mesh():
    from torch.distributed.device_mesh import init_device_mesh

    size = dist.get_world_size()
    mesh = init_device_mesh("npu", (size,))
    assert mesh.device_type == "npu"
    assert mesh.get_local_rank() == dist.get_rank()
    assert mesh.get_group().size() == size
    if size % 2 == 0:
        mesh = init_device_mesh("npu", (size // 2, 2), mesh_dim_names=("data", "model"))
        tensor = torch.ones(2, device="npu")
        dist.all_reduce(tensor, group=mesh["model"].get_group())
        assert tensor.tolist() == [2, 2]


def dtensor():
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    size = dist.get_world_size()
    mesh = init_device_mesh("npu", (size,))
    torch.manual_seed(1)
    whole, other = torch.randn(2 * size, 4), torch.randn(4, 3)
    sharded = distribute_tensor(whole.npu(), mesh, [Shard(0)])
    assert sharded.to_local().shape == (2, 4)
    product = sharded @ distribute_tensor(other.npu(), mesh, [Replicate()])
    torch.testing.assert_close(product.full_tensor().cpu(), whole @ other, rtol=1e-3, atol=1e-4)
    columns = sharded.redistribute(mesh, [Shard(1)]) if 4 % size == 0 else sharded
    torch.testing.assert_close(columns.full_tensor().cpu(), whole)
    torch.testing.assert_close(sharded.sum().full_tensor().cpu(), whole.sum(), rtol=1e-3, atol=1e-4)


def tensor_parallel():
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))
    mesh = init_device_mesh("npu", (dist.get_world_size(),))
    module = parallelize_module(
        copy.deepcopy(plain).npu(), mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()}
    )
    x = torch.randn(4, 8)
    found = module(x.npu())
    torch.testing.assert_close(found.cpu(), plain(x), rtol=1e-3, atol=1e-4)
    found.square().mean().backward()
    plain(x).square().mean().backward()
    gradient = module[0].weight.grad.full_tensor()
    torch.testing.assert_close(gradient.cpu(), plain[0].weight.grad, rtol=1e-3, atol=1e-4)


def fsdp2():
    from torch.distributed.fsdp import fully_shard

    expected, weights = single()
    module = made().npu()
    for layer in (module.first, module.second, module.last):
        fully_shard(layer)
    fully_shard(module)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    losses = train(module, optimizer, [part(batch) for batch in batches()])
    same_losses(losses, expected)
    found = {name: value.full_tensor() for name, value in module.state_dict().items()}
    close(found, weights)


def fsdp2_mixed_precision():
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    expected, _weights = single()
    module = made().npu()
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    fully_shard(module, mp_policy=policy)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    losses = train(module, optimizer, [part(batch) for batch in batches()])
    for one, wanted in zip(losses, expected):  # noqa: B905
        mean = one.float()
        dist.all_reduce(mean)
        torch.testing.assert_close(mean.cpu() / dist.get_world_size(), wanted, rtol=5e-2, atol=5e-2)


def fsdp1():
    from torch.distributed.fsdp import FullyShardedDataParallel

    expected, weights = single()
    module = FullyShardedDataParallel(made().npu(), device_id=torch.device("npu", torch.npu.current_device()))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    losses = train(module, optimizer, [part(batch) for batch in batches()])
    same_losses(losses, expected)
    with FullyShardedDataParallel.summon_full_params(module):
        close(
            {name.replace("_fsdp_wrapped_module.", ""): value for name, value in module.state_dict().items()},
            weights,
        )


def checkpoint():
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import get_model_state_dict, set_model_state_dict
    from torch.distributed.fsdp import fully_shard

    folder = os.environ["STORE"] + ".checkpoint"
    module = made().npu()
    fully_shard(module)
    saved = {name: value.full_tensor().cpu() for name, value in module.state_dict().items()}
    dcp.save(get_model_state_dict(module), checkpoint_id=folder)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    state = get_model_state_dict(module)
    dcp.load(state, checkpoint_id=folder)
    set_model_state_dict(module, state)
    close({name: value.full_tensor() for name, value in module.state_dict().items()}, saved)


def zero_redundancy_optimizer():
    from torch.distributed.optim import ZeroRedundancyOptimizer

    expected, weights = single()
    module = nn.parallel.DistributedDataParallel(made().npu())
    optimizer = ZeroRedundancyOptimizer(module.parameters(), torch.optim.SGD, lr=0.1, momentum=0.9)
    losses = train(module, optimizer, [part(batch) for batch in batches()])
    same_losses(losses, expected)
    close(module.module.state_dict(), weights)


ALWAYS = ["ddp", "ddp_tied_weights", "ddp_gradient_as_bucket_view", "ddp_finds_unused_parameters"]
ALWAYS += ["ddp_no_sync", "ddp_small_buckets_and_static_graph", "ddp_device_ids", "ddp_compressed_gradients"]
#: They came with later torches.
SHARDED = [
    "device_mesh",
    "dtensor",
    "tensor_parallel",
    "fsdp2",
    "fsdp2_mixed_precision",
    "fsdp1",
    "checkpoint",
]
SHARDED += ["zero_redundancy_optimizer"]
