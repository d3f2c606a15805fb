"""Every collective of torch.distributed on NPU tensors, against what one process computes."""

import pytest
import torch
import torch.distributed as dist

DTYPES = (
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float64,
    torch.int8,
    torch.uint8,
    torch.int16,
    torch.int32,
    torch.int64,
)
OPS = dist.ReduceOp


def of_rank(rank, *shape, dtype=torch.float32):
    """What rank `rank` contributes: small whole numbers, so that every type holds every result."""
    count = int(torch.tensor(shape).prod()) if shape else 1
    return ((torch.arange(count) * 3 + rank) % 5 + 1).reshape(shape).to(dtype)


def everyone(*shape, dtype=torch.float32):
    return torch.stack([of_rank(rank, *shape, dtype=dtype) for rank in range(dist.get_world_size())])


def mine(*shape, dtype=torch.float32):
    return of_rank(dist.get_rank(), *shape, dtype=dtype).npu()


def equal(found, expected):
    assert found.device.type == "npu"
    torch.testing.assert_close(found.cpu(), expected.to(found.dtype), rtol=0, atol=0)


def all_reduce():
    size = dist.get_world_size()
    for dtype in DTYPES:
        values = everyone(3, 4, dtype=dtype)
        wanted = {
            OPS.SUM: values.sum(0),
            OPS.MAX: values.amax(0),
            OPS.MIN: values.amin(0),
        }
        if size <= 2:
            wanted[OPS.PRODUCT] = values.prod(0)
        for op, expected in wanted.items():
            tensor = mine(3, 4, dtype=dtype)
            dist.all_reduce(tensor, op)
            equal(tensor, expected)


def all_reduce_mean():
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.int32):
        tensor = mine(6, dtype=dtype)
        dist.all_reduce(tensor, OPS.AVG)
        total = everyone(6, dtype=dtype).sum(0)
        size = dist.get_world_size()
        equal(tensor, total / size if dtype.is_floating_point else total.div(size, rounding_mode="trunc"))


def all_reduce_multiplied_before():
    make = getattr(dist, "_make_nccl_premul_sum", None)
    if make is None:
        return
    for factor in (0.5, torch.tensor([0.5]).npu()):
        tensor = mine(6)
        dist.all_reduce(tensor, make(factor))
        equal(tensor, everyone(6).sum(0) * 0.5)


def all_reduce_bits():
    values = everyone(8, dtype=torch.int32)
    for op, combine in (
        (OPS.BAND, torch.bitwise_and),
        (OPS.BOR, torch.bitwise_or),
        (OPS.BXOR, torch.bitwise_xor),
    ):
        expected = values[0]
        for value in values[1:]:
            expected = combine(expected, value)
        tensor = mine(8, dtype=torch.int32)
        dist.all_reduce(tensor, op)
        equal(tensor, expected)


def all_reduce_bools():
    rank, size = dist.get_rank(), dist.get_world_size()
    bits = torch.tensor([[True, False, index == 0] for index in range(size)])
    for op, expected in (
        (OPS.SUM, bits.any(0)),
        (OPS.MAX, bits.any(0)),
        (OPS.PRODUCT, bits.all(0)),
        (OPS.MIN, bits.all(0)),
    ):
        tensor = bits[rank].npu()
        dist.all_reduce(tensor, op)
        equal(tensor, expected)


def all_reduce_complex():
    tensor = torch.complex(mine(4), mine(4))
    dist.all_reduce(tensor)
    total = everyone(4).sum(0)
    equal(tensor, torch.complex(total, total))


def all_reduce_of_nothing_and_of_a_view():
    nothing = torch.empty(0, device="npu")
    dist.all_reduce(nothing)
    whole = torch.zeros(3, 4, device="npu")
    whole[1] = mine(4)
    dist.all_reduce(whole[1])
    expected = torch.zeros(3, 4)
    expected[1] = everyone(4).sum(0)
    equal(whole, expected)


def all_reduce_coalesced():
    tensors = [mine(3), mine(2, 2), mine(5)]
    dist.all_reduce_coalesced(tensors)
    for tensor, shape in zip(tensors, ((3,), (2, 2), (5,))):  # noqa: B905
        equal(tensor, everyone(*shape).sum(0))


