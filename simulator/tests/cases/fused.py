"""Random numbers, dropout, rotary position embedding and attention.

Operators that draw random numbers give what a seed decides: here only what no seed changes is compared, the
rest is in test_random.py.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812

from cases.base import SIGNED, Case, X, case, gradient, random

QUERY, KEY, VALUE = (random(2, 3, 5, 8, seed=seed, low=-1, high=1) for seed in range(3))
COS, SIN = random(1, 1, 5, 8, seed=3), random(1, 1, 5, 8, seed=4)
KEPT = torch.tensor([0b01101101, 0b00001011] + [0] * 14, dtype=torch.uint8)
BITS = torch.tensor([(int(KEPT[i // 8]) >> (i % 8)) & 1 for i in range(12)]).reshape(3, 4)


def _half(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    left, right = x.chunk(2, -1)
    return x * cos + torch.cat([-right, left], -1) * sin


def _pairs(x: torch.Tensor) -> torch.Tensor:
    return x * COS + torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2) * SIN


def _attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=0.5)


def _attentions() -> dict[str, Case]:
    out = _attention(QUERY, KEY, VALUE)
    causal = torch.ones(5, 5).triu(1).bool()
    scores = (0.5 * QUERY @ KEY.transpose(-1, -2)).masked_fill(causal, -torch.inf)
    largest = scores.amax(-1, keepdim=True)
    sums = (scores - largest).exp().sum(-1, keepdim=True)
    options = (0.5, 1.0, 2**31 - 1, 2**31 - 1, 3, "BNSD", 0)
    flat = [x.transpose(1, 2).flatten(2) for x in (QUERY, KEY, VALUE, out)]
    # Both sequences in one, rows first: with their ends beside.
    packed = [x.transpose(1, 2).flatten(0, 1) for x in (QUERY, KEY, VALUE, out, largest, sums)]
    ends = ([5, 10], [5, 10])
    rows = (0.5, 1.0, 2**31 - 1, 2**31 - 1, 3, "TND", 0)
    gradients = [x.transpose(1, 2).flatten(0, 1) for x in gradient(_attention, QUERY, KEY, VALUE, grad=out)]
    return {
        "FlashAttentionScore": case(
            QUERY, KEY, VALUE, None, None, None, causal, None, *options, 0,
            gives=(largest.expand(-1, -1, -1, 8), sums.expand(-1, -1, -1, 8), None, out),
        ),
        "FlashAttentionScoreGrad": case(
            QUERY, KEY, VALUE, out, None, None, None, causal, None, None, None, None, None, *options, 2,
            gives=(*gradient(_attention, QUERY, KEY, VALUE, grad=out), None),
        ),
        "FlashAttentionVarLenScore": case(
            *packed[:3], None, None, None, causal, None, *ends, *rows, 0,
            gives=(packed[4].expand(-1, -1, 8), packed[5].expand(-1, -1, 8), None, packed[3]),
        ),
        "FlashAttentionUnpaddingScoreGrad": case(
            *packed[:4], None, None, None, causal, None, None, None, None, None, *ends, *rows, 0,
            gives=(*gradients, None),
        ),
        "PromptFlashAttentionV3": case(
            *flat[:3], None, causal, *[None] * 7, 3, 0.5, 2**31 - 1, 0, "BSH", 3, 0, 0, gives=flat[3]
        ),
    }  # fmt: skip


ROTARY = {
    "RotaryPositionEmbedding": case(QUERY, COS, SIN, 1, gives=_pairs(QUERY)),
    "RotaryPositionEmbeddingGrad": case(
        KEY, COS, SIN, QUERY, 0, gives=gradient(_half, QUERY, COS, SIN, grad=KEY)
    ),
    "ApplyRotaryPosEmb": case(QUERY, KEY, COS, SIN, 1, gives=(_half(QUERY, COS, SIN), _half(KEY, COS, SIN))),
    "ApplyRotaryPosEmbV2": case(QUERY, KEY, COS, SIN, 1, "interleave", gives=(_pairs(QUERY), _pairs(KEY))),
}

CERTAIN = {
    "InplaceBernoulliTensor": case(X, (SIGNED > 0).float(), 1, 0, gives=(SIGNED > 0).float()),
    "NormalFloatFloat": case(2.0, 0.0, 1, 0, gives=torch.full((3, 4), 2.0)),
    "NormalFloatTensor": case(2.0, X * 0, 1, 0, gives=torch.full((3, 4), 2.0)),
    "NormalTensorFloat": case(X, 0.0, 1, 0, gives=X),
    "NormalTensorTensor": case(X, X * 0, 1, 0, gives=X),
    "Multinomial": case(torch.eye(3), 1, True, 1, 0, gives=torch.tensor([[0], [1], [2]])),
    "DropoutGenMask": case([3, 4], 0.0, 1, 0, gives=torch.tensor([255, 15] + [0] * 14, dtype=torch.uint8)),
    "DropoutGenMaskV2": case(
        [3, 4], 0.0, 1, 0, torch.float32, gives=torch.tensor([255, 15] + [0] * 14, dtype=torch.uint8)
    ),
    "DropoutDoMask": case(X, KEPT, 0.5, gives=X * BITS * 2),
    "DropoutV3": case(
        X, None, 0.0, 1, 0, gives=(X, torch.tensor([255, 15] + [0] * 14, dtype=torch.uint8))
    ),
    "MaskedScale": case(X, BITS.to(torch.uint8), 2.0, gives=X * BITS * 2),
}  # fmt: skip

CASES = {**_attentions(), **ROTARY, **CERTAIN}

#: Operators whose numbers only a seed decides; test_random.py has their tests.
SEEDED = frozenset({"InplaceRandomWithoutFromTo", "Randperm", "SimThreadExponential"})
