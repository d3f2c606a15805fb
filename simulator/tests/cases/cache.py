"""Paged keys and values and rotary embeddings, against loops over tokens."""

from __future__ import annotations

import torch

from cases.base import Case, case, random

BLOCKS, SIZE, HEADS, WIDTH = 3, 4, 2, 16
KEY, VALUE = random(5, HEADS, WIDTH, seed=80).half(), random(5, HEADS, WIDTH, seed=81).half()
SLOTS = torch.tensor([7, 0, -1, 11, 5], dtype=torch.int32)
CACHES = tuple(random(BLOCKS, SIZE, HEADS, WIDTH, seed=seed).half() for seed in (82, 83))


def scattered(cache: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """A cache [blocks, size, heads, width] with the rows in their slots."""
    out = cache.clone()
    for row, slot in zip(rows, SLOTS.tolist(), strict=True):
        if slot >= 0:
            out[slot // SIZE, slot % SIZE] = row
    return out


def private(cache: torch.Tensor, n: int = 16) -> torch.Tensor:
    """[blocks, heads * width / n, size, n]."""
    blocks, size = cache.shape[:2]
    return cache.reshape(blocks, size, -1, n).transpose(1, 2).contiguous()


def _caches() -> dict[str, tuple[str, Case]]:
    given = (KEY, CACHES[0], SLOTS, VALUE, CACHES[1])
    full = tuple(scattered(cache, rows) for cache, rows in zip(CACHES, (KEY, VALUE), strict=True))
    tables = torch.tensor([[2, 0], [1, 1]], dtype=torch.int32)
    lengths = torch.tensor([5, 3], dtype=torch.int32)
    room = torch.zeros(8, HEADS, WIDTH).half()
    flat = torch.zeros(8, HEADS * WIDTH).half()
    picked = [(2, 0), (2, 1), (2, 2), (2, 3), (0, 0), (1, 0), (1, 1), (1, 2)]
    found = tuple(torch.stack([cache[at] for at in picked]) for cache in CACHES)
    wide = tuple(rows.flatten(1) for rows in found)
    nz = tuple(private(cache) for cache in CACHES)
    turned = tuple(cache.transpose(1, 2).contiguous() for cache in CACHES)
    rest = (None, None, None)
    return {
        "rows of heads": ("ScatterPaKvCache", case(*given, *rest, "Norm", "None", None, None, gives=full)),
        "private format": (
            "ScatterPaKvCache",
            case(
                KEY,
                nz[0],
                SLOTS,
                VALUE,
                nz[1],
                *rest,
                "PA_NZ",
                "None",
                None,
                None,
                gives=tuple(private(cache) for cache in full),
            ),
        ),
        "heads first": (
            "ScatterPaKvCache",
            case(
                KEY,
                turned[0],
                SLOTS,
                VALUE,
                turned[1],
                *rest,
                "Norm",
                "NHSD",
                None,
                None,
                gives=tuple(cache.transpose(1, 2).contiguous() for cache in full),
            ),
        ),
        "lengths": (
            "GatherPaKvCache",
            case(*CACHES, tables, lengths, room, room.clone(), None, "Norm", False, gives=found),
        ),
        "cumulated lengths": (
            "GatherPaKvCache",
            case(
                *CACHES,
                tables,
                torch.tensor([0, 5, 8], dtype=torch.int32),
                room,
                room.clone(),
                None,
                "Norm",
                True,
                gives=found,
            ),
        ),
        "private caches": (
            "GatherPaKvCache",
            case(*nz, tables, lengths, flat, flat.clone(), None, "PA_NZ", False, gives=wide),
        ),
    }


def halves(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Pairs of elements become halves, which are turned."""
    a, b = x[..., ::2].double(), x[..., 1::2].double()
    return torch.cat([a, b], -1) * cos.double() + torch.cat([-b, a], -1) * sin.double()


def _norms() -> dict[str, tuple[str, Case]]:
    batch, tokens, rope, normed = 2, 3, 64, 32
    kv = random(batch, 1, tokens, normed + rope, seed=84, low=-1, high=1).half()
    gamma = random(normed, seed=85).half()
    cos, sin = (random(batch, 1, tokens, rope, seed=seed, low=-1, high=1).half() for seed in (86, 87))
    x = kv[..., :normed].double()
    norm = x * (x.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * gamma.double()
    turned = halves(kv[..., normed:], cos, sin)
    k_cache, v_cache = random(2, 16, 1, rope, seed=88).half(), random(2, 16, 1, normed, seed=89).half()
    slots = torch.tensor([17, 3, -1, 0, 31, 8])
    k_full, v_full = k_cache.clone(), v_cache.clone()
    for i, slot in enumerate(slots.tolist()):
        if slot >= 0:
            k_full[slot // 16, slot % 16, 0] = turned[i // tokens, 0, i % tokens].half()
            v_full[slot // 16, slot % 16, 0] = norm[i // tokens, 0, i % tokens].half()
    plain_k, plain_v = random(batch, 1, 5, rope, seed=90).half(), random(batch, 1, 5, normed, seed=91).half()
    where = torch.tensor([[4, 0, 1], [2, -1, 3]])
    k_plain, v_plain = plain_k.clone(), plain_v.clone()
    for b in range(batch):
        for t in range(tokens):
            if where[b, t] >= 0:
                k_plain[b, 0, where[b, t]] = turned[b, 0, t].half()
                v_plain[b, 0, where[b, t]] = norm[b, 0, t].half()
    given = (kv, gamma, cos, sin)
    none = (None,) * 4
    loose = {"rtol": 2e-3, "atol": 2e-3}
    return {
        "in blocks, with outputs": (
            "KvRmsNormRopeCache",
            case(
                *given,
                slots,
                k_cache,
                v_cache,
                *none,
                1e-5,
                "PA_BNSD",
                True,
                gives=(k_full, v_full, turned.half(), norm.half()),
                **loose,
            ),
        ),
        "by sequence": (
            "KvRmsNormRopeCacheV2",
            case(
                *given,
                where,
                plain_k,
                plain_v,
                *none,
                None,
                1e-5,
                "Norm",
                True,
                gives=(k_plain, v_plain, turned.half(), norm.half()),
                **loose,
            ),
        ),
    }


def _rotary() -> dict[str, tuple[str, Case]]:
    x = random(2, 3, 4, 64, seed=92, low=-1, high=1)
    cos, sin = (random(2, 1, 4, 64, seed=seed, low=-1, high=1) for seed in (93, 94))
    table = random(10, 16, seed=95, low=-1, high=1)
    positions = torch.tensor([3, 0, 9])
    query, key = random(3, 40, seed=96, low=-1, high=1), random(3, 20, seed=97, low=-1, high=1)

    def neox(rows: torch.Tensor, c: torch.Tensor, s: torch.Tensor, pairs: bool = False) -> torch.Tensor:
        out = rows.double().reshape(3, -1, 20).clone()
        for i in range(8):
            a, b = (2 * i, 2 * i + 1) if pairs else (i, i + 8)
            first, second = out[..., a].clone(), out[..., b].clone()
            out[..., a] = first * c[:, i, None] - second * s[:, i, None]
            out[..., b] = second * c[:, i, None] + first * s[:, i, None]
        return out.reshape(rows.shape).float()

    c, s = table[positions, :8].double(), table[positions, 8:].double()
    three = torch.tensor([[3, 0, 9], [1, 2, 3], [5, 5, 5]])
    sections = [2, 3, 3]
    owner = [0, 0, 1, 1, 1, 2, 2, 2]
    mc = torch.stack([table[three[owner[i]], i] for i in range(8)], 1).double()
    ms = torch.stack([table[three[owner[i]], 8 + i] for i in range(8)], 1).double()
    mixed = [i % 3 if i % 3 and i < 9 else 0 for i in range(8)]
    ic = torch.stack([table[three[mixed[i]], i] for i in range(8)], 1).double()
    isn = torch.stack([table[three[mixed[i]], 8 + i] for i in range(8)], 1).double()
    matrix = random(64, 64, seed=98, low=-1, high=1)
    return {
        "pairs to halves": ("InterleaveRope", case(x, cos, sin, gives=halves(x, cos, sin).float())),
        "halves of a part": (
            "RopeWithSinCosCache",
            case(positions, query, key, table, None, 20, True, gives=(neox(query, c, s), neox(key, c, s))),
        ),
        "pairs of a part": (
            "RopeWithSinCosCache",
            case(
                positions,
                query,
                key,
                table,
                None,
                20,
                False,
                gives=(neox(query, c, s, True), neox(key, c, s, True)),
            ),
        ),
        "three positions, one after the other": (
            "RopeWithSinCosCacheV2",
            case(
                three,
                query,
                key,
                table,
                sections,
                20,
                True,
                0,
                gives=(neox(query, mc, ms), neox(key, mc, ms)),
            ),
        ),
        "three positions, in turns": (
            "RopeWithSinCosCacheV2",
            case(
                three,
                query,
                key,
                table,
                sections,
                20,
                True,
                1,
                gives=(neox(query, ic, isn), neox(key, ic, isn)),
            ),
        ),
        "with a matrix": (
            "RotaryPositionEmbeddingV2",
            case(
                x,
                cos,
                sin,
                0,
                matrix,
                gives=(x.double() * cos + (x.double() @ matrix.double()) * sin).float(),
                rtol=1e-5,
                atol=1e-5,
            ),
        ),
    }


FORMS: tuple[dict[str, tuple[str, Case]], ...] = (_caches(), _norms(), _rotary())

TILING, INVALID = 561002, 161002
REFUSED = (
    (
        "ScatterPaKvCache",
        (KEY, CACHES[0], SLOTS, VALUE, CACHES[1], None, None, None, "Norm", "Omni", None, None),
        (),
        INVALID,
        "'scatterMode' is 'Omni'",
    ),
    (
        "ScatterPaKvCache",
        (KEY, CACHES[0], SLOTS[:4], VALUE, CACHES[1], None, None, None, "Norm", "None", None, None),
        (),
        INVALID,
        r"'slotMapping' has shape \[4\] for 5 tokens",
    ),
    (
        "RopeWithSinCosCacheV2",
        (torch.tensor([[0], [0], [0]]), random(1, 20), random(1, 20), random(9, 16), [2, 3, 4], 20, True, 0),
        (random(1, 20), random(1, 20)),
        TILING,
        "'mropeSection' adds up to 9",
    ),
    (
        "InterleaveRope",
        (random(1, 1, 2, 32), random(1, 1, 2, 32), random(1, 1, 2, 32)),
        (random(1, 1, 2, 32),),
        TILING,
        "a width of 64",
    ),
)