def reduce():
    size = dist.get_world_size()
    for root in range(size):
        for dtype in (torch.float32, torch.float64):
            tensor = mine(5, dtype=dtype)
            dist.reduce(tensor, root)
            total = everyone(5, dtype=dtype).sum(0)
            equal(tensor, total if dist.get_rank() == root else of_rank(dist.get_rank(), 5, dtype=dtype))


def broadcast():
    for root in range(dist.get_world_size()):
        for dtype in (*DTYPES, torch.bool, torch.complex64):
            tensor = mine(2, 3, dtype=dtype)
            dist.broadcast(tensor, root)
            equal(tensor, of_rank(root, 2, 3, dtype=dtype))


def all_gather():
    size = dist.get_world_size()
    for dtype in (torch.float32, torch.float64, torch.bool):
        outputs = [torch.empty(2, 3, dtype=dtype, device="npu") for _ in range(size)]
        dist.all_gather(outputs, mine(2, 3, dtype=dtype))
        for rank, output in enumerate(outputs):
            equal(output, of_rank(rank, 2, 3, dtype=dtype))


def all_gather_of_other_sizes():
    outputs = [torch.empty(rank + 1, 2, device="npu") for rank in range(dist.get_world_size())]
    dist.all_gather(outputs, mine(dist.get_rank() + 1, 2))
    for rank, output in enumerate(outputs):
        equal(output, of_rank(rank, rank + 1, 2))


def all_gather_into_tensor():
    size = dist.get_world_size()
    for dtype in (torch.float32, torch.uint8):
        output = torch.empty(2 * size, 3, dtype=dtype, device="npu")
        dist.all_gather_into_tensor(output, mine(2, 3, dtype=dtype))
        equal(output, everyone(2, 3, dtype=dtype).reshape(-1, 3))


def reduce_scatter():
    rank, size = dist.get_rank(), dist.get_world_size()
    for dtype in (torch.float32, torch.float64):
        output = torch.empty(3, dtype=dtype, device="npu")
        dist.reduce_scatter(output, list(mine(size, 3, dtype=dtype).unbind()))
        equal(output, everyone(size, 3, dtype=dtype).sum(0)[rank])
    sizes = [index + 1 for index in range(size)]
    output = torch.empty(sizes[rank], device="npu")
    dist.reduce_scatter(output, [mine(count) for count in sizes])
    equal(output, everyone(sizes[rank]).sum(0))


def reduce_scatter_tensor():
    rank, size = dist.get_rank(), dist.get_world_size()
    for dtype, op in ((torch.float32, OPS.SUM), (torch.float32, OPS.AVG), (torch.float64, OPS.MAX)):
        output = torch.empty(2, 3, dtype=dtype, device="npu")
        dist.reduce_scatter_tensor(output, mine(2 * size, 3, dtype=dtype), op)
        values = everyone(2 * size, 3, dtype=dtype)
        expected = {OPS.SUM: values.sum(0), OPS.AVG: values.sum(0) / size, OPS.MAX: values.amax(0)}[op]
        equal(output, expected.chunk(size)[rank])


def all_to_all_single():
    rank, size = dist.get_rank(), dist.get_world_size()
    output = torch.empty(2 * size, 3, device="npu")
    dist.all_to_all_single(output, mine(2 * size, 3))
    equal(output, torch.cat([of_rank(other, 2 * size, 3).chunk(size)[rank] for other in range(size)]))
    # Rank r sends s + 1 rows to rank s: each receives r + 1 rows from everyone.
    splits = [other + 1 for other in range(size)]
    output = torch.empty(size * (rank + 1), 2, dtype=torch.float64, device="npu")
    dist.all_to_all_single(output, mine(sum(splits), 2, dtype=torch.float64), [rank + 1] * size, splits)
    expected = [of_rank(other, sum(splits), 2).split(splits)[rank] for other in range(size)]
    equal(output, torch.cat(expected))


def all_to_all():
    rank, size = dist.get_rank(), dist.get_world_size()
    outputs = [torch.empty(rank + 1, 2, device="npu") for _ in range(size)]
    dist.all_to_all(outputs, [mine(other + 1, 2) for other in range(size)])
    for other, output in enumerate(outputs):
        equal(output, of_rank(other, rank + 1, 2))


