"""Which keys each query attends to, against one query after the other in float64."""

from __future__ import annotations

import torch

from cases.base import Case, case, random

HEADS, WIDTH, COUNT = 3, 128, 4
ALL = 2**63 - 1
INVALID, NULL = 161002, 161001


def half(*shape: int, seed: int) -> torch.Tensor:
    return random(*shape, seed=seed, low=-1, high=1).half()


QUERY, KEY = half(2, 3, HEADS, WIDTH, seed=1), half(2, 6, 1, WIDTH, seed=2)
WEIGHTS = half(2, 3, HEADS, seed=3)


def best(
    query: torch.Tensor, key: torch.Tensor, weights: torch.Tensor, causal: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """[rows, 1, COUNT] of one sequence: positions and scores, -1 and minus infinity behind the last."""
    positions, scores = [], []
    for row in range(len(query)):
        last = row + len(key) - len(query) if causal else len(key) - 1
        found = []
        for at in range(max(last + 1, 0)):
            dots = [float(query[row, head].double() @ key[at, 0].double()) for head in range(query.shape[1])]
            score = sum(float(weights[row, head]) * max(dot, 0.0) for head, dot in enumerate(dots))
            found.append((score, at))
        chosen = sorted(found, key=lambda pair: (-pair[0], pair[1]))[:COUNT]
        chosen += [(-torch.inf, -1)] * (COUNT - len(chosen))
        positions.append([at for _, at in chosen])
        scores.append([score for score, _ in chosen])
    return torch.tensor(positions, dtype=torch.int32)[:, None], torch.tensor(scores)[:, None].half()


def batches(causal: bool) -> tuple[torch.Tensor, torch.Tensor]:
    pairs = [best(QUERY[b], KEY[b], WEIGHTS[b], causal) for b in range(2)]
    return torch.stack([pair[0] for pair in pairs]), torch.stack([pair[1] for pair in pairs])


def ints(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int32)


def of_lengths(queries: tuple[int, int], keys: tuple[int, int]) -> torch.Tensor:
    """BSND with lengths: rows behind the last one have no keys."""
    out = torch.full((2, 3, 1, COUNT), -1, dtype=torch.int32)
    for b in range(2):
        rows = queries[b]
        out[b, :rows] = best(QUERY[b, :rows], KEY[b, : keys[b]], WEIGHTS[b, :rows], True)[0]
    return out


def _forms() -> dict[str, tuple[str, Case]]:
    plain, plain_scores = batches(False)
    causal, _ = batches(True)
    flat = [x.flatten(0, 1) for x in (QUERY, KEY, WEIGHTS)]
    blocks = torch.zeros(4, 16, 1, WIDTH).half()
    blocks[2, :6], blocks[1, :6] = KEY[0], KEY[1]
    name = "LightningIndexer"
    return {
        "all keys, scores": (
            name,
            case(
                QUERY, KEY, WEIGHTS, None, None, None, "BSND", "BSND", COUNT, 0, ALL, ALL, True,
                gives=(plain, plain_scores), rtol=2e-3, atol=2e-3,
            ),
        ),
        "causal, lengths": (
            name,
            case(
                QUERY, KEY, WEIGHTS, ints(3, 2), ints(5, 6), None, None, None, COUNT, 3, ALL, ALL, False,
                gives=(of_lengths((3, 2), (5, 6)), None),
            ),
        ),
        "TND": (
            name,
            case(
                *flat, ints(3, 6), ints(6, 12), None, "TND", "TND", COUNT, 3, ALL, ALL, False,
                gives=(causal.flatten(0, 1), None),
            ),
        ),
        "keys in blocks": (
            name,
            case(
                flat[0], blocks, flat[2], ints(3, 6), ints(6, 6), ints(2, 1).reshape(2, 1), "TND", "PA_BSND",
                COUNT, 3, ALL, ALL, False, gives=(causal.flatten(0, 1), None),
            ),
        ),
    }  # fmt: skip


FORMS = (_forms(),)
_OUT = (torch.zeros(2, 3, 1, COUNT, dtype=torch.int32), None)


def _with(**changes: object) -> tuple[object, ...]:
    given = {
        "query": QUERY, "key": KEY, "weights": WEIGHTS, "query_lengths": None, "key_lengths": None,
        "table": None, "query_layout": "BSND", "key_layout": "BSND", "count": COUNT, "mode": 0,
        "before": ALL, "after": ALL, "values": False,
    }  # fmt: skip
    return tuple({**given, **changes}.values())


REFUSED = (
    ("LightningIndexer", _with(count=2049), _OUT, INVALID, "'sparseCount' is 2049"),
    ("LightningIndexer", _with(mode=1), _OUT, INVALID, "'sparseMode' is 1; it must be 0 or 3"),
    ("LightningIndexer", _with(after=0), _OUT, INVALID, "'nextTokens' 0; both must be"),
    ("LightningIndexer", _with(key_layout="BNSD"), _OUT, INVALID, "'layoutKey' is 'BNSD'"),
    ("LightningIndexer", _with(key=KEY.float()), _OUT, INVALID, "'key' Float; both must be float16"),
    ("LightningIndexer", _with(key=KEY[..., :64]), _OUT, INVALID, "their D must be 128"),
    ("LightningIndexer", _with(key_layout="PA_BSND"), _OUT, NULL, "'actualSeqLengthsKey' is NULL; PA_BSND"),
    ("LightningIndexer", _with(values=True), _OUT, NULL, "'sparseValues' must have the shape"),
)
