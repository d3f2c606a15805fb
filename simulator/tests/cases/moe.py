"""Mixture of experts, against loops over tokens and experts in float64."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from cases.base import Case, case, random

TOKENS, TOP_K, WIDTH, EXPERTS = 5, 2, 4, 6
T = random(TOKENS, WIDTH, seed=20, low=-1, high=1)
CHOSEN = torch.tensor([[3, 0], [1, 3], [0, 5], [3, 1], [2, 0]], dtype=torch.int32)
PROBS = random(TOKENS, TOP_K, seed=21)
LOGITS = random(4, 8, seed=22, low=-2, high=2)
I32 = torch.int32


def ints(values: Sequence[object], dtype: torch.dtype = I32) -> torch.Tensor:
    return torch.tensor(values, dtype=dtype)


def slots(chosen: torch.Tensor) -> list[int]:
    """Slots (token * k + choice) ordered by expert; equal ones keep their order."""
    flat = chosen.flatten().tolist()
    return sorted(range(len(flat)), key=lambda slot: (flat[slot], slot))


def places(order: Sequence[int]) -> list[int]:
    """Where each slot went."""
    found = [0] * len(order)
    for place, slot in enumerate(order):
        found[slot] = place
    return found


ORDER = slots(CHOSEN)
PLACES = places(ORDER)
PERMUTED = torch.stack([T[slot // TOP_K] for slot in ORDER])
COUNTS = [CHOSEN.flatten().tolist().count(expert) for expert in range(EXPERTS)]


def unpermuted(
    rows: torch.Tensor, index: Sequence[int], weights: torch.Tensor | None, k: int
) -> torch.Tensor:
    out = torch.zeros(len(index) // k, rows.shape[1], dtype=torch.float64)
    for slot, place in enumerate(index):
        if place < len(rows):
            weight = 1.0 if weights is None else float(weights.flatten()[slot])
            out[slot // k] += rows[place].double() * weight
    return out.float()


def _permutations() -> dict[str, tuple[str, Case]]:
    short = PERMUTED[:7]
    grad = random(TOKENS, WIDTH, seed=23)
    grad_rows, grad_probs = torch.zeros(len(ORDER), WIDTH), torch.zeros(TOKENS, TOP_K)
    for slot, place in enumerate(PLACES):
        token, choice = divmod(slot, TOP_K)
        grad_rows[place] = grad[token] * PROBS[token, choice]
        grad_probs[token, choice] = (grad[token] * PERMUTED[place]).sum()
    one = CHOSEN[:, 0]
    one_order = slots(one)
    return {
        "all": ("MoeTokenPermute", case(T, CHOSEN, 0, False, gives=(PERMUTED, ints(PLACES)))),
        "the first rows": ("MoeTokenPermute", case(T, CHOSEN, 7, False, gives=(short, ints(PLACES)))),
        "without the last rows": ("MoeTokenPermute", case(T, CHOSEN, -3, False, gives=(short, ints(PLACES)))),
        "one expert each": (
            "MoeTokenPermute",
            case(T, one, 0, False, gives=(T[one_order], ints(places(one_order)))),
        ),
        "bfloat16, int64": (
            "MoeTokenPermute",
            case(T.bfloat16(), CHOSEN.long(), 0, False, gives=(PERMUTED.bfloat16(), ints(PLACES))),
        ),
        "gradient": (
            "MoeTokenPermuteGrad",
            case(PERMUTED, ints(PLACES), TOP_K, False, gives=unpermuted(PERMUTED, PLACES, None, TOP_K)),
        ),
        "gradient of the first rows": (
            "MoeTokenPermuteGrad",
            case(short, ints(PLACES), TOP_K, False, gives=unpermuted(short, PLACES, None, TOP_K)),
        ),
        "weighted": (
            "MoeTokenUnpermute",
            case(
                PERMUTED, ints(PLACES), PROBS, False, None, gives=unpermuted(PERMUTED, PLACES, PROBS, TOP_K)
            ),
        ),
        "not weighted": (
            "MoeTokenUnpermute",
            case(T, ints(places(one_order)), None, False, None, gives=T[places(one_order)]),
        ),
        "gradients": (
            "MoeTokenUnpermuteGrad",
            case(PERMUTED, grad, ints(PLACES), PROBS, False, None, gives=(grad_rows, grad_probs)),
        ),
    }


def gating(
    x: torch.Tensor,
    k: int,
    *,
    bias: torch.Tensor | None = None,
    groups: int = 1,
    k_group: int = 1,
    best: int = 1,
    kind: int = 0,
    renorm: bool = False,
    scale: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Weights, experts and norms, row by row, as CANN's page on aclnnMoeGatingTopK says."""
    norm = x.double().softmax(-1) if kind == 0 else x.double().sigmoid()
    weights, chosen = [], []
    for row in norm:
        value = row if bias is None else row + bias.double()
        size = len(row) // groups
        score = [sum(sorted(value[g * size : (g + 1) * size].tolist())[-best:]) for g in range(groups)]
        kept = sorted(range(groups), key=lambda g: (-score[g], g))[:k_group]
        allowed = [e for e in range(len(row)) if e // size in kept]
        top = sorted(allowed, key=lambda e: (-float(value[e]), e))[:k]
        weight = row[top]
        if kind != 0 or renorm:
            weight = weight / (weight.sum() + 1e-20)
        weights.append(weight * scale)
        chosen.append(top)
    return torch.stack(weights).float(), ints(chosen), norm.float()


def _gatings() -> dict[str, tuple[str, Case]]:
    soft, soft_index, all_soft = gating(LOGITS, 3)
    rows = ints([[i + 4 * j for j in range(3)] for i in range(4)])
    finished = torch.tensor([False, True, False, False])
    done = soft_index.clone()
    done[1] = 8
    after, after_index, _ = gating(LOGITS, 3, renorm=True)
    bias = random(8, seed=24)
    deep = gating(LOGITS, 3, bias=bias, groups=4, k_group=2, best=2, kind=1, scale=2.5)
    largest = gating(LOGITS, 2, groups=2, k_group=1, renorm=True)
    table = ints([[0, 1], [2, 3], [7, 4]])
    ids = ints([2, 0, 1, 2], torch.int64)
    hashed = table[ids]
    norm = LOGITS.double().sigmoid()
    picked = norm.gather(1, hashed.long())
    return {
        "softmax of all": ("MoeGatingTopKSoftmax", case(LOGITS, None, 3, gives=(soft, soft_index, rows))),
        "a finished row": ("MoeGatingTopKSoftmax", case(LOGITS, finished, 3, gives=(soft, done, rows))),
        "softmax first, and written": (
            "MoeGatingTopKSoftmaxV2",
            case(LOGITS, None, 3, 0, True, gives=(soft, soft_index, all_soft)),
        ),
        "softmax of the k": (
            "MoeGatingTopKSoftmaxV2",
            case(LOGITS, None, 3, 1, False, gives=(after, after_index, None)),
        ),
        "sigmoid, bias, best two of groups": (
            "MoeGatingTopK",
            case(LOGITS, bias, 3, 2, 4, 1, 0, 1, True, 2.5, 1e-20, gives=deep),
        ),
        "softmax, best of groups, renorm": (
            "MoeGatingTopK",
            case(LOGITS, None, 2, 1, 2, 0, 1, 0, False, 1.0, 1e-20, gives=(*largest[:2], None)),
        ),
        "top k": (
            "MoeGatingTopKV2",
            case(LOGITS, bias, None, None, 3, 2, 4, 1, 0, 1, True, 2.5, 1e-20, gives=deep),
        ),
        "experts of a table": (
            "MoeGatingTopKV2",
            case(
                LOGITS,
                None,
                ids,
                table,
                2,
                1,
                1,
                0,
                0,
                1,
                False,
                1.0,
                1e-20,
                gives=((picked / picked.sum(-1, keepdim=True)).float(), hashed, None),
            ),
        ),
    }


def padded(capacity: int) -> tuple[torch.Tensor, list[int]]:
    """Rows of each expert, cut or filled, and where each slot went (-1: nowhere)."""
    out, went, filled = torch.zeros(EXPERTS, capacity, WIDTH), [-1] * CHOSEN.numel(), [0] * EXPERTS
    for slot in ORDER:
        expert = int(CHOSEN.flatten()[slot])
        if filled[expert] < capacity:
            went[slot] = expert * capacity + filled[expert]
            out[expert, filled[expert]] = T[slot // TOP_K]
        filled[expert] += 1
    return out, went


def dynamic(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    step = rows.double().abs().amax(-1, keepdim=True) / 127
    return (rows.double() / step).round().to(torch.int8), step.flatten().float()


def _routings() -> dict[str, tuple[str, Case]]:
    sums = torch.tensor(COUNTS).cumsum(0)
    by_column = ints([[row + TOKENS * choice for choice in range(TOP_K)] for row in range(TOKENS)])
    order = sorted(range(CHOSEN.numel()), key=lambda i: (int(CHOSEN.flatten()[i]), i))
    sources = [int(by_column.flatten()[i]) for i in order]
    pad, went = padded(1)
    count64 = torch.tensor(COUNTS)
    scale = random(TOKENS, seed=25)
    smooth = random(EXPERTS, WIDTH, seed=26)
    first, end = 1, 4
    inside = [slot for slot in ORDER if first <= int(CHOSEN.flatten()[slot]) < end]
    scattered = ints(inside + [77] * (CHOSEN.numel() - len(inside)))
    partly = torch.cat(
        [T[[slot // TOP_K for slot in inside]], torch.full((len(ORDER) - len(inside), WIDTH), 77.0)]
    )
    gathered = [-1] * len(ORDER)
    for place, slot in enumerate(inside):
        gathered[slot] = place
    int8, steps = dynamic(PERMUTED * torch.stack([smooth[int(CHOSEN.flatten()[s])] for s in ORDER]))
    static = (PERMUTED.double() * 20 + 3).round().clamp(-128, 127).to(torch.int8)
    busy = [[e, n] for e, n in enumerate(COUNTS) if n]
    pairs = torch.tensor(busy + [[0, 0]] * (EXPERTS - len(busy)))
    plain = (0, 0, EXPERTS, 0)
    return {
        "by columns": (
            "MoeInitRouting",
            case(
                T,
                by_column,
                CHOSEN,
                TOKENS,
                gives=(
                    T[[s % TOKENS for s in sources]],
                    ints(places(sources)),
                    CHOSEN.flatten().sort().values,
                ),
            ),
        ),
        "without limits, cumulated": (
            "MoeInitRoutingV2",
            case(T, CHOSEN, *plain, 1, False, gives=(PERMUTED, ints(PLACES), sums.int(), None)),
        ),
        "the first rows, counted": (
            "MoeInitRoutingV2",
            case(
                T, CHOSEN, 6, 0, EXPERTS, 0, 2, False, gives=(PERMUTED[:6], ints(PLACES), ints(COUNTS), None)
            ),
        ),
        "with a capacity": (
            "MoeInitRoutingV2",
            case(T, CHOSEN, 0, 1, EXPERTS, 1, 0, True, gives=(pad, ints(went), None, ints(COUNTS))),
        ),
        "not quantized": (
            "MoeInitRoutingV3",
            case(
                T,
                CHOSEN,
                None,
                None,
                *plain,
                1,
                True,
                -1,
                None,
                0,
                gives=(PERMUTED, ints(PLACES), count64, None),
            ),
        ),
        "scale of rows": (
            "MoeInitRoutingV3",
            case(
                T,
                CHOSEN,
                scale,
                None,
                *plain,
                0,
                True,
                -1,
                [0, EXPERTS],
                0,
                gives=(PERMUTED, ints(PLACES), sums, scale[[s // TOP_K for s in ORDER]]),
            ),
        ),
        "some experts, scatter index": (
            "MoeInitRoutingV3",
            case(
                T,
                CHOSEN,
                None,
                None,
                *plain,
                1,
                True,
                -1,
                [first, end],
                1,
                gives=(partly, scattered, count64[first:end], None),
            ),
        ),
        "some experts, gather index": (
            "MoeInitRoutingV3",
            case(
                T,
                CHOSEN,
                None,
                None,
                *plain,
                1,
                True,
                -1,
                [first, end],
                0,
                gives=(partly, ints(gathered), count64[first:end], None),
            ),
        ),
        "pairs of expert and count": (
            "MoeInitRoutingV3",
            case(
                T,
                CHOSEN,
                None,
                None,
                *plain,
                2,
                True,
                -1,
                [0, EXPERTS],
                0,
                gives=(PERMUTED, ints(PLACES), pairs, None),
            ),
        ),
        "int8 by rows, smoothed": (
            "MoeInitRoutingV3",
            case(
                T,
                CHOSEN,
                smooth,
                None,
                *plain,
                1,
                True,
                1,
                [0, EXPERTS],
                0,
                gives=(int8, ints(PLACES), count64, steps),
            ),
        ),
        "int8 by one scale": (
            "MoeInitRoutingV3",
            case(
                T,
                CHOSEN,
                torch.tensor([20.0]),
                torch.tensor([3.0]),
                *plain,
                1,
                True,
                0,
                None,
                0,
                gives=(static, ints(PLACES), count64, None),
            ),
        ),
        "capacity of each expert": (
            "MoeInitRoutingV3",
            case(
                T,
                CHOSEN,
                None,
                None,
                0,
                1,
                EXPERTS,
                1,
                1,
                True,
                -1,
                [0, EXPERTS],
                0,
                gives=(pad, ints(went), count64, None),
            ),
        ),
        "ends of experts": (
            "MoeComputeExpertTokens",
            case(CHOSEN.flatten().sort().values, EXPERTS, gives=sums.int()),
        ),
    }


def finalized(
    rows: torch.Tensor,
    index: Sequence[int],
    *,
    mode: int,
    skips: Sequence[torch.Tensor] = (),
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    out = sum((skip.double() for skip in skips), torch.zeros(TOKENS, WIDTH, dtype=torch.float64))
    for token in range(TOKENS):
        for choice in range(TOP_K):
            place = index[token * TOP_K + choice] if mode >= 2 else index[token + choice * TOKENS]
            row = (
                torch.zeros(WIDTH, dtype=torch.float64)
                if place < 0
                else rows.reshape(-1, WIDTH)[place].double()
            )
            if bias is not None:
                row = row + bias[int(CHOSEN[token, choice])].double()
            out[token] += float(PROBS[token, choice]) * row
    return out.float()


def _ends() -> dict[str, tuple[str, Case]]:
    skip1, skip2 = random(TOKENS, WIDTH, seed=27), random(TOKENS, WIDTH, seed=28)
    bias = random(EXPERTS, WIDTH, seed=29)
    pad, went = padded(1)
    by_column = [PLACES[token * TOP_K + choice] for choice in range(TOP_K) for token in range(TOKENS)]
    summed = finalized(PERMUTED, by_column, mode=0, skips=(skip1, skip2), bias=bias)
    alpha1, alpha2, constant = (random(1, WIDTH, seed=seed) for seed in (30, 31, 32))
    special = torch.zeros(TOKENS, WIDTH, dtype=torch.float64)
    for token in range(TOKENS):
        for choice in range(TOP_K):
            expert = int(CHOSEN[token, choice])
            row = PERMUTED[PLACES[token * TOP_K + choice]]
            row = {0: T[token] * 0, 3: T[token], 5: alpha1[0] * T[token] + alpha2[0] * constant[0]}.get(
                expert, row
            )
            special[token] += float(PROBS[token, choice]) * row.double()
    return {
        "by columns": (
            "MoeFinalizeRouting",
            case(PERMUTED, skip1, skip2, bias, PROBS, ints(by_column), CHOSEN, gives=summed),
        ),
        "by columns, mode 0": (
            "MoeFinalizeRoutingV2",
            case(PERMUTED, ints(by_column), skip1, skip2, bias, PROBS, CHOSEN, 0, gives=summed),
        ),
        "by rows, mode 2": (
            "MoeFinalizeRoutingV2",
            case(
                PERMUTED,
                ints(PLACES),
                skip1,
                None,
                None,
                PROBS,
                None,
                2,
                gives=finalized(PERMUTED, PLACES, mode=2, skips=(skip1,)),
            ),
        ),
        "padded, by rows, mode 3": (
            "MoeFinalizeRoutingV2",
            case(pad, ints(went), None, None, None, PROBS, None, 3, gives=finalized(pad, went, mode=3)),
        ),
        "experts that copy, do nothing or are constant": (
            "MoeFinalizeRoutingV4",
            case(
                PERMUTED,
                ints(PLACES),
                None,
                None,
                None,
                PROBS,
                CHOSEN,
                T,
                alpha1,
                alpha2,
                constant,
                2,
                [0, 1],
                [3, 4],
                [5, 6],
                TOP_K,
                gives=special.float(),
            ),
        ),
    }


FORMS: tuple[dict[str, tuple[str, Case]], ...] = (_permutations(), _gatings(), _routings(), _ends())

#: What CANN refuses: operator, arguments that are read, outputs, code, what the message must name.
TILING = 561002
REFUSED = (
    ("MoeTokenPermute", (T, CHOSEN, 0, True), (PERMUTED, ints(PLACES)), TILING, "'paddedMode' is true"),
    (
        "MoeTokenPermute",
        (T, CHOSEN[:3], 0, False),
        (PERMUTED, ints(PLACES)),
        TILING,
        r"'indices' has shape \[3, 2\]",
    ),
    ("MoeGatingTopKSoftmax", (LOGITS, None, 9), (T, CHOSEN, CHOSEN), TILING, "'k' is 9; it must be 0 to"),
    (
        "MoeGatingTopK",
        (LOGITS, None, 3, 1, 4, 1, 0, 1, False, 1.0, 1e-20),
        (T, CHOSEN, None),
        TILING,
        "'k' is 3; it must be 1 to 2",
    ),
    (
        "MoeGatingTopK",
        (LOGITS, None, 1, 1, 3, 0, 0, 1, False, 1.0, 1e-20),
        (T, CHOSEN, None),
        TILING,
        "'groupCount' is 3; it must divide",
    ),
    (
        "MoeInitRoutingV3",
        (T, CHOSEN, None, None, 0, 0, EXPERTS, 0, 1, True, 0, None, 0),
        (PERMUTED, ints(PLACES), torch.tensor(COUNTS), None),
        TILING,
        "'scale' and 'offset' must be given",
    ),
    (
        "MoeInitRoutingV3",
        (T, CHOSEN, None, None, 0, 0, EXPERTS, 0, 1, True, -1, [4, 9], 0),
        (PERMUTED, ints(PLACES), torch.tensor(COUNTS), None),
        TILING,
        r"'activeExpertRange' is \[4, 9\]",
    ),
    (
        "MoeFinalizeRoutingV2",
        (PERMUTED, ints(PLACES), None, T, None, PROBS, None, 2),
        (T,),
        TILING,
        "'x2' is given without 'x1'",
    ),
)