def gather_and_scatter():
    rank, size = dist.get_rank(), dist.get_world_size()
    for root in range(size):
        outputs = [torch.empty(4, device="npu") for _ in range(size)] if rank == root else None
        dist.gather(mine(4), outputs, dst=root)
        for other, output in enumerate(outputs or []):
            equal(output, of_rank(other, 4))
        output = torch.empty(4, dtype=torch.int64, device="npu")
        inputs = (
            [of_rank(other + 7, 4, dtype=torch.int64).npu() for other in range(size)]
            if rank == root
            else None
        )
        dist.scatter(output, inputs, src=root)
        equal(output, of_rank(rank + 7, 4, dtype=torch.int64))


def send_and_receive():
    rank, size = dist.get_rank(), dist.get_world_size()
    if size == 1:
        return
    received = torch.empty(5, device="npu")
    if rank % 2 == 0 and rank + 1 < size:
        dist.send(mine(5), rank + 1)
        dist.recv(received, rank + 1)
        equal(received, of_rank(rank + 1, 5))
    elif rank % 2 == 1:
        dist.recv(received, rank - 1)
        dist.send(mine(5), rank - 1)
        equal(received, of_rank(rank - 1, 5))


def batch_of_sends_and_receives():
    rank, size = dist.get_rank(), dist.get_world_size()
    if size == 1:
        return
    received = torch.empty(5, dtype=torch.bfloat16, device="npu")
    sent = mine(5, dtype=torch.bfloat16)
    works = dist.batch_isend_irecv(
        [dist.P2POp(dist.isend, sent, (rank + 1) % size), dist.P2POp(dist.irecv, received, (rank - 1) % size)]
    )
    for work in works:
        work.wait()
    equal(received, of_rank((rank - 1) % size, 5, dtype=torch.bfloat16))


def barrier():
    for _ in range(3):
        dist.barrier()
    work = dist.barrier(async_op=True)
    work.wait()
    assert work.is_completed()


def objects():
    rank, size = dist.get_rank(), dist.get_world_size()
    gathered = [None] * size
    dist.all_gather_object(gathered, {"rank": rank, "text": "x" * rank})
    assert gathered == [{"rank": other, "text": "x" * other} for other in range(size)]
    shared = [rank, "of", rank]
    dist.broadcast_object_list(shared, src=size - 1)
    assert shared == [size - 1, "of", size - 1]


def many_operations_in_flight():
    tensors = [mine(1000) + index for index in range(50)]
    works = [dist.all_reduce(tensor, async_op=True) for tensor in tensors]
    doubled = []
    for work, tensor in zip(works, tensors):  # noqa: B905
        work.wait()
        doubled.append(tensor * 2)
        del tensor
    tensors.clear()
    for index, found in enumerate(doubled):
        equal(found, (everyone(1000).sum(0) + index * dist.get_world_size()) * 2)


def works_and_futures():
    tensor = mine(6)
    work = dist.all_reduce(tensor, async_op=True)
    (result,) = work.get_future().then(lambda future: [future.value()[0] + 1]).wait()
    equal(result, everyone(6).sum(0) + 1)
    assert work.wait()
    torch.npu.synchronize()
    assert work.is_completed()
    assert work.is_success()


def another_stream():
    side = torch.npu.Stream()
    with torch.npu.stream(side):
        tensor = mine(100000)
        for _ in range(3):
            tensor.mul_(2)
        dist.all_reduce(tensor)
        tensor.add_(1)
    side.synchronize()
    equal(tensor, everyone(100000).sum(0) * 8 + 1)


