"""Custom operators, called as libraries of models call them, against loops in float64 on the CPU."""

from __future__ import annotations

from typing import Any, Callable, Sequence

import torch
import torch_npu
from harness import Group, offered

group = Group("custom")
LOOSE = (2e-2, 2e-2)


def numbers(*shape: int, seed: int, low: float = -1.0, high: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator) * (high - low) + low


def moved(value: Any) -> Any:
    """Tensors on the device, also those in lists."""
    if isinstance(value, torch.Tensor):
        return value.to(group.device)
    if isinstance(value, list):
        return [moved(item) for item in value]
    return value


def operator(name: str) -> Any:
    found = getattr(torch_npu, name, None)
    offered(found is not None, f"torch_npu.{name}")
    return found


def near(actual: torch.Tensor, expected: torch.Tensor, tolerance: tuple[float, float]) -> None:
    torch.testing.assert_close(
        actual.cpu().float(), expected.float(), rtol=tolerance[0], atol=tolerance[1], equal_nan=True
    )


def equals(
    name: str,
    about: str,
    expected: Callable[[], Sequence[Any]],
    *given: Any,
    tolerance: tuple[float, float] = (1e-3, 1e-3),
    **options: Any,
) -> None:
    """torch_npu.name(*given, **options) gives what `expected` says; None there passes a result over."""

    def check() -> None:
        call = operator(name)
        results = call(
            *(moved(value) for value in given), **{key: moved(value) for key, value in options.items()}
        )
        found = results if isinstance(results, (tuple, list)) else [results]
        for number, wanted in enumerate(expected()):
            if wanted is not None:
                near(found[number], wanted, tolerance)

    group.add(f"{name}, {about}", check)


# -- attention ---------------------------------------------------------------------------------------------
B, N, KV, S, D = 2, 4, 2, 6, 32
Q, K, V = (numbers(B, heads, S, D, seed=seed).half() for seed, heads in enumerate((N, KV, KV)))
SCALE = D**-0.5
CAUSAL = torch.ones(S, S).triu(1).bool()
COMPRESSED = torch.ones(2048, 2048).triu(1).bool()


def attention(query: Any, key: Any, value: Any, left_out: Any = None) -> torch.Tensor:
    """[batch, heads, rows, width]; heads of keys are shared."""
    group_size = query.shape[1] // key.shape[1]
    key, value = (x.double().repeat_interleave(group_size, 1) for x in (key, value))
    scores = query.double() @ key.transpose(-1, -2) * SCALE
    if left_out is not None:
        scores = scores.masked_fill(left_out, -float("inf"))
    return scores.softmax(-1) @ value


