"""Operators that all ranks of a communicator compute together, against loops over tokens in float64.

Each form is a function of the World of one rank. Every rank makes the operands of all, which depend on the
number of the rank alone, and so knows what it must get.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch

from cases.base import random

K, N, ROWS = 256, 24, 8
INVALID, NULL, TILING = 161002, 161001, 561002


@dataclass(frozen=True)
class World:
    """One rank, its device and its communicator."""

    simulator: Any
    rank: int
    size: int
    group: str

    def run(self, name: str, *values: Any) -> None:
        """The operator on what is given: tensors go to the device, `Room` is an output."""
        self.simulator.run(name, *map(self._given, values))

    def prepare(self, name: str, *values: Any) -> None:
        self.simulator.prepare(name, *map(self._given, values))

    def _given(self, value: Any) -> Any:
        if isinstance(value, Room):
            value.on(self.simulator)
            return value.tensor
        return self.simulator.put(value) if isinstance(value, torch.Tensor) else value


class Room:
    """An output; what the operator does not write stays 77."""

    def __init__(self, *shape: int, dtype: torch.dtype = torch.float16) -> None:
        self.shape, self.dtype, self.tensor, self.simulator = shape, dtype, None, None

    def on(self, simulator: Any) -> None:
        if self.tensor is None:
            self.simulator, self.tensor = simulator, simulator.room(*self.shape, dtype=self.dtype)

    def get(self) -> torch.Tensor:
        return self.simulator.get(self.tensor)


def near(actual: torch.Tensor, wanted: torch.Tensor, about: str) -> None:
    torch.testing.assert_close(
        actual.double(), wanted.double(), rtol=4e-3, atol=4e-3, msg=lambda text: f"{about}: {text}"
    )


def same(actual: torch.Tensor, wanted: torch.Tensor, about: str) -> None:
    torch.testing.assert_close(
        actual, wanted.to(actual.dtype), rtol=0, atol=0, msg=lambda text: f"{about}: {text}"
    )


def numbers(*shape: int, seed: int, dtype: torch.dtype = torch.float16) -> torch.Tensor:
    return random(*shape, seed=seed, low=-0.25, high=0.25).to(dtype)


def small(*shape: int, seed: int) -> torch.Tensor:
    return (random(*shape, seed=seed, low=-1, high=1) * 7).round().to(torch.int8)


def product(x1: torch.Tensor, x2: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    y = x1.double() @ x2.double()
    return y if bias is None else y + bias.double()


# ---- products of what lies on all ranks ----------------------------------------------------------
def all_gather_matmul(world: World, dtype: torch.dtype = torch.float16, gathered: bool = True) -> None:
    parts = [numbers(ROWS, K, seed=rank, dtype=dtype) for rank in range(world.size)]
    x2 = numbers(N, K, seed=50, dtype=dtype).t()  # transposed, as torch_npu gives weights
    bias = numbers(N, seed=51, dtype=dtype) if gathered else None
    y = Room(ROWS * world.size, N, dtype=dtype)
    all_rows = Room(ROWS * world.size, K, dtype=dtype) if gathered else Room(0, dtype=dtype)
    world.run("AllGatherMatmul", parts[world.rank], x2, bias, world.group, 0, 0, 1, y, all_rows)
    near(y.get(), product(torch.cat(parts), x2, bias), "output")
    if gathered:
        same(all_rows.get(), torch.cat(parts), "gatherOut")


def all_gather_matmul_v2(world: World, whole: bool) -> None:
    x2 = small(K, N, seed=50) if whole else numbers(K, N, seed=50)
    parts = [(small if whole else numbers)(ROWS, K, seed=rank) for rank in range(world.size)]
    scales = [random(ROWS, 1, seed=60 + rank, low=0.01, high=0.02) for rank in range(world.size)]
    column = random(1, N, seed=70, low=0.01, high=0.02)
    y = Room(ROWS * world.size, N)
    given = (scales[world.rank], column) if whole else (None, None)
    world.run(
        "AllGatherMatmulV2", parts[world.rank], x2, None, *given, None, 0, world.group, 0, 0, 1, 0, "aiv", y,
        None, None,
    )  # fmt: skip
    wanted = product(torch.cat(parts), x2)
    near(y.get(), wanted * torch.cat(scales).double() * column.double() if whole else wanted, "output")


def reduce_scatter_parts(world: World) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    rows = 4 * world.size
    return (
        [numbers(rows, K, seed=rank) for rank in range(world.size)],
        [numbers(K, N, seed=80 + rank) for rank in range(world.size)],
    )


def matmul_reduce_scatter(world: World, v2: bool = False) -> None:
    x1, x2 = reduce_scatter_parts(world)
    y = Room(4, N)
    if v2:
        world.run(
            "MatmulReduceScatterV2", x1[world.rank], x2[world.rank], None, None, None, None, 0, world.group,
            "sum", 0, 1, 0, "aiv", y, None,
        )  # fmt: skip
    else:
        world.run("MatmulReduceScatter", x1[world.rank], x2[world.rank], None, world.group, "sum", 0, 1, y)
    total = sum((product(a, b) for a, b in zip(x1, x2, strict=True)), torch.zeros(()).double())
    near(y.get(), total[world.rank * 4 :][:4], "output")


def matmul_all_reduce(world: World, third: bool = False) -> None:
    x1 = [numbers(2, 3, K, seed=rank) for rank in range(world.size)]
    x2 = [numbers(K, N, seed=80 + rank) for rank in range(world.size)]
    x3 = [numbers(2, 3, N, seed=90 + rank) for rank in range(world.size)]
    bias, y = numbers(N, seed=51), Room(2, 3, N)
    more = (x3[world.rank],) if third else ()
    world.run(
        "MatmulAllReduceV2" if third else "MatmulAllReduce", x1[world.rank], x2[world.rank], bias, *more,
        world.group, "sum", 0, 1, y,
    )  # fmt: skip
    total = sum((product(a, b, bias) for a, b in zip(x1, x2, strict=True)), torch.zeros(()).double())
    near(y.get(), total + sum(x.double() for x in x3) if third else total, "output")


def quant_matmul_all_reduce(world: World, token: bool) -> None:
    x1 = [small(ROWS, K, seed=rank) for rank in range(world.size)]
    x2 = [small(K, N, seed=80 + rank) for rank in range(world.size)]
    scale = random(N, seed=70, low=0.001, high=0.002)
    rows = [random(ROWS, seed=60 + rank, low=0.5, high=2) for rank in range(world.size)]
    bias = (random(N, seed=71, low=-1, high=1) * 90).to(torch.int32)
    y = Room(ROWS, N, dtype=torch.bfloat16)
    given = (x1[world.rank], x2[world.rank], bias, None, scale.bfloat16())
    if token:
        world.run("QuantMatmulAllReduceV2", *given, rows[world.rank], world.group, "sum", 0, 1, y)
    else:
        world.run("QuantMatmulAllReduce", *given, world.group, "sum", 0, 1, y)
    total = torch.zeros(ROWS, N).double()
    for rank in range(world.size):
        part = product(x1[rank], x2[rank], bias) * scale.bfloat16().double()
        total += part * rows[rank].double()[:, None] if token else part
    torch.testing.assert_close(y.get().double(), total, rtol=2e-2, atol=2e-2)


def weight_quant_matmul_all_reduce(world: World) -> None:
    x1 = [numbers(ROWS, K, seed=rank) for rank in range(world.size)]
    x2 = [small(K, N, seed=80 + rank) for rank in range(world.size)]
    scale, offset = (random(N, seed=seed, low=0.01, high=0.02).half() for seed in (70, 71))
    x3, y = numbers(ROWS, N, seed=90), Room(ROWS, N)
    world.run(
        "WeightQuantMatmulAllReduce", x1[world.rank], x2[world.rank], None, scale, offset, x3, world.group,
        "sum", 0, 1, 0, y,
    )  # fmt: skip
    total = torch.zeros(ROWS, N).double()
    for rank in range(world.size):
        total += product(x1[rank], (x2[rank].double() + offset.double()) * scale.double()) + x3.double()
    torch.testing.assert_close(y.get().double(), total, rtol=4e-3, atol=1e-2)


# ---- products of experts on other ranks ----------------------------------------------------------
EXPERTS_OF_A_RANK = 2


def counts_of(world: World) -> list[list[int]]:
    """Rows that each rank sends to each expert of all, some of them none."""
    experts = EXPERTS_OF_A_RANK * world.size
    return [[(3 * rank + 2 * expert) % 4 for expert in range(experts)] for rank in range(world.size)]


def received(counts: Sequence[Sequence[int]], rank: int) -> list[int]:
    """By rank that they come from, and there by expert of this rank."""
    first = rank * EXPERTS_OF_A_RANK
    return [count for row in counts for count in row[first : first + EXPERTS_OF_A_RANK]]


def routed(world: World) -> tuple[list[list[torch.Tensor]], list[torch.Tensor]]:
    """The rows of each rank for each expert; the weights of all experts."""
    width, out = 6, 5
    rows = [
        [numbers(count, width, seed=100 + 10 * rank + expert) for expert, count in enumerate(row)]
        for rank, row in enumerate(counts_of(world))
    ]
    experts = EXPERTS_OF_A_RANK * world.size
    return rows, [numbers(width, out, seed=200 + expert) for expert in range(experts)]


def all_to_all_grouped_matmul(world: World, transposed: bool = False) -> None:
    counts, (rows, weights) = counts_of(world), routed(world)
    first = world.rank * EXPERTS_OF_A_RANK
    mine = torch.stack(weights[first : first + EXPERTS_OF_A_RANK])
    came = [torch.cat([row[first + expert] for row in rows]) for expert in range(EXPERTS_OF_A_RANK)]
    total = sum(map(len, came))
    shared, shared_weight = numbers(3, 4, seed=300), numbers(4, 7, seed=301)
    y, mm_y, permuted = Room(total, 5), Room(3, 7), Room(total, 6)
    world.run(
        "AlltoAllvGroupedMatMul", torch.cat(rows[world.rank]),
        mine.transpose(1, 2).contiguous() if transposed else mine, None, None, shared,
        shared_weight.t().contiguous() if transposed else shared_weight, world.group, world.size,
        counts[world.rank], received(counts, world.rank), transposed, transposed, True, y, mm_y, permuted,
    )  # fmt: skip
    near(y.get(), torch.cat([product(*pair) for pair in zip(came, mine, strict=True)]), "gmmY")
    near(mm_y.get(), product(shared, shared_weight), "mmY")
    same(permuted.get(), torch.cat(came), "permuteOut")


def grouped_matmul_all_to_all(world: World) -> None:
    """The way back: what came is multiplied where the expert is and returns."""
    counts, (rows, weights) = counts_of(world), routed(world)
    first = world.rank * EXPERTS_OF_A_RANK
    mine = torch.stack(weights[first : first + EXPERTS_OF_A_RANK])
    here = torch.cat([row[first + expert] for expert in range(EXPERTS_OF_A_RANK) for row in rows])
    y = Room(sum(counts[world.rank]), 5)
    world.run(
        "GroupedMatMulAlltoAllv", here, mine, None, None, None, None, world.group, world.size,
        received(counts, world.rank), counts[world.rank], False, False, y, None,
    )  # fmt: skip
    wanted = [product(*pair) for pair in zip(rows[world.rank], weights, strict=True)]
    near(y.get(), torch.cat(wanted), "y")


# ---- the way of tokens to experts and back -------------------------------------------------------
@dataclass(frozen=True)
class Plan:
    """What is special about a dispatch and the combine that follows it."""

    version: int = 4
    tokens: int = 5
    choices: int = 3
    experts: int = 4  # of each rank that has such experts
    shared: int = 1
    shared_ranks: int = 0
    quantized: bool = False
    smooth: bool = False
    masked: str = ""  # "tokens" or "choices"
    cumulated: bool = False
    weighted: bool = False  # the weights go along
    zero: int = 0
    copy: int = 0
    beside: bool = False  # the combine adds what an expert that all share has computed

    width = 32

    def all_experts(self, world: World) -> int:
        return self.experts * (world.size - self.shared_ranks)


class Tokens:
    """What one rank sends."""

    def __init__(self, plan: Plan, every: int, rank: int) -> None:
        self.x = numbers(plan.tokens, plan.width, seed=400 + rank)
        self.weights = random(plan.tokens, plan.choices, seed=500 + rank)
        # Different experts of each token, the same for several tokens.
        self.ids = torch.tensor(
            [[(7 * token + 3 * rank + 5 * choice) % every for choice in range(plan.choices)]
             for token in range(plan.tokens)], dtype=torch.int32,
        )  # fmt: skip
        self.mask = torch.ones(plan.tokens, plan.choices, dtype=torch.bool)
        if plan.masked == "tokens":
            self.mask[plan.tokens - 1 - rank % 2 :] = False
        if plan.masked == "choices":
            self.mask[0, 1] = self.mask[2, 0] = False
            self.mask[3] = False


@cache
def tokens_of(plan: Plan, experts: int, rank: int) -> Tokens:
    return Tokens(plan, experts + plan.zero + plan.copy, rank)


#: Of a row: where it comes from, which choice of which token it is; the expert, counted over all.
Row = tuple[int, int, int, int]


def arriving(plan: Plan, world: World, rank: int) -> list[list[Row]]:
    """The rows of each expert of a rank, by the rank that they come from, in the order of tokens."""
    copies = plan.shared_ranks // plan.shared if plan.shared_ranks else 0
    of_experts: list[list[Row]] = []
    if rank < plan.shared_ranks:
        number = rank // copies
        rows = []
        for source in range(world.size):
            tokens = tokens_of(plan, plan.all_experts(world), source)
            if source % copies == rank % copies:
                rows += [
                    (source, t, plan.choices + number, number)
                    for t in range(plan.tokens)
                    if tokens.mask[t].any()
                ]
        return [rows]
    first = (rank - plan.shared_ranks) * plan.experts
    for expert in range(first, first + plan.experts):
        rows = []
        for source in range(world.size):
            tokens = tokens_of(plan, plan.all_experts(world), source)
            rows += [
                (source, t, k, expert + (plan.shared if plan.shared_ranks else 0))
                for t in range(plan.tokens)
                for k in range(plan.choices)
                if tokens.mask[t, k] and int(tokens.ids[t, k]) == expert
            ]
        of_experts.append(rows)
    return of_experts


def expert_factor(row: Row) -> float:
    """What the expert of a row multiplies it with."""
    return 0.5 + 0.25 * (row[3] % 5)


def combined(plan: Plan, world: World, rank: int) -> torch.Tensor:
    """What a rank gets back for its tokens."""
    every = plan.all_experts(world)
    tokens = tokens_of(plan, every, rank)
    out = torch.zeros(plan.tokens, plan.width).double()
    for t in range(plan.tokens):
        for k in range(plan.choices):
            expert = int(tokens.ids[t, k])
            if not tokens.mask[t, k] or every <= expert < every + plan.zero:
                continue
            shift = plan.shared if plan.shared_ranks else 0
            factor = 1.0 if expert >= every else expert_factor((rank, t, k, expert + shift))
            out[t] += float(tokens.weights[t, k]) * factor * tokens.x[t].double()
        if plan.shared_ranks and tokens.mask[t].any():
            for number in range(plan.shared):
                out[t] += expert_factor((rank, t, 0, number)) * tokens.x[t].double()
    return out


def there_and_back(world: World, plan: Plan = Plan()) -> None:
    every, local = plan.all_experts(world), 1 if world.rank < plan.shared_ranks else plan.experts
    mine = tokens_of(plan, every, world.rank)
    most = plan.tokens * world.size
    most = (
        most * plan.shared // plan.shared_ranks
        if world.rank < plan.shared_ranks
        else most * min(local, plan.choices)
    )
    smooth = (
        random(every + (plan.shared if plan.shared_ranks else 0), plan.width, seed=600)
        if plan.smooth
        else None
    )
    place = (world.size, world.rank, every, "", 0, 0, 0, plan.shared, plan.shared_ranks)
    mask = {"": None, "tokens": mine.mask[:, 0].contiguous(), "choices": mine.mask}[plan.masked]
    expanded = Room(most, plan.width, dtype=torch.int8 if plan.quantized else torch.float16)
    scales, weights = Room(most, dtype=torch.float32), Room(most, dtype=torch.float32)
    index = Room(plan.tokens * plan.choices if plan.version == 1 else most * 128, dtype=torch.int32)
    counts, receives = Room(local, dtype=torch.int64), Room(local * world.size, dtype=torch.int32)
    late = {1: (), 2: ("",), 3: ("", plan.zero, plan.copy, 0), 4: ("", plan.zero, plan.copy, 0)}[plan.version]
    absent = {1: (), 2: (), 3: (None,), 4: (None, None)}[plan.version]  # elastic_info, performance_info
    suffix = "" if plan.version == 1 else f"V{plan.version}"
    world.run(
        f"MoeDistributeDispatch{suffix}", mine.x, mine.ids, smooth, mask,
        mine.weights if plan.weighted else None, *absent, world.group, *place,
        2 if plan.quantized else 0, 0, 0 if plan.cumulated else 1, *late, expanded, scales, index, counts,
        receives, None, weights,
    )  # fmt: skip
    of_experts = arriving(plan, world, world.rank)
    rows = [row for expert in of_experts for row in expert]
    sizes = torch.tensor([len(expert) for expert in of_experts])
    same(counts.get(), sizes.cumsum(0) if plan.cumulated else sizes, "expertTokenNums")
    sent = [tokens_of(plan, plan.all_experts(world), source) for source in range(world.size)]
    found = expanded.get()
    assert (found[len(rows) :] == 77).all(), "expandX was written behind its rows"
    values = []
    for place_, (source, t, _, expert) in enumerate(rows):
        wanted = sent[source].x[t].double()
        value = found[place_].double()
        if plan.quantized:
            given = wanted * smooth[expert].double() if plan.smooth else wanted
            step = given.abs().max() / 127
            near(scales.get()[place_], step, f"dynamicScales, row {place_}")
            same(found[place_], (given.float() / step.float()).round(), f"expandX, row {place_}")
            value = wanted  # the experts get what was sent, for the way back
        else:
            same(found[place_], sent[source].x[t], f"expandX, row {place_}")
        values.append(value * expert_factor(rows[place_]))
    if plan.weighted:
        got = weights.get()
        for place_, (source, t, k, _) in enumerate(rows):
            near(got[place_], sent[source].weights[t, k], f"expandScales, row {place_}")

    back = torch.zeros(most, plan.width, dtype=torch.float16)
    if values:
        back[: len(values)] = torch.stack(values).half()
    out = Room(plan.tokens, plan.width)
    beside = numbers(plan.tokens, plan.width, seed=700 + world.rank) if plan.beside else None
    original = mine.x if plan.copy else None
    middle = {1: (), 2: (beside,), 3: (beside, None, original, None, None, None)}
    world.run(
        f"MoeDistributeCombine{suffix}", back, mine.ids, index, receives, mine.weights, None, mask, None,
        None, None, weights if plan.weighted else None,
        *(middle.get(plan.version) if plan.version < 4 else (*middle[3], None)), world.group, *place, 0, 0, 0,
        0, *late, out,
    )  # fmt: skip
    wanted = combined(plan, world, world.rank)
    near(out.get(), wanted + beside.double() if plan.beside else wanted, "x")


BOTH = ("MoeDistributeDispatch", "MoeDistributeCombine")


def both(version: int) -> tuple[str, ...]:
    return tuple(name if version == 1 else f"{name}V{version}" for name in BOTH)


Form = tuple[tuple[str, ...], str, Callable[[World], None]]
FORMS: tuple[Form, ...] = (
    (("AllGatherMatmul",), "transposed, bias, gathered rows", all_gather_matmul),
    (("AllGatherMatmul",), "bfloat16", partial(all_gather_matmul, dtype=torch.bfloat16, gathered=False)),
    (("AllGatherMatmulV2",), "aiv", partial(all_gather_matmul_v2, whole=False)),
    (("AllGatherMatmulV2",), "int8, row and column scales", partial(all_gather_matmul_v2, whole=True)),
    (("MatmulReduceScatter",), "sum", matmul_reduce_scatter),
    (("MatmulReduceScatterV2",), "aiv", partial(matmul_reduce_scatter, v2=True)),
    (("MatmulAllReduce",), "three dimensions, bias", matmul_all_reduce),
    (("MatmulAllReduceV2",), "with x3", partial(matmul_all_reduce, third=True)),
    (("QuantMatmulAllReduce",), "column scales, bias", partial(quant_matmul_all_reduce, token=False)),
    (("QuantMatmulAllReduceV2",), "row and column scales", partial(quant_matmul_all_reduce, token=True)),
    (("WeightQuantMatmulAllReduce",), "int8 by columns, x3", weight_quant_matmul_all_reduce),
    (("AlltoAllvGroupedMatMul",), "shared expert, ordered rows", all_to_all_grouped_matmul),
    (("AlltoAllvGroupedMatMul",), "transposed", partial(all_to_all_grouped_matmul, transposed=True)),
    (("GroupedMatMulAlltoAllv",), "and back", grouped_matmul_all_to_all),
    (both(1), "plain", partial(there_and_back, plan=Plan(version=1))),
    (both(1), "shared ranks, cumulated",
     partial(there_and_back, plan=Plan(1, shared_ranks=1, cumulated=True))),
    (both(2), "weights go along", partial(there_and_back, plan=Plan(2, weighted=True))),
    (both(2), "tokens that do not count", partial(there_and_back, plan=Plan(2, masked="tokens"))),
    (both(3), "choices that do not count", partial(there_and_back, plan=Plan(3, masked="choices"))),
    (both(3), "a shared expert beside", partial(there_and_back, plan=Plan(3, beside=True))),
    (both(4), "int8", partial(there_and_back, plan=Plan(quantized=True))),
    (both(4), "int8, smoothed, shared rank",
     partial(there_and_back, plan=Plan(quantized=True, smooth=True, shared_ranks=1))),
    (both(4), "experts that give zeros or the token", partial(there_and_back, plan=Plan(zero=2, copy=1))),
)  # fmt: skip


# ---- what phase one refuses ----------------------------------------------------------------------
def changed(values: Sequence[Any], **places: Any) -> list[Any]:
    """The values with others in some places: _3=1 puts 1 into the fourth."""
    result = list(values)
    for place, value in places.items():
        result[int(place[1:])] = value
    return result


def refusals(world: World) -> list[tuple[str, list[Any], int, str]]:
    """Operator, arguments, code, a regular expression for the message."""
    x1, x2 = numbers(ROWS, K, seed=0), numbers(K, N, seed=50)
    y = Room(ROWS * world.size, N)
    gather = [x1, x2, None, world.group, 0, 0, 1, y, None]
    scatter = [x1, x2, None, world.group, "sum", 0, 1, Room(ROWS // world.size, N)]
    tokens, ids = numbers(4, 32, seed=1), torch.zeros(4, 2, dtype=torch.int32)
    experts = 2 * world.size
    dispatch = [
        tokens, ids, None, None, None, world.group, world.size, world.rank, experts, "", 0, 0, 0, 1, 0, 0, 0,
        1, "", Room(8 * world.size, 32), Room(8 * world.size, dtype=torch.float32),
        Room(8 * world.size * 128, dtype=torch.int32), Room(2, dtype=torch.int64),
        Room(2 * world.size, dtype=torch.int32), None, None,
    ]  # fmt: skip
    name = "MoeDistributeDispatchV2"
    combine = [
        numbers(8 * world.size, 32, seed=2), ids, torch.zeros(8 * world.size * 128, dtype=torch.int32),
        torch.zeros(2 * world.size, dtype=torch.int32), torch.ones(4, 2), None, None, None, None, None, None,
        None, world.group, world.size, world.rank, experts, "", 0, 0, 0, 1, 0, 0, 0, 0, 0, "", Room(4, 32),
    ]  # fmt: skip
    back = "MoeDistributeCombineV2"
    rows, weights = numbers(world.size, 6, seed=3), numbers(1, 6, 5, seed=4)
    ones = [1] * world.size
    grouped = [
        rows, weights, None, None, None, None, world.group, world.size, ones, ones, False, False, False,
        Room(world.size, 5), None, None,
    ]  # fmt: skip
    other, all_rows, there = world.size + 1, "AllGatherMatmul", "AlltoAllvGroupedMatMul"
    return [
        (
            "AllGatherMatmul",
            changed(gather, _3="nobody"),
            INVALID,
            "'group' is 'nobody'; this process has no",
        ),
        (all_rows, changed(gather, _3=None), NULL, "'group' is NULL"),
        (all_rows, changed(gather, _4=1), INVALID, "'gatherIndex' is 1; it must be 0"),
        (all_rows, changed(gather, _6=0), INVALID, "'streamMode' is 0; it must be 1"),
        (all_rows, changed(gather, _0=x1[:, :128]), INVALID, "their k must be equal"),
        (
            "AllGatherMatmul",
            changed(gather, _0=x1[:, :128], _1=x2[:128]),
            INVALID,
            "k of 128; it must be 256",
        ),
        (all_rows, changed(gather, _0=x1.float(), _1=x2.float()), INVALID, "both must be float16"),
        (
            "AllGatherMatmul",
            changed(gather, _7=Room(ROWS, N)),
            INVALID,
            r"'output' has shape \[8, 24\]",
        ),
        ("MatmulReduceScatter", changed(scatter, _4="max"), INVALID, "'reduceOp' is 'max'; it must be sum"),
        ("MatmulReduceScatter", changed(scatter, _0=x1[:7]), INVALID, "'x1' has 7 rows; the [24] ranks must"),
        ("MatmulAllReduce", changed(scatter, _7=Room(ROWS, N - 1)), INVALID, "'output' has shape"),
        (
            "AlltoAllvGroupedMatMul",
            changed(grouped, _7=other),
            INVALID,
            f"'epWorldSize' is {other}; the comm",
        ),
        (there, changed(grouped, _8=[2] * world.size), INVALID, "'gmmX' has .* add up to"),
        (
            "AlltoAllvGroupedMatMul",
            changed(grouped, _9=ones * 2),
            INVALID,
            "'recvCounts' has .* numbers; it must",
        ),
        (name, changed(dispatch, _6=other), TILING, f"'epWorldSize' is {other} .* the communicator has"),
        (name, changed(dispatch, _7=1 - world.rank % 2), TILING, "'epRankId' .*; the communicator has"),
        (name, changed(dispatch, _8=experts + 1), TILING, f"'moeExpertNum' is {experts + 1}; it must be"),
        (name, changed(dispatch, _10=2), TILING, "'tpWorldSize' is 2; the simulator has no"),
        (name, changed(dispatch, _15=1), TILING, "'quantMode' is 1; Atlas A2 and A3 take 0"),
        (name, changed(dispatch, _16=4), TILING, "'globalBs' is 4; it must be 0, or"),
        (name, changed(dispatch, _0=tokens.float()), INVALID, "'x' has data type Float; it must be"),
        (name, changed(dispatch, _1=ids.long()), INVALID, "'expertIds' has data type Long; it must be int32"),
        (name, changed(dispatch, _19=Room(3, 32)), TILING, "'expandX' has shape .* room for"),
        (name, changed(dispatch, _2=torch.ones(experts, 32)), TILING, "'scales' is given; 'quantMode' is 0"),
        (back, changed(combine, _24=2), TILING, "'commQuantMode' is 2; the simulator sends"),
        (back, changed(combine, _4=torch.ones(4, 3)), TILING, "'expertScales' has shape"),
        (
            back,
            changed(combine, _2=torch.zeros(8, dtype=torch.int32)),
            TILING,
            "'assistInfoForCombine' has",
        ),
    ]