def subgroups():
    rank, size = dist.get_rank(), dist.get_world_size()
    group = dist.new_group(list(range(size)))
    tensor = mine(3)
    dist.all_reduce(tensor, group=group)
    equal(tensor, everyone(3).sum(0))
    halves = [list(range((size + 1) // 2)), list(range((size + 1) // 2, size))]
    groups = [dist.new_group(half) if half else None for half in halves]
    own = 0 if rank in halves[0] else 1
    tensor = mine(3)
    dist.all_reduce(tensor, group=groups[own])
    equal(tensor, torch.stack([of_rank(other, 3) for other in halves[own]]).sum(0))
    root = halves[own][-1]
    dist.broadcast(tensor, root, group=groups[own])
    dist.destroy_process_group(group)


def two_groups_at_once():
    one, two = (dist.new_group(list(range(dist.get_world_size()))) for _ in range(2))
    first, second = mine(2000), mine(2000)
    works = [
        dist.all_reduce(first, group=one, async_op=True),
        dist.all_reduce(second, group=two, async_op=True),
    ]
    for work in works:
        work.wait()
    equal(first + second, everyone(2000).sum(0) * 2)


def coalesced():
    if not hasattr(dist, "_coalescing_manager"):
        return
    from torch.distributed.distributed_c10d import _coalescing_manager

    size = dist.get_world_size()
    first, second = mine(4), mine(2, 2)
    with _coalescing_manager(device=torch.device("npu", torch.npu.current_device())):
        dist.all_reduce(first)
        dist.all_reduce(second)
    equal(first, everyone(4).sum(0))
    equal(second, everyone(2, 2).sum(0))
    outputs = [torch.empty(size * 2, device="npu"), torch.empty(size * 3, device="npu")]
    with _coalescing_manager(device=torch.device("npu", torch.npu.current_device())):
        dist.all_gather_into_tensor(outputs[0], mine(2))
        dist.all_gather_into_tensor(outputs[1], mine(3))
    equal(outputs[0], everyone(2).flatten())
    equal(outputs[1], everyone(3).flatten())


def refused():
    """PyTorch's classes and words; the group works on."""
    size = dist.get_world_size()
    for error, words, call in (
        (ValueError, "Tensors must be contiguous", lambda: dist.all_reduce(mine(3, 4).t())),
        (TypeError, "AVG with Boolean", lambda: dist.all_reduce(mine(3, dtype=torch.bool), OPS.AVG)),
        (TypeError, "MAX on complex", lambda: backend().allreduce(
            [mine(3, dtype=torch.complex64)], options(OPS.MAX))),
        (TypeError, "BAND with", lambda: dist.all_reduce(mine(3), OPS.BAND)),
        (TypeError, "same type as input tensor", lambda: dist.all_gather_into_tensor(
            torch.empty(size * 3, dtype=torch.float64, device="npu"), mine(3))),
        (ValueError, "world_size times input tensor size", lambda: dist.all_gather_into_tensor(
            torch.empty(size * 3 + 1, device="npu"), mine(3))),
        (ValueError, "same size as output size times world size", lambda: dist.reduce_scatter_tensor(
            torch.empty(2, device="npu"), mine(2 * size + 1))),
        (RuntimeError, "doesn't match total dim 0 size", lambda: dist.all_to_all_single(
            torch.empty(size, device="npu"), mine(size), [2] * size, [1] * size)),
        (RuntimeError, "cpu", lambda: dist.all_reduce(torch.ones(2))),
    ):  # fmt: skip
        with pytest.raises(error, match=words):
            call()
    all_to_all_single()


def backend():
    return dist.distributed_c10d._get_default_group()._get_backend(torch.device("npu"))


def options(op):
    made = dist.AllreduceOptions()
    made.reduceOp = op
    return made


def what_it_is():
    assert dist.get_backend() == "hccl"
    assert dist.is_hccl_available()
    own = backend()
    assert own.rank() == dist.get_rank()
    assert own.size() == dist.get_world_size()
    assert own.name() == "hccl"


def destroyed_group_is_refused():
    group = dist.new_group(list(range(dist.get_world_size())))
    tensor = mine(3)
    dist.all_reduce(tensor, group=group)
    own = group._get_backend(torch.device("npu"))
    if hasattr(own, "abort"):
        own.abort()
        with pytest.raises(dist.DistBackendError, match="takes no operation any more"):
            dist.all_reduce(tensor, group=group)
    dist.destroy_process_group(group)


ALL = [
    name
    for name, value in list(globals().items())
    if callable(value)
    and getattr(value, "__module__", None) == __name__
    and name not in {"of_rank", "everyone", "mine", "equal", "backend", "options"}
]
