"""Random numbers, dropout and rotary position embedding.

Operators that draw random numbers give what a seed decides: here only what no seed changes is compared, the
rest is in test_random.py.
"""

from __future__ import annotations

import torch

from cases.base import SIGNED, X, case, gradient, random

QUERY, KEY = (random(2, 3, 5, 8, seed=seed, low=-1, high=1) for seed in range(2))
COS, SIN = random(1, 1, 5, 8, seed=3), random(1, 1, 5, 8, seed=4)
KEPT = torch.tensor([0b01101101, 0b00001011] + [0] * 14, dtype=torch.uint8)
BITS = torch.tensor([(int(KEPT[i // 8]) >> (i % 8)) & 1 for i in range(12)]).reshape(3, 4)


def _half(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    left, right = x.chunk(2, -1)
    return x * cos + torch.cat([-right, left], -1) * sin


def _pairs(x: torch.Tensor) -> torch.Tensor:
    return x * COS + torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2) * SIN


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

CASES = {**ROTARY, **CERTAIN}

#: Operators whose numbers only a seed decides; test_random.py has their tests.
SEEDED = frozenset({"InplaceRandomWithoutFromTo", "Randperm", "SimThreadExponential"})
