"""DistributedDataParallel over parameters that were moved: what an optimizer from before the move holds.

The group here is of one rank, whose sums and copies are what it has, so that it serves a torch without hccl
too: all that DDP itself does with NPU tensors, in buckets and hooks, is done on the device. Between several
ranks, over hccl, distributed/test_parallel_training.py trains.
"""

import copy
import operator

import pytest
import torch
from npu_testing import TORCH
from torch import distributed as dist
from torch import nn

pytestmark = pytest.mark.skipif(
    TORCH < (2, 0), reason="before 2.0 torch has no process groups that are written in Python"
)


def done(result):
    future = torch.futures.Future()
    future.set_result(result)
    return torch._C._distributed_c10d._create_work_from_future(future)


class OneRank(dist.ProcessGroup):
    """A group of one rank."""

    def __init__(self):
        super().__init__(0, 1)
        self.reduced = []

    def getBackendName(self):  # noqa: N802
        return "one rank"

    def allreduce(self, tensors, options=None):
        self.reduced.extend(tensor.device for tensor in tensors)
        return done(tensors)

    def broadcast(self, tensors, options=None):
        return done(tensors)

    def allgather(self, outputs, inputs, options=None):
        outputs[0][0].copy_(inputs[0])
        return done(outputs)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.mix, self.head = nn.Embedding(5, 3), nn.Linear(3, 3), nn.Linear(3, 5, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens):
        return self.head(self.mix(self.tokens(tokens)).relu())


def train(module, forward, optimizer, tokens):
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(forward(tokens), tokens)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, {name: value.cpu() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("options", [{}, {"gradient_as_bucket_view": True}, {"static_graph": True}], ids=str)
def test_an_optimizer_from_before_the_move_trains_what_ddp_wraps(options):
    torch.manual_seed(0)
    module, tokens = Tied(), torch.tensor([0, 2, 4, 1])
    other = copy.deepcopy(module)
    expected = train(other, other, torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9), tokens)
    optimizer, group = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9), OneRank()
    before = list(module.parameters())
    wrapped = nn.parallel.DistributedDataParallel(module.to("npu"), process_group=group, **options)
    assert all(map(operator.is_, wrapped.parameters(), before))
    found = train(module, wrapped, optimizer, tokens.npu())
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    assert group.reduced
    assert set(group.reduced) == {torch.device("npu:0")}