def bsnd(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(1, 2).contiguous()


def laid(x: torch.Tensor, layout: str) -> torch.Tensor:
    rows = bsnd(x)
    made = {"BNSD": x, "BSND": rows, "BSH": rows.flatten(2), "SBH": rows.flatten(2).transpose(0, 1)}[layout]
    return made.contiguous()


for layout in ("BNSD", "BSND", "BSH", "SBH"):
    equals(
        "npu_fusion_attention",
        f"{layout}, causal",
        lambda layout=layout: [laid(attention(Q, K, V, CAUSAL), layout)],
        *(laid(x, layout) for x in (Q, K, V)),
        N,
        layout,
        scale=SCALE,
        atten_mask=COMPRESSED,
        sparse_mode=3,
        tolerance=LOOSE,
    )


def of_ends(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, ends: Sequence[int]) -> torch.Tensor:
    """TND: [rows, heads, width], causal in each sequence."""
    parts, begin = [], 0
    for end in ends:
        size = end - begin
        pieces = [x[begin:end].transpose(0, 1).unsqueeze(0) for x in (query, key, value)]
        parts.append(attention(*pieces, torch.ones(size, size).triu(1).bool())[0].transpose(0, 1))
        begin = end
    return torch.cat(parts)


TND = [bsnd(x).flatten(0, 1) for x in (Q, K, V)]
ENDS = [5, 12]
equals(
    "npu_fusion_attention",
    "TND, causal",
    lambda: [of_ends(*TND, ENDS)],
    *TND,
    N,
    "TND",
    scale=SCALE,
    atten_mask=COMPRESSED,
    sparse_mode=3,
    actual_seq_qlen=ENDS,
    actual_seq_kvlen=ENDS,
    tolerance=LOOSE,
)


@group.check
def npu_fusion_attention_gradients() -> None:
    """Through autograd, as a model that trains calls it."""
    call = operator("npu_fusion_attention")
    leaves = [x.to(group.device).requires_grad_() for x in (Q, K, V)]
    out = call(*leaves, N, "BNSD", scale=SCALE, atten_mask=CAUSAL.to(group.device), next_tockens=0)[0]
    weights = numbers(B, N, S, D, seed=9)
    (out.float() * weights.to(group.device)).sum().backward()
    wanted = [x.double().requires_grad_() for x in (Q, K, V)]
    (attention(*wanted, CAUSAL) * weights).sum().backward()
    for number, leaf in enumerate(leaves):
        near(leaf.grad, wanted[number].grad, LOOSE)


equals(
    "npu_prompt_flash_attention",
    "BSH, causal",
    lambda: [laid(attention(Q, K, V, CAUSAL), "BSH")],
    *(laid(x, "BSH") for x in (Q, K, V)),
    num_heads=N,
    num_key_value_heads=KV,
    scale_value=SCALE,
    input_layout="BSH",
    atten_mask=COMPRESSED,
    sparse_mode=2,
    tolerance=LOOSE,
)
LENGTHS = [6, 4]
BEHIND = torch.arange(S).ge(torch.tensor(LENGTHS).reshape(-1, 1, 1, 1))
equals(
    "npu_incre_flash_attention",
    "one token",
    lambda: [attention(Q[:, :, :1], K, V, BEHIND)],
    Q[:, :, :1].contiguous(),
    K,
    V,
    num_heads=N,
    num_key_value_heads=KV,
    scale_value=SCALE,
    input_layout="BNSD",
    actual_seq_lengths=LENGTHS,
    tolerance=LOOSE,
)
equals(
    "npu_fused_infer_attention_score",
    "BNSD, lengths",
    lambda: [attention(Q, K, V, BEHIND)],
    Q,
    K,
    V,
    num_heads=N,
    num_key_value_heads=KV,
    scale=SCALE,
    input_layout="BNSD",
    actual_seq_lengths_kv=LENGTHS,
    tolerance=LOOSE,
)


def in_blocks(x: torch.Tensor, table: torch.Tensor, size: int) -> torch.Tensor:
    """[blocks, block size, heads * width] with the rows of x where the table says."""
    cache = torch.zeros(int(table.max()) + 1, size, x.shape[1] * x.shape[3], dtype=x.dtype)
    for b in range(len(x)):
        for j in range(x.shape[2]):
            cache[table[b, j // size], j % size] = x[b, :, j].flatten()
    return cache


TABLE = torch.tensor([[3, 0], [2, 1]], dtype=torch.int32)
for op, options in (
    (
        "npu_fused_infer_attention_score",
        {"num_heads": N, "scale": SCALE, "actual_seq_lengths": [6, 12], "actual_seq_lengths_kv": [6, 6]},
    ),
    (
        "npu_fused_infer_attention_score_v2",
        {
            "num_query_heads": N,
            "softmax_scale": SCALE,
            "actual_seq_qlen": [6, 12],
            "actual_seq_kvlen": [6, 6],
        },
    ),
):
    equals(
        op,
        "TND, keys in blocks, causal",
        lambda: [of_ends(*TND, [6, 12])],
        TND[0],
        in_blocks(K, TABLE, 16),
        in_blocks(V, TABLE, 16),
        num_key_value_heads=KV,
        input_layout="TND",
        block_table=TABLE,
        block_size=16,
        atten_mask=COMPRESSED.to(torch.int8),
        sparse_mode=3,
        tolerance=LOOSE,
        **options,
    )

# -- norms, rotary embeddings ------------------------------------------------------------------------------
X, Y, GAMMA = numbers(5, 64, seed=10), numbers(5, 64, seed=11), numbers(64, seed=12, low=0.5)


def rms(x: torch.Tensor) -> torch.Tensor:
    return x.double() * (x.double().square().mean(-1, keepdim=True) + 1e-6).rsqrt() * GAMMA


equals("npu_rms_norm", "rows", lambda: [rms(X)], X, GAMMA)
equals("npu_add_rms_norm", "rows", lambda: [rms(X + Y), None, X + Y], X, Y, GAMMA)
equals(
    "npu_add_rms_norm_quant",
    "by division",
    lambda: [(rms(X + Y) / 0.05 + 3).round().clamp(-128, 127), None, X + Y],
    X,
    Y,
    GAMMA,
    torch.full((64,), 0.05),
    torch.full((64,), 3, dtype=torch.int32),
    tolerance=(0.0, 1.0),
)
equals("npu_swiglu", "last dimension", lambda: [torch.nn.functional.silu(X[:, :32]) * X[:, 32:]], X)
ROPE = numbers(2, 3, 4, 64, seed=13)
COS, SIN = (numbers(1, 1, 4, 64, seed=seed) for seed in (14, 15))


def half_turn(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([-x[..., 32:], x[..., :32]], -1)


def pairs_apart(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x[..., ::2], x[..., 1::2]], -1)


equals("npu_rotary_mul", "halves", lambda: [ROPE * COS + half_turn(ROPE) * SIN], ROPE, COS, SIN)
equals(
    "npu_interleave_rope",
    "pairs to halves",
    lambda: [pairs_apart(ROPE) * COS + half_turn(pairs_apart(ROPE)) * SIN],
    ROPE,
    COS,
    SIN,
)

# -- experts -----------------------------------------------------------------------------------------------
TOKENS, TOP, WIDTH, EXPERTS = 6, 2, 8, 4
T = numbers(TOKENS, WIDTH, seed=20)
CHOSEN = torch.tensor([[3, 0], [1, 3], [0, 2], [3, 1], [2, 0], [1, 0]], dtype=torch.int32)
ORDER = sorted(range(TOKENS * TOP), key=lambda slot: (int(CHOSEN.flatten()[slot]), slot))
PLACES = torch.tensor([ORDER.index(slot) for slot in range(TOKENS * TOP)], dtype=torch.int32)
ROWS = T[[slot // TOP for slot in ORDER]]
PROBS = numbers(TOKENS, TOP, seed=21, low=0.1)
COUNTS = [CHOSEN.flatten().tolist().count(e) for e in range(EXPERTS)]
SUMMED = torch.stack(
    [sum(PROBS[t, c] * ROWS[PLACES[t * TOP + c]] for c in range(TOP)) for t in range(TOKENS)]
)
LOGITS = numbers(5, EXPERTS, seed=22, low=-2, high=2)

equals("npu_moe_token_permute", "top 2", lambda: [ROWS, PLACES], T, CHOSEN)
equals("npu_moe_token_unpermute", "weighted", lambda: [SUMMED], ROWS, PLACES, PROBS)


@group.check
def npu_moe_token_permute_gradients() -> None:
    """There and back, as a layer of experts that trains calls them."""
    permute, unpermute = operator("npu_moe_token_permute"), operator("npu_moe_token_unpermute")
    tokens = T.to(group.device).requires_grad_()
    probs = PROBS.to(group.device).requires_grad_()
    rows, places = permute(tokens, CHOSEN.to(group.device))
    out = unpermute(rows * 2, places, probs)
    weights = numbers(TOKENS, WIDTH, seed=23)
    (out * weights.to(group.device)).sum().backward()
    near(tokens.grad, 2 * PROBS.sum(-1, keepdim=True) * weights, (1e-4, 1e-4))
    near(probs.grad, (2 * T * weights).sum(-1, keepdim=True).expand(-1, TOP), (1e-4, 1e-4))


equals(
    "npu_moe_gating_top_k_softmax",
    "top 2",
    lambda: list(LOGITS.softmax(-1).topk(2)),
    LOGITS,
    None,
    k=2,
)
SIGMOID = LOGITS.sigmoid().topk(2)
equals(
    "npu_moe_gating_top_k",
    "sigmoid, normalized",
    lambda: [SIGMOID.values / SIGMOID.values.sum(-1, keepdim=True), SIGMOID.indices],
    LOGITS,
    2,
    norm_type=1,
)
equals(
    "npu_moe_init_routing_v2",
    "counts",
    lambda: [ROWS, PLACES, torch.tensor(COUNTS)],
    T,
    CHOSEN,
    active_num=TOKENS * TOP,
    expert_num=EXPERTS,
    expert_tokens_num_type=1,
    expert_tokens_num_flag=True,
    quant_mode=-1,
    active_expert_range=[0, EXPERTS],
    row_idx_type=0,
)
STEP = ROWS.double().abs().amax(-1, keepdim=True) / 127
equals(
    "npu_moe_init_routing_v2",
    "int8 by rows",
    lambda: [(ROWS / STEP).round(), PLACES, None, STEP.flatten()],
    T,
    CHOSEN,
    active_num=TOKENS * TOP,
    expert_num=EXPERTS,
    expert_tokens_num_type=1,
    expert_tokens_num_flag=True,
    quant_mode=1,
    active_expert_range=[0, EXPERTS],
    row_idx_type=0,
    tolerance=(1e-5, 1e-5),
)
equals(
    "npu_moe_finalize_routing",
    "by rows",
    lambda: [SUMMED],
    ROWS,
    None,
    None,
    None,
    PROBS,
    PLACES,
    None,
    drop_pad_mode=2,
)

# -- products of groups, quantized numbers -----------------------------------------------------------------
WEIGHTS = numbers(EXPERTS, WIDTH, 16, seed=30)


def by_expert(rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    parts, begin = [], 0
    for expert, count in enumerate(COUNTS):
        parts.append(rows[begin : begin + count].double() @ weights[expert].double())
        begin += count
    return torch.cat(parts)


SIZES = torch.tensor(COUNTS)
for about, groups, kind in (("ends", SIZES.cumsum(0), 0), ("sizes", SIZES, 1)):
    equals(
        "npu_grouped_matmul",
        f"rows by {about} of groups",
        lambda: [by_expert(ROWS, WEIGHTS)],
        [ROWS],
        [WEIGHTS],
        group_list=groups,
        split_item=3,
        group_type=0,
        group_list_type=kind,
    )
equals(
    "npu_grouped_matmul",
    "no groups",
    lambda: [ROWS[:4] @ WEIGHTS[0], ROWS[4:] @ WEIGHTS[1]],
    [ROWS[:4], ROWS[4:]],
    [WEIGHTS[0], WEIGHTS[1]],
    split_item=0,
    group_type=-1,
)
INT_X, INT_W = (
    numbers(*shape, seed=seed, low=-100, high=100).to(torch.int8)
    for seed, shape in ((31, (5, 32)), (32, (32, 16)))
)
INT_STEP, TOKEN_STEP = numbers(16, seed=33, low=0.001, high=0.01), numbers(5, seed=34, low=0.5, high=1)
equals(
    "npu_quant_matmul",
    "a scale of each row and column",
    lambda: [(INT_X.long() @ INT_W.long()).double() * INT_STEP * TOKEN_STEP[:, None]],
    INT_X,
    INT_W,
    INT_STEP,
    pertoken_scale=TOKEN_STEP,
    output_dtype=torch.bfloat16,
    tolerance=LOOSE,
)
equals(
    "npu_quant_matmul",
    "whole numbers",
    lambda: [INT_X.long() @ INT_W.long()],
    INT_X,
    INT_W,
    INT_STEP,
    output_dtype=torch.int32,
)
HALF = numbers(5, 32, seed=35).half()
COLUMN = numbers(16, seed=36, low=0.001, high=0.01).half()
equals(
    "npu_weight_quant_batchmatmul",
    "int8 by columns",
    lambda: [HALF.double() @ (INT_W.double() * COLUMN.double())],
    HALF,
    INT_W,
    COLUMN,
    tolerance=LOOSE,
)
ROW_STEP = HALF.double().abs().amax(-1, keepdim=True) / 127
equals(
    "npu_dynamic_quant",
    "by rows",
    lambda: [(HALF.double() / ROW_STEP).round(), ROW_STEP.flatten()],
    HALF,
    tolerance=(1e-3, 1e-3),
)
equals(
    "npu_quantize",
    "by multiplication",
    lambda: [(X * 20 + 2).round().clamp(-128, 127)],
    X,
    torch.full((64,), 20.0),
    torch.full((64,), 2.0),
    torch.qint8,
    -1,
    False,
    tolerance=(0.0, 1.0),
)

# -- keys and values in blocks -----------------------------------------------------------------------------
NEW_KEY, NEW_VALUE = numbers(3, 2, 16, seed=40).half(), numbers(3, 2, 16, seed=41).half()
SLOTS = torch.tensor([7, 0, 11], dtype=torch.int32)


@group.check
def npu_scatter_and_gather_pa_kv_cache() -> None:
    """Rows go to their slots and come back."""
    scatter, gather = operator("npu_scatter_pa_kv_cache"), operator("npu_gather_pa_kv_cache")
    caches = [torch.zeros(3, 4, 2, 16, dtype=torch.float16, device=group.device) for _ in range(2)]
    scatter(moved(NEW_KEY), moved(NEW_VALUE), *caches, moved(SLOTS), cache_mode="Norm")
    for number, rows in enumerate((NEW_KEY, NEW_VALUE)):
        wanted = torch.zeros(12, 2, 16, dtype=torch.float16)
        wanted[SLOTS.long()] = rows
        near(caches[number].flatten(0, 1), wanted, (0.0, 0.0))
    out = [torch.zeros(4, 2, 16, dtype=torch.float16, device=group.device) for _ in range(2)]
    table, lengths = torch.tensor([[2], [1]], dtype=torch.int32), torch.tensor([4, 0], dtype=torch.int32)
    gather(*caches, moved(table), moved(lengths), *out)
    near(out[0][3], NEW_KEY[2], (0.0, 0.0))


@group.check
def npu_moe_token_permute_refuses_a_wrong_shape() -> None:
    """The error names parameter, value and rule, and what follows works."""
    permute = operator("npu_moe_token_permute")
    try:
        permute(moved(T), moved(CHOSEN[:3]))
        torch.npu.synchronize()
    except RuntimeError:
        pass
    else:
        raise AssertionError("indices of 3 tokens were taken for 6")
    near(permute(moved(T), moved(CHOSEN))[0], ROWS, (0.0, 0.0))


if __name__ == "__main__":
    group.main()
