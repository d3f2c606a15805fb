"""Attention in every layout, against one query after the other in float64; its gradients by autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from cases.base import Case, case, random

B, N, KV, S, D = 2, 4, 2, 5, 8
ALL = 2**31 - 1
SCALE = 0.35
QUERY = random(B, N, S, D, seed=100, low=-1, high=1)
KEY, VALUE = (random(B, KV, 6, D, seed=seed, low=-1, high=1) for seed in (101, 102))
COMPRESSED = torch.ones(2048, 2048, dtype=torch.uint8).triu(1)


@dataclass(frozen=True)
class Plan:
    """Which scores count, and what is added to them: functions of (batch, head, row, column)."""

    seen: Callable[[int, int, int, int], bool] = lambda b, n, i, j: True
    shift: Callable[[int, int, int, int], Any] = lambda b, n, i, j: 0.0
    shift_first: bool = False
    weight: Callable[[int, int, int, int], float] = lambda b, n, i, j: 1.0
    sink: torch.Tensor | None = None


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, plan: Plan = Plan(), batch: int = 0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """[heads, rows, width] of one sequence: the result, the largest score and the sum of exponentials."""
    heads, rows, _ = query.shape
    outs, tops, sums = [], [], []
    for n in range(heads):
        at = n * key.shape[0] // heads
        for i in range(rows):
            columns = [j for j in range(key.shape[1]) if plan.seen(batch, n, i, j)]
            scores = []
            for j in columns:
                score, extra = (query[n, i] * key[at, j]).sum(), plan.shift(batch, n, i, j)
                scores.append((score + extra) * SCALE if plan.shift_first else score * SCALE + extra)
            every = scores + ([plan.sink[n]] if plan.sink is not None else [])
            if not every:
                outs.append(value.new_zeros(value.shape[-1]))
                tops.append(torch.tensor(-torch.inf).double())
                sums.append(torch.tensor(torch.nan).double())
                continue
            top = torch.stack(every).max()
            powers = [(score - top).exp() for score in every]
            total = torch.stack(powers).sum()
            parts = [
                p / total * plan.weight(batch, n, i, j) * value[at, j]
                for p, j in zip(powers[: len(columns)], columns, strict=True)
            ]
            outs.append(torch.stack(parts).sum(0) if parts else value.new_zeros(value.shape[-1]))
            tops.append(top)
            sums.append(total)
    shape = (heads, rows)
    return (
        torch.stack(outs).reshape(*shape, -1),
        torch.stack(tops).reshape(shape),
        torch.stack(sums).reshape(shape),
    )


def batched(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, plan: Plan
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    parts = [attend(query[b], key[b], value[b], plan, b) for b in range(len(query))]
    return tuple(torch.stack(items) for items in zip(*parts, strict=True))  # type: ignore[return-value]


def laid(x: torch.Tensor, layout: str) -> torch.Tensor:
    """[batch, heads, rows, width] in another layout."""
    if layout == "BNSD":
        return x.contiguous()
    rows = x.transpose(1, 2)
    if layout == "BSND":
        return rows.contiguous()
    flat = rows.flatten(2)
    return flat.contiguous() if layout == "BSH" else flat.transpose(0, 1).contiguous()


def gradients(plan: Plan, grad: torch.Tensor, *more: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """By autograd of the loops above; `more` are leaves that the plan uses."""
    leaves = [x.double().requires_grad_() for x in (QUERY, KEY, VALUE)]
    out = batched(*leaves, plan)[0]
    return torch.autograd.grad(out, [*leaves, *more], grad.double())


def eights(x: torch.Tensor) -> torch.Tensor:
    return x.float().unsqueeze(-1).expand(*x.shape, 8).contiguous()


def causal(rows: int = S, columns: int = 6) -> torch.Tensor:
    return torch.ones(rows, columns).triu(1).bool()


def band(before: int, after: int, at: int) -> Callable[[int, int, int, int], bool]:
    return lambda b, n, i, j: -before <= j - i - at <= after


def _training() -> dict[str, tuple[str, Case]]:
    forms: dict[str, tuple[str, Case]] = {}

    def forward(
        label: str,
        plan: Plan,
        *,
        shift: Any = None,
        drop: Any = None,
        mask: Any = None,
        prefix: Any = None,
        keep: float = 1.0,
        pre: int = ALL,
        after: int = ALL,
        layout: str = "BNSD",
        mode: int = 0,
    ) -> None:
        out, top, total = batched(*(x.double() for x in (QUERY, KEY, VALUE)), plan)
        given = [laid(x, layout) for x in (QUERY, KEY, VALUE)]
        options = (SCALE, keep, pre, after, N, layout, 0, mode)
        forms[label] = (
            "FlashAttentionScore",
            case(
                *given,
                shift,
                drop,
                None,
                mask,
                prefix,
                *options,
                gives=(eights(top), eights(total), None, laid(out.float(), layout)),
                rtol=1e-4,
                atol=1e-5,
            ),
        )
        grad = random(B, N, S, D, seed=103)
        found = [x.float() for x in gradients(plan, grad)]
        forms[f"gradient, {label}"] = (
            "FlashAttentionScoreGrad",
            case(
                *given,
                laid(grad, layout),
                shift,
                drop,
                None,
                mask,
                None,
                None,
                None,
                None,
                prefix,
                *options,
                gives=(*(laid(x, layout) for x in found), None),
                rtol=1e-4,
                atol=1e-5,
            ),
        )

    for layout in ("BNSD", "BSND", "BSH", "SBH"):
        forward(f"{layout}, grouped heads", Plan(), layout=layout)
    forward("mask", Plan(seen=lambda b, n, i, j: j <= i), mask=causal(), after=0)
    forward("band of a mask", Plan(seen=band(2, 1, 0)), mask=~_band_mask(2, 1), pre=2, after=1)
    forward("mode 1", Plan(seen=lambda b, n, i, j: j != 2), mask=_column_mask(2), mode=1)
    forward("mode 2", Plan(seen=lambda b, n, i, j: j <= i), mask=COMPRESSED, mode=2)
    forward("mode 3", Plan(seen=lambda b, n, i, j: j <= i + 1), mask=COMPRESSED, mode=3)
    forward("mode 4", Plan(seen=band(1, 1, 1)), mask=COMPRESSED, mode=4, pre=1, after=1)
    forward(
        "mode 6, prefixes",
        Plan(seen=lambda b, n, i, j: j <= i + 1 or j < (4, 2)[b]),
        mask=COMPRESSED,
        mode=6,
        prefix=[4, 2],
    )
    forward("mode without a mask", Plan(), mode=3)
    shift = random(B, N, S, 6, seed=104)
    forward("shift", Plan(shift=lambda b, n, i, j: shift[b, n, i, j].double(), shift_first=True), shift=shift)
    bits = random(B * N * S * 6, seed=105) > 0.3
    forward(
        "dropout",
        Plan(weight=lambda b, n, i, j: float(bits[((b * N + n) * S + i) * 6 + j]) / 0.7),
        drop=_packed(bits),
        keep=0.7,
    )
    return forms


def _column_mask(column: int) -> torch.Tensor:
    mask = torch.zeros(S, 6, dtype=torch.bool)
    mask[:, column] = True
    return mask


def _band_mask(before: int, after: int) -> torch.Tensor:
    return torch.tensor([[-before <= j - i <= after for j in range(6)] for i in range(S)])


def _packed(bits: torch.Tensor) -> torch.Tensor:
    length = (len(bits) + 127) // 128 * 16
    data = [
        sum(int(bit) << k for k, bit in enumerate(bits[8 * i : 8 * i + 8].tolist())) for i in range(length)
    ]
    return torch.tensor(data, dtype=torch.uint8)


def _newer() -> dict[str, tuple[str, Case]]:
    """Shifts behind the scale, slopes, sinks, and parts that are rotated apart."""
    slopes = random(N, seed=106)
    sink = random(N, seed=107, low=-1, high=1)
    shift = random(1, N, S, 6, seed=108)
    doubles = tuple(x.double() for x in (QUERY, KEY, VALUE))
    options = (SCALE, 1.0, ALL, ALL, N, "BNSD", 0, 0)
    behind = Plan(shift=lambda b, n, i, j: shift[0, n, i, j].double())
    leaf = shift.double().requires_grad_()
    leafy = Plan(shift=lambda b, n, i, j: leaf[0, n, i, j])
    sloped = Plan(shift=lambda b, n, i, j: -slopes[n].double() * abs(i + 2 - j - 1))
    rooted = Plan(shift=lambda b, n, i, j: -slopes[n].double() * abs(i - j) ** 0.5)
    sunk = Plan(sink=sink.double())
    grad = random(B, N, S, D, seed=109)
    close = {"rtol": 1e-4, "atol": 1e-5}

    def gives(plan: Plan) -> tuple[Any, ...]:
        out, top, total = batched(*doubles, plan)
        return eights(top), eights(total), None, out.float()

    sink_leaf = sink.double().requires_grad_()
    sink_grads = [x.float() for x in gradients(Plan(sink=sink_leaf), grad, sink_leaf)]
    shift_grads = [x.float() for x in gradients(leafy, grad, leaf)]
    given = (QUERY, KEY, VALUE)
    nothing = (None,) * 4
    return {
        "shift behind the scale": (
            "FlashAttentionScoreV2",
            case(
                *given, shift, None, None, None, None, None, None, *options, 0, gives=gives(behind), **close
            ),
        ),
        "slopes of the distance": (
            "FlashAttentionScoreV2",
            case(*given, slopes, None, None, None, None, [2], [1], *options, 2, gives=gives(sloped), **close),
        ),
        "slopes of the root": (
            "FlashAttentionScoreV2",
            case(
                *given, slopes, None, None, None, None, None, None, *options, 3, gives=gives(rooted), **close
            ),
        ),
        "gradient of the shift": (
            "FlashAttentionScoreGradV2",
            case(
                *given,
                grad,
                shift,
                None,
                None,
                None,
                *nothing,
                None,
                None,
                None,
                *options,
                0,
                gives=tuple(shift_grads),
                **close,
            ),
        ),
        "sink": (
            "FlashAttentionScoreV3",
            case(
                *given,
                None,
                None,
                None,
                None,
                sink,
                None,
                None,
                None,
                *options,
                1,
                gives=gives(sunk),
                **close,
            ),
        ),
        "gradient of the sink": (
            "FlashAttentionScoreGradV3",
            case(
                *given,
                grad,
                None,
                None,
                None,
                None,
                *nothing,
                sink,
                None,
                None,
                None,
                *options,
                1,
                gives=(*sink_grads[:3], None, sink_grads[3]),
                **close,
            ),
        ),
    }


ENDS = ([3, 3, 7], [4, 4, 10])


def _flat() -> dict[str, tuple[str, Case]]:
    """TND: sequences of several lengths, one of them empty."""
    query = random(7, N, D, seed=110, low=-1, high=1)
    key, value = (random(10, KV, D, seed=seed, low=-1, high=1) for seed in (111, 112))
    rope = random(7, N, 4, seed=113, low=-1, high=1), random(10, KV, 4, seed=114, low=-1, high=1)
    sink = random(N, seed=115)
    pieces = [(slice(0, 3), slice(0, 4)), (slice(3, 7), slice(4, 10))]
    grad = random(7, N, D, seed=116)
    close = {"rtol": 1e-4, "atol": 1e-5}

    def run(plans: Sequence[Plan], q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> list[torch.Tensor]:
        parts = [
            attend(q[rows].transpose(0, 1), k[columns].transpose(0, 1), v[columns].transpose(0, 1), plan)
            for plan, (rows, columns) in zip(plans, pieces, strict=True)
        ]
        return [torch.cat([item.transpose(0, 1) for item in items]) for items in zip(*parts, strict=True)]

    def gives(plans: Sequence[Plan], q: torch.Tensor = query, k: torch.Tensor = key) -> tuple[Any, ...]:
        out, top, total = run(plans, q.double(), k.double(), value.double())
        return eights(top), eights(total), None, out.float()

    def grads(plans: Sequence[Plan], q: torch.Tensor, k: torch.Tensor) -> list[torch.Tensor]:
        leaves = [x.double().requires_grad_() for x in (q, k, value)]
        return [x.float() for x in torch.autograd.grad(run(plans, *leaves)[0], leaves, grad.double())]

    wide = torch.cat([query, rope[0]], -1), torch.cat([key, rope[1]], -1)
    corner = [Plan(seen=lambda b, n, i, j: j <= i + 1), Plan(seen=lambda b, n, i, j: j <= i + 2)]
    cut = [corner[0], Plan(seen=band(6, -1, 2))]
    plain = (SCALE, 1.0, ALL, ALL, N, "TND", 0)
    given = (query, key, value, None, None, None)
    every = [Plan(), Plan()]
    of_corner = grads(corner, query, key)
    roped = grads(corner, *wide)
    split = (roped[0][..., :D], roped[0][..., D:], roped[1][..., :D], roped[1][..., D:], roped[2])
    sunk = [replace(plan, sink=sink.double()) for plan in corner]
    back = (query, key, value, grad, None, None, None, COMPRESSED, None, None, None, None)
    rope_back = (
        query,
        rope[0],
        key,
        rope[1],
        value,
        grad,
        None,
        None,
        None,
        COMPRESSED,
        None,
        None,
        None,
        None,
    )
    return {
        "TND": (
            "FlashAttentionVarLenScore",
            case(*given, None, None, *ENDS, *plain, 0, gives=gives(every), **close),
        ),
        "TND, mode 3": (
            "FlashAttentionVarLenScore",
            case(*given, COMPRESSED, None, *ENDS, *plain, 3, gives=gives(corner), **close),
        ),
        "TND, mode 7": (
            "FlashAttentionVarLenScore",
            case(
                *given, COMPRESSED, None, *ENDS, SCALE, 1.0, 6, -1, N, "TND", 0, 7, gives=gives(cut), **close
            ),
        ),
        "TND, V2": (
            "FlashAttentionVarLenScoreV2",
            case(*given, COMPRESSED, None, *ENDS, None, None, *plain, 3, 1, gives=gives(corner), **close),
        ),
        "TND, rotated parts": (
            "FlashAttentionVarLenScoreV3",
            case(
                query,
                rope[0],
                key,
                rope[1],
                value,
                None,
                None,
                None,
                COMPRESSED,
                None,
                *ENDS,
                None,
                None,
                *plain,
                3,
                1,
                gives=gives(corner, *wide),
                **close,
            ),
        ),
        "TND, V4": (
            "FlashAttentionVarLenScoreV4",
            case(*given, COMPRESSED, None, *ENDS, *plain, 3, "same_as_input", gives=gives(corner), **close),
        ),
        "TND, sink": (
            "FlashAttentionVarLenScoreV5",
            case(
                query,
                None,
                key,
                None,
                value,
                None,
                None,
                None,
                COMPRESSED,
                sink,
                None,
                *ENDS,
                None,
                None,
                *plain,
                3,
                1,
                "",
                gives=gives(sunk),
                **close,
            ),
        ),
        "gradient, TND": (
            "FlashAttentionUnpaddingScoreGrad",
            case(*back, None, *ENDS, *plain, 3, gives=(*of_corner, None), **close),
        ),
        "gradient, TND, V2": (
            "FlashAttentionUnpaddingScoreGradV2",
            case(*back, None, *ENDS, None, None, *plain, 3, 1, gives=(*of_corner, None), **close),
        ),
        "gradient, TND, rotated parts": (
            "FlashAttentionUnpaddingScoreGradV3",
            case(*rope_back, None, *ENDS, None, None, *plain, 3, 1, gives=(*split, None), **close),
        ),
        "gradient, TND, V4": (
            "FlashAttentionUnpaddingScoreGradV4",
            case(*back, None, *ENDS, *plain, 3, "same_as_input", gives=(*of_corner, None), **close),
        ),
        "gradient, TND, V5": (
            "FlashAttentionUnpaddingScoreGradV5",
            case(
                *rope_back,
                None,
                None,
                *ENDS,
                None,
                None,
                *plain,
                3,
                1,
                "",
                gives=(*split, None, None),
                **close,
            ),
        ),
    }


def _inference() -> dict[str, tuple[str, Case]]:
    forms: dict[str, tuple[str, Case]] = {}
    close = {"rtol": 1e-4, "atol": 1e-5}
    doubles = tuple(x.double() for x in (QUERY, KEY, VALUE))
    lengths, key_lengths = [5, 3], [6, 4]
    full, top, total = batched(*doubles, Plan(seen=lambda b, n, i, j: j < key_lengths[b]))
    sums = (top + total.log()).float().unsqueeze(-1)
    for b, length in enumerate(lengths):
        full[b, :, length:], sums[b, :, length:] = 0, torch.inf
    out = full.float()
    nothing = (None,) * 5

    def infer(
        name: str,
        label: str,
        wanted: Any,
        query: torch.Tensor,
        keys: Any,
        values: Any,
        *,
        shift: Any = None,
        mask: Any = None,
        q_lengths: Any = None,
        k_lengths: Any = None,
        table: Any = None,
        quant: Sequence[Any] = (None,) * 4,
        prefix: Sequence[Any] = (None,) * 3,
        extra: Sequence[Any] = (None,) * 3,
        more: Sequence[Any] = (),
        layout: str = "BNSD",
        mode: int = 0,
        block: int = 0,
        pre: int = ALL,
        after: int = ALL,
        lse: bool = False,
        modes: Sequence[int] = (0, 0),
        last: Sequence[Any] = (),
        loose: Any = close,
    ) -> None:
        forms[label] = (
            name,
            case(
                query,
                keys,
                values,
                shift,
                mask,
                q_lengths,
                k_lengths,
                *nothing,
                None,
                None,
                table,
                None,
                None,
                *quant,
                *prefix,
                *extra,
                *more,
                N,
                SCALE,
                pre,
                after,
                layout,
                KV,
                mode,
                0,
                block,
                0,
                lse,
                *modes,
                *last,
                gives=wanted,
                **loose,
            ),
        )

    infer(
        "FusedInferAttentionScoreV3",
        "lengths and sums",
        (out, sums),
        QUERY,
        [KEY],
        [VALUE],
        q_lengths=lengths,
        k_lengths=key_lengths,
        lse=True,
    )
    whole = batched(*doubles, Plan())[0].float()
    for layout in ("BSND", "BSH"):
        given = [laid(x, layout) for x in (QUERY, KEY, VALUE)]
        infer(
            "FusedInferAttentionScoreV3",
            layout,
            (laid(whole, layout), None),
            given[0],
            [given[1]],
            [given[2]],
            layout=layout,
        )
    infer(
        "FusedInferAttentionScoreV3",
        "BNSD_BSND",
        (laid(whole, "BSND"), None),
        QUERY,
        [KEY],
        [VALUE],
        layout="BNSD_BSND",
    )
    corner = batched(*doubles, Plan(seen=lambda b, n, i, j: j <= i + 1))[0].float()
    infer(
        "FusedInferAttentionScoreV3",
        "mode 3 of inference",
        (corner, None),
        QUERY,
        [KEY],
        [VALUE],
        mask=COMPRESSED,
        mode=3,
    )
    masked = batched(*doubles, Plan(seen=lambda b, n, i, j: j <= i))[0].float()
    infer(
        "FusedInferAttentionScoreV3",
        "mask of each batch",
        (masked, None),
        QUERY,
        [KEY],
        [VALUE],
        mask=causal().expand(B, 1, S, 6).contiguous(),
        after=0,
    )

    # Keys and values in blocks of 4, in any order.
    table = torch.tensor([[3, 0], [2, 4]], dtype=torch.int32)
    caches = [random(5, 4, KV * D, seed=seed) for seed in (117, 118)]
    for cache, source in zip(caches, (KEY, VALUE), strict=True):
        for b in range(B):
            for j in range(6):
                cache[table[b, j // 4], j % 4] = source[b, :, j].flatten()
    in_blocks = [[cache] for cache in caches]
    heads = [[cache.reshape(5, 4, KV, D).transpose(1, 2).contiguous()] for cache in caches]
    paged = {"k_lengths": key_lengths, "q_lengths": lengths, "table": table, "block": 4}
    infer(
        "FusedInferAttentionScoreV3",
        "blocks of rows",
        (laid(out, "BSND"), None),
        laid(QUERY, "BSND"),
        *in_blocks,
        layout="BSND",
        **paged,
    )
    infer("FusedInferAttentionScoreV3", "blocks of heads", (out, None), QUERY, *heads, **paged)
    flat = torch.cat([laid(QUERY, "BSND")[0], laid(QUERY, "BSND")[1, :3]])
    flat_out = torch.cat([laid(out, "BSND")[0], laid(out, "BSND")[1, :3]])
    infer(
        "FusedInferAttentionScoreV3",
        "TND in blocks",
        (flat_out, None),
        flat,
        *in_blocks,
        layout="TND",
        q_lengths=[5, 8],
        k_lengths=key_lengths,
        table=table,
        block=4,
    )

    # int8 keys and values, a scale and an offset of each column.
    steps = [random(KV, D, seed=seed, low=0.01, high=0.02) for seed in (119, 120)]
    shift = random(KV, D, seed=121, low=-3, high=3)
    ints = [
        (x / step[None, :, None]).round().clamp(-128, 127).to(torch.int8)
        for x, step in zip((KEY, VALUE), steps, strict=True)
    ]
    numbers = [
        (ints[0].double() + shift.double()[None, :, None]) * steps[0].double()[None, :, None],
        ints[1].double() * steps[1].double()[None, :, None],
    ]
    anti = batched(doubles[0], *numbers, Plan())[0].float()
    zero = torch.zeros(KV, D)
    infer(
        "FusedInferAttentionScoreV2",
        "int8 keys and values",
        (anti, None),
        QUERY,
        [ints[0]],
        [ints[1]],
        quant=(steps[0], shift, steps[1], zero),
        extra=(),
    )

    # A prefix that both sequences share, parts that are rotated apart, a sink.
    first = [random(1, KV, 3, D, seed=seed, low=-1, high=1) for seed in (122, 123)]
    longer = [
        torch.cat([p[:, :, :2].expand(B, -1, -1, -1), x], 2).double()
        for p, x in zip(first, (KEY, VALUE), strict=True)
    ]
    shared = batched(doubles[0], *longer, Plan())[0].float()
    infer(
        "FusedInferAttentionScoreV3",
        "a shared prefix",
        (shared, None),
        QUERY,
        [KEY],
        [VALUE],
        prefix=(*first, [2]),
    )
    rope = random(B, N, S, 4, seed=124, low=-1, high=1), random(B, KV, 6, 4, seed=125, low=-1, high=1)
    wide = [torch.cat([x, r], -1).double() for x, r in zip((QUERY, KEY), rope, strict=True)]
    infer(
        "FusedInferAttentionScoreV4",
        "rotated parts",
        (batched(*wide, doubles[2], Plan())[0].float(), None),
        QUERY,
        [KEY],
        [VALUE],
        extra=(*rope, None),
        more=(None, None),
        last=(0,),
    )
    sink = random(N, seed=126)
    infer(
        "FusedInferAttentionScoreV5",
        "a sink",
        (batched(*doubles, Plan(sink=sink.double()))[0].float(), None),
        QUERY,
        [KEY],
        [VALUE],
        more=(None, sink, None, None),
        last=(0, 0),
    )

    bsh = [laid(x, "BSH") for x in (QUERY, KEY, VALUE)]
    forms["prompt"] = (
        "PromptFlashAttentionV3",
        case(
            *bsh,
            None,
            causal(),
            *[None] * 7,
            N,
            SCALE,
            ALL,
            0,
            "BSH",
            KV,
            0,
            0,
            gives=laid(masked, "BSH"),
            **close,
        ),
    )
    one = QUERY[:, :, :1]
    step = batched(one.double(), *doubles[1:], Plan(seen=lambda b, n, i, j: j < key_lengths[b]))[0].float()
    both = torch.stack([steps[0], steps[1]])
    int_step = batched(
        one.double(), *(ints[i].double() * steps[i].double()[None, :, None] for i in (0, 1)), Plan()
    )[0]
    forms["one token"] = (
        "IncreFlashAttentionV4",
        case(
            one,
            [KEY],
            [VALUE],
            None,
            None,
            key_lengths,
            *[None] * 9,
            N,
            SCALE,
            "BNSD",
            KV,
            0,
            1,
            gives=step,
            **close,
        ),
    )
    forms["one token, int8 keys and values"] = (
        "IncreFlashAttentionV4",
        case(
            one,
            [ints[0]],
            [ints[1]],
            None,
            None,
            None,
            *[None] * 5,
            both,
            None,
            None,
            None,
            N,
            SCALE,
            "BNSD",
            KV,
            0,
            1,
            gives=int_step.float(),
            **close,
        ),
    )
    halves = [
        attend(doubles[0][0], doubles[1][0][:, part], doubles[2][0][:, part])
        for part in (slice(0, 2), slice(2, 6))
    ]
    joined, most, every = attend(*(x[0] for x in doubles))
    forms["parts of the keys"] = (
        "AttentionUpdate",
        case(
            [(top + total.log()).flatten().float() for _, top, total in halves],
            [part.reshape(-1, D).float() for part, _, _ in halves],
            1,
            gives=(joined.reshape(-1, D).float(), (most + every.log()).flatten().float()),
            **close,
        ),
    )
    return forms


FORMS: tuple[dict[str, tuple[str, Case]], ...] = (_training(), _newer(), _flat(), _inference())

INVALID = 161002


def _infer_with(
    *,
    mask: Any = None,
    layout: str = "BNSD",
    mode: int = 0,
    heads: int = N,
    table: Any = None,
    block: int = 0,
) -> tuple[Any, ...]:
    return (
        QUERY,
        [KEY],
        [VALUE],
        None,
        mask,
        None,
        None,
        *[None] * 7,
        table,
        None,
        None,
        *[None] * 7,
        None,
        None,
        None,
        heads,
        SCALE,
        ALL,
        ALL,
        layout,
        KV,
        mode,
        0,
        block,
        0,
        False,
        0,
        0,
    )


_FLASH = (QUERY, KEY, VALUE, None, None, None, COMPRESSED, None, SCALE, 1.0, ALL, ALL, N, "BNSD", 0)
_OUT = (torch.zeros(B, N, S, 8), torch.zeros(B, N, S, 8), None, QUERY)
REFUSED = (
    ("FusedInferAttentionScoreV3", _infer_with(mode=3), (QUERY, None), INVALID, "'attenMask' is NULL"),
    (
        "FusedInferAttentionScoreV3",
        _infer_with(mode=3, mask=causal()),
        (QUERY, None),
        INVALID,
        r"'attenMask' has shape \[5, 6\]; with a sparseMode of 3 it must be 2048 x 2048",
    ),
    (
        "FusedInferAttentionScoreV3",
        _infer_with(layout="BDSN"),
        (QUERY, None),
        INVALID,
        "'inputLayout' is 'BDSN'",
    ),
    ("FusedInferAttentionScoreV3", _infer_with(heads=3), (QUERY, None), INVALID, "'numHeads' is 3"),
    ("FlashAttentionScore", (*_FLASH, 9), _OUT, INVALID, "'sparseMode' is 9"),
    ("FlashAttentionScore", (*_FLASH, 6), _OUT, INVALID, "'prefix' must have 2 numbers"),
)
